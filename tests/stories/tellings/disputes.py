"""Disputes: held, taken back, restored (scenarios 24 and 25)."""

from __future__ import annotations

from stories.story import Story, back, gone, held, payable, pending, story


@story("24")
def dispute_that_is_won(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.deliver()
    dispute = s.sb.dispute(session)["id"]
    s.deliver("charge.dispute.created")
    s.glance(ana=[held(2_000)])
    s.expect(ana=[gone(2_000)])
    s.sb.advance_by(days=12)
    s.sb.update_dispute(dispute, "under_review")
    s.expect(ana=[gone(2_000)])
    s.sb.advance_by(days=3)
    s.sb.close_dispute(dispute, "won")
    s.end(ana=[pending(2_000)], refused=[])


@story("24-lost")
def dispute_that_is_lost(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana")
    dispute = s.sb.dispute(session)["id"]
    s.sb.close_dispute(dispute, "lost")
    s.end(ana=[gone(2_000)], refused=[])


@story("24-inquiry")
def inquiry_holds_and_lets_go(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(6_000, "eur", every="month"), "ana")
    dispute = s.sb.dispute(session, inquiry=True)["id"]
    s.expect(ana=[held(1_200, currency="eur")])
    s.sb.advance_by(days=31)
    s.expect(ana=[held(1_200, currency="eur"), pending(1_200, "eur")])
    s.sb.close_dispute(dispute, "warning_closed")
    s.end(ana=[payable(1_200, "eur"), pending(1_200, "eur")], refused=[])


@story("24-inquiry-escalates")
def inquiry_becomes_a_dispute_and_is_lost(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(6_000), "ana")
    dispute = s.sb.dispute(session, inquiry=True)["id"]
    s.sb.advance_by(days=1)
    s.sb.update_dispute(dispute, "needs_response")
    s.expect(ana=[gone(1_200)])
    s.sb.advance_by(days=1)
    s.sb.close_dispute(dispute, "lost")
    s.end(ana=[gone(1_200)], refused=[])


@story("24-prevented")
def prevented_dispute_changes_nothing(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(6_000), "ana")
    dispute = s.sb.dispute(session, inquiry=True)["id"]
    s.sb.close_dispute(dispute, "prevented")
    s.end(ana=[pending(1_200)], refused=[])


@story("24-part")
def dispute_of_a_part(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana")
    dispute = s.sb.dispute(session, amount=2_500)["id"]
    s.sb.advance_by(days=1)
    s.sb.close_dispute(dispute, "lost")
    s.end(ana=[back(2_000, 500)], refused=[])


@story("24-appeal")
def lost_dispute_won_on_appeal(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000), "ana")
    dispute = s.sb.dispute(session)["id"]
    s.sb.advance_by(days=1)
    s.sb.close_dispute(dispute, "lost")
    s.sb.advance_by(days=1)
    s.expect(ana=[gone(2_000)])
    s.sb.update_dispute(dispute, "appeal_under_review")
    s.expect(ana=[gone(2_000)])
    s.sb.advance_by(days=1)
    s.sb.close_dispute(dispute, "won")
    s.end(ana=[pending(2_000)], refused=[])


@story("25")
def dispute_after_a_refund_is_reversed_once(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(10_000, every="month"), "ana")
    s.sb.refund(session, amount=4_000)
    dispute = s.sb.dispute(session)["id"]
    s.expect(ana=[gone(2_000)])
    s.sb.advance_by(days=1)
    s.sb.close_dispute(dispute, "won")
    s.end(ana=[back(2_000, 800)], refused=[])


@story("25-full")
def dispute_and_full_refund_of_one_charge(s: Story) -> None:
    s.affiliate("ana")
    session = s.buy(s.price(4_500), "ana")
    dispute = s.sb.dispute(session, amount=4_500, inquiry=True)["id"]
    s.sb.refund(session)
    s.expect(ana=[gone(900)])
    s.sb.advance_by(days=1)
    s.sb.close_dispute(dispute, "warning_closed")
    s.end(ana=[gone(900)], refused=[])
