"""Stripe's own command-line tool drives the sandbox: what it triggers must arrive in RefRef, signed and stored.

The tool (pinned in requirements/stripe-cli) brings its own sequences of calls. Each trigger runs against a sandbox of
its own, whose deliveries go to RefRef's real intake; what cannot pass stands in `CANNOT` with its reason.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from judges.triggers import CANNOT, OLDER, OTHER_NAMES, TRIGGERS
from refref.flows.connections import NewConnection, create_connection
from refref.ids import new_id
from refref.sandbox import Sandbox, witness
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.store import Doc
from refref.sandbox.wire import create_app
from refref.sandbox.witness import Exchange
from serving import quiet_server
from stories.conftest import fresh_database
from stories.world import EPOCH, World

TOOL = Path(sys.prefix) / "stripe-cli/node_modules/@stripe/cli-linux-x64/bin/stripe"
# The sequences are older than the newest version of the API: they still name methods of payment at checkout.
API_VERSION = "2026-05-27.dahlia"
KEY = "sk_test_trigger0123456789"
AT_ONCE = 3


@dataclass(frozen=True)
class Outcome:
    """How a trigger ended: the tool's word, and the types that are stored in RefRef's `stripe_event`."""

    code: int
    said: str
    stored: frozenset[str]


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if not TOOL.exists():
        pytest.skip("Stripe's command-line tool is not here (./run test installs it where npm is)")
    return [str(TOOL), "--config", str(tmp_path_factory.mktemp("cli") / "config.toml")]


@pytest.fixture(scope="module")
def outcomes(tool: list[str], server_dsn: str, migrated_template: str) -> Iterator[Mapping[str, Outcome]]:
    """Every trigger, run once, a few at a time."""
    with fresh_database(server_dsn, migrated_template) as dsn:
        world = World(dsn)
        try:
            yield world.run(_run_all(world, tool))
        finally:
            world.close()


async def _run_all(world: World, tool: list[str]) -> dict[str, Outcome]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Outcome:
        async with free:
            return await _run(world, tool, name)

    return dict(zip(TRIGGERS, await asyncio.gather(*map(one, TRIGGERS)), strict=True))


async def _run(world: World, tool: list[str], name: str) -> Outcome:
    sb = Sandbox(api_version=OLDER.get(name, API_VERSION), seed=TRIGGERS.index(name))
    organization_id = await _connected(world, sb)
    _in_business(sb)
    onboards = partial(_onboards, sb)
    witness.exchanges.append(onboards)
    transport = httpx.ASGITransport(world.intake)  # type: ignore[arg-type]  # the types of two ASGI libraries
    async with httpx.AsyncClient(transport=transport) as client, quiet_server(create_app(sb)) as url:

        async def post(to: str, body: bytes, headers: Mapping[str, str]) -> int:
            return (await client.post(to, content=body, headers=dict(headers))).status_code

        deliveries = Deliveries(sb, post)
        running = asyncio.create_task(deliveries.run())
        code, said = await _tell(tool, url, name)
        _settles(sb, succeeded=name.endswith("succeeded"))
        for days in (15, 60):
            if OTHER_NAMES.get(name, name) not in {event["type"] for event in _events(sb)}:
                sb.advance_by(days=days)  # what happens later by itself: a trial that ends, funds that are available
        await deliveries.drained()
        running.cancel()
    witness.exchanges.remove(onboards)
    async with world.database.tenant(organization_id) as tx:
        rows = await tx.fetch("select distinct type from stripe_event")
    return Outcome(code, said, frozenset(row["type"] for row in rows))


async def _connected(world: World, sb: Sandbox) -> str:
    """An organization with two connections: for the account's events and for those of accounts connected to it."""
    organization_id = new_id("organization")
    async with world.database.reference() as tx:
        await tx.execute("insert into organization values ($1, 'Triggers')", organization_id)
    for connect in (False, True):
        endpoint = sb.create_webhook_endpoint(
            "http://refref.test/stripe/webhooks/later", enabled_events=["*", "balance.available"], connect=connect
        )
        secret, name = endpoint["secret"], f"Triggers {connect}"
        given = NewConnection(name=name, mode="test", webhook_secret=secret, api_key=None, api_base=None)
        async with world.database.tenant(organization_id) as tx:
            made = await create_connection(tx, world.vault, organization_id, given, actor="system", now=EPOCH)
        sb.update_webhook_endpoint(endpoint["id"], {"url": f"http://refref.test/stripe/webhooks/{made.connection_id}"})
    return organization_id


def _in_business(sb: Sandbox) -> None:
    """The tool expects a merchant who has money and a bank account."""
    sb.create_payment_intent(1_000_000, "usd", card="bypass_pending")
    sb.add_external_account({"currency": "usd"})


def _settles(sb: Sandbox, *, succeeded: bool) -> None:
    """The bank answers for a debit."""
    for session in sb.all("checkout.session"):
        if session["status"] == "complete" and session["payment_status"] == "unpaid":
            sb.settle_session(session["id"], succeeded=succeeded)


def _events(sb: Sandbox) -> list[Doc]:
    return [event for account in sb.accounts.members for event in account.events]


def _onboards(sb: Sandbox, seen: Exchange) -> None:
    """The partner who hands in everything while the tool goes on: it never waits for one."""
    if (seen.method, seen.path, seen.status) == ("POST", "/v1/accounts", 200) and sb.accounts.has(seen.body["id"]):
        sb.set_capability(seen.body["id"], "transfers", "active")


async def _tell(tool: list[str], url: str, name: str) -> tuple[int, str]:
    home = str(Path(tool[-1]).parent)
    quiet = {"PATH": os.environ["PATH"], "HOME": home, "XDG_CONFIG_HOME": home, "STRIPE_CLI_TELEMETRY_OPTOUT": "1"}
    arguments = ["trigger", name, "--api-key", KEY, "--api-base", url]
    process = await asyncio.create_subprocess_exec(
        *tool, *arguments, env=quiet, stdin=asyncio.subprocess.DEVNULL, stdout=-1, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@pytest.mark.parametrize("name", [name for name in TRIGGERS if name not in CANNOT])
def test_a_trigger_arrives_in_refref(outcomes: Mapping[str, Outcome], name: str) -> None:
    done = outcomes[name]
    assert done.code == 0, done.said
    assert OTHER_NAMES.get(name, name) in done.stored, (done.said, sorted(done.stored))


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_pass_does_not(outcomes: Mapping[str, Outcome], name: str) -> None:
    done = outcomes[name]
    passes = done.code == 0 and OTHER_NAMES.get(name, name) in done.stored
    assert not passes, f"{name} passes: take it out of the table of those that cannot"
    assert len(CANNOT[name]) > 20


def test_the_table_names_every_trigger_of_the_tool(tool: list[str]) -> None:
    said = subprocess.run([*tool, "trigger", "--help"], capture_output=True, text=True, check=True).stdout
    known = re.findall(r"^  ([a-z_0-9]+(?:\.[a-z_0-9]+)+)$", said, re.MULTILINE)
    assert sorted(TRIGGERS) == sorted(known)
    assert set(CANNOT) | set(OTHER_NAMES) <= set(known)
    assert len(set(known) - set(CANNOT)) >= 40


def test_the_documentation_lists_what_cannot_pass() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    assert {name for name in CANNOT if f"`{name}`" not in page} == set()
