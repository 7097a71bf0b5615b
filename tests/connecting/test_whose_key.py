"""Whose account a key is of: learned also of a key that may not read the account, and never mixed with another's."""

import asyncio
from typing import Any

import pytest

from connecting.town import ENOUGH, Town, in_town
from refref.connecting.keys import check_permissions, connect_with_key, exchange_key
from refref.connecting.watch import check_connection
from refref.core.refusals import Refused
from refref.flows.connections import NewConnection

# As the page tells to make one: the account itself may not be read.
AS_TOLD = {name: right for name, right in ENOUGH.items() if name != "accounts_kyc_basic"}


def key_of(town: Town, account: str) -> str:
    return str(town.sb.create_key(AS_TOLD, account=account)["key"])


def test_a_key_as_the_page_tells_to_make_it_tells_its_account(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect(town.key(AS_TOLD))
        assert (made.stripe_account_id, made.status) == ("acct_sandbox", "active")
        with pytest.raises(Refused) as twice:
            await town.connect(town.key(AS_TOLD), name="The same again")
        assert twice.value.code == "account_connected"
        other = town.sb.open_merchant("Other Sample Shop")["id"]
        with pytest.raises(Refused) as foreign:
            await exchange_key(town.desk, town.acting, made.connection_id, key_of(town, other))
        assert foreign.value.code == "account_mismatch"
        await exchange_key(town.desk, town.acting, made.connection_id, town.key(AS_TOLD))

    in_town(database, story)


def test_the_account_that_was_given_must_be_the_key_s(database: str) -> None:
    async def story(town: Town) -> None:
        given = NewConnection(
            name="Shop", api_key=town.key(AS_TOLD), api_base=town.stripe_url, stripe_account_id="acct_another"
        )
        with pytest.raises(Refused) as refused:
            await connect_with_key(town.desk, town.acting, given)
        assert (refused.value.code, refused.value.field) == ("account_mismatch", "stripe_account_id")
        assert await town.read("select * from connection") == []

    in_town(database, story)


def test_an_account_that_was_not_told_is_learned_later(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        async with town.database.tenant(town.organization_id) as tx:
            await tx.execute("update connection set stripe_account_id = null")
        await check_permissions(town.desk, town.acting, made.connection_id)
        assert (await town.connection(made.connection_id)).stripe_account_id == "acct_sandbox"

    in_town(database, story)


def test_two_tabs_connect_the_same_account_at_once(database: str) -> None:
    async def story(town: Town) -> None:
        done = await asyncio.gather(
            *[town.connect(town.key(AS_TOLD), name=f"Tab {number}") for number in range(4)], return_exceptions=True
        )
        refused = [result.code for result in done if isinstance(result, Refused)]
        assert refused == ["account_connected"] * 3
        assert len(await town.read("select * from connection")) == 1

    in_town(database, story)


def test_a_secret_key_is_warned_about_whenever_it_is_looked_at(database: str) -> None:
    async def story(town: Town) -> None:
        given = NewConnection(name="Shop", api_key="sk_test_everything", api_base=town.stripe_url)
        made, first = await connect_with_key(town.desk, town.acting, given)
        again = await check_permissions(town.desk, town.acting, made.connection_id)
        assert ["secret key" in warning for warning in again.warnings] == [True]
        assert (again.warnings, again.permissions) == (first.warnings, first.permissions)

    in_town(database, story)


def test_a_missing_permission_that_could_not_be_tried_is_still_missing(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        town.sb.restrict_key(key, {name: right for name, right in ENOUGH.items() if name != "invoice"})
        await check_permissions(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == {"permission_missing"}
        town.sb.restrict_key(key, ENOUGH)
        town.sb.fail_next(path="/v1/invoices", kind="unavailable", count=99)
        report = await check_permissions(town.desk, town.acting, made.connection_id)
        assert {row.name: row.state for row in report.permissions}["Invoices"] == "unknown"
        assert await town.open_codes(made.connection_id) == {"permission_missing"}

    in_town(database, story)


def test_the_watch_sees_that_a_permission_is_back(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        town.sb.restrict_key(key, {name: right for name, right in ENOUGH.items() if name != "invoice"})
        await check_permissions(town.desk, town.acting, made.connection_id)
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == {"permission_missing"}
        town.sb.restrict_key(key, ENOUGH)
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()

    in_town(database, story)


@pytest.mark.parametrize(
    ("prepare", "code", "remedy"),
    [
        ("revoked", "stripe_key_refused", "Create restricted key"),
        ("narrow", "stripe_permission_missing", "rak_webhook_read"),
    ],
)
def test_a_refusal_names_its_remedy(database: str, prepare: str, code: str, remedy: str) -> None:
    from refref.connecting.endpoints import review_webhooks

    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        if prepare == "revoked":
            town.sb.revoke_key(key)
        else:
            rights: dict[str, Any] = {name: right for name, right in ENOUGH.items() if name != "webhook"}
            town.sb.restrict_key(key, rights)
        with pytest.raises(Refused) as refused:
            await review_webhooks(town.desk, town.acting, made.connection_id)
        assert refused.value.code == code
        assert remedy in refused.value.sentence
        assert key[-12:] not in refused.value.sentence

    in_town(database, story)
