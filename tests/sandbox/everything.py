"""One long story that does everything the sandbox can: its objects and events are judged in several ways."""

from refref.sandbox import Sandbox


def everything() -> Sandbox:
    """A sandbox after the whole story."""
    sb = Sandbox(clock_start="2026-01-31T00:00:00+00:00", seed=7)
    product = sb.create_product("Plan")["id"]
    monthly = sb.create_price(product, "usd", 2500, interval="month")["id"]
    yearly = sb.create_price(product, "usd", 25000, interval="year")["id"]
    once = sb.create_price(product, "eur", 1500)["id"]
    exclusive = sb.create_tax_rate(1000, inclusive=False)["id"]
    inclusive = sb.create_tax_rate(2000, inclusive=True)["id"]
    coupon = sb.create_coupon(percent_off=50, duration="once")["id"]
    amount = sb.create_coupon(amount_off=700, currency="usd", duration="repeating", duration_in_months=2)["id"]
    code = sb.create_promotion_code(coupon, "HALF")["id"]
    customer = sb.create_customer(email="a@example.com", country="DE")["id"]
    sold(sb, once, monthly, exclusive, inclusive, customer)
    subscribed(sb, monthly, yearly, amount, customer)
    returned(sb, once)
    invoiced(sb, exclusive, coupon, customer)
    sb.delete_customer(customer)
    sb.delete_coupon(coupon)
    sb.update_promotion_code(code, active=False)
    connected(sb)
    granted(sb, product, monthly)
    return sb


def connected(sb: Sandbox) -> None:
    """Partners of every kind, paid in every way; a merchant who lets the platform in and out again."""
    sb.create_webhook_endpoint("https://example.com/", enabled_events=["balance.available"])
    sb.top_up(100_000, description="Funds")
    partner = sb.create_account(type="express", email="p@example.com", service_agreement="recipient")["id"]
    sb.onboard(partner, pending=True)
    sb.set_capability(partner, "transfers", "active")
    charge = sb.create_charge(9_000, "usd", card="bypass_pending")["id"]
    sent = sb.transfer(5_000, "usd", partner, transfer_group="g", metadata={"k": "v"})["id"]
    sb.update_transfer(sent, description="July")
    sb.transfer(2_000, "usd", partner, source_transaction=charge)
    sb.advance_by(days=1)
    sb.reverse_transfer(sent, amount=700)
    account = sb.account(partner)
    sb.update_account(partner, settings={"payouts": {"schedule": {"interval": "manual"}}}, metadata={"k": "v"})
    account.cancel_payout(account.payout(100, "usd")["id"])
    account.payout(1_000, "usd", method="instant")
    failing, back = account.payout(200, "usd")["id"], account.payout(300, "usd")["id"]
    account.change_external_account(account.own_account()["external_accounts"]["data"][0]["id"], default=True)
    account.add_external_account("tok_visa_debit")
    account.remove_external_account(account.own_account()["external_accounts"]["data"][1]["id"])
    sb.advance_by(days=3)
    account.fail_payout(failing)
    account.reverse_payout(back)
    sb.settle_in("usd", {"eur": "1.1"})
    sb.create_charge(1_000, "eur")
    sb.advance_by(days=3)
    error = {"code": "invalid_tos_acceptance", "reason": "Not accepted.", "requirement": "tos_acceptance.date"}
    sb.require(partner, ["tos_acceptance.date"], deadline=sb.now + 100, past_due=True, errors=[error])
    sb.reject_account(partner, "other")
    sb.delete_account(sb.create_account(type="custom", country="DE")["id"])
    daily = sb.create_account(type="standard", capabilities=("card_payments", "transfers"))["id"]
    sb.onboard(daily)
    sb.transfer(1_000, "usd", daily)
    sb.advance_by(days=4)
    application = sb.register_application(["https://example.com/back"])["id"]
    merchant = sb.open_merchant()["id"]
    sb.exchange_code(sb.authorize(application, merchant).partition("code=")[2])
    sb.account(merchant).revoke_application(application)


def granted(sb: Sandbox, product: str, monthly: str) -> None:
    """Credit grants and features."""
    customer = sb.create_customer(email="grants@example.com")["id"]
    sb.expire_credit_grant(sb.grant_credit(customer, 500, name="Reward")["id"])
    sb.void_credit_grant(sb.grant_credit(customer, 500, prices=[monthly], expires_at=sb.now + 100)["id"])
    feature = sb.create_feature("Reports", "reports")["id"]
    sb.add_feature(product, feature)
    sb.cancel_subscription(sb.subscribe(customer, price=monthly)["id"])


