"""A program's history under draft terms: reads it in pages from a snapshot, and compares it with the books. Writes
nothing but runs of its own in a folder; memory holds a page and a run, however long the history is.

Where others' payments matter, conversions are kept in order on disk by partition and completed in a second step, so
that several processes can share both steps.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from refref.core.backtest import (
    NOTHING,
    Comparison,
    Summary,
    Told,
    draft_program,
    fold,
    note_whole,
    slim,
)
from refref.core.backtest_booked import Booked, read_booked
from refref.core.claims import Candidate
from refref.core.complete import complete
from refref.core.facts import Fact, InvoiceState, Line, SessionState
from refref.core.program import Program
from refref.core.terms import Terms
from refref.core.totals import Totals
from refref.db import backtests, setup
from refref.db.pool import Connection
from refref.flows.backtest_events import FiledEvents, gather_events, new_paths
from refref.flows.settle import drafts_of
from refref.sorted_runs import SortedRuns, merged

PAGE = 400  # scopes
_STEP = 4_000  # conversions of which is told at once: each time wakes another process
_RUN_BYTES = 64_000_000  # in memory, of all partitions of a process
_encode = msgspec.msgpack.Encoder().encode
_decode_told = msgspec.msgpack.Decoder(Told).decode
_decode_whole = msgspec.msgpack.Decoder(list[tuple[str, str, str, int, int]]).decode
Progress = Callable[[int], None]  # is told how many conversions (or stored events) more were gone through


class Job(msgspec.Struct, frozen=True):
    """What to try: terms in force from `effective_at` (seconds) on, as a program's next version."""

    organization_id: str
    connection_id: str
    program_id: str
    terms: Terms
    effective_at: int


class Part(msgspec.Struct, frozen=True):
    """The scopes after `after` up to `last` (None: to the end), as the part of that number."""

    number: int = 0
    after: str = ""
    last: str | None = None


async def program_under_draft(tx: Connection, job: Job) -> Program:
    """The program with the draft as its last version."""
    programs = await setup.programs_of(tx, job.organization_id, job.connection_id)
    found = next((program for program in programs if program.program_id == job.program_id), None)
    if found is None:  # it has no terms yet
        found = Program(job.program_id, ())
    return draft_program(found, job.terms, job.effective_at)


def partitions_for(program: Program, processes: int) -> int:
    """In how many parts conversions can be completed apart: those of a participant stay together, and where a sum
    concerns several participants, all do."""
    measures = {window.measure for window in program.outline.windows}
    has_shares = any(rule.to == "split" for version in program.terms for rule in version.terms.rules)
    return 1 if "program" in measures or ("participant" in measures and has_shares) else processes


