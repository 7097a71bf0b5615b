"""What people decided about rewards, conversions and referrals: append-only, the latest of a subject holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.core.decisions import decode_decision
from refref.db.pool import Connection

_OF_REWARD = "r.program_id, r.rule_id, r.payment_key, r.payment_key, r.scope_id"
_WAITING = """
select {columns} from reward r
where r.organization_id = $1 and r.connection_id = $2 and r.status = 'held' and r.holds <> '{{}}'
  and ($3::text is null or r.program_id = $3) and ($4::text is null or r.participant_id = $4)
  and ($5::text is null or $5 = any (r.holds))
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a person decides on: a reward (`rule_id` set), a conversion, or a referral (`stripe_id` the referee).

    `payment_key`: of the conversion, "" for a referral. `scope_id`: what is to be settled again.
    """

    program_id: str
    rule_id: str
    stripe_id: str
    payment_key: str
    scope_id: str


@dataclass(frozen=True, slots=True)
class ReviewEntry:
    """One row: a verdict (approved, rejected, withdrawn) on a subject."""

    review_id: str
    subject: Subject
    verdict: str


async def subjects_of_rewards(
    tx: Connection, organization_id: str, connection_id: str, reward_ids: Collection[str]
) -> dict[str, Subject]:
    """The subject of each reward by its id; shares of one reward have the same."""
    rows = await tx.fetch(
        f"select r.reward_id, {_OF_REWARD} from reward r"  # noqa: S608 - a constant
        " where r.organization_id = $1 and r.connection_id = $2 and r.reward_id = any ($3)",
        organization_id,
        connection_id,
        list(reward_ids),
    )
    return {row[0]: Subject(*row[1:]) for row in rows}


async def subject_of_conversion(
    tx: Connection, organization_id: str, connection_id: str, program_id: str, payment_key: str
) -> Subject | None:
    """A conversion that was decided on in a program."""
    scope_id = await tx.fetchval(
        "select scope_id from decision where organization_id = $1 and connection_id = $2 and payment_key = $3"
        " and program_id = $4",
        organization_id,
        connection_id,
        payment_key,
        program_id,
    )
    return None if scope_id is None else Subject(program_id, "", payment_key, payment_key, scope_id)


async def subject_of_referral(tx: Connection, organization_id: str, referral_id: str) -> tuple[str, Subject] | None:
    """A referral's connection, and the subject."""
    row = await tx.fetchrow(
        "select connection_id, program_id, '', referee_id, '', scope_id from referral"
        " where organization_id = $1 and referral_id = $2",
        organization_id,
        referral_id,
    )
    return None if row is None else (row[0], Subject(*row[1:]))


async def subject_of_review(
    tx: Connection, organization_id: str, connection_id: str, review_id: str
) -> tuple[Subject, str] | None:
    """The subject of a verdict, and the latest verdict on it."""
    row = await tx.fetchrow(
        """
        select v.program_id, v.rule_id, v.stripe_id,
               coalesce(f.scope_id, v.stripe_id) as scope_id,
               (select l.verdict from review l where l.organization_id = $1 and l.connection_id = $2
                  and split_part(l.stripe_id, '/', 1) = split_part(v.stripe_id, '/', 1)
                  and (l.program_id, l.rule_id, l.stripe_id) = (v.program_id, v.rule_id, v.stripe_id)
                order by l.review_id desc limit 1) as latest
        from review v
        left join fact f on f.organization_id = $1 and f.connection_id = $2
          and f.stripe_id = split_part(v.stripe_id, '/', 1)
        where v.organization_id = $1 and v.connection_id = $2 and v.review_id = $3
        """,
        organization_id,
        connection_id,
        review_id,
    )
    return None if row is None else (Subject(row[0], row[1], row[2], "", row[3]), row[4])


async def waiting_subjects(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    program_id: str | None,
    participant_id: str | None,
    hold: str | None,
    limit: int,
) -> list[Subject]:
    """Rewards that wait for a person, by program, participant and reason where given; the oldest first."""
    rows = await tx.fetch(
        _WAITING.format(columns=_OF_REWARD) + " order by r.occurred_at, r.reward_id limit $6",
        organization_id,
        connection_id,
        program_id,
        participant_id,
        hold,
        limit,
    )
    return [Subject(*row) for row in rows]


async def count_waiting(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    program_id: str | None = None,
    participant_id: str | None = None,
    hold: str | None = None,
) -> int:
    """How many rewards wait for a person."""
    count: int = await tx.fetchval(
        _WAITING.format(columns="count(*)"), organization_id, connection_id, program_id, participant_id, hold
    )
    return count


async def known_ids(
    tx: Connection, organization_id: str, connection_id: str, subjects: Sequence[Subject]
) -> dict[Subject, list[str]]:
    """Ids of each conversion under which somebody decided the same before: a sale's key may have changed since."""
    rows = await tx.fetch(
        """
        select d.payment_key, d.program_id, d.body from unnest($3::text[], $4::text[]) as s (payment_key, program_id)
        join decision d on d.organization_id = $1 and d.connection_id = $2 and d.payment_key = s.payment_key
          and d.program_id = s.program_id
        """,
        organization_id,
        connection_id,
        [subject.payment_key for subject in subjects],
        [subject.program_id for subject in subjects],
    )
    ids = {(row[0], row[1]): decode_decision(row[2]).ids for row in rows}
    reviewed = await tx.fetch(
        """
        select distinct program_id, rule_id, stripe_id from review
        where organization_id = $1 and connection_id = $2 and split_part(stripe_id, '/', 1) = any ($3)
        """,
        organization_id,
        connection_id,
        [stripe_id.partition("/")[0] for own in ids.values() for stripe_id in own],
    )
    there = {(row[0], row[1], row[2]) for row in reviewed}
    return {
        subject: [
            stripe_id
            for stripe_id in ids.get((subject.payment_key, subject.program_id), ())
            if (subject.program_id, subject.rule_id, stripe_id) in there
        ]
        for subject in subjects
    }


async def insert_reviews(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    rows: Sequence[ReviewEntry],
    *,
    reason: str,
    actor: str,
    at: datetime,
) -> None:
    """Add verdicts."""
    await tx.execute(
        """
        insert into review (organization_id, connection_id, review_id, program_id, rule_id, stripe_id, verdict, reason,
                            actor, at)
        select $1, $2, v.*, $8, $9, $10
        from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) v
        """,
        organization_id,
        connection_id,
        [row.review_id for row in rows],
        [row.subject.program_id for row in rows],
        [row.subject.rule_id for row in rows],
        [row.subject.stripe_id for row in rows],
        [row.verdict for row in rows],
        reason,
        actor,
        at,
    )
