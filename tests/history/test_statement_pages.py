"""How a page of payments, or of Stripe's balance, becomes a statement's lines. The books are filled by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from refref.core.decisions import Decision, encode_decision
from refref.core.facts import ChargeState, Fact, Kind, encode_fact
from refref.db import history, statements
from refref.db.history import HistoryRun
from refref.db.pool import Connection, Database
from refref.flows.statements import take_movements_page, take_payments_page

MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
MARCH_S = int(MARCH.timestamp())
RUN = HistoryRun("org_a", "rdg_a", "con_a", "statement", "running", MARCH, APRIL, "system", MARCH)
BODY = encode_decision(Decision("ch_a", "", (), "cus_a", "refused", "x", 0, "usd", "", 5, 5, 0, 0, 0, 0))
CHARGE = Fact("ch_a", Kind.CHARGE, 1, MARCH_S, 0, ChargeState("succeeded", "usd", 1_000, 0, MARCH_S), ("cus_a",))


@pytest.fixture
def books(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("insert into organization values ('org_a', 'Sample Shop')")
        owner.execute(
            "insert into connection (organization_id, connection_id, name, mode) values ('org_a', 'con_a', 'A', 'test')"
        )
        owner.execute(
            "insert into history_run (organization_id, run_id, connection_id, kind, until_at, created_by)"
            " values ('org_a', 'rdg_a', 'con_a', 'statement', now(), 'system')"
        )
        owner.execute(
            "insert into history_part (organization_id, run_id, part, place)"
            " values ('org_a', 'rdg_a', 'payments', 0), ('org_a', 'rdg_a', 'movements', 1)"
        )
        owner.execute(
            "insert into fact (organization_id, connection_id, stripe_id, scope_id, kind, body)"
            " values ('org_a', 'con_a', 'ch_a', 'cus_a', 'charge', %s)",
            [encode_fact(CHARGE)],
        )
    return database


def decided(dsn: str, program_id: str, refunded_minor: int) -> None:
    """A program decided about the charge of 10.00 USD."""
    with psycopg.connect(dsn) as owner:
        owner.execute("set session_replication_role = replica")
        owner.execute(
            "insert into decision (organization_id, connection_id, payment_key, program_id, scope_id, referee_id,"
            " outcome, occurred_at, currency, paid_minor, base_minor, refunded_minor, earned_minor, reversed_minor,"
            " digest, body) values ('org_a', 'con_a', 'ch_a', %s, 'cus_a', 'cus_a', 'rewarded', %s, 'usd', 1000, 1000,"
            " %s, 0, 0, 'x', %s)",
            [program_id, MARCH, refunded_minor, BODY],
        )


def take(dsn: str, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        database = await Database.open(dsn, max_size=1)
        try:
            async with database.tenant("org_a") as tx:
                return await work(tx)
        finally:
            await database.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("refunded", "stated"),
    [
        # What each program, in order, takes for refunded of 10.00; what the statement says of the payment.
        ((0,), 0),
        ((300,), 300),
        ((300, 0), 300),
        ((0, 300), 300),
        ((300, 1_000, 500), 1_000),
    ],
)
def test_a_refund_is_told_once_and_whole_whatever_the_programs_make_of_it(
    books: str, refunded: tuple[int, ...], stated: int
) -> None:
    for number, refunded_minor in enumerate(refunded):
        decided(books, f"prg_{number}", refunded_minor)

    async def work(tx: Connection) -> Any:
        assert await take_payments_page(tx, RUN, "") == "ch_a"
        assert await take_payments_page(tx, RUN, "ch_a") == ""
        return await tx.fetch("select paid_minor, refunded_minor, charged_minor from statement_payment")

    assert [tuple(row) for row in take(books, work)] == [(1_000, stated, 1_000)]


def row_of(number: int, movement_type: str, source: str | None, **more: Any) -> dict[str, object]:
    row = {"id": f"txn_{number}", "type": movement_type, "source": source, "currency": "usd", "created": MARCH_S}
    return {**row, "reporting_category": movement_type, "amount": 1_000, "fee": 59, **more}


@pytest.mark.parametrize(
    ("movement_type", "source", "is_unexplained"),
    [
        ("charge", "ch_a", False),  # the books decided about it
        ("charge", "ch_unknown", True),
        ("refund", "re_unknown", True),
        ("charge", None, True),
        # No money of payments: nobody's sale could be behind it.
        ("payout", "po_a", False),
        ("stripe_fee", None, False),
        ("transfer", "tr_a", False),
    ],
)
def test_only_money_of_payments_can_be_unexplained(
    books: str, movement_type: str, source: str | None, is_unexplained: bool
) -> None:
    decided(books, "prg_a", 0)

    async def work(tx: Connection) -> Any:
        await take_movements_page(tx, RUN, [row_of(1, movement_type, source)], "")
        listed = await statements.movements(tx, "org_a", "rdg_a", only_unexplained=True)
        (part,) = [part for part in await history.parts_of(tx, "org_a", "rdg_a") if part.part == "movements"]
        return part.read_count, part.gap_count, len(listed)

    assert take(books, work) == (1, is_unexplained, is_unexplained)


@pytest.mark.parametrize(
    ("currency", "amount", "ties"),
    [("usd", 1_000, True), ("USD", 1_000, True), ("usd", 900, False), ("USD", 900, False), ("EUR", 900, True)],
)
def test_a_movement_is_compared_with_its_charge_however_its_currency_is_written(
    books: str, currency: str, amount: int, ties: bool
) -> None:
    """The charge is of 10.00 USD. In another currency Stripe converted it: that cannot be compared."""
    decided(books, "prg_a", 0)

    async def work(tx: Connection) -> Any:
        await take_movements_page(tx, RUN, [row_of(1, "charge", "ch_a", currency=currency, amount=amount)], "")
        return await statements.untied_movements(tx, "org_a", "rdg_a", 9)

    assert [(row.stripe_id, row.currency) for row in take(books, work)] == [("txn_1", "usd")] * (not ties)
