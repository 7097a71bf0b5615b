"""Events kept for custom events: whom they are filed with, and that nothing in them is ever a refusal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe_payloads import NOW, customer, event, invoice, session

from refref.core.facts import EventState, Fact, Kind, merge
from refref.stripe.readers.custom import read_custom

OWN = ("",)


def kept(told: Any, *paths: str) -> tuple[Fact, ...]:
    return read_custom(told, msgspec.json.encode(told), paths or OWN)


def test_an_event_is_kept_whole_under_its_object_type_and_instant() -> None:
    told = event(customer(metadata={"kyc": "passed"}), "customer.updated")
    (fact,) = read_custom(told, msgspec.json.format(msgspec.json.encode(told), indent=2), OWN)
    assert (fact.stripe_id, fact.kind, fact.seen_at) == (f"event:cus_1/customer.updated/{NOW}", Kind.EVENT, NOW)
    assert fact.state == EventState("customer.updated", "cus_1", NOW, msgspec.json.encode(told))
    assert fact.links == ("cus_1",)


@pytest.mark.parametrize(
    ("payload", "paths", "links"),
    [
        (customer(), ("",), ["cus_1"]),
        (invoice(), ("",), ["cus_1"]),
        (invoice(customer=customer()), ("",), ["cus_1"]),
        (invoice(customer=None, customer_account="acct_1"), ("",), ["acct_1"]),
        (session(customer=None), ("data.object.payment_intent",), ["pi_1"]),
        (invoice(metadata={"buyer": "cus_2"}), ("data.object.metadata.buyer",), ["cus_2"]),
        (invoice(metadata={"buyer": "cus_2"}), ("", "data.object.metadata.buyer"), ["cus_1", "cus_2"]),
        (invoice(), ("", "data.object.metadata.buyer"), ["cus_1"]),
    ],
)
def test_it_is_filed_with_the_customers_that_the_definitions_look_at(
    payload: Any, paths: tuple[str, ...], links: list[str]
) -> None:
    assert [list(fact.links) for fact in kept(event(payload), *paths)] == [links]


@pytest.mark.parametrize(
    "told",
    [
        event(invoice(customer=None)),
        event(invoice(customer="usd")),
        event(invoice(customer={"id": 5})),
        {**event(customer()), "created": "now"},
        {**event(customer()), "data": None},
        {**event(customer()), "data": {"object": []}},
        {**event(customer()), "type": None},
    ],
)
def test_what_names_nobody_who_can_be_referred_is_not_kept(told: Any) -> None:
    assert kept(told) == ()
    assert kept(told, "data.object.currency") == ()


def test_a_preview_without_an_id_is_kept_under_its_event() -> None:
    told = event(invoice(id=None), "invoice.upcoming")
    assert [fact.stripe_id for fact in kept(told)] == [f"event:evt_1/invoice.upcoming/{NOW}"]


def test_two_endpoints_events_of_one_happening_are_one_fact() -> None:
    first, second = (kept({**event(customer()), "id": name})[0] for name in ("evt_1", "evt_2"))
    assert first.stripe_id == second.stripe_id
    assert merge(first, second) == merge(second, first)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=5)
    | st.sampled_from(["cus_1", "event"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["object", "customer", "id", "data", "type", "created"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["data", "type", "created", "id"]), json_values))
def test_whatever_an_event_holds_is_no_refusal(told: dict[str, Any]) -> None:
    for fact in kept(told, "", "data.object.customer", 'data.object["id"]'):
        assert fact.links
