"""Faults that the doctor knows, each planted in a merchant's set-up, and what mends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from refref.core.facts import ChargeState, Fact, Kind, PaymentIntentState, SessionState
from refref.db import connection_health
from refref.db.bodies import compress
from refref.db.pool import lock_books
from refref.flows.connections import NewConnection, create_connection
from refref.flows.doctor_repairs import repair_fault
from refref.flows.settle import Incoming, settle
from refref.ids import new_id
from refref.sandbox.deliveries import sign
from stories.story import Story
from stories.world import SECRET

DAY = 86_400


def now() -> datetime:
    """The instant of this step: a story may be told long after its module was read."""
    return datetime.now(UTC)


def later() -> datetime:
    """When the doctor looks: after what has to wait a little has waited."""
    return now() + timedelta(minutes=20)


def sql(s: Story, query: str, *arguments: object) -> None:
    """Run a statement as the owner, who may also write what the product never changes. $1, $2: the merchant's keys."""

    async def work() -> None:
        connection = await asyncpg.connect(s.world.database.dsn)
        try:
            await connection.execute(query, s.merchant.organization_id, s.merchant.connection_id, *arguments)
        finally:
            await connection.close()

    s.world.run(work())


def arrive(
    s: Story,
    event_id: str,
    *,
    received_at: datetime,
    created_at: datetime | None = None,
    source: str = "webhook",
    type: str = "product.updated",
) -> None:
    """An event of a type that changes nothing, as if it had arrived at an instant."""
    sql(
        s,
        "insert into stripe_event (organization_id, connection_id, stripe_event_id, type, object_id, api_version,"
        " livemode, state, source, created_at, received_at, body)"
        " values ($1, $2, $3, $8, 'prod_1', '2026-10-28.endive', false, 'accepted', $4, $5, $6, $7)",
        event_id,
        source,
        created_at or received_at,
        received_at,
        compress(b"{}"),
        type,
    )


def mended(s: Story, code: str, *, at: datetime | None = None) -> None:
    async def work() -> None:
        own = (s.merchant.organization_id, s.merchant.connection_id)
        async with s.world.database.tenant(own[0]) as tx:
            await repair_fault(tx, *own, code, actor="system", now=at or later())

    s.world.run(work())
    s.deliver()


def reading(s: Story, kind: str, status: str, *gaps: str) -> None:
    run_id = new_id("reading")
    sql(
        s,
        "insert into history_run (organization_id, connection_id, run_id, kind, status, until_at, created_by,"
        " finished_at) values ($1, $2, $3, $4, $5, now(), 'system', now())",
        *(run_id, kind, status),
    )
    for stripe_id in gaps:
        sql(
            s,
            "insert into history_gap (organization_id, run_id, stripe_id, part, detail)"
            " select $1, $3, $4, 'invoices', '' where $2 <> ''",
            *(run_id, stripe_id),
        )


# The plants and mendings, by code ------------------------------------------------------------------------------------

Act = Callable[[Story], object]
PLANTS: dict[str, tuple[Act, Act]] = {}


def fault(code: str) -> Callable[[Callable[[], tuple[Act, Act]]], None]:
    def register(made: Callable[[], tuple[Act, Act]]) -> None:
        PLANTS[code] = made()

    return register


def by_sql(plant: str, mend: str) -> tuple[Act, Act]:
    return lambda s: sql(s, plant), lambda s: sql(s, mend)


def by_saying(code: str, plant: Act) -> tuple[Act, Act]:
    return plant, lambda s: mended(s, code)


def sell(s: Story, refcode: str | None = "ana", **more: Any) -> str:
    session = s.buy(s.price(5_000), refcode, **more)
    s.deliver()
    return session


def post(s: Story, **changes: Any) -> None:
    sell(s)
    event = s.sb.events[-1] | {"id": "evt_Other"} | changes
    s.world.run(s.world._post(s.merchant, event, "2026-10-28.endive"))


