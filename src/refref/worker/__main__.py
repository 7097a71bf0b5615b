"""`python -m refref.worker`: the worker process. Works until SIGTERM; what is running is rolled back and done again."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from functools import partial

from refref.runtime import open_database, run_process
from refref.settings import Settings
from refref.vault import Vault
from refref.worker.loop import run_worker

MAX_CONNECTIONS = 8


async def work(settings: Settings, *, as_json: bool = False) -> None:
    """Work until asked to stop; `as_json` prints one line when ready. Raises one of UNREACHABLE without a database."""
    database = await open_database(settings, max_size=MAX_CONNECTIONS)
    vault = Vault(settings.master_keys, settings.platforms)
    running = asyncio.create_task(run_worker(database, vault, settings=settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    if as_json:
        print(json.dumps({"ready": True}), flush=True)
    try:
        await running
    except asyncio.CancelledError:
        pass  # asked to stop
    finally:
        await database.close()


def main(*, as_json: bool = False) -> int:
    """Run the process; returns its exit code."""
    return run_process(partial(work, as_json=as_json))


if __name__ == "__main__":
    sys.exit(main())
