"""Works on readings of Stripe's lists (backfills, reconciliations, statements): network outside any transaction, each
page with its cursor in one. A killed worker's reading is gone on with by another one after a minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from refref.core.refusals import Refused
from refref.db import connections, history
from refref.db.connections import StripeConnection
from refref.db.failures import UNREACHABLE
from refref.db.history import HistoryPart, HistoryRun
from refref.db.pool import Connection, Database
from refref.flows.backfill import take_page
from refref.flows.connection_health import record_refused_call
from refref.flows.readings import EVENTS_PART, start_reconcile
from refref.flows.reconcile import bounds_of, take_events_page
from refref.flows.statements import take_movements_page, take_payments_page
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.listing import (
    BALANCE_TRANSACTIONS,
    EVENTS,
    LISTS,
    ListReader,
    Page,
    StripeList,
    created_of,
    wholly,
)
from refref.vault import Vault
from refref.worker.gateways import NO_KEY, gateway_of
from refref.worker.pace import Pace

TURN_S = 20.0  # then another connection's reading has its turn
NIGHT_S = 24 * 3600
NIGHTLY_BEHIND = timedelta(minutes=10)  # what is younger may still be on its way, and would be called missing
_LONGEST_PAUSE_S = 3600
_MOST_FAULTS = 8  # of our own, in a row
_WAITS = (FailureClass.AUTH, FailureClass.PERMISSION)  # for a person, who gives another key

log = structlog.get_logger("refref.history")


class Stopped(Exception):
    """Somebody cancelled the reading, or another worker took it over."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one turn of a reading works with; `now` is the present second by the connection's clock."""

    database: Database
    run: HistoryRun
    connection: StripeConnection
    reader: ListReader
    now: Callable[[], int]
    ends_at: float

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page with the instant at which it was asked for, by Stripe's clock."""

    page: Page
    seen_at: int


async def read_history_due(database: Database, vault: Vault, now: Callable[[], int], pace: Pace) -> int:
    """Work a while on each reading that is due; returns on how many."""
    async with database.plain() as connection:
        due = await history.due(connection)
    worked = 0
    for organization_id, run_id in due:
        worked += await work_on(database, vault, organization_id, run_id, now, pace)
    return worked


async def reconcile_due(database: Database, now: Callable[[], int]) -> int:
    """Ask for the nightly comparison of each connection where it is due; returns how many were asked for."""
    async with database.plain() as connection:
        due = await history.reconciliations_due(connection, NIGHT_S)
    asked = 0
    for organization_id, connection_id in due:
        ids = (organization_id, connection_id)
        at = datetime.fromtimestamp(now(), UTC)
        try:
            async with database.tenant(organization_id) as tx:
                await start_reconcile(tx, *ids, behind=NIGHTLY_BEHIND, actor="system", now=at)
            asked += 1
        except Refused as refused:  # one of an earlier night still waits: for a key, or for Stripe
            log.warning("no nightly comparison", connection_id=connection_id, reason=refused.code)
    return asked


async def work_on(
    database: Database,
    vault: Vault,
    organization_id: str,
    run_id: str,
    now: Callable[[], int],
    pace: Pace,
    *,
    turn_s: float = TURN_S,
) -> bool:
    """Take a reading that is due and go on with it for a turn; False where somebody else has it."""
    async with database.tenant(organization_id) as tx:
        run = await history.take(tx, organization_id, run_id)
        if run is None:
            return False
        connection = await connections.connection_by_id(tx, organization_id, run.connection_id)
        gateway = await gateway_of(tx, vault, organization_id, run.connection_id)
        if connection is None or gateway is None:
            await history.postpone(tx, run, NO_KEY, _LONGEST_PAUSE_S)
            return True
    ahead = connection.clock_ahead_s
    reader = pace.reader_of(gateway, connection)
    turn = _Turn(database, run, connection, reader, lambda: now() + ahead, time.monotonic() + turn_s)
    try:
        is_done = await _read_lists(turn)
        async with database.tenant(organization_id) as tx:
            await (history.finish(tx, run) if is_done else history.release(tx, run))
    except Stopped:
        log.info("reading stopped", run_id=run_id)
    except StripeFailure as failure:
        await _refused(turn, failure)
    except UNREACHABLE:
        raise
    except Exception as error:  # the worker loop's edge: a fault is stored with the reading, and the others go on
        log.exception("a reading failed", run_id=run_id)
        await _failed(database, run, f"{type(error).__name__}: {error}")
    finally:
        await gateway.close()
    return True


async def _refused(turn: _Turn, failure: StripeFailure) -> None:
    """A reading that Stripe refused waits: for Stripe, or for a person who gives a key. Any other refusal ends it."""
    run = turn.run
    log.warning("a reading was refused", run_id=run.run_id, failure=failure.failure.value)
    async with turn.database.tenant(run.organization_id) as tx:
        if failure.failure is FailureClass.AUTH:  # the watch asks at once what that means for the connection
            await record_refused_call(tx, turn.connection, failure.failure, "history", now=datetime.now(UTC))
        if failure.policy.is_repeatable:
            pause_s = max(_pause_s(run), failure.retry_after_s or 0)
            await history.postpone(tx, run, str(failure), pause_s)
        elif failure.failure in _WAITS:
            await history.postpone(tx, run, str(failure), _LONGEST_PAUSE_S)
        else:
            await history.fail(tx, run, str(failure))


