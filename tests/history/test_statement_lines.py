"""The lines of a statement and their sums, row by row: whose month a payment is in, what was taken back of it, and what
does not tie. The tables are filled by hand, so that every edge is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from refref.core.decisions import Decision, encode_decision
from refref.db import statements
from refref.db.history import HistoryRun
from refref.db.pool import Connection, Database
from refref.db.statements import Movement, StatedPayment

MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
RUN = HistoryRun("org_a", "rdg_a", "con_a", "statement", "running", MARCH, APRIL, "system", MARCH)
BODY = encode_decision(Decision("in_a", "", (), "cus_a", "refused", "x", 0, "usd", "", 5, 5, 0, 0, 0, 0))


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
    return database


def decided(dsn: str, key: str, occurred_at: datetime, program_id: str = "prg_a") -> None:
    with psycopg.connect(dsn) as owner:
        owner.execute("set session_replication_role = replica")
        owner.execute(
            "insert into decision (organization_id, connection_id, payment_key, program_id, scope_id, referee_id,"
            " outcome, occurred_at, currency, paid_minor, base_minor, refunded_minor, earned_minor, reversed_minor,"
            " digest, body) values ('org_a', 'con_a', %s, %s, 'cus_a', 'cus_a', 'rewarded', %s, 'usd', 100, 100, 0, 0,"
            " 0, 'x', %s)",
            [key, program_id, occurred_at, BODY],
        )


def rewarded(dsn: str, number: int, key: str, program_id: str, status: str, amount: int, taken_back: int) -> None:
    with psycopg.connect(dsn) as owner:
        owner.execute("set session_replication_role = replica")
        owner.execute(
            "insert into reward (organization_id, connection_id, reward_id, program_id, participant_id, payment_key,"
            " rule_id, referee_id, scope_id, terms_version, status, currency, amount_minor, reversed_minor,"
            " occurred_at, hold_until, entry_count, beneficiary_id, kind)"
            " values ('org_a', 'con_a', %s, %s, 'ptc_a', %s, %s, 'cus_a', 'cus_a', 1,"
            " %s, 'usd', %s, %s, now(), now(), 1, 'ptc_a', 'commission')",
            [f"rwd_{number}", program_id, key, f"rule_{number}", status, amount, taken_back],
        )


def ask(dsn: str, *questions: Callable[[Connection], Awaitable[Any]]) -> list[Any]:
    async def main() -> list[Any]:
        database = await Database.open(dsn, max_size=1)
        try:
            async with database.tenant("org_a") as tx:
                return [await question(tx) for question in questions]
        finally:
            await database.close()

    return asyncio.run(main())


def test_a_month_is_half_open_and_holds_payments_alone(books: str) -> None:
    second = timedelta(seconds=1)
    decided(books, "in_1_before", MARCH - second)
    decided(books, "in_2_first", MARCH)
    decided(books, "in_3_last", APRIL - second)
    decided(books, "in_4_after", APRIL)
    decided(books, "sub_5/trial", MARCH + second)  # a conversion, but no payment
    (first, rest, none) = ask(
        books,
        lambda tx: statements.decided_payments(tx, RUN, "", 1),
        lambda tx: statements.decided_payments(tx, RUN, "in_2_first", 9),
        lambda tx: statements.decided_payments(tx, RUN, "in_3_last", 9),
    )
    assert [[row.payment_key for row in found] for found in (first, rest, none)] == [["in_2_first"], ["in_3_last"], []]


# Rewards of one payment as (program, status, amount, taken back), and whether its program took all of it back.
TAKEN_BACK = {
    "nothing was given": ([], False),
    "all of it": ([("prg_a", "reversed", 10, 10)], True),
    "a part of it": ([("prg_a", "payable", 10, 9)], False),
    "of two rewards only one": ([("prg_a", "reversed", 10, 10), ("prg_a", "payable", 5, 0)], False),
    "both": ([("prg_a", "reversed", 10, 10), ("prg_a", "reversed", 5, 5)], True),
    "it expired, which is nobody's refund": ([("prg_a", "expired", 10, 10)], False),
    "a feature besides has no amount": ([("prg_a", "reversed", 10, 10), ("prg_a", "payable", 0, 0)], True),
    "a feature alone": ([("prg_a", "payable", 0, 0)], False),
    "another program's is another decision": ([("prg_a", "reversed", 10, 10), ("prg_b", "payable", 7, 0)], True),
}


@pytest.mark.parametrize("name", TAKEN_BACK)
def test_a_payment_is_taken_back_where_all_that_its_program_gave_is(books: str, name: str) -> None:
    rewards, is_taken_back = TAKEN_BACK[name]
    decided(books, "in_a", MARCH)
    for number, (program_id, status, amount, taken_back) in enumerate(rewards):
        rewarded(books, number, "in_a", program_id, status, amount, taken_back)
    ((row,),) = ask(books, lambda tx: statements.decided_payments(tx, RUN, "", 9))
    assert row.decided.is_taken_back is is_taken_back


def paid(key: str, paid_minor: int, charged_minor: int | None, off_stripe_minor: int = 0) -> StatedPayment:
    return StatedPayment(
        key, "rewarded", "", MARCH, "cus_a", "usd", paid_minor, 0, off_stripe_minor, charged_minor=charged_minor
    )


def moved(key: str, type_: str, payment_key: str, amount: int, known: int | None = None, **more: Any) -> Movement:
    given = {"is_sale": True, "known_currency": "usd"} | more
    return Movement(
        key, type_, given["is_sale"], "ch_a", payment_key, "usd", amount, 0, 1, known, given["known_currency"]
    )


PAYMENTS = [
    paid("in_1", 1_000, 1_000),  # ties, and its charge moved this month
    paid("in_2", 1_000, 700, off_stripe_minor=300),  # 300 in cash: ties, too; its charge moved in another month
    paid("in_3", 1_000, 900),  # 100 apart
    paid("in_4", 1_000, 500),  # 500 apart
    paid("in_5", 1_000, None),  # no charge is known
    paid("in_6", 400, None, off_stripe_minor=400),  # all in cash: there is no charge to know
    paid("in_7", 0, 0),  # free: no charge, and nothing that could have moved
]
MOVEMENTS = [
    moved("txn_1", "charge", "in_1", 1_000, 1_000),
    moved("txn_1r", "refund", "in_2", -200, 200),  # a refund is not the movement of in_2's charge
    moved("txn_3", "payment", "in_3", 900, 950),  # the books hold 950 of it
    moved("txn_3r", "charge", "in_3", 100, 100),  # a second charge of the same payment
    moved("txn_4", "charge", "in_4", 500, 400),
    moved("txn_8", "charge", "", 60, None),  # of no payment that is known
    moved("txn_9", "charge", "in_1", 70, 65, known_currency="eur"),  # Stripe converted it
    moved("txn_x", "payout", "", -5_000, 4_000, is_sale=False),
]


def test_what_does_not_tie_is_counted_once_and_named_the_farthest_apart_first(books: str) -> None:
    *_, ties, payments, movements = ask(
        books,
        lambda tx: statements.insert_payments(tx, RUN, PAYMENTS),
        lambda tx: statements.insert_movements(tx, RUN, MOVEMENTS),
        lambda tx: statements.insert_movements(tx, RUN, MOVEMENTS[:1]),  # read once more: stands once
        lambda tx: statements.ties(tx, "org_a", "rdg_a"),
        lambda tx: statements.untied_payments(tx, "org_a", "rdg_a", 9),
        lambda tx: statements.untied_movements(tx, "org_a", "rdg_a", 9),
    )
    (tie,) = ties
    assert (tie.count, tie.paid_minor, tie.off_stripe_minor, tie.charged_minor) == (7, 5_400, 700, 3_100)
    assert tie.untied_count == 2
    assert (tie.unknown_count, tie.unknown_minor) == (1, 1_000)
    assert (tie.unmoved_count, tie.unmoved_minor) == (1, 700)
    assert [row.payment_key for row in payments] == ["in_4", "in_3"]
    assert [row.stripe_id for row in movements] == ["txn_4", "txn_3"]


def test_movements_are_paged_and_the_unexplained_are_sales_without_a_payment(books: str) -> None:
    *_, first, rest, unexplained, sums = ask(
        books,
        lambda tx: statements.insert_movements(tx, RUN, MOVEMENTS),
        lambda tx: statements.movements(tx, "org_a", "rdg_a", limit=3),
        lambda tx: statements.movements(tx, "org_a", "rdg_a", after="txn_3"),
        lambda tx: statements.movements(tx, "org_a", "rdg_a", only_unexplained=True),
        lambda tx: statements.money_sums(tx, "org_a", "rdg_a"),
    )
    assert [row.stripe_id for row in (*first, *rest)] == sorted(row.stripe_id for row in MOVEMENTS)
    assert [row.stripe_id for row in unexplained] == ["txn_8"]
    assert [(row.type, row.count, row.net_minor, row.moved_minor, row.explained_minor) for row in sums] == [
        ("charge", 5, 1_730, 1_730, 1_670),
        ("payment", 1, 900, 900, 900),
        ("refund", 1, -200, 200, 200),
        ("payout", 1, -5_000, 5_000, 0),
    ]
