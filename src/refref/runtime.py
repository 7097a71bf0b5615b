"""How RefRef's processes run: their settings and logs, the database they wait for, uvloop, a calm garbage collector."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine

from refref.db.failures import UNREACHABLE
from refref.db.pool import Database
from refref.logs import configure_logs
from refref.settings import Settings, SettingsError, load_settings

# What a batch makes dies by reference count; looking for cycles after every 700 objects only costs time.
_GC_THRESHOLDS = (50_000, 20, 50)
_ATTEMPTS = 20
_PAUSE_S = 0.5


def run_process(work: Callable[[Settings], Coroutine[object, object, None]]) -> int:
    """Run a process's main coroutine to its end; returns the exit code, and says on stderr what is wrong."""
    try:
        settings = load_settings()
        settings.require_database_url()
    except SettingsError as error:
        print(f"refref: {error}", file=sys.stderr)
        return 2
    configure_logs(settings.log_level)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        _run(work(settings))
    except UNREACHABLE as error:
        print(f"refref: the database cannot be reached: {type(error).__name__}", file=sys.stderr)
        return 1
    return 0


async def open_database(settings: Settings, *, max_size: int) -> Database:
    """Open the database, which may still be starting; raises one of UNREACHABLE after ten seconds."""
    dsn = settings.require_database_url()
    for _ in range(_ATTEMPTS - 1):
        try:
            return await Database.open(dsn, max_size=max_size)
        except UNREACHABLE:
            await asyncio.sleep(_PAUSE_S)
    return await Database.open(dsn, max_size=max_size)


def _run(work: Coroutine[object, object, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(work)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