def sold(sb: Sandbox, once: str, monthly: str, exclusive: str, inclusive: str, customer: str) -> None:
    """Checkout in all modes."""
    sb.sell(price=once, email="g@example.com", client_reference_id="amy", shipping=500, tax_rate=exclusive)
    sb.sell(price=once, customer=customer, invoice_creation={"enabled": True}, tax_rate=inclusive)
    sb.sell(price=once, email="p@example.com", presentment_currency="gbp", customer_creation="always")
    sb.sell(price=monthly, customer=customer, promotion_code="half", subscription_data={"metadata": {"k": "v"}})
    sb.sell(price=monthly, email="t@example.com", subscription_data={"trial_period_days": 14}, automatic_tax=True)
    for succeeded in (True, False):
        session = sb.checkout(mode="payment", line_items=[{"price": once}], invoice_creation={"enabled": succeeded})[
            "id"
        ]
        sb.pay_session(session, card="sepa")
        sb.settle_session(session, succeeded=succeeded)
    sb.pay_session(sb.checkout(mode="setup", customer=customer)["id"])
    sb.expire_session(sb.checkout(mode="payment", line_items=[{"price": once}])["id"])
    sb.create_charge(700, "usd", customer=customer)
    sb.create_payment_intent(500, "jpy")


def subscribed(sb: Sandbox, monthly: str, yearly: str, amount: str, customer: str) -> None:
    """Renewals, changes, discounts, pauses, failures and ends."""
    sub = sb.subscribe(customer, price=monthly, metadata={"refref_referral_id": "rfl_1"}, coupon=amount)["id"]
    sb.advance_by(months=1)
    sb.change_subscription(sub, price=yearly, proration_behavior="always_invoice")
    sb.change_subscription(sub, quantity=3)
    sb.change_subscription(sub, price=monthly, quantity=1, proration_behavior="always_invoice", scheduled=True)
    sb.advance_by(months=3)
    sb.pause_subscription(sub)
    sb.advance_by(months=1)
    sb.resume_subscription(sub)
    sb.set_discount(sub, coupon=amount)
    sb.set_discount(sub)
    sb.cancel_subscription(sub, at_period_end=True)
    sb.keep_subscription(sub)
    sb.cancel_subscription(sub)
    bad = sb.create_customer(email="bad@example.com", card="declined")["id"]
    sb.subscribe(bad, price=monthly)
    sb.advance_by(days=2)
    good = sb.create_customer(email="good@example.com")["id"]
    late = sb.subscribe(good, items=[{"price": monthly, "quantity": 2}])["id"]
    sb.update_customer(good, card="declined", metadata={"plan": "two"})
    sb.advance_by(months=1)
    sb.pay_invoice(sb.get(late)["latest_invoice"], card="visa")
    sb.cancel_subscription(late, at_period_end=True)
    sb.advance_by(months=1)


def returned(sb: Sandbox, once: str) -> None:
    """Refunds, disputes, inquiries and a fraud warning."""
    sale = sb.sell(price=once, email="r@example.com")["id"]
    sb.fail_refund(sb.refund(sale, amount=100)["id"])
    sb.settle_refund(sb.refund(sale, amount=200, status="pending")["id"])
    sb.cancel_refund(sb.refund(sale, amount=50, status="pending")["id"])
    sb.refund(sale)
    for closing in ("won", "lost", "prevented"):
        disputed = sb.sell(price=once, email="d@example.com")["id"]
        dispute = sb.dispute(disputed)["id"]
        sb.update_dispute(dispute, "under_review")
        sb.close_dispute(dispute, closing)
    asked = sb.sell(price=once, email="i@example.com")["id"]
    inquiry = sb.dispute(asked, inquiry=True)["id"]
    sb.update_dispute(inquiry, "needs_response")
    sb.close_dispute(inquiry, "lost")
    sb.close_dispute(sb.dispute(asked, inquiry=True)["id"], "warning_closed")
    sb.fraud_warning(asked)


def invoiced(sb: Sandbox, exclusive: str, coupon: str, customer: str) -> None:
    """Manual invoices paid in every way, and credit notes before and after payment."""
    sb.credit_customer(customer, -120)
    items = [{"amount": 100 * i, "description": f"Item {i}"} for i in range(1, 13)]
    long = sb.create_invoice(customer, items, tax_rate=exclusive)
    sb.pay_invoice(long["id"], amount=1000)
    sb.void_credit_note(sb.credit_note(long["id"], amount=300)["id"])
    sb.credit_note(long["id"], amount=500)
    sb.pay_invoice(long["id"])
    sb.credit_note(long["id"], lines=[{"invoice_line_item": long["lines"]["data"][2]["id"]}])
    sb.credit_note(long["id"], amount=200, credit_amount=150, out_of_band_amount=50)
    over = sb.create_invoice(customer, [{"amount": 900}])["id"]
    sb.pay_invoice(over, amount=2000)
    cash = sb.create_invoice(customer, [{"amount": 9000}], coupon=coupon, shipping=400)["id"]
    sb.pay_invoice(cash, out_of_band=True)
    sb.void_invoice(sb.create_invoice(customer, [{"amount": 9000}])["id"])
    written_off = sb.create_invoice(customer, [{"amount": 9000}])["id"]
    sb.mark_uncollectible(written_off)
    sb.pay_invoice(written_off)
    forgiven = sb.create_invoice(customer, [{"amount": 800}])["id"]
    sb.credit_note(forgiven, amount=800)
