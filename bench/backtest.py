"""Backtest: ten rules with conditions, tiers and caps over histories of 100,000, 300,000 and 1,000,000 payments.

Measures `run_backtest` as the worker calls it: with its processes, on a snapshot of the embedded PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time

import msgspec
from backtest_data import TEN, History
from rig import cpu_seconds, postgres_cpu, report

from refref.core.terms import Cap
from refref.db.pool import Database
from refref.flows.backtest_history import Job
from refref.worker.backtests import processes_here, run_backtest

LIMIT_S = 60.0  # of a million payments
LIMIT_MB = 1_000


class Watch:
    """Looks at the processes of this one every now and then: the most memory together, the CPU of each so far."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._cpu: dict[int, float] = {}
        self._own_before = cpu_seconds(os.getpid())

    async def look_forever(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(0.1)

    def look(self) -> None:
        total = _rss_mb(os.getpid())
        for pid in _children_of_us():
            try:
                total += _rss_mb(pid)
                self._cpu[pid] = cpu_seconds(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        self.peak_mb = max(self.peak_mb, total)

    @property
    def cpu_s(self) -> float:
        return sum(self._cpu.values()) + cpu_seconds(os.getpid()) - self._own_before


def _rss_mb(pid: int) -> float:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _children_of_us() -> list[int]:
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as file:
        own = [int(pid) for pid in file.read().split()]
    found = []
    for pid in own:
        with open(f"/proc/{pid}/cmdline") as file:
            if "backtest_part" in file.read():
                found.append(pid)
    return found


async def measure(history: History, processes: int, budget: bool) -> dict[str, object]:
    """One backtest."""
    terms = TEN
    if budget:
        whole = Cap(on="program", period="year", amounts={"usd": 1_000_000_000})
        terms = msgspec.structs.replace(TEN, caps=(*TEN.caps, whole))
    job = Job(history.organization_id, history.connection_id, history.program_id, terms, 0)
    database = await Database.open(history.postgres.dsn, max_size=2)
    halves: list[float] = []
    started = time.perf_counter()

    async def progress(done: int, total: int) -> bool:
        if done * 2 >= total and not halves:
            halves.append(time.perf_counter() - started)
        return True

    watch, before = Watch(), postgres_cpu(history.postgres)
    watching = asyncio.create_task(watch.look_forever())
    summary, _ = await run_backtest(database, job, progress, processes=processes)
    seconds = time.perf_counter() - started
    watching.cancel()
    postgres_s = postgres_cpu(history.postgres) - before
    await database.close()
    limit_s = LIMIT_S * history.payments / 1_000_000
    return {
        "payments": history.payments,
        "customers": history.payments // 10,
        "rules": len(terms.rules),
        "program_budget": budget,
        "processes": processes,
        "seconds": round(seconds, 1),
        "first_step_s": round(halves[0], 1) if halves else None,
        "limit_s": limit_s,
        "cpu_s": round(watch.cpu_s, 1),
        "cpu_us_per_payment": round(watch.cpu_s * 1e6 / history.payments, 1),
        "postgres_cpu_s": round(postgres_s, 1),
        "peak_memory_mb": round(watch.peak_mb),
        "limit_memory_mb": LIMIT_MB,
        "is_met": seconds <= limit_s and watch.peak_mb <= LIMIT_MB,
        "conversions": summary.conversions,
        "changed": summary.changed,
        "money": [(currency, sums.booked, sums.draft) for currency, sums in summary.money],
    }


def main() -> None:
    """Measure each size; a history that is not there yet is made first, which takes minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, nargs="*", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--processes", type=int, default=processes_here())
    parser.add_argument("--budget", action="store_true", help="a cap on the whole program, too: one process completes")
    options = parser.parse_args()
    results: list[dict[str, object]] = []
    for payments in options.payments:
        history = History(payments)
        history.folder.mkdir(parents=True, exist_ok=True)
        with history.postgres:
            history.prepare()
            results.append(asyncio.run(measure(history, options.processes, options.budget)))
    report("backtest", results, load_average=os.getloadavg()[0])


if __name__ == "__main__":
    main()
