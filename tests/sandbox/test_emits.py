"""What each method emits, in order: the promises at the top of the package."""

from datetime import UTC, datetime

import pytest

from refref.sandbox import Sandbox
from refref.sandbox.errors import StripeError

ONE_OFF = ["payment_intent.created", "charge.succeeded", "charge.updated", "payment_intent.succeeded"]
INVOICED = ["invoice.paid", "invoice.payment_succeeded", "invoice_payment.paid"]
FIRST_INVOICE = ["invoice.created", "invoice.finalized", *ONE_OFF, *INVOICED]
RENEWAL = ["customer.subscription.updated", *FIRST_INVOICE]


class Till:
    """A sandbox with three prices, and the types of the events since the last look."""

    def __init__(self) -> None:
        self.sb = Sandbox(clock_start="2026-01-31T00:00:00+00:00", seed=1)
        product = self.sb.create_product("Plan")["id"]
        self.monthly = self.sb.create_price(product, "usd", 2500, interval="month")["id"]
        self.yearly = self.sb.create_price(product, "usd", 25000, interval="year")["id"]
        self.once = self.sb.create_price(product, "usd", 1500)["id"]
        self.customer = self.sb.create_customer(email="a@example.com")["id"]
        self.coupon = self.sb.create_coupon(percent_off=100, duration="forever")["id"]
        self.seen = len(self.sb.events)

    def types(self) -> list[str]:
        new = self.sb.events_since(self.seen)
        self.seen += len(new)
        return [e["type"] for e in new]


@pytest.fixture
def till() -> Till:
    return Till()


def test_one_off_guest(till: Till) -> None:
    session = till.sb.sell(price=till.once, email="g@example.com", client_reference_id="amy")
    assert till.types() == [*ONE_OFF, "checkout.session.completed"]
    assert (session["customer"], session["customer_details"]["email"]) == (None, "g@example.com")
    assert till.sb.events[-1]["request"] == {"id": None, "idempotency_key": None}


def test_one_off_with_invoice(till: Till) -> None:
    till.sb.sell(price=till.once, customer=till.customer, invoice_creation={"enabled": True})
    made = ["invoiceitem.created", "invoice.created", "invoice.finalized"]
    assert till.types() == [*ONE_OFF, *made, *INVOICED, "checkout.session.completed"]


def test_subscription_checkout_and_renewal(till: Till) -> None:
    session = till.sb.sell(price=till.monthly, email="s@example.com", subscription_data={"metadata": {"k": "v"}})
    created = ["customer.created", "customer.subscription.created"]
    ends = ["customer.subscription.updated", "checkout.session.completed"]
    assert till.types() == [*created, *FIRST_INVOICE, *ends]
    first, second = (e["data"]["object"]["status"] for e in till.sb.events if "customer.subscription." in e["type"])
    assert (first, second) == ("incomplete", "active")
    till.sb.advance("2026-02-28T00:00:00+00:00")
    assert till.types() == RENEWAL
    till.sb.advance("2026-03-31T00:00:00+00:00")
    assert till.types() == RENEWAL
    invoice = till.sb.get(till.sb.get(session["subscription"])["latest_invoice"])
    assert invoice["billing_reason"] == "subscription_cycle"
    assert invoice["parent"]["subscription_details"]["metadata"] == {"k": "v"}
    assert till.sb.events[-1]["request"]["id"] is None


def test_trial_then_first_payment(till: Till) -> None:
    session = till.sb.sell(price=till.monthly, customer=till.customer, subscription_data={"trial_period_days": 14})
    nothing_due = ["invoice.created", "invoice.finalized", "invoice.paid"]
    assert till.types() == ["customer.subscription.created", *nothing_due, "checkout.session.completed"]
    assert (session["payment_status"], session["amount_total"]) == ("no_payment_required", 0)
    till.sb.advance_by(days=14)
    assert till.types() == ["customer.subscription.trial_will_end", *RENEWAL]


