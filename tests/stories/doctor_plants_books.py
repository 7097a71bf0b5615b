"""Further faults that the doctor knows, planted and mended: Stripe's side, payouts, the books."""

from __future__ import annotations

from datetime import timedelta

from refref.db import inbox
from refref.flows.payouts import record_payout
from stories.doctor_plants import PLANTS, Act, arrive, by_saying, by_sql, fault, now, post, sell, sql
from stories.story import Story


@fault("version_drift")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        sell(s)
        s.pin("2024-06-20")
        sell(s)

    def mend(s: Story) -> None:
        for _ in range(8):
            sell(s)

    return plant, mend


@fault("clock_ahead")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        arrive(s, "evt_Ahead", received_at=now(), created_at=now() + timedelta(minutes=5))

    return plant, lambda s: arrive(s, "evt_Right", received_at=now())


PLANTS["wrong_mode"] = by_saying("wrong_mode", lambda s: post(s, livemode=True))
PLANTS["unknown_account"] = by_saying("unknown_account", lambda s: post(s, account="acct_1Other"))


@fault("needs_unanswered")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        sql(s, "insert into open_need values ($1, $2, 'customer', 'cus_1', 1, 5, now(), 'permission')")

    return by_saying("needs_unanswered", plant)


@fault("parked_events")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        async def work() -> None:
            own = (s.merchant.organization_id, s.merchant.connection_id)
            async with s.world.database.tenant(own[0]) as tx:
                await inbox.replay(tx, *own, event_ids=[s.sb.events[-1]["id"]], only_parked=False)
                seqs = await inbox.unfinished_seqs(tx, *own)
                for seq in seqs:
                    await inbox.fail(tx, *own, seq, "settle_failed", "a bug", is_final=True)

        sell(s)
        s.world.run(work())

    return by_saying("parked_events", plant)


@fault("overdue_events")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        sell(s)
        sql(
            s,
            "insert into inbox (organization_id, connection_id, event_seq)"
            " select $1, $2, max(event_seq) from stripe_event where organization_id = $1 and connection_id = $2",
        )

    return plant, lambda s: sell(s)


@fault("worker_absent")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        access = "access = 'platform', stripe_account_id = 'acct_1Sample'"
        sql(s, f"update connection set {access} where organization_id = $1 and connection_id = $2")
        due = "now() - interval '1 hour'"
        sql(s, f"insert into event_poll (organization_id, connection_id, due_at) values ($1, $2, {due})")

    return plant, lambda s: sql(
        s, "update event_poll set due_at = now() where organization_id = $1 and connection_id = $2"
    )


def waiting(s: Story, reason: str) -> None:
    sql(
        s,
        "update decision set outcome = 'waiting', reason = $3, occurred_at = now() - interval '9 days'"
        " where organization_id = $1 and connection_id = $2 and outcome = 'refused'",
        reason,
    )


def wait_no_more(s: Story) -> None:
    sql(
        s,
        "update decision set outcome = 'refused', reason = 'unknown_code'"
        " where organization_id = $1 and connection_id = $2 and outcome = 'waiting'",
    )


@fault("lines_unknown")
def _() -> tuple[Act, Act]:
    return lambda s: [sell(s, None), waiting(s, "lines_missing")], wait_no_more


@fault("rates_missing")
def _() -> tuple[Act, Act]:
    return lambda s: [sell(s, None), waiting(s, "rate_not_yet_known")], wait_no_more


def pay(s: Story, reference: str = "") -> str:
    """Everything that is payable to the participant ana, as told by a person; returns the payout's id."""

    async def work() -> str:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            paid = await record_payout(
                tx,
                s.merchant.organization_id,
                s.names["ana"],
                currency="usd",
                amount_minor=None,
                reference=reference,
                actor="system",
                now=now(),
            )
            return paid.payout_id

    return s.world.run(work())


@fault("overpaid")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        s.wait(days=40)
        pay(s)
        s.sb.refund(s.sb.all("charge")[0]["id"])
        s.deliver()

    return plant, lambda s: [sell(s), sell(s)]


@fault("payout_told_twice")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        for _ in range(2):
            sell(s)
        s.wait(days=40)
        pay(s, "WIRE-1")
        for _ in range(3):
            sell(s)
        s.wait(days=40)
        pay(s, "WIRE-1")

    return by_saying("payout_told_twice", plant)


PLANTS["broken_invariant"] = by_sql(
    "insert into ledger_balance values ($1, $2, 'ptc_x', 'payable', 'usd', 5)",
    "delete from ledger_balance where organization_id = $1 and connection_id = $2 and owner_id = 'ptc_x'",
)
