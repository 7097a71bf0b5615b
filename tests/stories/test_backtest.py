"""Backtests of told stories: the difference that they find is what publishing the terms since ever really books."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from refref.core.backtest import REFEREES, Summary
from refref.core.decisions import decode_decision
from refref.core.terms import (
    Band,
    Cap,
    CurrencyTerms,
    Duration,
    QualifyingEvent,
    RewardRule,
    Terms,
    Tiers,
    TierStep,
)
from refref.db import backtests
from refref.db.pool import Database
from refref.flows.backtest import start_backtest
from refref.flows.backtest_history import Job
from refref.sandbox import Sandbox
from refref.worker.backtests import PartFailed, run_backtest, run_due_backtests
from refref.worker.pump import pump_once
from stories.backtesting import backtest
from stories.story import MODES, START, Mode, Story
from stories.world import World

CALM = MODES[0]
PLAIN = Terms(customers="any", attribution_window_days=365)
BY_REFERRALS = (
    TierStep(rate_bps=500),
    TierStep(at_least=2, rate_bps=1_500),
    TierStep(at_least=3, rate_bps=3_000),
)
CHANGED = {
    "a higher rate": {"rules": (RewardRule(rule_id="commission", rate_bps=3_500),)},
    "a shorter duration": {"duration": Duration("payments", 1)},
    "nothing for the first payment": {"rules": (RewardRule(rule_id="commission", rate_bps=2_000, on="recurring"),)},
    "tiers from a referral on": {
        "rules": (RewardRule(rule_id="commission", tiers=Tiers(by="referrals", steps=BY_REFERRALS)),)
    },
    "tiers of the whole period": {
        "rules": (
            RewardRule(
                rule_id="commission", tiers=Tiers(by="referrals", steps=BY_REFERRALS, applies="retroactive")
            ),
        )
    },
    "a cap on each customer alone": {"caps": (Cap(on="customer", amounts={"usd": 1_200}),)},
    "caps": {
        "caps": (
            Cap(on="reward", amounts={"usd": 1_500}),
            Cap(on="customer", amounts={"usd": 2_500}),
            Cap(on="participant", amounts={"usd": 4_000}, period="month"),
            Cap(on="program", amounts={"usd": 7_000}),
        )
    },
    "bands, conditions and the customer, too": {
        "events": (QualifyingEvent(event_id="renewals", kind="renewal"),),
        "rules": (
            RewardRule(rule_id="commission", bands=(Band(rate_bps=2_500, up_to_months=1),), rate_bps=500),
            RewardRule(rule_id="hi", to="referee", reward="credit", kind="fixed", amounts={"usd": 200}, on="first"),
            RewardRule(rule_id="large", rate_bps=100, condition="sale.amount_minor > 9000"),
            RewardRule(rule_id="renewal", event="renewals", kind="fixed", amounts={"usd": 50}),
        ),
    },
    "another product alone": {"products": ("prod_none",)},
    "in another currency": {
        "currency": CurrencyTerms(base="eur", conversion="table", table={"usd": "0.9"}, pays_in="base")
    },
}  # fmt: skip


def tell(story: Story) -> None:
    """Seven customers of two participants over three months; one pays twice, one gets all back, one a part."""
    story.names["main"] = story.world.create_program(story.merchant, "main", PLAIN, 0)
    for code in ("ana", "bea"):
        story.affiliate(code)
    plan, extra = story.price(4_900, every="month"), story.price(9_900, product="Extra")
    paid = []
    for number, code in enumerate(("ana", "bea", "ana", "ana", "bea", "ana")):
        customer = story.customer(code, email=f"buyer{number}@customers.example")
        paid.append(story.paid_invoice(customer, [4_900, extra] if number % 2 else [4_900]))
        if number == 2:
            story.paid_invoice(customer, [10_000])
        story.wait(days=9)
    story.buy(plan, "bea", email="subscriber@customers.example")
    story.sb.refund(paid[0]["id"])
    story.sb.refund(paid[1]["id"], amount=3_000)
    story.wait(days=40)
    story.deliver()


def booked_money(world: World, story: Story) -> dict[tuple[str, str], int]:
    """What the stored decisions give each participant (and all customers together), by currency."""
    sums: dict[tuple[str, str], int] = {}
    for row in world.fetch(story.merchant, "select body from decision where program_id <> ''"):
        made = decode_decision(row[0])
        for rule in made.rules:
            for beneficiary, amount, taken in rule.parts:
                key = REFEREES if beneficiary == made.referee_id else beneficiary, rule.currency
                sums[key] = sums.get(key, 0) + amount - taken
    return {key: amount for key, amount in sums.items() if amount}


@pytest.fixture
def told(world_of: Callable[[Mode], World], request: pytest.FixtureRequest) -> Story:
    """Give a world in which the story was told and settled."""
    world = world_of(CALM)
    sandbox = Sandbox(clock_start=START, seed=sum(request.node.name.encode()))
    merchant = world.create_merchant(sandbox)
    story = Story(world, CALM, merchant, sandbox, random.Random(1))  # noqa: S311 - a seed for orders, not a secret
    tell(story)
    return story


def try_terms(story: Story, terms: Terms) -> Summary:
    merchant = story.merchant

    async def work() -> Summary:
        async with story.world.database.snapshot(merchant.organization_id) as tx:
            return await backtest(tx, merchant.organization_id, merchant.connection_id, story.names["main"], terms, 0)

    return story.world.run(work())


def settle_everything(story: Story) -> None:
    async def work() -> None:
        while (await pump_once(story.world.database, lambda: story.merchant.now)).events:
            pass

    story.world.run(work())


@pytest.mark.parametrize("name", CHANGED)
def test_the_difference_is_what_publishing_really_books(told: Story, name: str) -> None:
    terms = Terms(**{"customers": "any", "attribution_window_days": 365} | CHANGED[name])
    before = booked_money(told.world, told)
    found = try_terms(told, terms)
    by_owner = {(owner, currency): sums for owner, currency, sums in found.participants}
    assert {key: sums.booked for key, sums in by_owner.items() if sums.booked} == before
    assert found.changed > 0
    told.world.publish(told.merchant, told.names["main"], terms, 0)
    settle_everything(told)
    after = booked_money(told.world, told)
    assert {key: sums.draft for key, sums in by_owner.items() if sums.draft} == after
    assert after != before
    assert sum(sums.draft for _, _, sums in found.products) == sum(after.values())


def test_the_same_terms_change_nothing(told: Story) -> None:
    found = try_terms(told, PLAIN)
    assert (found.changed, found.reasons, found.changes) == (0, (), ())
    assert found.conversions >= 9
    assert all(sums.booked == sums.draft > 0 for _, sums in found.money)


async def always(_done: int, _total: int) -> bool:
    return True


@pytest.mark.parametrize("name", ["tiers of the whole period", "caps", "a higher rate", "a cap on each customer alone"])
def test_processes_find_together_what_one_finds(told: Story, name: str) -> None:
    terms = Terms(**{"customers": "any", "attribution_window_days": 365} | CHANGED[name])
    merchant = told.merchant
    job = Job(merchant.organization_id, merchant.connection_id, told.names["main"], terms, 0)
    summary, report = told.world.run(run_backtest(told.world.database, job, always, processes=2))
    assert summary == try_terms(told, terms)
    for change in report["changes"]:
        assert change["booked"]["sentence"] != change["draft"]["sentence"]
        assert change["draft_minor"] == sum(
            part["amount_minor"] - part["reversed_minor"] for rule in change["draft"]["rules"] for part in rule["parts"]
        )


def start(story: Story, terms: Terms) -> str:
    async def work() -> str:
        async with story.world.database.tenant(story.merchant.organization_id) as tx:
            made = await start_backtest(
                tx, story.merchant.organization_id, story.names["main"], terms=terms, actor="system",
                now=datetime.now(UTC),
            )  # fmt: skip
        return made.backtest_id

    return story.world.run(work())


def work_once(story: Story) -> int:
    """What a worker of its own does in one turn."""

    async def work() -> int:
        database = await Database.open(story.world.database.dsn, max_size=3)
        try:
            return await run_due_backtests(database)
        finally:
            await database.close()

    return story.world.run(work())


def look(story: Story, backtest_id: str) -> backtests.Backtest:
    async def work() -> backtests.Backtest:
        async with story.world.database.tenant(story.merchant.organization_id) as tx:
            found = await backtests.backtest_by_id(tx, story.merchant.organization_id, backtest_id)
        assert found is not None
        return found

    return story.world.run(work())


def test_the_worker_runs_what_waits_and_stores_what_it_finds(told: Story) -> None:
    backtest_id = start(told, Terms(rules=CHANGED["a higher rate"]["rules"], customers="any"))
    assert look(told, backtest_id).status == "waiting"
    assert work_once(told) == 1
    found = look(told, backtest_id)
    assert (found.status, found.error, found.steps_done) == ("done", None, found.steps_total)
    assert found.report is not None

    async def lines() -> list[backtests.Line]:
        organization_id = told.merchant.organization_id
        async with told.world.database.tenant(organization_id) as tx:
            return await backtests.lines(tx, organization_id, backtest_id, "participant")

    rows = told.world.run(lines())
    assert [row.name for row in rows] == ["ana", "bea"]
    assert all(row.draft_minor > row.booked_minor for row in rows)
    assert work_once(told) == 0


def test_a_cancelled_backtest_stops_and_stores_nothing(told: Story) -> None:
    terms = Terms(customers="any")
    backtest_id = start(told, terms)
    organization_id = told.merchant.organization_id

    async def cancel_while_it_runs() -> None:
        database = await Database.open(told.world.database.dsn, max_size=3)
        running = asyncio.create_task(run_due_backtests(database))
        while await status() == "waiting":  # noqa: ASYNC110 - another connection's commit sets no event
            await asyncio.sleep(0.01)
        async with told.world.database.tenant(organization_id) as tx:
            assert await backtests.cancel(tx, organization_id, backtest_id)
        await running
        await database.close()

    async def status() -> str:
        async with told.world.database.tenant(organization_id) as tx:
            found = await backtests.backtest_by_id(tx, organization_id, backtest_id)
        return found.status if found else ""

    told.world.run(cancel_while_it_runs())
    found = look(told, backtest_id)
    assert (found.status, found.report) == ("cancelled", None)


def test_one_whose_worker_ended_begins_again(told: Story) -> None:
    backtest_id = start(told, Terms(customers="any"))
    organization_id = told.merchant.organization_id

    async def fall_silent() -> None:
        async with told.world.database.tenant(organization_id) as tx:
            assert await backtests.claim(tx, organization_id, backtest_id, 5) == 1
        assert await run_due_backtests(told.world.database) == 0
        async with told.world.database.tenant(organization_id) as tx:
            await tx.execute("update backtest set heartbeat_at = now() - interval '2 minutes'")

    told.world.run(fall_silent())
    assert work_once(told) == 1
    assert look(told, backtest_id).status == "done"


def test_one_that_fails_says_why(told: Story) -> None:
    backtest_id = start(told, Terms(customers="any"))
    organization_id = told.merchant.organization_id

    async def spoil() -> None:
        async with told.world.database.tenant(organization_id) as tx:
            await tx.execute("update fact set body = '\\x00' where kind = 'invoice'")

    told.world.run(spoil())
    with pytest.raises(PartFailed):
        work_once(told)
    found = look(told, backtest_id)
    assert found.status == "failed"
    assert found.error is not None
    assert found.error.startswith("PartFailed: a process ended")
