"""refref events, replay, rebuild, explain: looking into the books, and proving them."""

from __future__ import annotations

import sys
from typing import Annotated, get_args

import typer

from refref.cli.running import AsJson, ConnectionId, Installation, Organization, fail, one_of, run, show, table


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("events")(events)
    app.command("replay")(replay)
    app.command("rebuild")(rebuild)
    app.command("explain")(explain)


def events(
    state: Annotated[str | None, typer.Option(help="pending, parked, done, ignored or quarantined.")] = None,
    type_prefix: Annotated[str | None, typer.Option("--type", help="The beginning of the event type.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    to_enable: Annotated[
        bool, typer.Option("--to-enable", help="Print the event types to enable in Stripe instead.")
    ] = False,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """List Stripe's events, the latest arrival first."""
    if to_enable:
        from refref.stripe.readers import events_to_enable

        names = list(events_to_enable())
        show(names, "\n".join(names), as_json=as_json)
        return
    from refref.db import reports
    from refref.db.reports.events import EventState

    states: tuple[EventState, ...] = get_args(EventState)
    wanted = one_of(state, states, "--state")

    async def work(here: Installation) -> reports.Page[reports.EventRow]:
        async with here.books(organization, connection) as (tx, own):
            return await reports.events_page(tx, *own, state=wanted, type_prefix=type_prefix, limit=limit)

    rows = run(work).rows
    lines = [
        (f"{row.created_at:%Y-%m-%d %H:%M:%S}", row.state, row.type, row.stripe_event_id, row.error) for row in rows
    ]
    show(rows, table(lines) or "No events.", as_json=as_json)


def replay(
    event_ids: Annotated[list[str] | None, typer.Argument(help="Stripe event ids.")] = None,
    parked: Annotated[bool, typer.Option("--parked", help="Every parked event.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every event there is.")] = False,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Settle events again. Doing so changes nothing that was right."""
    from refref.flows.replay import replay_events

    if bool(event_ids) + parked + everything != 1:
        fail("say what to replay: event ids, or --parked, or --all.", code=2)

    async def work(here: Installation) -> int:
        async with here.books(organization, connection) as (tx, own):
            return await replay_events(tx, *own, event_ids=event_ids or None, only_parked=parked)

    count = run(work)
    show({"replayed": count}, f"{count} events are back in the inbox.", as_json=as_json)
    if event_ids and count < len(event_ids):
        fail(f"{len(event_ids) - count} of the events are unknown here.")


def rebuild(
    verify: Annotated[bool, typer.Option("--verify", help="Compare and write nothing; the only way there is.")] = False,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Derive all books anew from the stored events and tell where they differ from what is booked."""
    from refref.core.findings import RebuildReport
    from refref.db import connections
    from refref.db.pool import lock_books
    from refref.flows.rebuild import rebuild_verify

    if not verify:
        fail("give --verify: books are never rewritten, only compared.", code=2)

    def progress(events: int, scopes: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{events} events, {scopes} scopes", end="", file=sys.stderr)

    async def work(here: Installation) -> dict[str, RebuildReport]:
        reports = {}
        for organization_id in await here.organization_ids(organization):
            async with here.database.tenant(organization_id) as tx:
                known = await connections.connections(tx, organization_id, limit=1000)
            for row in known:
                if connection in (None, row.connection_id):
                    async with here.database.tenant(organization_id) as tx:
                        await lock_books(tx, row.connection_id)
                        now = int(here.now.timestamp())
                        reports[row.connection_id] = await rebuild_verify(
                            tx, organization_id, row.connection_id, now, progress
                        )
        return reports

    reports = run(work)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    differences = [difference for report in reports.values() for difference in report.differences]
    lines = [
        f"{connection_id}: {report.events} events, {report.facts} facts, {len(report.differences)} differences"
        for connection_id, report in reports.items()
    ]
    lines += [f"  {found.what} {found.subject}: {found.detail}" for found in differences]
    show({"ok": not differences, "connections": reports}, "\n".join(lines) or "No connections.", as_json=as_json)
    if differences:
        raise typer.Exit(1)


def explain(
    any_id: Annotated[str, typer.Argument(metavar="ID", help="Any id of RefRef or Stripe, or an e-mail address.")],
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Say why a reward is what it is, or why there is none."""
    import json

    from refref.core.words import Document
    from refref.flows.explain import explain as explain_id

    async def work(here: Installation) -> Document:
        async with here.tenant(organization) as (tx, organization_id):
            return await explain_id(tx, organization_id, connection, any_id, int(here.now.timestamp()))

    found = run(work)
    lines = [str(found["headline"])]
    stop, causes = found["stopped_by"], found["causes"]
    for row in (stop, *(causes if isinstance(causes, list) else ())):
        if isinstance(row, dict):
            sentence = "" if str(row["sentence"]) in lines[0] else f"{row['sentence']} "
            lines.append(f"  {'' if row.get('is_certain', True) else 'Perhaps: '}{sentence}{row['remedy']}")
    show(found, "\n".join((*lines, "", json.dumps(found, indent=2, ensure_ascii=False))), as_json=as_json)
