"""Payouts made by hand: the merchant paid a participant by other means and says so; the books follow.

Moves no money.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from refref.core.currency_codes import CURRENCIES
from refref.core.payouts import plan_payout, plan_undoing
from refref.core.refusals import Refused
from refref.db import audit, books, inbox, participants, payouts, setup
from refref.db.payouts import Payout
from refref.db.pool import Connection, lock_books
from refref.flows.settle import settle
from refref.ids import new_id

MAX_REFERENCE = 200
MAX_NOTE = 2_000


async def record_payout(
    tx: Connection,
    organization_id: str,
    participant_id: str,
    *,
    currency: str,
    amount_minor: int | None,
    paid_on: date | None = None,
    reference: str = "",
    note: str = "",
    actor: str,
    now: datetime,
) -> Payout:
    """Book that a participant was paid `amount_minor` of a currency; None: all that is payable.

    Whole rewards, the oldest first; what went back of rewards paid before is set off. `paid_on`: today unless given.
    `now` is ours. Raises Refused: unknown_participant, invalid_currency, invalid_reference, invalid_text,
    paid_in_future, nothing_payable, payout_amount.
    """
    found = await participants.participant_by_id(tx, organization_id, participant_id)
    if found is None:
        raise Refused("unknown_participant", "There is no participant with this id.", "participant_id")
    currency, reference, note = _check_currency(currency), _check_reference(reference), _check_note(note)
    connection_id = found.connection_id
    today = await _today(tx, organization_id, connection_id, now)
    if paid_on is not None and paid_on > today:
        raise Refused("paid_in_future", "The day of payment cannot lie in the future.", "paid_on")
    await lock_books(tx, connection_id)
    rewards = await payouts.payable_rewards(tx, organization_id, connection_id, participant_id, currency)
    payout_id = new_id("payout")
    plan = plan_payout(rewards, amount_minor, payout_id)
    made = Payout(
        organization_id, payout_id, connection_id, participant_id, currency, plan.amount, paid_on or today,
        reference, note, actor, now,
    )  # fmt: skip
    await payouts.insert_payout(tx, made, plan.items)
    await payouts.update_paid(tx, organization_id, plan.changed)
    await books.post_entries(tx, organization_id, connection_id, plan.entries)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="payout.record",
        subject=payout_id,
        details={"participant_id": participant_id, "amount_minor": plan.amount, "currency": currency},
    )
    return made


async def undo_payout(
    tx: Connection, organization_id: str, payout_id: str, *, reason: str, actor: str, now: datetime
) -> Payout:
    """Take a payout back by opposite entries: it was recorded wrongly, or the money never arrived.

    What it paid is payable again, and follows tiers, caps and expiry again. Raises Refused: unknown_payout,
    payout_undone, payout_followed, invalid_reason.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= MAX_REFERENCE or not reason.isprintable():
        raise Refused("invalid_reason", f"Say why, in 1 to {MAX_REFERENCE} characters: it is kept.", "reason")
    known = await payouts.payout_by_id(tx, organization_id, payout_id)
    if known is None:
        raise Refused("unknown_payout", "There is no payout with this id.", "payout_id")
    await lock_books(tx, known[0].connection_id)
    known = await payouts.payout_by_id(tx, organization_id, payout_id)  # as it is now that nobody else writes
    assert known is not None
    made, is_undone = known
    if is_undone:
        raise Refused("payout_undone", "This payout was undone already.", "payout_id")
    items, rewards, scopes = await payouts.items_of(tx, organization_id, payout_id)
    if later := await payouts.later_payout(tx, organization_id, payout_id, [item.reward_id for item in items]):
        raise Refused("payout_followed", f"Payout {later} goes on from this one: undo that first.", "payout_id")
    plan = plan_undoing(items, rewards, payout_id, reason)
    await payouts.insert_undoing(tx, organization_id, payout_id, reason=reason, actor=actor, at=now)
    await payouts.update_paid(tx, organization_id, plan.changed)
    await books.post_entries(tx, organization_id, made.connection_id, plan.entries)
    await payouts.mark_unpaid_stale(tx, organization_id, made.connection_id, payout_id)
    there = int(now.timestamp()) + await setup.clock_ahead_s(tx, organization_id, made.connection_id)
    await settle(tx, organization_id, made.connection_id, [], there, scope_ids=scopes)
    await inbox.wake_pumps(tx)
    await audit.record(
        tx, organization_id, at=now, actor=actor, action="payout.undo", subject=payout_id, details={"reason": reason}
    )
    return made


async def _today(tx: Connection, organization_id: str, connection_id: str, now: datetime) -> date:
    """The day by the connection's clock."""
    ahead = await setup.clock_ahead_s(tx, organization_id, connection_id)
    return (now + timedelta(seconds=ahead)).date()


def _check_currency(text: str) -> str:
    currency = text.strip().lower()
    if currency not in CURRENCIES:
        raise Refused("invalid_currency", "Give a currency in three letters, such as usd.", "currency")
    return currency


def _check_note(text: str) -> str:
    if len(text) > MAX_NOTE or "\x00" in text:
        raise Refused("invalid_text", f"Give at most {MAX_NOTE} characters.", "note")
    return text.strip()


def _check_reference(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_REFERENCE or (text and not text.isprintable()):
        raise Refused(
            "invalid_reference", f"Give at most {MAX_REFERENCE} characters, without line breaks.", "reference"
        )
    return text
