"""`/readyz` tells whether the database answers, also when it neither answers nor refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from refref.db.pool import Connection, Database
from refref.settings import load_settings
from refref.web import app as web_app
from refref.web.app import create_app


class Frozen(Database):
    """A database that has stopped in the middle of everything."""

    @asynccontextmanager
    async def plain(self) -> AsyncIterator[Connection]:
        await asyncio.sleep(3600)
        async with super().plain() as connection:
            yield connection


class Refusing(Database):
    @asynccontextmanager
    async def plain(self) -> AsyncIterator[Connection]:
        raise ConnectionRefusedError
        yield


def ask(dsn: str, folder: Path, kind: type[Database]) -> int:
    async def main() -> int:
        opened = await Database.open(dsn, max_size=2)
        settings = load_settings({"DATABASE_URL": dsn, "REFREF_DATA_DIR": str(folder)})
        transport = httpx.ASGITransport(create_app(settings, kind(opened._pool, dsn)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await asyncio.wait_for(client.get("/readyz"), 120)
        await opened.close()
        return answer.status_code

    return asyncio.run(main())


def test_ready(database: str, tmp_path: Path) -> None:
    assert ask(database, tmp_path, Database) == 200


def test_refusing(database: str, tmp_path: Path) -> None:
    assert ask(database, tmp_path, Refusing) == 503


def test_frozen(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_app, "READY_WITHIN_S", 0.2)
    assert ask(database, tmp_path, Frozen) == 503
