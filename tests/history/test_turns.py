"""How much the pump takes in one turn: a batch weighs what is known of its customers, not only its events."""

from __future__ import annotations

import asyncio
import json

import psycopg
import pytest

from refref.db import inbox
from refref.db.bodies import compress
from refref.db.inbox import Arrival, Work
from refref.db.pool import Database
from refref.worker.pump import BATCH, Turns, pump_once

KNOWN = 30  # payments of each customer
PAID_AT = 1_700_000_000


@pytest.mark.parametrize(
    ("taken", "facts_held", "expected"),
    [
        pytest.param(100, 500, BATCH, id="short histories: a whole batch"),
        pytest.param(100, 1_000, 250, id="ten facts for each event: as many as should hold the limit"),
        pytest.param(100, 1_000_000, 10, id="never fewer than ten"),
        pytest.param(7, 0, BATCH, id="events without facts"),
    ],
)
def test_the_next_turn_takes_as_many_as_should_hold_the_limit(taken: int, facts_held: int, expected: int) -> None:
    turns = Turns()
    assert turns.size_of("con_a") == BATCH // 4
    turns.note("con_a", [], taken, facts_held)
    assert turns.size_of("con_a") == expected
    assert turns.size_of("con_b") == BATCH // 4


def test_a_turn_that_did_nothing_tells_nothing() -> None:
    turns = Turns()
    turns.note("con_a", [], 100, 1_000)
    turns.note("con_a", [], 0, 0)
    assert turns.size_of("con_a") == 250


def test_the_floor_lies_well_below_the_last_event_done() -> None:
    turns = Turns()
    turns.note("con_a", [Work(9_000, "evt_1", "invoice.paid", 0, b"{}")], 1, 5)
    assert turns.floor_of("con_a") == 9_000 - 4_096
    assert turns.floor_of("con_b") == 0


def charge(customer: int, number: int) -> Arrival:
    """The event of a customer's charge."""
    stripe_id = f"ch_{customer:02d}{number:03d}"
    paid = {
        "id": stripe_id, "object": "charge", "status": "succeeded", "paid": True, "captured": True, "amount": 1_000,
        "amount_captured": 1_000, "amount_refunded": 0, "currency": "usd", "customer": f"cus_{customer:02d}",
        "created": PAID_AT + number, "livemode": False, "payment_intent": None, "invoice": None, "metadata": {},
    }  # fmt: skip
    event = {
        "id": f"evt_{stripe_id}", "object": "event", "type": "charge.succeeded", "created": PAID_AT + number,
        "livemode": False, "api_version": "2024-06-20", "data": {"object": paid},
    }  # fmt: skip
    return Arrival(
        "org_a", "con_a", f"evt_{stripe_id}", "charge.succeeded", stripe_id, "2024-06-20", False, "accepted", None,
        "webhook", PAID_AT + number, compress(json.dumps(event).encode()),
    )  # fmt: skip


def test_customers_with_long_histories_come_in_smaller_batches(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("insert into organization values ('org_a', 'Turns')")
        owner.execute(
            "insert into connection (organization_id, connection_id, name, mode) values ('org_a', 'con_a', 'T', 'test')"
        )

    async def main() -> None:
        opened = await Database.open(database, max_size=2)
        turns = Turns(most_facts=600)
        try:
            async with opened.plain() as connection:
                history = [charge(customer, number) for number in range(KNOWN) for customer in range(40)]
                await inbox.accept(connection, history)
            while (await pump_once(opened, lambda: PAID_AT + 9_999, turns)).events:
                pass
            async with opened.plain() as connection:
                await inbox.accept(connection, [charge(customer, KNOWN) for customer in range(40)])
            sizes = []
            while taken := (await pump_once(opened, lambda: PAID_AT + 9_999, turns)).events:
                sizes.append(taken)
            assert sum(sizes) == 40
            assert max(sizes) <= 25  # twenty have six hundred facts; forty would have fitted one turn
            async with opened.tenant("org_a") as tx:
                assert await tx.fetchval("select count(*) from decision") == 40 * (KNOWN + 1)
        finally:
            await opened.close()

    asyncio.run(main())
