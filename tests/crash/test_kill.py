"""The real processes, killed: signed events arrive at `python -m refref.web` while the worker (and at times the web
process) dies of SIGKILL at random moments. In the end the books are those of a calm run.

CRASH_SECONDS=300 makes it longer (CONTRIBUTING.md).
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from refref.core.terms import Duration, RewardRule
from refref.sandbox import Sandbox
from refref.sandbox.deliveries import render_event_bytes, sign
from refref.stripe.readers import events_to_enable
from serving import reserved_ports
from stories.story import MODES, START, Story
from stories.test_storm import REFCODES, make_history
from stories.world import SECRET, Merchant, World

LEAST_KILLS = 3
SECONDS = int(os.environ.get("CRASH_SECONDS", "9"))
Books = list[list[tuple[Any, ...]]]


class Processes:
    """The web and worker processes of one database; `kill` is kill -9."""

    def __init__(self, dsn: str, folder: Path, port: int) -> None:
        self.port = port
        self._environment = {
            **os.environ,
            "DATABASE_URL": dsn,
            "REFREF_DATA_DIR": str(folder),
            "REFREF_PORT": str(self.port),
            "REFREF_MASTER_KEY": "k1:" + base64.b64encode(b"k" * 32).decode(),
            "REFREF_LOG_LEVEL": "error",
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        }
        self._log = (folder / "processes.log").open("ab")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.kills = 0

    def start(self, name: str) -> None:
        self._running[name] = subprocess.Popen(
            [sys.executable, "-m", f"refref.{name}"], env=self._environment, stdout=self._log, stderr=self._log
        )

    def kill(self, name: str) -> None:
        process = self._running.pop(name)
        assert process.poll() is None, f"{name} ended by itself"
        process.kill()
        process.wait()
        self.kills += 1

    def close(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        self._log.close()


@contextmanager
def processes(dsn: str, folder: Path) -> Iterator[Processes]:
    with reserved_ports() as port:  # nobody takes it while the web process is dead
        started = Processes(dsn, folder, port)
        try:
            yield started
        finally:
            started.close()


def set_up(world: World, sb: Sandbox) -> Story:
    """A merchant with a program and participants, the same in each world."""
    story = Story(world, MODES[0], world.create_merchant(sb), sb, random.Random(1))  # noqa: S311 - a seed for orders, no secret
    first = RewardRule(rule_id="first", on="first", kind="fixed", amounts={"usd": 700, "eur": 650})
    story.program(rules=(first, RewardRule(rule_id="share", rate_bps=1_500)), duration=Duration("payments", 4))
    for refcode in REFCODES:
        story.affiliate(refcode)
    return story


def books_of(story: Story) -> Books:
    names = {participant_id: refcode for refcode, participant_id in story.names.items()}
    tables = story.world.books(story.merchant)
    return [sorted(tuple(names.get(v, v) for v in row if type(v) is not bytes) for row in rows) for rows in tables]


def look(story: Story) -> None:
    """Every invariant holds and a rebuild finds nothing, by the real clock."""
    story.merchant.now = int(time.time())
    story.world.check(story.merchant)


def calm_books(dsn: str, sb: Sandbox) -> Books:
    world = World(dsn)
    try:
        story = set_up(world, sb)
        story.merchant.now = int(time.time())
        world.deliver(story.merchant, [(event, "2026-10-28.endive") for event in sb.events], story)
        look(story)
        return books_of(story)
    finally:
        world.close()


async def deliver(
    port: int, merchant: Merchant, events: list[dict[str, Any]], rng: random.Random, pace_s: float
) -> int:
    """Deliver like Stripe: several at once, each again until it is answered with 200. Returns how many tries failed."""
    url = f"http://127.0.0.1:{port}/stripe/webhooks/{merchant.connection_id}"
    free = asyncio.Semaphore(6)
    failed = 0

    async def one(client: httpx.AsyncClient, event: dict[str, Any]) -> None:
        nonlocal failed
        async with free:
            body = render_event_bytes(event)
            while True:
                header = {"stripe-signature": sign(body, SECRET, int(time.time()))}
                try:
                    answer = await client.post(url, content=body, headers=header)
                except httpx.HTTPError:
                    failed += 1
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code == 200:
                    return
                assert answer.status_code == 503, answer.text
                failed += 1
                await asyncio.sleep(0.1)

    async with httpx.AsyncClient(timeout=10) as client:
        tasks = []
        for event in events:
            tasks.append(asyncio.create_task(one(client, event)))
            if rng.random() < 0.1:
                await asyncio.sleep(rng.uniform(0, 20 * pace_s))
        await asyncio.gather(*tasks)
    return failed


async def keep_killing(running: Processes, dsn: str, rng: random.Random, until: asyncio.Event) -> None:
    """Kill the worker while it holds a connection's lock, that is in the middle of a batch, and now and then at any
    moment; and sometimes the web process too."""
    watch = await asyncpg.connect(dsn)
    while not until.is_set() or running.kills < LEAST_KILLS:
        deadline = time.monotonic() + rng.uniform(0.5, 3)
        while time.monotonic() < deadline and not await watch.fetchval(_IS_AT_WORK):  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.001)
        await asyncio.sleep(rng.uniform(0, 0.03))
        running.kill("worker")
        if rng.random() < 0.2:
            running.kill("web")
            running.start("web")
        running.start("worker")
    await watch.close()


_IS_AT_WORK = """
select exists (select from pg_locks where locktype = 'advisory' and granted
               and database = (select oid from pg_database where datname = current_database()))
"""


async def storm(
    running: Processes, dsn: str, merchant: Merchant, events: list[dict[str, Any]], rng: random.Random
) -> int:
    over = asyncio.Event()
    killer = asyncio.create_task(keep_killing(running, dsn, rng, over))
    failed = await deliver(running.port, merchant, events, rng, SECONDS / len(events))
    over.set()
    await killer
    return failed


def wait_until_settled(story: Story) -> None:
    """Until the worker, left alone now, has nothing to do."""
    deadline = time.monotonic() + 300
    queries = ("select count(*) from inbox", "select count(*) from dirty_scope",
               "select count(*) from reward where status = 'pending' and hold_until <= now()")  # fmt: skip
    while any(story.world.fetch(story.merchant, query)[0][0] for query in queries):
        assert time.monotonic() < deadline, "the worker does not come to an end"
        time.sleep(0.1)


@pytest.mark.timeout(SECONDS * 5 + 600)
def test_books_after_many_kills_are_those_of_a_calm_run(make_database: Callable[[], str], tmp_path: Path) -> None:
    rng = random.Random(SECONDS)  # noqa: S311 - a seed for orders, no secret
    sb = Sandbox(clock_start=START, seed=3)
    make_history(sb, rng)
    expected = calm_books(make_database(), sb)
    assert expected[0]
    enabled = frozenset(events_to_enable())
    events = [event for event in sb.events if event["type"] in enabled]
    rng.shuffle(events)
    events += rng.sample(events, len(events) // 4)  # some come twice
    dsn = make_database()
    world = World(dsn)
    try:
        story = set_up(world, sb)
        with processes(dsn, tmp_path) as running:
            running.start("web")
            running.start("worker")
            asyncio.run(storm(running, dsn, story.merchant, events, rng))
            wait_until_settled(story)
            assert running.kills >= LEAST_KILLS
        look(story)
        assert books_of(story) == expected
    finally:
        world.close()
