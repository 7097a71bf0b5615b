"""Who referred whom: guests, codes, clicks, windows, self-referrals (scenarios 40 to 44, 56, 71, 87, 88)."""

from __future__ import annotations

from refref.core.terms import RewardRule
from stories.story import Story, at, gone, payable, pending, story

DAY = 86_400


@story("40")
def guest_checkout(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(5_000), "ana")
    assert s.sb.get(session)["customer"] is None
    s.end(ana=[pending(1_000)], refused=[])


@story("40-metadata")
def guests_by_metadata_of_session_and_payment_intent(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    s.buy(s.price(1_000), metadata={"refref_referral_id": "ana", "refref_campaign": "spring"})
    s.buy(s.price(2_000, "eur"), payment_intent_data={"metadata": {"refref_referral_id": "bea"}})
    s.buy(s.price(3_000))
    s.end(ana=[pending(200)], bea=[pending(400, "eur")], refused=["not_attributed"])


@story("40-precedence")
def reference_of_a_session_beats_its_metadata(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    s.buy(
        s.price(5_000),
        "ana",
        metadata={"refref_referral_id": "bea"},
        payment_intent_data={"metadata": {"refref_referral_id": "bea"}},
    )
    s.buy(s.price(5_000), "nobody-here", metadata={"refref_referral_id": "bea"})
    s.end(ana=[pending(1_000)], bea=[pending(1_000)], refused=[])


@story("40-participant-id")
def participants_are_named_by_their_id_too(s: Story) -> None:
    participant = s.affiliate("ana")
    s.buy(s.price(5_000, every="month"), participant)
    s.end(ana=[pending(1_000)], refused=[])


@story("41")
def two_customers_with_one_address(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    first, second = [s.customer(refcode, email="same@customers.example") for refcode in ("ana", "bea")]
    third = s.customer(email="same@customers.example")
    s.buy(s.price(1_000), customer=first)
    s.buy(s.price(2_000), customer=second)
    s.buy(s.price(3_000), customer=third)
    s.end(ana=[pending(200)], bea=[pending(400)], refused=["not_attributed"])


@story("42")
def one_address_in_two_stripe_accounts(s: Story) -> None:
    other = s.another_account()
    s.affiliate("ana", email="ana@partners.example")
    other.affiliate("ana", email="someone@partners.example")
    # In the other account Ana is a customer, with the card that her referee uses here. Neither matters here.
    other.buy(other.price(7_000), customer=other.customer(email="ana@partners.example", card="shared"))
    s.buy(s.price(5_000), "ana", email="same@customers.example", card="shared")
    other.buy(other.price(9_000), email="same@customers.example")
    other.end(ana=[], refused=["not_attributed", "not_attributed"])
    s.end(ana=[pending(1_000)], refused=[])


@story("43")
def partner_buys_with_the_own_address(s: Story) -> None:
    s.affiliate("ana", email="ana@partners.example")
    s.buy(s.price(5_000, every="month"), "ana", email="Ana+shop@Partners.example")
    s.expect_referrals(ana=0, ana_flagged=1)
    s.end(ana=[], refused=["self_referral"])


@story("43-guest")
def partner_buys_as_a_guest(s: Story) -> None:
    s.affiliate("ana", email="ana+refref@partners.example")
    s.buy(s.price(5_000), "ana", email="ana@partners.example")
    s.buy(s.price(6_000), "ana", email="bob@partners.example")
    s.end(ana=[pending(1_200)], refused=["self_referral"])


@story("43-card")
def partner_pays_for_a_second_account_with_the_own_card(s: Story) -> None:
    s.affiliate("ana", email="ana@partners.example")
    own = s.customer(email="ana@partners.example", card="anas")
    s.buy(s.price(1_000), customer=own)
    s.buy(s.price(5_000, every="month"), "ana", email="other@customers.example", card="anas")
    s.buy(s.price(7_000, every="month"), "ana", email="third@customers.example", card="someones")
    s.end(ana=[pending(1_400)], refused=["not_attributed", "self_referral"])


@story("43-card-seen-later")
def card_is_recognised_after_the_reward(s: Story) -> None:
    s.affiliate("ana", email="ana@partners.example")
    s.buy(s.price(5_000, every="month"), "ana", email="other@customers.example", card="anas")
    s.expect(ana=[pending(1_000)])
    s.wait(days=4)
    s.buy(s.price(1_000), customer=s.customer(email="ana@partners.example", card="anas"))
    s.end(ana=[], refused=["not_attributed", "self_referral"])


@story("43-address-changed")
def customer_takes_the_partners_address_later(s: Story) -> None:
    s.affiliate("ana", email="ana@partners.example")
    customer = s.customer("ana")
    s.buy(s.price(5_000), customer=customer)
    s.wait(days=1)
    s.sb.update_customer(customer, email="ana@partners.example")
    s.end(ana=[], refused=["self_referral"])


@story("44")
def sale_before_the_referral_is_told(s: Story) -> None:
    s.affiliate("ana")
    clicked_at = s.sb.now - 3_600
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    s.expect(refused=["not_attributed"])
    s.wait(days=2)
    s.tell(customer, "ana", clicked_at=clicked_at)
    s.end(ana=[pending(1_000)], refused=[])


@story("44-without-click")
def told_within_a_day_and_later(s: Story) -> None:
    s.program(customers="any")
    s.affiliate("ana")
    soon, late = s.customer(), s.customer(email="late@customers.example")
    s.buy(s.price(5_000), customer=soon)
    s.buy(s.price(5_000), customer=late)
    s.wait(hours=23)
    s.tell(soon, "ana")
    s.wait(hours=2)
    s.tell(late, "ana")
    s.buy(s.price(700), customer=late)
    s.end(ana=[pending(1_000), pending(140)], refused=["before_referral"])


@story("44-clicked-later")
def click_after_the_sale(s: Story) -> None:
    s.program(customers="any")
    s.affiliate("ana")
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    s.wait(days=2)
    s.tell(customer, "ana", clicked_at=s.sb.now - 60)
    s.buy(s.price(3_000), customer=customer)
    s.end(ana=[pending(600)], refused=["before_referral"])


@story("44-too-old")
def click_outside_the_window(s: Story) -> None:
    s.program(attribution_window_days=30)
    s.affiliate("ana")
    clicked_at = s.sb.now
    s.sb.advance_by(days=31)
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    s.tell(customer, "ana", clicked_at=clicked_at)
    s.buy(s.price(5_000), customer=customer)
    s.end(ana=[], refused=["outside_window", "outside_window"])


@story("44-unknown-customer")
def told_before_stripe_knows_the_customer(s: Story) -> None:
    s.affiliate("ana")
    s.tell("cus_Later", "ana", clicked_at=s.sb.now)
    s.sb.create_customer(id="cus_Later", email="later@customers.example")
    s.buy(s.price(5_000, every="month"), customer="cus_Later")
    s.end(ana=[pending(1_000)], refused=[])


@story("44-code-made-later")
def participant_joins_after_the_sale(s: Story) -> None:
    s.program()
    s.buy(s.price(5_000, every="month"), "ana")
    s.expect(refused=["unknown_code"])
    s.deliver()
    s.affiliate("ana")
    s.end(ana=[pending(1_000)], refused=[])


@story("44-by-hand")
def bound_by_hand_against_all_other_evidence(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    customer = s.customer("ana")
    s.buy(s.price(5_000), "ana", customer=customer)
    s.expect(ana=[pending(1_000)])
    s.tell(customer, "bea", kind="manual")
    s.end(ana=[], bea=[pending(1_000)], refused=[])


@story("56")
def promotion_code_beats_the_click(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    s.buy(s.price(10_000, every="month"), "ana", promotion_code=s.code("bea", percent_off=20))
    s.expect_referrals(ana=0, bea=1)
    s.end(ana=[], bea=[pending(1_600)], refused=[])


@story("56-one-off")
def promotion_code_beats_the_click_of_a_guest(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    promo = s.code("bea", percent_off=50)
    s.buy(s.price(2_000, "eur"), "ana", metadata={"refref_referral_id": "ana"}, promotion_code=promo)
    s.buy(s.price(2_000, "eur"), "ana", promotion_code=promo, invoice_creation={"enabled": True})
    s.end(ana=[], bea=[pending(200, "eur"), pending(200, "eur")], refused=[])


@story("56-told")
def promotion_code_beats_a_click_that_was_told(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    customer = s.customer()
    s.tell(customer, "ana", clicked_at=s.sb.now - 600)
    s.wait(days=3)
    s.buy(s.price(10_000, every="month"), customer=customer, promotion_code=s.code("bea"))
    s.end(ana=[], bea=[pending(1_800)], refused=[])


@story("56-customer-metadata")
def promotion_code_beats_the_click_on_the_customer(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    s.sb.subscribe(s.customer("ana"), price=s.price(3_000, every="month"), promotion_code=s.code("bea"))
    s.end(ana=[], bea=[pending(540)], refused=[])


@story("56-later-sale")
def promotion_code_of_a_later_sale_changes_nothing(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    customer = s.customer("ana")
    s.buy(s.price(5_000), customer=customer)
    s.wait(days=3)
    s.buy(s.price(5_000), customer=customer, promotion_code=s.code("bea"))
    s.end(ana=[pending(1_000), pending(900)], bea=[], refused=[])


@story("56-own-program")
def code_and_click_in_two_programs(s: Story) -> None:
    s.affiliate("ana")
    s.program("second", rules=(RewardRule(rule_id="five", rate_bps=500),))
    s.affiliate("bea", program="second")
    s.buy(s.price(10_000), "ana", promotion_code=s.code("bea", percent_off=20))
    s.end(ana=[pending(1_600)], bea=[pending(400)], refused=[])


@story("56-by-id", has_api=True)
def promotion_code_that_must_be_looked_up(s: Story) -> None:
    s.affiliate("ana")
    promo = s.code("ana")
    invoice = s.sb.create_invoice(s.customer(), [{"amount": 5_000, "description": "Work"}], promotion_code=promo)
    s.sb.pay_invoice(invoice["id"])
    s.end(ana=[pending(900)], refused=[])


@story("56-subscription-by-id", has_api=True)
def promotion_code_of_a_subscription_that_must_be_looked_up(s: Story) -> None:
    s.affiliate("ana")
    s.lose("customer.discount.created")
    promo = s.code("ana", duration="forever")
    s.sb.subscribe(s.customer(), price=s.price(2_000, every="month"), promotion_code=promo)
    s.end(ana=[pending(360)], refused=[])


@story("71")
def update_of_metadata_that_echoes(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(5_000, every="month"), "ana")
    customer = s.sb.get(session)["customer"]
    books = []
    for _ in range(3):
        s.sb.advance_by(hours=1)
        s.sb.update_customer(customer, metadata={"refref_referral_id": "ana", "touched": str(s.sb.now)})
        s.deliver()
        books.append(s.world.books(s.merchant))
    assert books[0] == books[1] == books[2]
    s.end(ana=[pending(1_000)], refused=[])


@story("87")
def rule_published_for_the_first_of_march(s: Story) -> None:
    s.program(hold_days=365)
    s.affiliate("ana")
    s.publish(at("2026-03-01"), rules=(RewardRule(rule_id="commission", rate_bps=3_000),), hold_days=365)
    customer = s.customer("ana")
    for instant in ("2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2026-03-01T00:00:01Z"):
        s.sb.advance(instant)
        s.buy(s.price(1_000), customer=customer)
    s.end(ana=[pending(200), pending(300), pending(300)], refused=[])


@story("87-subscription")
def renewals_follow_the_terms_of_their_day(s: Story) -> None:
    first = RewardRule(rule_id="first", on="first", kind="fixed", amounts={"usd": 2_500})
    s.program(rules=(first,), hold_days=365)
    s.affiliate("ana")
    later = RewardRule(rule_id="later", on="recurring", rate_bps=1_000)
    s.publish(at("2026-02-10"), rules=(first, later), hold_days=365)
    s.buy(s.price(3_000, every="month"), "ana")
    s.wait(months=2)
    s.end(ana=[pending(2_500), pending(300), pending(300)], refused=[])


@story("88")
def day_60_counts_and_day_61_does_not(s: Story) -> None:
    s.affiliate("ana")
    clicked_at = s.sb.now
    in_time, too_late = s.customer(), s.customer(email="late@customers.example")
    for customer in (in_time, too_late):
        s.tell(customer, "ana", clicked_at=clicked_at)
    s.sb.advance(clicked_at + 60 * DAY)
    s.buy(s.price(5_000), customer=in_time)
    s.sb.advance(clicked_at + 61 * DAY)
    s.buy(s.price(5_000), customer=too_late)
    s.buy(s.price(2_000), customer=in_time)
    s.end(ana=[pending(1_000), pending(400)], refused=["outside_window"])


@story("88-metadata")
def window_from_the_customers_metadata(s: Story) -> None:
    s.program(attribution_window_days=7)
    s.affiliate("ana")
    early, late = s.customer("ana"), s.customer("ana", email="late@customers.example")
    s.sb.advance_by(days=7, hours=23)
    s.sb.subscribe(early, price=s.price(1_000, every="month"))
    s.sb.advance_by(hours=2)
    s.sb.subscribe(late, price=s.price(1_000, every="month"))
    s.end(ana=[pending(200)], refused=["outside_window"])


@story("88-trial")
def free_trial_does_not_use_up_the_first_payment(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    s.buy(s.price(1_000, every="month"), "ana", subscription_data={"trial_period_days": 30})
    s.wait(days=30)
    refund = s.sb.refund(s.sb.all("invoice")[1]["id"])
    s.expect(ana=[gone(200)])
    s.sb.fail_refund(refund["id"])
    s.wait(months=1)
    s.end(ana=[payable(200), payable(200)], refused=["nothing_paid"])


@story("40-customer-by-reference", has_api=True)
def customer_whose_creation_was_never_told_is_asked_for(s: Story) -> None:
    s.affiliate("ana")
    s.lose("customer.created", "customer.updated")
    customer = s.customer("ana")
    s.buy(s.price(5_000, every="month"), customer=customer)
    s.wait(months=1)
    s.end(ana=[payable(1_000), pending(1_000)], refused=[])


@story("40-customer-by-reference-unasked")
def without_a_key_the_metadata_of_an_untold_customer_stays_unknown(s: Story) -> None:
    s.affiliate("ana")
    s.lose("customer.created", "customer.updated")
    s.buy(s.price(5_000, every="month"), customer=s.customer("ana"))
    s.end(ana=[], refused=["not_attributed"])
