"""The second half of the long story: what billing can do beyond the first half."""

from refref.sandbox import Sandbox
from refref.sandbox.errors import StripeError


def billing(sb: Sandbox) -> None:
    """Prices, payment methods, links, drafts, schedules, test clocks and dunning."""
    product = sb.create_product("Seats")["id"]
    tiers = [{"up_to": 2, "unit_amount": 700}, {"up_to": "inf", "unit_amount": 500, "flat_amount": 100}]
    seats = sb.create_price(product, "usd", interval="month", tiers=tiers, tiers_mode="graduated")["id"]
    options = {"eur": {"unit_amount": 1800}}
    plan = sb.create_price(product, "usd", 2000, interval="month", options=options)["id"]
    gift = sb.create_price(product, "usd", custom_unit_amount={"minimum": 500, "preset": 900})["id"]
    buyers(sb, gift, plan)
    drafts(sb)
    changes(sb, seats, plan)
    clocks(sb, plan)
    sb.set_billing(retry_days=[], draft_seconds=0)


def buyers(sb: Sandbox, gift: str, plan: str) -> None:
    """Methods of every kind, setup, authentication, links, shipping, and money that goes back by itself."""
    customer = sb.create_customer(email="m@example.com")["id"]
    for card in ("ach", "bacs", "sepa", "mastercard"):
        method = sb.create_payment_method(card, customer=customer)["id"]
    sb.update_payment_method(method, {"k": "v"})
    sb.detach_payment_method(method)
    waiting = sb.create_setup_intent(customer=customer, card="3ds", confirm=True)["id"]
    sb.authenticate_setup(waiting, succeeded=False)
    sb.confirm_setup_intent(waiting, card="visa")
    sb.cancel_setup_intent(sb.create_setup_intent(customer=customer)["id"], reason="abandoned")
    try:
        sb.create_setup_intent(card="expired", confirm=True)
    except StripeError:
        asked = sb.create_payment_intent(900, "usd", card="3ds")["id"]
        sb.authenticate(asked)
    rate = sb.create_shipping_rate(400, "usd", options={"eur": 350})["id"]
    link = sb.create_payment_link([{"price": gift}], shipping_options=[{"shipping_rate": rate}])["id"]
    sb.update_payment_link(link, metadata={"k": "v"})
    for card in ("refund_fails", "refund_pending", "not_received", "visa"):
        session = sb.visit_payment_link(link, client_reference_id="amy")["id"]
        paid = sb.pay_session(session, card=card, email="l@example.com", custom_amount=1500)
        if card.startswith("refund"):
            sb.refund(paid["id"])
    sb.submit_evidence(sb.all("dispute")[-1]["id"], {"uncategorized_text": "winning_evidence"})
    session = sb.checkout(mode="subscription", line_items=[{"price": plan}], currency="eur")["id"]
    sb.pay_session(session, card="sepa", email="e@example.com")
    sb.settle_session(session)


def drafts(sb: Sandbox) -> None:
    """A draft in all its states, and balances in two currencies."""
    customer = sb.create_customer(email="d@example.com")["id"]
    sb.credit_customer(customer, -300)
    sb.credit_customer(customer, -200, currency="eur")
    city, state = (sb.create_tax_rate(r, inclusive=False, name="T")["id"] for r in (250, 600))
    draft = sb.create_invoice(customer, finalize=False)["id"]
    added = sb.add_lines(draft, [{"amount": 900, "description": "A"}, {"amount": 400, "description": "B"}])
    first, second = (line["id"] for line in added["lines"]["data"])
    sb.update_lines(draft, {first: {"amount": 1000, "tax_rates": [city, state]}})
    sb.remove_lines(draft, [second], delete_items=False)
    sb.update_invoice(draft, description="D", shipping=300, metadata={"k": "v"}, days_until_due=5)
    item = sb.add_invoice_item(customer, amount=50, invoice=draft)["id"]
    sb.update_invoice_item(item, amount=60)
    sb.delete_invoice_item(item)
    sb.send_invoice(draft)
    sb.pay_invoice(draft)
    gone = sb.create_invoice(customer, [{"amount": 10}], finalize=False)["id"]
    sb.delete_invoice(gone)


def changes(sb: Sandbox, seats: str, plan: str) -> None:
    """Items, trials, anchors, pauses and failures of subscriptions."""
    customer = sb.create_customer(email="s@example.com")["id"]
    sub = sb.subscribe(customer, price=plan, billing_cycle_anchor=sb.now + 10 * 86_400)["id"]
    sb.advance_by(days=12)
    sb.change_items(sub, [{"price": seats, "quantity": 5}], proration_behavior="always_invoice")
    sb.change_items(sub, [{"id": sb.get(sub)["items"]["data"][0]["id"], "deleted": True}])
    sb.restart_cycle(sub)
    sb.change_trial(sub, sb.now + 9 * 86_400)
    sb.change_trial(sub, None)
    sb.update_subscription(sub, cancel_at=sb.now + 5 * 86_400, metadata={"k": "v"})
    bare = sb.create_customer(email="n@example.com", card="none")["id"]
    paused = sb.subscribe(bare, price=plan, trial_days=5, missing_payment_method="pause")["id"]
    sb.set_billing(retry_days=[2, 2], after_retries="canceled", draft_seconds=3600)
    late = sb.create_customer(email="r@example.com")["id"]
    sb.subscribe(late, price=plan)
    sb.update_customer(late, card="3ds")
    sb.advance_by(days=6)
    sb.update_customer(bare, card="visa")
    sb.resume_subscription(paused)
    sb.advance_by(months=1)
    sb.advance_by(days=10)


def clocks(sb: Sandbox, plan: str) -> None:
    """Schedules on a test clock."""
    clock = sb.create_test_clock("2025-01-01T00:00:00+00:00", name="Year")["id"]
    customer = sb.create_customer(email="c@example.com", test_clock=clock)["id"]
    phases = [{"items": [{"price": plan, "quantity": n}], "iterations": 1} for n in (1, 2)]
    sb.create_schedule(customer, phases, end_behavior="cancel")
    released = sb.create_schedule(customer, phases, start_at=sb.find("customer", customer)["created"] + 86_400)["id"]
    sb.advance_test_clock(clock, "2025-01-10T00:00:00+00:00")
    sb.update_schedule(released, metadata={"k": "v"})
    sb.release_schedule(released)
    canceled = sb.create_schedule(customer, phases)["id"]
    sb.cancel_schedule(canceled)
    sb.advance_test_clock(clock, "2025-04-01T00:00:00+00:00")
    sb.delete_test_clock(clock)
