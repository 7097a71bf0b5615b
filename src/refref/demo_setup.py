"""`python -m refref.demo_setup`: makes the demo's shop in an empty RefRef and connects it to the demo's sandbox.

Run again, it tells connection and sandbox their new addresses. What it made is kept in `demo_account.json` of the data
folder (mode 0600), so that the sign-in stays the same. Prints one line of JSON. Everything in it is plainly sample.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from refref.core.terms import Duration, RewardRule, Terms
from refref.db import connections, organizations, reports
from refref.db.pool import Connection, Database
from refref.flows import accounts, api_keys, participants, programs
from refref.flows import connections as connection_flows
from refref.flows.connections import NewConnection
from refref.passwords import hash_password
from refref.sandbox.sample_cast import PROMOTERS, Promoter
from refref.settings import Settings, load_settings
from refref.stripe.readers import events_to_enable
from refref.vault import Vault

EMAIL = "demo@example.com"
ACTOR = "system"
BEFORE_HISTORY = timedelta(days=450)  # the sandbox's history is younger
METADATA_KEY = "refref_connection_id"
ACCOUNT_FILE = "demo_account.json"


FRIENDS_TERMS = Terms(
    rules=(RewardRule(rule_id="thank-you", on="first", kind="fixed", amounts={"usd": 1500, "eur": 1400, "jpy": 2000}),),
    duration=Duration("payments", 1),
)


def _europe_terms(first_bps: int) -> Terms:
    rules = (
        RewardRule(rule_id="first-sale", on="first", rate_bps=first_bps),
        RewardRule(rule_id="renewals", on="recurring", rate_bps=1_000),
    )
    return Terms(rules=rules, duration=Duration("months", 24), hold_days=14)


# Each program of the sample promoters: its name, what its participants are, and its terms with their age in days. Lists
# show the newest first, so the plainest comes last.
PROGRAMS: dict[str, tuple[str, str, tuple[tuple[int, Terms], ...]]] = {
    "europe": ("Sample Resellers Europe", "affiliate", ((450, _europe_terms(3_000)), (120, _europe_terms(2_500)))),
    "friends": ("Sample Friends", "referrer", ((450, FRIENDS_TERMS),)),
    "affiliates": ("Sample Affiliates", "affiliate", ((450, Terms()),)),
}


class CannotSetUp(Exception):
    """The demo cannot be set up; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where RefRef and the sandbox are, and the key of the sandbox."""

    url: str
    sandbox_url: str
    sandbox_key: str

    def webhook_url(self, connection_id: str) -> str:
        """Where the sandbox delivers its events."""
        return f"{self.url}/stripe/webhooks/{connection_id}"


@dataclass(frozen=True, slots=True)
class Account:
    """What the first run made and later runs print again."""

    organization_id: str
    connection_id: str
    email: str
    password: str
    api_key: str
    webhook_secret: str = ""


class Sandbox:
    """The sandbox's API, as far as the set-up needs it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def call(self, method: str, path: str, **request: Any) -> Any:
        """The JSON answer of one call; raises CannotSetUp with what the sandbox said."""
        try:
            answer = await self._client.request(method, path, **request)
        except httpx.HTTPError as error:
            raise CannotSetUp(f"The sandbox does not answer: {type(error).__name__}.") from error
        if answer.is_error:
            raise CannotSetUp(f"The sandbox refused {method} {path}: {answer.text[:300]}")
        return answer.json()

    async def promotion_code_ids(self) -> dict[str, str]:
        """The id of each promotion code there is, by its code in lower case."""
        listed = await self.call("GET", "/v1/promotion_codes", params={"limit": 100})
        return {row["code"].lower(): row["id"] for row in listed["data"]}

    async def endpoints_of(self, connection_id: str) -> list[str]:
        """The ids of the webhook endpoints that were made for a connection."""
        listed = await self.call("GET", "/v1/webhook_endpoints", params={"limit": 100})
        return [row["id"] for row in listed["data"] if row["metadata"].get(METADATA_KEY) == connection_id]

    async def create_endpoint(self, url: str, connection_id: str) -> dict[str, Any]:
        """A new endpoint; the answer alone carries its signing secret."""
        form: dict[str, Any] = {"url": url, f"metadata[{METADATA_KEY}]": connection_id}
        form |= {f"enabled_events[{number}]": name for number, name in enumerate(events_to_enable())}
        made: dict[str, Any] = await self.call("POST", "/v1/webhook_endpoints", data=form)
        return made


