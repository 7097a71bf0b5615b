"""Backtests of custom events that no published terms look at yet give what publishing them books."""

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from refref.core.backtest import Summary
from refref.core.terms import Cap, CustomEvent, QualifyingEvent, RewardRule, Terms
from refref.db.pool import Database
from refref.flows.backtest_events import FiledEvents, new_paths
from refref.flows.backtest_history import Job
from refref.sandbox import Sandbox
from refref.worker.backtests import Stopped, run_backtest
from refref.worker.rereader import read_again_due
from stories.backtesting import backtest
from stories.story import MODES, START, Mode, Story
from stories.test_backtest import booked_money, settle_everything, try_terms
from stories.world import World

SALES = RewardRule(rule_id="commission", rate_bps=1_000)


def terms_with(custom: CustomEvent, caps: tuple[Cap, ...] = (), **rule: object) -> Terms:
    """Ten percent of each sale, and 7.00 (unless `rule` says otherwise) for what the custom event counts."""
    given = {"kind": "fixed", "amounts": {"usd": 700}, **rule}
    return Terms(
        customers="any",
        attribution_window_days=365,
        events=(QualifyingEvent("told", kind="custom", custom=custom),),
        rules=(SALES, RewardRule(rule_id="told", event="told", **given)),  # type: ignore[arg-type]  # a table's words
        caps=caps,
    )


INVOICES = CustomEvent(("invoice.finalized",), per_customer="many", amount_path="data.object.total")
NEW = {
    "once for each customer": terms_with(CustomEvent(("invoice.finalized",))),
    "of a type that RefRef otherwise ignores": terms_with(CustomEvent(("setup_intent.created",))),
    "with criteria": terms_with(
        CustomEvent(("invoice.finalized",), "event.data.object.total >= 4000", per_customer="many")
    ),
    "a share of what each event carries": terms_with(INVOICES, kind="percentage", rate_bps=2_000, amounts={}),
    "in order, up to a cap": terms_with(
        INVOICES, (Cap(on="participant", amounts={"usd": 2_500}),), kind="percentage", rate_bps=2_000, amounts={}
    ),
    "of a guest's payment": terms_with(
        CustomEvent(("charge.succeeded",), customer_path="data.object.payment_intent", per_customer="many")
    ),
    "of the customer that metadata names": terms_with(
        CustomEvent(("invoice.finalized",), customer_path="data.object.metadata.buyer", per_customer="many")
    ),
    "looked for in two places, which joins customers": terms_with(
        CustomEvent(("customer.updated", "invoice.finalized"), customer_path="data.object.metadata.buyer"),
    ),
}
READ_ALREADY = terms_with(CustomEvent(("customer.updated",), 'event.data.object.metadata.kyc == "passed"'))
JOINING = "looked for in two places, which joins customers"


def tell(story: Story) -> None:
    """Customers of two participants, one of nobody and a guest; whoever is checked or names somebody says so."""
    story.enable("invoice.finalized", "setup_intent.created")
    published = CustomEvent(("customer.updated",), 'event.data.object.metadata.kyc == "never"')
    story.program(
        customers="any", attribution_window_days=365, rules=(SALES,),
        events=(QualifyingEvent("never", kind="custom", custom=published),),
    )  # fmt: skip
    for code in ("ana", "bea"):
        story.affiliate(code)
    first, second, third = [story.customer(code) for code in ("ana", "bea", "ana")]
    stranger = story.customer()
    story.wait(hours=1)
    for number, customer in enumerate((first, second, third, stranger, first)):
        story.paid_invoice(customer, [2_000 + 1_000 * number], metadata={"buyer": (second, third, first)[number % 3]})
        story.wait(days=2)
    story.buy(story.price(4_000), "bea", customer_creation="if_required")
    for customer in (first, second, stranger):
        story.sb.create_setup_intent(customer=customer)
        story.sb.update_customer(customer, metadata={"kyc": "passed"})
    story.sb.update_customer(third, metadata={"buyer": second})
    story.wait(days=1)
    story.lose("customer.created", "customer.updated")
    story.sb.create_setup_intent(customer=story.customer("ana"))
    story.deliver()


@pytest.fixture
def told(world_of: Callable[[Mode], World], request: pytest.FixtureRequest) -> Story:
    """Give a world in which the story was told and settled."""
    world = world_of(MODES[0])
    sandbox = Sandbox(clock_start=START, seed=sum(request.node.name.encode()))
    merchant = world.create_merchant(sandbox)
    story = Story(world, MODES[0], merchant, sandbox, random.Random(1))  # noqa: S311 - a seed for orders, not a secret
    tell(story)
    return story


