"""Sales out of facts: which facts are one sale, its key, what it came to and when its money moved."""

from __future__ import annotations

import msgspec
import pytest

from core.samples import DAY, T0, charge, invoice, line, sale
from refref.core.facts import ChargeState, Fact, InvoiceState, Kind, PaymentIntentState, SessionState, State
from refref.core.sales import sales_of


def intent(number: int, received: int, *, status: str = "succeeded", at: int = T0) -> Fact:
    state = PaymentIntentState(status, "usd", received, T0)  # begun before it was paid
    return Fact(f"pi_{number}", Kind.PAYMENT_INTENT, 1, at, 0, state, ("cus_1",))


def session(total: int | None, *intents: str) -> Fact:
    state = SessionState("payment", "complete", "paid", "usd", total, created_at=T0)
    return Fact("cs_1", Kind.SESSION, 1, T0, 0, state, ("cus_1", *intents))


def moved(number: int, amount: int, *, back: int = 0, status: str = "succeeded", created_at: int = T0) -> Fact:
    return msgspec.structs.replace(
        charge(number, amount), state=ChargeState(status, "usd", amount, back, created_at), seen_at=T0 + DAY
    )


@pytest.mark.parametrize(
    ("facts", "paid"),
    [
        ([intent(1, 1_000)], 1_000),
        ([intent(1, 1_000), moved(1, 1_000)], 1_000),
        ([moved(1, 1_000)], 1_000),
        ([intent(1, 600), moved(1, 600)], 600),  # captured in part, told by both
        ([intent(1, 600), moved(1, 1_000, back=400)], 1_000),  # the rest was booked back: it counts as a refund
        ([intent(1, 600), moved(1, 1_000, back=300)], 600),  # not explained by what was booked back
        ([intent(1, 0, status="processing"), moved(1, 900)], 900),
        ([moved(1, 500, status="failed"), intent(1, 700)], 700),
    ],
)
def test_the_money_of_a_bare_payment(facts: list[Fact], paid: int) -> None:
    found = sale(*facts)
    assert (found.paid, found.total, found.net) == (paid, paid, paid)


@pytest.mark.parametrize("facts", [[intent(1, 0, status="requires_capture")], [moved(1, 900, status="failed")]])
def test_a_payment_that_did_not_succeed_is_no_sale(facts: list[Fact]) -> None:
    assert sales_of(facts) == []


@pytest.mark.parametrize(
    ("facts", "paid_at"),
    [
        ([intent(1, 900, at=T0 + 30), moved(1, 900, created_at=T0 + 10)], T0 + 10),
        ([intent(1, 900, at=T0 + 30)], T0 + 30),
        # A failed try before it moved no money.
        ([intent(1, 900, at=T0 + 30), moved(1, 900, status="failed", created_at=T0 + 5)], T0 + 30),
    ],
)
def test_a_payment_was_paid_when_its_charge_succeeded(facts: list[Fact], paid_at: int) -> None:
    assert sale(*facts).paid_at == paid_at


@pytest.mark.parametrize(("paid_at", "created_at", "expected"), [(30, 20, 30), (0, 20, 20), (0, 0, 10)])
def test_an_invoice_was_paid_when_it_says_else_when_it_was_made_or_seen(
    paid_at: int, created_at: int, expected: int
) -> None:
    fact = invoice(1, [line(1, 1_000)])
    assert isinstance(fact.state, InvoiceState)
    state: State = msgspec.structs.replace(fact.state, paid_at=paid_at or None, created_at=created_at)
    assert sale(msgspec.structs.replace(fact, seen_at=10, state=state)).paid_at == expected


@pytest.mark.parametrize(
    ("facts", "total"),
    [
        ([session(1_200, "pi_1"), intent(1, 1_200)], 1_200),
        ([session(None, "pi_1"), intent(1, 800)], 800),  # older sessions do not name what they came to
        ([session(None)], 0),
    ],
)
def test_what_a_session_came_to(facts: list[Fact], total: int) -> None:
    found = sale(*facts)
    assert (found.total, found.paid) == (total, total)


def test_a_session_is_known_by_the_first_of_its_payment_intents() -> None:
    assert sale(session(900, "pi_2", "pi_1"), intent(2, 900)).key == "pi_1"
    assert sale(session(900)).key == "cs_1"


def test_two_sales_of_one_customer_account_are_two_sales() -> None:
    facts = [invoice(number, [line(number, 1_000)], customer="acct_1") for number in (1, 2)]
    assert [(found.key, found.customer_id) for found in sales_of(facts)] == [("in_1", "acct_1"), ("in_2", "acct_1")]
