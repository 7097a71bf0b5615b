"""Checkout Sessions and the carriers of a referral: which values are found where, and since when they are known."""

from typing import Any

import pytest
from stripe_payloads import NOW, customer, discount, facts, invoice, needs, payment_intent, session, subscription

from refref.core.facts import Carrier, CarrierKind
from refref.stripe.readers import Need, NeedKind, read_document

COMPLETED = "checkout.session.completed"
SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"


@pytest.mark.parametrize(
    ("name", "changes", "rank"),
    [
        (COMPLETED, {"status": "open", "payment_status": "unpaid"}, 0),
        (EXPIRED, {"status": "expired", "payment_status": "unpaid"}, 1),
        (COMPLETED, {"payment_status": "unpaid"}, 2),
        (FAILED, {"payment_status": "unpaid"}, 3),
        (SUCCEEDED, {}, 4),
        (COMPLETED, {}, 4),
        (COMPLETED, {"payment_status": "no_payment_required"}, 4),
        # An old shape without `status`: the event's name tells.
        (COMPLETED, {"status": None}, 4),
        (COMPLETED, {"status": None, "payment_status": "unpaid"}, 2),
        (EXPIRED, {"status": None, "payment_status": "unpaid"}, 1),
    ],
)
def test_rank_of_a_session(name: str, changes: dict[str, Any], rank: int) -> None:
    fact = facts(session(**changes), name)["cs_1"]
    assert fact.rank == rank
    assert fact.state.has_async_failure is (name == FAILED)


def test_links_of_a_session() -> None:
    whole = session(mode="subscription", customer="cus_1", subscription="sub_1", invoice="in_1", payment_intent=None)
    assert facts(whole)["cs_1"].links == ("cus_1", "in_1", "sub_1")
    assert facts(session(customer=None))["cs_1"].links == ("pi_1",)  # a guest
    assert facts(session(customer=None, customer_account="acct_1"))["cs_1"].links == ("acct_1", "pi_1")


def test_lines_are_asked_for_where_no_invoice_has_them() -> None:
    assert needs(session()) == {("session_lines", "cs_1")}
    assert needs(session(invoice="in_1")) == set()
    assert needs(session(mode="subscription", subscription="sub_1")) == set()
    assert needs(session(status="expired", payment_status="unpaid"), EXPIRED) == set()
    # Asked once: when the delayed payment has come, not before.
    assert needs(session(payment_status="unpaid"), COMPLETED) == set()
    assert needs(session(), SUCCEEDED) == {("session_lines", "cs_1")}


def test_fetched_lines_win_over_none() -> None:
    item = {
        "id": "li_1",
        "object": "item",
        "amount_subtotal": 1000,
        "amount_discount": 100,
        "amount_tax": 90,
        "amount_total": 990,
        "price": {"id": "price_1", "product": "prod_1"},
        "quantity": 1,
        "description": "Mug",
    }
    inclusive = {**item, "id": "li_2", "amount_total": 900}
    document = session(line_items={"object": "list", "data": [item, inclusive], "has_more": False})
    (fact,) = read_document(Need(NeedKind.SESSION_LINES, "cs_1"), document, NOW)
    told = facts(session())["cs_1"]
    assert (fact.rank, fact.seen_at, fact.links) == (told.rank, told.seen_at, told.links)
    assert fact.weight > told.weight
    assert [
        (line.amount, line.discount, line.tax_inclusive, line.tax_exclusive, line.product) for line in fact.state.lines
    ] == [(1000, 100, 0, 90, "prod_1"), (1000, 100, 90, 0, "prod_1")]


def test_a_session_in_the_buyers_currency_speaks_the_merchants() -> None:
    conversion = {"amount_subtotal": 1000, "amount_total": 1100, "fx_rate": "1.1", "source_currency": "USD"}
    totals = {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 110}
    old = session(currency="eur", amount_total=1210, currency_conversion=conversion, total_details=totals)
    new = session(
        currency="usd",
        amount_total=1100,
        total_details={**totals, "amount_tax": 100},
        presentment_details={"presentment_amount": 1210, "presentment_currency": "eur"},
    )
    assert facts(old)["cs_1"].state == facts(new)["cs_1"].state
    assert facts(old)["cs_1"].weight < facts(new)["cs_1"].weight


