"""One sale, one reward: what counts, and that it counts once (scenarios 1 to 9)."""

from __future__ import annotations

from stories.story import Reward, Story, story


@story("01")
def subscription_checkout_counts_once(s: Story) -> None:
    s.affiliate("ana")
    s.sb.sell(price=s.price(10_000, every="month"), email="c1@customers.example", client_reference_id="ana")
    s.end(ana=[Reward(2_000)], refused=[])


@story("02")
def one_off_checkout_without_invoice(s: Story) -> None:
    s.affiliate("ana")
    s.sb.sell(price=s.price(5_000), email="c1@customers.example", client_reference_id="ana")
    s.end(ana=[Reward(1_000)], refused=[])


@story("03")
def one_off_checkout_with_invoice(s: Story) -> None:
    s.affiliate("ana")
    s.sb.sell(
        price=s.price(5_000), customer_creation="always", email="c1@customers.example", client_reference_id="ana",
        invoice_creation={"enabled": True},
    )
    s.end(ana=[Reward(1_000)], refused=[])


@story("17")
def two_partial_refunds(s: Story) -> None:
    s.affiliate("ana")
    session = s.sb.sell(price=s.price(10_000, every="month"), email="c1@customers.example", client_reference_id="ana")
    s.expect(ana=[Reward(2_000)])
    s.sb.refund(session["id"], amount=2_500)
    s.expect(ana=[Reward(2_000, reversed=500)])
    s.sb.refund(session["id"], amount=2_500)
    s.end(ana=[Reward(2_000, reversed=1_000)])
