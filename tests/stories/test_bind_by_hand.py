"""Binding by hand: earlier payments are credited under the terms of their day, the money shown before; and undone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from refref.core.bonds_file import Bond
from refref.core.money_preview import MoneyPreview
from refref.core.refusals import Refused
from refref.core.terms import RewardRule
from refref.flows.bind_by_hand import bind_customers, preview_binding, preview_undoing, undo_binding
from refref.sandbox import Sandbox
from stories.story import MODES, START, Mode, Story, gone, pending
from stories.world import World

TOLD = [mode for mode in MODES if mode.name in ("calm", "shuffled", "crashing")]


@pytest.fixture(params=TOLD, ids=lambda mode: mode.name)
def s(request: pytest.FixtureRequest, world_of: Callable[[Mode], World]) -> Story:
    """Give a story in each of a few modes."""
    world = world_of(request.param)
    sandbox = Sandbox(clock_start=START, seed=11)
    return Story(world, request.param, world.create_merchant(sandbox), sandbox, random.Random(11))  # noqa: S311 - repeatable tests need it


def bind(s: Story, *bonds: Bond, reason: str = "Said so on the phone") -> None:
    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            own = (s.merchant.organization_id, s.merchant.connection_id)
            await bind_customers(tx, *own, bonds, reason=reason, actor="system", now=s.sb.now)

    s.catch_up()
    s.world.run(work())


def undo(s: Story, customer: str, code: str) -> None:
    async def work() -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            own = (s.merchant.organization_id, s.merchant.connection_id)
            await undo_binding(tx, *own, customer=customer, code=code, reason="A mistake", actor="system", now=s.sb.now)

    s.world.run(work())


def preview(s: Story, bonds: Sequence[Bond] = (), *, undone: tuple[str, str] | None = None) -> MoneyPreview:
    async def work() -> MoneyPreview:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            own = (s.merchant.organization_id, s.merchant.connection_id)
            if undone:
                return await preview_undoing(tx, *own, customer=undone[0], code=undone[1], now=s.sb.now)
            return await preview_binding(tx, *own, bonds, now=s.sb.now)

    s.catch_up()
    return s.world.run(work())


def moved(found: MoneyPreview) -> list[tuple[int, int]]:
    return [(change.before_minor, change.after_minor) for change in found.changes]


def test_earlier_payments_are_credited_under_the_terms_of_their_day(s: Story) -> None:
    s.affiliate("ana")
    s.publish(s.sb.now + 20 * 86_400, rules=(RewardRule(rule_id="commission", rate_bps=1_000),))
    clicked_at = s.sb.now
    customer = s.customer()
    s.buy(s.price(5_000, every="month"), customer=customer)
    s.wait(months=2)
    s.expect(refused=["not_attributed"] * 3)
    bond = Bond(customer, "ana", clicked_at)

    found = preview(s, [bond])
    assert moved(found) == [(0, 1_000), (0, 500), (0, 500)]
    assert [(t.beneficiary_id, t.difference_minor, t.payment_count) for t in found.totals] == [
        (s.names["ana"], 2_000, 3)
    ]
    s.expect(refused=["not_attributed"] * 3)  # nothing was written

    bind(s, bond)
    rewards = [r["amount_minor"] for r in s.world.rewards(s.merchant, s.names["ana"])]
    assert rewards == [1_000, 500, 500]
    assert preview(s, [bond]).changes == ()
    s.world.check(s.merchant)


def test_payments_before_the_click_earn_nothing_and_the_preview_says_why(s: Story) -> None:
    s.affiliate("ana", program="anybody")
    s.program("anybody-2", customers="any")
    customer = s.customer()
    price = s.price(5_000, every="month")
    s.buy(price, customer=customer)
    s.wait(months=1)
    found = preview(s, [Bond(customer, "ana", s.sb.now - 86_400 * 2)])
    reasons = {row.reason for row in found.still_nothing}
    assert reasons == {"before_referral", "existing_customer"}, found
    assert found.changes == ()


def test_a_bond_is_undone_and_made_again(s: Story) -> None:
    s.affiliate("ana")
    s.affiliate("bea")
    customer = s.customer()
    s.buy(s.price(5_000), "bea", customer=customer)
    s.expect(bea=[pending(1_000)])
    bond = Bond(customer, "ana", s.sb.now - 60)
    assert sorted(moved(preview(s, [bond]))) == [(0, 1_000), (1_000, 0)]
    bind(s, bond)
    s.expect(ana=[pending(1_000)])

    assert sorted(moved(preview(s, undone=(customer, "ANA")))) == [(0, 1_000), (1_000, 0)]
    undo(s, customer, "ANA")
    s.expect(bea=[pending(1_000)])
    with pytest.raises(Refused, match="taken back already"):
        undo(s, customer, "ana")
    bind(s, bond)
    s.expect(ana=[pending(1_000)])
    undo(s, customer, "ana")
    s.end(bea=[pending(1_000)], refused=[])


def test_undoing_the_only_bond_leaves_nobody(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer(email="one@customers.example")
    s.buy(s.price(5_000), customer=customer)
    bind(s, Bond("ONE@customers.example", "ana", None))
    s.expect(ana=[pending(1_000)], refused=[])
    undo(s, customer, "ana")
    s.expect(refused=["not_attributed"])
    s.expect_referrals(ana=0)
    assert [row["status"] for row in s.world.fetch(s.merchant, "select status from reward")] == [gone(0).status]
    actions = s.world.fetch(s.merchant, "select action, details->>'reason' from audit_log where action ~ 'referral'")
    assert [tuple(row) for row in actions] == [
        ("referral.bound", "Said so on the phone"),
        ("referral.undone", "A mistake"),
    ]
    s.end(refused=["not_attributed"])


BAD = [
    ("cus_unknown", "ana", None, "customer", "knows no such customer"),
    ("two@customers.example", "ana", None, "customer", "2 customers have this address"),
    ("one@customers.example", "nobody", None, "code", "no participant of this connection has that code"),
    ("one@customers.example", "ana", 10**10, "clicked_at", "cannot lie in the future"),
]


@pytest.mark.parametrize(("customer", "code", "clicked_at", "column", "sentence"), BAD)
def test_a_file_with_a_fault_binds_nobody(
    s: Story, customer: str, code: str, clicked_at: int | None, column: str, sentence: str
) -> None:
    s.affiliate("ana")
    good = s.customer(email="good@customers.example")
    for email in ("one@customers.example", "two@customers.example", "two@customers.example"):
        s.customer(email=email)
    with pytest.raises(Refused) as refused:
        bind(s, Bond(good, "ana", None, 2), Bond(customer, code, clicked_at, 3))
    assert f"Line 3, {column}: " in refused.value.sentence
    assert sentence in refused.value.sentence
    s.expect_referrals(ana=0)


def test_a_reason_is_required(s: Story) -> None:
    s.affiliate("ana")
    customer = s.customer()
    with pytest.raises(Refused) as refused:
        bind(s, Bond(customer, "ana"), reason=" ")
    assert (refused.value.code, refused.value.field) == ("reason_required", "reason")
