"""A whole RefRef web app on a fresh database, reached in process: an organization, its owner, API keys, clients."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from refref.db.pool import Database
from refref.flows import accounts, api_keys
from refref.passwords import hash_password
from refref.settings import MasterKey, Settings
from refref.web.app import App, create_app

BASE_URL = "http://refref.test"
EMAIL, PASSWORD = "owner@example.com", "a password for tests"


@dataclass(frozen=True)
class Web:
    """The app under test; `api` speaks with an admin key, `browser` keeps cookies and follows no redirects."""

    app: App
    database: Database
    settings: Settings
    organization_id: str
    user_id: str
    api_key: str
    viewer_key: str
    api: httpx.AsyncClient
    browser: httpx.AsyncClient
    email: str = EMAIL
    password: str = PASSWORD

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD) -> str:
        """Sign the browser in and return the form token of its session."""
        answer = await self.browser.post("/sign-in", data={"email": email, "password": password})
        assert answer.status_code == 303, answer.text
        return await self.csrf_token()

    async def csrf_token(self) -> str:
        async with self.database.reference() as tx:
            return await tx.fetchval("select csrf_token from web_session order by created_at desc limit 1")

    async def connection(self, name: str = "Test", **more: Any) -> dict[str, Any]:
        answer = await self.api.post("/v1/connections", json={"name": name, "mode": "test", **more})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def program(self, connection_id: str | None = None, **more: Any) -> dict[str, Any]:
        body = {"name": "Affiliates", "connection_id": connection_id, **more}
        answer = await self.api.post("/v1/programs", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def participant(self, program_id: str, **more: Any) -> dict[str, Any]:
        body = {"program_id": program_id, "name": "Sample partner", "email": f"{secrets.token_hex(4)}@example.com"}
        answer = await self.api.post("/v1/participants", json=body | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def user(self, email: str, role: str) -> None:
        password_hash = await hash_password(PASSWORD)
        async with self.database.tenant(self.organization_id) as tx:
            await accounts.create_user(
                tx,
                self.organization_id,
                email=email,
                name="",
                role=role,
                password_hash=password_hash,
                actor="system",
                now=datetime.now(UTC),
            )


def settings_for(dsn: str, **changes: Any) -> Settings:
    made = Settings(
        database_url=dsn,
        data_dir=Path("/nonexistent"),
        host="127.0.0.1",
        port=8787,
        base_url=BASE_URL,
        master_keys=(MasterKey("k1", bytes(range(32))),),
        log_level="error",
    )
    return replace(made, **changes)


@asynccontextmanager
async def opened_web(dsn: str, **changes: Any) -> AsyncIterator[Web]:
    settings = settings_for(dsn, **changes)
    database = await Database.open(dsn, max_size=5)
    app = create_app(settings, database)
    now = datetime.now(UTC)
    password_hash = await hash_password(PASSWORD)
    async with database.reference() as tx:
        made = await accounts.sign_up(
            tx,
            organization_name="Sample Shop",
            email=EMAIL,
            name="Owner",
            password_hash=password_hash,
            now=now,
            is_allowed=True,
        )
        keys = [
            (
                await api_keys.create_api_key(tx, made.organization_id, name=role, role=role, actor="system", now=now)
            ).secret
            for role in ("admin", "viewer")
        ]
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    try:
        async with (
            httpx.AsyncClient(
                transport=transport, base_url=settings.base_url, headers={"Authorization": f"Bearer {keys[0]}"}
            ) as api,
            httpx.AsyncClient(transport=transport, base_url=settings.base_url) as browser,
        ):
            yield Web(app, database, settings, made.organization_id, made.user_id, *keys, api, browser)
    finally:
        await app.close()
        await database.close()


Scenario = Callable[[Web], Awaitable[None]]


@pytest.fixture(scope="session")
def open_web() -> Callable[..., Any]:
    """Give the context manager that opens an app on the database of a DSN."""
    return opened_web


@pytest.fixture
def with_web(database: str) -> Callable[..., None]:
    """Give a function that runs a coroutine function on an app of its own (settings may be changed by keyword)."""

    def run(scenario: Scenario, **changes: Any) -> None:
        async def main() -> None:
            async with opened_web(database, **changes) as web:
                await scenario(web)

        asyncio.run(main())

    return run