async def set_up(
    settings: Settings, addresses: Addresses, wait_s: float, transport: httpx.AsyncBaseTransport | None = None
) -> dict[str, str]:
    """Make the demo, or bring an old one to its new addresses; returns what is printed."""
    vault = Vault(settings.master_keys)
    database = await Database.open(settings.require_database_url(), max_size=2)
    headers = {"Authorization": f"Bearer {addresses.sandbox_key}"}
    try:
        async with httpx.AsyncClient(
            base_url=addresses.sandbox_url, headers=headers, timeout=30, transport=transport
        ) as client:
            sandbox = Sandbox(client)
            account = await _account(database, vault, sandbox, settings.data_dir, addresses)
            account = await _connect(database, vault, sandbox, settings.data_dir, account, addresses)
            if wait_s > 0:
                await _wait_until_settled(database, sandbox, account, wait_s)
    finally:
        await database.close()
    return {
        "url": addresses.url,
        "email": account.email,
        "password": account.password,
        "api_key": account.api_key,
        "connection_id": account.connection_id,
        "webhook_url": addresses.webhook_url(account.connection_id),
        "webhook_secret": account.webhook_secret,
        "sandbox_url": addresses.sandbox_url,
        "sandbox_key": addresses.sandbox_key,
    }


async def _account(database: Database, vault: Vault, sandbox: Sandbox, data_dir: Path, addresses: Addresses) -> Account:
    """The demo's account: made when RefRef is empty, else the one that is kept."""
    path = data_dir / ACCOUNT_FILE
    async with database.reference() as tx:
        if not await organizations.is_first_run(tx):
            if not path.exists():
                raise CannotSetUp(f"This RefRef holds no demo ({path} is missing). Choose another folder: --data")
            return Account(**json.loads(path.read_text()))
    promotion_codes = await sandbox.promotion_code_ids()
    password = secrets.token_urlsafe(12)
    password_hash = await hash_password(password)
    now = datetime.now(UTC)
    async with database.reference() as tx:
        shop = await accounts.sign_up(
            tx, organization_name="Sample Shop", email=EMAIL, name="Demo", password_hash=password_hash, now=now
        )
        key = await api_keys.create_api_key(tx, shop.organization_id, name="Demo", role="admin", actor=ACTOR, now=now)
        given = NewConnection("Sandbox", api_key=addresses.sandbox_key, api_base=addresses.sandbox_url)
        connection = await connection_flows.create_connection(
            tx, vault, shop.organization_id, given, actor=ACTOR, now=now
        )
        for program in PROGRAMS:
            await _create_program(tx, shop.organization_id, connection.connection_id, program, promotion_codes, now)
        account = Account(shop.organization_id, connection.connection_id, EMAIL, password, key.secret)
        _keep(path, account)  # before the commit: an account without its password would be of no use
    return account


async def _create_program(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    key: str,
    promotion_codes: dict[str, str],
    now: datetime,
) -> None:
    """One program with every version of its terms and all its participants."""
    name, kind, versions = PROGRAMS[key]
    program, _ = await programs.create_program(
        tx,
        organization_id,
        connection_id=connection_id,
        name=name,
        terms=versions[0][1],
        effective_at=now - timedelta(days=versions[0][0]),
        actor=ACTOR,
        now=now,
    )
    for days, terms in versions[1:]:
        await programs.publish_terms(
            tx,
            organization_id,
            program.program_id,
            terms=terms,
            effective_at=now - timedelta(days=days),
            actor=ACTOR,
            now=now,
        )
    for promoter in PROMOTERS:
        if promoter.program == key:
            await _create_participant(tx, organization_id, program.program_id, kind, promoter, promotion_codes, now)


