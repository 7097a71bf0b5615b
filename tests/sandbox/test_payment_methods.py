"""Test cards, bank debits, setup intents, payment links, search, refunds and disputes; over the wire."""

import pytest

import stripe
from sandbox.shop import Shop


@pytest.mark.parametrize(
    ("token", "code", "reason"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ],
)
def test_declining_cards(shop: Shop, token: str, code: str, reason: str | None) -> None:
    with pytest.raises(stripe.CardError) as refused:
        shop.client.v1.payment_intents.create(
            {"amount": 500, "currency": "usd", "payment_method": token, "confirm": True}
        )
    assert refused.value.code == code
    assert refused.value.error is not None
    assert getattr(refused.value.error, "decline_code", None) == reason
    intent = shop.client.v1.payment_intents.list().data[0]
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", code)


def test_cards_by_number(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    for number, brand in (
        ("4242424242424242", "visa"),
        ("5555555555554444", "mastercard"),
        ("6011111111111117", "discover"),
    ):
        method = v1.payment_methods.create(
            {"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}}
        )
        assert (method.card.brand, method.card.last4) == (brand, number[-4:])
        v1.payment_methods.attach(method.id, {"customer": customer})
    assert len(v1.customers.payment_methods.list(customer).data) == 3
    assert v1.payment_methods.detach(method.id).customer is None
    assert len(v1.customers.payment_methods.list(customer, {"type": "card"}).data) == 2
    bad = v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa_chargeDeclinedLostCard"}})
    with pytest.raises(stripe.CardError):
        v1.payment_methods.attach(bad.id, {"customer": customer})


def test_whoever_has_no_method_left_cannot_be_charged(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"payment_method": "pm_card_visa"}).id
    for method in v1.customers.payment_methods.list(customer).data:
        v1.payment_methods.detach(method.id)
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        v1.subscriptions.create({"customer": customer, "items": [{"price": shop.monthly}]})


def test_authentication_of_a_payment(shop: Shop) -> None:
    v1 = shop.client.v1
    asked = {"amount": 900, "currency": "usd", "payment_method": "pm_card_authenticationRequired", "confirm": True}
    intent = v1.payment_intents.create(asked)  # type: ignore[arg-type]  # a plain dict
    assert intent.status == "requires_action"
    shop.sb.authenticate(intent.id, succeeded=False)
    failed = v1.payment_intents.retrieve(intent.id)
    assert (failed.status, failed.last_payment_error.code) == (
        "requires_payment_method",
        "payment_intent_authentication_failure",
    )
    v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_threeDSecure2Required"})
    shop.sb.authenticate(intent.id)
    assert v1.payment_intents.retrieve(intent.id).status == "succeeded"
    with pytest.raises(stripe.CardError) as refused:
        v1.payment_intents.create(asked | {"off_session": True})  # type: ignore[arg-type]  # a plain dict
    assert refused.value.code == "authentication_required"


def test_setup_intents(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    seen = len(shop.sb.events)
    done = v1.setup_intents.create({"customer": customer, "payment_method": "pm_card_mastercard", "confirm": True})
    assert [e["type"] for e in shop.sb.events_since(seen)] == [
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
    ]
    assert v1.payment_methods.retrieve(str(done.payment_method)).customer == customer
    waiting = v1.setup_intents.create({"customer": customer})
    assert waiting.status == "requires_payment_method"
    with pytest.raises(stripe.CardError):
        v1.setup_intents.confirm(waiting.id, {"payment_method": "pm_card_chargeDeclinedExpiredCard"})
    asked = v1.setup_intents.confirm(waiting.id, {"payment_method": "pm_card_authenticationRequired"})
    assert asked.status == "requires_action"
    shop.sb.authenticate_setup(waiting.id)
    assert v1.setup_intents.retrieve(waiting.id).status == "succeeded"
    unused = v1.setup_intents.create({"customer": customer})
    assert v1.setup_intents.cancel(unused.id, {"cancellation_reason": "abandoned"}).status == "canceled"


def test_setup_through_checkout(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    session = v1.checkout.sessions.create(
        {"mode": "setup", "customer": customer, "currency": "usd", "setup_intent_data": {"metadata": {"k": "v"}}}
    )
    shop.sb.pay_session(session.id, card="mastercard")
    done = v1.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert (done.status, done.setup_intent.status, done.setup_intent.metadata["k"]) == ("complete", "succeeded", "v")
    assert v1.customers.payment_methods.list(customer).data[0].card.brand == "mastercard"


@pytest.mark.parametrize("succeeded", [True, False])
def test_a_bank_debit_through_a_subscription_checkout(shop: Shop, succeeded: bool) -> None:
    session = shop.sb.checkout(mode="subscription", line_items=[{"price": shop.monthly}])["id"]
    assert shop.sb.pay_session(session, card="sepa", email="b@example.com")["payment_status"] == "unpaid"
    done = shop.sb.settle_session(session, succeeded=succeeded)
    assert done["payment_status"] == ("paid" if succeeded else "unpaid")
    sub = shop.client.v1.subscriptions.retrieve(done["subscription"])
    assert sub.status == ("active" if succeeded else "past_due")
    word = "succeeded" if succeeded else "failed"
    assert shop.sb.events[-1]["type"] == f"checkout.session.async_payment_{word}"


def test_payment_links(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    half = v1.coupons.create({"percent_off": 50}).id
    v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": half}, "code": "HALF"})
    link = v1.payment_links.create(
        {
            "line_items": [{"price": shop.once, "quantity": 2}],
            "metadata": {"campaign": "spring"},
            "allow_promotion_codes": True,
            "after_completion": {"type": "redirect", "redirect": {"url": "https://example.com/thanks"}},
            "restrictions": {"completed_sessions": {"limit": 1}},
        }
    )
    assert link.url.endswith(f"/buy/{link.id}")
    assert [i.amount_total for i in v1.payment_links.line_items.list(link.id).data] == [3000]
    session = sb.visit_payment_link(link.id, client_reference_id="amy", prefilled_promo_code="half")
    assert (session["payment_link"], session["client_reference_id"], session["amount_total"]) == (link.id, "amy", 1500)
    dropped = sb.visit_payment_link(link.id, client_reference_id="no such thing!", prefilled_promo_code="nothing")
    assert (dropped["client_reference_id"], dropped["amount_total"]) == (None, 3000)
    sb.pay_session(session["id"], email="g@example.com")
    paid = v1.checkout.sessions.list({"payment_link": link.id, "status": "complete"}).data
    assert [(s.id, s.metadata["campaign"]) for s in paid] == [(session["id"], "spring")]
    closed = v1.payment_links.retrieve(link.id)
    assert (closed.active, closed.restrictions.completed_sessions.count) == (False, 1)
    assert v1.payment_links.update(link.id, {"active": True, "metadata": {"campaign": ""}}).metadata.to_dict() == {}


def test_a_payment_link_of_a_subscription(shop: Shop) -> None:
    link = shop.client.v1.payment_links.create(
        {
            "line_items": [{"price": shop.monthly, "quantity": 1}],
            "subscription_data": {"metadata": {"refref_referral_id": "rfl_1"}, "trial_period_days": 7},
        }
    )
    session = shop.sb.visit_payment_link(link.id, prefilled_email="p@example.com")
    done = shop.sb.pay_session(session["id"])
    sub = shop.client.v1.subscriptions.retrieve(done["subscription"])
    assert (sub.status, sub.metadata["refref_referral_id"]) == ("trialing", "rfl_1")
    assert done["customer_details"]["email"] == "p@example.com"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('email:"amy@example.com"', ["Amy"]),
        ('email~"example"', ["Ben", "Amy"]),
        ('metadata["plan"]:"pro"', ["Ben"]),
        ('metadata["plan"]:"pro" OR name:"Amy"', ["Ben", "Amy"]),
        ('email~"example" AND -metadata["plan"]:"pro"', ["Amy"]),
        ("metadata['plan']:null", ["Amy"]),
        ("created>1000", ["Ben", "Amy"]),
        ("created<1000", []),
    ],
)
def test_searching_customers(shop: Shop, query: str, found: list[str]) -> None:
    v1 = shop.client.v1
    v1.customers.create({"name": "Amy", "email": "amy@example.com"})
    v1.customers.create({"name": "Ben", "email": "ben@example.com", "metadata": {"plan": "pro"}})
    assert [c.name for c in v1.customers.search({"query": query}).data] == found


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('shoe_size:"9"', "unsupported search field"),
        ('email:"a" AND name:"b" OR name:"c"', "cannot combine"),
        ('metadata:"x"', "by a key"),
        ('created~"100"', "only be searched exactly"),
        ("email=5", "unable to parse"),
    ],
)
def test_searches_that_are_refused(shop: Shop, query: str, words: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=words):
        shop.client.v1.customers.search({"query": query})


