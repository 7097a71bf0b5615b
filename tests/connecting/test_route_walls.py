"""Who may do what with a connection: every route by role, another organization's connections, and forged forms."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx

from connecting.test_platform_walls import second_organization
from connecting.town import Town, opened
from refref.db.users import members
from refref.flows import accounts, api_keys
from refref.web.app import App, create_app
from refref.web.permissions import PERMISSIONS

# Looking is a viewer's, changing an administrator's. A new route of connections has to be put here.
LOOK = {
    ("GET", "/v1/connections"),
    ("GET", "/v1/connections/{connection_id}"),
    ("GET", "/v1/connections/{connection_id}/health"),
    ("GET", "/v1/event_poll"),
    ("GET", "/integrations"),
    ("GET", "/integrations/stripe/{connection_id}"),
    ("POST", "/connection"),  # which one is in view, in this browser alone
}
CHANGE = {
    ("POST", "/v1/connections"),
    ("POST", "/v1/connections/{connection_id}/webhook_secrets"),
    ("POST", "/v1/connections/{connection_id}/api_key"),
    ("POST", "/v1/connections/{connection_id}/test_clock"),
    ("POST", "/v1/connections/{connection_id}/check"),
    ("POST", "/v1/connections/{connection_id}/permissions"),
    ("POST", "/v1/connections/{connection_id}/endpoint/review"),
    ("POST", "/v1/connections/{connection_id}/endpoint/repair"),
    ("POST", "/v1/connections/{connection_id}/disconnect"),
    ("PUT", "/v1/event_poll"),
    ("GET", "/integrations/stripe/connect"),
    ("POST", "/integrations/stripe/connect"),
    ("POST", "/integrations/stripe/authorize"),
    ("GET", "/integrations/stripe/callback"),
    ("POST", "/integrations/stripe/{connection_id}/check"),
    ("POST", "/integrations/stripe/{connection_id}/key"),
    ("POST", "/integrations/stripe/{connection_id}/endpoint"),
    ("POST", "/integrations/stripe/{connection_id}/secret"),
    ("POST", "/integrations/stripe/{connection_id}/disconnect"),
}
# What each write would need, so that nothing but the wall refuses it.
BODIES: dict[str, dict[str, object]] = {
    "/v1/connections/{connection_id}/webhook_secrets": {"webhook_secret": "whsec_sample0001"},
    "/v1/connections/{connection_id}/api_key": {"api_key": "rk_test_sample0001"},
    "/v1/connections/{connection_id}/test_clock": {"clock_ahead_s": 60},
    "/integrations/stripe/{connection_id}/key": {"api_key": "rk_test_sample0001"},
    "/integrations/stripe/{connection_id}/secret": {"webhook_secret": "whsec_sample0001"},
}


@dataclass(frozen=True)
class Person:
    """Somebody with an API key and a signed-in browser."""

    http: httpx.AsyncClient
    csrf_token: str

    async def ask(self, method: str, path: str, connection_id: str) -> httpx.Response:
        address = path.replace("{connection_id}", connection_id)
        body = BODIES.get(path, {})
        if method == "GET":
            return await self.http.get(address)
        if path.startswith("/v1/"):
            return await self.http.request(method, address, json=body)
        return await self.http.post(address, data={"csrf_token": self.csrf_token, **body})


async def person(town: Town, app: App, role: str) -> Person:
    now = datetime.now(UTC)
    async with town.database.tenant(town.organization_id) as tx:
        key = await api_keys.create_api_key(tx, town.organization_id, name=role, role=role, actor="system", now=now)
        made = next(row for row in await members(tx, town.organization_id) if row.role == "owner").user_id
        if role == "viewer":
            made = await accounts.create_user(
                tx,
                town.organization_id,
                email=f"{role}@example.com",
                name="",
                role=role,
                password_hash="-",
                actor="system",
                now=now,
            )
        opened_session = await accounts.open_session(tx, town.organization_id, made, replaces_token=None, now=now)
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="http://refref.test",
        headers={"Authorization": f"Bearer {key.secret}"},
        cookies={"refref_session": opened_session.token},
    )
    return Person(http, opened_session.csrf_token)


@asynccontextmanager
async def walls(dsn: str) -> AsyncIterator[tuple[Town, App, str]]:
    """A town with a connection, its app, and the connection's id."""
    async with opened(dsn) as town:
        town.settings = replace(town.settings, base_url="http://refref.test")
        made = await town.connect()
        app = create_app(town.settings, town.database)
        try:
            yield town, app, made.connection_id
        finally:
            await app.close()


async def state_of(town: Town) -> list[object]:
    """All that a write could have changed."""
    queries = ("select * from connection", "select * from connection_secret", "select * from audit_log")
    return [[tuple(row) for row in await town.read(query)] for query in queries]


def test_every_route_of_connections_is_in_the_table() -> None:
    there = {
        (method, path)
        for method, path in PERMISSIONS
        if path.startswith(("/v1/connections", "/v1/event_poll", "/integrations")) or path == "/connection"
    }
    assert there == LOOK | CHANGE


def test_a_viewer_looks_and_changes_nothing(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, connection_id):
            viewer = await person(town, app, "viewer")
            before = await state_of(town)
            for method, path in sorted(LOOK):
                assert (await viewer.ask(method, path, connection_id)).status_code in (200, 303), path
            for method, path in sorted(CHANGE):
                assert (await viewer.ask(method, path, connection_id)).status_code == 403, path
            assert await state_of(town) == before

    asyncio.run(main())


def test_an_administrator_of_another_organization_finds_nothing(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, connection_id):
            stranger = await person(await second_organization(town), app, "admin")
            before = await state_of(town)
            for method, path in sorted(LOOK | CHANGE):
                if "{connection_id}" in path:
                    assert (await stranger.ask(method, path, connection_id)).status_code == 404, path
            assert connection_id not in (await stranger.http.get("/v1/connections")).text
            assert connection_id not in (await stranger.http.get("/integrations")).text
            assert await state_of(town) == before

    asyncio.run(main())


def test_a_form_of_another_site_changes_nothing(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, connection_id):
            owner = await person(town, app, "admin")
            before = await state_of(town)
            for method, path in sorted(CHANGE):
                if method != "POST" or path.startswith("/v1/"):
                    continue
                address = path.replace("{connection_id}", connection_id)
                form = {**BODIES.get(path, {})}
                assert (await owner.http.post(address, data=form)).status_code == 403, path
                foreign = {"origin": "https://elsewhere.example.com"}
                form["csrf_token"] = owner.csrf_token
                assert (await owner.http.post(address, data=form, headers=foreign)).status_code == 403, path
            assert await state_of(town) == before

    asyncio.run(main())
