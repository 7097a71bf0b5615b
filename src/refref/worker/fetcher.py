"""Fetches what events left open from Stripe's API, outside any transaction, and settles the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog

from refref.db import connections, needs, setup
from refref.db.failures import UNREACHABLE
from refref.db.needs import OpenNeed
from refref.db.pool import Connection, Database, lock_books
from refref.flows.ask import OPTIONAL, close_what_is_answered
from refref.flows.connection_health import record_refused_call
from refref.flows.connections import require_connection
from refref.flows.settle import Incoming, settle
from refref.stripe.client import StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.listing import LONGEST_PAUSE_S, TokenBucket
from refref.stripe.readers import Need, NeedKind, UnreadableEvent, read_document
from refref.vault import Vault
from refref.worker.gateways import NO_KEY, gateway_of
from refref.worker.pace import Pace

BATCH = 20
_LONG_PAUSE_S = 3600

log = structlog.get_logger("refref.fetcher")


async def fetch_due(database: Database, vault: Vault, now: Callable[[], int], pace: Pace | None = None) -> int:
    """Answer due needs, a batch per connection, at the pace of its lists; returns how many were asked."""
    async with database.plain() as connection:
        due = await needs.connections_with_due_needs(connection)
    asked = 0
    for organization_id, connection_id in due:
        async with database.tenant(organization_id) as tx:
            batch = await needs.due_needs(tx, organization_id, connection_id, BATCH)
            gateway = await gateway_of(tx, vault, organization_id, connection_id)
            known = await connections.connection_by_id(tx, organization_id, connection_id)
            if gateway is None or known is None:
                await needs.update_put_off(tx, organization_id, connection_id, NO_KEY, _LONG_PAUSE_S)
                continue
            bucket = None if pace is None else pace.bucket_of(known)
            asked += len(batch)
            batch = await close_what_is_answered(tx, organization_id, connection_id, batch)
        try:
            answers = await asyncio.gather(*[_fetch(gateway, need, bucket) for need in batch])
        finally:
            await gateway.close()
        for need, answer in zip(batch, answers, strict=True):
            await _settle_answer(database, organization_id, connection_id, need, answer, now())
            if bucket is not None and isinstance(answer, StripeFailure) and answer.retry_after_s:
                bucket.pause(min(answer.retry_after_s, LONGEST_PAUSE_S))
    return asked


async def _settle_answer(
    database: Database,
    organization_id: str,
    connection_id: str,
    need: OpenNeed,
    answer: dict[str, object] | StripeFailure,
    now: int,
) -> None:
    try:
        async with database.tenant(organization_id) as tx:
            await _take(tx, organization_id, connection_id, need, answer, now)
    except UNREACHABLE:
        raise
    except Exception as error:  # the worker loop's edge: the failure is stored with the need, and the others go on
        log.exception("an answer failed", connection_id=connection_id, need=need.kind, stripe_id=need.stripe_id)
        async with database.tenant(organization_id) as tx:
            sentence = f"{type(error).__name__}: {error}"
            await needs.postpone(tx, organization_id, connection_id, need, sentence, _pause_s(need))


def _pause_s(need: OpenNeed) -> int:
    return min(1 << min(need.attempts, 12), _LONG_PAUSE_S)


async def _fetch(
    gateway: StripeGateway, need: OpenNeed, bucket: TokenBucket | None
) -> dict[str, object] | StripeFailure:
    if bucket is not None:
        await bucket.take()
    try:
        return await gateway.fetch(Need(NeedKind(need.kind), need.stripe_id))
    except StripeFailure as failure:
        return failure


async def _take(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    need: OpenNeed,
    answer: dict[str, object] | StripeFailure,
    now: int,
) -> None:
    if isinstance(answer, StripeFailure):
        if answer.failure is FailureClass.NOT_FOUND:
            await needs.answer(tx, organization_id, connection_id, need, None)
            return
        if answer.failure is FailureClass.PERMISSION and need.kind in OPTIONAL:
            await needs.close(tx, organization_id, connection_id, need)
            return
        connection = await require_connection(tx, organization_id, connection_id)
        await record_refused_call(tx, connection, answer.failure, need.kind, now=datetime.now(UTC))
        can_pass = answer.policy.is_repeatable
        pause = max(_pause_s(need), answer.retry_after_s or 0) if can_pass else _LONG_PAUSE_S
        await needs.postpone(tx, organization_id, connection_id, need, str(answer), pause)
        log.warning("stripe did not answer", connection_id=connection_id, need=need.kind, failure=answer.failure.value)
        return
    try:
        facts = read_document(Need(NeedKind(need.kind), need.stripe_id), answer, need.seen_at)
    except UnreadableEvent as refusal:
        await needs.postpone(tx, organization_id, connection_id, need, str(refusal), _LONG_PAUSE_S)
        return
    await lock_books(tx, connection_id)
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    await settle(tx, organization_id, connection_id, [Incoming(facts, None)], there)
    await needs.answer(tx, organization_id, connection_id, need, msgspec.json.encode(answer))
