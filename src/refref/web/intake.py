"""Webhook intake: POST /stripe/webhooks/{connection_id}. Verify the raw bytes, store durably, answer 200.

Raw ASGI, since this is the hot path: between a webhook and its 200 lies nothing but one commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from refref.db.bodies import compress
from refref.db.failures import UNREACHABLE
from refref.db.inbox import Arrival, State
from refref.db.pool import Database
from refref.db.webhook_paths import SealedSecret, WebhookPath, find_webhook_path
from refref.stripe.envelope import EventHead, EventRefused, parse_event_head
from refref.stripe.readers import REGISTRY
from refref.stripe.signature import SignatureRefused, verify
from refref.vault import Place, Sealed, Vault, VaultError
from refref.web.group_commit import GroupCommit, NotStored

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PREFIX = "/stripe/webhooks/"
MAX_BODY = 1 << 20
TOLERANCE_S = 300
_PATH_FRESH_S = 5.0
_RELOAD_PAUSE_S = 1.0
_MOST_PATHS = 10_000
_STORED_TYPES = frozenset(name for name, event in REGISTRY.items() if event.object_name is not None)

_NOT_STORED: tuple[type[Exception], ...] = (*UNREACHABLE, NotStored)

log = structlog.get_logger("refref.intake")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of intake; `code` and `sentence` are set on refusals."""

    status: int
    code: str = ""
    sentence: str = ""


RECEIVED = Answer(200)
_UNKNOWN = Answer(404, "unknown_connection", "There is no connection with this webhook address.")
_TOO_LARGE = Answer(413, "body_too_large", "A webhook body is 1 MiB at most.")
_NO_POST = Answer(405, "method_not_allowed", "Stripe delivers webhooks with POST.")
_UNREACHABLE = Answer(503, "database_unreachable", "The event was not stored; deliver it again.")
_UNREADABLE = Answer(503, "secret_unreadable", "The signing secret cannot be decrypted; deliver the event again.")
_WRONG_MODE = Answer(
    400, "livemode_mismatch", "The event is of the other mode than this connection (test or live); it is quarantined."
)


@dataclass(slots=True)
class _Route:
    """A webhook path with its secrets opened, as loaded at `loaded_at` (monotonic seconds)."""

    path: WebhookPath | None
    secrets: list[tuple[bytes, float | None]]
    loaded_at: float


