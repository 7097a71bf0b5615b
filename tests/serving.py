"""Applications on free loopback ports, for tests: on the running event loop, or in a thread of their own.

Uvicorn looks ten times a second whether it is to end, and waits as long again; hundreds of tests would wait for that.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

_GRACE_S = 1.0


class _Server(uvicorn.Server):
    """A server that ends as soon as what is under way is answered, a second after `end` is set at most."""

    def __init__(self, config: uvicorn.Config, end: asyncio.Event) -> None:
        super().__init__(config)
        self._end = end

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are pytest's

    async def main_loop(self) -> None:
        await self.on_tick(0)  # sets the headers of every answer
        await self._end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0.005)
        for task in self.server_state.tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def quiet_server(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on the running event loop; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        end = asyncio.Event()
        config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_level="error", ws="none")
        server = _Server(config, end)
        serving = asyncio.create_task(server.serve([taken]))
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            end.set()
            await serving


def serve(app: ASGIApp) -> tuple[str, Callable[[], None]]:
    """Serve an application in a thread; returns its address and how to stop it."""
    address: list[str] = []
    started, stop = threading.Event(), threading.Event()

    async def main() -> None:
        async with quiet_server(app) as url:
            address.append(url)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="served by a test")
    thread.start()
    assert started.wait(10)

    def end() -> None:
        stop.set()
        thread.join()

    return address[0], end
