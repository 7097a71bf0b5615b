"""The ledger defends itself: attempts to break it as the application and as the owner of the tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import psycopg
import pytest

from refref.core.ledger import Entry
from refref.db.books import post_entries
from refref.db.pool import Database

ORGANIZATION, CONNECTION, PROGRAM, PARTICIPANT = "org_ledger", "con_ledger", "prg_ledger", "ptc_ledger"


@pytest.fixture
def ledger(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("insert into organization values (%s, 'Ledger')", [ORGANIZATION])
        owner.execute("insert into organization values ('org_other', 'Other')")
        owner.execute(
            "insert into connection (organization_id, connection_id, name, mode) values (%s, %s, 'Ledger', 'test')",
            [ORGANIZATION, CONNECTION],
        )
    return database


def entry(number: int, amount: int = 100, *, kind: str = "earn", source: str = "expense", to: str = "pending") -> Entry:
    owner = {"expense": PROGRAM}
    return Entry(
        f"rwd_1.{number}", kind, "rwd_1", "test", "usd", amount,
        (source, owner.get(source, PARTICIPANT)), (to, owner.get(to, PARTICIPANT)),
    )  # fmt: skip


def run(dsn: str, work: Callable[[Any], Coroutine[Any, Any, Any]], organization: str = ORGANIZATION) -> Any:
    async def main() -> Any:
        database = await Database.open(dsn, max_size=1)
        try:
            async with database.tenant(organization) as tx:
                return await work(tx)
        finally:
            await database.close()

    return asyncio.run(main())


def post(dsn: str, *entries: Entry) -> int:
    return int(run(dsn, lambda tx: post_entries(tx, ORGANIZATION, CONNECTION, entries)))


def balances(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as owner:
        rows = owner.execute("select account, balance_minor from ledger_balance order by account").fetchall()
    return dict(rows)


def test_an_entry_moves_money_and_keeps_the_balances(ledger: str) -> None:
    assert post(ledger, entry(1), entry(2, 30, kind="mature", source="pending", to="payable")) == 2
    assert balances(ledger) == {"expense": -100, "pending": 70, "payable": 30}


def test_a_cause_posts_once(ledger: str) -> None:
    assert post(ledger, entry(1)) == 1
    assert post(ledger, entry(1, 999), entry(2, 5)) == 1
    assert balances(ledger) == {"expense": -105, "pending": 105}


def test_a_cause_given_twice_in_one_call_posts_once(ledger: str) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        post(ledger, entry(1), entry(1))
    assert balances(ledger) == {}


@pytest.mark.parametrize("account", ["pending", "held", "in_transit", "paid"])
def test_only_payable_goes_negative(ledger: str, account: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="only_payable_may_be_negative"):
        post(ledger, entry(1, 1, kind="reverse", source=account, to="expense"))
    post(ledger, entry(2, 1, kind="reverse", source="payable", to="expense"))
    assert balances(ledger) == {"expense": 1, "payable": -1}


@pytest.mark.parametrize("amount", [0, -1])
def test_a_posting_moves_a_positive_amount(ledger: str, amount: int) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        post(ledger, entry(1, amount))


def test_an_account_must_be_one_of_the_chart(ledger: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        post(ledger, entry(1, to="pocket"))


def test_an_entry_without_posting_is_not_made(ledger: str) -> None:
    nothing: list[str] = []
    statement = (
        "select ledger_post($1, array['x.1'], array['earn'], array['x'], array['r'], $2, $3, $2, $4, $2, $2, $2, $2)"
    )
    made = run(ledger, lambda tx: tx.fetchval(statement, CONNECTION, nothing, [], []))
    assert made == 0


APPLICATION_ATTACKS = [
    "insert into ledger_entry (organization_id, entry_id, connection_id, kind, reward_id, reason)"
    " values ('org_ledger', 'e', 'con_ledger', 'earn', 'r', 'x')",
    "insert into ledger_posting values"
    " ('org_ledger', 'rwd_1.1', 2, 'con_ledger', 'usd', 1, 'expense', 'p', 'paid', 'q')",
    "update ledger_entry set reason = 'x'",
    "update ledger_posting set amount_minor = 1",
    "delete from ledger_posting",
    "delete from ledger_entry",
    "truncate ledger_posting",
    "update ledger_balance set balance_minor = 0",
    "insert into ledger_balance values ('org_ledger', 'con_ledger', 'x', 'paid', 'usd', 1)",
    "delete from ledger_balance",
    "delete from stripe_event",
    "update stripe_event set type = 'x'",
    "alter table ledger_entry disable trigger all",
    "set role postgres",
    "set session_replication_role = replica",
    "create table evil ()",
]


@pytest.mark.parametrize("attack", APPLICATION_ATTACKS)
def test_the_application_cannot(ledger: str, attack: str) -> None:
    post(ledger, entry(1))
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)):
        run(ledger, lambda tx: tx.execute(attack))
    assert balances(ledger) == {"expense": -100, "pending": 100}


def test_resetting_the_role_leads_back_to_the_application(ledger: str) -> None:
    async def work(tx: Any) -> Any:
        await tx.execute("reset role")
        return await tx.fetchval("select current_user")

    assert run(ledger, work) == "refref_app"


OWNER_ATTACKS = [
    "update ledger_entry set reason = 'x'",
    "update ledger_posting set amount_minor = 1",
    "delete from ledger_entry",
    "delete from ledger_posting",
    "truncate ledger_entry",
    "truncate ledger_posting, ledger_entry",
    "update stripe_event set type = 'x'",
    "truncate stripe_event",
    # a posting added to an entry of an earlier transaction
    "insert into ledger_posting values"
    " ('org_ledger', 'rwd_1.1', 2, 'con_ledger', 'usd', 1, 'expense', 'p', 'paid', 'q')",
    # a posting of an entry that does not exist, or of another connection's
    "insert into ledger_posting values"
    " ('org_ledger', 'nothing', 1, 'con_ledger', 'usd', 1, 'expense', 'p', 'paid', 'q')",
    # an entry that pretends to be of another transaction
    "insert into ledger_entry (organization_id, entry_id, connection_id, kind, reward_id, reason, created_xid)"
    " values ('org_ledger', 'e', 'con_ledger', 'earn', 'r', 'x', '3'::xid8)",
    "set session_replication_role = replica; delete from ledger_posting",
]


@pytest.mark.parametrize("attack", OWNER_ATTACKS)
def test_the_owner_cannot_either(ledger: str, attack: str) -> None:
    post(ledger, entry(1))
    with psycopg.connect(ledger) as owner, pytest.raises(psycopg.errors.IntegrityError):
        owner.execute(attack)
    assert balances(ledger) == {"expense": -100, "pending": 100}


def test_nobody_posts_for_another_organization(ledger: str) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        run(ledger, lambda tx: post_entries(tx, ORGANIZATION, CONNECTION, [entry(1)]), organization="org_other")
    assert balances(ledger) == {}


def test_posting_needs_an_organization(ledger: str) -> None:
    async def main() -> None:
        database = await Database.open(ledger, max_size=1)
        try:
            async with database.reference() as tx:
                await post_entries(tx, ORGANIZATION, CONNECTION, [entry(1)])
        finally:
            await database.close()

    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedObjectError)):
        asyncio.run(main())


def test_a_failed_transaction_leaves_nothing(ledger: str) -> None:
    async def work(tx: Any) -> None:
        await post_entries(tx, ORGANIZATION, CONNECTION, [entry(1)])
        raise RuntimeError("the process dies here")

    with pytest.raises(RuntimeError):
        run(ledger, work)
    assert balances(ledger) == {}
    assert post(ledger, entry(1)) == 1


def test_concurrent_posts_of_one_cause_post_once(ledger: str) -> None:
    async def main() -> list[int]:
        database = await Database.open(ledger, max_size=6)

        async def one(number: int) -> int:
            async with database.tenant(ORGANIZATION) as tx:
                return await post_entries(tx, ORGANIZATION, CONNECTION, [entry(1), entry(number, 1)])

        try:
            return await asyncio.gather(*[one(number) for number in range(10, 30)])
        finally:
            await database.close()

    assert sum(asyncio.run(main())) == 21
    assert balances(ledger) == {"expense": -120, "pending": 120}
