"""The scenarios that are about intake (42, 45 to 48, 50, 51, 73), over HTTP into the whole web app."""

from __future__ import annotations

import asyncio
import copy
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from refref.sandbox import Sandbox
from refref.sandbox.deliveries import render_event_bytes, sign
from refref.settings import MasterKey, Settings
from refref.web.app import App, create_app
from stories.story import MODES, START, Reward, Story, back, payable
from stories.world import SECRET, Merchant, World

Event = dict[str, Any]


@dataclass(slots=True)
class Endpoint:
    """RefRef's webhook address for one merchant, and the pen of the merchant's story."""

    world: World
    app: App
    story: Story

    @property
    def merchant(self) -> Merchant:
        return self.story.merchant

    def post(self, *bodies: bytes, header: str | None = None, account: str | None = None) -> list[httpx.Response]:
        """Deliver bodies at once, each signed now unless a header is given; then let the worker work."""
        return self.world.run(self._post(bodies, header, account))

    async def _post(
        self, bodies: tuple[bytes, ...], header: str | None, connection_id: str | None
    ) -> list[httpx.Response]:
        path = f"/stripe/webhooks/{connection_id or self.merchant.connection_id}"
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://refref.example") as client:
            answers = await asyncio.gather(*[
                client.post(path, content=body, headers={
                    "stripe-signature": sign(body, SECRET, int(time.time())) if header is None else header,
                })
                for body in bodies
            ])  # fmt: skip
        await self.world._pump(self.merchant, self.story)
        return list(answers)

    def deliver(self, *events: Event) -> None:
        """Deliver events; each is answered with 200."""
        answers = self.post(*[render_event_bytes(event) for event in events])
        assert [answer.status_code for answer in answers] == [200] * len(events)

    def stored(self) -> list[tuple[str, str | None]]:
        """State and reason of every stored event, sorted."""
        rows = self.world.fetch(self.merchant, "select state, reason from stripe_event order by 1, 2")
        return [(row[0], row[1]) for row in rows]

    def parked(self) -> int:
        return len(self.world.fetch(self.merchant, "select from inbox where state = 'parked'"))


@pytest.fixture(scope="module")
def app(world: World) -> Iterator[App]:
    settings = Settings(
        database_url=None, data_dir=Path("/nowhere"), host="127.0.0.1", port=8787, base_url="http://refref.example",
        master_keys=(MasterKey("k1", b"k" * 32),), log_level="error",
    )  # fmt: skip
    made = create_app(settings, world.database)
    yield made
    world.run(made.close())


@pytest.fixture
def endpoint(world: World, app: App, request: pytest.FixtureRequest) -> Endpoint:
    name = request.node.name
    sandbox = Sandbox(clock_start=START, seed=sum(name.encode()))
    merchant = world.create_merchant(sandbox)
    return Endpoint(world, app, Story(world, MODES[0], merchant, sandbox, random.Random(name)))  # noqa: S311 - a seed for orders, no secret


def sale(endpoint: Endpoint, refcode: str = "ana") -> list[Event]:
    """A sale of 100.00 with a refund of 25.00, by one participant."""
    story = endpoint.story
    story.affiliate(refcode)
    session = story.buy(story.price(10_000, every="month"), refcode)
    story.sb.refund(session, amount=2_500)
    return list(story.sb.events)


def books_of_sale(endpoint: Endpoint) -> None:
    """The books say what `sale` did, and nothing else; nothing is left over."""
    endpoint.story.sent = len(endpoint.story.sb.events)  # the story itself has nothing to deliver
    endpoint.story.end(ana=[back(2_000, 500)], refused=[])
    assert endpoint.parked() == 0


def test_46_one_logical_event_from_two_endpoints(endpoint: Endpoint) -> None:
    events = sale(endpoint)
    twins = [event | {"id": event["id"].replace("evt_", "evt_second_")} for event in events]
    both = [*events, *twins]
    random.Random(46).shuffle(both)  # noqa: S311 - a seed for orders, no secret
    endpoint.deliver(*both)
    assert len(endpoint.stored()) == 2 * len(events)
    books_of_sale(endpoint)


def test_73_webhook_and_copy_in_the_same_moment(endpoint: Endpoint) -> None:
    events = sale(endpoint)
    endpoint.deliver(*[event for event in events for _ in range(8)])
    assert len(endpoint.stored()) == len(events)
    books_of_sale(endpoint)


def test_47_live_event_on_a_test_connection(endpoint: Endpoint) -> None:
    events = sale(endpoint)
    live = [event | {"livemode": True, "id": event["id"] + "live"} for event in events]
    answers = endpoint.post(*[render_event_bytes(event) for event in live])
    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["code"] for answer in answers} == {"livemode_mismatch"}
    assert set(endpoint.stored()) == {("quarantined", "livemode_mismatch")}
    assert endpoint.world.refusals(endpoint.merchant) == []
    endpoint.deliver(*events)
    books_of_sale(endpoint)


