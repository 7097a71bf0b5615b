"""Readings of Stripe's lists as people look at them: how far each is, what it found, a statement with its sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.core.history import progress_bps, seconds_left
from refref.core.statement import explained_bps
from refref.db import history, statements
from refref.db.history import HistoryPart, HistoryRun
from refref.db.pool import Connection
from refref.db.statements import ClassSum, MoneySum, Tie

UNEXPLAINED_SHOWN = 50


@dataclass(frozen=True, slots=True)
class ReadingView:
    """A reading with its lists. `done_bps`: in hundredths of a percent; `seconds_left`: about how long it still takes,
    None where nothing can be said; `duration_s`: how long it has taken so far."""

    run: HistoryRun
    parts: tuple[HistoryPart, ...]
    done_bps: int
    seconds_left: int | None
    duration_s: int

    @property
    def read_count(self) -> int:
        return sum(part.read_count for part in self.parts)

    @property
    def gap_count(self) -> int:
        return sum(part.gap_count for part in self.parts)

    @property
    def stored_count(self) -> int:
        return sum(part.stored_count for part in self.parts)


@dataclass(frozen=True, slots=True)
class Explained:
    """How much of the money of payments that moved in a currency is explained, without signs."""

    currency: str
    moved_minor: int
    explained_minor: int
    count: int
    explained_count: int

    @property
    def explained_bps(self) -> int:
        return explained_bps(self.explained_minor, self.moved_minor)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: its payments by class, its movements by type, what of them is explained, and what does not tie."""

    view: ReadingView
    classes: tuple[ClassSum, ...]
    money: tuple[MoneySum, ...]
    explained: tuple[Explained, ...]
    unexplained: tuple[statements.Movement, ...]
    ties: tuple[Tie, ...]
    untied_payments: tuple[statements.StatedPayment, ...]
    untied_movements: tuple[statements.Movement, ...]

    @property
    def month(self) -> str:
        from_at = self.view.run.from_at
        return f"{from_at:%Y-%m}" if from_at else ""


async def reading_view(tx: Connection, organization_id: str, run_id: str, now: datetime) -> ReadingView | None:
    """One reading, `now` by our clock."""
    run = await history.run_by_id(tx, organization_id, run_id)
    return None if run is None else await _view(tx, run, now)


async def readings_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    kind: str,
    now: datetime,
    *,
    before: str | None = None,
    limit: int = 10,
) -> list[ReadingView]:
    """The newest readings of a kind first, those older than the id `before`."""
    found = await history.runs(tx, organization_id, connection_id, kind, before=before, limit=limit)
    return [await _view(tx, run, now) for run in found]


async def statement(tx: Connection, organization_id: str, run_id: str, now: datetime) -> Statement | None:
    """A statement as far as it is made; None where there is none of that id."""
    view = await reading_view(tx, organization_id, run_id, now)
    if view is None or view.run.kind != "statement":
        return None
    money = await statements.money_sums(tx, organization_id, run_id)
    unexplained = await statements.movements(
        tx, organization_id, run_id, only_unexplained=True, limit=UNEXPLAINED_SHOWN
    )
    classes = await statements.class_sums(tx, organization_id, run_id)
    shown = (organization_id, run_id, UNEXPLAINED_SHOWN)
    return Statement(
        view,
        tuple(classes),
        tuple(money),
        explained_of(money),
        tuple(unexplained),
        tuple(await statements.ties(tx, organization_id, run_id)),
        tuple(await statements.untied_payments(tx, *shown)),
        tuple(await statements.untied_movements(tx, *shown)),
    )


def explained_of(money: Sequence[MoneySum]) -> tuple[Explained, ...]:
    """What of the money of payments is explained, by currency."""
    sums: dict[str, list[int]] = {}
    for row in money:
        if row.is_sale:
            own = sums.setdefault(row.currency, [0, 0, 0, 0])
            for place, value in enumerate((row.moved_minor, row.explained_minor, row.count, row.explained_count)):
                own[place] += value
    return tuple(Explained(currency, *own) for currency, own in sorted(sums.items()))


async def _view(tx: Connection, run: HistoryRun, now: datetime) -> ReadingView:
    parts = await history.parts_of(tx, run.organization_id, run.run_id)
    began = run.started_at
    duration_s = 0 if began is None else max(0, int(((run.finished_at or now) - began).total_seconds()))
    done = 10_000 if run.status == "done" else progress_bps([part.stretch for part in parts])
    left = seconds_left(done, duration_s) if run.status == "running" else None
    return ReadingView(run, tuple(parts), done, left, duration_s)