def test_searching_the_rest_and_paging(shop: Shop) -> None:
    v1 = shop.client.v1
    sub = v1.subscriptions.create(
        {"customer": v1.customers.create({}).id, "items": [{"price": shop.monthly}], "metadata": {"a": "b"}}
    )
    shop.sb.advance_by(months=2)
    assert [s.id for s in v1.subscriptions.search({"query": 'status:"active" metadata["a"]:"b"'}).data] == [sub.id]
    query = f'subscription:"{sub.id}" AND total>2000'
    first = v1.invoices.search({"query": query, "limit": 2})
    assert (len(first.data), first.has_more) == (2, True)
    second = v1.invoices.search({"query": query, "limit": 2, "page": str(first.next_page)})
    assert (len(second.data), second.next_page) == (1, None)
    assert len(v1.charges.search({"query": "amount:2500"}).data) == 3
    assert len(v1.payment_intents.search({"query": 'status:"succeeded" AND currency:"usd"'}).data) == 3
    assert [p.id for p in v1.prices.search({"query": 'active:"true" AND currency:"eur"'}).data] == [shop.once]
    assert len(v1.products.search({"query": 'name~"Pla"'}).data) == 1


def test_refunds_by_card(shop: Shop) -> None:
    v1 = shop.client.v1
    for token, status in (
        ("pm_card_refundFail", "failed"),
        ("pm_card_pendingRefund", "pending"),
        ("pm_card_visa", "succeeded"),
    ):
        intent = v1.payment_intents.create(
            {"amount": 900, "currency": "usd", "payment_method": token, "confirm": True}
        ).id
        refund = v1.refunds.create({"payment_intent": intent}).id
        assert v1.refunds.retrieve(refund).status == status
        assert v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]}).latest_charge.amount_refunded == (
            0 if status == "failed" else 900
        )
        if status == "pending":
            assert v1.refunds.cancel(refund).status == "canceled"


@pytest.mark.parametrize(
    ("text", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost"), ("Hm", "under_review")]
)
def test_disputes_are_answered(shop: Shop, text: str, status: str) -> None:
    v1 = shop.client.v1
    v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_createDisputeProductNotReceived", "confirm": True}
    )
    dispute = v1.disputes.list().data[0]
    assert (dispute.reason, dispute.status) == ("product_not_received", "needs_response")
    kept = v1.disputes.update(dispute.id, {"evidence": {"product_description": "A book"}, "submit": False})
    assert (kept.status, kept.evidence.product_description) == ("needs_response", "A book")
    v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}})
    answered = v1.disputes.retrieve(dispute.id)
    assert (answered.status, answered.evidence_details.submission_count) == (status, 1)


def test_fraud_warnings(shop: Shop) -> None:
    v1 = shop.client.v1
    sale = shop.sb.sell(price=shop.once, email="g@example.com")["payment_intent"]
    made = shop.sb.fraud_warning(sale)["id"]
    assert v1.radar.early_fraud_warnings.list({"payment_intent": sale}).data[0].id == made
    assert v1.radar.early_fraud_warnings.retrieve(made).actionable
