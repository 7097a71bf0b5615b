"""Group commit: what queues up while one commit runs is the next batch. No timer; two writers keep PostgreSQL busy."""

from __future__ import annotations

import asyncio

from refref.db.failures import UNREACHABLE
from refref.db.inbox import Arrival, accept, wake_pumps
from refref.db.pool import Connection, Database

WRITERS = 2
MOST_WAITING = 20_000  # beyond it intake answers 503 and Stripe retries
LARGEST_BATCH = 500
WAKE_INTERVAL_S = 0.002


class Overloaded(Exception):
    """More events wait for the database than memory should hold."""


class GroupCommit:
    """Stores arrivals durably in shared transactions. Use from one event loop; call `close` at its end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Arrival, asyncio.Future[None]]] = []
        self._filled = asyncio.Event()
        self._writers: list[asyncio.Task[None]] = []
        self._wake = _Wake(database)

    async def store(self, arrival: Arrival) -> None:
        """Return once the arrival is durable (or was already). Raises one of UNREACHABLE, or Overloaded."""
        if len(self._waiting) >= MOST_WAITING:
            raise Overloaded
        if not self._writers:
            self._writers = [asyncio.create_task(self._write_forever()) for _ in range(WRITERS)]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, done))
        self._filled.set()
        await done

    async def close(self) -> None:
        """Let what waits be stored, then stop."""
        await asyncio.gather(*[done for _, done in self._waiting], return_exceptions=True)
        for task in [*self._writers, *self._wake.tasks]:
            task.cancel()
        await asyncio.gather(*self._writers, *self._wake.tasks, return_exceptions=True)
        self._writers = []

    async def _write_forever(self) -> None:
        while True:
            try:
                async with self._database.plain() as connection:
                    while True:
                        await self._filled.wait()
                        batch = self._take()
                        if not batch:
                            continue
                        await self._commit(connection, batch)
            except UNREACHABLE as error:
                _fail(self._take(), error)  # those who wait for a database that is not there learn it at once
                await asyncio.sleep(0.05)

    def _take(self) -> list[tuple[Arrival, asyncio.Future[None]]]:
        batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
        if not self._waiting:
            self._filled.clear()
        return batch

    async def _commit(self, connection: Connection, batch: list[tuple[Arrival, asyncio.Future[None]]]) -> None:
        try:
            await accept(connection, [arrival for arrival, _ in batch])
        except UNREACHABLE as error:
            _fail(batch, error)
            raise
        except asyncio.CancelledError:
            _fail(batch, ConnectionError("shutting down"))
            raise
        for _, done in batch:
            if not done.done():
                done.set_result(None)
        self._wake.poke()


def _fail(batch: list[tuple[Arrival, asyncio.Future[None]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)


class _Wake:
    """Notifies the pumps after a commit, at most once per interval and without holding a writer up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def poke(self) -> None:
        if not self.tasks:
            self.tasks = [asyncio.create_task(self._notify_forever())]
        self._wanted.set()

    async def _notify_forever(self) -> None:
        while True:
            try:
                async with self._database.plain() as connection:
                    while True:
                        await self._wanted.wait()
                        self._wanted.clear()
                        await wake_pumps(connection)
                        await asyncio.sleep(WAKE_INTERVAL_S)
            except UNREACHABLE:
                await asyncio.sleep(0.5)  # pumps look by themselves every now and then
