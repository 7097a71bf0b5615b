"""What the tests of this folder share: asking for readings, and letting the parts of the worker work."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from refref.core.terms import Duration, RewardRule
from refref.db import history
from refref.db.history import HistoryPart, HistoryRun
from refref.flows.readings import start_backfill, start_reconcile
from refref.sandbox import Sandbox
from refref.worker.history import work_on
from refref.worker.pace import Pace
from refref.worker.polling import poll_events_due
from stories.story import MODES, Story
from stories.world import Merchant, World

REFCODES = ("ana", "bea", "cal", "dee")


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def story_of(world: World, sb: Sandbox, *, has_api: bool) -> Story:
    """A merchant with a program and four affiliates."""
    story = Story(world, MODES[0], world.create_merchant(sb, has_api=has_api), sb, random.Random(1))  # noqa: S311 - an order, no secret
    first = RewardRule(rule_id="first", on="first", kind="fixed", amounts={"usd": 700, "eur": 650})
    later = RewardRule(rule_id="share", rate_bps=1_500)
    story.program(rules=(first, later), hold_days=30, duration=Duration("payments", 4))
    for refcode in REFCODES:
        story.affiliate(refcode)
    return story


def settle_all(story: Story) -> None:
    """Let the pump, the fetcher and the clock work until nothing is left."""
    story.world.set_clock(story.merchant, story.sb.now)
    story.world.deliver(story.merchant, [], story)


def ask(story: Story, kind: str, from_at: int | None = None, until_at: int | None = None) -> HistoryRun:
    merchant, now = story.merchant, at(story.sb.now)

    async def work() -> HistoryRun:
        async with story.world.database.tenant(merchant.organization_id) as tx:
            ids = (merchant.organization_id, merchant.connection_id)
            begins = None if from_at is None else at(from_at)
            if kind == "backfill":
                return await start_backfill(tx, *ids, from_at=begins, actor="system", now=now)
            ends = None if until_at is None else at(until_at)
            return await start_reconcile(tx, *ids, from_at=begins, until_at=ends, actor="system", now=now)

    return story.world.run(work())


def read_on(story: Story, run: HistoryRun, pace: Pace | None = None, *, turn_s: float = 60.0) -> HistoryRun:
    """Let the worker have one turn with a reading."""

    async def work() -> HistoryRun:
        database = story.world.database
        ids = (run.organization_id, run.run_id)
        await work_on(database, story.world.vault, *ids, lambda: story.sb.now, pace or Pace(0), turn_s=turn_s)
        async with database.tenant(run.organization_id) as tx:
            found = await history.run_by_id(tx, *ids)
        assert found is not None
        return found

    return story.world.run(work())


def read_all(story: Story, kind: str, from_at: int | None = None) -> dict[str, HistoryPart]:
    """Ask for a reading, read it to its end, settle what it brought; its lists by name."""
    run = ask(story, kind, from_at)
    ended = read_on(story, run)
    assert ended.status == "done", ended
    settle_all(story)
    return parts(story, run)


def parts(story: Story, run: HistoryRun) -> dict[str, HistoryPart]:
    async def work() -> list[HistoryPart]:
        async with story.world.database.tenant(run.organization_id) as tx:
            return await history.parts_of(tx, run.organization_id, run.run_id)

    return {part.part: part for part in story.world.run(work())}


def poll(story: Story) -> int:
    """Let the worker read the events list once, however recently it was read."""

    async def work() -> int:
        async with story.world.database.tenant(story.merchant.organization_id) as tx:
            await tx.execute("update event_poll set due_at = '-infinity'")
        return await poll_events_due(story.world.database, story.world.vault, lambda: story.sb.now, Pace(0))

    found = story.world.run(work())
    settle_all(story)
    return found


def books(story: Story) -> list[list[tuple[Any, ...]]]:
    """The books with refcodes for participants and programs' names; all of the decision but its digest."""
    names = {found: name for name, found in story.names.items()}
    tables = story.world.books(story.merchant)
    return [sorted(tuple(names.get(v, v) for v in row if type(v) is not bytes) for row in rows) for rows in tables]


def merchant_of(story: Story) -> Merchant:
    return story.merchant
