"""Connections to PostgreSQL and the tenant wall: every transaction is bound to one organization or to none."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg


class Connection(Protocol):
    """What this package uses of an asyncpg connection."""

    async def execute(self, query: str, *args: object) -> str: ...

    async def fetch(self, query: str, *args: object) -> list[Any]: ...

    async def fetchrow(self, query: str, *args: object) -> Any: ...

    async def fetchval(self, query: str, *args: object) -> Any: ...


APP_ROLE = "refref_app"


class Database:
    """A pool of connections that have all become `refref_app`, which row-level security binds to one organization."""

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        self._pool = pool
        self.dsn = dsn

    @classmethod
    async def open(cls, dsn: str, *, max_size: int = 10) -> Database:
        """Open a pool on `dsn` (postgresql://...); raises OSError or asyncpg.PostgresError when it cannot be reached.

        The role is a start-up setting, so that RESET ROLE on such a connection leads back to `refref_app`.
        """
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=max_size,
            server_settings={"role": APP_ROLE, "application_name": "refref", "timezone": "UTC"},
            command_timeout=60,
            reset=_leave_as_it_is,
        )
        return cls(pool, dsn)

    async def close(self) -> None:
        await self._pool.close()

    async def forget_plans(self) -> None:
        """Connect anew from now on: plans that were cached when tables were small read too much of grown ones."""
        await self._pool.expire_connections()

    @asynccontextmanager
    async def tenant(self, organization_id: str) -> AsyncIterator[Connection]:
        """One transaction that sees the rows of `organization_id` alone; an exception rolls it back."""
        async with self._pool.acquire() as connection, connection.transaction():
            await enter_tenant(connection, organization_id)
            yield connection

    @asynccontextmanager
    async def snapshot(self, organization_id: str, snapshot_id: str | None = None) -> AsyncIterator[Connection]:
        """One transaction that sees an organization's rows as they are now, or as they were for the transaction that
        exported `snapshot_id`, however long it takes, and writes nothing."""
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            if snapshot_id is not None:
                if not re.fullmatch(r"[0-9A-F-]{1,64}", snapshot_id):
                    raise ValueError("not the id of a snapshot")
                await connection.execute(f"set transaction snapshot '{snapshot_id}'")
            await enter_tenant(connection, organization_id)
            yield connection

    @asynccontextmanager
    async def reference(self) -> AsyncIterator[Connection]:
        """One transaction that sees reference tables alone (organizations, users, look-ups) and no tenant's rows."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def listen(self, channel: str, heard: Callable[[], None]) -> AsyncIterator[None]:
        """Call `heard` whenever `channel` is notified, until the block ends."""
        async with self._pool.acquire() as connection:

            def on_notify(*_: object) -> None:
                heard()

            await connection.add_listener(channel, on_notify)
            try:
                yield
            finally:
                await connection.remove_listener(channel, on_notify)

    @asynccontextmanager
    async def plain(self) -> AsyncIterator[Connection]:
        """A connection without a transaction, for single statements and LISTEN."""
        async with self._pool.acquire() as connection:
            yield connection


async def _leave_as_it_is(_: Connection) -> None:
    """Nothing outlives a transaction on our connections (SET LOCAL alone), so none is reset when it is given back."""


async def enter_tenant(connection: Connection, organization_id: str) -> None:
    """Bind the running transaction to one organization (row-level security reads the setting)."""
    await connection.execute("select set_config('app.organization_id', $1, true)", organization_id)


async def lock_books(connection: Connection, connection_id: str) -> None:
    """Wait for the right to write a connection's books; held until the transaction ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", connection_id)


async def export_snapshot(connection: Connection) -> str:
    """The id under which others may see what a snapshot's transaction sees, while it lasts."""
    exported: str = await connection.fetchval("select pg_export_snapshot()")
    return exported
