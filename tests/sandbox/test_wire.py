"""The real Stripe SDK against the sandbox: what a merchant's code and our own calls do."""

import httpx
import pytest

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app
from sandbox.judge import faults
from sandbox.shop import CLOCK_START, KEY, Shop, sdk
from serving import serve


def test_sells_one_off_through_a_session(shop: Shop) -> None:
    v1 = shop.client.v1
    session = v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price": shop.once, "quantity": 2}],
            "client_reference_id": "amy",
            "metadata": {"refref_campaign": "spring"},
            "success_url": "https://example.com/?s={CHECKOUT_SESSION_ID}",
        }
    )
    assert session.url is not None
    assert session.url.endswith(f"/pay/{session.id}")
    assert (session.status, session.amount_total, session.currency) == ("open", 3000, "eur")
    assert faults(session.to_dict(for_json=True)) == []
    shop.sb.pay_session(session.id, email="guest@example.com")
    paid = v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items.data.price.product", "payment_intent"]})
    assert (paid.payment_status, paid.customer) == ("paid", None)
    assert paid.line_items is not None
    assert paid.line_items.data[0].price.product.name == "Plan"
    assert paid.payment_intent.amount_received == 3000
    items = v1.checkout.sessions.line_items.list(session.id)
    assert [i.amount_total for i in items.data] == [3000]
    found = v1.checkout.sessions.list({"payment_intent": paid.payment_intent.id})
    assert [s.id for s in found.data] == [session.id]


def test_subscribes_and_renews(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com", "payment_method": "pm_card_mastercard"})
    sub = v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": shop.monthly}],
            "metadata": {"refref_referral_id": "rfl_1"},
            "expand": ["latest_invoice.payments.data.payment.payment_intent"],
        }
    )
    invoice = sub.latest_invoice
    payment = invoice.payments.data[0]
    charge = v1.charges.retrieve(payment.payment.payment_intent.latest_charge)
    assert (invoice.status, invoice.amount_paid, payment.amount_paid, charge.amount) == ("paid", 2500, 2500, 2500)
    assert charge.payment_method_details.card.brand == "mastercard"
    assert invoice.parent.subscription_details.metadata["refref_referral_id"] == "rfl_1"
    shop.sb.advance_by(months=2)
    invoices = v1.invoices.list({"subscription": sub.id})
    assert [i.billing_reason for i in invoices.data] == ["subscription_cycle"] * 2 + ["subscription_create"]
    links = v1.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": payment.payment.payment_intent.id}, "status": "paid"}
    )
    assert [p.invoice for p in links.data] == [invoice.id]


