"""Webhook intake: POST /stripe/webhooks/{connection_id}. Verify the raw bytes, store durably, answer 200.

Raw ASGI, since this is the hot path: between a webhook and its 200 lies nothing but one commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from refref.db.failures import UNREACHABLE
from refref.db.pool import Database
from refref.db.webhook_paths import SealedSecret, WebhookPath, find_webhook_path
from refref.flows.arrivals import arrival_of, strange_to
from refref.stripe.envelope import EventRefused, parse_event_head
from refref.stripe.signature import SignatureRefused, verify
from refref.vault import Place, Sealed, Vault, VaultError
from refref.web.group_commit import GroupCommit, NotStored
from refref.web.intake_answers import (
    NO_POST,
    RECEIVED,
    TOO_LARGE,
    UNKNOWN,
    UNREACHABLE_DATABASE,
    UNREADABLE_SECRET,
    WRONG_MODE,
    Answer,
    respond,
)
from refref.web.platform_intake import PLATFORM_PREFIX, TOLERANCE_S, PlatformIntake
from refref.web.refused_deliveries import RefusedDeliveries

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

PREFIX = "/stripe/webhooks/"
MAX_BODY = 1 << 20
_PATH_FRESH_S = 5.0
_RELOAD_PAUSE_S = 0.05
_MOST_WAITING = 100  # for the secrets of one connection to be loaded again
_MOST_PATHS = 10_000

_NOT_STORED: tuple[type[Exception], ...] = (*UNREACHABLE, NotStored)

log = structlog.get_logger("refref.intake")


@dataclass(slots=True)
class _Route:
    """A webhook path with its secrets opened, as loaded at `loaded_at` (monotonic seconds)."""

    path: WebhookPath | None
    secrets: list[tuple[bytes, float | None]]
    loaded_at: float
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Intake:
    """The ASGI app of webhook intake. `clock` gives unix seconds."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._commits = GroupCommit(database)
        self._refused = RefusedDeliveries(database)
        self._platform = PlatformIntake(database, vault, self._commits, clock)
        self._routes: dict[str, _Route] = {}

    async def close(self) -> None:
        """Store what waits and stop the writers."""
        await self._commits.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await respond(send, NO_POST)
            return
        body = await _read_body(receive)
        if body is None:
            await respond(send, TOO_LARGE)
            return
        signature = None
        for name, value in scope["headers"]:
            if name == b"stripe-signature":
                signature = value if signature is None else signature + b"," + value
        answer = await self.take(scope["path"][len(PREFIX) :].rstrip("/"), signature, body)
        if answer.status != 200:
            log.warning("webhook refused", connection_id=scope["path"][len(PREFIX) :][:40], code=answer.code)
        await respond(send, answer)

    async def take(self, connection_id: str, signature: bytes | None, body: bytes) -> Answer:
        """One delivery: its answer, once it is stored where it is to be stored."""
        if connection_id.startswith(PLATFORM_PREFIX):
            return await self._platform.take(connection_id.removeprefix(PLATFORM_PREFIX), signature, body)
        try:
            route = await self._route(connection_id)
            if route.path is None:
                return UNKNOWN
            try:
                await self._verify(connection_id, route, signature, body)
            except SignatureRefused as refusal:
                await self._refused.note(route.path.organization_id, connection_id, refusal.code, self._clock())
                raise
            head = parse_event_head(body)
            path = route.path
            strange = strange_to(head, path.mode, path.stripe_account_id)
            await self._commits.store(
                arrival_of(path.organization_id, path.connection_id, head, body, source="webhook", strange=strange)
            )
        except (SignatureRefused, EventRefused) as refusal:
            return Answer(400, refusal.code, refusal.sentence)
        except _NOT_STORED:
            return UNREACHABLE_DATABASE
        except VaultError as error:  # REFREF_MASTER_KEY is another one: the operator's to mend, Stripe's to wait for
            log.error("secret unreadable", reason=str(error))
            return UNREADABLE_SECRET
        return WRONG_MODE if strange == "livemode_mismatch" else RECEIVED

    async def _verify(self, connection_id: str, route: _Route, signature: bytes | None, body: bytes) -> None:
        now = self._clock()
        try:
            verify(body, signature, _valid(route, now), int(now), TOLERANCE_S)
        except SignatureRefused as refusal:
            if refusal.code not in ("no_match", "no_secret") or not await self._reloaded(connection_id, route):
                raise
            verify(body, signature, _valid(self._routes[connection_id], now), int(now), TOLERANCE_S)

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
        """Load the secrets again, since one may just have been rolled; once for all who ask at the same time, and not
        more than 20 times a second."""
        if route.waiting >= _MOST_WAITING:
            return False
        route.waiting += 1
        try:
            async with route.lock:
                if self._routes.get(connection_id) is route:  # nobody else has done it meanwhile
                    await asyncio.sleep(max(0.0, _RELOAD_PAUSE_S - (time.monotonic() - route.loaded_at)))
                    await self._load(connection_id)
        finally:
            route.waiting -= 1
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