def test_47_test_event_on_a_live_connection(endpoint: Endpoint) -> None:
    events = sale(endpoint)

    async def go_live() -> None:
        async with endpoint.world.database.tenant(endpoint.merchant.organization_id) as tx:
            await tx.execute("update connection set mode = 'live'")

    endpoint.world.run(go_live())
    answers = endpoint.post(*[render_event_bytes(event) for event in events])
    assert {answer.json()["code"] for answer in answers} == {"livemode_mismatch"}
    assert set(endpoint.stored()) == {("quarantined", "livemode_mismatch")}
    endpoint.deliver(*[event | {"livemode": True, "id": event["id"] + "live"} for event in events])
    endpoint.story.sent = len(endpoint.story.sb.events)
    endpoint.story.expect(ana=[back(2_000, 500)], refused=[])


def test_48_connect_event_of_an_unknown_account(endpoint: Endpoint) -> None:
    events = sale(endpoint)
    endpoint.deliver(*[event | {"account": "acct_stranger"} for event in events])
    assert set(endpoint.stored()) == {("quarantined", "unknown_account")}
    assert endpoint.world.rewards(endpoint.merchant, endpoint.story.names["ana"]) == []


def test_48_unknown_connection(endpoint: Endpoint) -> None:
    (answer,) = endpoint.post(render_event_bytes(sale(endpoint)[0]), account="con_nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_connection")


def decorated(value: Any) -> Any:
    """The same with a field in every object that no version has."""
    if isinstance(value, list):
        return [decorated(item) for item in value]
    if not isinstance(value, dict):
        return value
    extra: Any = {"object": "thing_of_tomorrow", "id": "tom_1", "list": [1, None, {"x": 1.5}]}
    return {key: decorated(item) for key, item in value.items()} | {"a_field_of_tomorrow": extra}


def test_50_extra_fields_and_event_types_of_tomorrow(endpoint: Endpoint) -> None:
    events = [event | {"data": decorated(event["data"])} for event in sale(endpoint)]
    unknown = [event | {"id": event["id"] + "x", "type": "invoice.teleported"} for event in events]
    endpoint.deliver(*events, *unknown)
    assert ("ignored", None) in endpoint.stored()
    books_of_sale(endpoint)


@pytest.mark.parametrize(
    ("event_type", "field", "value"),
    [
        ("invoice.paid", "billing_reason", "subscription_teleport"),
        ("invoice.paid", "collection_method", "by_pigeon"),
        ("customer.subscription.created", "status", "dreaming"),
        ("checkout.session.completed", "ui_mode", "hologram"),
        ("charge.succeeded", "failure_code", "moon_phase"),
        ("refund.created", "status", "floating"),
        ("refund.created", "reason", "bad_weather"),
        ("invoice_payment.paid", "status", "paid_twice"),
    ],
)
def test_50_enum_values_of_tomorrow(endpoint: Endpoint, event_type: str, field: str, value: str) -> None:
    events = copy.deepcopy(sale(endpoint))
    for event in events:
        if event["type"] == event_type:
            event["data"]["object"][field] = value
    endpoint.deliver(*events)
    books_of_sale(endpoint)


def test_50_an_unreadable_event_is_parked_and_the_others_go_on(endpoint: Endpoint) -> None:
    events = sale(endpoint)
    broken = copy.deepcopy(next(event for event in events if event["type"] == "invoice.paid"))
    broken["id"] = "evt_broken"
    broken["data"]["object"]["total"] = "a lot"
    endpoint.deliver(broken, *events)
    assert endpoint.parked() == 1
    endpoint.story.sent = len(events)
    endpoint.story.expect(ana=[back(2_000, 500)], refused=[])


