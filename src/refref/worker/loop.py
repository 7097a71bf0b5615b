"""The worker's loops: the pump waits for a call from intake, the clock and the fetcher look every now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from refref.db.failures import UNREACHABLE
from refref.db.inbox import WAKE_CHANNEL
from refref.db.pool import Database
from refref.settings import Settings
from refref.vault import Vault
from refref.worker.backtests import run_due_backtests
from refref.worker.bundled_rates import adopt_bundled_rates
from refref.worker.catalog import read_catalogs_due
from refref.worker.clock import mature_due
from refref.worker.fetcher import fetch_due
from refref.worker.history import read_history_due, reconcile_due
from refref.worker.mail_list import adopt_mail_list
from refref.worker.pace import Pace
from refref.worker.polling import poll_events_due
from refref.worker.problem_mail import ProblemMail
from refref.worker.pump import Turns, pump_once
from refref.worker.rereader import read_again_due
from refref.worker.stray_events import forget_stray_events
from refref.worker.watch import watch_due

LOOK_AGAIN_S = 1.0  # the pump looks by itself, should a call have been lost
CLOCK_S = 1.0
FETCH_S = 0.5
REREAD_S = 1.0
CATALOG_S = 1.0
BACKTEST_S = 1.0
HISTORY_S = 1.0
POLL_S = 2.0
NIGHT_S = 60.0
WATCH_S = 1.0
MAIL_S = 10.0
STRAYS_S = 3600.0
RATES_S = 600.0  # for organizations that are new since; the history itself changes with an upgrade only

log = structlog.get_logger("refref.worker")


def unix_now() -> int:
    """The present instant in whole seconds."""
    return int(time.time())


async def run_worker(
    database: Database, vault: Vault, now: Callable[[], int] = unix_now, *, settings: Settings | None = None
) -> None:
    """Work until cancelled. With `settings` also watch over connections and mail about them."""
    pace = Pace()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_pump_forever(database, now))
        tasks.create_task(_repeat("clock", CLOCK_S, lambda: mature_due(database, now)))
        tasks.create_task(_repeat("rates", RATES_S, lambda: adopt_bundled_rates(database, now)))
        tasks.create_task(_repeat("mail list", RATES_S, lambda: adopt_mail_list(database)))
        tasks.create_task(_repeat("stray events", STRAYS_S, lambda: forget_stray_events(database)))
        tasks.create_task(_repeat("rereader", REREAD_S, lambda: read_again_due(database)))
        tasks.create_task(_repeat("catalog", CATALOG_S, lambda: read_catalogs_due(database, vault, now, pace)))
        tasks.create_task(_repeat("backtests", BACKTEST_S, lambda: run_due_backtests(database)))
        tasks.create_task(_repeat("history", HISTORY_S, lambda: read_history_due(database, vault, now, pace)))
        tasks.create_task(_repeat("events list", POLL_S, lambda: poll_events_due(database, vault, now, pace)))
        tasks.create_task(_repeat("nightly comparison", NIGHT_S, lambda: reconcile_due(database, now)))
        tasks.create_task(_repeat("fetcher", FETCH_S, lambda: fetch_due(database, vault, now, pace)))
        if settings is not None:
            tasks.create_task(_repeat("watch", WATCH_S, lambda: watch_due(database, vault, settings)))
            tasks.create_task(_repeat("mail", MAIL_S, ProblemMail(database, settings).send_due))


class Growth:
    """Tells when the tables have grown tenfold since cached plans were made: after 500, 5,000 … events."""

    _FIRST, _LAST = 500, 5_000_000

    def __init__(self) -> None:
        self._events = 0
        self._next = self._FIRST

    def is_tenfold(self, events: int) -> bool:
        """Count settled events; True once each time."""
        self._events += events
        if self._events < self._next or self._next > self._LAST:
            return False
        self._next *= 10
        return True


async def _pump_forever(database: Database, now: Callable[[], int]) -> None:
    called = asyncio.Event()
    growth = Growth()
    turns = Turns()
    while True:
        try:
            async with database.listen(WAKE_CHANNEL, called.set):
                while True:
                    called.clear()
                    while events := (await pump_once(database, now, turns)).events:
                        if growth.is_tenfold(events):
                            await database.forget_plans()
                    try:
                        async with asyncio.timeout(LOOK_AGAIN_S):
                            await called.wait()
                    except TimeoutError:
                        pass  # nothing was heard: look anyway
        except UNREACHABLE as error:
            log.warning("the database cannot be reached; trying again", error=type(error).__name__)
            await asyncio.sleep(0.5)
        except Exception:  # the worker loop's edge: a fault must not end the worker
            log.exception("the pump failed; going on")
            await asyncio.sleep(0.5)


async def _repeat(name: str, pause_s: float, work: Callable[[], Awaitable[int]]) -> None:
    while True:
        try:
            while await work():
                pass
        except UNREACHABLE as error:
            log.warning("the database cannot be reached; trying again", loop=name, error=type(error).__name__)
        except Exception:  # the worker loop's edge: a fault must not end the worker
            log.exception("a loop failed; going on", loop=name)
        await asyncio.sleep(pause_s)
