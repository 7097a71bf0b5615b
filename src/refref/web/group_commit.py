"""Group commit: what queues up while one commit runs is the next batch. No timer; two writers keep PostgreSQL busy."""

from __future__ import annotations

import asyncio

import structlog

from refref.db.failures import UNREACHABLE
from refref.db.inbox import Arrival, accept, wake_pumps
from refref.db.pool import Connection, Database

WRITERS = 2
MOST_WAITING = 20_000  # beyond it intake answers 503 and Stripe retries
LARGEST_BATCH = 500
WAKE_INTERVAL_S = 0.002


_Waiting = tuple[Arrival, asyncio.Future[None]]

log = structlog.get_logger("refref.intake")


class NotStored(Exception):
    """The database refused an event; the message is the kind of its error."""


class Overloaded(NotStored):
    """More events wait for the database than memory should hold."""


class GroupCommit:
    """Stores arrivals durably in shared transactions. Use from one event loop; call `close` at its end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._filled = asyncio.Event()
        self._writers: list[asyncio.Task[None]] = []
        self._wake = _Wake(database)

    async def store(self, arrival: Arrival) -> None:
        """Return once the arrival is durable (or was already). Raises one of UNREACHABLE, or NotStored."""
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

    def _take(self) -> list[_Waiting]:
        batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
        if not self._waiting:
            self._filled.clear()
        # In one order everywhere: two writers with the same events would else wait for each other.
        batch.sort(key=_event_of)
        return batch

    async def _commit(self, connection: Connection, batch: list[_Waiting]) -> None:
        try:
            await accept(connection, [arrival for arrival, _ in batch])
        except UNREACHABLE as error:
            _fail(batch, error)
            raise
        except asyncio.CancelledError:
            _fail(batch, ConnectionError("shutting down"))
            raise
        except Exception as error:  # the web edge: whatever one event did to the statement, the others are stored
            if len(batch) == 1:
                log.exception("an event could not be stored", event_id=batch[0][0].stripe_event_id)
                _fail(batch, NotStored(type(error).__name__))
                return
            for one in batch:
                await self._commit(connection, [one])
            return
        for _, done in batch:
            if not done.done():
                done.set_result(None)
        self._wake.poke()


def _event_of(waiting: _Waiting) -> tuple[str, str]:
    return waiting[0].connection_id, waiting[0].stripe_event_id


def _fail(batch: list[_Waiting], error: Exception) -> None:
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
