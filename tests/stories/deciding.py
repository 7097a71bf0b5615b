"""What people do in a story: they approve and reject, record payouts and undo them, on what has arrived by then."""

from __future__ import annotations

from datetime import UTC, datetime

from refref.flows.payouts import record_payout, undo_payout
from refref.flows.reviews import review_conversion, review_referral, review_rewards, withdraw_review
from refref.worker.pump import pump_once
from stories.story import Story


def pay(s: Story, refcode: str, amount: int | None = None, currency: str = "usd") -> str:
    """Somebody was paid by hand; without an amount all that is payable. Returns the payout's id."""
    s.catch_up()

    async def work() -> str:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            made = await record_payout(
                tx,
                s.merchant.organization_id,
                s.names[refcode],
                currency=currency,
                amount_minor=amount,
                actor="system",
                now=_now(s),
            )
        return made.payout_id

    return s.world.run(work())


def undo(s: Story, payout_id: str) -> None:
    """The payout is taken back."""
    s.catch_up()

    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await undo_payout(
                tx, s.merchant.organization_id, payout_id, reason="it never arrived", actor="system", now=_now(s)
            )

    s.world.run(work())
    _pump(s)


def decide(s: Story, refcode: str, verdict: str, *places: int, is_impatient: bool = False) -> None:
    """Approve or reject rewards of a participant, by their place in order of payment (all without any).

    `is_impatient`: while events are still on their way.
    """
    if not is_impatient:
        s.catch_up()
    rows = s.world.fetch(
        s.merchant,
        "select reward_id from reward where beneficiary_id = $1 order by occurred_at, amount_minor, payment_key",
        s.names[refcode],
    )
    chosen = [rows[place][0] for place in places] if places else [row[0] for row in rows]

    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await review_rewards(
                tx, *_own(s), chosen, verdict=verdict, reason="looked at it", actor="system", now=_now(s)
            )

    s.world.run(work())
    _pump(s)


def decide_referral(s: Story, verdict: str, referee_id: str | None = None) -> None:
    """Approve or reject a whole referral; without a referee the only one there is."""
    s.catch_up()
    rows = s.world.fetch(
        s.merchant,
        "select referral_id from referral where $1::text is null or referee_id = $1",
        referee_id,
    )
    assert len(rows) == 1

    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await review_referral(
                tx,
                s.merchant.organization_id,
                rows[0][0],
                verdict=verdict,
                reason="looked at it",
                actor="system",
                now=_now(s),
            )

    s.world.run(work())
    _pump(s)


def decide_conversion(s: Story, program: str, payment_key: str, verdict: str) -> None:
    """Approve or reject all that one conversion gives."""
    s.catch_up()

    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await review_conversion(
                tx,
                *_own(s),
                s.names[program],
                payment_key,
                verdict=verdict,
                reason="looked at it",
                actor="system",
                now=_now(s),
            )

    s.world.run(work())
    _pump(s)


def withdraw(s: Story) -> None:
    """The latest verdict is taken back."""
    s.catch_up()
    latest = s.world.fetch(s.merchant, "select max(review_id) from review")[0][0]

    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await withdraw_review(tx, *_own(s), latest, reason="a mistake", actor="system", now=_now(s))

    s.world.run(work())
    _pump(s)


def _own(s: Story) -> tuple[str, str]:
    return s.merchant.organization_id, s.merchant.connection_id


def _now(s: Story) -> datetime:
    return datetime.fromtimestamp(s.sb.now, UTC)


def _pump(s: Story) -> None:
    """Where others are to be judged again, let them be."""

    async def work() -> None:
        while (await pump_once(s.world.database, lambda: s.sb.now)).events:
            pass

    s.world.run(work())