def job_of(story: Story, terms: Terms) -> Job:
    return Job(story.merchant.organization_id, story.merchant.connection_id, story.names["main"], terms, 0)


def drafted(found: Summary) -> dict[tuple[str, str], int]:
    return {(owner, currency): sums.draft for owner, currency, sums in found.participants if sums.draft}


def publish(story: Story, terms: Terms) -> None:
    story.world.publish(story.merchant, story.names["main"], terms, 0)
    while story.world.run(read_again_due(story.world.database)):
        pass
    settle_everything(story)


@pytest.mark.parametrize("name", NEW)
def test_the_draft_gives_what_publishing_it_books(told: Story, name: str) -> None:
    before = booked_money(told.world, told)
    found = try_terms(told, NEW[name])
    publish(told, NEW[name])
    after = booked_money(told.world, told)
    assert after != before
    assert drafted(found) == after
    stored = told.world.fetch(told.merchant, "select count(*) from decision where program_id <> ''")
    assert found.conversions == stored[0][0]
    told.world.check(told.merchant)


@pytest.mark.parametrize("name", NEW)
def test_processes_find_together_what_one_finds(told: Story, name: str) -> None:
    steps: list[tuple[int, int]] = []

    async def progress(done: int, total: int) -> bool:
        steps.append((done, total))
        return True

    work = run_backtest(told.world.database, job_of(told, NEW[name]), progress, processes=2)
    summary, report = told.world.run(work)
    assert summary == try_terms(told, NEW[name])
    assert len(report["changes"]) == len(summary.changes) > 0
    stored = told.world.fetch(told.merchant, "select count(*) from stripe_event")[0][0]
    assert steps == sorted(steps)
    assert stored < steps[-1][0] == steps[-1][1]


def test_terms_that_look_at_what_is_read_already_read_nothing_again(told: Story) -> None:
    found = drafted(try_terms(told, READ_ALREADY))
    publish(told, READ_ALREADY)
    assert found == booked_money(told.world, told)


def test_each_change_is_explained_by_the_event(told: Story) -> None:
    work = run_backtest(told.world.database, job_of(told, NEW["once for each customer"]), go_on, processes=1)
    _, report = told.world.run(work)
    gained = [change for change in report["changes"] if "/custom/told" in change["payment_key"]]
    assert [change["draft_minor"] for change in gained] == [700, 700, 700]
    assert all(change["booked"] is None and change["draft"]["outcome"] == "rewarded" for change in gained)


async def go_on(_done: int, _total: int) -> bool:
    return True


async def stop(_done: int, _total: int) -> bool:
    return False


def test_it_can_be_stopped_while_events_are_read(told: Story) -> None:
    with pytest.raises(Stopped):
        told.world.run(run_backtest(told.world.database, job_of(told, NEW["with criteria"]), stop))


def test_what_is_stored_after_the_snapshot_is_not_seen(told: Story) -> None:
    merchant, terms = told.merchant, NEW["of a type that RefRef otherwise ignores"]
    expected = drafted(try_terms(told, terms))
    customer = next(one["id"] for one in told.sb.all("customer") if one["metadata"].get("buyer"))

    before = len(told.sb.events)

    async def while_more_comes() -> Summary:
        own = (merchant.organization_id, merchant.connection_id)
        own_pool = await Database.open(told.world.database.dsn, max_size=1)
        async with own_pool.snapshot(merchant.organization_id) as tx:
            told.sb.create_setup_intent(customer=customer)
            fresh = [(event, MODES[0].versions[0]) for event in told.sb.events[before:]]
            await told.world._deliver(merchant, fresh, told)
            found = await backtest(tx, *own, told.names["main"], terms, 0)
        await own_pool.close()
        return found

    assert drafted(told.world.run(while_more_comes())) == expected
    assert drafted(try_terms(told, terms)) != expected


def test_nothing_is_read_for_what_published_terms_look_at(told: Story) -> None:
    own = (told.merchant.organization_id, told.merchant.connection_id)

    async def paths(terms: Terms) -> object:
        async with told.world.database.snapshot(told.merchant.organization_id) as tx:
            return await new_paths(tx, *own, terms)

    assert told.world.run(paths(Terms())) == {}
    assert told.world.run(paths(READ_ALREADY)) == {}
    buyer = ("data.object.metadata.buyer",)
    assert told.world.run(paths(NEW[JOINING])) == {"customer.updated": buyer, "invoice.finalized": buyer}
    with tempfile.TemporaryDirectory() as folder:
        assert FiledEvents(Path(folder)).is_empty
