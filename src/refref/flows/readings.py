"""Readings of Stripe's lists: asking for a backfill, a reconciliation or a statement; stopping one, letting it go on.

The worker reads; what a page does stands in flows/backfill.py, reconcile.py and statements.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from refref.core.history import covered_until
from refref.core.refusals import Refused
from refref.db import audit, event_polls, history, setup
from refref.db.connections import StripeConnection
from refref.db.history import HistoryRun
from refref.db.pool import Connection
from refref.ids import new_id
from refref.stripe.listing import LISTS

COMPARED = timedelta(days=35)  # as long as Stripe keeps events, and the overlap
OVERLAP = timedelta(days=6)
EVENTS_PART = "events"
STATEMENT_PARTS = ("payments", "movements")
_BY_ITSELF = "system"


async def start_backfill(
    tx: Connection, organization_id: str, connection_id: str, *, from_at: datetime | None, actor: str, now: datetime
) -> HistoryRun:
    """Ask for the history of an account, from the beginning or from an instant on.

    Raises Refused: history_running, invalid_span.
    """
    until_at = await _present_of(tx, organization_id, connection_id, now)
    span = (from_at, until_at)
    return await _ask(tx, organization_id, connection_id, "backfill", list(LISTS), span, actor=actor, now=now)


async def start_first_backfill(tx: Connection, made: StripeConnection, now: datetime) -> None:
    """Ask once for the whole history of an account that can be asked from now on. A sandbox told everything from its
    beginning on; its history is read on demand."""
    where = (made.organization_id, made.connection_id)
    if made.api_base is None and not await history.runs(tx, *where, "backfill", limit=1):
        await start_backfill(tx, *where, from_at=None, actor=_BY_ITSELF, now=now)


async def start_reconcile(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    from_at: datetime | None = None,
    until_at: datetime | None = None,
    behind: timedelta = timedelta(),
    actor: str,
    now: datetime,
) -> HistoryRun:
    """Ask for a comparison of Stripe with the books over a span: the last 35 days, or since everything was read last
    where that is longer ago. `behind`: how long before now it ends, unless `until_at` says when.

    Raises Refused: history_running, invalid_span.
    """
    until_at = until_at or await _present_of(tx, organization_id, connection_id, now) - behind
    if from_at is None:
        from_at = until_at - COMPARED
        spans = await history.done_spans(tx, organization_id, connection_id, ("backfill", "reconcile"))
        covered = covered_until(spans)
        if covered is not None:
            from_at = min(from_at, datetime.fromtimestamp(covered, UTC) - OVERLAP)
    parts = [EVENTS_PART, *LISTS]
    span = (from_at, until_at)
    return await _ask(tx, organization_id, connection_id, "reconcile", parts, span, actor=actor, now=now)


async def start_statement(
    tx: Connection, organization_id: str, connection_id: str, *, month: str, actor: str, now: datetime
) -> HistoryRun:
    """Ask for the statement of a calendar month (`2026-03`, UTC), which may be the running one.

    Raises Refused: history_running, invalid_month.
    """
    from_at, until_at = month_span(month)
    if from_at >= await _present_of(tx, organization_id, connection_id, now):
        raise Refused("invalid_month", "This month has not begun yet.", "month")
    span = (from_at, until_at)
    return await _ask(tx, organization_id, connection_id, "statement", STATEMENT_PARTS, span, actor=actor, now=now)


def month_span(month: str) -> tuple[datetime, datetime]:
    """A calendar month as a half-open span. Raises Refused: invalid_month."""
    try:
        begins = datetime.strptime(f"{month}-01 +0000", "%Y-%m-%d %z")
        return begins, (begins + timedelta(days=32)).replace(day=1)
    except (ValueError, OverflowError):
        raise Refused("invalid_month", "Give a month such as 2026-03.", "month") from None


async def cancel_reading(tx: Connection, organization_id: str, run_id: str, *, actor: str, now: datetime) -> HistoryRun:
    """Stop a reading; what it stored stays, and it can go on later. Raises Refused: unknown_reading, history_over."""
    run = await reading_of(tx, organization_id, run_id)
    if not await history.cancel(tx, organization_id, run_id):
        raise Refused("history_over", f"This {run.kind} is over already: {run.status}.", "run_id")
    await _record(tx, run, "cancelled", actor, now)
    return await reading_of(tx, organization_id, run_id)


async def resume_reading(tx: Connection, organization_id: str, run_id: str, *, actor: str, now: datetime) -> HistoryRun:
    """Let a cancelled or failed reading go on where it was. Raises Refused: unknown_reading, history_running."""
    run = await reading_of(tx, organization_id, run_id)
    if not await history.resume(tx, organization_id, run_id):
        raise Refused("history_running", f"This {run.kind} is {run.status}, or another one is running.", "run_id")
    await _record(tx, run, "resumed", actor, now)
    return await reading_of(tx, organization_id, run_id)


async def reading_of(tx: Connection, organization_id: str, run_id: str) -> HistoryRun:
    """The reading of that id. Raises Refused: unknown_reading."""
    run = await history.run_by_id(tx, organization_id, run_id)
    if run is None:
        raise Refused("unknown_reading", "There is no reading with this id.", "run_id")
    return run


async def choose_intake(
    tx: Connection, organization_id: str, connection_id: str, *, is_polling: bool, actor: str, now: datetime
) -> None:
    """Let the events list be a connection's intake (no public address is needed), or look after its webhooks only."""
    await event_polls.set_intake(tx, organization_id, connection_id, is_intake=is_polling)
    details = {"intake": "polling" if is_polling else "webhooks"}
    await audit.record(
        tx, organization_id, at=now, actor=actor, action="connection.intake", subject=connection_id, details=details
    )


async def _ask(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    kind: str,
    parts: Sequence[str],
    span: tuple[datetime | None, datetime],
    *,
    actor: str,
    now: datetime,
) -> HistoryRun:
    from_at, until_at = span
    if from_at is not None and from_at >= until_at:
        raise Refused("invalid_span", "The span must begin before it ends, and before now.", "from_at")
    run_id = new_id("reading")
    made = HistoryRun(organization_id, run_id, connection_id, kind, "waiting", from_at, until_at, actor, now)
    if not await history.insert_run(tx, made, parts):
        raise Refused("history_running", f"A {kind} of this connection is running. Wait for it, or cancel it.")
    if actor != _BY_ITSELF:
        await _record(tx, made, "started", actor, now)
    return made


async def _present_of(tx: Connection, organization_id: str, connection_id: str, now: datetime) -> datetime:
    """The end of the present second by the connection's clock: what is made from then on, events tell."""
    ahead = await setup.clock_ahead_s(tx, organization_id, connection_id)
    return now.replace(microsecond=0) + timedelta(seconds=ahead + 1)


async def _record(tx: Connection, run: HistoryRun, what: str, actor: str, now: datetime) -> None:
    await audit.record(tx, run.organization_id, at=now, actor=actor, action=f"{run.kind}.{what}", subject=run.run_id)
