"""The monthly statement: each payment in one class, each movement of Stripe's balance with the payment behind it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from history.reading import at, read_on, settle_all, story_of
from refref.core.refusals import Refused
from refref.core.terms import CurrencyTerms, RewardRule
from refref.db.history import HistoryRun
from refref.db.reports import readings
from refref.db.reports.readings import Statement
from refref.flows.readings import month_span, start_statement
from refref.flows.reviews import review_conversion
from refref.sandbox import Sandbox
from stories.story import MODES, START, Story
from stories.test_storm import make_history
from stories.world import World


def statement_of(story: Story, month: str) -> Statement:
    merchant, now = story.merchant, at(story.sb.now)

    async def ask() -> HistoryRun:
        async with story.world.database.tenant(merchant.organization_id) as tx:
            ids = (merchant.organization_id, merchant.connection_id)
            return await start_statement(tx, *ids, month=month, actor="system", now=now)

    async def look() -> Statement:
        async with story.world.database.tenant(merchant.organization_id) as tx:
            found = await readings.statement(tx, merchant.organization_id, run.run_id, now)
        assert found is not None
        return found

    run = story.world.run(ask())
    assert read_on(story, run).status == "done"
    return story.world.run(look())


def told(found: Statement) -> dict[tuple[str, str], tuple[int, int]]:
    """(class, reason) -> payments and what they paid."""
    return {(row.payment_class, row.reason): (row.count, row.paid_minor) for row in found.classes}


def test_each_kind_of_payment_has_its_class_and_every_cent_is_explained(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=4)
    story = story_of(world, sb, has_api=True)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 10_000)["id"]

    def sell(name: str, **more: Any) -> Any:
        return sb.sell(price=price, email=f"{name}@customers.example", customer_creation="always", **more)

    sell("kept", client_reference_id="ana")
    sell("partly", client_reference_id="ana")
    sb.refund(sb.all("charge")[-1]["id"], amount=2_500)
    sell("refunded", client_reference_id="bea")
    sb.refund(sb.all("charge")[-1]["id"])
    sell("lost", client_reference_id="cal")
    sb.close_dispute(sb.dispute(sb.all("charge")[-1]["id"])["id"], "lost")
    sell("alone")
    sell("typo", client_reference_id="anna")
    sell("ana@partners.example".partition("@")[0], client_reference_id="dee", card="sepa")
    story._send(list(sb.events))
    settle_all(story)
    sb.top_up(50_000)

    found = statement_of(story, "2026-01")
    assert told(found) == {
        ("rewarded", ""): (2, 20_000),
        ("reversed", ""): (2, 20_000),
        ("not_attributed", "not_attributed"): (1, 10_000),
        ("not_attributed", "unknown_code"): (1, 10_000),
        ("waiting", "payment_pending"): (1, 0),
    }
    (dollars,) = found.explained
    assert (dollars.currency, dollars.explained_bps, dollars.count) == ("usd", 10_000, 9)
    # six charges; a refund of 25.00 and one of 100.00; the dispute of 100.00
    assert dollars.moved_minor == 6 * 10_000 + 2_500 + 10_000 + 10_000
    assert found.unexplained == ()
    other = {row.type: row.is_sale for row in found.money}
    assert other == {"charge": True, "refund": True, "adjustment": True, "topup": False}

    entries = world.fetch(story.merchant, "select count(*), count(distinct payment_key) from statement_payment")
    assert tuple(entries[0]) == (7, 7)


def test_a_charge_that_the_books_do_not_know_is_named(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=5)
    story = story_of(world, sb, has_api=True)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 3_000)["id"]
    for number in range(3):
        sb.sell(price=price, email=f"c{number}@customers.example")
    lost = sb.all("charge")[-1]
    unheard = {lost["id"], lost["payment_intent"], *(s["id"] for s in sb.all("checkout.session")[-1:])}
    story._send([event for event in sb.events if event["data"]["object"]["id"] not in unheard])
    settle_all(story)
    found = statement_of(story, "2026-01")
    (dollars,) = found.explained
    assert (dollars.explained_bps, dollars.explained_minor, dollars.moved_minor) == (6_666, 6_000, 9_000)
    assert [row.source_id for row in found.unexplained] == [lost["id"]]


def test_what_was_paid_ties_to_its_charges_and_they_to_the_balance(world: World) -> None:
    """Out of band, in two currencies of which Stripe converts one, at the month's edge, refunded in the next month."""
    sb = Sandbox(clock_start=START, seed=41)
    story = story_of(world, sb, has_api=True)
    dollars = sb.create_price(sb.create_product("P")["id"], "usd", 10_000)["id"]
    yen = sb.create_price(sb.create_product("Q")["id"], "jpy", 5_000)["id"]
    sb.settle_in("usd", {"jpy": "0.65"})
    sb.sell(price=dollars, email="a@customers.example", customer_creation="always", client_reference_id="ana")
    sb.sell(price=yen, email="b@customers.example", customer_creation="always", client_reference_id="bea")
    customer = sb.create_customer(email="c@customers.example", metadata={"refref_referral_id": "cal"})["id"]
    invoice = sb.create_invoice(customer, [{"amount": 3_000, "description": "Work"}])["id"]
    sb.pay_invoice(invoice, out_of_band=True)
    sb.advance_by(days=31)
    sb.refund(sb.all("charge")[0]["id"], amount=4_000)
    story._send(list(sb.events))
    settle_all(story)

    first = statement_of(story, "2026-01")
    ties = {row.currency: row for row in first.ties}
    assert (ties["usd"].paid_minor, ties["usd"].off_stripe_minor, ties["usd"].charged_minor) == (13_000, 3_000, 10_000)
    assert (ties["jpy"].paid_minor, ties["jpy"].charged_minor) == (5_000, 5_000)
    assert all((t.untied_count, t.unknown_count, t.unmoved_count) == (0, 0, 0) for t in first.ties), first.ties
    assert (first.untied_payments, first.untied_movements) == ((), ())
    (moved,) = first.explained  # all of it in dollars: 100.00, and 5,000 yen at 0.65
    assert (moved.currency, moved.moved_minor, moved.explained_bps) == ("usd", 13_250, 10_000)
    second = statement_of(story, "2026-02")
    (refund,) = [row for row in second.money if row.type == "refund"]
    assert (refund.net_minor, refund.explained_count) == (-4_000, 1)
    assert second.classes == (), "the payment is of January"


