"""How an answer leaves the sandbox: as JSON, or as a fault has it: late, never, cut off, or by a broken connection."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from refref.sandbox.faults import Fault
from refref.sandbox.store import API_VERSION, Doc

TRANSPORT = "refref.sandbox.transport"
NEVER_SECONDS = 3600.0


class Api(Starlette):
    """A Starlette application whose answers can break the connection they are on."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remember the connection: uvicorn's `send` is a method of what holds it; elsewhere there is none."""
        scope[TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


def as_json(
    body: Doc, status: int, request_id: str, version: str = API_VERSION, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer as Stripe writes it: indented JSON, its request id and its version."""
    data = msgspec.json.format(msgspec.json.encode(body), indent=2)
    shown = {"request-id": request_id, "stripe-version": version, **(headers or {})}
    return Response(data, status, shown, media_type="application/json")


async def struck(fault: Fault, answer: Response | None) -> Response | None:
    """The answer that a fault leaves; None: go on with the work. `answer` is the good one, once there is one."""
    if fault.kind in ("lost", "reset"):
        return Broken()
    if fault.kind == "timeout":
        return Silent(fault.seconds or NEVER_SECONDS)
    if fault.kind == "truncated":
        return Truncated(bytes(answer.body) if answer else b"{}")
    if fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        return answer
    raise fault.error()


class Broken(Response):
    """No answer: the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End it at once; over an in-process transport raise what a client would see."""
        transport: Any = scope.get(TRANSPORT)
        if transport is None:
            raise ConnectionResetError("The sandbox was told to break this connection.")
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class Silent(Broken):
    """No answer for `seconds` or until the client gives up; then the connection ends."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, as a client does."""
        try:
            async with asyncio.timeout(self.seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            await super().__call__(scope, receive, send)


class Truncated(Broken):
    """The head and the first half of the body; then the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise the whole body and break off in the middle."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await super().__call__(scope, receive, send)
