"""The one list of events: its names are Stripe's, each has a reader, and the page of events agrees with it."""

import ast
import inspect
from pathlib import Path

import pytest
import stripe.params._webhook_endpoint_create_params as endpoint_params

from refref.stripe.readers import REGISTRY, EventGroup, events_to_enable, read
from refref.stripe.readers.registry import OBJECT_READERS
from refref.stripe.registry_docs import events_page


def names_of_the_sdk() -> set[str]:
    tree = ast.parse(inspect.getsource(endpoint_params))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_name_is_one_that_stripe_knows() -> None:
    assert set(REGISTRY) <= names_of_the_sdk()


def test_every_row_is_complete() -> None:
    for name, row in REGISTRY.items():
        assert row.name == name
        assert row.purpose.endswith(".")
        assert row.object_name is None or row.object_name in OBJECT_READERS


def test_events_to_enable_follow_the_groups() -> None:
    books = events_to_enable()
    assert "invoice.paid" in books
    assert "payout.paid" not in books
    assert set(events_to_enable(EventGroup)) == set(REGISTRY)
    # Stripe holds invoices back while an endpoint that wants this one fails (facts on delivery).
    assert "invoice.created" not in REGISTRY


@pytest.mark.parametrize("name", ["invoice.payment_succeeded", "plan.created", "some.event.of.2031"])
def test_an_unknown_event_reads_as_nothing(name: str) -> None:
    reading = read({"type": name, "created": 1, "data": {"object": {"anything": 1}}})
    assert (reading.facts, reading.needs) == ((), ())


def test_the_page_of_events_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "events.md"
    assert page.read_text() == events_page()
