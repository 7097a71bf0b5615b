"""refref rates list, show, import, update: which exchange rates are known, and taking in files of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import ACTOR, AsJson, Installation, Organization, fail, run, show, table

if TYPE_CHECKING:
    from refref.core.rate_files import UploadPlan
    from refref.core.rates import Missing, Rate
    from refref.db.rates import RateUpload

File = Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Exchange rates.", no_args_is_help=True)
    group.command("list")(list_rates)
    group.command("show")(show_rate)
    group.command("import")(import_file)
    group.command("update")(update)
    app.add_typer(group, name="rates")


def list_rates(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many uploads at most.")] = 20,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Tell up to which day rates are known, and the uploads of rates, the newest first."""
    from refref.core.rule_words import counted
    from refref.db import rates
    from refref.ecb_file import bundled_history

    async def work(here: Installation) -> tuple[date, list[RateUpload]]:
        async with here.tenant(organization) as (tx, organization_id):
            book = await rates.rate_book(tx, organization_id)
            return book.ecb.last_day, await rates.uploads(tx, organization_id, limit=limit)

    last_day, uploads = run(work)
    bundled = bundled_history().last_day
    lines = [
        (
            row.upload_no,
            f"{row.uploaded_at:%Y-%m-%d %H:%M}",
            row.source,
            f"{row.first_day} to {row.last_day}",
            f"{counted(row.rate_count, 'rate')}, {row.changed_count} of them changed",
            f"{counted(row.scope_count, 'customer')} settled again",
            row.uploaded_by,
        )
        for row in uploads
    ]
    head = f"European Central Bank: up to {last_day} (installed: up to {bundled})"
    shown = {"bundled_last_day": bundled, "ecb_last_day": last_day, "uploads": uploads}
    show(shown, f"{head}\n{table(lines) or 'No uploads.'}", as_json=as_json)


def show_rate(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A currency, such as eur.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A currency, such as usd.")],
    on: Annotated[str | None, typer.Option(help="A day such as 2026-01-31; today, unless given.")] = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Tell the rate that a conversion on a day takes, with its origin. Ends with 1 when there is none."""
    from refref.core.estimates import present_rate
    from refref.core.rates import Rate
    from refref.flows.rates import look_up_rate

    day = datetime.now(UTC).date() if on is None else _day(on)

    async def work(here: Installation) -> Rate | Missing:
        async with here.tenant(organization) as (tx, organization_id):
            return await look_up_rate(tx, organization_id, source, target, day)

    found = run(work)
    if isinstance(found, Rate):
        show(_fields(found), f"{present_rate(found)}\nexactly {found.rate}", as_json=as_json)
        return
    show(_fields(found), found.sentence, as_json=as_json)
    raise typer.Exit(1)


def import_file(
    file: File, dry_run: DryRun = False, organization: Organization = None, as_json: AsJson = False
) -> None:
    """Take in rates of your own: a CSV file with the heading date,from,to,rate."""
    _take_in("csv", file, dry_run, organization, as_json)


def update(
    file: Annotated[
        Path,
        typer.Option(
            help="eurofxref-hist.zip or .csv, as the European Central Bank has it.", exists=True, dir_okay=False
        ),
    ],
    dry_run: DryRun = False,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Take in a newer history of the European Central Bank's rates."""
    _take_in("ecb", file, dry_run, organization, as_json)


def _take_in(source: str, file: Path, dry_run: bool, organization: str | None, as_json: bool) -> None:
    from refref.flows.rates import import_rates, preview_rates

    content = file.read_bytes()

    async def work(here: Installation) -> tuple[UploadPlan, RateUpload | None, int]:
        async with here.tenant(organization) as (tx, organization_id):
            if dry_run:
                preview = await preview_rates(tx, organization_id, source=source, content=content)
                return preview.plan, None, preview.scope_count
            taken = await import_rates(
                tx, organization_id, source=source, file_name=file.name, content=content, actor=ACTOR, now=here.now
            )
            return taken.plan, taken.upload, taken.upload.scope_count if taken.upload else 0

    plan, upload, scope_count = run(work)
    shown = {
        "upload": upload,
        "first_day": plan.first_day,
        "last_day": plan.last_day,
        "total_count": plan.total_count,
        "new_count": plan.new_count,
        "changed_count": plan.changed_count,
        "changed": plan.changed,
        "warnings": plan.warnings,
        "scope_count": scope_count,
    }
    show(shown, _sentences(plan, upload, scope_count, dry_run), as_json=as_json)


def _sentences(plan: UploadPlan, upload: RateUpload | None, scope_count: int, dry_run: bool) -> str:
    from refref.core.rule_words import counted

    if plan.is_empty:
        return "All of it is known already: nothing changes."
    would = "would be" if dry_run else "are"
    lines = [f"Upload {upload.upload_no}."] if upload else []
    lines += [
        f"{counted(plan.total_count, 'rate')} from {plan.first_day} to {plan.last_day}: {plan.new_count} {would} new,"
        f" {plan.changed_count} {would} changed.",
        *[f"  {c.day} {c.source}/{c.target}: {c.before} becomes {c.after}" for c in plan.changed],
        *[f"Warning: {warning}" for warning in plan.warnings],
        f"The sales of {counted(scope_count, 'customer')} {would} settled again.",
    ]
    return "\n".join(lines)


def _fields(found: Rate | Missing) -> dict[str, object]:
    """A struct by its names: the stored form has none."""
    return {name: getattr(found, name) for name in found.__struct_fields__}


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no day; give one such as 2026-01-31.", code=2)
