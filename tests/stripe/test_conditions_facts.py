"""What conditions and qualifying events look at: metadata, intervals, trials, coupons, changes of a subscription."""

from typing import Any

import pytest
from stripe_payloads import (
    NOW,
    charge,
    customer,
    discount,
    event,
    facts,
    invoice,
    line,
    lines,
    needs,
    old_invoice,
    old_line,
    payment_intent,
    session,
    subscription,
)

from refref.stripe.readers import read

Payload = dict[str, Any]
DAY = 86_400


@pytest.mark.parametrize("build", [customer, session, subscription, invoice, old_invoice, payment_intent])
def test_metadata_without_our_own_keys(build: Any) -> None:
    given = {
        "tier": "gold",
        "a": "",
        "refref_referral_id": "ref_1",
        "refref_campaign": "spring",
        "n": 5,
        "ü": "\ud800\0",
    }
    payload = build(metadata=given)
    assert facts(payload)[payload["id"]].state.metadata == (("a", ""), ("tier", "gold"), ("ü", "?"))
    assert facts(build(metadata=None))[payload["id"]].state.metadata == ()


def test_metadata_is_bounded() -> None:
    found = facts(customer(metadata={f"k{number:03}": "v" for number in range(70)}))["cus_1"].state.metadata
    assert (len(found), found[0], found[-1]) == (50, ("k000", "v"), ("k049", "v"))


def period(days: int) -> Payload:
    return {"start": NOW, "end": NOW + days * DAY}


def recurring(interval: str, count: int = 1) -> Payload:
    return {"recurring": {"interval": interval, "interval_count": count}}


@pytest.mark.parametrize(
    ("days", "interval"),
    [
        (1, "day"), (7, "week"), (28, "month"), (29, "month"), (30, "month"), (31, "month"), (365, "year"),
        (366, "year"), (14, ""), (90, ""), (91, ""), (92, ""), (0, ""),
    ],
)  # fmt: skip
def test_the_interval_of_a_line_is_its_period_in_every_shape(days: int, interval: str) -> None:
    new = facts(invoice(lines=lines(line(period=period(days)))))["in_1"].state.lines[0]
    old = facts(old_invoice(lines=lines(old_line(period=period(days)))))["in_1"].state.lines[0]
    assert (new.interval, old.interval) == (interval, interval)


@pytest.mark.parametrize(
    "row",
    [
        line(period=period(30), parent={"invoice_item_details": {"proration": False}}),
        line(period=period(30), parent={"subscription_item_details": {"proration": True}}),
        old_line(period=period(30), type="invoiceitem"),
        old_line(period=period(30), proration=True),
        line(period={"start": NOW, "end": NOW + 30 * DAY + 1}),
    ],
)
def test_what_is_billed_once_or_prorated_has_no_interval(row: Payload) -> None:
    assert facts(invoice(lines=lines(row)))["in_1"].state.lines[0].interval == ""


@pytest.mark.parametrize(
    ("told", "interval"),
    [
        (recurring("month"), "month"),
        (recurring("month", 12), "year"),
        (recurring("month", 3), ""),
        (recurring("week"), "week"),
        (recurring("day", 7), "week"),
        (recurring("day", 30), "month"),
        (recurring("year"), "year"),
        (recurring("year", 2), ""),
        ({"interval": "year"}, "year"),
        ({"recurring": None}, ""),
    ],
)
def test_the_interval_of_a_price_where_no_period_is_told(told: Payload, interval: str) -> None:
    price = {"id": "price_1", "product": "prod_1", **told}
    assert facts(old_invoice(lines=lines(old_line(price=price))))["in_1"].state.lines[0].interval == interval
    item = {"id": "li_1", "amount_subtotal": 1000, "amount_total": 1000, "price": price}
    assert facts(session(line_items=lines(item)))["cs_1"].state.lines[0].interval == interval


def test_a_trial() -> None:
    state = facts(subscription(trial_start=NOW - 100, trial_end=NOW))["sub_1"].state
    assert (state.trial_start_at, state.trial_end_at) == (NOW - 100, NOW)
    assert facts(subscription())["sub_1"].state.trial_start_at is None


COUPON_SHAPES = (
    {"id": "di_1", "coupon": {"id": "TEN", "object": "coupon"}},
    {"id": "di_1", "coupon": "TEN"},
    {"id": "di_1", "source": {"type": "coupon", "coupon": "TEN"}},
    {"id": "di_1", "source": {"type": "coupon", "coupon": {"id": "TEN", "object": "coupon"}}},
)
MARK = (("coupon:TEN", NOW),)


@pytest.mark.parametrize("shape", COUPON_SHAPES)
def test_a_discount_marks_what_it_is_on_with_its_coupon(shape: Payload) -> None:
    assert facts(invoice(discounts=[shape]))["in_1"].marks == MARK
    assert facts(old_invoice(discount=shape, discounts=["di_1"]))["in_1"].marks == MARK
    amounts = [{"amount": 100, "discount": shape}]
    assert facts(invoice(total_discount_amounts=amounts))["in_1"].marks == MARK
    assert facts(invoice(lines=lines(line(discount_amounts=amounts))))["in_1"].marks == MARK
    assert facts(session(discounts=[shape]))["cs_1"].marks == MARK
    assert facts(session(total_details={"breakdown": {"discounts": amounts}}))["cs_1"].marks == MARK
    assert facts(subscription(discounts=[shape]))["sub_1"].marks == MARK
    assert facts(customer(discount=shape))["cus_1"].marks == MARK
    assert facts(discount(**{"source": None, **shape}, subscription="sub_1"))["sub_1"].marks == MARK
    assert facts(discount(**{"source": None, **shape}))["cus_1"].marks == MARK


