"""Connections that stop working: the state is clear, nothing is lost, and it goes on."""

import asyncio
import json
import time
from typing import Any

import pytest

from connecting.town import ENOUGH, Town, delivering, in_town, served
from refref.connecting.endpoints import end_connection, repair_webhooks
from refref.connecting.keys import check_permissions, exchange_key
from refref.connecting.watch import check_connection, check_due
from refref.core.connection_health import PROBLEMS, judge_account, judge_refusal, status_of
from refref.db import event_polls
from refref.db.connection_health import organizations_to_mail
from refref.db.needs import OpenNeed, ask
from refref.flows.connection_health import record_health
from refref.flows.connections import NewConnection, create_connection
from refref.sandbox.deliveries import sign
from refref.settings import MasterKey
from refref.stripe.client import API_VERSION
from refref.vault import Vault
from refref.web.intake import Intake
from refref.worker.fetcher import fetch_due
from refref.worker.pace import Pace
from refref.worker.polling import poll_events_due
from refref.worker.pump import pump_once


@pytest.mark.parametrize(
    ("access", "code", "problem"),
    [
        ("key", "api_key_expired", "key_refused"),
        ("key", None, "key_refused"),
        ("platform", "account_invalid", "access_lost"),
        ("platform", "api_key_expired", "platform_refused"),
    ],
)
def test_what_a_refusal_means(access: str, code: str | None, problem: str) -> None:
    assert list(judge_refusal(access, code).found) == [problem]


@pytest.mark.parametrize(
    ("account", "problems"),
    [
        (None, []),
        ({"id": "acct_1", "requirements": {"disabled_reason": None}}, []),
        ({"id": "acct_1", "requirements": {"disabled_reason": "requirements.past_due"}}, []),
        ({"id": "acct_1", "requirements": {"disabled_reason": "rejected.fraud"}}, ["account_closed"]),
    ],
)
def test_what_an_account_says_of_itself(account: dict[str, object] | None, problems: list[str]) -> None:
    assert list(judge_account(account).found) == problems


@pytest.mark.parametrize(
    ("status", "codes", "after"),
    [
        ("active", [], "active"),
        ("active", ["permission_missing", "endpoint_faulty", "version_changed"], "active"),
        ("active", ["key_refused"], "degraded"),
        ("degraded", ["permission_missing"], "active"),
        ("disabled", ["key_refused"], "disabled"),
        ("disabled", [], "disabled"),
    ],
)
def test_the_status_follows(status: str, codes: list[str], after: str) -> None:
    assert status_of(status, codes) == after


def test_every_problem_says_what_to_do() -> None:
    assert all(kind.title and kind.remedy.endswith(".") for kind in PROBLEMS.values())


async def sell(town: Town, connection_id: str) -> None:
    """A sale; what was bought, only Stripe's API tells."""
    price = town.sb.create_price(town.sb.create_product("Plan")["id"], "usd", 2500)["id"]
    session = town.sb.checkout(mode="payment", line_items=[{"price": price, "quantity": 1}])
    town.sb.pay_session(session["id"], email="buyer@example.com")
    async with town.database.tenant(town.organization_id) as tx:
        asked = OpenNeed("session_lines", session["id"], int(time.time()))
        await ask(tx, town.organization_id, connection_id, [asked], 0)


async def pumped(town: Town) -> None:
    while (await pump_once(town.database, lambda: int(time.time()))).events:
        pass


async def needs(town: Town) -> list[Any]:
    return await town.read("select need_kind, attempts, error from open_need")


def test_a_revoked_key_loses_nothing_and_the_next_one_goes_on(database: str) -> None:
    async def story(town: Town) -> None:
        async with served(town.settings, town.database) as url, delivering(town.sb) as deliveries:
            town.base_url = url
            key = town.key()
            made = await town.connect(key)
            await repair_webhooks(town.desk, town.acting, made.connection_id)
            town.sb.revoke_key(key)
            await sell(town, made.connection_id)
            await deliveries.drained()
            assert deliveries.failed == 0
            await pumped(town)
            assert [row["attempts"] for row in await needs(town)] == [0]
            await fetch_due(town.database, town.vault, lambda: int(time.time()))
            assert await check_due(town.desk, town.acting.now) == 1  # the refusal made the watch look at once
            assert (await town.connection(made.connection_id)).status == "degraded"
            assert await town.open_codes(made.connection_id) == {"key_refused"}
            assert [row["attempts"] for row in await needs(town)] == [1]
            assert await fetch_due(town.database, town.vault, lambda: int(time.time())) == 0  # Stripe is let be

            await sell(town, made.connection_id)  # webhooks are taken while the key is refused
            await deliveries.drained()
            assert deliveries.failed == 0
            await pumped(town)

            await exchange_key(town.desk, town.acting, made.connection_id, town.key())
            assert (await town.connection(made.connection_id)).status == "active"
            assert await town.open_codes(made.connection_id) == set()
            while await fetch_due(town.database, town.vault, lambda: int(time.time())):
                pass
            assert await needs(town) == []
            actions = [row["action"] for row in await town.read("select action from audit_log order by audit_id")]
            assert actions.index("connection.problem") < actions.index("connection.problem_over")

    in_town(database, story)


