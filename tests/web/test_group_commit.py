"""Group commit: everything that waits is stored or told that it was not, whatever else is in its batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from refref.db.bodies import compress
from refref.db.inbox import Arrival
from refref.db.pool import Connection, Database
from refref.web import group_commit
from refref.web.group_commit import GroupCommit, NotStored


def arrival(number: int, **more: Any) -> Arrival:
    given = Arrival(
        "org_a", "con_a", f"evt_{number}", "invoice.paid", f"in_{number}", None, False, "accepted", None, "webhook",
        1_700_000_000, compress(b"{}"),
    )  # fmt: skip
    return given._replace(**more)


def run(dsn: str, work: Callable[[GroupCommit, Database], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        database = await Database.open(dsn, max_size=5)
        commits = GroupCommit(database)
        try:
            await asyncio.wait_for(work(commits, database), 120)
        finally:
            await commits.close()
            await database.close()

    asyncio.run(main())


def stored(dsn: str) -> tuple[int, int]:
    with psycopg.connect(dsn) as owner:
        row = owner.execute("select (select count(*) from stripe_event), (select count(*) from inbox)").fetchone()
    assert row is not None
    return row[0], row[1]


def test_the_same_events_from_many_sides_in_any_order(database: str) -> None:
    async def work(commits: GroupCommit, _: Database) -> None:
        for _ in range(20):
            numbers = list(range(40))
            await asyncio.gather(*[commits.store(arrival(n)) for n in [*numbers, *reversed(numbers)]])

    run(database, work)
    assert stored(database) == (40, 40)


def test_two_processes_with_the_same_events_do_not_wait_for_each_other(database: str) -> None:
    async def work(commits: GroupCommit, shared: Database) -> None:
        other = GroupCommit(shared)
        for turn in range(30):
            numbers = range(turn * 100, turn * 100 + 100)
            await asyncio.gather(
                *[commits.store(arrival(n)) for n in numbers], *[other.store(arrival(n)) for n in reversed(numbers)]
            )
        await other.close()

    # Each has two writers and a waker.
    async def main() -> None:
        shared = await Database.open(database, max_size=8)
        commits = GroupCommit(shared)
        await asyncio.wait_for(work(commits, shared), 240)
        await commits.close()
        await shared.close()

    asyncio.run(main())
    assert stored(database) == (3000, 3000)


def test_one_bad_event_does_not_take_others_with_it(database: str) -> None:
    bad = arrival(7, type="nul \x00 in it")  # intake refuses such texts; here it gets as far as the database

    async def work(commits: GroupCommit, _: Database) -> None:
        answers = await asyncio.gather(
            *[commits.store(bad if n == 7 else arrival(n)) for n in range(20)], return_exceptions=True
        )
        assert [type(answer) for answer in answers if answer is not None] == [NotStored]
        await commits.store(arrival(99))

    run(database, work)
    assert stored(database) == (20, 20)


@dataclass
class Unreachable(Database):
    """A database that cannot be reached until `is_up`."""

    real: Database
    is_up: bool = False

    @asynccontextmanager
    async def plain(self) -> AsyncIterator[Connection]:
        if not self.is_up:
            raise ConnectionRefusedError
        async with self.real.plain() as connection:
            yield connection


def test_a_database_that_is_away_is_told_at_once_and_found_again(database: str) -> None:
    async def main() -> None:
        real = await Database.open(database, max_size=5)
        away = Unreachable(real)
        commits = GroupCommit(away)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.wait_for(commits.store(arrival(1)), 60)
        away.is_up = True
        await asyncio.wait_for(commits.store(arrival(1)), 60)
        await commits.close()
        await real.close()

    asyncio.run(main())
    assert stored(database) == (1, 1)


def test_too_many_waiting_are_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 5)

    async def work(commits: GroupCommit, _: Database) -> None:
        answers = await asyncio.gather(*[commits.store(arrival(n)) for n in range(9)], return_exceptions=True)
        assert [type(answer) for answer in answers].count(group_commit.Overloaded) == 4

    run(database, work)
    assert stored(database) == (5, 5)
