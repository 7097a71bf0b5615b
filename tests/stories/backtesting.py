"""Backtests of a world's programs: with the newest terms as they are, nothing may come out otherwise."""

import tempfile
from pathlib import Path

from refref.core.backtest import Summary
from refref.core.terms import Terms
from refref.db.pool import Connection
from refref.db.setup import programs_of
from refref.flows.backtest_history import Job, compare_history


async def backtest(
    tx: Connection, organization_id: str, connection_id: str, program_id: str, terms: Terms, effective_at: int
) -> Summary:
    """What terms would give for a program's history, against the books."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job(organization_id, connection_id, program_id, terms, effective_at)
        return await compare_history(tx, job, Path(folder), lambda _: None)


async def changes_by_the_same_terms(tx: Connection, organization_id: str, connection_id: str) -> list[Summary]:
    """The backtests that find a change though the terms are the newest version's, from its instant on."""
    found = []
    for program in await programs_of(tx, organization_id, connection_id):
        newest = program.terms[-1]
        summary = await backtest(
            tx, organization_id, connection_id, program.program_id, newest.terms, newest.effective_at
        )
        is_same = all(sums.booked == sums.draft for _, sums in summary.money)
        if summary.changed or not is_same:
            found.append(summary)
    return found
