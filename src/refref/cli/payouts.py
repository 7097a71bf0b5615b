"""refref payouts record, list, undo: payments that were made by other means, written down."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import ACTOR, AsJson, ConnectionId, Installation, Organization, fail, run, show, table

if TYPE_CHECKING:
    from refref.db.payouts import Payout
    from refref.db.reports import Page, PayoutRow


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    payouts = typer.Typer(help="Payments to participants, made by hand.", no_args_is_help=True)
    payouts.command("record")(record)
    payouts.command("list")(list_payouts)
    payouts.command("undo")(undo)
    app.add_typer(payouts, name="payouts")


def record(
    participant_id: Annotated[str, typer.Argument(metavar="PARTICIPANT", help="The participant's id.")],
    currency: Annotated[str, typer.Option(help="Three letters.")],
    amount_minor: Annotated[
        int | None, typer.Option("--amount-minor", min=1, help="In whole minor units; left out, all that is payable.")
    ] = None,
    paid_on: Annotated[str | None, typer.Option(help="A day such as 2026-01-31; today unless given.")] = None,
    reference: Annotated[str, typer.Option(help="Of the transfer.")] = "",
    note: Annotated[str, typer.Option()] = "",
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Record that a participant was paid: whole rewards, the oldest first. Moves no money."""
    from refref.core.money import format_amount
    from refref.flows.payouts import record_payout

    try:
        day = date.fromisoformat(paid_on) if paid_on else None
    except ValueError:
        fail(f"{paid_on!r} is no day; give one such as 2026-01-31.", code=2)

    async def work(here: Installation) -> Payout:
        async with here.tenant(organization) as (tx, organization_id):
            return await record_payout(
                tx,
                organization_id,
                participant_id,
                currency=currency,
                amount_minor=amount_minor,
                paid_on=day,
                reference=reference,
                note=note,
                actor=ACTOR,
                now=here.now,
            )

    made = run(work)
    show(made, f"{made.payout_id}: {format_amount(made.amount_minor, made.currency)} recorded.", as_json=as_json)


def list_payouts(
    participant: Annotated[str | None, typer.Option("--participant", help="Participant id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """List payouts, the latest recorded first."""
    from refref.core.money import format_amount
    from refref.db import reports

    async def work(here: Installation) -> Page[PayoutRow]:
        async with here.books(organization, connection) as (tx, own):
            return await reports.payouts_page(tx, *own, participant_id=participant, limit=limit)

    rows = run(work).rows
    lines = [
        (
            row.payout_id,
            row.paid_on.isoformat(),
            format_amount(row.amount_minor, row.currency),
            row.participant_name,
            row.reference or "-",
            "undone" if row.undone_at else "",
        )
        for row in rows
    ]
    show(rows, table(lines) or "No payouts.", as_json=as_json)


def undo(
    payout_id: Annotated[str, typer.Argument(metavar="PAYOUT", help="The payout's id.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Take a payout back: what it paid is payable again."""
    from refref.flows.payouts import undo_payout

    async def work(here: Installation) -> None:
        async with here.tenant(organization) as (tx, organization_id):
            await undo_payout(tx, organization_id, payout_id, reason=reason, actor=ACTOR, now=here.now)

    run(work)
    show({"undone": payout_id}, f"{payout_id} was taken back.", as_json=as_json)
