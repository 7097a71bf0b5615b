"""Stripe's own exchange rate: asked for by charge, read as the exact decimal that Stripe wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted_stripe import call

from refref.core.facts import BalanceTransactionState, Fact, Kind
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.readers import Need, NeedKind, UnreadableEvent, read_document

NEED = Need(NeedKind.BALANCE_TRANSACTION, "ch_1")


def transaction(**more: Any) -> dict[str, Any]:
    return {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": 1_117,
        "currency": "usd",
        "exchange_rate": 1.1172,
        "created": 1_768_471_200,
        "source": "ch_1",
        "type": "charge",
    } | more


def read(*rows: dict[str, Any]) -> tuple[Fact, ...]:
    return read_document(NEED, {"object": "list", "data": list(rows), "has_more": False}, 5)


def test_a_balance_transaction_is_a_fact_of_its_own_linked_to_the_charge() -> None:
    state = BalanceTransactionState("usd", 1_117, "1.1172", 1_768_471_200)
    assert read(transaction()) == (Fact("txn_1", Kind.BALANCE_TRANSACTION, 0, 5, 0, state, ("ch_1",)),)


@pytest.mark.parametrize(
    ("written", "rate"),
    [("1.1172", "1.1172"), ("0.918237", "0.918237"), ("6.3e-05", "0.000063"), ("150", "150"), ("null", ""),
     ("0.00640000", "0.0064"), ("1.085", "1.085")],
)  # fmt: skip
def test_the_rate_is_what_stripe_wrote(written: str, rate: str) -> None:
    (fact,) = read(json.loads(json.dumps(transaction()).replace("1.1172", written)))
    assert isinstance(fact.state, BalanceTransactionState)
    assert fact.state.exchange_rate == rate


@pytest.mark.parametrize("rate", [0, -1.5, float("inf"), "1.1", True])
def test_what_is_no_rate_is_refused(rate: object) -> None:
    with pytest.raises(UnreadableEvent, match="exchange_rate"):
        read(transaction(exchange_rate=rate))


def test_transactions_of_refunds_and_fees_tell_nothing() -> None:
    assert read(transaction(source="re_1"), transaction(id="txn_2", source=None)) == ()
    assert read(transaction(source={"id": "ch_1", "object": "charge"}))[0].links == ("ch_1",)


def test_the_transactions_of_a_charge_are_asked_for() -> None:
    page = {"object": "list", "data": [transaction()], "has_more": False}
    document, asked = call(lambda path, query: (200, page), lambda gateway: gateway.fetch(NEED))
    assert document["data"] == [transaction()]
    path, query, _ = asked[0]
    assert (path, query["source"]) == ("/v1/balance_transactions", ["ch_1"])


def test_a_charge_without_a_transaction_is_asked_again_later() -> None:
    """Stripe makes the transaction of a payment that it captures in the background a little later."""
    empty = {"object": "list", "data": [], "has_more": False}
    with pytest.raises(StripeFailure) as failure:
        call(lambda path, query: (200, empty), lambda gateway: gateway.fetch(NEED))
    assert failure.value.failure is FailureClass.TRANSIENT