def test_changes_cancels_and_restarts_a_subscription(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"})
    sub = v1.subscriptions.create({"customer": customer.id, "items": [{"price": shop.monthly}]})
    item = sub["items"].data[0].id
    v1.subscriptions.update(
        sub.id, {"items": [{"id": item, "price": shop.yearly}], "proration_behavior": "always_invoice"}
    )
    upgrade = v1.invoices.list({"limit": 1}).data[0]
    assert [line.amount for line in upgrade.lines.data] == [-2500, 25000]
    assert (upgrade.amount_paid, upgrade.billing_reason) == (22500, "subscription_update")
    v1.subscriptions.update(sub.id, {"cancel_at_period_end": True})
    assert v1.subscriptions.cancel(sub.id).status == "canceled"
    assert v1.subscriptions.list({"customer": customer.id}).data == []
    assert len(v1.subscriptions.list({"customer": customer.id, "status": "all"}).data) == 1
    again = v1.subscriptions.create({"customer": customer.id, "items": [{"price": shop.monthly}]})
    assert again.status == "active"


def test_refunds_and_disputes(shop: Shop) -> None:
    v1 = shop.client.v1
    session = shop.sb.sell(price=shop.once, email="g@example.com")
    intent = session["payment_intent"]
    first = v1.refunds.create({"payment_intent": intent, "amount": 500})
    charge = v1.charges.retrieve(str(first.charge), {"expand": ["refunds"]})
    assert (charge.amount_refunded, charge.refunded, len(charge.refunds.data)) == (500, False, 1)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        v1.refunds.create({"payment_intent": intent, "amount": 1001})
    v1.refunds.create({"payment_intent": intent})
    assert [r.amount for r in v1.refunds.list({"charge": charge.id}).data] == [1000, 500]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        v1.refunds.create({"payment_intent": intent})
    assert refused.value.code == "charge_already_refunded"
    other = shop.sb.sell(price=shop.once, email="h@example.com")
    dispute = shop.sb.dispute(other["id"])
    assert v1.disputes.list({"payment_intent": other["payment_intent"]}).data[0].id == dispute["id"]
    assert v1.disputes.close(dispute["id"]).status == "lost"


def test_pages_lists_forwards_and_backwards(shop: Shop) -> None:
    v1 = shop.client.v1
    made = [v1.customers.create({"name": f"Customer {i}"}).id for i in range(25)]
    assert [c.id for c in v1.customers.list({"limit": 7}).auto_paging_iter()] == made[::-1]
    page = v1.customers.list({"limit": 3, "ending_before": made[0]})
    assert [c.id for c in page.data] == [made[3], made[2], made[1]]
    assert page.has_more
    with pytest.raises(stripe.InvalidRequestError):
        v1.customers.list({"limit": 101})


def test_pages_the_lines_of_a_long_invoice(shop: Shop) -> None:
    customer = shop.sb.create_customer(email="a@example.com")["id"]
    invoice = shop.sb.create_invoice(customer, [{"amount": 100 + i, "description": "x"} for i in range(25)])
    fetched = shop.client.v1.invoices.retrieve(invoice["id"])
    assert (len(fetched.lines.data), fetched.lines.has_more) == (10, True)
    amounts = [
        line.amount for line in shop.client.v1.invoices.line_items.list(invoice["id"], {"limit": 10}).auto_paging_iter()
    ]
    assert sorted(amounts) == [100 + i for i in range(25)]
    assert sum(amounts) == fetched.total


def test_filters_events_by_type_and_time(shop: Shop) -> None:
    shop.sb.sell(price=shop.monthly, email="a@example.com")
    middle = shop.sb.now + 1
    shop.sb.advance_by(months=1)
    events = shop.client.v1.events.list({"types": ["invoice.paid", "invoice_payment.paid"], "created": {"gte": middle}})
    assert [e.type for e in events.data] == ["invoice_payment.paid", "invoice.paid"]
    assert events.data[0].request.id is None
    assert shop.client.v1.events.retrieve(events.data[0].id).id == events.data[0].id


def test_an_idempotency_key_replays_the_first_answer(shop: Shop) -> None:
    create = shop.client.v1.customers.create
    first = create({"name": "A"}, {"idempotency_key": "k1"})
    again = create({"name": "A"}, {"idempotency_key": "k1"})
    assert first.id == again.id
    assert len(shop.sb.all("customer")) == 1
    assert shop.sb.events[-1]["request"]["idempotency_key"] == "k1"
    with pytest.raises(stripe.IdempotencyError):
        create({"name": "B"}, {"idempotency_key": "k1"})


def test_errors_are_stripes(shop: Shop) -> None:
    v1 = shop.client.v1
    with pytest.raises(stripe.InvalidRequestError) as absent:
        v1.customers.retrieve("cus_nobody")
    assert (absent.value.http_status, absent.value.code, absent.value.param) == (404, "resource_missing", "id")
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        v1.customers.create({"nonsense": "1"})  # type: ignore[typeddict-unknown-key]  # the point of the test
    assert (unknown.value.code, unknown.value.param) == ("parameter_unknown", "nonsense")
    with pytest.raises(stripe.InvalidRequestError) as needed:
        v1.refunds.create({})
    assert needed.value.code == "parameter_missing"
    with pytest.raises(stripe.CardError) as card:
        v1.payment_intents.create(
            {"amount": 500, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
        )
    assert (card.value.http_status, card.value.code) == (402, "card_declined")
    with pytest.raises(stripe.AuthenticationError):
        sdk(shop.url, "sk_test_wrong").v1.customers.list()
    v1.customers.create({"name": "A"})
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        v1.customers.list({"expand": ["data.nonsense"]})
    assert httpx.get(f"{shop.url}/v1/nothing", headers={"authorization": f"Bearer {KEY}"}).status_code == 404


def test_old_coupon_parameters_are_refused(shop: Shop) -> None:
    coupon = shop.client.v1.coupons.create({"percent_off": 12.5, "duration": "once"})
    assert coupon.percent_off == 12.5
    answer = httpx.post(
        f"{shop.url}/v1/promotion_codes", data={"coupon": coupon.id}, headers={"authorization": f"Bearer {KEY}"}
    )
    assert answer.json()["error"]["param"] == "coupon"
    code = shop.client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "AMY"})
    assert shop.client.v1.promotion_codes.list({"code": "amy"}).data[0].id == code.id
    assert shop.client.v1.promotion_codes.update(code.id, {"active": False}).active is False


