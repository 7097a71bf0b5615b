"""Keys are tried before they are stored; the table says what works, what is missing and what is too much."""

from typing import Any

import pytest

from connecting.town import ENOUGH, READS, Town, in_town
from refref.connecting.keys import KeyReport, check_permissions, connect_with_key, exchange_key
from refref.core.permission_table import PERMISSIONS, Trial, judge_permission
from refref.core.refusals import Refused
from refref.flows.connections import NewConnection, create_connection, replace_api_key

WORKS, REFUSED, UNKNOWN = Trial.WORKS, Trial.REFUSED, Trial.UNKNOWN


@pytest.mark.parametrize(
    ("resource", "trials", "state", "missing"),
    [
        ("customer", {"read": WORKS, "write": REFUSED}, "works", ()),
        ("customer", {"read": REFUSED, "write": REFUSED}, "missing", ("read",)),
        ("customer", {"read": WORKS, "write": WORKS}, "too_much", ()),
        ("customer", {"read": UNKNOWN}, "unknown", ()),
        ("webhook", {"read": WORKS, "write": WORKS}, "works", ()),
        ("webhook", {"read": WORKS, "write": REFUSED}, "missing", ("write",)),
        ("payout", {"write": REFUSED}, "not_needed", ()),
        ("payout", {"write": WORKS}, "too_much", ()),
        ("event", {"read": WORKS}, "works", ()),
    ],
)
def test_a_permission_is_judged(resource: str, trials: dict[str, Trial], state: str, missing: tuple[str, ...]) -> None:
    row = next(row for row in PERMISSIONS if row.resource == resource)
    judged = judge_permission(row, trials)
    assert (judged.state, judged.missing) == (state, missing)


def states(report: KeyReport) -> dict[str, str]:
    return {row.name: row.state for row in report.permissions}


def test_a_key_with_just_enough_raises_nothing(database: str) -> None:
    async def story(town: Town) -> None:
        given = NewConnection(name="Shop", api_key=town.key(), api_base=town.stripe_url)
        made, report = await connect_with_key(town.desk, town.acting, given)
        assert set(states(report).values()) == {"works"}
        assert (report.warnings, report.missing) == ((), ())
        assert (made.mode, made.status, made.stripe_account_id) == ("test", "active", "acct_sandbox")
        kept = await town.read("select kind, body from connection_check")
        assert [row["kind"] for row in kept] == ["permissions"]
        actions = {row["action"] for row in await town.read("select action from audit_log")}
        assert "connection.create" in actions

    in_town(database, story)


