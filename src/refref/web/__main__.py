"""`python -m refref.web`: the web process. Opens the database, serves until SIGTERM, lets running requests end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from refref.db.failures import UNREACHABLE
from refref.db.pool import Database
from refref.logs import configure_logs
from refref.runtime import run_process
from refref.settings import Settings, SettingsError, load_settings
from refref.web.app import App, create_app

MAX_CONNECTIONS = 10
_ATTEMPTS = 20
_WARM_AFTER_S = 2.0


async def serve(settings: Settings) -> None:
    """Serve until asked to stop; raises one of UNREACHABLE when there is no database."""
    database = await _open(settings.require_database_url())
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


async def _open(dsn: str) -> Database:
    """Open the database, which may still be starting."""
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
        run_process(serve(settings))
    except UNREACHABLE as error:
        print(f"refref: the database cannot be reached: {type(error).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
