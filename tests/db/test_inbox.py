"""The inbox: known events are left alone, connections take turns, pumps do not meet, bad events park and come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg
import pytest

from refref.db import facts, inbox
from refref.db.bodies import compress
from refref.db.inbox import Arrival
from refref.db.pool import Database


@pytest.fixture
def two_connections(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        for name in ("a", "b"):
            owner.execute("insert into organization values (%s, 'Inbox')", [f"org_{name}"])
            owner.execute(
                "insert into connection (organization_id, connection_id, name, mode) values (%s, %s, 'Inbox', 'test')",
                [f"org_{name}", f"con_{name}"],
            )
    return database


def arrival(name: str, number: int, **more: Any) -> Arrival:
    given = Arrival(
        f"org_{name}", f"con_{name}", f"evt_{number}", "invoice.paid", "in_1", None, False, "accepted", None, "webhook",
        1_700_000_000, compress(b'{"n": %d}' % number),
    )  # fmt: skip
    return given._replace(**more)


def run(dsn: str, work: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        opened = await Database.open(dsn, max_size=4)
        try:
            await asyncio.wait_for(work(opened), 120)
        finally:
            await opened.close()

    asyncio.run(main())


async def accept(database: Database, *arrivals: Arrival) -> int:
    async with database.plain() as connection:
        return await inbox.accept(connection, arrivals)


async def claim_all(database: Database) -> tuple[str, list[str]] | None:
    """Claim a connection and finish everything that is due there."""
    async with database.reference() as tx:
        claim = await inbox.claim_connection(tx)
        if claim is None:
            return None
        work = await inbox.due_work(tx, claim.organization_id, claim.connection_id, 100)
        await facts.take_dirty(tx, claim.organization_id, claim.connection_id, 100)
        await inbox.finish(tx, claim.organization_id, claim.connection_id, [one.event_seq for one in work])
        return claim.connection_id, [one.stripe_event_id for one in work]


def test_a_known_event_is_left_alone_whatever_it_says_now(two_connections: str) -> None:
    async def work(database: Database) -> None:
        assert await accept(database, arrival("a", 1), arrival("a", 2)) == 2
        assert await accept(database, arrival("a", 1, body=compress(b"other")), arrival("a", 3)) == 1
        assert await accept(database, arrival("b", 1)) == 1  # the same id in another account is another event
        async with database.tenant("org_a") as tx:
            bodies = [one.body for one in await inbox.due_work(tx, "org_a", "con_a", 10)]
        assert bodies == [b'{"n": 1}', b'{"n": 2}', b'{"n": 3}']

    run(two_connections, work)


def test_connections_take_turns_by_their_oldest_event(two_connections: str) -> None:
    async def work(database: Database) -> None:
        await accept(database, arrival("a", 1), arrival("a", 2))
        await accept(database, arrival("b", 3))
        assert await claim_all(database) == ("con_a", ["evt_1", "evt_2"])
        await accept(database, arrival("a", 4))
        assert await claim_all(database) == ("con_b", ["evt_3"])
        assert await claim_all(database) == ("con_a", ["evt_4"])
        assert await claim_all(database) is None
        async with database.tenant("org_b") as tx:
            await facts.mark_dirty(tx, "org_b", "con_b", ["cus_1"])
        await accept(database, arrival("a", 5))
        assert await claim_all(database) == ("con_b", [])
        assert await claim_all(database) == ("con_a", ["evt_5"])

    run(two_connections, work)


def test_two_pumps_take_two_connections(two_connections: str) -> None:
    async def work(database: Database) -> None:
        await accept(database, arrival("a", 1), arrival("b", 2))
        async with database.reference() as first, database.reference() as second, database.reference() as third:
            claims = [await inbox.claim_connection(tx) for tx in (first, second, third)]
            assert [claim and claim.connection_id for claim in claims] == ["con_a", "con_b", None]

    run(two_connections, work)


def test_a_pump_that_dies_leaves_its_work(two_connections: str) -> None:
    async def work(database: Database) -> None:
        await accept(database, arrival("a", 1))
        with contextlib.suppress(KeyboardInterrupt):
            async with database.reference() as tx:
                assert await inbox.claim_connection(tx) is not None
                await inbox.finish(tx, "org_a", "con_a", [1])
                raise KeyboardInterrupt
        assert await claim_all(database) == ("con_a", ["evt_1"])

    run(two_connections, work)


def test_a_failing_event_waits_longer_each_time_then_parks_and_can_be_replayed(two_connections: str) -> None:
    async def work(database: Database) -> None:
        await accept(database, arrival("a", 1), arrival("a", 2))
        async with database.tenant("org_a") as tx:
            for attempt in range(1, inbox.PARKED_AFTER + 1):
                await inbox.fail(tx, "org_a", "con_a", 1, "settle_failed", "why", is_final=False)
                row = await tx.fetchrow("select state, attempts, due_at > now() from inbox where event_seq = 1")
                expected = "parked" if attempt == inbox.PARKED_AFTER else "pending"
                assert tuple(row) == (expected, attempt, True)
        assert await claim_all(database) == ("con_a", ["evt_2"])
        assert await claim_all(database) is None
        async with database.tenant("org_a") as tx:
            assert await inbox.replay(tx, "org_a", "con_a", event_ids=None, only_parked=True) == 1
        assert await claim_all(database) == ("con_a", ["evt_1"])

    run(two_connections, work)


def test_ignored_and_quarantined_events_are_kept_and_never_settled(two_connections: str) -> None:
    async def work(database: Database) -> None:
        await accept(database, arrival("a", 1, state="ignored"), arrival("a", 2, state="quarantined", reason="x"))
        assert await claim_all(database) is None
        async with database.tenant("org_a") as tx:
            assert await inbox.replay(tx, "org_a", "con_a", event_ids=None, only_parked=False) == 0
            assert await tx.fetchval("select count(*) from stripe_event") == 2

    run(two_connections, work)