def test_asynchronous_payment(till: Till) -> None:
    session = till.sb.checkout(mode="payment", line_items=[{"price": till.once}])["id"]
    assert till.sb.pay_session(session, card="sepa")["payment_status"] == "unpaid"
    begun = ["payment_intent.created", "payment_intent.processing", "charge.pending", "checkout.session.completed"]
    assert till.types() == begun
    till.sb.settle_session(session)
    assert till.types() == [*ONE_OFF[1:], "checkout.session.async_payment_succeeded"]


def test_free_of_charge(till: Till) -> None:
    session = till.sb.sell(price=till.once, customer=till.customer, discounts=[{"coupon": till.coupon}])
    assert session["payment_status"] == "no_payment_required"
    assert till.types() == ["checkout.session.completed"]


def test_a_declined_card_leaves_the_session_open(till: Till) -> None:
    session = till.sb.checkout(mode="payment", line_items=[{"price": till.once}])["id"]
    with pytest.raises(StripeError) as refused:
        till.sb.pay_session(session, card="declined")
    assert refused.value.status == 402
    assert till.types() == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    till.sb.pay_session(session)
    assert till.types() == [*ONE_OFF[1:], "checkout.session.completed"]


def test_upgrade_and_downgrade_at_once(till: Till) -> None:
    sub = till.sb.subscribe(till.customer, price=till.monthly)["id"]
    till.types()
    till.sb.change_subscription(sub, price=till.yearly, proration_behavior="always_invoice")
    assert till.types() == [
        "customer.subscription.updated",
        "invoiceitem.created",
        "invoiceitem.created",
        *FIRST_INVOICE,
    ]
    invoice = till.sb.get(till.sb.get(sub)["latest_invoice"])
    assert [line["amount"] for line in invoice["lines"]["data"]] == [-2500, 25000]
    assert (invoice["amount_paid"], invoice["billing_reason"]) == (22500, "subscription_update")
    till.sb.change_subscription(sub, price=till.monthly, proration_behavior="always_invoice")
    back = till.sb.get(till.sb.get(sub)["latest_invoice"])
    assert (back["total"], back["amount_due"], back["amount_paid"], back["status"]) == (-22500, 0, 0, "paid")
    assert till.sb.get(till.customer)["balance"] == -22500
    till.sb.advance_by(months=1)
    renewal = till.sb.get(till.sb.get(sub)["latest_invoice"])
    assert (renewal["total"], renewal["amount_paid"], renewal["ending_balance"]) == (2500, 0, -20000)


def test_quantity_change_is_billed_with_the_renewal(till: Till) -> None:
    sub = till.sb.subscribe(till.customer, price=till.monthly)["id"]
    till.sb.advance_by(days=14)
    till.types()
    till.sb.change_subscription(sub, quantity=3, scheduled=True)
    assert till.types() == ["customer.subscription.updated", "invoiceitem.created", "invoiceitem.created"]
    assert till.sb.events[-1]["request"]["id"] is None
    till.sb.advance("2026-02-28T00:00:00+00:00")
    invoice = till.sb.get(till.sb.get(sub)["latest_invoice"])
    assert sorted(line["amount"] for line in invoice["lines"]["data"]) == [-1250, 3750, 7500]


def test_failed_renewal_is_paid_later(till: Till) -> None:
    sub = till.sb.subscribe(till.customer, price=till.monthly)["id"]
    till.sb.update_customer(till.customer, card="declined")
    till.types()
    till.sb.advance_by(months=1)
    failed = ["charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"]
    moved = "customer.subscription.updated"
    assert till.types() == [moved, "invoice.created", "invoice.finalized", ONE_OFF[0], *failed, moved]
    assert till.sb.get(sub)["status"] == "past_due"
    till.sb.pay_invoice(till.sb.get(sub)["latest_invoice"], card="visa")
    assert till.types() == [*ONE_OFF[1:], *INVOICED, moved]
    assert till.sb.get(sub)["status"] == "active"


def test_refunds_and_their_failure(till: Till) -> None:
    session = till.sb.sell(price=till.once, email="g@example.com")["id"]
    till.types()
    refund = till.sb.refund(session, amount=500)["id"]
    assert till.types() == ["refund.created", "charge.refunded"]
    assert till.sb.events[-1]["data"]["previous_attributes"]["amount_refunded"] == 0
    till.sb.fail_refund(refund)
    assert till.types() == ["refund.updated", "refund.failed", "charge.refund.updated", "charge.updated"]
    assert till.sb.events[-1]["data"]["object"]["amount_refunded"] == 0


