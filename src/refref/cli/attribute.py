"""refref attribute: bind customers by hand, one or a file of them, see the money before, and take it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import (
    ACTOR,
    AsJson,
    ConnectionId,
    Installation,
    Instant,
    Organization,
    fail,
    given_instant,
    run,
    show,
    table,
    told,
)

if TYPE_CHECKING:
    from refref.core.bonds_file import Bond
    from refref.core.money_preview import MoneyPreview


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("attribute")(attribute)


def attribute(
    customer: Annotated[str | None, typer.Argument(help="A Stripe customer id or an e-mail address.")] = None,
    code: Annotated[str | None, typer.Argument(help="A refcode, a promotion code's or a participant's id.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A CSV file: customer,code,clicked_at.", exists=True, dir_okay=False),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; it stays in the audit log.")] = "",
    clicked_at: Instant = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show the money and write nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was told.")] = False,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Say who referred a customer. Payments since the click, or since a day before now, are rewarded."""
    from refref.core.bonds_file import Bond, read_bonds
    from refref.flows import bind_by_hand as flow

    if (file is None) == (customer is None) or (customer is None) != (code is None) or (undo and file is not None):
        fail("give a customer and a code, or --file; --undo takes a customer and a code.", code=2)
    instant = given_instant(clicked_at)
    bonds: tuple[Bond, ...] = (Bond(customer or "", code or "", int(instant.timestamp()) if instant else None),)
    if file is not None:
        with told():
            bonds = read_bonds(file.read_bytes())

    async def work(here: Installation) -> tuple[MoneyPreview | None, int]:
        async with here.books(organization, connection) as (tx, own):
            now, first = int(here.now.timestamp()), bonds[0]
            if undo and preview:
                return await flow.preview_undoing(tx, *own, customer=first.customer, code=first.code, now=now), 0
            if preview:
                return await flow.preview_binding(tx, *own, bonds, now=now), 0
            if undo:
                by = {"reason": reason, "actor": ACTOR}
                await flow.undo_binding(tx, *own, customer=first.customer, code=first.code, now=now, **by)
                return None, 1
            return None, await flow.bind_customers(tx, *own, bonds, reason=reason, actor=ACTOR, now=now)

    found, count = run(work)
    if found is not None:
        show(found, _preview_text(found), as_json=as_json)
    elif undo:
        show({"undone": True}, "Taken back.", as_json=as_json)
    else:
        show({"bound": count}, f"{count} {'customer is' if count == 1 else 'customers are'} bound.", as_json=as_json)


def _preview_text(found: MoneyPreview) -> str:
    from refref.core.decisions import REASONS
    from refref.core.money import format_amount
    from refref.core.words import day

    rows = [
        (
            day(row.occurred_at),
            row.payment_key,
            row.beneficiary_id,
            format_amount(row.before_minor, row.currency),
            "->",
            format_amount(row.after_minor, row.currency),
        )
        for row in found.changes
    ]
    lines = [table(rows) or "No reward would change."]
    lines += [
        f"{row.beneficiary_id}: {format_amount(row.difference_minor, row.currency)}, "
        f"{row.payment_count} payment{'' if row.payment_count == 1 else 's'}"
        for row in found.totals
    ]
    lines += [f"{row.payment_key} earns nothing: {REASONS[row.reason]}" for row in found.still_nothing]
    lines += [f"“{name}” has no published terms: nothing is earned until it has." for name in found.without_terms]
    if found.others_concerned:
        lines.append("Tiers, caps or budgets let this reach other customers' payments, which are not shown.")
    return "\n".join(lines)
