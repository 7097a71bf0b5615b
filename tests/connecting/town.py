"""A sandbox of Stripe on a port, a RefRef on another that its deliveries reach, and the desk to connect them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from refref.connecting.access import Acting, Desk
from refref.connecting.keys import connect_with_key
from refref.db.connections import StripeConnection, connection_by_id
from refref.db.pool import Database
from refref.flows import accounts
from refref.flows.connections import NewConnection
from refref.sandbox import Sandbox
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.wire import create_app as sandbox_app
from refref.settings import MasterKey, Settings, StripePlatform
from refref.vault import Vault
from refref.web.app import create_app
from serving import quiet_server, serve

OWNER = "owner@example.com"
# What docs/connecting.md tells to give a key, in the sandbox's words.
READS = {
    "accounts_kyc_basic": "read",
    "balance_transaction_source": "read",
    "charge": "read",
    "checkout_session": "read",
    "coupon": "read",
    "credit_note": "read",
    "customer": "read",
    "dispute": "read",
    "event": "read",
    "invoice": "read",
    "payment_intent": "read",
    "plan": "read",
    "product": "read",
    "promotion_code": "read",
    "subscription": "read",
}
ENOUGH = {**READS, "webhook": "write"}


@dataclass
class Town:
    """Everything a test of connecting needs."""

    sb: Sandbox
    stripe_url: str
    database: Database
    settings: Settings
    organization_id: str
    user_id: str
    base_url: str

    @property
    def vault(self) -> Vault:
        return Vault(self.settings.master_keys, self.settings.platforms)

    @property
    def desk(self) -> Desk:
        return Desk(self.database, self.vault, self.base_url)

    @property
    def acting(self) -> Acting:
        return Acting(self.organization_id, "system", datetime.now(UTC))

    def key(self, permissions: dict[str, Any] | None = ENOUGH) -> str:
        return str(self.sb.create_key(permissions)["key"])

    async def connect(self, api_key: str | None = None, name: str = "Shop") -> StripeConnection:
        given = NewConnection(name=name, api_key=api_key or self.key(), api_base=self.stripe_url)
        return (await connect_with_key(self.desk, self.acting, given))[0]

    async def read(self, query: str, *values: Any) -> list[Any]:
        async with self.database.tenant(self.organization_id) as tx:
            return list(await tx.fetch(query, *values))

    async def connection(self, connection_id: str) -> StripeConnection:
        async with self.database.tenant(self.organization_id) as tx:
            found = await connection_by_id(tx, self.organization_id, connection_id)
        assert found is not None
        return found

    async def open_codes(self, connection_id: str) -> set[str]:
        rows = await self.read(
            "select code from connection_problem where connection_id = $1 and ended_at is null", connection_id
        )
        return {row["code"] for row in rows}


def settings_for(dsn: str, **changes: Any) -> Settings:
    made = Settings(
        database_url=dsn,
        data_dir=Path("/nonexistent"),
        host="127.0.0.1",
        port=8787,
        base_url="http://127.0.0.1:8787",
        master_keys=(MasterKey("k1", bytes(range(32))),),
        log_level="error",
    )
    return replace(made, **changes)


def platform_of(sb: Sandbox, url: str, base_url: str) -> StripePlatform:
    """The sandbox's own account as a platform, with an application that comes back to this RefRef."""
    client_id = sb.register_application([f"{base_url}/integrations/stripe/callback"])["id"]
    return StripePlatform("test", client_id, "sk_test_sandbox", ("whsec_platform_sample",), url)


@contextlib.asynccontextmanager
async def served(settings: Settings, database: Database) -> AsyncIterator[str]:
    """A web process of RefRef on a loopback port, with connections of its own to the same database."""
    own = await Database.open(database.dsn, max_size=6)
    app = create_app(settings, own)
    try:
        async with quiet_server(app) as url:
            yield url
    finally:
        await app.close()
        await own.close()


@contextlib.asynccontextmanager
async def delivering(sb: Sandbox) -> AsyncIterator[Deliveries]:
    """The sandbox's webhooks are delivered while the block runs, and all are settled at its end."""
    async with httpx.AsyncClient(timeout=20) as client:

        async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
            return (await client.post(url, content=body, headers=dict(headers))).status_code

        deliveries = Deliveries(sb, post, first_wait_seconds=0.05)
        running = asyncio.create_task(deliveries.run())
        try:
            yield deliveries
            await deliveries.drained()
        finally:
            running.cancel()
            sb.listeners.remove(deliveries.enqueue)


@contextlib.contextmanager
def stripe_on_a_port(sb: Sandbox) -> Iterator[str]:
    url, stop = serve(sandbox_app(sb))
    try:
        yield url
    finally:
        stop()


@contextlib.asynccontextmanager
async def opened(dsn: str, *, is_platform: bool = False, **changes: Any) -> AsyncIterator[Town]:
    sb = Sandbox(clock_start="2026-01-31T00:00:00Z", seed=7)
    with stripe_on_a_port(sb) as url:
        settings = settings_for(dsn, **changes)
        if is_platform:
            settings = replace(settings, platforms=(platform_of(sb, url, settings.base_url),))
        database = await Database.open(dsn, max_size=8)
        async with database.reference() as tx:
            made = await accounts.sign_up(
                tx,
                organization_name="Sample Shop",
                email=OWNER,
                name="Owner",
                password_hash="-",
                now=datetime.now(UTC),
                is_allowed=True,
            )
        try:
            yield Town(sb, url, database, settings, made.organization_id, made.user_id, settings.base_url)
        finally:
            await database.close()


def in_town(dsn: str, story: Callable[[Town], Awaitable[None]], **options: Any) -> None:
    """Run a story in a town of its own."""

    async def main() -> None:
        async with opened(dsn, **options) as town:
            await story(town)

    asyncio.run(main())
