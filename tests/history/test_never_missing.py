"""Never missing: whatever deliveries were lost, one reconciliation gives the books of the calm run."""

from __future__ import annotations

import os
import random

import pytest

from history.reading import books, poll, read_all, settle_all, story_of
from refref.core.periods import DAY_S
from refref.sandbox import Sandbox
from stories.story import START
from stories.test_storm import make_history
from stories.world import World

SEEDS = int(os.environ.get("STORM_SEEDS", "2"))
OUTAGE_DAYS = 40


def history_of(seed: int) -> Sandbox:
    sb = Sandbox(clock_start=START, seed=seed)
    make_history(sb, random.Random(seed))  # noqa: S311 - a seed for a history, no secret
    return sb


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_drops_duplicates_and_an_outage_of_forty_days_are_repaired_by_one_reconciliation(
    seed: int, world: World
) -> None:
    sb = history_of(seed)
    began = sb.events[0]["created"]
    calm = story_of(world, sb, has_api=False)
    calm._send(list(sb.events))
    settle_all(calm)
    expected = books(calm)

    rng = random.Random(1000 + seed)  # noqa: S311 - a seed for losses, no secret
    middle = (began + sb.now) // 2 - 15 * DAY_S
    assert sb.now - middle > OUTAGE_DAYS * DAY_S, "the outage must lie in the middle"
    lossy = story_of(world, sb, has_api=True)
    arriving = [
        event
        for event in sb.events
        if not middle <= event["created"] < middle + OUTAGE_DAYS * DAY_S and rng.random() >= 0.2
        for _ in range(1 + (rng.random() < 0.1))
    ]
    lossy._send(arriving)
    settle_all(lossy)
    assert books(lossy) != expected, "something must be missing"

    found = read_all(lossy, "reconcile", began)
    assert books(lossy) == expected
    assert sum(part.stored_count for part in found.values()) > 20
    world.check(lossy.merchant)

    again = read_all(lossy, "reconcile", began)
    assert {name: part.gap_count for name, part in again.items() if part.gap_count} == {}


@pytest.mark.timeout(600)
def test_a_reconciliation_of_complete_books_finds_nothing(world: World) -> None:
    sb = history_of(3)
    story = story_of(world, sb, has_api=True)
    story._send(list(sb.events))
    settle_all(story)
    before = books(story)
    found = read_all(story, "reconcile", sb.events[0]["created"])
    gaps = world.fetch(story.merchant, "select part, stripe_id, detail from history_gap order by 1, 2")
    assert [tuple(gap) for gap in gaps] == []
    assert sum(part.gap_count for part in found.values()) == 0
    assert sum(part.read_count for part in found.values()) > 200
    assert books(story) == before


def test_the_events_list_brings_within_minutes_what_no_webhook_brought(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=9)
    story = story_of(world, sb, has_api=True)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 2_000, interval="month")["id"]
    rng = random.Random(9)  # noqa: S311 - a seed for losses, no secret
    lost = 0
    for number in range(15):
        before = len(sb.events)
        sb.sell(price=price, email=f"c{number}@customers.example", client_reference_id="ana")
        made = sb.events[before:]
        arriving = [event for event in made if rng.random() >= 0.3]
        lost += len(made) - len(arriving)
        story._send(arriving)
        assert poll(story) == 0, "webhooks of the last minute may still be on their way"
        sb.advance_by(hours=1)
        poll(story)
    assert lost > 10
    calm = story_of(world, sb, has_api=False)
    calm._send(list(sb.events))
    settle_all(calm)
    assert books(story) == books(calm)
    row = world.fetch(story.merchant, "select new_count, error from event_poll where not is_intake")[0]
    assert row["new_count"] > 10
    assert row["error"] is None
