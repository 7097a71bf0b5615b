"""Problems of a connection from their beginning to their end, and what a new key or an end does besides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from refref.core.connection_health import PROBLEMS, Health
from refref.core.refusals import Refused
from refref.db import connection_health as problems
from refref.db import connections, inbox, platform
from refref.db.connections import StripeConnection
from refref.db.pool import Connection, Database
from refref.flows import connections as flows
from refref.flows.arrivals import arrival_of
from refref.flows.connection_health import record_health, record_version, restore_connection
from refref.flows.connections import NewConnection
from refref.settings import MasterKey
from refref.stripe.client import API_VERSION
from refref.stripe.envelope import EventHead
from refref.vault import Vault

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
VAULT = Vault([MasterKey("k1", bytes(32))])
KEY = "rk_test_sample000000"
REFUSED = {"key_refused": "api_key_expired"}


class Shop:
    """A connection, in one transaction."""

    def __init__(self, tx: Connection, made: StripeConnection) -> None:
        self.tx = tx
        self.where = (made.organization_id, made.connection_id)

    async def now_is(self) -> StripeConnection:
        found = await connections.connection_by_id(self.tx, *self.where)
        assert found is not None
        return found

    async def look(self, found: dict[str, str], looked_for: set[str], at: datetime) -> str:
        """Stripe was asked; the status that follows."""
        health = Health(found, frozenset(looked_for))
        return (await record_health(self.tx, await self.now_is(), health, actor="system", now=at)).status

    async def problems(self) -> list[tuple[str, datetime, datetime | None, str]]:
        rows = await problems.recent_problems(self.tx, *self.where, 50)
        return [(row.code, row.began_at, row.ended_at, row.detail) for row in rows]

    async def open_codes(self) -> list[str]:
        return [code for code, _, ended_at, _ in await self.problems() if ended_at is None]

    async def audited(self) -> list[tuple[str, str]]:
        """What the audit says about problems, in order."""
        rows = await self.tx.fetch(
            "select action, details->>'codes' from audit_log where action like 'connection.problem%'"
            " order by at, audit_id"
        )
        return [(row[0], row[1]) for row in rows]

    async def check_at(self) -> datetime:
        found: datetime = await self.tx.fetchval(
            "select check_at from connection where connection_id = $1", self.where[1]
        )
        return found

    async def deliver(self, number: int, api_version: str) -> None:
        head = EventHead(f"evt_{number}", "customer.created", 1_770_000_000, False, None, api_version, "cus_a")
        await inbox.accept(self.tx, [arrival_of(*self.where, head, b"{}", source="webhook")])


def told(dsn: str, story: Callable[[Shop], Awaitable[None]], **given: Any) -> None:
    async def main() -> None:
        database = await Database.open(dsn, max_size=1)
        try:
            async with database.reference() as tx:
                await tx.execute("insert into organization values ('org_a', 'Sample Shop')")
            async with database.tenant("org_a") as tx:
                made = await connect(tx, **given)
                await story(Shop(tx, made))
        finally:
            await database.close()

    asyncio.run(main())


async def connect(tx: Connection, **given: Any) -> StripeConnection:
    new = NewConnection("Shop", **{"mode": "test", **given})
    return await flows.create_connection(tx, VAULT, "org_a", new, actor="system", now=NOW)


def test_a_problem_that_is_found_again_is_the_same_problem(database: str) -> None:
    """The page says since when it is so: the first time it was seen, however often it was looked for since."""

    async def story(shop: Shop) -> None:
        for minutes, code in ((0, "api_key_expired"), (15, "api_key_expired"), (30, "no code")):
            assert await shop.look({"key_refused": code}, {"key_refused"}, NOW + minutes * MINUTE) == "degraded"
        assert await shop.problems() == [("key_refused", NOW, None, "no code")]
        assert await shop.audited() == [("connection.problem", "key_refused")]

    told(database, story)


def test_a_problem_ends_when_it_is_looked_for_in_vain_and_may_begin_anew(database: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.look({**REFUSED, "permission_missing": "charges"}, {"key_refused"}, NOW)
        await shop.look({}, set(), NOW + MINUTE)  # Stripe could not be asked: nothing is known to be over
        assert len(await shop.open_codes()) == 2
        assert await shop.look({}, {"key_refused"}, NOW + 2 * MINUTE) == "active"
        assert await shop.open_codes() == ["permission_missing"]  # it was not looked for
        await shop.look(REFUSED, {"key_refused"}, NOW + 3 * MINUTE)
        assert await shop.problems() == [
            ("key_refused", NOW + 3 * MINUTE, None, "api_key_expired"),
            ("key_refused", NOW, NOW + 2 * MINUTE, "api_key_expired"),
            ("permission_missing", NOW, None, "charges"),
        ]
        assert await shop.audited() == [
            ("connection.problem", "key_refused permission_missing"),
            ("connection.problem_over", "key_refused"),
            ("connection.problem", "key_refused"),
        ]

    told(database, story)


async def cut_off(shop: Shop) -> None:
    """Everything that ends with new access is wrong, and what does not; a call was refused, a reading waits."""
    found = dict.fromkeys(("key_refused", "access_lost", "account_closed", "permission_missing"), "sample")
    assert await shop.look({**found, "endpoint_faulty": "sample"}, set(), NOW) == "degraded"
    await shop.tx.execute(
        "insert into open_need (organization_id, connection_id, need_kind, stripe_id, seen_at, due_at, attempts)"
        " values ($1, $2, 'charge', 'ch_refused', 0, now() + interval '1 day', 4)",
        *shop.where,
    )
    await shop.tx.execute(
        "insert into history_run (organization_id, run_id, connection_id, kind, until_at, created_by, due_at, attempts)"
        " values ($1, 'rdg_waits', $2, 'reconcile', now(), 'system', now() + interval '1 day', 4)",
        *shop.where,
    )
    await problems.update_check_at(shop.tx, *shop.where, NOW + 15 * MINUTE)


async def assert_restored(shop: Shop, at: datetime) -> None:
    assert (await shop.now_is()).status == "active"
    assert await shop.open_codes() == ["endpoint_faulty"]  # a key does not mend the endpoint
    ended = {code: ended_at for code, _, ended_at, _ in await shop.problems() if ended_at is not None}
    assert ended == dict.fromkeys(("key_refused", "access_lost", "account_closed", "permission_missing"), at)
    assert await shop.check_at() == at
    need = await shop.tx.fetchrow("select due_at <= now(), attempts from open_need where stripe_id = 'ch_refused'")
    assert tuple(need) == (True, 0)
    assert await shop.tx.fetchval("select due_at <= now() from history_run where run_id = 'rdg_waits'") is True


def test_new_access_ends_what_it_mends_asks_again_what_was_refused_and_is_checked_at_once(database: str) -> None:
    async def story(shop: Shop) -> None:
        await cut_off(shop)
        await restore_connection(shop.tx, await shop.now_is(), actor="system", now=NOW + 5 * MINUTE)
        await assert_restored(shop, NOW + 5 * MINUTE)

    told(database, story)


def test_another_key_restores_a_connection(database: str) -> None:
    async def story(shop: Shop) -> None:
        await cut_off(shop)
        now = NOW + 5 * MINUTE
        await flows.replace_api_key(shop.tx, VAULT, *shop.where, api_key=KEY, actor="system", now=now)
        await assert_restored(shop, now)

    told(database, story)


def test_new_access_goes_on_with_what_was_refused_also_where_no_problem_was_noted(database: str) -> None:
    """As after a connection was ended: its problems ended with it."""

    async def story(shop: Shop) -> None:
        await cut_off(shop)
        await shop.tx.execute("update connection_problem set ended_at = began_at where code <> 'endpoint_faulty'")
        await shop.tx.execute("update connection set status = 'active'")
        await restore_connection(shop.tx, await shop.now_is(), actor="system", now=NOW)
        await assert_restored(shop, NOW)

    told(database, story)


def test_another_version_is_told_once_and_over_with_ours(database: str) -> None:
    story_table = [
        # arrives, what is then open
        (API_VERSION, None),
        ("2027-01-01.sample", f"{API_VERSION} to 2027-01-01.sample"),
        ("2027-01-01.sample", f"{API_VERSION} to 2027-01-01.sample"),
        ("2027-02-01.sample", "2027-01-01.sample to 2027-02-01.sample"),
        (API_VERSION, None),
        (API_VERSION, None),
    ]

    async def story(shop: Shop) -> None:
        for number, (version, detail) in enumerate(story_table):
            await shop.deliver(number, version)
            for _ in range(2):  # the watch looks again and again
                await record_version(shop.tx, await shop.now_is(), now=NOW + number * MINUTE)
                assert [told[3] for told in await shop.problems() if told[2] is None] == [detail] * (detail is not None)
        assert await shop.problems() == [
            ("version_changed", NOW + MINUTE, NOW + 4 * MINUTE, "2027-01-01.sample to 2027-02-01.sample")
        ]
        assert await shop.audited() == [
            ("connection.problem", "version_changed"),
            ("connection.problem_over", "version_changed"),
        ]

    told(database, story)


@pytest.mark.parametrize("version", ["2027-01-01.sample", API_VERSION])
def test_the_first_version_that_arrives_is_no_change(database: str, version: str) -> None:
    async def story(shop: Shop) -> None:
        await record_version(shop.tx, await shop.now_is(), now=NOW)  # nothing has arrived
        await shop.deliver(1, version)
        for minutes in range(3):
            await record_version(shop.tx, await shop.now_is(), now=NOW + minutes * MINUTE)
        assert await shop.problems() == []

    told(database, story)


def test_a_version_change_that_was_ended_by_hand_is_not_told_again(database: str) -> None:
    async def story(shop: Shop) -> None:
        for number, version in enumerate((API_VERSION, "2027-01-01.sample")):
            await shop.deliver(number, version)
            await record_version(shop.tx, await shop.now_is(), now=NOW)
        assert await shop.open_codes() == ["version_changed"]
        await shop.look({}, {"version_changed"}, NOW + MINUTE)
        await record_version(shop.tx, await shop.now_is(), now=NOW + 2 * MINUTE)
        assert await shop.open_codes() == []

    told(database, story)


def test_an_ended_connection_gets_nothing_of_the_platform_and_has_no_problems(database: str) -> None:
    async def story(shop: Shop) -> None:
        account = ("acct_sample000a", "test")
        await platform.add_account(shop.tx, *shop.where, *account)
        await shop.look(dict.fromkeys(PROBLEMS, "sample"), set(), NOW)
        assert await platform.connections_of_account(shop.tx, *account) == [shop.where]

        ended = await flows.disconnect(shop.tx, *shop.where, actor="system", now=NOW + MINUTE)
        assert (ended.status, (await shop.now_is()).status) == ("disabled", "disabled")
        assert await platform.connections_of_account(shop.tx, *account) == []
        assert not await platform.is_connected(shop.tx, *shop.where)
        assert {code: ended_at for code, _, ended_at, _ in await shop.problems()} == dict.fromkeys(
            PROBLEMS, NOW + MINUTE
        )
        # A check that was under way meanwhile notes nothing more.
        assert await shop.look(REFUSED, {"key_refused"}, NOW + 2 * MINUTE) == "disabled"
        assert await shop.open_codes() == []

    told(database, story, stripe_account_id="acct_sample000a")


@pytest.mark.parametrize("way", ["learn_account", "replace_api_key"])
@pytest.mark.parametrize(
    ("mode", "account", "is_taken"),
    [
        ("test", "acct_sample000a", False),  # connected already: every sale would count twice
        ("test", "acct_sample000b", True),
        ("live", "acct_sample000a", True),  # the account's test mode is another connection
    ],
)
def test_an_account_is_not_connected_twice_by_learning_whose_key_it_is(
    database: str, way: str, mode: str, account: str, is_taken: bool
) -> None:
    async def tell(shop: Shop) -> None:
        if way == "learn_account":
            await flows.learn_account(shop.tx, await shop.now_is(), account, actor="system", now=NOW)
            return
        key = f"rk_{mode}_sample000001"
        whose: dict[str, Any] = {"stripe_account_id": account, "actor": "system", "now": NOW}
        await flows.replace_api_key(shop.tx, VAULT, *shop.where, api_key=key, **whose)

    async def story(shop: Shop) -> None:
        await connect(shop.tx, stripe_account_id="acct_sample000a")
        if is_taken:
            await tell(shop)
            assert (await shop.now_is()).stripe_account_id == account
            return
        with pytest.raises(Refused) as refused:
            await tell(shop)
        assert (refused.value.code, refused.value.field) == ("account_connected", "api_key")
        assert (await shop.now_is()).stripe_account_id is None
        assert await connections.valid_secrets(shop.tx, *shop.where, "api_key", NOW) == []

    told(database, story, mode=mode)


@pytest.mark.parametrize(
    ("mode", "key", "is_taken"),
    [
        ("test", "rk_test_sample000001", True),
        ("test", "sk_test_sample000001", True),
        ("test", "rk_live_sample000001", False),
        ("test", "sk_live_sample000001", False),
        ("live", "rk_live_sample000001", True),
        ("live", "rk_test_sample000001", False),
    ],
)
def test_a_key_of_the_other_mode_leaves_the_key_before_in_use(
    database: str, mode: str, key: str, is_taken: bool
) -> None:
    async def story(shop: Shop) -> None:
        if is_taken:
            made = await flows.replace_api_key(shop.tx, VAULT, *shop.where, api_key=key, actor="system", now=NOW)
            hint = made.hint
        else:
            (before,) = await connections.valid_secrets(shop.tx, *shop.where, "api_key", NOW)
            hint = before.hint
            with pytest.raises(Refused) as refused:
                await flows.replace_api_key(shop.tx, VAULT, *shop.where, api_key=key, actor="system", now=NOW)
            assert refused.value.code == "mode_mismatch"
        (valid,) = await connections.valid_secrets(shop.tx, *shop.where, "api_key", NOW)
        assert valid.hint == hint

    told(database, story, mode=mode, api_key=f"rk_{mode}_sample000000")
