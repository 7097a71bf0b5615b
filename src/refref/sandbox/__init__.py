"""A stateful Stripe of our own: the demo, the simulator and the tests run on it. Imports nothing else of refref.

    from refref.sandbox import Sandbox
    sb = Sandbox(clock_start="2026-01-01T00:00:00Z", seed=7)         # in memory; path="x.db" keeps it;
                                                                     # api_version= the account's (default endive)
    app = create_app(sb)                                             # refref.sandbox.wire: ASGI, the wire protocol
    raw = render_event_bytes(sb.events[0], "2024-06-20")             # refref.sandbox.deliveries
    header = sign(raw, "whsec_x", sb.now)                            # refref.sandbox.deliveries
    old = render(sb.get(invoice_id), "2025-02-24.acacia")            # refref.sandbox.versions

Every method returns a copy of the object as it is when the method ends, in the canonical shape (API
2026-10-28.endive; keys that start with `_` are private and are dropped by `render`). `sb.get(id)` gives the present
state of any object, `sb.all(kind)` all of one kind, oldest first (`sb.all("invoice")`). `sb.events` is the list of
events, oldest first, `sb.events_since(n)` those after the first n. `sb.now` is the clock in unix seconds. Arguments
called `customer`, `price`, ... take ids. Amounts are Stripe's minor units. A refusal raises
`refref.sandbox.errors.StripeError` (status, code, param, message). Times: `advance` takes unix seconds, an ISO string
or a datetime.

Cards (`refref.sandbox.cards` has all, with their numbers and tokens): `"visa"` (4242..., pays), `"debit"`,
`"mastercard"`, `"amex"`, `"discover"` (own fingerprints); `"declined"`, `"insufficient_funds"`, `"lost"`, `"stolen"`,
`"blocked"`, `"expired"`, `"incorrect_cvc"`, `"processing_error"` (declined with that code); `"3ds"` (the buyer must
authenticate); `"sepa"`, `"ach"`, `"bacs"` (bank debits: pending until settled); `"disputed"`, `"not_received"`,
`"inquired"` (pays and is disputed, or inquired about, at once); `"refund_pending"`, `"refund_fails"`; `"none"` (nothing
to pay with). Any other word is a card that pays and whose fingerprint is made from it.

Methods, and below each what it emits, in this order (in brackets: only in some cases):

create_product(name, *, id=None, metadata=None)
    product.created
create_price(product, currency, unit_amount, *, interval=None, interval_count=1, id=None,
        tax_behavior="unspecified", metadata=None)
    price.created; `interval` day, week, month, year or None for one-off. Instead of unit_amount:
    unit_amount_decimal="0.5", tiers=[{"up_to": 5 or "inf", "unit_amount", "flat_amount"}] with tiers_mode= graduated or
    volume, custom_unit_amount={"minimum", "maximum", "preset"} (the buyer chooses). options={"eur": {"unit_amount": 1}}
    sells in other currencies; transform_quantity={"divide_by": 10, "round": "up"} in packages; lookup_key=, nickname=
update_catalog("price" or "product" or "tax_rate" or "coupon" or "shipping_rate", id, {"active": False, ...})
    price.updated, ...; nothing for a shipping rate
delete_product(product)
    product.deleted; refused while it has prices
create_shipping_rate(amount, currency, *, name="Shipping", tax_behavior="unspecified", options=None, metadata=None)
    nothing; `options`: {"usd": 600}
create_tax_rate(rate_bps, *, inclusive, name="Tax")
    tax_rate.created
create_coupon(*, percent_off=None, amount_off=None, currency=None, duration="once", duration_in_months=None,
        id=None, products=None, name=None, metadata=None)
    coupon.created
delete_coupon(coupon)
    coupon.deleted; existing discounts stay
create_promotion_code(coupon, code, *, customer=None, max_redemptions=None, expires_at=None, metadata=None)
    promotion_code.created
update_promotion_code(promotion_code, *, active=None, metadata=None)
    promotion_code.updated
create_customer(*, email=None, name=None, id=None, metadata=None, card="visa", country=None, test_clock=None)
    customer.created
update_customer(customer, **changes)
    customer.updated; `metadata` merges; `card=` changes the default card, `country=` the address
delete_customer(customer)
    customer.subscription.deleted for each live one, customer.deleted
credit_customer(customer, amount, *, currency="usd", description=None, metadata=None)
    customer.updated; amount **negative** = credit; returns the customer_balance_transaction. One balance for each
    currency (`invoice_credit_balance`, whose sign is the other way round); `balance` is that of the customer's currency
checkout(*, mode, line_items, customer=None, **more)
    nothing; returns the open session. `line_items`: `[{"price": id, "quantity": 1}]` or `price_data`. `more`:
    customer_email, customer_creation ("always"/"if_required"), client_reference_id, metadata, payment_intent_data,
    subscription_data ({"metadata", "trial_period_days"}), invoice_creation ({"enabled": True}), discounts
    ([{"promotion_code": id}] or [{"coupon": id}]), allow_promotion_codes, tax_rate (id, all lines), shipping
    (amount), shipping_options ([{"shipping_rate": id}], the first is chosen), currency (of a price with several),
    setup_intent_data, success_url, cancel_url, expires_at, presentment_currency (adaptive pricing, one-off only)
pay_session(session, *, card="visa", email=None, name=None, promotion_code=None, custom_amount=None,
        shipping_rate=None)
    payment, no invoice: [customer.created], payment_intent.created, charge.succeeded, charge.updated,
    payment_intent.succeeded, checkout.session.completed. With invoice_creation, before the session:
    invoiceitem.created, invoice.created, .finalized, .paid, .payment_succeeded, invoice_payment.paid. Subscription:
    [customer.created], [customer.discount.created], customer.subscription.created (incomplete; trialing with a
    trial), invoice.created, .finalized, payment_intent.created, charge.succeeded, charge.updated,
    payment_intent.succeeded, invoice.paid, .payment_succeeded, invoice_payment.paid, customer.subscription.updated,
    checkout.session.completed. Nothing to pay: payment_status `no_payment_required`, no payment events,
    invoice.paid of 0. Setup: setup_intent.created, [payment_method.attached], setup_intent.succeeded,
    checkout.session.completed. Bank debits: payment_intent.created, .processing, charge.pending,
    checkout.session.completed with payment_status unpaid. Card "3ds" authenticates on the page:
    payment_intent.requires_action goes before the charge
settle_session(session, *, succeeded=True)
    charge.succeeded, charge.updated, payment_intent.succeeded, [invoice events],
    checkout.session.async_payment_succeeded; or charge.failed, payment_intent.payment_failed,
    checkout.session.async_payment_failed
expire_session(session)
    checkout.session.expired
create_payment_link(line_items, *, metadata=None, allow_promotion_codes=False, after_completion=None,
        payment_intent_data=None, subscription_data=None, invoice_creation=None, shipping_options=(),
        completed_sessions_limit=None, customer_creation="if_required")
update_payment_link(payment_link, *, active, metadata, allow_promotion_codes, inactive_message)
    payment_link.created; payment_link.updated
visit_payment_link(payment_link, *, client_reference_id, prefilled_email, prefilled_promo_code)
    nothing; what GET /buy/{link}?client_reference_id=... does: a new session with `payment_link`, to be paid by
    `pay_session`. A reference or code that cannot be used is left out, as Stripe does
sell(*, price, quantity=1, customer=None, card="visa", email=None, name=None, promotion_code=None, **more)
    `checkout` and `pay_session` in one; mode from the price; returns the session
create_payment_intent(amount, currency, *, customer=None, card="visa", confirm=True, capture=True,
        off_session=False, metadata=None, description=None)
    payment_intent.created, charge.succeeded, charge.updated, payment_intent.succeeded; a declined card:
    charge.failed, payment_intent.payment_failed and raises 402. Card "3ds": payment_intent.requires_action; with
    off_session=True then .payment_failed and 402. Bank debits: .processing, charge.pending
authenticate(payment_intent, *, succeeded=True)
    of one that is `requires_action` (the page /authenticate/{id} does it): the charge's events and those of what it
    pays for; else payment_intent.payment_failed
settle_payment(payment_intent, *, succeeded=True)
    of one that is `processing`: charge.succeeded, charge.updated, payment_intent.succeeded and the events of its
    invoice or session; or charge.failed, payment_intent.payment_failed, invoice.payment_failed, ...
capture_payment_intent(payment_intent)
    charge.captured, charge.updated, payment_intent.succeeded; of one made with `capture=False`, which at first
    emits charge.succeeded (captured false) and payment_intent.amount_capturable_updated only
create_payment_method(card, *, customer=None), attach_payment_method(payment_method, customer)
    payment_method.attached once it has a customer, who pays with it from then on
detach_payment_method(payment_method), update_payment_method(payment_method, metadata)
    payment_method.detached; payment_method.updated. Who has none left pays with "none"
create_setup_intent(*, customer=None, card=None, confirm=False, metadata=None)
confirm_setup_intent(setup_intent, *, card=None), authenticate_setup(setup_intent, *, succeeded=True)
cancel_setup_intent(setup_intent, *, reason=None)
    setup_intent.created; [payment_method.attached], setup_intent.succeeded, or .requires_action ("3ds"), or
    .setup_failed (and 402 for a declining card); setup_intent.canceled
create_charge(amount, currency, *, customer=None, card="visa", metadata=None, description=None)
    charge.succeeded, charge.updated; a bare charge, payment_intent null
subscribe(customer, *, price=None, items=None, quantity=1, trial_days=None, coupon=None, promotion_code=None,
        tax_rate=None, metadata=None, collection_method="charge_automatically", card=None)
    as the subscription part of pay_session (created as active, without the session); a declined card leaves it
    `incomplete` with charge.failed, payment_intent.payment_failed, invoice.payment_failed; `send_invoice` leaves
    the invoice open. More: trial_end, discounts, currency, billing_cycle_anchor (the time until then is prorated),
    proration_behavior, cancel_at, cancel_at_period_end, days_until_due, description, add_invoice_items,
    payment_behavior ("default_incomplete": confirm the payment intent), missing_payment_method ("pause", "cancel":
    what becomes of a trial that ends with nothing to pay with). "3ds": incomplete with
    payment_intent.requires_action, invoice.payment_failed, invoice.payment_action_required. Bank debits: active
change_subscription(subscription, *, price=None, quantity=None, item=None, proration_behavior="create_prorations",
        scheduled=False, metadata=None)
    customer.subscription.updated with previous_attributes; `always_invoice`: invoiceitem.created for credit and
    charge, invoice.* with billing_reason subscription_update (net negative: invoice.paid of 0 and customer.updated
    with the balance); `create_prorations`: invoiceitem.created twice, billed at the next renewal. `scheduled=True`:
    request.id null, subscription_schedule.updated is not emitted. Without item the first item changes; another
    interval starts a new period now
change_items(subscription, changes, *, proration_behavior="create_prorations", proration_date=None)
    as change_subscription, for several items: `[{"id", "price", "quantity", "deleted", "metadata", "tax_rates"}]`;
    one without id is new. A tiered price has one invoice line for each tier it reaches
update_subscription(subscription, *, metadata, description, collection_method, days_until_due, default_tax_rates,
        cancel_at, missing_payment_method, card)
    customer.subscription.updated
change_trial(subscription, trial_end), restart_cycle(subscription, *, proration_behavior="create_prorations")
    customer.subscription.updated and, when the trial ends (None) or the cycle restarts now, the invoice's events
set_discounts(subscription, discounts)
    as set_discount, for a list: `{"discount": id}` keeps one
set_discount(subscription, *, coupon=None, promotion_code=None)
    customer.discount.created (deleted first if there was one), customer.subscription.updated; neither given:
    removes
change_card(subscription, card)
    customer.subscription.updated; renewals are paid with `card` ("declined": they fail)
keep_subscription(subscription)
    customer.subscription.updated; takes back a cancellation at period end
pause_subscription(subscription, *, behavior="void")
resume_subscription(subscription)
    customer.subscription.updated (pause_collection; renewal invoices are voided, kept as draft or marked
    uncollectible by behavior; resumes_at= lets the clock resume). Of one that is `paused`: .updated, .resumed and a
    new period with its invoice
cancel_subscription(subscription, *, at_period_end=False, prorate=False, invoice_now=False)
    customer.subscription.deleted; at period end: customer.subscription.updated now, .deleted by `advance`.
    prorate: invoiceitem.created (the credit); invoice_now: the invoice's events
create_schedule(customer, phases, *, start_at=None, end_behavior="release", from_subscription=None, metadata=None)
update_schedule(schedule, *, phases=None, end_behavior=None, metadata=None)
release_schedule(schedule), cancel_schedule(schedule)
    subscription_schedule.created, then the subscription's events when it starts now; .updated; .released;
    customer.subscription.deleted, .canceled. Phases: `{"items", "end_date" or "iterations" or "duration",
    "discounts", "trial_end", "proration_behavior", "metadata"}`. At the end of a phase the clock (request.id null):
    customer.subscription.updated, [proration], subscription_schedule.updated, before the renewal of the same instant;
    at the last one .released, or .completed and customer.subscription.deleted
advance(to)
advance_by(*, days=0, hours=0, months=0)
    everything due until then, in order of time (request.id null): customer.subscription.trial_will_end (3 days
    before), renewals (customer.subscription.updated, invoice.created, .finalized, payment, invoice.paid,
    .payment_succeeded, invoice_payment.paid, at the same instant), ends at period end, incomplete_expired after 23
    h, checkout.session.expired after 24 h
set_billing(*, draft_seconds=None, retry_days=None, after_retries=None, settle_days=None)
    nothing; draft_seconds=3600 leaves renewals' invoices in draft for an hour, retry_days=[3, 5, 7] tries failed
    payments again (invoice.payment_failed with attempt_count and next_payment_attempt each time; a success as in
    pay_invoice) and in the end makes the subscription past_due, unpaid (customer.subscription.updated) or canceled
    (.deleted); settle_days=5 lets the clock settle bank debits
create_test_clock(frozen_at, *, name=None), advance_test_clock(clock, to), delete_test_clock(clock)
    test_helpers.test_clock.created; .advancing, all that falls due for its customers, .ready; customer.deleted and
    the ends of their subscriptions, .deleted. `create_customer(test_clock=id)` lives at that time only; `advance` does
    not move it. `advance_test_clock` answers with the clock while it advances; it is ready when the call returns
preview_invoice(customer=None, *, subscription=None, items=(), invoice_items=(), proration_behavior=...,
        cancel_now=False, discounts=None)
    nothing: the change is really made, its invoice noted and everything put back
create_invoice(customer, items, *, currency="usd", metadata=None, tax_rate=None, coupon=None, promotion_code=None,
        collection_method="send_invoice", shipping=0, finalize=True, description=None)
    invoiceitem.created for each, invoice.created, .finalized; open, to be paid. `items`: `[{"amount": 500,
    "description": "x"}]` or `[{"price": id, "quantity": 2}]`
add_invoice_item(customer, *, amount=None, price=None, quantity=1, currency="usd", description=None,
        subscription=None, metadata=None)
    invoiceitem.created; goes on the customer's next invoice of that currency, or with invoice= on that draft
    (invoice.updated). More: tax_rates (ids), discountable, period
add_lines(invoice, lines), update_lines(invoice, {line: changes}), remove_lines(invoice, lines, *, delete_items=True)
    of a draft: [invoiceitem.created, .deleted], invoice.updated
update_invoice(invoice, *, description, metadata, footer, discounts, default_tax_rates, shipping, ...)
update_invoice_item(item, *, amount, quantity, description, metadata), delete_invoice_item(item)
delete_invoice(invoice), send_invoice(invoice)
    invoice.updated; [invoice.updated]; [invoice.updated], invoiceitem.deleted; invoiceitem.deleted, invoice.deleted;
    [invoice.finalized], invoice.sent
finalize_invoice(invoice)
    invoice.finalized; invoice.paid when nothing is due
pay_invoice(invoice, *, amount=None, card=None, out_of_band=False)
    payment_intent.created, charge.succeeded, charge.updated, payment_intent.succeeded, invoice_payment.paid; when
    settled before the last one invoice.paid, .payment_succeeded [+ customer.subscription.updated if it was
    past_due/incomplete]. `amount` below what remains: a partial payment (invoice.updated). Above: amount_paid
    counts all the money, amount_overpaid the excess, which goes to the customer balance (customer.updated).
    out_of_band: only invoice.paid. Declined: charge.failed, payment_intent.payment_failed, invoice.payment_failed,
    no exception
void_invoice(invoice)
mark_uncollectible(invoice)
    invoice.voided; invoice.marked_uncollectible (may still be paid later)
credit_note(invoice, *, amount=None, lines=None, refund_amount=None, credit_amount=None, out_of_band_amount=None,
        reason=None, memo=None, metadata=None)
    open invoice: credit_note.created, invoice.updated (invoice.paid if nothing remains). Paid invoice:
    [refund.created, charge.refunded], [customer.updated], credit_note.created, invoice.updated. `lines`:
    `[{"invoice_line_item": id, "amount": n}]` or `"quantity"`; `amount` includes tax, line amounts do not include
    exclusive tax. Default for a paid invoice: all refunded
void_credit_note(credit_note)
    credit_note.voided; open invoice: the amount is due again
refund(payment, *, amount=None, reason=None, status="succeeded", metadata=None)
    refund.created, charge.refunded. `payment`: charge, payment intent, invoice or session id. status may be
    `pending`; when it is not given the card says (`"refund_fails"`: the events of fail_refund follow)
settle_refund(refund)
    refund.updated, charge.refund.updated (pending to succeeded)
fail_refund(refund)
    refund.updated, refund.failed, charge.refund.updated, charge.updated (amount_refunded goes back)
dispute(payment, *, amount=None, reason="fraudulent", inquiry=False)
    charge.dispute.created, charge.dispute.funds_withdrawn; inquiry: created with warning_needs_response only
update_dispute(dispute, status)
    charge.dispute.updated; from warning_* to needs_response also .funds_withdrawn
submit_evidence(dispute, evidence, *, submit=True, metadata=None)
    charge.dispute.updated; with uncategorized_text winning_evidence or losing_evidence the events of close_dispute
close_dispute(dispute, status)
    charge.dispute.closed; `won`: also .funds_reinstated if withdrawn; `lost`, `warning_closed`, `prevented` (money
    comes back if it was withdrawn)
fraud_warning(payment)
    radar.early_fraud_warning.created
fail_next(*, kind="error", status=500, count=1, code=None, executed=None, remembered=False, seconds=0, method=None,
        path="/v1/", percent=100)
    nothing; the next `count` matching API requests (None: all) fail, each with that probability. Kinds: error,
    unavailable (503), rate_limit and lock_timeout (429), lost (the work is done and the connection breaks), timeout,
    slow, reset, truncated. With `executed` the work is done (and the idempotency key keeps its answer, or with
    `remembered` the error). `sb.faults.clear()` ends them
limit_rates(reads_per_second, writes_per_second=None)
    nothing; 429 above that many API requests a second; None: no limit, as at first
Accounts: a `Sandbox` is one account; `sb.account(id)` is another one of the same server, with the same clock, ids and
file. `sb.accounts` says who is connected to whom. Events of an account are on that account: in its own `events`, in
`sb.connect_events` of a platform it is connected to (with `account` set), and at the platform's `connect` endpoints.

create_key(permissions=None, *, account=None), restrict_key(key, permissions), revoke_key(key)
    nothing; permissions: {"charge": "read", "transfer": "write"}: calls outside are refused (403), revoked keys too
    (401 api_key_expired). Keys nobody made are the server's own account's
create_account(*, type=None, country="US", email=None, controller=None, capabilities=("transfers",),
        service_agreement=None, metadata=None, **given)
    nothing, except for external_account: account.external_account.created. `given`: business_profile, business_type,
    company, individual, settings, tos_acceptance, external_account, default_currency
update_account(account, **given)
    [account.external_account.created], account.updated, [capability.updated for each that changed]
onboard(account, *, pending=False, bank=None, **given)
    the owner hands in everything: [account.external_account.created], account.updated, capability.updated. `bank`:
    {"account_number": ...}; 000111111113 and 000111111116 are accounts whose payouts fail
set_capability(account, capability, status), require(account, fields, *, deadline=None, past_due=False, errors=()),
request_capability(account, capability, *, requested), reject_account(account, reason)
    account.updated, [capability.updated]; require with past_due stops the account, with no fields asks for nothing
delete_account(account)
    account.application.deauthorized; refused while there is a balance
create_account_link(account, *, refresh_url, return_url, type="account_onboarding"), create_login_link(account)
    nothing; pages at public_url: one visit (a link within five minutes), then refresh_url, or not found
add_external_account(given), change_external_account(id, *, default=None), remove_external_account(id)
    of this account: account.external_account.created, .updated, .deleted
balance()
    nothing; the balance object. A charge is available after two days (card "bypass_pending": at once), less 2.9 % + 30;
    then `advance` emits balance.available once for all of an instant, if an endpoint hears it
set_fees(rate_bps=290, fixed=30), settle_in(currency, rates)
    nothing; rates: {"eur": "1.08"}, Stripe's exchange_rate: minor units x rate = settled minor units
top_up(amount, currency="usd", *, description=None, transfer_group=None, metadata=None)
    topup.created, topup.succeeded; available at once
transfer(amount, currency, destination, *, source_transaction=None, transfer_group=None, description=None,
        metadata=None)
    transfer.created; refused with balance_insufficient, insufficient_capabilities_for_transfer. The payment (`py_`) on
    the destination emits nothing; under the recipient agreement its money is available a day later
reverse_transfer(transfer, *, amount=None), update_transfer(transfer, **changes)
    transfer.reversed; transfer.updated
payout(amount, currency, *, method="standard", destination=None, metadata=None)
    of this account: payout.created; by `advance` payout.updated (in_transit, after a day), payout.paid (after two; an
    instant one within the hour) or payout.failed. Connected accounts pay out by their schedule on the next day
fail_payout(payout, code="account_closed"), cancel_payout(payout), reverse_payout(payout)
    payout.failed (also days after it was paid); payout.canceled; payout.created, payout.updated
open_merchant(name, *, email=None), register_application(redirect_uris, *, name)
    nothing; a merchant's account that is connected to nobody; an application (`ca_`) of this account
authorize(client_id, account, *, scope="read_only", redirect_uri=None, state=None)
    nothing; the merchant approves: the address with `code` its browser goes to
exchange_code(code), refresh_token(token, scope=None)
    account.application.authorized on the merchant the first time; nothing
deauthorize(client_id, account), revoke_application(client_id)
    account.application.deauthorized on the merchant; the second is the merchant's own verb
grant_credit(customer, amount, currency="usd", *, category="promotional", prices=(), expires_at=None, ...)
    billing.credit_grant.created; update_credit_grant, expire_credit_grant, void_credit_grant: nothing
create_feature(name, lookup_key), add_feature(product, feature), remove_feature(product, product_feature)
    entitlements.active_entitlement_summary.updated for each customer whose entitlements change, and after a
    subscription's event that changes them
create_webhook_endpoint(url, *, enabled_events=("*",), connect=False, api_version=None, description=None, metadata=None)
    nothing; the returned object carries `secret`

An event is a snapshot: later changes do not reach it. `request` is `{"id": "req_...", "idempotency_key": ...}` for
what an API caller or the python method did, `{"id": None, "idempotency_key": None}` for what the clock or the buyer
did. The API lists events of the last 30 days only, as Stripe does; `sb.events` keeps all. Differences from Stripe on
purpose: unless `set_billing` says otherwise a renewal is finalised and paid in the instant it is created and a failed
payment is not tried again; no minimum charge; no metered usage, no quotes; automatic tax in Checkout only (10 %).
"""

from refref.sandbox.state import Sandbox

__all__ = ["Sandbox"]
