"""A loopback port where the sandboxes of many stories answer as Stripe's API, told apart by their keys."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from serving import quiet_server

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class StripePort:
    """Started with the first sandbox; lives on the event loop of its World."""

    def __init__(self) -> None:
        self.url = ""
        self.answers_left: int | None = None  # then it is silent until somebody sets it anew; None: it always answers
        self.is_asked_in_vain = False
        self._apps: dict[bytes, ASGIApp] = {}
        self._serving = contextlib.AsyncExitStack()

    async def open(self, app: ASGIApp) -> str:
        """Serve one more sandbox; returns the key to call it with."""
        if not self._apps:
            self.url = await self._serving.enter_async_context(quiet_server(self._answer))
        key = f"rk_test_{len(self._apps):024d}"
        self._apps[f"Bearer {key}".encode()] = app
        return key

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.answers_left == 0:
            self.is_asked_in_vain = True
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        if self.answers_left is not None:
            self.answers_left -= 1
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        await self._apps[given](scope, receive, send)

    async def close(self) -> None:
        """Stop answering."""
        await self._serving.aclose()