@pytest.mark.parametrize(
    ("permissions", "state", "is_problem"),
    [
        ({**ENOUGH, "invoice": None}, {"Invoices": "missing"}, True),
        ({**ENOUGH, "charge": None}, {"Charges and Refunds": "missing"}, True),
        ({**ENOUGH, "plan": None}, {"Prices": "missing"}, False),
        (READS, {"Webhook Endpoints": "missing"}, False),
        ({**ENOUGH, "charge": "write"}, {"Charges and Refunds": "too_much"}, False),
        ({**ENOUGH, "transfer": "write", "payout": "write"}, {"Transfers": "too_much", "Payouts": "too_much"}, False),
        ({"event": "read"}, {"Events": "works", "Customers": "missing"}, True),
    ],
)
def test_what_a_key_lacks_or_has_too_much(
    database: str, permissions: dict[str, Any], state: dict[str, str], is_problem: bool
) -> None:
    async def story(town: Town) -> None:
        key = town.key({name: right for name, right in permissions.items() if right})
        made = await town.connect(key)
        report = await check_permissions(town.desk, town.acting, made.connection_id)
        assert states(report).items() >= state.items()
        assert bool(report.warnings) == ("too_much" in state.values())
        assert await town.open_codes(made.connection_id) == ({"permission_missing"} if is_problem else set())
        town.sb.restrict_key(key, ENOUGH)
        await check_permissions(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()
        assert (await town.connection(made.connection_id)).status == "active"

    in_town(database, story)


def test_a_secret_key_is_warned_about(database: str) -> None:
    async def story(town: Town) -> None:
        given = NewConnection(name="Shop", api_key="sk_test_everything", api_base=town.stripe_url)
        _, report = await connect_with_key(town.desk, town.acting, given)
        assert [("secret key" in warning) for warning in report.warnings] == [True]

    in_town(database, story)


def test_a_refref_that_others_reach_calls_no_port_of_its_machine(database: str) -> None:
    async def story(town: Town) -> None:
        given = NewConnection(name="Shop", api_key=town.key(), api_base=town.stripe_url)
        own, town.base_url = town.base_url, "https://refer.shop.example"
        with pytest.raises(Refused) as refused:
            await connect_with_key(town.desk, town.acting, given)
        assert (refused.value.code, refused.value.field) == ("invalid_api_base", "api_base")
        assert await town.read("select * from connection") == []
        town.base_url = own
        await connect_with_key(town.desk, town.acting, given)

    in_town(database, story)


def test_a_key_that_stripe_does_not_know_is_not_stored(database: str) -> None:
    async def story(town: Town) -> None:
        revoked = town.key()
        town.sb.revoke_key(revoked)
        for key, code in ((revoked, "stripe_key_refused"), ("pk_test_publishable", "invalid_api_key")):
            with pytest.raises(Refused) as refused:
                await town.connect(key)
            assert (refused.value.code, refused.value.field) == (code, "api_key")
        given = NewConnection(name="Shop", api_key=town.key(), api_base="http://127.0.0.1:9")
        with pytest.raises(Refused) as nobody:
            await connect_with_key(town.desk, town.acting, given)
        assert nobody.value.code == "stripe_unreachable"
        assert await town.read("select * from connection") == []

    in_town(database, story)


def test_an_account_is_connected_once_and_keeps_its_account(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        with pytest.raises(Refused) as twice:
            await town.connect(name="The same again")
        assert twice.value.code == "account_connected"
        other = town.sb.open_merchant("Other Sample Shop")["id"]
        theirs = str(town.sb.create_key(ENOUGH, account=other)["key"])
        with pytest.raises(Refused) as foreign:
            await exchange_key(town.desk, town.acting, made.connection_id, theirs)
        assert foreign.value.code == "account_mismatch"
        with pytest.raises(Refused) as live:
            await exchange_key(town.desk, town.acting, made.connection_id, "rk_live_sample000000")
        assert live.value.code == "mode_mismatch"
        second = await town.connect(theirs, name="The other account")  # several accounts stand side by side
        assert second.stripe_account_id == other
        await exchange_key(town.desk, town.acting, made.connection_id, town.key())
        rows = await town.read(
            "select expires_at is null as holds from connection_secret where connection_id = $1", made.connection_id
        )
        assert sorted(row["holds"] for row in rows) == [False, True]

    in_town(database, story)


def test_one_that_only_listened_has_its_history_read_once_it_gets_a_key(database: str) -> None:
    async def story(town: Town) -> None:
        async with town.database.tenant(town.organization_id) as tx:
            given = NewConnection(name="Shop", mode="test", webhook_secret="whsec_sample0001")
            made = await create_connection(
                tx, town.vault, town.organization_id, given, actor="system", now=town.acting.now
            )
        assert await town.read("select * from history_run") == []
        for key in ("rk_test_sample0001", "rk_test_sample0002"):
            async with town.database.tenant(town.organization_id) as tx:
                await replace_api_key(
                    tx,
                    town.vault,
                    town.organization_id,
                    made.connection_id,
                    api_key=key,
                    stripe_account_id="acct_sample",
                    actor="system",
                    now=town.acting.now,
                )
            rows = await town.read("select kind, connection_id from history_run")
            assert [tuple(row) for row in rows] == [("backfill", made.connection_id)]

    in_town(database, story)
