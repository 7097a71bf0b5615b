"""Subscription schedules and test clocks, over the wire."""

from datetime import UTC, datetime

import pytest

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app
from sandbox.shop import Shop, sdk
from serving import serve


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def types(sb: Sandbox, since: int) -> list[str]:
    return [e["type"] for e in sb.events_since(since)]


def two_phases(shop: Shop) -> tuple[str, str]:
    """A schedule of two months at 25.00, then a year at 250.00; the ids of schedule and subscription."""
    customer = shop.client.v1.customers.create({"email": "s@example.com"})
    schedule = shop.client.v1.subscription_schedules.create(
        {
            "customer": customer.id,
            "start_date": "now",
            "end_behavior": "release",
            "phases": [
                {"items": [{"price": shop.monthly}], "duration": {"interval": "month", "interval_count": 2}},
                {"items": [{"price": shop.yearly, "quantity": 1}], "duration": {"interval": "year"}},
            ],
        }
    )
    assert schedule.status == "active"
    return schedule.id, str(schedule.subscription)


def test_a_schedule_moves_the_plan_by_itself(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    schedule, sub = two_phases(shop)
    assert v1.subscriptions.retrieve(sub).schedule == schedule
    sb.advance("2026-03-30T00:00:00+00:00")
    seen = len(sb.events)
    sb.advance("2026-03-31T00:00:00+00:00")
    made = sb.events_since(seen)
    assert [e["type"] for e in made[:3]] == [
        "customer.subscription.updated",
        "subscription_schedule.updated",
        "customer.subscription.updated",
    ]
    assert {e["request"]["id"] for e in made} == {None}
    invoices = v1.invoices.list({"subscription": sub}).data
    assert [i.amount_paid for i in invoices] == [25000, 2500, 2500]
    assert invoices[0].billing_reason == "subscription_cycle"
    sb.advance("2027-04-01T00:00:00+00:00")
    assert v1.subscription_schedules.retrieve(schedule).status == "released"
    released = v1.subscriptions.retrieve(sub)
    assert (released.status, released.schedule) == ("active", None)
    assert [i.amount_paid for i in v1.invoices.list({"subscription": sub}).data] == [25000, 25000, 2500, 2500]


def test_a_schedule_that_starts_later_and_cancels_at_its_end(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    customer = v1.customers.create({"email": "s@example.com"}).id
    schedule = v1.subscription_schedules.create(
        {
            "customer": customer,
            "start_date": at("2026-02-10"),
            "end_behavior": "cancel",
            "phases": [{"items": [{"price": shop.monthly}], "end_date": at("2026-04-10")}],
        }
    )
    assert (schedule.status, schedule.subscription) == ("not_started", None)
    assert [s.id for s in v1.subscription_schedules.list({"scheduled": True}).data] == [schedule.id]
    sb.advance("2026-02-10T00:00:00+00:00")
    running = v1.subscription_schedules.retrieve(schedule.id)
    assert (running.status, running.current_phase.end_date) == ("active", at("2026-04-10"))
    sb.advance("2026-04-11T00:00:00+00:00")
    assert v1.subscription_schedules.retrieve(schedule.id).status == "completed"
    assert v1.subscriptions.retrieve(str(running.subscription)).status == "canceled"
    assert len(v1.invoices.list({"customer": customer}).data) == 2


def test_taking_over_a_subscription_and_letting_go(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    customer = v1.customers.create({"email": "s@example.com"}).id
    sub = v1.subscriptions.create({"customer": customer, "items": [{"price": shop.monthly}]})
    schedule = v1.subscription_schedules.create({"from_subscription": sub.id})
    phase = schedule.phases[0]
    assert (phase.start_date, phase.end_date) == (at("2026-01-31"), at("2026-02-28"))
    with pytest.raises(stripe.InvalidRequestError, match="already managed"):
        v1.subscription_schedules.create({"from_subscription": sub.id})
    v1.subscription_schedules.update(
        schedule.id,
        {
            "phases": [
                {"items": [{"price": shop.monthly}], "start_date": phase.start_date, "end_date": phase.end_date},
                {"items": [{"price": shop.monthly, "quantity": 4}], "duration": {"interval": "month"}},
            ]
        },
    )
    sb.advance("2026-02-28T00:00:00+00:00")
    assert v1.invoices.list({"subscription": sub.id, "limit": 1}).data[0].amount_paid == 10000
    seen = len(sb.events)
    assert v1.subscription_schedules.release(schedule.id).released_subscription == sub.id
    assert types(sb, seen) == ["subscription_schedule.released"]
    with pytest.raises(stripe.InvalidRequestError, match="released"):
        v1.subscription_schedules.cancel(schedule.id)


def test_cancelling_a_schedule_ends_its_subscription(shop: Shop) -> None:
    schedule, sub = two_phases(shop)
    seen = len(shop.sb.events)
    assert shop.client.v1.subscription_schedules.cancel(schedule).status == "canceled"
    assert types(shop.sb, seen) == ["customer.subscription.deleted", "subscription_schedule.canceled"]
    assert shop.sb.get(sub)["status"] == "canceled"


def test_a_test_clock_moves_its_customers_only(shop: Shop) -> None:
    sb, v1 = shop.sb, shop.client.v1
    clock = v1.test_helpers.test_clocks.create({"frozen_time": at("2025-01-01"), "name": "A year"})
    timed = v1.customers.create({"email": "t@example.com", "test_clock": clock.id})
    usual = v1.customers.create({"email": "u@example.com"})
    assert (timed.created, timed.test_clock, usual.created) == (at("2025-01-01"), clock.id, at("2026-01-31"))
    fast = v1.subscriptions.create({"customer": timed.id, "items": [{"price": shop.monthly}]})
    slow = v1.subscriptions.create({"customer": usual.id, "items": [{"price": shop.monthly}]})
    assert (fast.test_clock, fast.start_date) == (clock.id, at("2025-01-01"))
    seen = len(sb.events)
    advancing = v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": at("2025-03-15")})
    assert advancing.status == "advancing"
    assert v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready"
    made = types(sb, seen)
    assert (made[0], made[-1]) == ("test_helpers.test_clock.advancing", "test_helpers.test_clock.ready")
    assert made.count("invoice.paid") == 2
    assert [i.created for i in v1.invoices.list({"customer": timed.id}).data] == [
        at("2025-03-01"), at("2025-02-01"), at("2025-01-01")
    ]  # fmt: skip
    assert len(v1.invoices.list({"customer": usual.id}).data) == 1
    assert sb.now == at("2026-01-31")
    sb.advance_by(months=1)
    assert len(v1.invoices.list({"customer": usual.id}).data) == 2
    assert len(v1.invoices.list({"customer": timed.id}).data) == 3
    assert [c.id for c in v1.customers.list().data] == [usual.id]
    assert [c.id for c in v1.customers.list({"test_clock": clock.id}).data] == [timed.id]
    assert slow.test_clock is None
    with pytest.raises(stripe.InvalidRequestError, match="forward"):
        v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": at("2025-02-01")})


def test_a_test_clock_is_deleted_with_its_customers(shop: Shop) -> None:
    v1 = shop.client.v1
    clock = v1.test_helpers.test_clocks.create({"frozen_time": at("2025-01-01")})
    customer = v1.customers.create({"test_clock": clock.id})
    sub = v1.subscriptions.create({"customer": customer.id, "items": [{"price": shop.monthly}]})
    assert v1.test_helpers.test_clocks.delete(clock.id).deleted
    assert v1.customers.retrieve(customer.id).deleted
    assert shop.sb.get(sub.id)["status"] == "canceled"
    assert v1.test_helpers.test_clocks.list().data == []


def test_a_kept_sandbox_goes_on_where_it_was(tmp_path: object) -> None:
    path = f"{tmp_path}/sandbox.db"
    sb = Sandbox(clock_start="2026-01-31T00:00:00+00:00", seed=7, path=path)
    price = sb.create_price(sb.create_product("Plan")["id"], "usd", 2500, interval="month")["id"]
    sb.set_billing(retry_days=[3])
    clock = sb.create_test_clock("2025-01-01T00:00:00+00:00")["id"]
    timed = sb.create_customer(test_clock=clock)["id"]
    sb.subscribe(timed, price=price)
    usual = sb.create_customer()["id"]
    sb.create_schedule(usual, [{"items": [{"price": price}], "iterations": 1}], start_at=sb.now + 86_400)
    sb.close()
    again = Sandbox(path=path)
    again.advance_test_clock(clock, "2025-02-02T00:00:00+00:00")
    again.advance_by(months=2)
    assert len([i for i in again.all("invoice") if i["customer"] == timed]) == 2
    assert len([i for i in again.all("invoice") if i["customer"] == usual]) == 2
    assert again.billing()["retry_days"] == [3]
    url, stop = serve(create_app(again))
    assert [s.status for s in sdk(url).v1.subscription_schedules.list().data] == ["released"]
    stop()
