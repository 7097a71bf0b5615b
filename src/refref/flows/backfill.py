"""Backfill: what a Stripe account already holds becomes events of our own, page by page, in the inbox like any other.

Only what tells something new is stored, so that reading twice stores nothing twice. Decides no reward: terms do, from
the instant on from which they are in effect. A reconciliation compares objects by the same means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from refref.core.facts import Fact, merge
from refref.core.history import news_of
from refref.db import compared, history, inbox, setup
from refref.db.bodies import compress
from refref.db.history import Gap, HistoryRun
from refref.db.inbox import Arrival
from refref.db.pool import Connection
from refref.flows.read_stored import read_stored
from refref.stripe.client import API_VERSION
from refref.stripe.listing import LISTS, Row, created_of
from refref.stripe.readers import UnreadableEvent
from refref.stripe.readers.objects import object_event, read_object

_PARKED = "an event that tells it is parked: see Events"
_encode = msgspec.json.Encoder().encode


async def take_page(
    tx: Connection, run: HistoryRun, part: str, rows: Sequence[Row], *, seen_at: int, cursor_id: str
) -> int:
    """Store what a page of a list tells and the books do not know, and move the list's cursor past it, together.

    `seen_at`: when the page was asked for, by Stripe's clock, in seconds; `cursor_id` "" at the list's end. Returns how
    many objects are new in the inbox.
    """
    unless = LISTS[part].unless_status
    wanted = [row for row in rows if row.get("status") not in unless]
    known, known_parked = await _known(tx, run, _ids_in(wanted, seen_at))
    livemode = await setup.mode_of(tx, run.organization_id, run.connection_id) == "live"
    gaps: list[Gap] = []
    arrivals: list[Arrival] = []
    for row in wanted:
        news = _news(row, seen_at, known)
        if not news:
            continue
        is_parked = known_parked is not None and not _news(row, seen_at, known_parked)
        gaps.append(Gap(part, str(row.get("id")), _PARKED if is_parked else news))
        if not is_parked and not news.startswith("unreadable"):
            arrivals.append(_arrival(run, row, seen_at, livemode=livemode))
    stored = await inbox.accept(tx, arrivals) if arrivals else 0
    if run.kind == "reconcile":
        await history.note_gaps(tx, run, gaps)
    await history.advance(
        tx,
        run,
        part,
        cursor_id=cursor_id,
        read=len(rows),
        gaps=len(gaps),
        stored=stored,
        reached_at=created_of(rows[-1]) if rows else None,
        is_done=not cursor_id,
    )
    if stored:
        await inbox.wake_pumps(tx)
    return stored


async def _known(
    tx: Connection, run: HistoryRun, stripe_ids: set[str]
) -> tuple[Mapping[str, Fact], Mapping[str, Fact] | None]:
    """What the books know of these objects, and what they knew if parked events were settled (None: there is none). In
    a comparison, events that wait to be settled are known: they are not missing."""
    known = await compared.known_facts(tx, run.organization_id, run.connection_id, stripe_ids)
    if run.kind != "reconcile":
        return known, None
    waiting = await compared.waiting_events(tx, run.organization_id, run.connection_id, stripe_ids)
    for stripe_type, body, is_parked in waiting:
        if not is_parked:
            _add(known, stripe_type, body)
    parked = [(stripe_type, body) for stripe_type, body, is_parked in waiting if is_parked]
    if not parked:
        return known, None
    with_parked = dict(known)
    for stripe_type, body in parked:
        _add(with_parked, stripe_type, body)
    return known, with_parked


def _add(known: dict[str, Fact], stripe_type: str, body: bytes) -> None:
    try:
        facts = read_stored(stripe_type, body, {}).facts
    except UnreadableEvent:
        return
    for fact in facts:
        own = known.get(fact.stripe_id)
        known[fact.stripe_id] = fact if own is None else merge(own, fact)


def _read(row: Row, seen_at: int) -> tuple[Fact, ...]:
    return read_object(row, seen_at).facts


def _ids_in(rows: Sequence[Row], seen_at: int) -> set[str]:
    found: set[str] = set()
    for row in rows:
        try:
            for fact in _read(row, seen_at):
                found.update((fact.stripe_id, *fact.links))
        except UnreadableEvent:
            continue  # told where it is compared
    return found


def _news(row: Row, seen_at: int, known: Mapping[str, Fact]) -> str:
    try:
        facts = _read(row, seen_at)
    except UnreadableEvent as refusal:
        return f"unreadable: {refusal.sentence}"
    return next((news for fact in facts if (news := news_of(known, fact))), "")


def _arrival(run: HistoryRun, row: Row, seen_at: int, *, livemode: bool) -> Arrival:
    event = object_event(row, seen_at, livemode=livemode, api_version=API_VERSION)
    return Arrival(
        organization_id=run.organization_id,
        connection_id=run.connection_id,
        stripe_event_id=event["id"],
        type=event["type"],
        object_id=str(row["id"]),
        api_version=API_VERSION,
        livemode=livemode,
        state="accepted",
        reason=None,
        source="reconcile" if run.kind == "reconcile" else "backfill",
        created_at=seen_at,
        body=compress(_encode(event)),
    )
