"""refref audit list: who did what, the newest first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import AsJson, Installation, Organization, fail, one_of, run, show, table

if TYPE_CHECKING:
    from refref.db.reports import AuditRow, Page


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    audit = typer.Typer(help="The audit log: who did what.", no_args_is_help=True)
    audit.command("list")(list_entries)
    audit.callback()(_nothing)  # keeps the verb a word of its own
    app.add_typer(audit, name="audit")


def _nothing() -> None:
    pass


def list_entries(
    action: Annotated[str | None, typer.Option(help="An action, such as terms.publish.")] = None,
    actor: Annotated[str | None, typer.Option(help="user:usr_…, key:key_… or system.")] = None,
    subject: Annotated[str | None, typer.Option(help="A part of the id or name of what it was done to.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """List what people, API keys and RefRef itself did, the newest first."""
    from refref.core.audit_words import ACTIONS
    from refref.db import reports

    one_of(action, sorted(ACTIONS), "--action")
    if actor is not None and not re.fullmatch(r"system|user:usr_\w+|key:key_\w+", actor):
        fail("--actor is user:usr_…, key:key_… or system; `refref audit list` shows them.", code=2)

    async def work(here: Installation) -> Page[AuditRow]:
        async with here.tenant(organization) as (tx, organization_id):
            return await reports.audit_page(
                tx, organization_id, action=action, actor=actor, subject=subject, limit=limit
            )

    rows = run(work).rows
    show(rows, table([_line(row) for row in rows]) or "No entries.", as_json=as_json)


def _line(row: AuditRow) -> tuple[str, ...]:
    from refref.core.audit_words import present_details

    return (
        f"{row.at:%Y-%m-%d %H:%M}",
        row.actor if row.actor_name is None else f"{row.actor} ({row.actor_name})",
        row.action,
        row.subject if row.subject_name is None else f"{row.subject} ({row.subject_name})",
        "; ".join(f"{label}: {value}" for label, value in present_details(row.details)),
    )