def test_disputes(till: Till) -> None:
    session = till.sb.sell(price=till.once, email="g@example.com")["id"]
    till.types()
    dispute = till.sb.dispute(session)["id"]
    assert till.types() == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    till.sb.close_dispute(dispute, "won")
    assert till.types() == ["charge.dispute.closed", "charge.dispute.funds_reinstated"]
    inquiry = till.sb.dispute(session, inquiry=True)["id"]
    till.sb.close_dispute(inquiry, "warning_closed")
    assert till.types() == ["charge.dispute.created", "charge.dispute.closed"]
    with pytest.raises(StripeError):
        till.sb.close_dispute(inquiry, "won")


def test_credit_notes(till: Till) -> None:
    invoice = till.sb.create_invoice(till.customer, [{"amount": 1000}, {"amount": 500}])
    till.types()
    till.sb.credit_note(invoice["id"], amount=200)
    assert till.types() == ["credit_note.created", "invoice.updated"]
    paid = till.sb.pay_invoice(invoice["id"])
    assert (paid["total"], paid["amount_due"], paid["amount_paid"]) == (1500, 1300, 1300)
    till.types()
    till.sb.credit_note(invoice["id"], lines=[{"invoice_line_item": invoice["lines"]["data"][1]["id"]}])
    assert till.types() == ["refund.created", "charge.refunded", "credit_note.created", "invoice.updated"]
    till.sb.credit_note(invoice["id"], amount=100, credit_amount=100)
    assert till.types() == ["customer.updated", "credit_note.created", "invoice.updated"]
    with pytest.raises(StripeError):
        till.sb.credit_note(invoice["id"], amount=800)


def test_invoices_paid_in_other_ways(till: Till) -> None:
    cash = till.sb.create_invoice(till.customer, [{"amount": 900}])["id"]
    till.types()
    paid = till.sb.pay_invoice(cash, out_of_band=True)
    assert till.types() == ["invoice.paid"]
    assert (paid["amount_paid"], paid["amount_paid_off_stripe"]) == (900, 900)
    parts = till.sb.create_invoice(till.customer, [{"amount": 900}])["id"]
    till.types()
    till.sb.pay_invoice(parts, amount=400)
    assert till.types() == [*ONE_OFF, "invoice.updated", "invoice_payment.paid"]
    over = till.sb.pay_invoice(parts, amount=600)
    assert till.types() == [*ONE_OFF, *INVOICED, "customer.updated"]
    assert (over["amount_paid"], over["amount_overpaid"]) == (1000, 100)
    assert till.sb.get(till.customer)["balance"] == -100


def test_snapshots_do_not_move(till: Till) -> None:
    sub = till.sb.subscribe(till.customer, price=till.monthly)["id"]
    created = next(e for e in till.sb.events if e["type"] == "customer.subscription.created")
    till.sb.cancel_subscription(sub)
    assert created["data"]["object"]["status"] == "active"
    assert till.types()[-1] == "customer.subscription.deleted"


def test_a_deleted_customer_is_known_as_deleted(till: Till) -> None:
    till.sb.subscribe(till.customer, price=till.monthly)
    session = till.sb.sell(price=till.once, customer=till.customer)["id"]
    till.types()
    till.sb.delete_customer(till.customer)
    assert till.types() == ["customer.subscription.deleted", "customer.deleted"]
    assert till.sb.get(till.customer) == {"id": till.customer, "object": "customer", "deleted": True}
    till.sb.refund(session)
    assert till.types() == ["refund.created", "charge.refunded"]


def test_the_calendar_keeps_the_day_of_the_month(till: Till) -> None:
    sub = till.sb.subscribe(till.customer, price=till.monthly)["id"]
    till.sb.advance("2026-07-01T00:00:00+00:00")
    starts = [e["created"] for e in till.sb.events if e["type"] == "invoice.created"]
    ends = [31, 28, 31, 30, 31, 30]
    assert [datetime.fromtimestamp(s, UTC).day for s in starts] == ends
    assert till.sb.get(sub)["status"] == "active"


