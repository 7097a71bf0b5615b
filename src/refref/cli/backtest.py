"""refref backtest: what terms would have given on a program's own history; and the money that a plan of terms shows."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.files import read_file
from refref.cli.running import (
    AsJson,
    Installation,
    Instant,
    Organization,
    ProgramId,
    fail,
    given_instant,
    run,
    show,
    table,
)
from refref.core.money import format_amount

if TYPE_CHECKING:
    from refref.core.backtest import Summary, Sums
    from refref.core.terms import Terms
    from refref.core.words import Document
    from refref.db.programs import Program
    from refref.flows.terms_file import TermsPlan

SHOWN = 10  # participants and products in the text


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("backtest")(backtest)


def backtest(
    program: ProgramId,
    terms: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Terms as a file, YAML or JSON.", exists=True, dir_okay=False)
    ] = None,
    draft: Annotated[bool, typer.Option("--draft", help="The program's draft, which is what is tried anyway.")] = False,
    version: Annotated[int | None, typer.Option(min=1, help="A published version.")] = None,
    effective_at: Instant = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Try terms on a program's own history: the money they would have given beside what is booked. Changes nothing."""
    from refref.core.terms_document import read_document

    if (terms is not None) + draft + (version is not None) > 1:
        fail("say what to try: --terms FILE, --version N or --draft.", code=2)
    given = None if terms is None else read_file(terms, read_document).terms
    since = given_instant(effective_at)

    async def work(here: Installation) -> tuple[Document, Summary, Document, dict[str, str]]:
        from refref.db import explain
        from refref.flows.backtest import terms_to_try
        from refref.flows.publishing import require_program

        async with here.tenant(organization) as (tx, organization_id):
            found = await require_program(tx, organization_id, program)
            tried, source = await terms_to_try(tx, organization_id, program, terms=given, version=version)
        summary, report = await _try(here, found, tried, since)
        async with here.database.tenant(organization_id) as tx:
            known = sorted({owner for owner, _, _ in summary.participants})
            names = await explain.names_of(tx, organization_id, known)
        return {"program_id": program, "terms_source": source}, summary, report, names

    asked, summary, report, names = run(work)
    shown = {
        **asked,
        **report,
        "by_participant": _lines_shown("participant_id", summary.participants),
        "by_product": _lines_shown("product", summary.products),
    }
    show(shown, "\n".join(_text(summary, report, names)), as_json=as_json)


async def _try(here: Installation, program: Program, terms: Terms, since: datetime | None) -> tuple[Summary, Document]:
    """Run a backtest here, with its progress on a terminal."""
    from refref.flows.backtest_history import Job
    from refref.flows.publishing import SINCE_EVER
    from refref.worker.backtests import run_backtest

    effective_at = int((SINCE_EVER if since is None else since).timestamp())
    job = Job(program.organization_id, program.connection_id, program.program_id, terms, effective_at)

    async def progress(done: int, total: int) -> bool:
        if sys.stderr.isatty():
            print(f"\r{100 * done // max(1, total)} %", end="", file=sys.stderr)
        return True

    found = await run_backtest(here.database, job, progress)
    if sys.stderr.isatty():
        print("\r     \r", end="", file=sys.stderr)
    return found


def money_of_plan(plan: TermsPlan, terms: Terms) -> tuple[dict[str, object] | None, list[str]]:
    """What the terms of a plan would have given since ever, to print as JSON and as lines; nothing where they do not
    change a program that there is."""
    program = plan.program
    if program is None or not plan.terms_changes or not plan.based_on_version:
        return None, []

    async def work(here: Installation) -> tuple[Summary, Document]:
        return await _try(here, program, terms, None)

    summary, report = run(work)
    shown = {name: report[name] for name in ("conversions", "changed", "more", "less", "money")}
    return shown, [
        "Tried on the program's history, as if in force since ever:",
        *(f"  {line}" for line in _money_lines(summary)),
    ]


def _text(summary: Summary, report: Document, names: dict[str, str]) -> list[str]:
    lines = _money_lines(summary)
    people = [
        (names.get(owner, owner) or "referred customers", currency, sums)
        for owner, currency, sums in summary.participants
    ]
    for title, rows in (("Participants", people), ("Products", list(summary.products))):
        if rows:
            lines += ["", f"{title}, the largest differences first:", table(_money_rows(rows))]
    reasons = report["reasons"]
    if isinstance(reasons, list) and reasons:
        lines += ["", "Refused by these terms, and not so booked:"]
        lines += [f"  {row['conversions']}  {row['sentence']}" for row in reasons]
    changes = report["changes"]
    if isinstance(changes, list) and changes:
        lines += ["", "The largest changes:"]
        for change in changes:
            difference = _signed(change["difference_minor"], change["currency"])
            lines.append(f"  {change['payment_key']}  {difference}")
            lines += [
                f"    {side:<7} {change[side]['sentence'] if change[side] else 'It is no conversion.'}"
                for side in ("booked", "draft")
            ]
    return lines


def _money_lines(summary: Summary) -> list[str]:
    if not summary.conversions:
        return ["It has no conversions yet."]
    lines = [
        f"{summary.conversions} conversions, {summary.changed} come out otherwise: "
        f"{summary.more} earn more, {summary.less} less."
    ]
    lines += [
        f"{format_amount(sums.booked, currency)} booked, {format_amount(sums.draft, currency)} by these terms: "
        f"{_signed(sums.draft - sums.booked, currency)}"
        for currency, sums in summary.money
    ]
    return lines


def _money_rows(rows: list[tuple[str, str, Sums]]) -> list[tuple[str, str, str, str]]:
    ordered = sorted(rows, key=lambda row: (-abs(row[2].draft - row[2].booked), row[0], row[1]))
    return [
        (
            f"  {name or 'no product'}",
            format_amount(sums.booked, currency),
            format_amount(sums.draft, currency),
            _signed(sums.draft - sums.booked, currency),
        )
        for name, currency, sums in ordered[:SHOWN]
    ]


def _signed(amount_minor: int, currency: str) -> str:
    return ("+" if amount_minor > 0 else "") + format_amount(amount_minor, currency)


def _lines_shown(name: str, rows: tuple[tuple[str, str, Sums], ...]) -> list[dict[str, object]]:
    return [
        {
            name: subject,
            "currency": currency,
            "booked_minor": sums.booked,
            "draft_minor": sums.draft,
            "difference_minor": sums.draft - sums.booked,
            "changed": sums.changed,
        }
        for subject, currency, sums in rows
    ]
