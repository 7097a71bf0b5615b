"""What happens to subscriptions: items, trials, pauses, anchors, cancellation, schedules, dunning; over the wire."""

from datetime import UTC, datetime

import pytest

import stripe
from refref.sandbox import Sandbox
from sandbox.shop import Shop

DAY = 86_400


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def types(sb: Sandbox, since: int) -> list[str]:
    return [e["type"] for e in sb.events_since(since)]


def customer_of(shop: Shop, **more: str) -> str:
    return shop.client.v1.customers.create({"email": "a@example.com", **more}).id  # type: ignore[typeddict-item]  # more: any field of it


def test_items_are_added_changed_and_removed(shop: Shop) -> None:
    v1 = shop.client.v1
    seats = v1.prices.create(
        {"currency": "usd", "unit_amount": 1000, "recurring": {"interval": "month"}, "product_data": {"name": "Seat"}}
    ).id
    sub = v1.subscriptions.create({"customer": customer_of(shop), "items": [{"price": shop.monthly}]})
    shop.sb.advance("2026-02-14T00:00:00+00:00")  # half of the 28 days
    item = v1.subscription_items.create({"subscription": sub.id, "price": seats, "quantity": 2})
    pending = v1.invoice_items.list({"customer": str(sub.customer), "pending": True}).data
    assert [i.amount for i in pending] == [1000]  # 2 seats for half the period
    v1.subscription_items.update(item.id, {"quantity": 3, "proration_behavior": "none"})
    assert [i.quantity for i in v1.subscription_items.list({"subscription": sub.id}).data] == [1, 3]
    shop.sb.advance("2026-02-28T00:00:00+00:00")
    renewal = v1.invoices.list({"subscription": sub.id, "limit": 1}).data[0]
    assert sorted(line.amount for line in renewal.lines.data) == [1000, 2500, 3000]
    assert v1.subscription_items.delete(item.id, {"proration_behavior": "always_invoice"}).deleted
    credit = v1.invoices.list({"subscription": sub.id, "limit": 1}).data[0]
    assert (credit.total, credit.amount_due) == (-3000, 0)
    with pytest.raises(stripe.InvalidRequestError, match="at least one"):
        v1.subscription_items.delete(v1.subscription_items.list({"subscription": sub.id}).data[0].id)


@pytest.mark.parametrize(
    ("behavior", "pending", "invoices"),
    [("create_prorations", 2, 1), ("always_invoice", 0, 2), ("none", 0, 1)],
)
def test_the_three_proration_behaviors(shop: Shop, behavior: str, pending: int, invoices: int) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create({"customer": customer_of(shop), "items": [{"price": shop.monthly}]})
    shop.sb.advance("2026-02-14T00:00:00+00:00")
    item = sub["items"].data[0].id
    v1.subscriptions.update(sub.id, {"items": [{"id": item, "quantity": 2}], "proration_behavior": behavior})  # type: ignore[typeddict-item]  # one of three words
    found = v1.invoice_items.list({"customer": str(sub.customer), "pending": True}).data
    assert len(found) == pending
    assert sum(i.amount for i in found) in (0, 1250)
    assert len(v1.invoices.list({"subscription": sub.id}).data) == invoices


