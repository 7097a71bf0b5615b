"""Recorded objects of the real Stripe go through the readers; one call in several API versions gives one fact."""

import re
from typing import Any

import msgspec
import pytest
from stripe_payloads import EVENT_OF, NOW, event

from refref.core.facts import Kind, encode_fact
from refref.stripe.readers import Need, NeedKind, read, read_document

_IDS = re.compile(r"^(in|il|cus|ch|pi|sub|re)_[A-Za-z0-9]+$")


def as_event(body: dict[str, Any]) -> dict[str, Any] | None:
    """The recorded event, or the recorded answer wrapped as the event of its object."""
    if body.get("object") == "event":
        return body
    answer = body.get("response", {})
    return event(answer) if answer.get("object") in EVENT_OF else None


def test_every_recorded_object_is_readable(recorded: Any) -> None:
    for name in recorded.names():
        found = as_event(recorded.load(name))
        if found is None or found["type"].startswith("account."):
            continue
        reading = read(found)
        assert found["data"]["object"]["id"] in {fact.stripe_id for fact in reading.facts}, name
        assert all(encode_fact(fact) for fact in reading.facts), name
        assert len({fact.stripe_id for fact in reading.facts}) == len(reading.facts), name


def test_events_about_accounts_give_no_facts(recorded: Any) -> None:
    for name in recorded.names("event_account_*.json"):
        assert read(recorded.load(name)).facts == ()


def test_one_invoice_in_every_api_version_is_one_fact(recorded: Any) -> None:
    found = []
    for name in recorded.names("invoice_paid__*.json"):
        answer = recorded.load(name)["response"]
        (fact,) = [fact for fact in read(event(answer)).facts if fact.kind is Kind.INVOICE]
        # The recordings are the same call at other times: its ids and instants are put in place of theirs.
        (line,) = fact.state.lines
        line = msgspec.structs.replace(line, id="il_1")
        state = msgspec.structs.replace(
            fact.state,
            lines=(line,),
            created_at=fact.state.created_at - answer["created"],
            paid_at=fact.state.paid_at - answer["created"],
            number="N-1",
        )
        assert _IDS.match(fact.stripe_id)
        found.append(msgspec.structs.replace(fact, stripe_id="in_1", state=state, links=()))
    assert len(found) >= 3
    assert all(fact == found[0] for fact in found)
    assert found[0].state.amount_paid == 1000
    assert found[0].state.lines[0].product == "prod_QdYwATBkKi2FtY"
    assert found[0].state.lines[0].price == "price_1PmHofKXBGcbgpbZCVOHQep3"


def test_the_links_of_the_versions_differ_only_by_what_basil_removed(recorded: Any) -> None:
    for name in recorded.names("invoice_paid__*.json"):
        answer = recorded.load(name)["response"]
        (fact,) = read(event(answer)).facts
        expected = {answer["customer"], answer.get("charge"), answer.get("payment_intent")} - {None}
        assert set(fact.links) == expected


def test_proration_keeps_both_lines(recorded: Any) -> None:
    answer = recorded.load("invoice_proration_negative_line__2025-10-29.json")["response"]
    state = read(event(answer)).facts[0].state
    assert [line.amount for line in state.lines] == [-2500, 25000]
    assert all(line.is_proration for line in state.lines)
    assert state.amount_paid == 22500


def test_a_discount_is_on_its_line(recorded: Any) -> None:
    answer = recorded.load("invoice_with_coupon_subscription_create__2025-10-29.json")["response"]
    reading = read(event(answer))
    assert [(line.amount, line.discount, line.credit_applied) for line in reading.facts[0].state.lines] == [
        (2500, 250, 0)
    ]
    # The discount is expanded and has no promotion code: there is nothing to fetch.
    assert NeedKind.INVOICE_DISCOUNTS not in {need.kind for need in reading.needs}


def test_an_expanded_subscription_gives_its_whole_sale(recorded: Any) -> None:
    answer = recorded.load("subscription__2020-08-27.json")["response"]
    kinds = sorted(fact.kind.value for fact in read(event(answer)).facts)
    assert kinds == ["charge", "invoice", "payment_intent", "subscription"]
    answer = recorded.load("subscription_create_with_coupon__2025-10-29.json")["response"]
    kinds = sorted(fact.kind.value for fact in read(event(answer)).facts)
    assert kinds == ["invoice", "invoice_payment", "subscription"]


def test_a_payment_finds_its_invoice(recorded: Any) -> None:
    answer = recorded.load("charge_of_subscription_invoice__2025-10-29.json")["response"]
    (need,) = read(event(answer)).needs
    assert need == Need(NeedKind.INVOICE_OF_PAYMENT, "pi_3SRzoDKXBGcbgpbZ0qqsd8Nw")
    document = recorded.load("invoice_payments_by_payment_intent__2025-10-29.json")["response"]
    (fact,) = read_document(need, document, NOW)
    assert fact.kind is Kind.INVOICE_PAYMENT
    assert fact.links == ("in_1SRzoCKXBGcbgpbZpmw3WNsV", "pi_3SRzoDKXBGcbgpbZ0qqsd8Nw")


@pytest.mark.parametrize("form", ["json", "msgspec"])
def test_the_decoder_makes_no_difference(recorded: Any, form: str) -> None:
    body = recorded.load("event_invoice_paid__sync-engine.json")
    again = msgspec.json.decode(msgspec.json.encode(body)) if form == "msgspec" else body
    assert read(again) == read(body)
