"""Lets what changes something wait until the history is written: it happens today, not in the middle of last year.

Reading waits for nothing, nor does what a listener needs to register itself.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from refref.sandbox.arrival import Arrival

READS = ("GET", "HEAD", "OPTIONS")
AT_ANY_TIME = (
    "/v1/webhook_endpoints",
    *(f"/_sandbox/{what}" for what in ("deliveries", "deliver_all", "resend", "rate_limit", "live", "faults")),
)


class AfterHistory:
    """The application behind the gate."""

    def __init__(self, app: ASGIApp, arrival: Arrival) -> None:
        self._app = app
        self._arrival = arrival

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on at once what only reads or may come at any time; the rest when the history is written."""
        if scope["type"] == "http" and not self._arrival.written.is_set() and must_wait(scope["method"], scope["path"]):
            self._arrival.hurry()
            await self._arrival.written.wait()
        await self._app(scope, receive, send)


def must_wait(method: str, path: str) -> bool:
    """Whether a request changes what the history is about."""
    return method not in READS and not path.startswith(AT_ANY_TIME)
