"""When a stored secret ends, to the second, and which connection is an account's: the edges that no page shows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from refref.core.refusals import Refused
from refref.db import connections
from refref.db.connections import StripeConnection
from refref.db.pool import Connection, Database
from refref.flows import connections as flows
from refref.flows.connections import NewConnection
from refref.settings import MasterKey
from refref.vault import Vault

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
VAULT = Vault([MasterKey("k1", bytes(32))])
Story = Callable[[Connection, StripeConnection], Awaitable[None]]


def told(dsn: str, story: Story, *, account: str | None = None) -> None:
    async def main() -> None:
        database = await Database.open(dsn, max_size=1)
        try:
            async with database.reference() as tx:
                await tx.execute("insert into organization values ('org_a', 'Sample Shop')")
            async with database.tenant("org_a") as tx:
                await story(tx, await connect(tx, "test", account))
        finally:
            await database.close()

    asyncio.run(main())


async def connect(tx: Connection, mode: str, account: str | None) -> StripeConnection:
    given = NewConnection("Shop", mode=mode, stripe_account_id=account)
    return await flows.create_connection(tx, VAULT, "org_a", given, actor="system", now=NOW)


async def add(tx: Connection, made: StripeConnection, secret: str, overlap: timedelta, now: datetime) -> str:
    more = {"overlap": overlap, "actor": "system", "now": now}
    added = await flows.add_webhook_secret(tx, VAULT, "org_a", made.connection_id, webhook_secret=secret, **more)
    return added.hint


async def valid(tx: Connection, made: StripeConnection, at: datetime) -> list[str]:
    found = await connections.valid_secrets(tx, "org_a", made.connection_id, "webhook", at)
    return [secret.hint for secret in found]


def test_a_rolled_secret_ends_with_its_overlap_and_any_older_one_at_once(database: str) -> None:
    async def story(tx: Connection, made: StripeConnection) -> None:
        first = await add(tx, made, "whsec_sample000001", HOUR, NOW)
        second = await add(tx, made, "whsec_sample000002", HOUR, NOW)
        assert await valid(tx, made, NOW) == [second, first]
        third = await add(tx, made, "whsec_sample000003", 2 * HOUR, NOW + SECOND)
        assert await valid(tx, made, NOW + SECOND) == [third, second]
        assert await valid(tx, made, NOW + 2 * HOUR) == [third, second]
        assert await valid(tx, made, NOW + SECOND + 2 * HOUR) == [third]  # half-open: not at its end any more

    told(database, story)


def test_a_secret_that_ends_sooner_is_not_prolonged(database: str) -> None:
    async def story(tx: Connection, made: StripeConnection) -> None:
        first = await add(tx, made, "whsec_sample000001", HOUR, NOW)
        (secret,) = await connections.valid_secrets(tx, "org_a", made.connection_id, "webhook", NOW)
        for ends_at in (NOW + HOUR, NOW + 5 * HOUR):
            await connections.expire_secret(tx, "org_a", made.connection_id, secret.secret_id, ends_at)
        assert await valid(tx, made, NOW + HOUR - SECOND) == [first]
        assert await valid(tx, made, NOW + HOUR) == []
        await connections.delete_expired_secrets(tx, "org_a", NOW + HOUR - SECOND)
        assert len(await connections.all_secrets(tx, "org_a")) == 1
        await connections.delete_expired_secrets(tx, "org_a", NOW + HOUR)
        assert await connections.all_secrets(tx, "org_a") == []

    told(database, story)


@pytest.mark.parametrize(("hours", "is_taken"), [(-1, False), (0, True), (168, True), (169, False)])
def test_an_overlap_is_nought_to_a_week(database: str, hours: int, is_taken: bool) -> None:
    async def story(tx: Connection, made: StripeConnection) -> None:
        await add(tx, made, "whsec_sample000001", HOUR, NOW)
        if is_taken:
            await add(tx, made, "whsec_sample000002", hours * HOUR, NOW)
            return
        with pytest.raises(Refused) as refused:
            await add(tx, made, "whsec_sample000002", hours * HOUR, NOW)
        assert (refused.value.code, refused.value.field) == ("invalid_overlap", "overlap_hours")

    told(database, story)


def test_an_account_has_a_connection_for_each_mode_and_one_in_use_comes_first(database: str) -> None:
    async def story(tx: Connection, made: StripeConnection) -> None:
        live = await connect(tx, "live", "acct_sample000a")
        for mode, own in (("test", made), ("live", live)):
            found = await connections.connection_of_account(tx, "org_a", "acct_sample000a", mode)
            assert found is not None
            assert found.connection_id == own.connection_id
        await flows.disconnect(tx, "org_a", made.connection_id, actor="system", now=NOW)
        with pytest.raises(Refused) as refused:  # an ended one is taken up again, not connected a second time
            await connect(tx, "test", "acct_sample000a")
        assert refused.value.code == "account_connected"
        await connections.insert_connection(
            tx, StripeConnection("org_a", "con_zz", "Newer", "test", "acct_sample000a", None, 0, "active", NOW)
        )
        in_use = await connections.connection_of_account(tx, "org_a", "acct_sample000a", "test")
        assert in_use is not None
        assert in_use.connection_id == "con_zz"

    told(database, story, account="acct_sample000a")


def test_a_key_of_the_other_mode_is_no_key_of_a_connection(database: str) -> None:
    async def story(tx: Connection, made: StripeConnection) -> None:
        with pytest.raises(Refused) as refused:
            await flows.replace_api_key(
                *(tx, VAULT, "org_a", made.connection_id), api_key="rk_live_sample000000", actor="system", now=NOW
            )
        assert refused.value.code == "mode_mismatch"

    told(database, story)


def test_a_test_clock_may_stay_and_go_on_but_not_back(database: str) -> None:
    async def story(tx: Connection, made: StripeConnection) -> None:
        for ahead in (60, 60, 61):
            await flows.set_clock_ahead(tx, "org_a", made.connection_id, ahead, actor="system", now=NOW)
        with pytest.raises(Refused) as refused:
            await flows.set_clock_ahead(tx, "org_a", made.connection_id, 60, actor="system", now=NOW)
        assert refused.value.code == "clock_goes_back"

    told(database, story)
