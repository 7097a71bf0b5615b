"""Trying custom events before they are published: match or why not, what was found, and the reward it would give."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from refref.core.criteria import CriteriaError
from refref.core.refusals import Refused
from refref.core.terms import CustomEvent, QualifyingEvent, RewardRule, Terms, terms_to_json
from refref.db import inbox
from refref.db.bodies import compress
from refref.flows.custom_events import TriedEvent, try_custom_event
from refref.sample_events import sample_events
from refref.stripe.readers import REGISTRY, read
from refref.worker.pump import pump_once
from refref.worker.rereader import read_again_due

RunWeb = Callable[..., None]
NOW = 1_780_000_000
PASSED = 'event.data.object.metadata.kyc == "passed"'


def event(stripe_type: str = "customer.updated", /, **found: Any) -> dict[str, Any]:
    return {
        "id": "evt_1", "object": "event", "type": stripe_type, "created": NOW, "livemode": False,
        "data": {"object": {"id": "cus_1", "object": "customer", **found}},
    }  # fmt: skip


def terms(custom: CustomEvent, **rule: Any) -> Terms:
    given = {"kind": "fixed", "amounts": {"usd": 500}, **rule}
    rules = (RewardRule(rule_id="kyc", name="Identity check", event="kyc", **given),)
    return Terms(events=(QualifyingEvent("kyc", kind="custom", custom=custom),), rules=rules)


KYC = CustomEvent(("customer.updated",), PASSED)
PASSED_EVENT = event(metadata={"kyc": "passed"})


def tried(given: Terms, told: dict[str, Any]) -> TriedEvent:
    return try_custom_event(given, "kyc", json.dumps(told).encode())


def test_a_match_with_what_was_found_and_what_it_gives() -> None:
    found = tried(terms(KYC), PASSED_EVENT)
    assert (found.matched, found.because, found.customer) == (True, "", "cus_1")
    assert found.seen == (("event.data.object.metadata.kyc", '"passed"'),)
    (reward,) = found.rewards
    assert (reward.rule_id, reward.to, reward.amount_minor, reward.currency) == ("kyc", "referrer", 500, "usd")


@pytest.mark.parametrize(
    ("told", "because"),
    [
        (
            event(metadata={"kyc": "pending"}),
            'no match: event.data.object.metadata.kyc == "passed" is false: event.data',
        ),
        (event(metadata={}), "no match: event.data.object.metadata.kyc is missing"),
        (event(), "no match: event.data.object.metadata is missing"),
        (event("charge.succeeded"), "no match: the event is charge.succeeded"),
    ],
)
def test_no_match_tells_because(told: dict[str, Any], because: str) -> None:
    found = tried(terms(KYC), told)
    assert (found.matched, found.rewards) == (False, ())
    assert found.because.startswith(because)


def test_an_amount_is_taken_from_the_event() -> None:
    custom = CustomEvent(("invoice.finalized",), amount_path="data.object.total", per_customer="many")
    given = terms(custom, kind="percentage", rate_bps=1_000, amounts={})
    paid = event("invoice.finalized", id="in_1", object="invoice", customer="cus_9", total=4_990, currency="eur")
    found = tried(given, paid)
    assert (found.customer, found.amount_minor, found.currency, found.amount_reason) == ("cus_9", 4_990, "eur", "")
    assert [(r.amount_minor, r.currency) for r in found.rewards] == [(499, "eur")]
    paid["data"]["object"]["total"] = None
    found = tried(given, paid)
    assert (found.matched, found.amount_minor) == (True, None)
    assert found.amount_reason == "event.data.object.total is null"
    assert [r.reason for r in found.rewards] == ["amount_missing"]
    assert found.rewards[0].sentence


def test_an_event_that_names_no_customer_is_no_match() -> None:
    found = tried(terms(CustomEvent(("product.created",))), event("product.created", id="prod_1", object="product"))
    assert (found.matched, found.customer) == (False, "")
    assert "customer_path" in found.because
    elsewhere = CustomEvent(("product.created",), customer_path="data.object.metadata.buyer")
    found = tried(terms(elsewhere), event("product.created", id="prod_1", object="product", metadata={"buyer": 5}))
    assert found.because == "no match: event.data.object.metadata.buyer is no id of a customer or sale in Stripe"


def test_conditions_see_the_customer_that_the_event_tells_of() -> None:
    given = terms(KYC, condition='customer.country == "DE"')
    from_there = event(metadata={"kyc": "passed"}, address={"country": "DE"})
    assert [r.amount_minor for r in tried(given, from_there).rewards] == [500]
    assert [r.reason for r in tried(given, PASSED_EVENT).rewards] == ["condition_false"]


def test_wrong_criteria_are_refused_with_their_place() -> None:
    with pytest.raises(CriteriaError) as refused:
        tried(terms(CustomEvent(("customer.updated",), 'event.type = "x"')), PASSED_EVENT)
    assert (refused.value.line, refused.value.column, refused.value.field) == (1, 12, "terms.events.0.custom.criteria")
    with pytest.raises(CriteriaError) as refused:
        tried(terms(CustomEvent(("customer.updated",), amount_path="data..total")), PASSED_EVENT)
    assert refused.value.field == "terms.events.0.custom.amount_path"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"id": "evt_1"}', b'{"object": "customer", "id": "cus_1"}', b"\xff", b'"' + b"x" * 2**20],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        try_custom_event(terms(KYC), None, body)
    assert (refused.value.code, refused.value.field) == ("invalid_event", "event")


def test_which_custom_event_must_be_clear() -> None:
    two = terms(KYC)
    two = Terms(events=(*two.events, QualifyingEvent("other", kind="custom", custom=KYC)), rules=two.rules)
    with pytest.raises(Refused) as refused:
        try_custom_event(two, None, json.dumps(PASSED_EVENT).encode())
    assert "kyc, other" in refused.value.sentence
    with pytest.raises(Refused):
        try_custom_event(Terms(), None, json.dumps(PASSED_EVENT).encode())


def test_there_is_a_sample_of_what_matters_and_each_can_be_tried() -> None:
    samples = sample_events()
    assert {"customer.updated", "invoice.paid", "checkout.session.completed", "payment_method.attached"} <= set(samples)
    for stripe_type, body in samples.items():
        told = msgspec.json.decode(body)
        assert (told["type"], told["object"]) == (stripe_type, "event")
        if stripe_type in REGISTRY:
            read(told)
        found = try_custom_event(terms(CustomEvent((stripe_type,))), "kyc", body)
        assert found.matched == bool(found.customer)
        assert not found.matched or [reward.amount_minor for reward in found.rewards] == [500], stripe_type


async def stored(web: Any, connection_id: str, *told: dict[str, Any]) -> None:
    """Events that were ignored when they came."""
    async with web.database.plain() as connection:
        await inbox.accept(
            connection,
            [
                inbox.Arrival(
                    web.organization_id, connection_id, body["id"], body["type"], "cus_1", None, False, "ignored", None,
                    "webhook", body["created"], compress(json.dumps(body).encode()),
                )
                for body in told
            ],
        )  # fmt: skip


def test_over_the_api(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id = (await web.connection())["connection_id"]
        body = {"terms": json.loads(terms_to_json(terms(KYC)))}
        nothing = (await web.api.post("/v1/custom_events/try", json=body)).json()
        assert nothing == {"tried": []}
        await stored(web, connection_id, PASSED_EVENT, {**event(metadata={}), "id": "evt_2"})
        found = (await web.api.post("/v1/custom_events/try", json=body)).json()["tried"]
        assert [(item["stripe_event_id"], item["matched"]) for item in found] == [("evt_2", False), ("evt_1", True)]
        pasted = (await web.api.post("/v1/custom_events/try", json=body | {"event": PASSED_EVENT})).json()["tried"][0]
        assert pasted["seen"] == [{"path": "event.data.object.metadata.kyc", "value": '"passed"'}]
        assert pasted["rewards"][0]["amount_minor"] == 500
        sample = (await web.api.post("/v1/custom_events/try", json=body | {"sample": "customer.updated"})).json()
        assert sample["tried"][0]["matched"]
        body["terms"]["events"][0]["custom"]["criteria"] = "event.type == 1 +"
        refused = await web.api.post("/v1/custom_events/try", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_criteria")
        assert refused.json()["field"] == "terms.events.0.custom.criteria"
        samples = (await web.api.get("/v1/custom_events/samples", params={"type": "customer.updated"})).json()["data"]
        assert [row["source"] for row in samples] == ["stored", "stored", "sample"]
        assert samples[0]["event"]["id"] == "evt_2"

    with_web(scenario)


def test_the_endpoint_is_to_be_set_up_for_the_types_that_are_asked_for(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id = (await web.connection())["connection_id"]
        custom = CustomEvent(("customer.updated", "quote.accepted"))
        await web.program(connection_id, terms=json.loads(terms_to_json(terms(custom))))
        enabled = (await web.api.get("/v1/stripe_events")).json()["data"]
        own = (await web.api.get("/v1/stripe_events", params={"connection_id": connection_id})).json()["data"]
        assert own == [*enabled, "quote.accepted"]
        await web.sign_in()
        assert "quote.accepted" in (await web.browser.get(f"/integrations/stripe/{connection_id}")).text

    with_web(scenario)


def test_publishing_reads_what_was_ignored_again_and_tells_how_far(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id = (await web.connection())["connection_id"]
        await stored(web, connection_id, PASSED_EVENT)
        address = "/v1/custom_events/rereading"
        assert (await web.api.get(address)).json() == {"types": []}
        await web.program(connection_id, terms=json.loads(terms_to_json(terms(KYC))))
        (told,) = (await web.api.get(address)).json()["types"]
        assert (told["stripe_type"], told["percent"], told["is_done"]) == ("customer.updated", 0, False)
        assert await read_again_due(web.database) == 1
        assert (await web.api.get(address)).json()["types"][0]["percent"] == 100
        while (await pump_once(web.database, lambda: NOW)).events:
            pass
        async with web.database.tenant(web.organization_id) as tx:
            assert await tx.fetchval("select count(*) from fact where kind = 'event'") == 1
            await tx.execute("update custom_event_type set asked_at = $1", datetime(2026, 1, 1, tzinfo=UTC))
        assert await read_again_due(web.database) == 0
        assert (await web.api.get(address)).json()["types"][0]["is_done"]
        await stored(web, connection_id, {**PASSED_EVENT, "id": "evt_3", "created": NOW + 5})
        assert (await pump_once(web.database, lambda: NOW)).events == 1  # now it is work at once

    with_web(scenario)
