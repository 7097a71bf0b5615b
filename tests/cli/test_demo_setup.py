"""The demo's set-up against the real sandbox, in process: a first run, one elsewhere, one that was cut off."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from refref import demo_setup
from refref.db.pool import Database
from refref.demo_setup import Addresses, CannotSetUp
from refref.sandbox import Sandbox
from refref.sandbox.control import Control, control_routes
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.sample_cast import PROMOTERS
from refref.sandbox.sample_shop import open_shop
from refref.sandbox.wire import create_app as create_sandbox_app
from refref.settings import MasterKey, Settings
from refref.web.app import create_app
from refref.worker.pump import pump_once

KEY = "sk_test_sample000000"
HERE = Addresses("http://127.0.0.1:9001", "http://127.0.0.1:9002", KEY)
ELSEWHERE = Addresses("http://127.0.0.1:9003", "http://127.0.0.1:9004", KEY)


@dataclass
class Demo:
    """A sandbox with two referred sales, and a RefRef that its deliveries reach."""

    settings: Settings
    database: Database
    sandbox: Sandbox
    deliveries: Deliveries
    transport: httpx.ASGITransport

    async def set_up(self, addresses: Addresses) -> dict[str, str]:
        return await demo_setup.set_up(self.settings, addresses, 0, self.transport)

    async def count(self, table: str) -> int:
        async with self.database.reference() as tx:
            organization_id = await tx.fetchval("select organization_id from organization")
        async with self.database.tenant(organization_id) as tx:
            found: int = await tx.fetchval(f"select count(*) from {table}")
        return found


@asynccontextmanager
async def opened_demo(dsn: str, data_dir: Path) -> AsyncIterator[Demo]:
    key = MasterKey("k1", bytes(32))
    settings = Settings(dsn, data_dir, "127.0.0.1", 9001, HERE.url, (key,), "error")
    database = await Database.open(dsn, max_size=4)
    app = create_app(settings, database)
    sandbox = Sandbox(clock_start=int(time.time()) - 300 * 86_400, seed=7)  # the programs begin with the history
    open_shop(sandbox, PROMOTERS)
    for promoter in (PROMOTERS[0], PROMOTERS[-1]):
        sandbox.sell(
            price="price_sample_template_usd", customer_creation="always", client_reference_id=promoter.refcode
        )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as client:

        async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
            return (await client.post(url, content=body, headers=headers)).status_code

        deliveries = Deliveries(sandbox, post)
        running = asyncio.create_task(deliveries.run())
        control = Control(sandbox, deliveries)
        sandbox_app = create_sandbox_app(sandbox, keys=[KEY], extra=control_routes(control, lambda request: True))
        try:
            yield Demo(settings, database, sandbox, deliveries, httpx.ASGITransport(app=sandbox_app))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await app.close()
            await database.close()


def test_the_first_run_makes_a_shop_whose_history_arrives(database: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened_demo(database, tmp_path) as demo:
            printed = await demo.set_up(HERE)
            assert list(printed) == [
                *("url", "email", "password", "api_key", "connection_id", "webhook_url", "webhook_secret"),
                *("sandbox_url", "sandbox_key"),
            ]
            assert printed["webhook_url"] == f"{HERE.url}/stripe/webhooks/{printed['connection_id']}"
            assert (tmp_path / "demo_account.json").stat().st_mode & 0o777 == 0o600
            assert await demo.count("program") == 3
            assert await demo.count("participant") == len(PROMOTERS) == 40
            with_two = sum(1 for promoter in PROMOTERS if promoter.promotion_code)
            assert await demo.count("participant_code") == 40 + with_two
            await demo.deliveries.drained()
            while (await pump_once(demo.database, lambda: demo.sandbox.now)).events:
                pass
            assert await demo.count("reward") == 2

    asyncio.run(main())


def test_a_later_run_prints_the_same_and_moves_to_new_addresses(database: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened_demo(database, tmp_path) as demo:
            first, again, moved = await demo.set_up(HERE), await demo.set_up(HERE), await demo.set_up(ELSEWHERE)
            assert again == first
            same = ("email", "password", "api_key", "connection_id", "webhook_secret")
            assert [moved[name] for name in same] == [first[name] for name in same]
            assert moved["webhook_url"].startswith(ELSEWHERE.url)
            endpoints = demo.sandbox.all("webhook_endpoint")
            assert [endpoint["url"] for endpoint in endpoints] == [moved["webhook_url"]]
            assert await demo.count("connection where api_base = 'http://127.0.0.1:9004'") == 1
            assert await demo.count("connection_secret where kind = 'webhook'") == 1

    asyncio.run(main())


def test_a_run_that_ended_before_it_knew_the_secret_is_completed(database: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened_demo(database, tmp_path) as demo:
            first = await demo.set_up(HERE)
            async with demo.database.reference() as tx:
                organization_id = await tx.fetchval("select organization_id from organization")
            async with demo.database.tenant(organization_id) as tx:
                await tx.execute("delete from connection_secret where kind = 'webhook'")
            second = await demo.set_up(HERE)
            assert second["webhook_secret"] != first["webhook_secret"]
            live = [e for e in demo.sandbox.all("webhook_endpoint") if not e.get("deleted")]
            assert len(live) == 1

    asyncio.run(main())


def test_it_refuses_a_refref_that_is_no_demo_and_a_sandbox_that_refuses(database: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with opened_demo(database, tmp_path) as demo:
            with pytest.raises(CannotSetUp, match="The sandbox refused"):
                await demo.set_up(Addresses(HERE.url, HERE.sandbox_url, "sk_test_another00000"))
            assert await demo.set_up(HERE)
            kept: dict[str, Any] = json.loads((tmp_path / "demo_account.json").read_text())
            assert kept["email"] == "demo@example.com"
            (tmp_path / "demo_account.json").unlink()
            with pytest.raises(CannotSetUp, match="holds no demo"):
                await demo.set_up(HERE)

    asyncio.run(main())
