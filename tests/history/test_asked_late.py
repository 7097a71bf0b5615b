"""Terms that begin to look at lines or coupons, and promotion codes that come later: old sales are looked up then."""

from __future__ import annotations

import random

from refref.sandbox import Sandbox
from refref.stripe.readers import Need, NeedKind, read_document
from stories.story import MODES, START, Story, pending
from stories.world import World


def shop(world: World, seed: int) -> Story:
    sb = Sandbox(clock_start=START, seed=seed)
    rng = random.Random(seed)  # noqa: S311 - an order, no secret
    story = Story(world, MODES[0], world.create_merchant(sb, has_api=True), sb, rng)
    story.program(effective_at=0, hold_days=365)
    story.affiliate("ana")
    return story


def looked_up(s: Story) -> list[str]:
    return [row[0] for row in s.world.fetch(s.merchant, "select distinct need_kind from stripe_document order by 1")]


def test_lines_of_old_sales_are_fetched_when_terms_ask_for_products(world: World) -> None:
    s = shop(world, 31)
    plan, mug = s.price(10_000, product="Plan"), s.price(5_000, product="Mug")
    s.buy(plan, "ana", email="a@customers.example")
    s.wait(days=1)
    s.buy(mug, "ana", email="b@customers.example")
    s.expect(ana=[pending(2_000), pending(1_000)])
    assert looked_up(s) == [], "nobody looks at lines"

    s.publish(1, products=(s.product_of(plan),), hold_days=365)
    s.end(ana=[pending(2_000)], refused=["nothing_paid"])
    assert looked_up(s) == ["session_lines"]


def test_coupons_of_old_sales_are_fetched_when_terms_exclude_some(world: World) -> None:
    s = shop(world, 32)
    for name in ("STAFF", "SPRING"):
        s.sb.create_coupon(percent_off=50, duration="once", id=name)
    customer = s.customer("ana")
    for coupon in ("STAFF", "SPRING"):
        s.paid_invoice(customer, [10_000], coupon=coupon)
        s.wait(days=1)
    s.expect(ana=[pending(1_000), pending(1_000)])
    assert "invoice_discounts" not in looked_up(s)

    s.publish(1, excluded_coupons=("STAFF",), hold_days=365)
    s.end(ana=[pending(1_000)], refused=["excluded_coupon"])


def test_old_sales_by_a_promotion_code_are_found_when_a_participant_gets_it(world: World) -> None:
    s = shop(world, 33)
    coupon = s.sb.create_coupon(percent_off=10, duration="once")["id"]
    code = str(s.sb.create_promotion_code(coupon, "ANA10")["id"])
    s.sb.subscribe(s.customer(), price=s.price(10_000, every="month"), promotion_code=code)
    s.expect(ana=[])
    s.add_promotion_code("ana", code)
    s.end(ana=[pending(1_800)])


def test_terms_of_the_future_wake_nothing_of_the_past(world: World) -> None:
    s = shop(world, 34)
    plan = s.price(10_000)
    s.buy(plan, "ana")
    s.deliver()
    s.publish(s.sb.now + 86_400, products=(s.product_of(plan),))
    s.deliver()
    assert looked_up(s) == []
    assert s.world.fetch(s.merchant, "select need_kind from open_need where due_at < 'infinity'") == []


def test_a_discount_that_began_later_is_none_of_the_beginning() -> None:
    """The subscription is asked for months after the event: what it shows now began at its own instant."""
    discounts = [
        {"id": "di_1", "object": "discount", "start": 900, "source": {"coupon": "OLD"}, "promotion_code": "promo_1"},
        {
            "id": "di_2",
            "object": "discount",
            "start": 5_000,
            "source": {"coupon": "NEW"},
            "promotion_code": "promo_2",
        },
    ]
    document = {
        "id": "sub_1", "object": "subscription", "status": "active", "customer": "cus_1", "currency": "usd",
        "items": {"object": "list", "data": []}, "discounts": discounts,
    }  # fmt: skip
    facts = read_document(Need(NeedKind.SUBSCRIPTION_DISCOUNTS, "sub_1"), document, 1_000)
    (fact,) = [fact for fact in facts if fact.stripe_id == "sub_1"]
    assert dict(fact.marks) == {"coupon:OLD": 1_000, "coupon:NEW": 5_000}
    assert {carrier.value: carrier.seen_at for carrier in fact.carriers} == {"promo_1": 1_000, "promo_2": 5_000}
