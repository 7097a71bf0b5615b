"""The inbox pump: claims a batch of one connection and commits facts, rewards, ledger and done mark together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from refref.core.catalog import CatalogItem
from refref.db import catalog, custom_events, facts, inbox
from refref.db.failures import UNREACHABLE
from refref.db.inbox import Claim, Work
from refref.db.needs import OpenNeed
from refref.db.pool import Connection, Database, lock_books
from refref.flows.ask import ask_what_matters, customers_to_ask_for, exchange_rates_to_ask_for
from refref.flows.read_stored import read_stored
from refref.flows.settle import Incoming, settle
from refref.stripe.readers import NeedKind, UnreadableEvent

BATCH = 400  # at most so many events, and as many scopes to judge again, in one turn
FACTS = 2_500  # about so many facts in one: what bounds the memory (some 10 KB each), however long the histories are

log = structlog.get_logger("refref.pump")


@dataclass(frozen=True, slots=True)
class Pumped:
    """What one turn did; `events` 0 means that there was nothing to do."""

    events: int = 0
    entries: int = 0


@dataclass(frozen=True, slots=True)
class Booked:
    """What a batch came to: the entries that it booked, and the facts that it had to hold for that."""

    entries: int
    facts: int


class Turns:
    """What earlier turns tell of a connection: how large the next may be, and up to which event its inbox is done.

    A scope is derived whole, so a batch weighs what is known of its customers: the next takes as many as should hold
    `most_facts`, and the first of a connection a quarter of a batch. Events commit a little out of order and failed
    ones come again, so a floor lies well below the last event done, and all floors are forgotten every second.
    """

    _MARGIN = 4096
    _FORGOTTEN_AFTER_S = 1.0
    _LEAST = 10

    def __init__(self, most_facts: int = FACTS) -> None:
        self._most_facts = most_facts
        self._sizes: dict[str, int] = {}
        self._floors: dict[str, int] = {}
        self._since = time.monotonic()

    def floor_of(self, connection_id: str) -> int:
        """The event to look above."""
        if time.monotonic() - self._since > self._FORGOTTEN_AFTER_S:
            self._floors.clear()
            self._since = time.monotonic()
        return self._floors.get(connection_id, 0)

    def size_of(self, connection_id: str) -> int:
        """How many events, or scopes, the next turn takes at most."""
        return self._sizes.get(connection_id, BATCH // 4)

    def note(self, connection_id: str, batch: Sequence[Work], taken: int, facts_held: int) -> None:
        """Take note of a turn: its events, claimed in order, with the dirty scopes `taken`, and what they weighed."""
        if batch:
            self._floors[connection_id] = max(0, batch[-1].event_seq - self._MARGIN)
        if taken:
            fitting = self._most_facts * taken // max(1, facts_held)
            self._sizes[connection_id] = max(self._LEAST, min(BATCH, fitting))


async def pump_once(database: Database, now: Callable[[], int], turns: Turns | None = None) -> Pumped:
    """Settle one batch of one connection. A batch that fails is done again event by event, so that one bad event
    stops no other; the bad one is tried eight times and then parked. Raises UNREACHABLE errors."""
    claim: Claim | None = None
    batch: list[Work] = []
    turns = turns or Turns()
    try:
        async with database.reference() as tx:
            claim = await inbox.claim_connection(tx)
            if claim is None:
                return Pumped()
            own = claim.organization_id, claim.connection_id
            size = turns.size_of(claim.connection_id)
            batch = await inbox.due_work(tx, *own, size, after_seq=turns.floor_of(claim.connection_id))
            dirty: list[str] = []
            if claim.has_dirty_scopes and len(batch) < size:
                dirty = await facts.take_dirty(tx, *own, size)
            booked = await _settle_batch(tx, claim, batch, dirty, now())
            taken = len(batch) + len(dirty)
            turns.note(claim.connection_id, batch, taken, booked.facts)
            return Pumped(taken, booked.entries)
    except UNREACHABLE:
        raise
    except Exception as error:  # the worker loop's edge: whatever an event did, the others go on
        if claim is None or not batch:
            raise
        log.warning("batch failed, settling one by one", connection_id=claim.connection_id, error=type(error).__name__)
    return Pumped(len(batch), sum([await _settle_alone(database, claim, work, now()) for work in batch]))


async def _settle_batch(tx: Connection, claim: Claim, batch: Sequence[Work], dirty: Sequence[str], now: int) -> Booked:
    organization_id, connection_id = claim.organization_id, claim.connection_id
    incoming: list[Incoming] = []
    needs: list[OpenNeed] = []
    done: list[int] = []
    items: list[CatalogItem] = []
    custom = await custom_events.paths_by_type(tx, organization_id, connection_id) if batch else {}
    for work in batch:
        try:
            reading = read_stored(work.type, work.body, custom)
        except UnreadableEvent as refusal:
            await inbox.fail(
                tx, organization_id, connection_id, work.event_seq, refusal.code, refusal.sentence, is_final=True
            )
            continue
        incoming.append(Incoming(reading.facts, work.event_seq))
        items.extend(reading.catalog)
        done.append(work.event_seq)
        if reading.needs:
            seen_at = max((fact.seen_at for fact in reading.facts), default=now)
            needs.extend([OpenNeed(need.kind.value, need.stripe_id, seen_at) for need in reading.needs])
    settled = await settle(tx, organization_id, connection_id, incoming, now + claim.clock_ahead_s, scope_ids=dirty)
    needs.extend([OpenNeed(NeedKind.SUBSCRIPTION, i, settled.facts[i].seen_at) for i in sorted(settled.ties)])
    needs.extend(customers_to_ask_for(settled.facts))
    needs.extend(await exchange_rates_to_ask_for(tx, organization_id, connection_id, settled.facts))
    await ask_what_matters(tx, organization_id, connection_id, needs, settled.facts)
    await catalog.store_items(tx, organization_id, connection_id, items)
    await inbox.finish(tx, organization_id, connection_id, done)
    return Booked(settled.entries, len(settled.facts))


async def _settle_alone(database: Database, claim: Claim, work: Work, now: int) -> int:
    try:
        async with database.tenant(claim.organization_id) as tx:
            await lock_books(tx, claim.connection_id)
            if not await inbox.is_waiting(tx, claim.organization_id, claim.connection_id, work.event_seq):
                return 0
            return (await _settle_batch(tx, claim, [work], [], now)).entries
    except UNREACHABLE:
        raise
    except Exception as error:  # the worker loop's edge: the failure is stored with the event
        log.exception("event failed", connection_id=claim.connection_id, event_id=work.stripe_event_id)
        async with database.tenant(claim.organization_id) as tx:
            await inbox.fail(
                tx,
                claim.organization_id,
                claim.connection_id,
                work.event_seq,
                "settle_failed",
                f"{type(error).__name__}: {error}",
                is_final=False,
            )
        return 0
