"""Applications on free loopback ports, for tests: on the running event loop, or in a thread of their own; and ports
for the processes that a test starts.

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
_LOCALHOST = "127.0.0.1"


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
    with socket.create_server((_LOCALHOST, 0)) as taken:
        end = asyncio.Event()
        config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_level="error", ws="none")
        server = _Server(config, end)
        serving = asyncio.create_task(server.serve([taken]))
        try:
            yield f"http://{_LOCALHOST}:{taken.getsockname()[1]}"
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
    assert started.wait(60)

    def end() -> None:
        stop.set()
        thread.join()

    return address[0], end


@contextlib.contextmanager
def reserved_ports(count: int = 1) -> Iterator[int]:
    """Hold free ports that follow each other, for processes that will listen there; gives the first.

    A port that was only looked up may be another process's by the time it is used. These stay ours: the system gives
    them to nobody who asks for any free port, and whoever names one and may reuse addresses, as servers do, can listen.
    """
    with contextlib.ExitStack() as held:
        while True:
            first = _hold(held, 0)
            assert first is not None
            if all(_hold(held, first + more) is not None for more in range(1, count)):
                break
        yield first


def _hold(held: contextlib.ExitStack, port: int) -> int | None:
    """Bind a port and do not listen; None when it is somebody's. Exclusive at first: two tests never hold the same."""
    bound = held.enter_context(socket.socket())
    try:
        bound.bind((_LOCALHOST, port))
    except (OSError, OverflowError):
        return None
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return int(bound.getsockname()[1])