PLANTS["no_webhook_secret"] = by_sql(
    "update connection_secret set expires_at = now() where organization_id = $1 and connection_id = $2",
    "update connection_secret set expires_at = null where organization_id = $1 and connection_id = $2",
)


@fault("nothing_arrived")
def _() -> tuple[Act, Act]:
    return (lambda s: None), lambda s: arrive(s, "evt_First", received_at=now())


@fault("silent")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        sql(s, "update connection set mode = 'live' where organization_id = $1 and connection_id = $2")
        for number in range(30):
            arrive(s, f"evt_{number}", received_at=now() - timedelta(days=3, hours=8 * (30 - number)))

    return plant, lambda s: arrive(s, "evt_Again", received_at=now())


def refuse(s: Story, *, secret: str = SECRET, at: float | None = None, count: int = 1) -> None:
    """A delivery that intake refuses: signed with another secret, or long ago."""
    body = b'{"id": "evt_Refused"}'

    async def work() -> None:
        for _ in range(count):
            header = sign(body, secret, int(at or time.time()))
            assert (await s.world.intake.take(s.merchant.connection_id, header.encode(), body)).status == 400

    s.world.run(work())


@fault("signature_refused")
def _() -> tuple[Act, Act]:
    return lambda s: refuse(s, secret="whsec_another"), lambda s: sell(s)


@fault("clock_refused")
def _() -> tuple[Act, Act]:
    return lambda s: refuse(s, at=time.time() - 400), lambda s: sell(s)


@fault("type_only_listed")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        for number in (1, 2):
            at = now() - timedelta(hours=number)
            arrive(s, f"evt_Listed{number}", received_at=at, source="poll", type="charge.refunded")
        arrive(s, "evt_Flows", received_at=now())

    return by_saying("type_only_listed", plant)


