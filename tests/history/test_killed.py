"""Kill -9 in the middle of a backfill: what was stored stays, the cursor stands where the last page ended."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from history.reading import ask, books, parts, read_on, settle_all, story_of
from refref.sandbox import Sandbox
from stories.story import START
from stories.test_storm import make_history
from stories.world import World

CHILD = Path(__file__).parent / "reading_child.py"
KILLS = 4
PAGES = 2  # at most, of the nine lists' more than eight, before each kill: none comes to the end


@pytest.mark.timeout(300)
def test_a_backfill_survives_kill_9(world: World) -> None:
    sb = Sandbox(clock_start=START, seed=6)
    make_history(sb, random.Random(6))  # noqa: S311 - a seed for a history, no secret
    calm = story_of(world, sb, has_api=False)
    calm._send(list(sb.events))
    settle_all(calm)

    story = story_of(world, sb, has_api=True)
    run = ask(story, "backfill")

    def silent_for_a_minute() -> None:
        """The worker of before has been silent for a minute, as the next one finds it."""

        async def work() -> None:
            async with world.database.tenant(run.organization_id) as tx:
                await tx.execute("update history_run set heartbeat_at = now() - interval '61 seconds'")

        world.run(work())

    async def killed_after(read: int) -> None:
        arguments = (str(CHILD), world.database.dsn, run.organization_id, run.run_id)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        world.port.answers_left, world.port.is_asked_in_vain = PAGES, False
        child = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=environment)
        while child.returncode is None and not world.port.is_asked_in_vain and await read_count() < read:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
        await child.wait()
        world.port.answers_left = None

    async def read_count() -> int:
        async with world.database.tenant(run.organization_id) as tx:
            return int(await tx.fetchval("select sum(read_count) from history_part where run_id = $1", run.run_id))

    seen = 0
    for _ in range(KILLS):
        world.run(killed_after(seen + 20))
        now_read = world.run(read_count())
        assert now_read >= seen
        assert world.fetch(story.merchant, "select status from history_run")[0][0] == "running"
        seen = now_read
        silent_for_a_minute()
    assert seen > 20
    assert read_on(story, run).status == "done"
    total = sum(part.read_count for part in parts(story, run).values())
    lists = ("customer", "subscription", "checkout.session", "payment_intent", "charge", "refund", "dispute")
    objects = sum(len(sb.all(kind)) for kind in (*lists, "invoice", "credit_note"))
    assert total == objects, "no page was read twice into the counts, and none was left out"
    settle_all(story)
    assert books(story) == books(calm)
    world.check(story.merchant)