async def _create_participant(
    tx: Connection,
    organization_id: str,
    program_id: str,
    kind: str,
    promoter: Promoter,
    promotion_codes: dict[str, str],
    now: datetime,
) -> None:
    since = now - BEFORE_HISTORY
    made, _ = await participants.create_participant(
        tx,
        organization_id,
        program_id=program_id,
        kind=kind,
        name=promoter.name,
        email=promoter.email,
        refcode=promoter.refcode,
        created_at=since,
        actor=ACTOR,
        now=now,
    )
    known = promotion_codes.get((promoter.promotion_code or "").lower())
    if known is not None:
        await participants.add_code(
            tx,
            organization_id,
            made.participant_id,
            code_kind="promotion_code",
            code=known,
            created_at=since,
            actor=ACTOR,
            now=now,
        )


async def _connect(
    database: Database, vault: Vault, sandbox: Sandbox, data_dir: Path, account: Account, addresses: Addresses
) -> Account:
    """Make connection and sandbox know each other; a new endpoint gets the whole history delivered."""
    now = datetime.now(UTC)
    async with database.tenant(account.organization_id) as tx:
        await connection_flows.move_sandbox(
            tx, account.organization_id, account.connection_id, addresses.sandbox_url, actor=ACTOR, now=now
        )
        known = await connections.valid_secrets(tx, account.organization_id, account.connection_id, "webhook", now)
    webhook_url = addresses.webhook_url(account.connection_id)
    endpoints = await sandbox.endpoints_of(account.connection_id)
    if known and endpoints:
        for endpoint in endpoints:
            await sandbox.call("POST", f"/v1/webhook_endpoints/{endpoint}", data={"url": webhook_url})
        return account
    for endpoint in endpoints:  # of a run that ended before it could keep the secret
        await sandbox.call("DELETE", f"/v1/webhook_endpoints/{endpoint}")
    made = await sandbox.create_endpoint(webhook_url, account.connection_id)
    async with database.tenant(account.organization_id) as tx:
        await connection_flows.add_webhook_secret(
            tx,
            vault,
            account.organization_id,
            account.connection_id,
            webhook_secret=made["secret"],
            actor=ACTOR,
            now=now,
        )
    account = Account(**{**_fields(account), "webhook_secret": made["secret"]})
    _keep(data_dir / ACCOUNT_FILE, account)
    await sandbox.call("POST", "/_sandbox/deliver_all", json={"endpoint": made["id"]})
    return account


async def _wait_until_settled(database: Database, sandbox: Sandbox, account: Account, wait_s: float) -> None:
    """Wait until every delivery was made and settled, at most `wait_s` seconds (a worker must run)."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while loop.time() < deadline:
        state = await sandbox.call("GET", "/_sandbox/state")
        async with database.tenant(account.organization_id) as tx:
            overview = await reports.overview_totals(
                tx, account.organization_id, account.connection_id, datetime.now(UTC)
            )
        if state["deliveries"]["waiting"] == 0 and overview.events_pending == 0:
            return
        await asyncio.sleep(0.1)


def _fields(account: Account) -> dict[str, str]:
    return {name: getattr(account, name) for name in Account.__slots__}


def _keep(path: Path, account: Account) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(_fields(account), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the demo up and print its JSON line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m refref.demo_setup", description="Set up the demo's shop.")
    parser.add_argument("--url", "--base-url", required=True, help="where browsers and the sandbox reach RefRef")
    parser.add_argument("--sandbox-url", required=True)
    parser.add_argument("--sandbox-key", required=True, help="an API key that the sandbox accepts")
    parser.add_argument("--wait", type=float, default=0.0, help="seconds to wait until the history is settled (0)")
    given = parser.parse_args(arguments)
    addresses = Addresses(given.url.rstrip("/"), given.sandbox_url.rstrip("/"), given.sandbox_key)
    try:
        printed = asyncio.run(set_up(load_settings(), addresses, given.wait))
    except CannotSetUp as reason:
        print(f"refref: {reason}", file=sys.stderr)
        return 1
    print(json.dumps(printed), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