class Intake:
    """The ASGI app of webhook intake. `clock` gives unix seconds."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._commits = GroupCommit(database)
        self._routes: dict[str, _Route] = {}

    async def close(self) -> None:
        """Store what waits and stop the writers."""
        await self._commits.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _respond(send, _NO_POST)
            return
        body = await _read_body(receive)
        if body is None:
            await _respond(send, _TOO_LARGE)
            return
        signature = None
        for name, value in scope["headers"]:
            if name == b"stripe-signature":
                signature = value if signature is None else signature + b"," + value
        answer = await self.take(scope["path"][len(PREFIX) :].rstrip("/"), signature, body)
        if answer.status != 200:
            log.warning("webhook refused", connection_id=scope["path"][len(PREFIX) :][:40], code=answer.code)
        await _respond(send, answer)

    async def take(self, connection_id: str, signature: bytes | None, body: bytes) -> Answer:
        """One delivery: its answer, once it is stored where it is to be stored."""
        try:
            route = await self._route(connection_id)
            if route.path is None:
                return _UNKNOWN
            now = self._clock()
            try:
                verify(body, signature, _valid(route, now), int(now), TOLERANCE_S)
            except SignatureRefused as refusal:
                if refusal.code not in ("no_match", "no_secret") or not await self._reloaded(connection_id, route):
                    raise
                verify(body, signature, _valid(self._routes[connection_id], now), int(now), TOLERANCE_S)
            head = parse_event_head(body)
            arrival = _arrival(route.path, head, body)
            await self._commits.store(arrival)
        except (SignatureRefused, EventRefused) as refusal:
            return Answer(400, refusal.code, refusal.sentence)
        except _NOT_STORED:
            return _UNREACHABLE
        except VaultError as error:  # REFREF_MASTER_KEY is another one: the operator's to mend, Stripe's to wait for
            log.error("secret unreadable", reason=str(error))
            return _UNREADABLE
        return _WRONG_MODE if arrival.reason == "livemode_mismatch" else RECEIVED

    async def _route(self, connection_id: str) -> _Route:
        route = self._routes.get(connection_id)
        if route is not None and time.monotonic() - route.loaded_at < _PATH_FRESH_S:
            return route
        return await self._load(connection_id)

    async def _load(self, connection_id: str) -> _Route:
        async with self._database.plain() as connection:
            path = await find_webhook_path(connection, connection_id)
        secrets = self._opened(path) if path else []
        if len(self._routes) >= _MOST_PATHS:
            self._routes.clear()
        route = self._routes[connection_id] = _Route(path, secrets, time.monotonic())
        return route

    async def _reloaded(self, connection_id: str, route: _Route) -> bool:
        """Load the secrets again, since one may just have been rolled; not more than once a second."""
        if time.monotonic() - route.loaded_at < _RELOAD_PAUSE_S:
            return False
        await self._load(connection_id)
        return self._routes[connection_id].path is not None

    def _opened(self, path: WebhookPath) -> list[tuple[bytes, float | None]]:
        """The secrets that can be opened; raises VaultError when there are some and none can."""
        opened, failure = [], None
        for secret in path.secrets:
            try:
                opened.append(self._open(path, secret))
            except VaultError as error:
                failure = error
        if failure is not None:
            if not opened:
                raise failure
            log.error("secret unreadable", connection_id=path.connection_id, reason=str(failure))
        return opened

    def _open(self, path: WebhookPath, secret: SealedSecret) -> tuple[bytes, float | None]:
        place = Place(path.organization_id, path.connection_id, secret.secret_id)
        opened = self._vault.open(Sealed(secret.key_id, secret.nonce, secret.ciphertext), place)
        return opened, secret.expires_at.timestamp() if secret.expires_at else None


def _valid(route: _Route, now: float) -> list[bytes]:
    return [secret for secret, expires_at in route.secrets if expires_at is None or now < expires_at]


def _arrival(path: WebhookPath, head: EventHead, body: bytes) -> Arrival:
    state: State = "accepted" if head.type in _STORED_TYPES else "ignored"
    reason = None
    if head.livemode != (path.mode == "live"):
        state, reason = "quarantined", "livemode_mismatch"
    elif head.account is not None and head.account != path.stripe_account_id:
        state, reason = "quarantined", "unknown_account"
    return Arrival(
        organization_id=path.organization_id,
        connection_id=path.connection_id,
        stripe_event_id=head.id,
        type=head.type,
        object_id=head.data_object_id or "",
        api_version=head.api_version,
        livemode=head.livemode,
        state=state,
        reason=reason,
        source="webhook",
        created_at=head.created,
        body=compress(body),
    )


async def _read_body(receive: Receive) -> bytes | None:
    """The raw body; None when it is over the limit (the rest is read and thrown away)."""
    message = await receive()
    if not message.get("more_body"):
        body: bytes = message.get("body", b"")
        return body if len(body) <= MAX_BODY else None
    chunks = [message.get("body", b"")]
    size = len(chunks[0])
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY:
            chunks.append(chunk)
    return b"".join(chunks) if size <= MAX_BODY else None


# An empty body leaves in the same packet as its head.
_OK_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
_OK_BODY = {"type": "http.response.body", "body": b""}


async def _respond(send: Send, answer: Answer) -> None:
    if answer.status == 200:
        await send(_OK_START)
        await send(_OK_BODY)
        return
    body = msgspec.json.encode(
        {
            "type": "about:blank",
            "title": answer.code,
            "status": answer.status,
            "code": answer.code,
            "detail": answer.sentence,
        }
    )
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
