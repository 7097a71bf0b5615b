"""Around every request but webhooks: request id, body limit, security headers, one log line. Pure ASGI.

The log line holds ids and the route's template, never the raw path or query, which may hold e-mail addresses.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from typing import TYPE_CHECKING

import structlog

from refref.web.problems import make_problem, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 1024 * 1024

log = structlog.get_logger("refref.web")

_FIXED_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"x-frame-options", b"DENY"),
)
_HSTS = (b"strict-transport-security", b"max-age=31536000")


def content_security_policy(nonce: str) -> str:
    """The policy of our pages: everything from here, scripts without inline code unless it carries the nonce."""
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


class Guard:
    """Wraps an ASGI app. Puts `request_id` and `csp_nonce` into the request's state."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = (*_FIXED_HEADERS, _HSTS) if is_https else _FIXED_HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id, nonce = secrets.token_hex(8), secrets.token_urlsafe(16)
        state = scope.setdefault("state", {})
        state["request_id"], state["csp_nonce"] = request_id, nonce
        extra = [
            *self._headers,
            (b"x-request-id", request_id.encode()),
            (b"content-security-policy", content_security_policy(nonce).encode()),
        ]
        status = 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(row for row in extra if row[0] not in present)]
            await send(message)

        try:
            limited = await _limit_body(scope, receive)
            if limited is None:
                problem = make_problem("body_too_large", f"A request has at most {MAX_BODY_BYTES} bytes.")
                await problem_response(problem, {"connection": "close"})(scope, receive, send_guarded)
            else:
                await self._app(scope, limited, send_guarded)
        finally:
            route = scope.get("route")
            log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                route=getattr(route, "path", None),
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                organization_id=state.get("organization_id"),
                actor=state.get("actor"),
            )


async def _limit_body(scope: Scope, receive: Receive) -> Receive | None:
    """The receive channel of a request whose body is small enough; None when it is not.

    A declared length is enforced by the server. A body without one is read here, up to the limit.
    """
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length")
    if declared is not None:
        return receive if declared.isdigit() and int(declared) <= MAX_BODY_BYTES else None
    if b"transfer-encoding" not in headers:
        return receive
    messages: deque[Message] = deque()
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            break

    async def replay() -> Message:
        return messages.popleft() if messages else await receive()

    return replay
