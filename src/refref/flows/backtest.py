"""Backtests that people ask for: started, looked at, cancelled. The worker runs them; the books are not touched."""

from __future__ import annotations

from datetime import datetime

from refref.core.refusals import Refused
from refref.core.terms import Terms, terms_to_json
from refref.core.terms_check import check_terms
from refref.db import audit, backtests, programs
from refref.db.backtests import Backtest
from refref.db.pool import Connection
from refref.flows.checks import check_instant
from refref.flows.drafts import require_draft
from refref.flows.publishing import SINCE_EVER, require_program
from refref.ids import new_id

KEPT = 50  # of a program


async def terms_to_try(
    tx: Connection, organization_id: str, program_id: str, *, terms: Terms | None = None, version: int | None = None
) -> tuple[Terms, str]:
    """The terms that are given, a version's, else the draft's; and what they are called: given, `version <n>`, draft.

    Raises Refused: invalid_terms, invalid_request, unknown_version, unknown_draft.
    """
    if terms is not None and version is not None:
        raise Refused("invalid_request", "Give terms or a version, not both.", "version")
    if terms is not None:
        found, source = terms, "given"
    elif version is not None:
        stored = await programs.terms_version(tx, organization_id, program_id, version)
        if stored is None:
            raise Refused("unknown_version", "There is no such version: give its number.", "version")
        found, source = stored.terms, f"version {version}"
    else:
        found, source = (await require_draft(tx, organization_id, program_id)).terms, "draft"
    check_terms(found)
    return found, source


async def start_backtest(
    tx: Connection,
    organization_id: str,
    program_id: str,
    *,
    terms: Terms | None = None,
    version: int | None = None,
    effective_at: datetime | None = None,
    actor: str,
    now: datetime,
) -> Backtest:
    """Ask the worker to try terms (see `terms_to_try`) on a program's history, as if they were in force since
    `effective_at` (since ever unless given).

    Raises Refused: unknown_program, backtest_running, invalid_terms, invalid_request, unknown_version, unknown_draft.
    """
    program = await require_program(tx, organization_id, program_id)
    newest = await backtests.backtests(tx, organization_id, program_id, limit=1)
    if newest and newest[0].status in ("waiting", "running"):
        raise Refused("backtest_running", "A backtest of this program is running: wait for it, or cancel it.")
    found, source = await terms_to_try(tx, organization_id, program_id, terms=terms, version=version)
    made = Backtest(
        organization_id=organization_id,
        backtest_id=new_id("backtest"),
        program_id=program_id,
        connection_id=program.connection_id,
        status="waiting",
        terms_source=source,
        body=terms_to_json(found),
        effective_at=SINCE_EVER if effective_at is None else check_instant(effective_at, "effective_at"),
        created_by=actor,
        created_at=now,
    )
    await backtests.insert(tx, made)
    await backtests.forget_older(tx, organization_id, program_id, KEPT)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="backtest.start",
        subject=made.backtest_id,
        details={"program_id": program_id, "terms": source},
    )
    return made


async def cancel_backtest(
    tx: Connection, organization_id: str, backtest_id: str, *, actor: str, now: datetime
) -> Backtest:
    """Stop a backtest that waits or runs. Raises Refused: unknown_backtest, backtest_over."""
    await require_backtest(tx, organization_id, backtest_id)
    if not await backtests.cancel(tx, organization_id, backtest_id):
        raise Refused("backtest_over", "The backtest is over already, so there is nothing to cancel.")
    await audit.record(tx, organization_id, at=now, actor=actor, action="backtest.cancel", subject=backtest_id)
    return await require_backtest(tx, organization_id, backtest_id)


async def require_backtest(tx: Connection, organization_id: str, backtest_id: str) -> Backtest:
    """The backtest. Raises Refused("unknown_backtest")."""
    found = await backtests.backtest_by_id(tx, organization_id, backtest_id)
    if found is None:
        raise Refused("unknown_backtest", "There is no backtest with this id.", "backtest_id")
    return found
