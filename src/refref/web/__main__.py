"""`python -m refref.web`: the web process. Opens the database, serves until SIGTERM, lets running requests end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from refref.runtime import open_database, run_process
from refref.settings import Settings
from refref.web.app import App, create_app

MAX_CONNECTIONS = 10
_WARM_AFTER_S = 2.0


async def serve(settings: Settings, *, as_json: bool = False) -> None:
    """Serve until asked to stop; `as_json` prints one line when ready. Raises one of UNREACHABLE without a database."""
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
        await Server(config, json.dumps({"url": settings.base_url}) if as_json else None).serve()
        warming.cancel()
    finally:
        await app.close()
        await database.close()


class Server(uvicorn.Server):
    """Uvicorn, which would end the process by the signal itself before we had closed what we opened.

    `ready_line` is printed once it listens.
    """

    def __init__(self, config: uvicorn.Config, ready_line: str | None) -> None:
        super().__init__(config)
        self._ready_line = ready_line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready_line is not None:
            print(self._ready_line, flush=True)

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


def main(*, as_json: bool = False) -> int:
    """Run the process; returns its exit code."""
    return run_process(partial(serve, as_json=as_json))


if __name__ == "__main__":
    sys.exit(main())
