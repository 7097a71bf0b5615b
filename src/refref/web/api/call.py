"""One call of the API: who asks, in which transaction, and writes that may be repeated under an Idempotency-Key."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.db import connections, idempotency
from refref.db.connections import StripeConnection
from refref.db.pool import Connection
from refref.vault import Place, Sealed, VaultError
from refref.web.auth import Caller, current_caller
from refref.web.context import Context, context_of

KEEP_ANSWERS = timedelta(hours=24)
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in. `now` is the same instant for the whole of it."""

    request: Request
    context: Context
    caller: Caller
    now: datetime

    @property
    def organization_id(self) -> str:
        return self.caller.organization_id

    @property
    def actor(self) -> str:
        return self.caller.actor

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction bound to the caller's organization."""
        return self.context.database.tenant(self.organization_id)

    async def connection(self, tx: Connection, connection_id: str | None) -> StripeConnection:
        """The connection that was asked for; without an id the only one there is.

        Raises Refused: unknown_connection, connection_required.
        """
        if connection_id is not None:
            found = await connections.connection_by_id(tx, self.organization_id, connection_id)
            if found is None:
                raise Refused("unknown_connection", "There is no connection with this id.", "connection_id")
            return found
        known = await connections.connections(tx, self.organization_id, limit=2)
        if len(known) == 1:
            return known[0]
        sentence = "There are several connections: name one." if known else "There is no connection yet: make one."
        raise Refused("connection_required", sentence, "connection_id")

    async def books(self, tx: Connection, connection_id: str | None) -> tuple[str, str]:
        """Whose books the call is about: the ids of the organization and of the connection, found as above."""
        return self.organization_id, (await self.connection(tx, connection_id)).connection_id


@dataclass(frozen=True, slots=True)
class WriteCall(Call):
    """A call that changes something, once for each idempotency key."""

    idempotency_key: str | None

    async def write(self, status: int, run: Callable[[Connection], Awaitable[BaseModel]]) -> Response:
        """Run the write in one transaction and answer with what it returns, or with what the same request got before.

        The answer is stored, sealed, in the transaction of the write; a refused write stores nothing. Raises
        Refused("idempotency_conflict") when the key was used for another request.
        """
        key = self.idempotency_key
        request_hash = await self._request_hash() if key is not None else b""
        async with self.transaction() as tx:
            if key is not None and (answer := await self._answered(tx, key, request_hash)) is not None:
                return answer
            body = (await run(tx)).model_dump_json().encode()
            if key is not None:
                sealed = self.context.vault.seal(body, self._place(key))
                answer_to_keep = idempotency.StoredAnswer(request_hash, status, _pack(sealed))
                await idempotency.delete_outdated(tx, self.organization_id, self.now - KEEP_ANSWERS)
                await idempotency.store_answer(tx, self.organization_id, key, answer_to_keep, self.now)
        return Response(body, status, media_type=_JSON)

    async def answered(self) -> Response | None:
        """What the same request got before under its key. For a write that asks somebody outside first: not again."""
        if self.idempotency_key is None:
            return None
        request_hash = await self._request_hash()
        async with self.transaction() as tx:
            return await self._answered(tx, self.idempotency_key, request_hash)

    async def _answered(self, tx: Connection, key: str, request_hash: bytes) -> Response | None:
        stored = await idempotency.stored_answer(tx, self.organization_id, key, self.now - KEEP_ANSWERS)
        return None if stored is None else self._repeat(key, stored, request_hash)

    def _repeat(self, key: str, stored: idempotency.StoredAnswer, request_hash: bytes) -> Response:
        if stored.request_hash != request_hash:
            raise Refused(
                "idempotency_conflict",
                "This Idempotency-Key belongs to another request. Use a new one for a new request.",
            )
        try:
            body = self.context.vault.open(_unpack(stored.response), self._place(key))
        except VaultError:  # its master key was taken away
            raise Refused("idempotency_conflict", "The answer under this Idempotency-Key cannot be read.") from None
        return Response(body, stored.status, {"Idempotency-Replayed": "true"}, media_type=_JSON)

    async def _request_hash(self) -> bytes:
        request = self.request
        parts = (request.method, request.url.path, request.url.query)
        return hashlib.sha256("\n".join(parts).encode() + b"\n" + await request.body()).digest()

    def _place(self, key: str) -> Place:
        return Place(self.organization_id, "idempotency_key", key)


def _pack(sealed: Sealed) -> bytes:
    key_id = sealed.key_id.encode()
    return bytes([len(key_id)]) + key_id + bytes([len(sealed.nonce)]) + sealed.nonce + sealed.ciphertext


def _unpack(packed: bytes) -> Sealed:
    key_end = 1 + packed[0]
    nonce_end = key_end + 1 + packed[key_end]
    return Sealed(packed[1:key_end].decode(), packed[key_end + 1 : nonce_end], packed[nonce_end:])


def read_call(request: Request) -> Call:
    """The call of a route that reads."""
    context = context_of(request)
    return Call(request, context, current_caller(request), context.now())


async def write_call(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="1 to 255 printable characters. The same request with the same key is done once; for 24 hours "
            "it gets the same answer again."
        ),
    ] = None,
) -> WriteCall:
    """The call of a route that writes; raises Refused: invalid_idempotency_key, unsupported_media_type."""
    if idempotency_key is not None and not (1 <= len(idempotency_key) <= 255 and idempotency_key.isprintable()):
        raise Refused(
            "invalid_idempotency_key", "An Idempotency-Key has 1 to 255 printable characters.", "Idempotency-Key"
        )
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _JSON and await request.body():
        raise Refused("unsupported_media_type", "Send the body as JSON with Content-Type: application/json.")
    context = context_of(request)
    return WriteCall(request, context, current_caller(request), context.now(), idempotency_key)


Reading = Annotated[Call, Depends(read_call)]
Writing = Annotated[WriteCall, Depends(write_call)]
