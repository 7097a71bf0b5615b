"""How events come: replays, old states, versions, the same event at once (scenarios 45, 49, 52, 53, 72, 73)."""

from __future__ import annotations

from stories.story import Story, back, payable, pending, story


@story("45")
def replay_after_3_and_after_30_days(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.sb.refund(session, amount=1_000)
    s.expect(ana=[back(2_000, 200)])
    s.wait(days=3)
    s.redeliver()
    s.expect(ana=[back(2_000, 200)], refused=[])
    s.wait(days=27)
    s.redeliver()
    s.end(ana=[payable(2_000, back=200)], refused=[])


@story("49")
def one_sale_told_in_every_version(s: Story) -> None:
    s.affiliate("ana")
    rate = s.sb.create_tax_rate(1_900, inclusive=True)["id"]
    promo = s.code("ana", percent_off=15, duration="forever")
    session = s.buy(s.price(4_900, "eur", every="month"), "ana", tax_rate=rate, promotion_code=promo)
    s.sb.refund(session, amount=833)
    # 49.00 less 7.35 is 41.65 with 6.65 of tax: 35.00, of which 8.33 of 41.65 went back: a fifth.
    s.end(ana=[back(700, 140, "eur")], refused=[])


@story("52")
def older_state_of_a_subscription_arrives_later(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(1_000, every="month"), "ana")
    subscription = s.sb.get(session)["subscription"]
    s.deliver()
    s.sb.advance_by(days=1)
    s.sb.change_subscription(subscription, quantity=2, proration_behavior="none")
    s.sb.advance_by(days=1)
    s.sb.change_subscription(subscription, quantity=5, proration_behavior="none")
    newer, older = [e for e in s.sb.events if e["type"] == "customer.subscription.updated"][:-3:-1]
    s.deliver_events(newer)
    s.deliver_events(older)
    s.end(ana=[pending(200)], refused=[])
    assert s.world.subscription(s.merchant, subscription).quantity == 5


@story("52-ended")
def end_of_a_subscription_stays_the_end(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(1_000, every="month"), "ana")
    subscription = s.sb.get(session)["subscription"]
    s.sb.change_subscription(subscription, quantity=2, proration_behavior="none")
    s.sb.cancel_subscription(subscription)
    s.deliver("customer.subscription.deleted")
    s.end(ana=[pending(200)], refused=[])
    assert s.world.subscription(s.merchant, subscription).status == "canceled"


@story("53", has_api=True)
def two_updates_in_one_second_are_settled_by_asking(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(1_000, every="month"), "ana")
    subscription = s.sb.get(session)["subscription"]
    s.wait(days=1)
    for quantity in (7, 2, 4, 3):
        s.sb.change_subscription(subscription, quantity=quantity, proration_behavior="none")
    s.end(ana=[pending(200)], refused=[])
    assert s.world.subscription(s.merchant, subscription).quantity == 3


@story("72")
def endpoint_moves_to_older_versions_in_mid_stream(s: Story) -> None:
    s.program(hold_days=0)
    s.affiliate("ana")
    session = s.buy(s.price(2_000, every="month"), "ana")
    for version in ("2024-06-20", "2020-08-27", "2025-03-31.basil", "2026-10-28.endive"):
        s.pin(version)
        s.wait(months=1)
    s.pin("2025-02-24.acacia")
    s.sb.refund(session, amount=1_000)
    s.pin(None)
    s.sb.refund(s.sb.all("invoice")[2]["id"], amount=500)
    s.end(ana=[payable(400, back=200), payable(400), payable(400, back=100), payable(400), payable(400)], refused=[])


@story("73")
def same_event_many_times_at_once(s: Story) -> None:
    s.affiliate("ana")
    s.buy(s.price(2_000, every="month"), "ana")
    s.sb.refund(s.sb.all("charge")[0]["id"], amount=500)
    s.deliver()
    s.deliver_events(*[event for event in s.sb.events if event["type"] in ("invoice.paid", "refund.created")] * 9)
    s.end(ana=[back(400, 100)], refused=[])
    assert s.world.stored_twice(s.merchant) == []
