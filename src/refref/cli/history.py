"""refref backfill, reconcile, statement, intake: history from Stripe's lists, and whether webhooks are the intake.

A command reads in the foreground; ended, its reading waits for the worker or the next command.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import (
    ACTOR,
    AsJson,
    ConnectionId,
    Installation,
    Organization,
    fail,
    given_instant,
    run,
    show,
    table,
)

if TYPE_CHECKING:
    from refref.db.event_polls import EventPoll
    from refref.db.history import Gap, HistoryRun
    from refref.db.pool import Connection
    from refref.db.reports.readings import ReadingView, Statement

From = Annotated[str | None, typer.Option("--from", help="From this instant on, such as 2026-01-31.")]
Worker = Annotated[bool, typer.Option("--worker", help="Only ask for it: the worker reads.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("backfill")(backfill)
    app.command("reconcile")(reconcile)
    app.command("statement")(statement)
    app.command("intake")(intake)


def backfill(
    from_at: From = None,
    status: Annotated[bool, typer.Option("--status", help="Tell how far the newest one is.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the newest one; what it stored stays.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest one where it was.")] = False,
    by_worker: Worker = False,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Read the history of the Stripe account: customers, subscriptions, invoices, sessions, charges, what went back."""
    from refref.flows.readings import cancel_reading, resume_reading, start_backfill

    begins = given_instant(from_at)

    async def work(here: Installation) -> ReadingView:
        async with here.books(organization, connection) as (tx, own):
            if not (status or cancel or resume):
                made = await start_backfill(tx, *own, from_at=begins, actor=ACTOR, now=here.now)
            else:
                made = await _newest(tx, *own, "backfill")
                if cancel:
                    await cancel_reading(tx, made.organization_id, made.run_id, actor=ACTOR, now=here.now)
                elif resume and not made.is_open:
                    await resume_reading(tx, made.organization_id, made.run_id, actor=ACTOR, now=here.now)
        return await (_look(here, made) if by_worker or status or cancel else _read(here, made))

    _tell(run(work), as_json=as_json)