@pytest.mark.parametrize("amount_off", [500, 4000])
def test_an_amount_off_is_part_of_a_proration(sb: Sandbox, amount_off: int) -> None:
    product = sb.create_product("Plan")["id"]
    small, large = (sb.create_price(product, "usd", a, interval="month")["id"] for a in (2000, 6000))
    coupon = sb.create_coupon(amount_off=amount_off, currency="usd", duration="forever")["id"]
    sub = sb.subscribe(sb.create_customer()["id"], price=small, coupon=coupon)["id"]
    sb.advance("2026-02-14T00:00:00+00:00")
    sb.change_subscription(sub, price=large, proration_behavior="always_invoice")
    lines = sb.get(sb.get(sub)["latest_invoice"])["lines"]["data"]
    small_net, large_net = max(0, 2000 - amount_off), 6000 - amount_off
    assert [line["amount"] for line in lines] == [-small_net // 2, large_net // 2]


def test_a_trial_without_a_method_pauses_and_resumes(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = shop.sb.create_customer(email="n@example.com", card="none")["id"]
    sub = v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": shop.monthly}],
            "trial_period_days": 7,
            "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        }
    )
    seen = len(shop.sb.events)
    shop.sb.advance_by(days=8)
    assert types(shop.sb, seen) == [
        "customer.subscription.trial_will_end",
        "customer.subscription.updated",
        "customer.subscription.paused",
    ]
    assert v1.subscriptions.retrieve(sub.id).status == "paused"
    v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    resumed = v1.subscriptions.resume(sub.id)
    assert (resumed.status, resumed.billing_cycle_anchor) == ("active", shop.sb.now)
    assert "customer.subscription.resumed" in types(shop.sb, seen)
    assert v1.invoices.list({"subscription": sub.id, "limit": 1}).data[0].amount_paid == 2500


def test_trials_are_lengthened_and_ended(shop: Shop) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create(
        {"customer": customer_of(shop), "items": [{"price": shop.monthly}], "trial_period_days": 7}
    )
    end = shop.sb.now + 20 * DAY
    assert v1.subscriptions.update(sub.id, {"trial_end": end}).trial_end == end
    shop.sb.advance_by(days=10)
    assert v1.subscriptions.retrieve(sub.id).status == "trialing"
    ended = v1.subscriptions.update(sub.id, {"trial_end": "now", "expand": ["latest_invoice"]})
    assert (ended.status, ended.latest_invoice.amount_paid) == ("active", 2500)
    shop.sb.advance_by(months=1)
    assert [i.amount_paid for i in v1.invoices.list({"subscription": sub.id}).data] == [2500, 2500, 0]


def test_cancellation_at_a_chosen_instant(shop: Shop) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create({"customer": customer_of(shop), "items": [{"price": shop.monthly}]})
    v1.subscriptions.update(sub.id, {"cancel_at": at("2026-03-10")})
    shop.sb.advance("2026-03-09T00:00:00+00:00")
    assert v1.subscriptions.retrieve(sub.id).status == "active"
    shop.sb.advance("2026-03-11T00:00:00+00:00")
    gone = v1.subscriptions.retrieve(sub.id)
    assert (gone.status, gone.ended_at) == ("canceled", at("2026-03-10"))


def test_cancelling_with_a_credit_for_the_unused_time(shop: Shop) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create({"customer": customer_of(shop), "items": [{"price": shop.monthly}]})
    shop.sb.advance("2026-02-14T00:00:00+00:00")
    v1.subscriptions.cancel(sub.id, {"prorate": True, "invoice_now": True})
    assert v1.customers.retrieve(str(sub.customer)).balance == -1250


def test_a_billing_cycle_anchor(shop: Shop) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create(
        {
            "customer": customer_of(shop),
            "items": [{"price": shop.monthly}],
            "billing_cycle_anchor": at("2026-02-14"),
            "expand": ["latest_invoice"],
        }
    )
    assert sub.latest_invoice.amount_paid == 1250  # 14 of 28 days
    shop.sb.advance("2026-03-20T00:00:00+00:00")
    paid = [(i.amount_paid, i.created) for i in v1.invoices.list({"subscription": sub.id}).data]
    assert paid[:2] == [(2500, at("2026-03-14")), (2500, at("2026-02-14"))]


def test_an_invoice_that_is_sent(shop: Shop) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create(
        {
            "customer": customer_of(shop),
            "items": [{"price": shop.monthly}],
            "collection_method": "send_invoice",
            "days_until_due": 14,
            "expand": ["latest_invoice"],
        }
    )
    invoice = sub.latest_invoice
    assert (sub.status, invoice.status, invoice.due_date) == ("active", "open", shop.sb.now + 14 * DAY)
    seen = len(shop.sb.events)
    assert v1.invoices.send_invoice(invoice.id).status == "open"
    assert types(shop.sb, seen) == ["invoice.sent"]


def test_a_default_payment_method_of_the_subscription(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = customer_of(shop, payment_method="pm_card_visa")
    other = v1.payment_methods.create({"type": "card", "card": {"token": "tok_mastercard"}})
    v1.payment_methods.attach(other.id, {"customer": customer})
    sub = v1.subscriptions.create(
        {"customer": customer, "items": [{"price": shop.monthly}], "default_payment_method": other.id}
    )
    charge = v1.charges.list({"customer": customer}).data[0]
    assert (charge.payment_method, charge.payment_method_details.card.brand) == (other.id, "mastercard")
    assert v1.payment_methods.retrieve(str(charge.payment_method)).customer == customer
    assert sub.status == "active"


@pytest.mark.parametrize(
    ("after", "status", "last"),
    [
        ("canceled", "canceled", "customer.subscription.deleted"),
        ("unpaid", "unpaid", "customer.subscription.updated"),
        ("past_due", "past_due", "invoice.payment_failed"),
    ],
)
def test_dunning(shop: Shop, after: str, status: str, last: str) -> None:
    sb, v1 = shop.sb, shop.client.v1
    sb.set_billing(retry_days=[3, 5, 7], after_retries=after)
    customer = customer_of(shop)
    sub = v1.subscriptions.create({"customer": customer, "items": [{"price": shop.monthly}]}).id
    sb.update_customer(customer, card="insufficient_funds")
    sb.advance("2026-02-28T00:00:00+00:00")
    invoice = v1.invoices.list({"subscription": sub, "limit": 1}).data[0]
    assert (invoice.attempt_count, invoice.next_payment_attempt) == (1, at("2026-03-03"))
    assert v1.subscriptions.retrieve(sub).status == "past_due"
    sb.advance("2026-03-20T00:00:00+00:00")
    failed = [e for e in sb.events if e["type"] == "invoice.payment_failed"]
    assert [e["created"] for e in failed] == [at(d) for d in ("2026-02-28", "2026-03-03", "2026-03-08", "2026-03-15")]
    invoice = v1.invoices.retrieve(invoice.id)
    assert (invoice.attempt_count, invoice.next_payment_attempt, invoice.status) == (4, None, "open")
    assert (v1.subscriptions.retrieve(sub).status, sb.events[-1]["type"]) == (status, last)
    sb.pay_invoice(invoice.id, card="visa")
    assert v1.subscriptions.retrieve(sub).status == ("canceled" if after == "canceled" else "active")


def test_a_retry_that_succeeds(shop: Shop) -> None:
    sb = shop.sb
    sb.set_billing(retry_days=[3, 5])
    customer = customer_of(shop)
    sub = sb.subscribe(customer, price=shop.monthly)["id"]
    sb.update_customer(customer, card="declined")
    sb.advance("2026-03-01T00:00:00+00:00")
    sb.update_customer(customer, card="visa")
    seen = len(sb.events)
    sb.advance("2026-03-04T00:00:00+00:00")
    assert types(sb, seen)[-5:] == [
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
    ]
    assert sb.get(sub)["status"] == "active"


def test_a_renewal_is_a_draft_for_an_hour(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    sb.set_billing(draft_seconds=3600)
    sub = v1.subscriptions.create({"customer": customer_of(shop), "items": [{"price": shop.monthly}]}).id
    sb.advance("2026-02-28T00:00:00+00:00")
    draft = v1.invoices.list({"subscription": sub, "limit": 1}).data[0]
    assert (draft.status, draft.automatically_finalizes_at) == ("draft", at("2026-02-28T01:00:00"))
    v1.invoice_items.create(
        {"customer": str(draft.customer), "invoice": draft.id, "amount": 300, "currency": "usd", "description": "Extra"}
    )
    sb.advance_by(hours=1)
    paid = v1.invoices.retrieve(draft.id)
    assert (paid.status, paid.amount_paid) == ("paid", 2800)


def test_authentication_is_asked_for(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    customer = customer_of(shop, payment_method="pm_card_authenticationRequired")
    seen = len(sb.events)
    sub = v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": shop.monthly}],
            "expand": ["latest_invoice.payments.data.payment.payment_intent"],
        }
    )
    intent = sub.latest_invoice.payments.data[0].payment.payment_intent
    assert (sub.status, intent.status) == ("incomplete", "requires_action")
    assert intent.next_action.redirect_to_url.url.endswith(f"/authenticate/{intent.id}")
    assert types(sb, seen)[-3:] == [
        "payment_intent.requires_action",
        "invoice.payment_failed",
        "invoice.payment_action_required",
    ]
    sb.authenticate(intent.id)
    assert v1.subscriptions.retrieve(sub.id).status == "active"


def test_an_incomplete_subscription_is_paid_by_its_intent(shop: Shop) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create(
        {
            "customer": customer_of(shop),
            "items": [{"price": shop.monthly}],
            "payment_behavior": "default_incomplete",
            "expand": ["latest_invoice.payments"],
        }
    )
    assert sub.status == "incomplete"
    intent = sub.latest_invoice.payments.data[0].payment.payment_intent
    assert v1.payment_intents.confirm(str(intent), {"payment_method": "pm_card_visa"}).status == "succeeded"
    assert v1.subscriptions.retrieve(sub.id).status == "active"
    assert v1.invoices.retrieve(sub.latest_invoice.id).status == "paid"


def test_a_bank_debit_of_a_renewal(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    customer = sb.create_customer(email="b@example.com", card="sepa")["id"]
    sub = v1.subscriptions.create({"customer": customer, "items": [{"price": shop.monthly}]})
    invoice = v1.invoices.retrieve(str(sub.latest_invoice), {"expand": ["payments"]})
    assert (sub.status, invoice.status) == ("active", "open")
    intent = str(invoice.payments.data[0].payment.payment_intent)
    assert v1.payment_intents.retrieve(intent).status == "processing"
    sb.settle_payment(intent)
    assert v1.invoices.retrieve(invoice.id).status == "paid"
    sb.set_billing(settle_days=5)
    sb.advance("2026-03-01T00:00:00+00:00")
    renewal = v1.invoices.list({"subscription": sub.id, "limit": 1}).data[0].id
    assert v1.invoices.retrieve(renewal).status == "open"
    sb.advance("2026-03-06T00:00:00+00:00")
    assert v1.invoices.retrieve(renewal).status == "paid"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"items": [{"price": "price_none"}]}, "No such price"),
        ({"items": [{"id": "si_none", "quantity": 2}]}, "No such subscription item"),
        ({"discounts": [{"coupon": "none"}]}, "No such coupon"),
        ({"proration_behavior": "some"}, "proration_behavior"),
        ({"automatic_tax": {"enabled": True}}, "Use tax rates"),
    ],
)
def test_a_refused_update_changes_nothing(shop: Shop, wrong: dict[str, object], words: str) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create({"customer": customer_of(shop), "items": [{"price": shop.monthly}]})
    before, seen = shop.sb.get(sub.id), len(shop.sb.events)
    with pytest.raises(stripe.InvalidRequestError, match=words):
        v1.subscriptions.update(sub.id, {"metadata": {"k": "v"}, "cancel_at_period_end": True, **wrong})  # type: ignore[typeddict-item]  # wrong on purpose
    assert (shop.sb.get(sub.id), len(shop.sb.events)) == (before, seen)


def test_a_subscription_in_a_wrong_currency_leaves_nothing_behind(shop: Shop) -> None:
    customer = customer_of(shop)
    with pytest.raises(stripe.InvalidRequestError, match="only supports"):
        shop.client.v1.subscriptions.create(
            {"customer": customer, "items": [{"price": shop.monthly}], "currency": "gbp"}
        )
    assert shop.sb.all("subscription") == []
