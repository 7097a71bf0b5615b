"""Binding by hand at its edges: said twice, said otherwise, of oneself, with codes that bind nobody, after a payout."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from refref.core.bonds_file import Bond
from refref.core.refusals import Refused
from refref.flows.bind_by_hand import bind_customers
from refref.flows.payouts import record_payout
from refref.sandbox import Sandbox
from stories.story import MODES, START, Mode, Story, at, payable, pending
from stories.test_bind_by_hand import bind, moved, preview, undo
from stories.world import World

DAY = 86_400


@pytest.fixture
def s(world_of: Callable[[Mode], World]) -> Story:
    """Give the story of a merchant."""
    world = world_of(MODES[0])
    sandbox = Sandbox(clock_start=START, seed=41)
    return Story(world, MODES[0], world.create_merchant(sandbox), sandbox, random.Random(41))  # noqa: S311 - repeatable tests need it


def test_a_promotion_code_and_a_participant_are_named_by_their_ids(s: Story) -> None:
    s.affiliate("ana")
    promotion_code = s.code("ana")
    assert promotion_code != promotion_code.lower()
    for code in (promotion_code, s.names["ana"], "ANA"):
        customer = s.customer()
        s.buy(s.price(5_000), customer=customer)
        bind(s, Bond(customer, code))
        assert s.world.refusals(s.merchant) == [], code
    s.end(ana=[pending(1_000)] * 3, refused=[])


def test_the_last_word_of_a_person_holds(s: Story) -> None:
    for code in ("ana", "bea"):
        s.affiliate(code)
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    bind(s, Bond(customer, "ana"))
    assert sorted(moved(preview(s, [Bond(customer, "bea")]))) == [(0, 1_000), (1_000, 0)]
    for code, other in (("bea", "ana"), ("ana", "bea"), ("bea", "ana")):
        bind(s, Bond(customer, code))
        s.expect_referrals(**{code: 1, other: 0})
    with pytest.raises(Refused, match="taken back already"):
        undo(s, customer, "ana")
    undo(s, customer, "bea")
    s.expect(refused=["not_attributed"])
    s.end(refused=["not_attributed"])


def test_the_day_of_the_referral_can_be_corrected(s: Story) -> None:
    s.affiliate("ana")
    customer, start = s.customer(), s.sb.now
    s.buy(s.price(5_000, every="month"), customer=customer)
    s.wait(months=1)
    s.sb.advance_by(days=5)
    bind(s, Bond(customer, "ana"))
    s.expect(refused=["before_referral"] * 2)
    s.sb.advance_by(hours=1)
    bind(s, Bond(customer, "ana", start - DAY))
    s.expect(refused=[], ana=[payable(1_000), pending(1_000)])
    s.sb.advance_by(hours=1)
    bind(s, Bond(customer, "ana", start + 20 * DAY))
    s.end(refused=["before_referral", "existing_customer"])


def test_saying_the_same_again_takes_nothing_away(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    bind(s, Bond(customer, "ana"))
    s.expect(ana=[pending(1_000)])
    s.sb.advance_by(days=10)
    before = s.world.books(s.merchant)
    assert preview(s, [Bond(customer, "ana")]).changes == ()
    bind(s, Bond(customer, "ANA"))
    assert s.world.books(s.merchant) == before
    assert len(s.world.fetch(s.merchant, "select from stripe_event where source = 'told'")) == 1
    s.end(ana=[pending(1_000)])


def test_a_code_that_was_ended_binds_nobody_and_says_so(s: Story) -> None:
    for code in ("ana", "bea"):
        s.affiliate(code)
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    bind(s, Bond(customer, "bea"))
    s.sb.advance_by(hours=1)
    for code in ("ana", "bea"):
        s.deactivate(code, code)
    bind(s, Bond(customer, "bea"))  # bound already, and stays so
    for attempt in (preview, lambda s, bonds: bind(s, *bonds)):
        with pytest.raises(Refused, match="That code was ended") as refused:
            attempt(s, [Bond(customer, "ana")])
        assert refused.value.field == "code"
    s.end(bea=[pending(1_000)], refused=[])


def test_nobody_is_rewarded_for_themselves(s: Story) -> None:
    s.affiliate("ana", email="buyer@customers.example")
    customer = s.customer(email="Buyer+2@customers.example")
    s.buy(s.price(5_000), customer=customer)
    found = preview(s, [Bond(customer, "ana", s.sb.now - 60)])
    assert (found.changes, [row.reason for row in found.still_nothing]) == ((), ["self_referral"])
    bind(s, Bond(customer, "ana", s.sb.now - 60))
    s.end(refused=["self_referral"])


def test_nothing_of_another_organization_can_be_named(s: Story) -> None:
    s.affiliate("ana")
    other = s.another_account()
    other.affiliate("zoe")
    theirs, ours = other.customer(email="theirs@customers.example"), s.customer()
    other.buy(other.price(5_000), "zoe", customer=theirs)
    other.catch_up()
    (referral,) = other.world.fetch(other.merchant, "select referral_id from referral")
    for code in ("zoe", other.names["zoe"], referral[0], "nul\x00", "half\ud800"):
        with pytest.raises(Refused, match="No participant of this connection"):
            bind(s, Bond(ours, code))
    for customer in (theirs, "theirs@customers.example", "nul\x00@customers.example", "half\ud800@customers.example"):
        with pytest.raises(Refused, match="knows no such customer"):
            bind(s, Bond(customer, "ana"))
        with pytest.raises(Refused, match="no such customer"):
            undo(s, customer, "ana")


def test_a_referral_is_no_code_to_bind_by(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer()
    s.buy(s.price(5_000), "ana", customer=customer)
    s.expect(ana=[pending(1_000)])
    (referral,) = s.world.fetch(s.merchant, "select referral_id from referral")
    with pytest.raises(Refused, match="No participant of this connection"):
        bind(s, Bond(customer, referral[0]))


def test_a_participant_of_another_program_earns_beside(s: Story) -> None:
    s.affiliate("ana")
    s.program("second")
    s.affiliate("zoe", program="second")
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    bind(s, Bond(customer, "ana"))
    bind(s, Bond(customer, "zoe", s.sb.now - 60))
    s.expect(ana=[pending(1_000)], zoe=[pending(1_000)])
    undo(s, customer, "zoe")
    s.end(ana=[pending(1_000)], zoe=[])


def test_a_click_of_long_ago_is_taken_and_an_impossible_one_is_not(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    bond = Bond(customer, "ana", at("2000-01-01"))
    assert [row.reason for row in preview(s, [bond]).still_nothing] == ["outside_window"]
    for impossible in (at("2000-01-01") - 1, -1, -62_135_596_800):
        with pytest.raises(Refused, match="cannot lie before 2000") as refused:
            bind(s, Bond(customer, "ana", impossible))
        assert refused.value.field == "clicked_at"
        with pytest.raises(Refused, match="cannot lie before 2000"):
            s.tell(customer, "ana", clicked_at=impossible)
    bind(s, bond)
    s.end(refused=["outside_window"])


def test_undoing_after_the_payout_leaves_a_debt_that_the_preview_told(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer()
    s.buy(s.price(5_000), customer=customer)
    bind(s, Bond(customer, "ana"))
    s.wait(days=40)
    s.expect(ana=[payable(1_000)])

    async def pay() -> None:
        now = datetime.fromtimestamp(s.sb.now, UTC)
        own = {"currency": "usd", "amount_minor": None, "actor": "system", "now": now}
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await record_payout(tx, s.merchant.organization_id, s.names["ana"], **own)  # type: ignore[arg-type]  # given by name

    s.world.run(pay())
    assert moved(preview(s, undone=(customer, "ana"))) == [(1_000, 0)]
    undo(s, customer, "ana")
    balances = s.world.balances(s.merchant, s.names["ana"])
    assert (balances[("payable", "usd")], balances[("paid", "usd")]) == (-1_000, 1_000)
    s.catch_up()
    s.world.check(s.merchant, is_backtested=False)


def test_people_bind_at_the_same_time_as_events_arrive(s: Story) -> None:
    for code in ("ana", "bea"):
        s.affiliate(code)
    customer = s.customer()
    s.deliver()
    s.buy(s.price(5_000, every="month"), customer=customer)

    async def bind_to(code: str) -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            own = (s.merchant.organization_id, s.merchant.connection_id)
            bonds = [Bond(customer, code, s.sb.now - 60)]
            await bind_customers(tx, *own, bonds, reason="By phone", actor="system", now=s.sb.now)

    async def all_at_once() -> None:
        s._collect()
        pairs = [pair for event in s.waiting for pair in s._rendered(event)]
        s.waiting = []
        await asyncio.gather(bind_to("ana"), s.world._deliver(s.merchant, pairs, s), bind_to("bea"))

    s._sync_clock()
    s.world.run(all_at_once())
    counts = s.world.referral_counts(s.merchant)
    assert sorted(counts.values()) == [1], counts
    (payment,) = s.world.fetch(s.merchant, "select outcome, earned_minor from decision")
    assert tuple(payment) == ("rewarded", 1_000)
    s.world.check(s.merchant)
