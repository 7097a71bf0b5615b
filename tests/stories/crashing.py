"""A database that dies in the middle of the worker's transactions, as if the process had been killed there."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from refref.db.pool import Connection, Database


class Killed(BaseException):
    """Stands for kill -9: nothing in the product may catch it."""


class CrashingDatabase(Database):
    """A database whose transactions die at a statement that a die chooses, as if the process had been killed there."""

    def __init__(self, database: Database, rng: random.Random) -> None:
        super().__init__(database._pool, database.dsn)
        self._rng = rng
        self.crashes = 0

    @asynccontextmanager
    async def reference(self) -> AsyncIterator[Connection]:
        async with super().reference() as tx:
            yield _Dying(tx, self._rng.randint(3, 30), self)

    @asynccontextmanager
    async def tenant(self, organization_id: str) -> AsyncIterator[Connection]:
        async with super().tenant(organization_id) as tx:
            yield _Dying(tx, self._rng.randint(1, 20), self)


class _Dying:
    def __init__(self, tx: Connection, statements: int, owner: CrashingDatabase) -> None:
        self._tx, self._left, self._owner = tx, statements, owner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self._left -= 1
        if self._left == 0:
            self._owner.crashes += 1
            raise Killed
        method: Callable[..., Any] = getattr(self._tx, name)
        return method
