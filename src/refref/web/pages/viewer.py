"""Who looks at a page: the session, the connection in view, and the guards that send everybody else elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.requests import Request

from refref.db import connections
from refref.db.connections import StripeConnection
from refref.db.pool import Connection
from refref.db.sessions import WebSession
from refref.web.context import Context, context_of
from refref.web.sessions import current_session

CONNECTION_COOKIE = "refref-connection"
L = TypeVar("L", bound=str)


class ConnectionNeeded(Exception):
    """The organization has no connection yet; the edge answers with the set-up page's address."""


class PageNotFound(Exception):
    """There is no such thing in this organization; `what` names its kind."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person with the organization's connections. `real_now` is ours, `now` that of the connection."""

    context: Context
    session: WebSession
    connections: tuple[StripeConnection, ...]
    connection: StripeConnection | None
    real_now: datetime

    @property
    def organization_id(self) -> str:
        return self.session.organization_id

    @property
    def now(self) -> datetime:
        ahead = self.connection.clock_ahead_s if self.connection else 0
        return self.real_now + timedelta(seconds=ahead)

    @property
    def now_s(self) -> int:
        """The same in seconds since 1970."""
        return int(self.now.timestamp())

    @property
    def actor(self) -> str:
        return f"user:{self.session.user_id}"

    @property
    def can_change(self) -> bool:
        return self.session.role in ("owner", "admin")

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction bound to the organization."""
        return self.context.database.tenant(self.organization_id)


@dataclass(frozen=True, slots=True)
class Connected(Viewer):
    """A viewer whose organization has a connection; `connection` is the one in view."""

    connection: StripeConnection

    @property
    def connection_id(self) -> str:
        return self.connection.connection_id


async def signed_in(request: Request) -> Viewer:
    """The viewer of a request that `authorize` let pass."""
    session, context = await current_session(request), context_of(request)
    assert session is not None  # authorize has seen to it
    async with context.database.tenant(session.organization_id) as tx:
        known = tuple(reversed(await connections.connections(tx, session.organization_id)))
    wanted = request.query_params.get("connection") or request.cookies.get(CONNECTION_COOKIE)
    chosen = next((c for c in known if c.connection_id == wanted), known[0] if known else None)
    return Viewer(context, session, known, chosen, context.now())


async def connected(viewer: Annotated[Viewer, Depends(signed_in)]) -> Connected:
    """A viewer with a connection; raises ConnectionNeeded."""
    if viewer.connection is None:
        raise ConnectionNeeded
    return Connected(viewer.context, viewer.session, viewer.connections, viewer.connection, viewer.real_now)


SignedIn = Annotated[Viewer, Depends(signed_in)]
OnConnection = Annotated[Connected, Depends(connected)]


async def form_of(request: Request) -> Mapping[str, str]:
    """The text fields of a posted form, without blanks around them; `authorize` has checked its token already."""
    return {name: value.strip() for name, value in (await request.form()).items() if isinstance(value, str)}


def one_of(value: str | None, allowed: tuple[L, ...]) -> L | None:
    """The value where it is one of those allowed; None for anything else, as if nobody had filtered."""
    return next((known for known in allowed if known == value), None)
