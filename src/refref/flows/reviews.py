"""Reviews: a person approves or rejects rewards, conversions or whole referrals, or withdraws that; the books follow.

A verdict is a row that is never changed; the latest of a subject holds. What it concerns is settled at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from refref.core.refusals import Refused
from refref.db import audit, inbox, reviews, setup
from refref.db.pool import Connection, lock_books
from refref.db.reviews import ReviewEntry, Subject
from refref.flows.checks import check_choice
from refref.flows.settle import settle
from refref.ids import new_id

VERDICTS = ("approved", "rejected", "withdrawn")
HOLDS = ("awaiting_approval", "fraud_hold")
MOST = 500  # in one go
MAX_REASON = 500


async def review_rewards(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    reward_ids: Collection[str],
    *,
    verdict: str,
    reason: str,
    actor: str,
    now: datetime,
) -> int:
    """Decide on these rewards; of a reward that is shared between several, on all shares. Returns on how many.

    `now` is ours. Raises Refused: invalid_choice, invalid_reason, unknown_reward, too_many.
    """
    if len(reward_ids) > MOST:
        raise Refused("too_many", f"Give at most {MOST} rewards in one request.", "reward_ids")
    found = await reviews.subjects_of_rewards(tx, organization_id, connection_id, reward_ids)
    missing = sorted(set(reward_ids) - found.keys())
    if missing or not found:
        sentence = f"There is no reward {missing[0]} on this connection." if missing else "Name at least one reward."
        raise Refused("unknown_reward", sentence, "reward_ids")
    subjects = list(dict.fromkeys(found.values()))
    await _review(tx, organization_id, connection_id, subjects, verdict, reason, actor, now)
    return len(found)


async def review_waiting(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    program_id: str | None = None,
    participant_id: str | None = None,
    hold: str | None = None,
    verdict: str,
    reason: str,
    actor: str,
    now: datetime,
) -> tuple[int, int]:
    """Decide on rewards that wait for a person and fit, at most 500, the oldest first. Returns on how many, and how
    many still wait.

    `hold`: awaiting_approval or fraud_hold. Raises Refused: invalid_choice, invalid_reason.
    """
    if hold:
        check_choice(hold, HOLDS, "hold")
    await lock_books(tx, connection_id)
    wanted = {"program_id": program_id or None, "participant_id": participant_id or None, "hold": hold or None}
    found = await reviews.waiting_subjects(tx, organization_id, connection_id, **wanted, limit=MOST)
    if found:
        subjects = list(dict.fromkeys(found))
        await _review(tx, organization_id, connection_id, subjects, verdict, reason, actor, now)
    else:
        _check(verdict, reason)
    return len(found), await reviews.count_waiting(tx, organization_id, connection_id, **wanted)


async def review_conversion(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    program_id: str,
    payment_key: str,
    *,
    verdict: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Decide on everything that a conversion gives in a program. Raises Refused: unknown_conversion, and as above."""
    found = await reviews.subject_of_conversion(tx, organization_id, connection_id, program_id, payment_key)
    if found is None:
        raise Refused("unknown_conversion", "The program knows no conversion with this key.", "payment_key")
    await _review(tx, organization_id, connection_id, [found], verdict, reason, actor, now)


async def review_referral(
    tx: Connection,
    organization_id: str,
    referral_id: str,
    *,
    verdict: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Decide on a referral: all that the customer's conversions give in its program, now and later.

    Approving overrides what a check against fraud found. Raises Refused: unknown_referral, and as above.
    """
    found = await reviews.subject_of_referral(tx, organization_id, referral_id)
    if found is None:
        raise Refused("unknown_referral", "There is no referral with this id.", "referral_id")
    connection_id, subject = found
    await _review(tx, organization_id, connection_id, [subject], verdict, reason, actor, now)


async def withdraw_review(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    review_id: str,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Take a verdict back, as if nobody had decided.

    Raises Refused: unknown_review, review_outdated, invalid_reason.
    """
    found = await reviews.subject_of_review(tx, organization_id, connection_id, review_id)
    if found is None:
        raise Refused("unknown_review", "There is no verdict with this id on this connection.", "review_id")
    subject, latest = found
    if latest == "withdrawn":
        raise Refused("review_outdated", "This verdict was withdrawn already.", "review_id")
    await _review(tx, organization_id, connection_id, [subject], "withdrawn", reason, actor, now)


def _check(verdict: str, reason: str) -> str:
    check_choice(verdict, VERDICTS, "verdict")
    reason = reason.strip()
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise Refused(
            "invalid_reason", f"Say why, in 1 to {MAX_REASON} characters without line breaks: it is kept.", "reason"
        )
    return reason


async def _review(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    subjects: Sequence[Subject],
    verdict: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    reason = _check(verdict, reason)
    await lock_books(tx, connection_id)
    under = await reviews.known_ids(tx, organization_id, connection_id, subjects)
    rows = [
        ReviewEntry(new_id("review"), replace(subject, stripe_id=stripe_id), verdict)
        for subject in subjects
        for stripe_id in dict.fromkeys((*under[subject], subject.stripe_id))
    ]
    await reviews.insert_reviews(tx, organization_id, connection_id, rows, reason=reason, actor=actor, at=now)
    for subject in subjects:
        await audit.record(
            tx,
            organization_id,
            at=now,
            actor=actor,
            action=f"review.{verdict}",
            subject=subject.stripe_id,
            details={"program_id": subject.program_id, "rule_id": subject.rule_id or None, "reason": reason},
        )
    there = int(now.timestamp()) + await setup.clock_ahead_s(tx, organization_id, connection_id)
    await settle(tx, organization_id, connection_id, [], there, scope_ids={subject.scope_id for subject in subjects})
    await inbox.wake_pumps(tx)  # where tiers or caps look at these, others are judged again
