"""Backfill: what a Stripe account already holds becomes events of our own, page by page, in the inbox like any other.

Only what tells something new is stored, so that reading twice stores nothing twice. Decides no reward: terms do, from
the instant on from which they are in effect. A reconciliation compares objects by the same means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from refref.core.facts import Fact
from refref.core.history import news_of
from refref.db import history, inbox, setup
from refref.db.bodies import compress
from refref.db.history import Gap, HistoryRun
from refref.db.inbox import Arrival
from refref.db.pool import Connection
from refref.stripe.client import API_VERSION
from refref.stripe.listing import LISTS, Row, created_of
from refref.stripe.readers import UnreadableEvent
from refref.stripe.readers.objects import object_event, read_object

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
    known = await history.known_facts(tx, run.organization_id, run.connection_id, _ids_in(wanted, seen_at))
    livemode = await setup.mode_of(tx, run.organization_id, run.connection_id) == "live"
    gaps: list[Gap] = []
    arrivals: list[Arrival] = []
    for row in wanted:
        news = _news(row, seen_at, known)
        if news:
            gaps.append(Gap(part, str(row.get("id")), news))
        if news and not news.startswith("unreadable"):
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
