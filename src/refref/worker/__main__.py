"""`python -m refref.worker`: the worker process. Works until SIGTERM; what is running is rolled back and done again."""

from __future__ import annotations

import asyncio
import signal
import sys

from refref.db.failures import UNREACHABLE
from refref.db.pool import Database
from refref.logs import configure_logs
from refref.runtime import run_process
from refref.settings import Settings, SettingsError, load_settings
from refref.vault import Vault
from refref.worker.loop import run_worker

MAX_CONNECTIONS = 6
_ATTEMPTS = 20


async def work(settings: Settings) -> None:
    """Work until asked to stop; raises one of UNREACHABLE when there is no database."""
    database = await _open(settings.require_database_url())
    running = asyncio.create_task(run_worker(database, Vault(settings.master_keys)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        pass  # asked to stop
    finally:
        await database.close()


async def _open(dsn: str) -> Database:
    for _ in range(_ATTEMPTS - 1):
        try:
            return await Database.open(dsn, max_size=MAX_CONNECTIONS)
        except UNREACHABLE:
            await asyncio.sleep(0.5)
    return await Database.open(dsn, max_size=MAX_CONNECTIONS)


def main() -> int:
    """Run the process; returns its exit code."""
    try:
        settings = load_settings()
        settings.require_database_url()
    except SettingsError as error:
        print(f"refref: {error}", file=sys.stderr)
        return 2
    configure_logs(settings.log_level)
    try:
        run_process(work(settings))
    except UNREACHABLE as error:
        print(f"refref: the database cannot be reached: {type(error).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