def test_a_passing_failure_changes_nothing(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        for kind in ("unavailable", "rate_limit", "reset"):
            town.sb.fail_next(kind=kind, count=9)
            after = await check_connection(town.desk, town.acting, made.connection_id)
            town.sb.faults.clear()
            assert (after.status, await town.open_codes(made.connection_id)) == ("active", set())

    in_town(database, story)


def test_a_lost_permission_is_told_and_ends_when_it_is_back(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        town.sb.restrict_key(key, {name: right for name, right in ENOUGH.items() if name != "invoice"})
        await check_permissions(town.desk, town.acting, made.connection_id)
        rows = await town.read("select code, detail from connection_problem where ended_at is null")
        assert [tuple(row) for row in rows] == [("permission_missing", "Invoices")]
        assert (await town.connection(made.connection_id)).status == "active"
        town.sb.restrict_key(key, ENOUGH)
        await check_permissions(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()

    in_town(database, story)


def test_a_refused_look_up_tells_of_the_permission_and_is_done_when_it_is_back(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        await sell(town, made.connection_id)
        town.sb.restrict_key(key, {name: right for name, right in ENOUGH.items() if name != "checkout_session"})
        await fetch_due(town.database, town.vault, lambda: int(time.time()))
        assert await town.open_codes(made.connection_id) == {"permission_missing"}
        assert [row["attempts"] for row in await needs(town)] == [1]
        town.sb.restrict_key(key, ENOUGH)
        await check_permissions(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()
        assert await fetch_due(town.database, town.vault, lambda: int(time.time())) == 1
        assert await needs(town) == []

    in_town(database, story)


def test_a_closed_account(database: str) -> None:
    async def story(town: Town) -> None:
        partner = town.sb.create_account(type="custom")["id"]
        key = str(town.sb.create_key(ENOUGH, account=partner)["key"])
        made = await town.connect(key)
        town.sb.reject_account(partner, "fraud")
        after = await check_connection(town.desk, town.acting, made.connection_id)
        assert (after.status, await town.open_codes(made.connection_id)) == ("degraded", {"account_closed"})

    in_town(database, story)


def test_a_key_that_cannot_be_decrypted(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        lost = Vault([MasterKey("k2", bytes(32))])
        town_of_another_key = type(town.desk)(town.database, lost, town.base_url)
        await check_connection(town_of_another_key, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == {"key_unreadable"}
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()
        assert (await town.connection(made.connection_id)).status == "active"

    in_town(database, story)


def test_another_api_version_in_mid_stream_is_told(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        endpoint = await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert endpoint.review.endpoint is not None
        secret = town.sb.find("webhook_endpoint", endpoint.review.endpoint.stripe_endpoint_id)["_secret"]
        for number, version in enumerate((API_VERSION, API_VERSION, "2024-06-20")):
            await deliver(town, made.connection_id, secret, f"evt_{number}", version)
            await check_connection(town.desk, town.acting, made.connection_id)
            expected = {"version_changed"} if version == "2024-06-20" else set()
            assert await town.open_codes(made.connection_id) == expected
        rows = await town.read("select detail from connection_problem")
        assert [row["detail"] for row in rows] == [f"{API_VERSION} to 2024-06-20"]
        assert (await town.connection(made.connection_id)).status == "active"
        await check_permissions(town.desk, town.acting, made.connection_id)  # a person has looked
        assert await town.open_codes(made.connection_id) == set()

    in_town(database, story)


async def deliver(town: Town, connection_id: str, secret: str, event_id: str, version: str) -> None:
    customer = {"id": "cus_1", "object": "customer", "email": "c@example.com"}
    event = {"id": event_id, "object": "event", "type": "customer.created", "created": int(time.time())}
    body = json.dumps({**event, "livemode": False, "api_version": version, "data": {"object": customer}}).encode()
    intake = Intake(town.database, town.vault)
    answer = await intake.take(connection_id, sign(body, secret, int(time.time())).encode(), body)
    await intake.close()
    assert answer.status == 200


def test_our_own_version_is_no_problem_and_ends_one(database: str) -> None:
    """As after an upgrade of RefRef: the repair makes an endpoint of the new version."""

    async def story(town: Town) -> None:
        made = await town.connect()
        endpoint = await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert endpoint.review.endpoint is not None
        secret = town.sb.find("webhook_endpoint", endpoint.review.endpoint.stripe_endpoint_id)["_secret"]
        versions = ("2024-06-20", API_VERSION, "2024-06-20", API_VERSION)
        seen = []
        for number, version in enumerate(versions):
            await deliver(town, made.connection_id, secret, f"evt_{number}", version)
            await check_connection(town.desk, town.acting, made.connection_id)
            seen.append(await town.open_codes(made.connection_id))
        assert seen == [set(), set(), {"version_changed"}, set()]

    in_town(database, story)


def test_what_is_ended_while_stripe_is_asked_stays_ended(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        before = await town.connection(made.connection_id)  # as a check has read it that now waits for Stripe
        town.sb.revoke_key(key)
        await end_connection(town.desk, town.acting, made.connection_id)
        refused = judge_refusal("key", "api_key_expired")
        async with town.database.tenant(town.organization_id) as tx:
            after = await record_health(tx, before, refused, actor="system", now=town.acting.now)
        assert after.status == "disabled"
        assert (await town.connection(made.connection_id)).status == "disabled"
        assert await town.open_codes(made.connection_id) == set()

    in_town(database, story)


def test_the_end_of_a_connection_ends_its_problems(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        town.sb.revoke_key(key)
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == {"key_refused"}
        await end_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()
        async with town.database.plain() as connection:
            assert await organizations_to_mail(connection) == []

    in_town(database, story)


async def needs_fetched(town: Town) -> None:
    while await fetch_due(town.database, town.vault, lambda: int(time.time())):
        pass


def test_a_recommended_permission_that_is_needed_does_not_come_and_go(database: str) -> None:
    """The key reads all that is required; a credit note waits for the permission that is only recommended."""

    async def story(town: Town) -> None:
        key = town.key({name: right for name, right in ENOUGH.items() if name != "credit_note"})
        made = await town.connect(key)
        note = await long_credit_note(town, made.connection_id)
        await needs_fetched(town)
        for _ in range(3):
            assert await town.open_codes(made.connection_id) == {"permission_missing"}
            await check_connection(town.desk, town.acting, made.connection_id)
            await needs_fetched(town)
        town.sb.restrict_key(key, ENOUGH)
        await check_connection(town.desk, town.acting, made.connection_id)
        await needs_fetched(town)
        assert await needs(town) == [], note
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()
        rows = await town.read("select count(*) as times from connection_problem")
        assert rows[0]["times"] == 1

    in_town(database, story)


async def long_credit_note(town: Town, connection_id: str) -> str:
    """A credit note whose lines only Stripe's API tells in full; its id."""
    price = town.sb.create_price(town.sb.create_product("Plan")["id"], "usd", 2500, interval="month")["id"]
    town.sb.sell(price=price, email="buyer@example.com")
    invoice = town.sb.all("invoice")[-1]["id"]
    note = town.sb.credit_note(invoice, amount=500, refund_amount=500)["id"]
    async with town.database.tenant(town.organization_id) as tx:
        await ask(tx, town.organization_id, connection_id, [OpenNeed("credit_note", note, int(time.time()))], 0)
    return str(note)


async def polled(town: Town) -> None:
    await poll_events_due(town.database, town.vault, lambda: town.sb.now + 60, Pace(0))


def test_where_the_events_list_is_read_its_refusals_are_told(database: str) -> None:
    async def story(town: Town) -> None:
        key = town.key()
        made = await town.connect(key)
        async with town.database.tenant(town.organization_id) as tx:
            await event_polls.set_intake(tx, town.organization_id, made.connection_id, is_intake=True)
        town.sb.restrict_key(key, {name: right for name, right in ENOUGH.items() if name != "event"})
        await polled(town)
        assert await town.open_codes(made.connection_id) == {"permission_missing"}
        town.sb.restrict_key(key, ENOUGH)
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()
        town.sb.create_customer(email="c@example.com")
        await polled(town)  # at once, and not an hour later
        assert {row["type"] for row in await town.read("select type from stripe_event")} == {"customer.created"}

        town.sb.revoke_key(key)
        async with town.database.tenant(town.organization_id) as tx:
            await tx.execute("update event_poll set due_at = now()")
        await polled(town)
        assert await check_due(town.desk, town.acting.now) == 1  # nobody waits for a quarter of an hour
        assert await town.open_codes(made.connection_id) == {"key_refused"}

    in_town(database, story)


def test_two_workers_look_once(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        async with town.database.tenant(town.organization_id) as tx:
            await tx.execute("update connection set check_at = now() - interval '1 minute'")
        assert sorted(await asyncio.gather(*[check_due(town.desk, town.acting.now) for _ in range(3)])) == [0, 0, 1]
        assert (await town.connection(made.connection_id)).status == "active"

    in_town(database, story)


def test_another_version_is_told_of_one_that_only_listens(database: str) -> None:
    """Its endpoint is the merchant's, and sends what the account is set to."""

    async def story(town: Town) -> None:
        secret = "whsec_sample_of_an_endpoint"
        async with town.database.tenant(town.organization_id) as tx:
            given = NewConnection(name="Listens", mode="test", webhook_secret=secret)
            made = await create_connection(
                tx, town.vault, town.organization_id, given, actor="system", now=town.acting.now
            )
        for number, version in enumerate(("2024-06-20", "2025-09-30.clover")):
            await deliver(town, made.connection_id, secret, f"evt_{number}", version)
            async with town.database.tenant(town.organization_id) as tx:
                await tx.execute("update connection set check_at = now()")
            assert await check_due(town.desk, town.acting.now) == 1
        rows = await town.read("select code, detail from connection_problem where ended_at is null")
        assert [tuple(row) for row in rows] == [("version_changed", "2024-06-20 to 2025-09-30.clover")]
        assert (await town.connection(made.connection_id)).status == "active"

    in_town(database, story)