def test_a_session_that_names_only_the_promotion_code_lacks_its_coupon() -> None:
    lacking = ("session_coupons", "cs_1")
    assert lacking in needs(session(discounts=[{"coupon": None, "promotion_code": "promo_1"}]))
    assert lacking not in needs(session(discounts=[{"coupon": "TEN", "promotion_code": "promo_1"}]))
    assert lacking not in needs(session(status="open", discounts=[{"coupon": None, "promotion_code": "promo_1"}]))


# Changes of a subscription -------------------------------------------------------------------------------------------


def item(price: str = "price_a", unit: int | None = 1000, quantity: int | None = 1, **more: Any) -> Payload:
    interval, count = more.pop("interval", "month"), more.pop("count", 1)
    told = {
        "id": price, "object": "price", "currency": "usd", "product": "prod_1", "unit_amount": unit,
        "recurring": {"interval": interval, "interval_count": count}, **more,
    }  # fmt: skip
    return {"id": "si_1", "price": told, "quantity": quantity}


def plan_item(plan: str = "price_a", amount: int = 1000, quantity: int | None = 1, interval: str = "month") -> Payload:
    """An item as plans told it."""
    told = {"id": plan, "object": "plan", "currency": "usd", "amount": amount, "interval": interval}
    return {"id": "si_1", "plan": {**told, "interval_count": 1}, "quantity": quantity}


def marks_of(now: list[Payload], previous: Payload, name: str = "customer.subscription.updated") -> list[str]:
    told = event(subscription(items={"data": now}), name)
    told["data"]["previous_attributes"] = previous
    (fact,) = (fact for fact in read(told).facts if fact.stripe_id == "sub_1")
    assert all(mark == f"{mark.split(':')[0]}:{NOW}" and at == NOW for mark, at in fact.marks)
    return [mark.split(":")[0] for mark, _ in fact.marks]


def were(*items: Payload) -> Payload:
    return {"items": {"data": list(items)}}


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ([item()], [item("price_b", 2000)], ["downgrade"]),
        ([item("price_b", 2000)], [item()], []),
        ([item("price_b", 1000)], [item()], []),
        ([item(quantity=3)], [item(quantity=5)], ["quantity_change"]),
        ([item(quantity=5)], [item(quantity=3)], ["quantity_change"]),
        ([item()], [item()], []),
        ([item("year", 9000, interval="year")], [item("month", 1000)], ["downgrade"]),
        ([item("year", 12_000, interval="year")], [item("month", 1000)], []),
        ([item("month", 1000)], [item("year", 12_000, interval="year")], []),
        ([item("quarter", 2900, count=3)], [item("month", 1000)], ["downgrade"]),
        ([item("price_b", 600, 1)], [item("price_a", 500, 2)], ["downgrade"]),
        ([item("price_b", 400, 5)], [item("price_a", 500, 2)], []),
        ([item()], [item(), item("extra", 500)], ["downgrade"]),
        ([item(), item("extra", 500)], [item()], []),
        ([item("free", 0)], [item()], ["downgrade"]),
        ([item("tiers", None)], [item()], []),
        ([item("tiers", None, 2)], [item("tiers", None, 3)], ["quantity_change"]),
        ([item("cents", None, unit_amount_decimal="0.5")], [item("cent", 1)], ["downgrade"]),
        ([item("odd", None, unit_amount_decimal="x")], [item("cent", 1)], []),
        ([item("euro", 900, currency="eur")], [item()], []),
        ([item("metered", 5, None)], [item("metered_b", 9, None)], ["downgrade"]),
    ],
)
def test_a_change_of_plan_or_quantity(now: list[Payload], before: list[Payload], expected: list[str]) -> None:
    assert marks_of(now, were(*before)) == expected


@pytest.mark.parametrize(
    ("now", "previous", "expected"),
    [
        ([plan_item()], were(plan_item("price_b", 2000)), ["downgrade"]),
        ([plan_item()], {"plan": plan_item("price_b", 2000)["plan"]}, ["downgrade"]),
        ([plan_item()], {"plan": plan_item("price_b", 2000)["plan"], "quantity": 1}, ["downgrade"]),
        ([plan_item(quantity=2)], {"quantity": 5}, ["quantity_change"]),
        ([item(quantity=2)], {"quantity": 5}, ["quantity_change"]),
        ([item()], {"plan": plan_item("price_b", 2000)["plan"]}, ["downgrade"]),
        ([plan_item("price_b", 12_000, interval="year")], {"plan": plan_item("price_a", 1000)["plan"]}, []),
        ([item()], {"status": "trialing", "metadata": {"a": None}}, []),
        ([item()], {"plan": None}, []),
    ],
)
def test_older_shapes_tell_the_plan_or_the_quantity(now: list[Payload], previous: Payload, expected: list[str]) -> None:
    assert marks_of(now, previous) == expected


def test_only_an_update_of_the_subscription_itself_marks() -> None:
    assert marks_of([item()], were(item("price_b", 2000)), "customer.subscription.created") == []
    told = event(charge(), "charge.refunded")
    told["data"]["previous_attributes"] = {"amount_refunded": 0}
    assert all(not fact.marks for fact in read(told).facts)