def reconcile(
    from_at: From = None,
    until_at: Annotated[str | None, typer.Option("--until", help="Until this instant; now if left out.")] = None,
    by_worker: Worker = False,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Compare what Stripe has with the books, repair what is missing, and tell. The default is the last 35 days."""
    from refref.flows.readings import start_reconcile

    begins, ends = given_instant(from_at), given_instant(until_at)

    async def work(here: Installation) -> tuple[ReadingView, list[Gap]]:
        from refref.db.history import gaps_of

        async with here.books(organization, connection) as (tx, own):
            made = await start_reconcile(tx, *own, from_at=begins, until_at=ends, actor=ACTOR, now=here.now)
        view = await (_look(here, made) if by_worker else _read(here, made))
        async with here.database.tenant(made.organization_id) as tx:
            return view, await gaps_of(tx, made.organization_id, made.run_id)

    view, gaps = run(work)
    _tell(view, gaps, as_json=as_json)


def statement(
    month: Annotated[str, typer.Argument(help="The calendar month, such as 2026-03 (UTC).")],
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Put every payment of a month in one class, and explain each movement of Stripe's balance by a payment."""
    from refref.flows.readings import start_statement

    async def work(here: Installation) -> Statement:
        from refref.db.reports import readings

        async with here.books(organization, connection) as (tx, own):
            made = await start_statement(tx, *own, month=month, actor=ACTOR, now=here.now)
        await _read(here, made)
        async with here.database.tenant(made.organization_id) as tx:
            found = await readings.statement(tx, made.organization_id, made.run_id, here.now)
        assert found is not None  # it was just made
        return found

    found = run(work)
    show(found, _statement_words(found), as_json=as_json)
    if found.view.run.status != "done":
        fail(found.view.run.error or f"the statement is {found.view.run.status}")


def intake(
    way: Annotated[str | None, typer.Argument(help="polling or webhooks; left out: tell which it is.")] = None,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Choose how events arrive: by webhooks, or by polling the events list where no public address exists."""
    from refref.db import event_polls
    from refref.flows.readings import choose_intake

    if way not in (None, "polling", "webhooks"):
        fail("say polling or webhooks.", code=2)

    async def work(here: Installation) -> EventPoll:
        async with here.books(organization, connection) as (tx, own):
            if way is not None:
                await choose_intake(tx, *own, is_polling=way == "polling", actor=ACTOR, now=here.now)
            return await event_polls.poll_of(tx, *own)

    found = run(work)
    words = "polling the events list" if found.is_intake else "webhooks"
    read = "never yet" if found.checked_at is None else f"{found.checked_at:%Y-%m-%d %H:%M:%S}"
    lines = [f"Events arrive by {words}.", f"The events list was read: {read}; {found.new_count} events were new."]
    show(found, "\n".join([*lines, *([found.error] if found.error else [])]), as_json=as_json)


async def _newest(tx: Connection, organization_id: str, connection_id: str, kind: str) -> HistoryRun:
    from refref.core.refusals import Refused
    from refref.db import history

    found = await history.runs(tx, organization_id, connection_id, kind, limit=1)
    if not found:
        raise Refused("unknown_reading", f"There is no {kind} yet: refref {kind}")
    return found[0]


async def _look(here: Installation, made: HistoryRun) -> ReadingView:
    from datetime import UTC, datetime

    from refref.db.reports import readings

    async with here.database.tenant(made.organization_id) as tx:
        found = await readings.reading_view(tx, made.organization_id, made.run_id, datetime.now(UTC))
    assert found is not None  # it was just made
    return found


async def _read(here: Installation, made: HistoryRun) -> ReadingView:
    """Read in the foreground until the reading is over or waits for something; another worker may be at it too."""
    import asyncio
    import time

    from refref.vault import Vault
    from refref.worker.history import work_on
    from refref.worker.pace import Pace

    vault, pace = Vault(here.settings.master_keys, here.settings.platforms), Pace()

    def now() -> int:
        return int(time.time())

    while True:
        ids = (made.organization_id, made.run_id)
        is_mine = await work_on(here.database, vault, *ids, now, pace, turn_s=1.0)
        view = await _look(here, made)
        if sys.stderr.isatty():
            print(f"\r{_progress(view)}", end="", file=sys.stderr)
        if not view.run.is_open or (is_mine and view.run.error):
            if sys.stderr.isatty():
                print(file=sys.stderr)
            return view
        if not is_mine:
            await asyncio.sleep(1)


def _progress(view: ReadingView) -> str:
    left = "" if view.seconds_left is None else f", about {_span(view.seconds_left)} left"
    return f"{view.done_bps // 100} %: {view.read_count} read, {view.stored_count} new{left}   "


def _span(seconds: int) -> str:
    minutes = (seconds + 59) // 60
    return f"{seconds} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{minutes // 60} h"


def _tell(view: ReadingView, gaps: list[Gap] | None = None, *, as_json: bool) -> None:
    head = "checked" if view.run.kind == "reconcile" else "read"
    rows: list[tuple[object, ...]] = [("list", head, "missing", "stored", "")]
    rows += [(part.part, part.read_count, part.gap_count, part.stored_count, part.skipped or "") for part in view.parts]
    lines = [f"{view.run.kind} {view.run.run_id}: {view.run.status}, {_span(view.duration_s)}", table(rows)]
    lines += [f"  {gap.part} {gap.stripe_id}: {gap.detail}" for gap in (gaps or [])[:20]]
    if view.run.is_open:
        lines.append(_progress(view))
    shown = {"run": view.run, "parts": view.parts, "done_bps": view.done_bps, "seconds_left": view.seconds_left}
    show(shown | ({} if gaps is None else {"gaps": gaps}), "\n".join(lines), as_json=as_json)
    if view.run.error or view.run.status == "failed":
        fail(view.run.error or "the reading failed")


def _statement_words(found: Statement) -> str:
    from refref.core.money import format_amount
    from refref.core.words import percent

    rows: list[tuple[object, ...]] = [("class", "payments", "paid", "refunded", "reason")]
    rows += [
        (
            row.payment_class,
            row.count,
            format_amount(row.paid_minor, row.currency),
            format_amount(row.refunded_minor, row.currency),
            row.reason,
        )
        for row in found.classes
    ]
    lines = [f"Statement of {found.month}", table(rows)]
    for own in found.explained:
        explained = format_amount(own.explained_minor, own.currency)
        moved = format_amount(own.moved_minor, own.currency)
        lines.append(f"Explained money: {percent(own.explained_bps)}, {explained} of {moved} that moved")
    lines += [f"  unexplained: {row.stripe_id} {row.type} {row.source_id}" for row in found.unexplained[:20]]
    return "\n".join([*lines, *_tie_words(found)])


def _tie_words(found: Statement) -> list[str]:
    from refref.core.money import format_amount

    lines = []
    for tie in found.ties:
        paid, outside, charged = (
            format_amount(minor, tie.currency) for minor in (tie.paid_minor, tie.off_stripe_minor, tie.charged_minor)
        )
        lines.append(f"Paid {paid}, of it out of band {outside}, charged {charged}")
        lines.append(
            f"  payments that do not tie: {tie.untied_count}, without a known charge: {tie.unknown_count}, without a"
            f" movement in this month: {tie.unmoved_count}"
        )
    for row in found.untied_payments[:20]:
        expected = format_amount(row.paid_minor - row.off_stripe_minor, row.currency)
        charged = format_amount(row.charged_minor or 0, row.currency)
        lines.append(f"  does not tie: {row.payment_key} paid {expected} through Stripe, charged {charged}")
    for own in found.untied_movements[:20]:
        moved, known = (format_amount(minor, own.currency) for minor in (abs(own.amount_minor), own.known_minor or 0))
        lines.append(f"  does not tie: {own.stripe_id} moved {moved}, by the books {own.source_id} is {known}")
    return lines
