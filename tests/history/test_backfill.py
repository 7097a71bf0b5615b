"""Backfill: a connection that comes late learns what was before it, once, whatever interrupts the reading."""

from __future__ import annotations

import random

import pytest

from history.reading import ask, at, books, parts, poll, read_all, read_on, settle_all, story_of
from refref.flows.readings import cancel_reading, choose_intake, resume_reading
from refref.sandbox import Sandbox
from stories.story import MODES, START, Story
from stories.test_storm import make_history
from stories.world import World


@pytest.fixture(scope="module")
def sb() -> Sandbox:
    made = Sandbox(clock_start=START, seed=5)
    make_history(made, random.Random(5))  # noqa: S311 - a seed for a history, no secret
    return made


@pytest.fixture(scope="module")
def expected(world: World, sb: Sandbox) -> list[list[tuple[object, ...]]]:
    """The books of somebody who heard every event as it came."""
    calm = story_of(world, sb, has_api=False)
    calm._send(list(sb.events))
    settle_all(calm)
    return books(calm)


def stored_objects(story: Story) -> int:
    rows = story.world.fetch(story.merchant, "select count(*) from stripe_event where source = 'backfill'")
    return int(rows[0][0])


@pytest.mark.timeout(300)
def test_a_late_connection_has_the_books_of_one_that_heard_everything(
    world: World, sb: Sandbox, expected: list[list[tuple[object, ...]]]
) -> None:
    story = story_of(world, sb, has_api=True)
    found = read_all(story, "backfill")
    assert books(story) == expected
    world.check(story.merchant)
    assert all(part.is_done and part.skipped is None for part in found.values())
    assert found["customers"].stored_count == len(sb.all("customer"))

    before = stored_objects(story)
    again = read_all(story, "backfill")
    assert sum(part.stored_count for part in again.values()) == 0
    assert stored_objects(story) == before


@pytest.mark.timeout(300)
def test_webhooks_that_come_after_a_backfill_change_nothing(
    world: World, sb: Sandbox, expected: list[list[tuple[object, ...]]]
) -> None:
    story = story_of(world, sb, has_api=True)
    read_all(story, "backfill")
    story._send(list(sb.events)[::-1])
    settle_all(story)
    assert books(story) == expected


@pytest.mark.timeout(300)
def test_a_reading_goes_on_from_its_cursor_after_each_turn_and_after_being_cancelled(
    world: World, sb: Sandbox, expected: list[list[tuple[object, ...]]]
) -> None:
    story = story_of(world, sb, has_api=True)
    run = ask(story, "backfill")
    first = read_on(story, run, turn_s=0.0)
    assert first.status == "waiting"  # a turn of no length does nothing and gives the reading back

    async def change(flow: object) -> None:
        async with world.database.tenant(run.organization_id) as tx:
            ids = (run.organization_id, run.run_id)
            await flow(tx, *ids, actor="system", now=run.created_at)  # type: ignore[operator]  # one of two flows

    turns = 0
    while (state := read_on(story, run, turn_s=0.02)).status != "done":
        assert state.status == "waiting", state
        if turns == 1:
            world.run(change(cancel_reading))
            assert read_on(story, run).status == "cancelled"
            read = sum(part.read_count for part in parts(story, run).values())
            world.run(change(resume_reading))
            assert sum(part.read_count for part in parts(story, run).values()) == read
        turns += 1
    assert turns > 2  # it was cancelled in the middle; how far a turn comes depends on the machine
    settle_all(story)
    assert books(story) == expected


def test_history_from_before_the_terms_earns_nothing(world: World, sb: Sandbox) -> None:
    rng = random.Random(1)  # noqa: S311 - an order, no secret
    story = Story(world, MODES[0], world.create_merchant(sb, has_api=True), sb, rng)
    story.program(effective_at=sb.now + 1)
    for refcode in ("ana", "bea", "cal", "dee"):
        story.affiliate(refcode)
    read_all(story, "backfill")
    assert world.fetch(story.merchant, "select 1 from reward") == []
    reasons = {row[0] for row in world.fetch(story.merchant, "select reason from decision where program_id <> ''")}
    assert "before_terms" in reasons, reasons


def test_a_list_that_the_key_may_not_read_is_left_out_and_named(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=1)
    sb.sell(price=sb.create_price(sb.create_product("P")["id"], "usd", 900)["id"], email="a@customers.example")
    story = story_of(world, sb, has_api=True)
    sb.fail_next(kind="error", status=403, code="more_permissions_required", path="/v1/disputes", count=None)
    found = read_all(story, "backfill")
    sb.faults.clear()
    assert found["disputes"].skipped
    assert not found["charges"].skipped
    assert found["charges"].stored_count == 1


def test_polling_alone_gives_the_books_of_webhooks(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=2)
    story = story_of(world, sb, has_api=True)

    async def choose() -> None:
        async with world.database.tenant(story.merchant.organization_id) as tx:
            ids = (story.merchant.organization_id, story.merchant.connection_id)
            await choose_intake(tx, *ids, is_polling=True, actor="system", now=at(sb.now))

    world.run(choose())
    price = sb.create_price(sb.create_product("P")["id"], "usd", 2_000, interval="month")["id"]
    for number in range(12):
        reference = "ana" if number % 2 else "bea"
        sb.sell(price=price, email=f"c{number}@customers.example", client_reference_id=reference)
        sb.advance_by(days=5)
        assert poll(story) > 0
        assert poll(story) == 0, "an event is one row however often it is listed"
    sold = [event for event in sb.events if event["type"] == "invoice.paid"]
    stored = world.fetch(story.merchant, "select source from stripe_event where type = 'invoice.paid'")
    assert [row[0] for row in stored] == ["poll"] * len(sold)
    calm = story_of(world, sb, has_api=False)
    calm._send(list(sb.events))
    settle_all(calm)
    assert books(story) == books(calm)
    world.check(story.merchant)

    story._send(list(sb.events))
    assert world.stored_twice(story.merchant) == []
