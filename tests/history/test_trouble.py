"""What stops readings: a dead key, refusals, faults of our own, deleted objects; whom that concerns and whom not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from history.reading import ask, at, books, parts, read_on, settle_all, story_of
from refref.core.periods import DAY_S
from refref.core.refusals import Refused
from refref.db import history
from refref.db.history import HistoryRun
from refref.flows.connections import replace_api_key
from refref.flows.readings import resume_reading, start_reconcile
from refref.flows.reconcile import bounds_of
from refref.sandbox import Sandbox
from refref.sandbox.versions import VERSIONS
from refref.sandbox.wire import create_app
from refref.worker.history import NIGHT_S, reconcile_due, work_on
from refref.worker.pace import Pace
from stories.story import START, Story
from stories.world import World


def shop(seed: int, *, sales: int = 3) -> Sandbox:
    sb = Sandbox(clock_start=START, seed=seed)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 900)["id"]
    for number in range(sales):
        sb.sell(price=price, email=f"c{number}@customers.example", customer_creation="always")
        sb.advance_by(hours=1)
    return sb


def run_of(story: Story, run: HistoryRun) -> HistoryRun:
    async def work() -> HistoryRun:
        async with story.world.database.tenant(run.organization_id) as tx:
            found = await history.run_by_id(tx, run.organization_id, run.run_id)
        assert found is not None
        return found

    return story.world.run(work())


def change(story: Story, statement: str) -> None:
    async def work() -> None:
        async with story.world.database.tenant(story.merchant.organization_id) as tx:
            await tx.execute(statement)

    story.world.run(work())


# Nightly comparisons -------------------------------------------------------------------------------------------------


def test_a_comparison_that_waits_keeps_nobody_elses_from_beginning(world: World) -> None:
    stuck, other = (story_of(world, shop(seed), has_api=True) for seed in (1, 2))
    for story in (stuck, other):
        change(story, "update connection set created_at = now() - interval '2 days'")
    waits = ask(stuck, "reconcile")
    change(stuck, "update history_run set created_at = now() - interval '2 days', due_at = now() + interval '1 hour'")
    asked = world.run(reconcile_due(world.database, lambda: other.sb.now))
    assert asked >= 1
    found = [len(world.fetch(s.merchant, "select 1 from history_run where kind = 'reconcile'")) for s in (stuck, other)]
    assert found == [1, 1]
    assert run_of(stuck, waits).status == "waiting"
    assert NIGHT_S == DAY_S


def test_a_nightly_comparison_leaves_out_what_may_be_on_its_way(world: World) -> None:
    story = story_of(world, shop(3), has_api=True)
    change(story, "update connection set created_at = now() - interval '2 days'")
    world.run(reconcile_due(world.database, lambda: story.sb.now))
    (row,) = world.fetch(story.merchant, "select until_at, from_at from history_run where kind = 'reconcile'")
    assert at(story.sb.now) - row["until_at"] > timedelta(minutes=9)
    assert row["until_at"] - row["from_at"] == timedelta(days=35)


def test_a_comparison_of_one_day_does_not_pass_for_all_that_lies_before(world: World) -> None:
    """Read up to day 0, down for 60 days, one day compared by hand: the next night goes back to day 0."""
    story = story_of(world, shop(4), has_api=True)
    now = story.sb.now
    ids = (story.merchant.organization_id, story.merchant.connection_id)

    async def finish(run: HistoryRun) -> None:
        async with world.database.tenant(ids[0]) as tx:
            await tx.execute("update history_run set status = 'done' where run_id = $1", run.run_id)

    async def nightly() -> HistoryRun:
        async with world.database.tenant(ids[0]) as tx:
            return await start_reconcile(tx, *ids, actor="system", now=at(now + 60 * DAY_S))

    world.run(finish(ask(story, "backfill")))
    world.run(finish(ask(story, "reconcile", now + 59 * DAY_S, now + 60 * DAY_S)))
    asked = world.run(nightly())
    assert asked.from_at is not None
    assert asked.from_at <= at(now)


@pytest.mark.parametrize(
    ("part", "days_back"),
    [
        ("events", 30),  # as long as Stripe keeps them
        ("customers", None),
        ("disputes", None),  # one may be lost months after it was opened
        ("refunds", None),  # one may fail weeks later
        ("credit_notes", None),
        ("charges", 50 + 365),  # a debit may take weeks to arrive
        ("invoices", 50 + 365),
        ("fraud_warnings", 50),
    ],
)
def test_after_a_long_outage_older_objects_are_read_too(part: str, days_back: int | None) -> None:
    now = 1_700_000_000
    run = HistoryRun("o", "r", "c", "reconcile", "running", at(now - 50 * DAY_S), at(now), "system", at(now))
    expected = None if days_back is None else now - days_back * DAY_S
    assert bounds_of(run, part, now) == (expected, now)


@pytest.mark.parametrize("part", ["disputes", "refunds", "charges", "customers"])
def test_in_a_usual_night_events_tell_of_older_objects(part: str) -> None:
    now = 1_700_000_000
    run = HistoryRun("o", "r", "c", "reconcile", "running", at(now - 35 * DAY_S), at(now), "system", at(now))
    assert bounds_of(run, part, now + 3600) == (now - 35 * DAY_S, now)


def test_a_comparison_that_waited_for_weeks_knows_that_the_events_are_gone() -> None:
    asked_at = 1_700_000_000
    begins = asked_at - 35 * DAY_S
    run = HistoryRun("o", "r", "c", "reconcile", "running", at(begins), at(asked_at), "system", at(asked_at))
    later = asked_at + 20 * DAY_S
    assert bounds_of(run, "disputes", later) == (None, asked_at)
    assert bounds_of(run, "events", later) == (later - 30 * DAY_S, asked_at)


@pytest.mark.timeout(300)
def test_a_dispute_opened_before_a_long_outage_and_lost_in_it_is_found(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=8)
    story = story_of(world, sb, has_api=True)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 10_000)["id"]
    sb.sell(price=price, email="a@customers.example", customer_creation="always", client_reference_id="ana")
    dispute = sb.dispute(sb.all("charge")[-1]["id"])
    story._send(list(sb.events))
    settle_all(story)
    heard = len(sb.events)
    sb.advance_by(days=12)
    went_down_at = sb.now
    sb.advance_by(days=5)
    sb.close_dispute(dispute["id"], "lost")
    sb.advance_by(days=40)  # the events of the loss are gone
    assert len(sb.events) > heard
    run = ask(story, "reconcile", went_down_at)
    assert read_on(story, run).status == "done"
    settle_all(story)
    calm = story_of(world, sb, has_api=False)
    calm._send(list(sb.events))
    settle_all(calm)
    assert books(story) == books(calm)
    assert {row[0] for row in world.fetch(story.merchant, "select status from reward")} == {"reversed"}


# What waits in the inbox ---------------------------------------------------------------------------------------------


def test_what_is_stored_and_not_settled_yet_is_not_missing(world: World) -> None:
    sb = shop(9)
    story = story_of(world, sb, has_api=True)
    world.run(arrive(story, list(sb.events)))
    run = ask(story, "reconcile")
    assert read_on(story, run).status == "done"
    gaps = world.fetch(story.merchant, "select part, stripe_id, detail from history_gap")
    assert [tuple(gap) for gap in gaps] == []
    settle_all(story)
    world.check(story.merchant)


def test_what_events_bring_is_not_brought_by_objects_again(world: World) -> None:
    sb = shop(10)
    story = story_of(world, sb, has_api=True)
    run = ask(story, "reconcile")
    assert read_on(story, run).status == "done"
    found = parts(story, run)
    assert found["events"].stored_count > 0
    assert {name: part.stored_count for name, part in found.items() if part.stored_count and name != "events"} == {}


def test_what_a_parked_event_tells_is_named_and_not_stored_again(world: World) -> None:
    sb = shop(11, sales=1)
    story = story_of(world, sb, has_api=True)
    world.run(arrive(story, list(sb.events)))
    change(story, "update inbox set state = 'parked', attempts = 8")
    for _ in range(2):
        run = ask(story, "reconcile")
        assert read_on(story, run).status == "done"
        gaps = world.fetch(story.merchant, "select distinct detail from history_gap where run_id = $1", run.run_id)
        assert [row[0] for row in gaps] == ["an event that tells it is parked: see Events"]
    assert world.fetch(story.merchant, "select 1 from stripe_event where source = 'reconcile'") == []


async def arrive(story: Story, events: list[dict[str, Any]]) -> None:
    """Let webhooks arrive without settling them."""
    for event in events:
        assert await story.world._post(story.merchant, event, VERSIONS[-1]) == 200


# Refusals and faults -------------------------------------------------------------------------------------------------


def test_a_dead_key_pauses_a_reading_and_a_good_one_lets_it_go_on_at_once(world: World) -> None:
    sb = shop(12)
    story = story_of(world, sb, has_api=True)
    run = ask(story, "backfill")
    change(story, "update connection set check_at = now() + interval '1 day'")
    sb.fail_next(kind="error", status=401, code="api_key_expired", path="/v1/invoices", count=None)
    waits = read_on(story, run)
    sb.faults.clear()
    assert (waits.status, waits.attempts) == ("waiting", 1)
    assert waits.error
    (watched,) = world.fetch(story.merchant, "select check_at <= now() from connection")
    assert watched[0], "the watch asks at once what the refusal means"
    assert read_on(story, run).status == "waiting", "it is not due for an hour"

    async def give_key() -> None:
        key = await world.port.open(create_app(sb))
        async with world.database.tenant(run.organization_id) as tx:
            ids = (run.organization_id, run.connection_id)
            await replace_api_key(tx, world.vault, *ids, api_key=key, actor="system", now=at(sb.now))

    read = {name: part.read_count for name, part in parts(story, run).items()}
    world.run(give_key())
    assert read_on(story, run).status == "done"
    again = {name: part.read_count for name, part in parts(story, run).items()}
    assert (read["customers"], again["customers"]) == (3, 3), "what was read is not read again"


def test_what_asking_again_cannot_help_ends_the_reading_and_says_so(world: World) -> None:
    sb = shop(13)
    story = story_of(world, sb, has_api=True)
    run = ask(story, "backfill")
    sb.fail_next(kind="error", status=400, path="/v1/charges", count=1)
    ended = read_on(story, run)
    assert ended.status == "failed"
    assert ended.error
    assert ended.finished_at is not None


def test_a_fault_of_our_own_is_told_tried_again_and_ends_at_last(world: World) -> None:
    """A page that no version of this program can store must not be read every minute for ever without a word."""
    story = story_of(world, shop(14), has_api=True)
    run = ask(story, "backfill")
    change(story, f"insert into history_part values ('{run.organization_id}', '{run.run_id}', 'no such list', 0)")
    states = []
    for _ in range(9):
        change(story, "update history_run set due_at = '-infinity'")
        states.append(read_on(story, run))
    assert [state.status for state in states] == ["waiting"] * 7 + ["failed"] * 2
    assert states[0].error == "KeyError: 'no such list'"


def test_a_list_goes_on_where_the_object_of_its_cursor_is_gone(world: World) -> None:
    sb = shop(15, sales=250)
    story = story_of(world, sb, has_api=True)
    run = ask(story, "backfill")
    one_page(world, story, run)
    read = parts(story, run)["customers"]
    assert 100 <= read.read_count < 250
    sb.delete_customer(read.cursor_id)
    found: HistoryRun = read_on(story, run)
    if found.status == "waiting":
        found = read_on(story, run)
    assert found.status == "done"
    customers = parts(story, run)["customers"]
    assert 249 <= customers.read_count <= 252, "on from where it stood, not from the beginning"
    known = world.fetch(story.merchant, "select count(*) from stripe_event where type = 'refref.object.customer'")
    assert known[0][0] == 250  # the one that is gone was read before


def one_page(world: World, story: Story, run: HistoryRun) -> None:
    """Let the reading come as far as the first page."""
    while not parts(story, run)["customers"].read_count:
        read_on(story, run, turn_s=0.03)


def test_two_people_who_resume_at_once_let_one_reading_go_on(world: World) -> None:
    story = story_of(world, shop(16), has_api=True)
    first = ask(story, "backfill")
    change(story, "update history_run set status = 'cancelled'")
    second = ask(story, "backfill")
    change(story, "update history_run set status = 'cancelled'")
    database, now = world.database, at(story.sb.now)

    async def resume(run: HistoryRun) -> str:
        try:
            async with database.tenant(run.organization_id) as tx:
                await resume_reading(tx, run.organization_id, run.run_id, actor="system", now=now)
                await asyncio.sleep(0.1)  # the other one asks meanwhile
        except Refused as refused:
            return refused.code
        return "resumed"

    async def both() -> list[str]:
        return list(await asyncio.gather(resume(first), resume(second)))

    assert sorted(world.run(both())) == ["history_running", "resumed"]


# Several workers -----------------------------------------------------------------------------------------------------


def test_of_two_workers_one_reads(world: World) -> None:
    sb = shop(17, sales=120)
    story = story_of(world, sb, has_api=True)
    run = ask(story, "backfill")

    async def both() -> list[bool]:
        ids = (run.organization_id, run.run_id)
        works = [work_on(world.database, world.vault, *ids, lambda: sb.now, Pace(0), turn_s=60) for _ in range(2)]
        return list(await asyncio.gather(*works))

    assert sorted(world.run(both())) == [False, True]
    assert run_of(story, run).status == "done"
    assert parts(story, run)["customers"].read_count == 120


def test_a_worker_whose_reading_was_taken_over_writes_no_more(world: World) -> None:
    """Silent for a minute, it wakes up after another one has taken the reading: what it read is not stored twice."""
    sb = shop(18, sales=250)
    story = story_of(world, sb, has_api=True)
    run = ask(story, "backfill")
    database, ids = world.database, (run.organization_id, run.run_id)

    async def overtaken() -> None:
        slow = asyncio.create_task(work_on(database, world.vault, *ids, lambda: sb.now, Pace(4), turn_s=60))
        read = 0
        while not read:
            await asyncio.sleep(0.01)
            async with database.tenant(run.organization_id) as tx:
                read = await tx.fetchval("select sum(read_count) from history_part where run_id = $1", run.run_id)
        async with database.tenant(run.organization_id) as tx:
            await tx.execute("update history_run set heartbeat_at = now() - interval '61 seconds'")
        assert await work_on(database, world.vault, *ids, lambda: sb.now, Pace(0), turn_s=60)
        assert await slow

    world.run(overtaken())
    assert run_of(story, run).status == "done"
    found = parts(story, run)
    assert (found["customers"].read_count, found["charges"].read_count) == (250, 250)
    twice = "select object_id from stripe_event where source = 'backfill' group by 1 having count(*) > 1"
    assert world.fetch(story.merchant, twice) == []
