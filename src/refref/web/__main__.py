"""`python -m refref.web`: the web process. Opens the database, serves until SIGTERM, lets running requests end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from refref.runtime import open_database, run_process
from refref.settings import Settings
from refref.web.app import App, create_app

MAX_CONNECTIONS = 10
_WARM_AFTER_S = 2.0


async def serve(settings: Settings) -> None:
    """Serve until asked to stop; raises one of UNREACHABLE when there is no database."""
    database = await open_database(settings, max_size=MAX_CONNECTIONS)
    app = create_app(settings, database)
    try:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            server_header=False,
            log_level="warning",
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=64 * 1024,
        )
        warming = asyncio.create_task(_warm(app))
        await Server(config).serve()
        warming.cancel()
    finally:
        await app.close()
        await database.close()


class Server(uvicorn.Server):
    """Uvicorn, which would end the process by the signal itself before we had closed what we opened."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def _warm(app: App) -> None:
    """Make the API in a thread once the first page has had the processor."""
    await asyncio.sleep(_WARM_AFTER_S)
    await asyncio.to_thread(lambda: app.api)


def main() -> int:
    """Run the process; returns its exit code."""
    return run_process(serve)


if __name__ == "__main__":
    sys.exit(main())