def test_a_request_is_answered_in_its_version(shop: Shop) -> None:
    session = shop.sb.sell(price=shop.monthly, email="a@example.com")
    headers = {"authorization": f"Bearer {KEY}", "stripe-account": "acct_sandbox"}
    url = f"{shop.url}/v1/invoices/{session['invoice']}"
    old = httpx.get(
        url, params={"expand[]": "payment_intent"}, headers=headers | {"stripe-version": "2024-06-20"}
    ).json()
    new = httpx.get(url, headers=headers).json()
    assert (old["subscription"], old["paid"]) == (session["subscription"], True)
    assert old["payment_intent"]["invoice"] == session["invoice"]
    assert new["parent"]["subscription_details"]["subscription"] == session["subscription"]
    assert "subscription" not in new


def test_webhook_endpoints_show_their_secret_once(shop: Shop) -> None:
    endpoints = shop.client.v1.webhook_endpoints
    made = endpoints.create(
        {"url": "http://127.0.0.1:9/x", "enabled_events": ["invoice.paid"], "api_version": "2025-03-31.basil"}
    )
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert "secret" not in endpoints.retrieve(made.id)
    assert endpoints.update(made.id, {"disabled": True}).status == "disabled"
    assert endpoints.delete(made.id).deleted
    assert endpoints.list().data == []


def test_credit_notes_manual_invoices_and_balances(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    v1.customers.balance_transactions.create(customer, {"amount": -300, "currency": "usd", "metadata": {"k": "v"}})
    v1.invoice_items.create({"customer": customer, "amount": 1000, "currency": "usd", "description": "Setup"})
    draft = v1.invoices.create({"customer": customer, "currency": "usd"})
    open_ = v1.invoices.finalize_invoice(draft.id)
    assert (open_.amount_due, open_.starting_balance, open_.ending_balance) == (700, -300, 0)
    paid = v1.invoices.pay(draft.id)
    assert (paid.status, paid.amount_paid, paid.total) == ("paid", 700, 1000)
    line = paid.lines.data[0].id
    note = v1.credit_notes.create(
        {"invoice": paid.id, "lines": [{"type": "invoice_line_item", "invoice_line_item": line, "amount": 400}]}
    )
    assert (note.amount, note.refunds[0].amount_refunded, note.type) == (400, 400, "post_payment")
    assert [n.id for n in v1.credit_notes.list({"invoice": paid.id}).data] == [note.id]
    assert v1.balance.retrieve().available[0].currency == "usd"


def test_sessions_with_inline_prices_discounts_and_promotion_codes(shop: Shop) -> None:
    v1 = shop.client.v1
    coupon = v1.coupons.create({"amount_off": 300, "currency": "usd", "duration": "repeating", "duration_in_months": 3})
    code = v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "BEA"})
    inline = {"currency": "usd", "unit_amount": 2000, "product_data": {"name": "X"}, "recurring": {"interval": "week"}}
    session = v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": [{"price_data": inline, "quantity": 2}],
            "discounts": [{"promotion_code": code.id}],
            "subscription_data": {"metadata": {"k": "v"}},
            "automatic_tax": {"enabled": True},
            "success_url": "https://example.com",
        }
    )
    # 2 x 2000 - 300 = 3700, and 10 % tax on top
    assert (session.amount_subtotal, session.amount_total) == (4000, 4070)
    shop.sb.pay_session(session.id, email="b@example.com")
    sub = v1.checkout.sessions.retrieve(
        session.id, {"expand": ["subscription.discounts.source.coupon", "invoice.total_discount_amounts.discount"]}
    ).subscription
    assert sub.metadata["k"] == "v"
    assert (sub.discounts[0].promotion_code, sub.discounts[0].source.coupon.amount_off) == (code.id, 300)
    open_to_codes = v1.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": [{"price": shop.once, "quantity": 1}],
            "allow_promotion_codes": True,
            "invoice_creation": {"enabled": True, "invoice_data": {"metadata": {"i": "1"}}},
            "payment_intent_data": {"metadata": {"p": "1"}},
            "shipping_options": [
                {
                    "shipping_rate_data": {
                        "display_name": "Post",
                        "type": "fixed_amount",
                        "fixed_amount": {"amount": 700, "currency": "eur"},
                    }
                }
            ],
        }
    )
    shop.sb.pay_session(open_to_codes.id, email="c@example.com")
    paid = v1.checkout.sessions.retrieve(open_to_codes.id, {"expand": ["invoice", "payment_intent"]})
    assert (paid.invoice.total, paid.invoice.amount_shipping, paid.invoice.metadata["i"]) == (2200, 700, "1")
    assert paid.payment_intent.metadata["p"] == "1"
    expired = v1.checkout.sessions.create({"mode": "setup", "currency": "usd", "success_url": "https://example.com"})
    assert v1.checkout.sessions.expire(expired.id).status == "expired"


