"""Who brought whom at the edges of time, through a subscription's session, and what is kept of the customer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.samples import DAY, T0, charge, config, customer, invoice, line
from refref.core.attribution import carriers_by_referee
from refref.core.derive import DerivedCustomer, derive
from refref.core.facts import Carrier, CarrierKind, Fact, InvoiceState, Kind, SessionState
from refref.core.sales import sales_of

NOW = T0 + 400 * DAY


def session(mode: str, *links: str, code: str = "ana", email: str | None = None) -> Fact:
    state = SessionState(mode, "complete", "paid", "usd", 5_000, created_at=T0, email=email)
    return Fact("cs_1", Kind.SESSION, 4, T0, 1, state, links, (Carrier(CarrierKind.CLIENT_REFERENCE, code, T0),))


def groups(*facts: Fact) -> dict[str, list[tuple[str, str]]]:
    """Per referee: the sale with which each carrier is weighed, and the sale that brought it."""
    found = carriers_by_referee(facts, sales_of(facts))
    return {referee: [(item.group, item.sale_key) for item in items] for referee, items in found.items()}


@pytest.mark.parametrize(("after", "group"), [(0, "in_1"), (DAY, "in_1"), (DAY + 1, "cus_1")])
def test_what_is_known_of_a_customer_within_a_day_of_the_first_sale_stands_with_it(after: int, group: str) -> None:
    assert groups(customer(at=T0 + after), invoice(1, [line(1, 900)])) == {"cus_1": [(group, "")]}


@pytest.mark.parametrize(("status", "group"), [("paid", "in_1"), ("open", "in_2")])
def test_an_unpaid_invoice_is_no_first_sale(status: str, group: str) -> None:
    first = invoice(1, [line(1, 900)], status=status)
    second = invoice(2, [line(2, 900)], paid_at=T0 + 5 * DAY)
    assert groups(customer(), first, second) == {"cus_1": [(group, "")]}


def test_the_session_of_a_subscription_stands_with_the_first_sale_of_that_subscription() -> None:
    facts = [
        invoice(1, [line(1, 900)], subscription="sub_1", paid_at=T0),
        invoice(2, [line(2, 900)], subscription="sub_2", paid_at=T0 + DAY),
        invoice(3, [line(3, 900)], subscription="sub_2", paid_at=T0 + 31 * DAY),
    ]
    assert groups(session("subscription", "cus_1", "sub_2"), *facts) == {"cus_1": [("in_2", "in_2")]}


def test_a_session_without_a_sale_speaks_of_the_account_before_its_customer() -> None:
    assert groups(session("setup", "acct_1", "cus_1")) == {"acct_1": [("cs_1", "")]}


def with_email(fact: Fact, email: str) -> Fact:
    assert isinstance(fact.state, InvoiceState)
    return replace(fact, state=replace(fact.state, email=email))


@pytest.mark.parametrize(
    ("facts", "email", "is_deleted"),
    [
        ([customer(email="own@example.com")], "own@example.com", False),
        ([customer()], None, False),
        ([customer(), with_email(invoice(1, [line(1, 900)]), "buyer@example.com")], "buyer@example.com", False),
        ([customer(), session("payment", "cus_1", email="buyer@example.com")], "buyer@example.com", False),
        (
            [customer(email="own@example.com"), with_email(invoice(1, [line(1, 900)]), "buyer@example.com")],
            "own@example.com",
            False,
        ),
        ([replace(customer(), marks=(("deleted", T0),))], None, True),
        ([replace(customer(), marks=(("coupon:spring", T0),))], None, False),
    ],
)
def test_what_is_kept_of_a_customer(facts: list[Fact], email: str | None, is_deleted: bool) -> None:
    assert derive(facts, config(), NOW).customers == (DerivedCustomer("cus_1", email, None, T0, is_deleted),)


def test_cards_of_a_customer_are_those_of_its_charges() -> None:
    paid = charge(1, 900)
    assert paid.state is not None
    facts = [customer(), replace(paid, state=replace(paid.state, card_fingerprint="card_a")), charge(2, 700)]
    assert derive(facts, config(), NOW).cards == {"card_a"}