async def _failed(database: Database, run: HistoryRun, sentence: str) -> None:
    async with database.tenant(run.organization_id) as tx:
        if run.attempts + 1 < _MOST_FAULTS:
            await history.postpone(tx, run, sentence, _pause_s(run))
        else:
            await history.fail(tx, run, sentence)


def _pause_s(run: HistoryRun) -> int:
    return min(30 << min(run.attempts, 10), _LONGEST_PAUSE_S)


async def _read_lists(turn: _Turn) -> bool:
    """Read on until the turn is over; True when every list is read."""
    async with turn.database.tenant(turn.run.organization_id) as tx:
        parts = await history.parts_of(tx, turn.run.organization_id, turn.run.run_id)
    for part in parts:
        if part.is_done:
            continue
        if turn.is_over:
            return False
        if part.part == "payments":
            is_done = await _state_payments(turn, part)
        else:
            is_done = await _read_list(turn, part)
        if not is_done:
            return False
    return True


async def _state_payments(turn: _Turn, part: HistoryPart) -> bool:
    cursor, is_first = part.cursor_id, True
    while cursor or is_first:
        if turn.is_over:
            return False
        is_first = False
        async with turn.database.tenant(turn.run.organization_id) as tx:
            await _hold(tx, turn.run)
            cursor = await take_payments_page(tx, turn.run, cursor)
    return True


async def _read_list(turn: _Turn, part: HistoryPart) -> bool:
    try:
        return await _read_pages(turn, part)
    except StripeFailure as failure:
        return await _left_out(turn, part, failure)


async def _read_pages(turn: _Turn, part: HistoryPart) -> bool:
    """Read one list on from its cursor, asking for the next page while one is stored. True at its end."""
    what = _list_of(turn.run.kind, part.part)
    asked = await _ask(turn, part, what, part.cursor_id)
    if part.newest_at is None:
        await _note_span(turn, part, what, asked.page)
    while True:
        next_id = asked.page.next_id
        coming = asyncio.create_task(_ask(turn, part, what, next_id)) if next_id and not turn.is_over else None
        try:
            async with turn.database.tenant(turn.run.organization_id) as tx:
                await _hold(tx, turn.run)
                await _take(tx, turn, part.part, asked)
        except BaseException:
            if coming is not None:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            raise
        if coming is None:
            return not next_id
        asked = await coming


async def _ask(turn: _Turn, part: HistoryPart, what: StripeList, after: str) -> _Asked:
    seen_at = turn.now()
    from_at, until_at = bounds_of(turn.run, part.part, seen_at)
    if not after and part.reached_at is not None:  # the object of the cursor is gone: on from its second
        until_at = min(until_at, part.reached_at + 1)
    return _Asked(await turn.reader.page(what, from_at=from_at, until_at=until_at, after=after), seen_at)


async def _take(tx: Connection, turn: _Turn, part: str, asked: _Asked) -> None:
    rows, next_id = asked.page.rows, asked.page.next_id
    if part == EVENTS_PART:
        await take_events_page(tx, turn.run, turn.connection, rows, next_id)
    elif part == "movements":
        await take_movements_page(tx, turn.run, rows, next_id)
    else:
        await take_page(tx, turn.run, part, rows, seen_at=asked.seen_at, cursor_id=next_id)


async def _note_span(turn: _Turn, part: HistoryPart, what: StripeList, first: Page) -> None:
    """Find out which time the list covers, unless one page holds all of it."""
    if not first.next_id:
        return
    newest_at = created_of(first.rows[0])
    from_at, _ = bounds_of(turn.run, part.part, turn.now())
    oldest_at = await turn.reader.oldest_at(what, from_at, newest_at)
    async with turn.database.tenant(turn.run.organization_id) as tx:
        await history.note_span(tx, turn.run, part.part, newest_at, oldest_at)


async def _left_out(turn: _Turn, part: HistoryPart, failure: StripeFailure) -> bool:
    """A list that the key may not read is left out. Where Stripe no longer has the object of the cursor, the list is
    read on from that object's second."""
    async with turn.database.tenant(turn.run.organization_id) as tx:
        await _hold(tx, turn.run)
        if failure.failure is FailureClass.PERMISSION:
            await history.skip(tx, turn.run, part.part, failure.message)
            return True
        is_lost = failure.failure is FailureClass.NOT_FOUND
        if is_lost and await history.forget_cursor(tx, turn.run, part.part):
            return False
    raise failure


async def _hold(tx: Connection, run: HistoryRun) -> None:
    if not await history.hold(tx, run):
        raise Stopped


def _list_of(kind: str, part: str) -> StripeList:
    if part == EVENTS_PART:
        return EVENTS
    if part == "movements":
        return BALANCE_TRANSACTIONS
    return wholly(LISTS[part]) if kind == "backfill" else LISTS[part]
