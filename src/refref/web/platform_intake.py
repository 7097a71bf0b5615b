"""Intake of the platform's Connect endpoints, /stripe/webhooks/platform-test and -live: the account tells whose it is.

A live Connect endpoint hears test events, too, so the event says which mode it is of; one for tests hears no live ones.
An account that nobody has connected gets its events kept aside. Stores as the other intake does; reads nothing of the
object.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from refref.db import connection_health, platform
from refref.db.failures import UNREACHABLE
from refref.db.pool import Database
from refref.flows.arrivals import arrival_of
from refref.flows.connect_oauth import DEAUTHORIZED
from refref.stripe.envelope import EventHead, EventRefused, parse_event_head
from refref.stripe.signature import SignatureRefused, verify
from refref.vault import Vault
from refref.web.group_commit import GroupCommit, NotStored
from refref.web.intake_answers import RECEIVED, UNKNOWN, UNREACHABLE_DATABASE, WRONG_MODE, Answer

PLATFORM_PREFIX = "platform-"
TOLERANCE_S = 300
_FRESH_S = 5.0
_MOST_ACCOUNTS = 10_000

_NOT_STORED: tuple[type[Exception], ...] = (*UNREACHABLE, NotStored)

log = structlog.get_logger("refref.intake")


class PlatformIntake:
    """Takes deliveries of a platform's endpoint. `clock` gives unix seconds."""

    def __init__(self, database: Database, vault: Vault, commits: GroupCommit, clock: Callable[[], float]) -> None:
        self._database = database
        self._vault = vault
        self._commits = commits
        self._clock = clock
        self._owners: dict[tuple[str, str], tuple[float, list[tuple[str, str]]]] = {}

    async def take(self, mode: str, signature: bytes | None, body: bytes) -> Answer:
        """One delivery to the endpoint of a mode: its answer, once it is stored."""
        known = self._vault.platform(mode)
        if known is None:
            return UNKNOWN
        secrets = [secret.encode() for secret in known.webhook_secrets]
        try:
            verify(body, signature, secrets, int(self._clock()), TOLERANCE_S)
            head = parse_event_head(body)
            if head.livemode and mode == "test":  # secrets of test mode are kept with less care than live books need
                return WRONG_MODE
            await self._store(head, body)
        except (SignatureRefused, EventRefused) as refusal:
            return Answer(400, refusal.code, refusal.sentence)
        except _NOT_STORED:
            return UNREACHABLE_DATABASE
        return RECEIVED

    async def _store(self, head: EventHead, body: bytes) -> None:
        account, mode = head.account or "", "live" if head.livemode else "test"
        owners = await self._owners_of(account, mode)
        if not owners:
            async with self._database.reference() as tx:
                owners = await platform.keep_stray_event(tx, arrival_of("", "", head, body, source="webhook"), account)
        if not owners:
            log.warning("event of an account that nobody has connected", type=head.type, mode=mode)
        for organization_id, connection_id in owners:
            await self._commits.store(arrival_of(organization_id, connection_id, head, body, source="webhook"))
            if head.type == DEAUTHORIZED:
                async with self._database.tenant(organization_id) as tx:  # the watch asks Stripe whether it is so
                    await connection_health.update_check_at(tx, organization_id, connection_id, datetime.now(UTC))

    async def _owners_of(self, account: str, mode: str) -> list[tuple[str, str]]:
        loaded_at, owners = self._owners.get((account, mode), (0.0, []))
        if owners and time.monotonic() - loaded_at < _FRESH_S:
            return owners
        async with self._database.plain() as connection:
            owners = await platform.connections_of_account(connection, account, mode)
        if len(self._owners) >= _MOST_ACCOUNTS:
            self._owners.clear()
        self._owners[account, mode] = (time.monotonic(), owners)
        return owners
