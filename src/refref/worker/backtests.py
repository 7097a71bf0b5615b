"""Running backtests: processes that share a snapshot, how far they are, and what they found added up; jobs that wait.

The processes read and count; here is nothing but their orders. Nothing is locked, and the books are not written.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import structlog

from refref.core.backtest import Summary, added
from refref.core.words import Document
from refref.db import backtests, custom_events
from refref.db.backtests import Backtest
from refref.db.failures import UNREACHABLE
from refref.db.pool import Database, export_snapshot
from refref.flows.backtest_events import gather_events, new_paths
from refref.flows.backtest_history import Job, Part, partitions_for, program_under_draft
from refref.flows.backtest_report import report_of
from refref.worker.backtest_part import Order

BEAT_S = 0.5
MOST_ATTEMPTS = 5
SMALL = 5_000  # conversions that one process is quickest with
_MOST_LINES = 20_000  # a statement
_STOP_S = 0.5
Progress = Callable[[int, int], Awaitable[bool]]  # is told (done, of how many); False: stop

log = structlog.get_logger("refref.backtests")


class Stopped(Exception):
    """Somebody cancelled the backtest, or another worker took it over."""


class PartFailed(Exception):
    """A process of the backtest ended before its work was done."""


def processes_here() -> int:
    """How many processes a large backtest uses on this machine."""
    return max(1, min(2, os.cpu_count() or 1))


async def run_backtest(
    database: Database, job: Job, progress: Progress, *, processes: int | None = None
) -> tuple[Summary, Document]:
    """Try the terms on the history as it is now; what was found, and the report of it. `processes`: as many as its size
    calls for, unless given. Raises Stopped, PartFailed."""
    async with database.snapshot(job.organization_id) as tx, AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="refref-backtest-")))
        program = await program_under_draft(tx, job)
        count = await backtests.conversions_of_program(tx, job.organization_id, job.connection_id, job.program_id)
        if processes is None:
            processes = 1 if count <= SMALL else processes_here()
        partitions = partitions_for(program, processes)
        bounds = await backtests.scope_bounds(tx, job.organization_id, job.connection_id, processes)
        snapshot = await export_snapshot(tx)
        paths = await new_paths(tx, job.organization_id, job.connection_id, job.terms)
        events = await custom_events.count_of_events(tx, job.organization_id, job.connection_id) if paths else 0
        steps = _Steps(events + count * (2 if program.outline.has_sums else 1), progress)
        if paths:
            gathering = gather_events(tx, job.organization_id, job.connection_id, paths, folder, steps.advance)
            await steps.tell_during(gathering)
        starts = ["", *bounds]
        ends: list[str | None] = [*bounds, None]
        parts = [Part(number, *ends_of) for number, ends_of in enumerate(zip(starts, ends, strict=True))]
        orders = [Order(database.dsn, snapshot, job, part, partitions, str(folder)) for part in parts]
        await _run_parts(orders, partitions if program.outline.has_sums else 0, steps)
        summary = added(_summaries(folder))
        return summary, await report_of(tx, job, program, summary, folder)


def _summaries(folder: Path) -> list[Summary]:
    """What the processes left."""
    read = msgspec.msgpack.Decoder(Summary).decode
    return [read(path.read_bytes()) for path in sorted(folder.glob("summary-*"))]


class _Steps:
    """How far all is together, in stored events that were looked at and conversions that were gone through."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0

    def advance(self, steps: int) -> None:
        self._done += steps

    async def tell_during(self, work: Coroutine[None, None, None]) -> None:
        """Do the work and tell every now and then how far it is. Raises Stopped, and what the work raises."""
        tasks = [asyncio.create_task(self._tell_forever()), asyncio.create_task(work)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell_forever(self) -> None:
        while True:
            await self.tell()
            await asyncio.sleep(BEAT_S)

    async def tell(self) -> None:
        # New conversions that only the draft sees are not in the total.
        if not await self._progress(min(self._done, self._total), self._total):
            raise Stopped


async def _run_parts(orders: Sequence[Order], partitions: int, steps: _Steps) -> None:
    """Let each part do its first step, then share the partitions among them."""
    parts: list[_PartProcess] = []
    try:
        for order in orders:
            parts.append(await _PartProcess.start(order, steps))
        await steps.tell_during(_work(parts, partitions))
        await steps.tell()
    finally:
        for part in parts:
            await part.stop()


async def _work(parts: Sequence[_PartProcess], partitions: int) -> None:
    await asyncio.gather(*[part.until("gathered") for part in parts])
    for number in range(partitions):
        parts[number % len(parts)].complete(number)
    await asyncio.gather(*[parts[number % len(parts)].until("completed") for number in range(partitions)])


class _PartProcess:
    """One process with its input and output."""

    def __init__(self, process: asyncio.subprocess.Process, steps: _Steps) -> None:
        self._process = process
        self._steps = steps

    @classmethod
    async def start(cls, order: Order, steps: _Steps) -> _PartProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "refref.worker.backtest_part",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        made = cls(process, steps)
        made._send(msgspec.json.encode(order))
        return made

    def complete(self, partition: int) -> None:
        """Ask for a partition."""
        self._send(str(partition).encode())

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")

    async def until(self, word: str) -> None:
        """Read what it tells until it says the word. Raises PartFailed when it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told, _, number = line.decode().strip().partition(" ")
            if told == word:
                return
            if told == "through":
                self._steps.advance(int(number))
        raise PartFailed(f"a process ended with {await self._process.wait()} before its work was done")

    async def stop(self) -> None:
        """Let it end by itself, or end it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


# Jobs ----------------------------------------------------------------------------------------------------------------


async def run_due_backtests(database: Database) -> int:
    """Work on one backtest that waits (or whose worker fell silent); returns how many were worked on."""
    async with database.plain() as connection:
        due = await backtests.due(connection)
    for organization_id, backtest_id in due:
        async with database.tenant(organization_id) as tx:
            attempt = await backtests.claim(tx, organization_id, backtest_id, MOST_ATTEMPTS)
            found = await backtests.backtest_by_id(tx, organization_id, backtest_id)
        if attempt is not None and found is not None:
            await _run_job(database, found, attempt)
            return 1
    return 0


async def _run_job(database: Database, found: Backtest, attempt: int) -> None:
    async def progress(done: int, total: int) -> bool:
        async with database.tenant(found.organization_id) as tx:
            return await backtests.beat(tx, found.organization_id, found.backtest_id, attempt, done, total)

    try:
        summary, report = await run_backtest(database, job_of(found), progress)
    except Stopped:
        log.info("backtest stopped", backtest_id=found.backtest_id)
        return
    except UNREACHABLE:
        raise  # it is begun again when the database is back
    except Exception as error:  # whatever it was is stored with the backtest, and the worker's loop tells of it
        async with database.tenant(found.organization_id) as tx:
            told = f"{type(error).__name__}: {error}"
            await backtests.finish(tx, found.organization_id, found.backtest_id, attempt, report=None, error=told)
        raise
    await store_result(database, found, attempt, summary, report)


def job_of(found: Backtest) -> Job:
    """What a stored backtest asks for."""
    return Job(
        found.organization_id,
        found.connection_id,
        found.program_id,
        found.terms,
        int(found.effective_at.timestamp()),
    )


async def store_result(database: Database, found: Backtest, attempt: int, summary: Summary, report: Document) -> None:
    """Store what a backtest found, if the attempt still counts."""
    lines = (
        ("participant", summary.participants),
        ("product", summary.products),
    )
    body = msgspec.json.encode(report).decode()
    async with database.tenant(found.organization_id) as tx:
        if not await backtests.finish(tx, found.organization_id, found.backtest_id, attempt, report=body, error=None):
            return
        for kind, rows in lines:
            flat = [(subject, currency, sums.booked, sums.draft, sums.changed) for subject, currency, sums in rows]
            for start in range(0, len(flat), _MOST_LINES):
                page = flat[start : start + _MOST_LINES]
                await backtests.store_lines(tx, found.organization_id, found.backtest_id, kind, page)