@fault("deliveries_lost")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        since = "update connection_secret set created_at = now() - interval '9 days'"
        sql(s, f"{since} where organization_id = $1 and connection_id = $2")
        for number in range(80):
            source = "poll" if number % 10 == 0 else "webhook"
            at = now() - timedelta(days=number % 20 // 10, minutes=number % 4)
            arrive(s, f"evt_{number}", received_at=at, source=source)

    return by_saying("deliveries_lost", plant)


@fault("type_missing")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        s.lose("invoice.paid")
        s.buy(s.price(5_000, every="month"), "ana")
        s.deliver()

    def mend(s: Story) -> None:
        s.lost = ()
        s.buy(s.price(5_000, every="month"), "ana")
        s.deliver()

    return plant, mend


@fault("missed_by_webhook")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        arrive(s, "evt_Webhook", received_at=now() - timedelta(hours=2))
        arrive(s, "evt_Polled", received_at=now() - timedelta(hours=1), source="poll")

    return plant, lambda s: arrive(s, "evt_Flows", received_at=now())


PLANTS["gaps_found"] = (
    lambda s: [reading(s, "backfill", "done"), reading(s, "reconcile", "done", "in_1", "in_2")],
    lambda s: reading(s, "reconcile", "done"),
)
PLANTS["reading_failed"] = (lambda s: reading(s, "backfill", "failed"), lambda s: reading(s, "backfill", "done"))
PLANTS["poll_failing"] = by_sql(
    "insert into event_poll (organization_id, connection_id, attempts, error, checked_at)"
    " values ($1, $2, 3, 'no', now())",
    "update event_poll set attempts = 0, error = null where organization_id = $1 and connection_id = $2",
)


@fault("no_carriers")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        for number in range(20):
            s.buy(s.price(1_000), email=f"buyer{number}@customers.example")
        s.deliver()

    return plant, lambda s: sell(s)


PLANTS["unknown_codes"] = (lambda s: sell(s, "nobody-here"), lambda s: s.affiliate("nobody-here"))
PLANTS["misspelt_key"] = by_saying("misspelt_key", lambda s: sell(s, None, metadata={"refref_referal_id": "ana"}))
PLANTS["blank_reference"] = by_saying("blank_reference", lambda s: sell(s, None, client_reference_id="  "))


@fault("session_metadata_only")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        s.buy(s.price(5_000, every="month"), metadata={"refref_referral_id": "ana"})
        s.deliver()

    return by_saying("session_metadata_only", plant)


PLANTS["promotion_code_collides"] = by_sql(
    "insert into catalog_promotion_code (organization_id, connection_id, stripe_promotion_code_id, code,"
    " stripe_coupon_id, is_active, seen_at) values ($1, $2, 'promo_Other', 'ANA', 'co_1', true, 1)",
    "update catalog_promotion_code set is_active = false where organization_id = $1 and connection_id = $2",
)
PLANTS["codes_alike"] = (
    lambda s: [s.affiliate("anna-1"), s.affiliate("annal")],
    lambda s: s.deactivate("annal", "annal"),
)


def disable_the_other(s: Story) -> None:
    sql(s, "update connection set status = 'disabled' where organization_id = $1 and connection_id <> $2")


def second_connection(s: Story) -> str:
    async def work() -> str:
        organization_id = s.merchant.organization_id
        given = NewConnection(name="Again", mode="test", webhook_secret=SECRET)
        async with s.world.database.tenant(organization_id) as tx:
            return (
                await create_connection(tx, s.world.vault, organization_id, given, actor="system", now=now())
            ).connection_id

    return s.world.run(work())


@fault("two_connections")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        second_connection(s)
        sql(s, "update connection set stripe_account_id = 'acct_1Sample' where organization_id = $1 and $2 <> ''")

    return plant, disable_the_other


@fault("same_event_twice")
def _() -> tuple[Act, Act]:
    def plant(s: Story) -> None:
        sell(s)
        first = s.merchant.connection_id
        s.merchant.connection_id = second_connection(s)
        s.world.run(s.world._post(s.merchant, s.sb.events[-1], "2026-10-28.endive"))
        s.merchant.connection_id = first

    return plant, disable_the_other


def checked(s: Story, *findings: dict[str, Any]) -> None:
    async def work() -> None:
        own = (s.merchant.organization_id, s.merchant.connection_id)
        async with s.world.database.tenant(own[0]) as tx:
            await connection_health.store_check(tx, *own, "endpoint", {"findings": list(findings)}, now())

    s.world.run(work())


PLANTS["several_endpoints"] = (
    lambda s: checked(s, {"code": "several_endpoints", "names": ["we_2"]}),
    lambda s: checked(s),
)


@fault("sale_twice")
def _() -> tuple[Act, Act]:
    at = int(now().timestamp()) - DAY

    def told(s: Story, *facts: Fact) -> None:
        async def work() -> None:
            own = (s.merchant.organization_id, s.merchant.connection_id)
            async with s.world.database.tenant(own[0]) as tx:
                await lock_books(tx, own[1])
                await settle(tx, *own, [Incoming(facts, None)], at)

        s.world.run(work())

    session = SessionState("payment", "complete", "paid", "usd", 5_000, created_at=at)
    intent = PaymentIntentState("succeeded", "usd", 5_000, at)
    charge = ChargeState("succeeded", "usd", 5_000, created_at=at)

    def plant(s: Story) -> None:
        told(
            s,
            Fact("cs_1Sample", Kind.SESSION, 5, at, 0, session, ("cus_1Sample",)),
            Fact("pi_1Sample", Kind.PAYMENT_INTENT, 5, at, 0, intent, ("cus_1Sample",)),
            Fact("ch_1Sample", Kind.CHARGE, 5, at, 0, charge, ("pi_1Sample", "cus_1Sample")),
        )

    return plant, lambda s: told(s, Fact("cs_1Sample", Kind.SESSION, links=("pi_1Sample",)))