def test_an_authorised_amount_is_money_only_when_captured(till: Till) -> None:
    intent = till.sb.create_payment_intent(900, "usd", customer=till.customer, capture=False)
    assert till.types() == ["payment_intent.created", "charge.succeeded", "payment_intent.amount_capturable_updated"]
    charge = till.sb.get(intent["latest_charge"])
    assert (charge["captured"], charge["amount_captured"], intent["amount_received"]) == (False, 0, 0)
    with pytest.raises(StripeError):
        till.sb.refund(charge["id"])
    till.sb.capture_payment_intent(intent["id"])
    assert till.types() == ["charge.captured", "charge.updated", "payment_intent.succeeded"]
    assert till.sb.get(charge["id"])["amount_captured"] == 900


def test_cards_that_dispute_themselves(till: Till) -> None:
    till.sb.create_charge(900, "usd", card="inquired")
    assert till.types() == ["charge.succeeded", "charge.updated", "charge.dispute.created"]
    till.sb.create_charge(900, "usd", card="disputed")
    assert till.types()[2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]


def test_a_card_has_one_fingerprint(till: Till) -> None:
    def fingerprint(card: str) -> str:
        details = till.sb.create_charge(100, "usd", card=card)["payment_method_details"]
        return str(details["card"]["fingerprint"])

    assert fingerprint("visa") == fingerprint("visa")
    assert len({fingerprint(c) for c in ("visa", "mastercard", "amex", "amy's card", "bob's card")}) == 5


def test_an_upgrade_includes_percentages_and_a_restart_is_a_new_subscription(till: Till) -> None:
    half = till.sb.create_coupon(percent_off=50, duration="forever")["id"]
    sub = till.sb.subscribe(till.customer, price=till.monthly, coupon=half)["id"]
    till.sb.change_subscription(sub, price=till.yearly, proration_behavior="always_invoice")
    upgrade = till.sb.get(till.sb.get(sub)["latest_invoice"])
    assert [line["amount"] for line in upgrade["lines"]["data"]] == [-1250, 12500]
    till.sb.cancel_subscription(sub)
    again = till.sb.subscribe(till.customer, price=till.monthly)
    assert (again["id"] != sub, again["status"], again["discounts"]) == (True, "active", [])


def test_coupons_run_out(till: Till) -> None:
    two = till.sb.create_coupon(amount_off=500, currency="usd", duration="repeating", duration_in_months=2)["id"]
    sub = till.sb.subscribe(till.customer, price=till.monthly, coupon=two)["id"]
    once = till.sb.create_coupon(percent_off=50, duration="once")["id"]
    code = till.sb.create_promotion_code(once, "HALF")["id"]
    other = till.sb.sell(price=till.monthly, email="h@example.com", promotion_code="half")["subscription"]
    till.sb.update_promotion_code(code, active=False)
    till.sb.delete_coupon(two)
    till.sb.advance_by(months=3)
    paid = [i for i in till.sb.all("invoice") if i["status"] == "paid"]
    totals = {
        s: [i["total"] for i in paid if i["parent"]["subscription_details"]["subscription"] == s] for s in (sub, other)
    }
    assert totals == {sub: [2000, 2000, 2500, 2500], other: [1250, 2500, 2500, 2500]}
    with pytest.raises(StripeError):
        till.sb.sell(price=till.monthly, email="i@example.com", promotion_code="HALF")


def test_a_refused_checkout_leaves_nothing_behind(till: Till) -> None:
    items = [{"price": till.monthly}]
    with pytest.raises(StripeError):
        till.sb.checkout(mode="subscription", line_items=items, discounts=[{"promotion_code": "promo_none"}])
    assert till.sb.all("checkout.session") == []
    session = till.sb.checkout(mode="subscription", line_items=items)["id"]
    with pytest.raises(StripeError):
        till.sb.pay_session(session, card="declined", email="x@example.com")
    assert (till.types(), till.sb.get(session)["status"]) == ([], "open")
