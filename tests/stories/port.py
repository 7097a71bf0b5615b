"""A loopback port where the sandboxes of many stories answer as Stripe's API, told apart by their keys."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are pytest's


@contextlib.asynccontextmanager
async def quiet_server(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application on a free loopback port of the running event loop; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = uvicorn.Config(app, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
        server = _Server(config)
        serving = asyncio.create_task(server.serve([taken]))
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


class StripePort:
    """Started with the first sandbox; lives on the event loop of its World."""

    def __init__(self) -> None:
        self.url = ""
        self._apps: dict[bytes, ASGIApp] = {}
        self._server: _Server | None = None
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self, app: ASGIApp) -> str:
        """Serve one more sandbox; returns the key to call it with."""
        if self._task is None:
            self._socket = socket.create_server(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
            config = uvicorn.Config(
                self._answer, interface="asgi3", lifespan="off", log_level="error", timeout_graceful_shutdown=1
            )
            self._server = _Server(config)
            self._task = asyncio.create_task(self._server.serve([self._socket]))
        key = f"rk_test_{len(self._apps):024d}"
        self._apps[f"Bearer {key}".encode()] = app
        return key

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        await self._apps[given](scope, receive, send)

    async def close(self) -> None:
        """Stop answering."""
        if self._task is None or self._server is None or self._socket is None:
            return
        self._server.should_exit = True
        await self._task
        self._socket.close()