THIN = {
    "id": "evt_thin", "object": "v2.core.event", "type": "v1.invoice.paid", "created": "2026-11-01T00:00:00.000Z",
    "livemode": False, "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "not_an_event"),
        (b"[]", "not_an_event"),
        (b"null", "not_an_event"),
        (b'"evt_1"', "not_an_event"),
        (b"0", "not_an_event"),
        (b"", "not_json"),
        (b"not json", "not_json"),
        (b'{"id": "evt_1", ', "not_json"),
        (b'{"id": "evt_\xff"}', "not_utf8"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (json.dumps(THIN).encode(), "thin_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":1,"livemode":false,"data":{}}', "not_an_event"),
        (b'{"id":"","type":"invoice.paid","created":1,"livemode":false,"data":{"object":{}}}', "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":"1","livemode":false,"data":{"object":{}}}', "not_an_event"),
        (b'{"id":"evt_1","type":"invoice.paid","created":1,"livemode":"no","data":{"object":{}}}', "not_an_event"),
    ],
)
def test_51_signed_bodies_that_are_no_events(endpoint: Endpoint, body: bytes, code: str) -> None:
    (answer,) = endpoint.post(body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["detail"]
    assert endpoint.stored() == []


def stale(body: bytes, seconds: int) -> str:
    return sign(body, SECRET, int(time.time()) + seconds)


@pytest.mark.parametrize(
    "header",
    [
        lambda body: "",
        lambda body: "t=1",
        lambda body: "v1=00",
        lambda body: f"t={int(time.time())},v1=",
        lambda body: f"t=soon,v1={'0' * 64}",
        lambda body: f"t={int(time.time())},v1={'0' * 64}",
        lambda body: sign(body, "whsec_another", int(time.time())),
        lambda body: sign(body + b" ", SECRET, int(time.time())),
        lambda body: sign(body, SECRET, int(time.time())).replace("v1=", "v0="),
        lambda body: stale(body, -3_600),
        lambda body: stale(body, 3_600),
        lambda body: stale(body, -3 * 86_400),
    ],
)
def test_51_bodies_that_are_not_signed(endpoint: Endpoint, header: Callable[[bytes], str]) -> None:
    body = render_event_bytes(sale(endpoint)[0])
    (answer,) = endpoint.post(body, header=header(body))
    assert answer.status_code == 400, answer.text
    assert endpoint.stored() == []


def test_51_a_body_beyond_one_mebibyte(endpoint: Endpoint) -> None:
    (answer,) = endpoint.post(b" " * (1 << 20) + b"{}")
    assert answer.status_code == 413


def test_45_an_event_that_stripe_signs_again_days_later(endpoint: Endpoint) -> None:
    events = sale(endpoint)
    endpoint.deliver(*events)
    books_of_sale(endpoint)
    for days in (3, 27):
        endpoint.story.sb.advance_by(days=days)
        endpoint.deliver(*events)
    assert len(endpoint.stored()) == len(events)
    endpoint.story.sent = len(endpoint.story.sb.events)
    rewards = endpoint.world.rewards(endpoint.merchant, endpoint.story.names["ana"])
    assert [(row["amount_minor"], row["reversed_minor"]) for row in rewards] == [(2_000, 500)]


def test_42_an_event_sent_to_another_tenants_address(endpoint: Endpoint) -> None:
    other = endpoint.story.another_account()
    other.affiliate("ana")
    events = sale(endpoint)
    endpoint.deliver(*events)
    assert endpoint.world.rewards(other.merchant, other.names["ana"]) == []
    assert endpoint.world.fetch(other.merchant, "select from stripe_event") == []
    books_of_sale(endpoint)


def test_03_session_that_does_not_name_its_invoice(endpoint: Endpoint) -> None:
    story = endpoint.story
    story.affiliate("ana")
    session = story.buy(story.price(5_000), "ana", invoice_creation={"enabled": True})
    story.sb.refund(session, amount=1_000)
    events = copy.deepcopy(story.sb.events)
    for event in events:
        if event["type"] == "checkout.session.completed":
            event["data"]["object"]["invoice"] = None
    first = [e for e in events if e["type"] in ("checkout.session.completed", "payment_intent.succeeded")]
    endpoint.deliver(*first)
    story.glance(ana=[Reward(1_000)])
    endpoint.deliver(*[event for event in events if event not in first])
    story.sent = len(story.sb.events)
    story.end(ana=[back(1_000, 200)], refused=[])


def with_account(value: Any, account: str) -> Any:
    """The same for a user of Accounts v2: `customer` is null, `customer_account` names the buyer."""
    if isinstance(value, list):
        return [with_account(item, account) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: with_account(item, account) for key, item in value.items()}
    if changed.get("customer"):
        changed |= {"customer": None, "customer_account": account}
    return changed


def test_40_buyer_who_is_an_account(endpoint: Endpoint) -> None:
    story = endpoint.story
    story.program(hold_days=0)
    story.affiliate("ana")
    story.buy(story.price(2_000, every="month"), "ana")
    story.sb.advance_by(months=1)
    story.sb.refund(story.sb.all("invoice")[1]["id"], amount=500)
    events = [e for e in story.sb.events if not e["type"].startswith("customer.") or "subscription" in e["type"]]
    story._sync_clock()
    endpoint.deliver(*[event | {"data": with_account(event["data"], "acct_buyer1")} for event in events])
    story.sent = len(story.sb.events)
    story.end(ana=[payable(400), payable(400, back=100)], refused=[])


@pytest.mark.parametrize("form", ["expanded", "deleted"])
def test_39_customer_in_every_form(endpoint: Endpoint, form: str) -> None:
    """Wherever a customer stands, Stripe may put the id, the whole object, or what is left of a deleted one."""
    events = sale(endpoint)
    customers = {c["id"]: c for c in endpoint.story.sb.all("customer")}

    def put(value: Any) -> Any:
        if isinstance(value, list):
            return [put(item) for item in value]
        if not isinstance(value, dict):
            return value
        changed = {key: put(item) for key, item in value.items()}
        if isinstance(owner := changed.get("customer"), str):
            whole = customers[owner]
            changed["customer"] = whole if form == "expanded" else {"id": owner, "object": "customer", "deleted": True}
        return changed

    endpoint.deliver(*[event | {"data": put(event["data"])} for event in events])
    books_of_sale(endpoint)