def test_subscriptions_are_paused_discounted_and_restarted_by_api(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com", "address": {"country": "DE"}}).id
    coupon = v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
    sub = v1.subscriptions.create({"customer": customer, "items": [{"price": shop.monthly}], "trial_period_days": 14})
    assert sub.status == "trialing"
    assert len(v1.subscriptions.update(sub.id, {"discounts": [{"coupon": coupon}]}).discounts) == 1
    assert (
        v1.subscriptions.update(sub.id, {"pause_collection": {"behavior": "void"}}).pause_collection.behavior == "void"
    )
    shop.sb.advance_by(days=14)
    assert v1.invoices.list({"subscription": sub.id, "status": "void"}).data[0].total == 1250
    assert v1.subscriptions.update(sub.id, {"pause_collection": ""}).pause_collection is None
    assert v1.subscriptions.delete_discount(sub.id).deleted
    assert v1.subscription_items.list({"subscription": sub.id}).data[0].quantity == 1
    assert v1.subscriptions.update(sub.id, {"cancel_at_period_end": True}).cancel_at_period_end
    assert not v1.subscriptions.update(sub.id, {"cancel_at_period_end": False}).cancel_at_period_end
    assert v1.customers.retrieve(customer, {"expand": ["subscriptions", "tax"]}).subscriptions.data[0].id == sub.id
    assert v1.customers.delete(customer).deleted
    assert v1.customers.retrieve(customer).deleted


def test_the_rest_of_the_calls(shop: Shop) -> None:
    v1 = shop.client.v1
    product = v1.products.create({"name": "P", "default_price_data": {"currency": "jpy", "unit_amount": 500}})
    price = v1.prices.create({"currency": "usd", "unit_amount": 5, "product_data": {"name": "Q"}, "nickname": "n"})
    assert v1.prices.update(price.id, {"active": False, "metadata": {"a": "b"}}).metadata["a"] == "b"
    assert v1.products.update(product.id, {"name": "R"}).name == "R"
    assert v1.prices.list({"active": True, "product": product.id}).data[0].unit_amount == 500
    rate = v1.tax_rates.create({"display_name": "VAT", "inclusive": False, "percentage": 19})
    customer = v1.customers.create({"email": "a@example.com"}).id
    v1.invoice_items.create({"customer": customer, "amount": 1000, "currency": "usd"})
    draft = v1.invoices.create({"customer": customer, "default_tax_rates": [rate.id]}).id
    v1.invoices.finalize_invoice(draft)
    assert v1.invoices.mark_uncollectible(draft).status == "uncollectible"
    paid = v1.invoices.pay(draft, {"paid_out_of_band": True})
    assert (paid.total, paid.amount_paid_off_stripe) == (1190, 1190)
    v1.invoice_items.create({"customer": customer, "amount": 900, "currency": "usd"})
    other = v1.invoices.create({"customer": customer}).id
    v1.invoices.finalize_invoice(other)
    note = v1.credit_notes.create({"invoice": other, "amount": 400})
    assert v1.credit_notes.void_credit_note(note.id).status == "void"
    assert v1.credit_notes.line_items.list(note.id).data[0].amount == 400
    assert v1.invoices.void_invoice(other).status == "void"
    intent = v1.payment_intents.create({"amount": 700, "currency": "usd", "customer": customer})
    done = v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert done.status == "succeeded"
    waiting = v1.payment_intents.create({"amount": 700, "currency": "usd"})
    assert v1.payment_intents.cancel(waiting.id).status == "canceled"
    charge = v1.charges.create({"amount": 300, "currency": "usd", "source": "tok_visa"})
    assert v1.charges.update(charge.id, {"metadata": {"x": "y"}}).metadata["x"] == "y"
    assert v1.balance_transactions.retrieve(str(charge.balance_transaction)).amount == 300
    refund = shop.sb.refund(charge.id, status="pending")["id"]
    assert v1.refunds.cancel(refund).status == "canceled"
    dispute = shop.sb.dispute(charge.id)["id"]
    assert v1.disputes.update(dispute, {"submit": True}).status == "under_review"
    shop.sb.fraud_warning(charge.id)
    assert v1.radar.early_fraud_warnings.list({"charge": charge.id}).data[0].actionable
    assert v1.accounts.retrieve_current().id == "acct_sandbox"
    coupon = v1.coupons.create({"percent_off": 10, "duration": "once", "applies_to": {"products": [product.id]}})
    assert v1.coupons.update(coupon.id, {"name": "Ten"}).name == "Ten"
    assert v1.coupons.delete(coupon.id).deleted


def test_events_stay_in_the_version_of_their_day() -> None:
    sb = Sandbox(clock_start=CLOCK_START, api_version="2024-06-20")
    sb.sell(
        price=sb.create_price(sb.create_product("P")["id"], "usd", 900, interval="month")["id"], email="a@example.com"
    )
    url, stop = serve(create_app(sb))
    headers = {"authorization": f"Bearer {KEY}"}
    asked = httpx.get(
        f"{url}/v1/events?type=invoice.*&limit=1", headers=headers | {"stripe-version": "2026-10-28.endive"}
    )
    plain = httpx.get(f"{url}/v1/invoices", headers=headers)
    stop()
    event = asked.json()["data"][0]
    assert (event["api_version"], event["data"]["object"]["paid"]) == ("2024-06-20", True)
    assert plain.json()["data"][0]["paid"]


def test_requests_fail_on_demand_before_or_after_their_work(shop: Shop) -> None:
    create = shop.client.v1.customers.create
    shop.sb.fail_next(status=500)
    with pytest.raises(stripe.APIError):
        create({"name": "A"}, {"idempotency_key": "k"})
    assert shop.sb.all("customer") == []
    shop.sb.fail_next(status=500, executed=True)
    with pytest.raises(stripe.APIError):
        create({"name": "A"}, {"idempotency_key": "k"})
    assert create({"name": "A"}, {"idempotency_key": "k"}).id == shop.sb.all("customer")[0]["id"]
    assert len(shop.sb.all("customer")) == 1
    shop.sb.fail_next(status=429, code="lock_timeout", count=2)
    with pytest.raises(stripe.RateLimitError):
        create({"name": "B"})
    shop.sb.faults.clear()


def test_events_are_listed_for_thirty_days(shop: Shop) -> None:
    shop.sb.create_customer(email="a@example.com")
    old = len(shop.sb.events)
    shop.sb.advance_by(days=30)
    shop.sb.create_customer(email="b@example.com")
    assert [e.type for e in shop.client.v1.events.list().data] == ["customer.created"]
    assert len(shop.sb.events) == old + 1


@pytest.mark.parametrize("given", ["Bearer sk_test_é", "Basic !!!", "Basic 6To=", "Basic 0LrQu9GO0Yc6"])  # é, ключ
def test_a_key_of_odd_letters_is_unknown(shop: Shop, given: str) -> None:
    answer = httpx.get(f"{shop.url}/v1/customers", headers={b"authorization": given.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")
