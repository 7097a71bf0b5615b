"""refref custom-events try, samples, progress: trying custom events of a terms file; how far they were read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import AsJson, ConnectionId, Installation, Organization, fail, run, show, table, told

if TYPE_CHECKING:
    from refref.db.custom_events import Rereading
    from refref.flows.custom_events import TriedEvent

Limit = Annotated[int, typer.Option(min=1, max=50, help="How many stored events at most.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Custom events: rewards for what any Stripe event tells.", no_args_is_help=True)
    group.command("try")(try_event)
    group.command("samples")(samples)
    group.command("progress")(progress)
    app.add_typer(group, name="custom-events")


def try_event(
    definition: Annotated[
        Path, typer.Option(help="A file of terms with the custom event (YAML or JSON).", exists=True, dir_okay=False)
    ],
    event: Annotated[Path | None, typer.Option(help="A Stripe event as JSON.", exists=True, dir_okay=False)] = None,
    sample: Annotated[str | None, typer.Option(help="A type, such as customer.updated: the sample of it.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Which custom event of the terms.")] = None,
    limit: Limit = 10,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Try a custom event on a file, on a sample, or (with neither) on the newest stored events of its types.

    Tells match or not and why, what was found in the event, and the reward that the terms would give. Ends with 1 when
    no event matches.
    """
    from refref.cli.files import read_file
    from refref.core.terms_document import read_terms
    from refref.flows import custom_events as flow

    terms = read_file(definition, read_terms)
    if event is not None or sample is not None:
        body = event.read_bytes() if event is not None else _sample(sample or "")
        with told():
            tried = [flow.try_custom_event(terms, event_id, body)]
    else:

        async def work(here: Installation) -> list[TriedEvent]:
            async with here.books(organization, connection) as (tx, own):
                return await flow.try_on_stored_events(tx, *own, terms, event_id, limit=limit)

        tried = run(work)
    text = "\n\n".join(_sentences(item) for item in tried) or "No event of its types is stored yet: try --sample."
    show(tried, text, as_json=as_json)
    if not any(item.matched for item in tried):
        raise typer.Exit(1)


def samples(
    stripe_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="Print the sample of this type.")] = None,
) -> None:
    """List the types of which there is a sample event, or print the JSON of one."""
    import msgspec

    from refref.sample_events import sample_events

    if stripe_type is None:
        print("\n".join(sample_events()))
        return
    print(msgspec.json.format(_sample(stripe_type), indent=2).decode())


def progress(organization: Organization = None, connection: ConnectionId = None, as_json: AsJson = False) -> None:
    """Tell how far stored events were read again for the custom events of published terms."""
    from refref.flows.custom_events import rereading_progress

    async def work(here: Installation) -> list[Rereading]:
        async with here.books(organization, connection) as (tx, own):
            return await rereading_progress(tx, *own)

    rows = run(work)
    lines = [(row.stripe_type, "done" if row.is_done else f"{row.percent} %") for row in rows]
    show(rows, table(lines) or "No published terms hold a custom event.", as_json=as_json)


def _sample(stripe_type: str) -> bytes:
    from refref.sample_events import sample_events

    found = sample_events().get(stripe_type)
    if found is None:
        fail(f"there is no sample of {stripe_type!r}; refref custom-events samples lists the types.")
    return found


def _sentences(tried: TriedEvent) -> str:
    from refref.core.money import format_amount

    lines = [f"{tried.stripe_event_id} ({tried.stripe_type}): {'match' if tried.matched else tried.because}"]
    lines += [f"  {path} is {value}" for path, value in tried.seen]
    lines.append(f"  customer: {tried.customer or tried.customer_reason}")
    if tried.amount_minor is not None:
        lines.append(f"  amount: {format_amount(tried.amount_minor, tried.currency)}")
    elif tried.amount_reason:
        lines.append(f"  amount: {tried.amount_reason}")
    for reward in tried.rewards:
        if reward.reason:
            lines.append(f"  rule {reward.rule_id}: nothing. {reward.sentence}")
        elif reward.reward in ("discount", "feature"):
            lines.append(f"  rule {reward.rule_id}: a {reward.reward} to the {reward.to}")
        else:
            given = format_amount(reward.amount_minor, reward.currency)
            lines.append(f"  rule {reward.rule_id}: {given} {reward.reward} to the {reward.to}")
    if tried.matched and not tried.rewards:
        lines.append("  no rule of the terms rewards it")
    return "\n".join(lines)