def test_what_does_not_tie_is_shown(world: World) -> None:
    """The books know another amount than Stripe's balance; a charge that moves nothing this month; nobody's dispute."""
    sb = Sandbox(clock_start=START, seed=42)
    story = story_of(world, sb, has_api=True)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 10_000)["id"]
    for name in ("even", "more", "late"):
        sb.sell(price=price, email=f"{name}@customers.example", customer_creation="always")
    story._send(list(sb.events))
    settle_all(story)
    even, more, late = sb.live("balance_transaction")
    sb.alter(more, amount=12_000)
    sb.alter(late, created=late["created"] + 40 * 86_400)
    sb.balance_entry(-700, {"id": None, "currency": "usd"}, "adjustment", category="other_adjustment", available_on=0)
    sb.advance_by(days=1)

    found = statement_of(story, "2026-01")
    (tie,) = found.ties
    assert (tie.paid_minor, tie.charged_minor, tie.unmoved_count, tie.unmoved_minor) == (30_000, 30_000, 1, 10_000)
    assert [(m.stripe_id, m.amount_minor, m.known_minor) for m in found.untied_movements] == [
        (more["id"], 12_000, 10_000)
    ]
    assert even["id"] not in {m.stripe_id for m in found.untied_movements}
    kinds = {(row.type, row.is_sale): row.net_minor for row in found.money}
    assert kinds == {("charge", True): 22_000, ("adjustment", False): -700}


@pytest.mark.timeout(300)
def test_half_a_year_is_explained_month_by_month(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=7)
    make_history(sb, random.Random(7))  # noqa: S311 - a seed for a history, no secret
    story = story_of(world, sb, has_api=True)
    story._send(list(sb.events))
    settle_all(story)
    months = sorted({f"{datetime.fromtimestamp(event['created'], UTC):%Y-%m}" for event in sb.events})
    statements = [statement_of(story, month) for month in months]
    for found in statements:
        assert all(own.explained_bps == 10_000 for own in found.explained), (found.month, found.unexplained)
        assert all(own.untied_count == own.unknown_count == 0 for own in found.ties), found.untied_payments
        assert found.untied_movements == ()
    payments = world.fetch(
        story.merchant, "select count(distinct payment_key) from decision where strpos(payment_key, '/') = 0"
    )
    assert sum(row.count for found in statements for row in found.classes) == payments[0][0]
    movements = sum(own.count for found in statements for own in found.explained)
    of_sales = [row for row in sb.all("balance_transaction") if row["type"] not in ("payout", "topup", "transfer")]
    assert movements == len(of_sales) > 50


@pytest.mark.parametrize("month", ["", "2026", "2026-13", "2026-1-1", "march", "9999-12"])
def test_a_month_is_a_month(month: str) -> None:
    with pytest.raises(Refused) as refused:
        month_span(month)
    assert (refused.value.code, refused.value.field) == ("invalid_month", "month")


def test_a_month_goes_from_its_first_day_to_the_next_ones() -> None:
    assert month_span("2024-02") == (datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    assert month_span("2026-12") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


def test_what_a_person_rejected_is_reversed_in_whatever_currency_it_was_owed(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=4)
    story = Story(world, MODES[0], world.create_merchant(sb, has_api=True), sb, random.Random(1))  # noqa: S311 - an order, no secret
    euros = CurrencyTerms(base="eur", conversion="table", table={"usd": "0.9"}, pays_in="base")
    story.program(rules=(RewardRule(rule_id="share", rate_bps=1_000),), currency=euros)
    story.affiliate("ana")
    price = sb.create_price(sb.create_product("P")["id"], "usd", 10_000)["id"]
    for name in ("kept", "rejected"):
        sb.sell(price=price, email=f"{name}@customers.example", customer_creation="always", client_reference_id="ana")
    story._send(list(sb.events))
    settle_all(story)
    merchant = story.merchant
    intent = sb.all("payment_intent")[-1]["id"]

    async def reject() -> None:
        async with world.database.tenant(merchant.organization_id) as tx:
            whose = (merchant.organization_id, merchant.connection_id, story.names["main"])
            await review_conversion(
                tx, *whose, intent, verdict="rejected", reason="no such sale", actor="system", now=at(sb.now)
            )

    world.run(reject())
    settle_all(story)
    assert told(statement_of(story, "2026-01")) == {("rewarded", ""): (1, 10_000), ("reversed", ""): (1, 10_000)}