def test_carriers_of_a_session_date_from_its_creation() -> None:
    found = facts(
        session(
            client_reference_id=" ref_1 ",
            metadata={"refref_referral_id": "ref_2", "refref_campaign": "spring"},
            discounts=[{"coupon": None, "promotion_code": "promo_1"}],
        )
    )["cs_1"]
    assert found.carriers == (
        Carrier(CarrierKind.CLIENT_REFERENCE, "ref_1", NOW - 600, "spring"),
        Carrier(CarrierKind.PROMOTION_CODE, "promo_1", NOW),
        Carrier(CarrierKind.SESSION_METADATA, "ref_2", NOW - 600, "spring"),
    )


@pytest.mark.parametrize("blank", [None, "", "  ", "\t\n", "\x00", "a\x00b"])
def test_blank_values_are_no_carriers(blank: str | None) -> None:
    payload = session(client_reference_id=blank, metadata={"refref_referral_id": blank, "refref_campaign": "x"})
    assert facts(payload)["cs_1"].carriers == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"discounts": [{"coupon": "c", "promotion_code": "promo_1"}]},
        {"discounts": [{"coupon": None, "promotion_code": {"id": "promo_1", "object": "promotion_code"}}]},
        {
            "total_details": {
                "amount_discount": 1,
                "breakdown": {"discounts": [{"amount": 1, "discount": discount()}]},
            }
        },
    ],
)
def test_promotion_codes_of_a_session(changes: dict[str, Any]) -> None:
    assert facts(session(**changes))["cs_1"].carriers == (Carrier(CarrierKind.PROMOTION_CODE, "promo_1", NOW),)


def test_a_discount_that_the_session_does_not_name_is_asked_for() -> None:
    totals = {"amount_discount": 100, "amount_shipping": 0, "amount_tax": 0}
    assert needs(session(invoice="in_1", total_details=totals, discounts=None)) == {("session_discounts", "cs_1")}
    assert needs(session(invoice="in_1", discounts=["di_1"])) == {("session_discounts", "cs_1")}
    named = session(invoice="in_1", total_details=totals, discounts=[{"coupon": "c", "promotion_code": None}])
    assert needs(named) == set()


def test_carriers_of_the_other_objects() -> None:
    metadata = {"refref_referral_id": "ref_1"}
    table = [
        (payment_intent(metadata=metadata), "pi_1", CarrierKind.PAYMENT_INTENT_METADATA, NOW),
        (invoice(metadata=metadata), "in_1", CarrierKind.INVOICE_METADATA, NOW - 60),
        (customer(metadata=metadata), "cus_1", CarrierKind.CUSTOMER_METADATA, NOW),
        (subscription(metadata=metadata), "sub_1", CarrierKind.SUBSCRIPTION_METADATA, NOW),
        (customer(discount=discount()), "cus_1", CarrierKind.PROMOTION_CODE, NOW),
        (subscription(discount=discount()), "sub_1", CarrierKind.PROMOTION_CODE, NOW),
        (subscription(discounts=[discount()]), "sub_1", CarrierKind.PROMOTION_CODE, NOW),
    ]
    for payload, stripe_id, kind, seen_at in table:
        (carrier,) = facts(payload)[stripe_id].carriers
        assert (carrier.kind, carrier.seen_at) == (kind, seen_at)


@pytest.mark.parametrize("name", ["created", "updated", "deleted"])
def test_a_discount_event_carries_the_promotion_code(name: str) -> None:
    carried = (Carrier(CarrierKind.PROMOTION_CODE, "promo_1", NOW),)
    on_customer = facts(discount(), f"customer.discount.{name}")
    assert on_customer["cus_1"].carriers == carried
    on_subscription = facts(discount(subscription="sub_1"), f"customer.discount.{name}")
    assert on_subscription["sub_1"].carriers == carried
    assert on_subscription["sub_1"].links == ("cus_1",)
    without = facts(discount(promotion_code=None), f"customer.discount.{name}")["cus_1"]
    assert (without.carriers, without.marks) == ((), (("coupon:10OFF", NOW),))


@pytest.mark.parametrize("payload", [customer(), {"id": "cus_1", "object": "customer", "deleted": True}])
def test_a_deleted_customer_is_marked(payload: dict[str, Any]) -> None:
    fact = facts(payload, "customer.deleted")["cus_1"]
    assert (fact.state, fact.marks) == (None, (("deleted", NOW),))


def test_state_of_a_customer() -> None:
    state = facts(customer())["cus_1"].state
    assert (state.email, state.country, state.currency) == ("buyer@example.com", "DE", "usd")
    shipped = customer(address=None, shipping={"address": {"country": "FR"}}, currency=None, email=None)
    state = facts(shipped)["cus_1"].state
    assert (state.email, state.country, state.currency) == (None, "FR", None)
