"""The webhook endpoint at Stripe: made once, reviewed, repaired with one click, its secret rolled."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from connecting.town import READS, Town, delivering, in_town, opened, served
from refref.connecting.access import open_gateway
from refref.connecting.endpoints import end_connection, repair_webhooks, review_webhooks
from refref.core.endpoint_review import BASIC_EVENTS, Endpoint, Wanted, is_public, review_endpoint
from refref.core.refusals import Refused
from refref.db.connections import StripeConnection
from refref.flows.connections import NewConnection, add_webhook_secret, create_connection
from refref.flows.webhook_endpoints import endpoint_situation
from refref.stripe.client import API_VERSION
from refref.stripe.endpoints import create_endpoint
from refref.stripe.readers import REGISTRY, events_to_enable

WANTED = Wanted(
    connection_id="con_a",
    url="https://refer.example.com/stripe/webhooks/con_a",
    events=events_to_enable(),
    required=frozenset(name for name, row in REGISTRY.items() if row.is_required),
    api_version=API_VERSION,
)
GOOD = Endpoint("we_1", WANTED.url, True, frozenset(WANTED.events), API_VERSION, "con_a", False)


@pytest.mark.parametrize(
    ("endpoints", "is_known", "codes"),
    [
        ([GOOD], True, []),
        ([], True, ["no_endpoint"]),
        ([replace(GOOD, is_enabled=False)], True, ["disabled"]),
        ([replace(GOOD, url="https://refer.example.com/webhook")], True, ["wrong_url"]),
        ([replace(GOOD, url="https://refer.example.com/webhook", connection_id=None)], True, ["wrong_url"]),
        ([GOOD, replace(GOOD, url="https://refer.example.com/webhook", connection_id=None)], True, []),
        ([replace(GOOD, url="https://other.example.com/webhook", connection_id=None)], True, ["no_endpoint"]),
        ([replace(GOOD, is_connect=True)], True, ["no_endpoint"]),
        ([GOOD], False, ["secret_unknown"]),
        ([replace(GOOD, events=GOOD.events - {"invoice.paid"})], True, ["missing_events"]),
        ([replace(GOOD, events=GOOD.events - {"refund.created", "charge.dispute.created"})], True, ["missing_events"]),
        ([replace(GOOD, events=GOOD.events - {"product.updated"})], True, ["missing_useful_events"]),
        ([replace(GOOD, events=GOOD.events | {"payout.paid"})], True, ["surplus_events"]),
        ([replace(GOOD, events=frozenset({"*"}))], True, ["surplus_events"]),
        ([replace(GOOD, api_version="2024-06-20")], True, ["old_version"]),
        ([replace(GOOD, api_version=None)], True, ["old_version"]),
        ([GOOD, replace(GOOD, stripe_endpoint_id="we_2")], True, ["several_endpoints"]),
    ],
)
def test_each_fault_has_a_code(endpoints: list[Endpoint], is_known: bool, codes: list[str]) -> None:
    known = frozenset({"we_1"}) if is_known else frozenset()
    review = review_endpoint(WANTED, endpoints, known, has_given_secret=False)
    assert [found.code for found in review.findings] == codes


def test_the_five_basic_events_and_those_that_take_money_back_are_required() -> None:
    assert set(BASIC_EVENTS) <= WANTED.required
    assert {"charge.refunded", "refund.created", "charge.dispute.created", "credit_note.created"} <= WANTED.required


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://refer.example.com/x", True),
        ("http://refer.example.com/x", False),
        ("https://localhost/x", False),
        ("https://refref.local/x", False),
        ("https://refer.example.com:8443/x", True),
        ("https://[::1]:8787/x", False),
        ("http://127.0.0.1:8787/x", False),
        ("https://127.0.0.1/x", False),
        ("https://10.0.0.5/x", False),
        ("https://192.168.1.5:8443/x", False),
        ("https://169.254.169.254/x", False),
        ("https://[fd00::1]/x", False),
        ("https://8.8.8.8/x", True),
    ],
)
def test_an_address_that_stripe_reaches(url: str, public: bool) -> None:
    assert is_public(url) is public


def endpoints_of(town: Town) -> list[dict[str, Any]]:
    return list(town.sb.live("webhook_endpoint"))


def test_it_is_made_once(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        first = await review_webhooks(town.desk, town.acting, made.connection_id)
        assert [found.code for found in first.review.findings] == ["no_endpoint"]
        assert await town.open_codes(made.connection_id) == set()  # nobody has set one up: that is no fault yet
        for _ in range(2):
            seen = await repair_webhooks(town.desk, town.acting, made.connection_id)
            assert seen.review.findings == ()
        (endpoint,) = endpoints_of(town)
        assert endpoint["api_version"] == API_VERSION
        assert tuple(endpoint["enabled_events"]) == events_to_enable()
        assert endpoint["metadata"] == {"refref_connection": made.connection_id}
        assert endpoint["url"] == f"{town.base_url}/stripe/webhooks/{made.connection_id}"
        rows = await town.read("select kind, stripe_endpoint_id, hint from connection_secret where kind = 'webhook'")
        assert [(row["stripe_endpoint_id"], row["hint"]) for row in rows] == [
            (endpoint["id"], endpoint["_secret"][-4:])
        ]

    in_town(database, story)


def test_an_answer_that_is_lost_comes_again_with_its_secret(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        async with town.database.tenant(town.organization_id) as tx:
            situation = await endpoint_situation(tx, made, town.base_url, now=town.acting.now)
            gateway = await open_gateway(tx, town.vault, made)
        await create_endpoint(gateway, situation.wanted, "")  # and here the process dies
        await gateway.close()
        seen = await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert seen.review.findings == ()
        (endpoint,) = endpoints_of(town)
        rows = await town.read("select hint from connection_secret where kind = 'webhook'")
        assert [row["hint"] for row in rows] == [endpoint["_secret"][-4:]]

    in_town(database, story)


def break_url(town: Town, endpoint: str) -> None:
    town.sb.update_webhook_endpoint(endpoint, {"url": f"{town.base_url}/stripe/webhook"})


def disable(town: Town, endpoint: str) -> None:
    town.sb.update_webhook_endpoint(endpoint, {"status": "disabled"})


def drop_events(town: Town, endpoint: str) -> None:
    town.sb.update_webhook_endpoint(endpoint, {"enabled_events": ["invoice.paid"]})


def ask_for_all(town: Town, endpoint: str) -> None:
    town.sb.update_webhook_endpoint(endpoint, {"enabled_events": ["*"]})


def delete(town: Town, endpoint: str) -> None:
    town.sb.delete_webhook_endpoint(endpoint)


def age(town: Town, endpoint: str) -> None:
    town.sb.update_webhook_endpoint(endpoint, {"api_version": "2024-06-20"})


def double(town: Town, endpoint: str) -> None:
    found = town.sb.find("webhook_endpoint", endpoint)
    town.sb.create_webhook_endpoint(found["url"], enabled_events=list(events_to_enable()), api_version=API_VERSION)


@pytest.mark.parametrize(
    ("fault", "code", "is_error"),
    [
        (break_url, "wrong_url", True),
        (disable, "disabled", True),
        (drop_events, "missing_events", True),
        (delete, "no_endpoint", True),
        (ask_for_all, "surplus_events", False),
        (age, "old_version", False),
        (double, "several_endpoints", False),
    ],
)
def test_one_click_repairs_a_fault(
    database: str, fault: Callable[[Town, str], None], code: str, is_error: bool
) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        await repair_webhooks(town.desk, town.acting, made.connection_id)
        fault(town, endpoints_of(town)[0]["id"])
        seen = await review_webhooks(town.desk, town.acting, made.connection_id)
        assert code in {found.code for found in seen.review.findings}
        assert await town.open_codes(made.connection_id) == ({"endpoint_faulty"} if is_error else set())
        mended = await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert mended.review.findings == ()
        assert len(endpoints_of(town)) == 1
        assert await town.open_codes(made.connection_id) == set()

    in_town(database, story)


def test_one_that_a_person_made_is_adopted(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        url = f"{town.base_url}/stripe/webhooks/{made.connection_id}"
        by_hand = town.sb.create_webhook_endpoint(url, enabled_events=["invoice.paid", "payout.paid"])
        seen = await review_webhooks(town.desk, town.acting, made.connection_id)
        assert [found.code for found in seen.review.findings] == [
            *("secret_unknown", "missing_events", "missing_useful_events", "surplus_events", "old_version")
        ]
        async with town.database.tenant(town.organization_id) as tx:
            await add_webhook_secret(
                tx,
                town.vault,
                town.organization_id,
                made.connection_id,
                webhook_secret=by_hand["secret"],
                actor="system",
                now=town.acting.now,
            )
        known = await review_webhooks(town.desk, town.acting, made.connection_id)
        assert "secret_unknown" not in {found.code for found in known.review.findings}
        assert (await repair_webhooks(town.desk, town.acting, made.connection_id)).review.findings == ()
        assert [row["metadata"] for row in endpoints_of(town)] == [{"refref_connection": made.connection_id}]

    in_town(database, story)


def test_a_key_that_may_not_write_endpoints_says_so(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect(town.key({**READS, "webhook": "read"}))
        with pytest.raises(Refused) as refused:
            await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert refused.value.code == "stripe_permission_missing"
        assert "rak_webhook_write" in refused.value.sentence

    in_town(database, story)


def test_where_stripe_reaches_nobody_polling_is_offered(database: str) -> None:
    async def story(town: Town) -> None:
        async with town.database.tenant(town.organization_id) as tx:
            given = NewConnection(name="Live", api_key="rk_live_sample000000")
            made = await create_connection(
                tx, town.vault, town.organization_id, given, actor="system", now=town.acting.now
            )
        with pytest.raises(Refused) as refused:
            await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert refused.value.code == "no_public_address"
        assert "polling" in refused.value.sentence

    in_town(database, story)


def served_town(database: str, story: Callable[[Town, StripeConnection], Awaitable[None]]) -> None:
    """A town whose RefRef takes deliveries, with a connection that has its endpoint."""

    async def main() -> None:
        async with opened(database) as town, served(town.settings, town.database) as url:
            town.base_url = url
            made = await town.connect()
            await repair_webhooks(town.desk, town.acting, made.connection_id)
            await story(town, made)

    asyncio.run(main())


def test_deliveries_arrive_before_during_and_after_a_roll(database: str) -> None:
    async def story(town: Town, made: StripeConnection) -> None:
        async with delivering(town.sb) as deliveries:
            for number in range(3):
                town.sb.create_customer(email=f"c{number}@example.com")
                await deliveries.drained()
                if number < 2:
                    await repair_webhooks(town.desk, town.acting, made.connection_id, roll_secret=True)
        assert (deliveries.delivered, deliveries.failed) == (3, 0)
        found = [row["stripe_event_id"] for row in await town.read("select stripe_event_id from stripe_event")]
        assert sorted(found) == sorted(event["id"] for event in town.sb.events if event["type"] == "customer.created")
        rows = await town.read("select expires_at from connection_secret where kind = 'webhook' order by secret_id")
        assert [row["expires_at"] is None for row in rows] == [False, False, True]
        assert len(endpoints_of(town)) == 1
        actions = [row["action"] for row in await town.read("select action from audit_log order by audit_id")]
        assert actions.count("webhook_endpoint.create") == 3
        assert actions.count("webhook_endpoint.delete") == 2

    served_town(database, story)


def test_ending_a_connection_takes_the_endpoint_away(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        await repair_webhooks(town.desk, town.acting, made.connection_id)
        ended, left = await end_connection(town.desk, town.acting, made.connection_id)
        assert (ended.status, left, endpoints_of(town)) == ("disabled", None, [])
        assert all(row["expires_at"] for row in await town.read("select expires_at from connection_secret"))
        with pytest.raises(Refused) as over:
            await review_webhooks(town.desk, town.acting, made.connection_id)
        assert over.value.code == "connection_disabled"

    in_town(database, story)