class Gathering:
    """What the first step of one part makes: compared at once what nobody else concerns, the rest in order on disk."""

    def __init__(self, program: Program, folder: Path, part: int, partitions: int) -> None:
        self._program = program
        self._folder = folder
        self._part = part
        self.comparison = Comparison(program)
        self._nothing = Totals([program])
        self.totals = [Totals([program]) for _ in range(partitions)]
        self.runs = [
            SortedRuns(folder, run_name(part, number), _RUN_BYTES // partitions) for number in range(partitions)
        ]

    def take(self, told: Told) -> None:
        """Take one conversion."""
        candidate = told.candidate
        if candidate is None or candidate.decision.reason or not self._program.outline.has_sums:
            decision = None
            if candidate is not None:
                decision = complete(candidate, self._program, self._nothing, {}).decision
            self.comparison.add(told, decision)
            return
        number = zlib.crc32(candidate.decision.participant_id.encode()) % len(self.runs)
        note_whole(candidate, self.totals[number])
        kept = msgspec.structs.replace(told, candidate=slim(candidate))
        self.runs[number].add(told.occurred_at, told.payment_key, _encode(kept))

    def complete(self) -> Summary:
        """Complete what is in order, in this process alone."""
        for totals, runs in zip(self.totals, self.runs, strict=True):
            ordered = (_decode_told(body) for _, _, body in runs.in_order())
            fold(self._program, ordered, totals, self.comparison)
        return self.comparison.summary()

    def flush(self) -> Summary:
        """Write everything down for those who complete it; what was compared at once."""
        for number, (totals, runs) in enumerate(zip(self.totals, self.runs, strict=True)):
            runs.flush()
            path = self._folder / f"{run_name(self._part, number)}.whole"
            path.write_bytes(_encode(totals.whole_sums()))
        return self.comparison.summary()


def run_name(part: int, partition: int) -> str:
    """How files of a part for a partition begin."""
    return f"run-{partition}-{part}"


def complete_partition(program: Program, folder: Path, partition: int, progress: Progress) -> Summary:
    """Complete the conversions that all parts left for one partition."""
    totals = Totals([program])
    runs: list[Path] = []
    for path in sorted(folder.glob(f"run-{partition}-*")):
        if path.suffix == ".whole":
            totals.add_whole_sums(_decode_whole(path.read_bytes()))
        else:
            runs.append(path)
    comparison = Comparison(program)
    fold(program, _counted(runs, progress), totals, comparison)
    return comparison.summary()


def _counted(runs: Sequence[Path], progress: Progress) -> Iterable[Told]:
    count = 0
    for _, _, body in merged(runs):
        yield _decode_told(body)
        count += 1
        if count % _STEP == 0:
            progress(_STEP)
    progress(count % _STEP)


# Reading -------------------------------------------------------------------------------------------------------------


async def tell_history(
    tx: Connection,
    job: Job,
    program: Program,
    part: Part,
    folder: Path,
    take: Callable[[Told], None],
    progress: Progress,
) -> None:
    """Tell `take` of every conversion of a part, by the draft or in the books, customer by customer; with what stored
    events tell, where `gather_events` left it in the folder."""
    events = FiledEvents(folder, part.after)
    after = part.after
    while True:
        page = await backtests.facts_page(tx, job.organization_id, job.connection_id, after, part.last, PAGE)
        if not page:
            return
        after = next(reversed(page))
        parts: Mapping[str, str] = {}
        if not events.is_empty:
            page, parts = await events.add_to(tx, job.organization_id, job.connection_id, page)
        stored = parts or page
        bodies = await backtests.booked_bodies(tx, job.organization_id, job.connection_id, job.program_id, stored)
        booked: dict[str, dict[str, Booked]] = {scope: {} for scope in page}
        for scope, body in bodies:
            read = read_booked(body)
            booked[parts.get(scope, scope)][read.payment_key] = read
        drafts, _ = await drafts_of(
            tx, job.organization_id, job.connection_id, page, programs=(program,), explains=False
        )
        count = 0
        for scope, drafted in drafts:
            for told in _told_of_scope(scope, page[scope], drafted.candidates, booked[scope], job.program_id):
                take(told)
                count += 1
        progress(count)


def _told_of_scope(
    scope: str, facts: Sequence[Fact], candidates: Sequence[Candidate], booked: Mapping[str, Booked], program_id: str
) -> Iterable[Told]:
    left = dict(booked)
    lines: dict[str, Line] | None = None
    for candidate in candidates:
        decision = candidate.decision
        if decision.program_id != program_id:
            continue
        known = left.pop(decision.payment_key, None)
        side = NOTHING if known is None else known.side
        sold: tuple[Line, ...] = ()
        if decision.base is not None and decision.base.lines and (candidate.claims or side.gains):
            lines = _lines_of(facts) if lines is None else lines
            sold = tuple([_sold(lines.get(line.id), line.net) for line in decision.base.lines])
        yield Told(
            decision.occurred_at, decision.payment_key, scope, decision.referee_id, candidate, side, sold
        )  # fmt: skip
    for known in left.values():
        yield Told(known.occurred_at, known.payment_key, scope, known.referee_id, None, known.side)


def _lines_of(facts: Sequence[Fact]) -> dict[str, Line]:
    return {
        line.id: line
        for fact in facts
        if isinstance(fact.state, (InvoiceState, SessionState))
        for line in fact.state.lines or ()
    }


def _sold(line: Line | None, net: int) -> Line:
    if line is None:
        return Line("", net)
    return Line("", net, product=line.product, price=line.price, is_proration=line.is_proration)


async def compare_history(tx: Connection, job: Job, folder: Path, progress: Progress) -> Summary:
    """Compare a program's whole history in this process."""
    program = await program_under_draft(tx, job)
    if paths := await new_paths(tx, job.organization_id, job.connection_id, job.terms):
        await gather_events(tx, job.organization_id, job.connection_id, paths, folder, progress)
    gathering = Gathering(program, folder, 0, 1)
    await tell_history(tx, job, program, Part(), folder, gathering.take, progress)
    return gathering.complete()
