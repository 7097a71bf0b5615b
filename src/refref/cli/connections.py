"""refref connections: connect with a key that is tried first, check, the webhook endpoint, and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import (
    ACTOR,
    AsJson,
    ConnectionId,
    Installation,
    Organization,
    Yes,
    confirm,
    run,
    secret_from,
    show,
    table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refref.connecting.access import Acting, Desk
    from refref.db.connection_health import ConnectionProblem
    from refref.db.connections import StripeConnection


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Connections to Stripe, checked and repaired.", no_args_is_help=True)
    group.command("list")(list_connections)
    group.command("connect")(connect)
    group.command("check")(check)
    group.command("key")(change_key)
    group.command("endpoint")(endpoint)
    group.command("disconnect")(end)
    app.add_typer(group, name="connections")


def list_connections(organization: Organization = None, as_json: AsJson = False) -> None:
    """List connections with their state and what is wrong with them."""
    from refref.db import connection_health, connections

    async def work(here: Installation) -> tuple[list[StripeConnection], list[ConnectionProblem]]:
        async with here.tenant(organization) as (tx, organization_id):
            return (
                await connections.connections(tx, organization_id, limit=1000),
                await connection_health.open_problems(tx, organization_id),
            )

    known, problems = run(work)
    rows = [
        {
            "connection_id": row.connection_id,
            "name": row.name,
            "mode": row.mode,
            "status": row.status,
            "access": row.access,
            "stripe_account_id": row.stripe_account_id,
            "problems": _codes(problems, row.connection_id),
        }
        for row in known
    ]
    text = table(
        [
            [row.connection_id, row.name, row.mode, row.status, ", ".join(_codes(problems, row.connection_id))]
            for row in known
        ]
    )
    show(rows, text, as_json=as_json)


def connect(
    name: Annotated[str, typer.Option(help="What to call it.")] = "Stripe",
    api_key: Annotated[str, typer.Option(help="rk_… (or sk_…); - asks for it.")] = "-",
    api_base: Annotated[str | None, typer.Option(help="In test mode: a sandbox on this machine.")] = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Try a Stripe key and connect its account."""
    from refref.connecting.keys import connect_with_key, present_report
    from refref.flows.connections import NewConnection

    given = NewConnection(name=name, api_key=secret_from(api_key, "Stripe key"), api_base=api_base)

    async def work(here: Installation) -> tuple[StripeConnection, Mapping[str, object]]:
        desk, acting = await desk_and_acting(here, organization)
        made, report = await connect_with_key(desk, acting, given)
        return made, present_report(report)

    made, report = run(work)
    shown = {"connection_id": made.connection_id, "mode": made.mode, **report}
    show(shown, f"{made.connection_id} ({made.mode} mode)\n{report_text(report)}", as_json=as_json)


def check(
    connection: ConnectionId = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Try the key's permissions and look at the webhook endpoint; ends with 1 when something needed is missing."""
    from refref.connecting.endpoints import review_webhooks
    from refref.connecting.keys import check_permissions, present_report
    from refref.core.refusals import Refused

    async def work(here: Installation) -> tuple[Mapping[str, object], Mapping[str, object] | None, bool]:
        desk, acting = await desk_and_acting(here, organization)
        connection_id = await _connection_id(here, acting, connection)
        report = await check_permissions(desk, acting, connection_id)
        try:
            seen = await review_webhooks(desk, acting, connection_id)
        except Refused as refused:
            if refused.code not in ("platform_endpoint", "stripe_permission_missing"):
                raise
            return present_report(report), None, bool(report.missing)
        is_faulty = any(found.is_error for found in seen.review.findings)
        return present_report(report), seen.present(), bool(report.missing) or is_faulty

    permissions, endpoint_seen, is_wrong = run(work)
    text = report_text(permissions)
    if endpoint_seen is not None:
        text += f"\n\n{_endpoint_text(endpoint_seen)}"
    show({"permissions": permissions, "endpoint": endpoint_seen}, text, as_json=as_json)
    if is_wrong:
        raise typer.Exit(1)


def change_key(
    api_key: Annotated[str, typer.Option(help="rk_… of the same account; - asks for it.")] = "-",
    connection: ConnectionId = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Try another Stripe key and use it from now on."""
    from refref.connecting.keys import exchange_key, present_report

    secret = secret_from(api_key, "Stripe key") or ""

    async def work(here: Installation) -> Mapping[str, object]:
        desk, acting = await desk_and_acting(here, organization)
        return present_report(await exchange_key(desk, acting, await _connection_id(here, acting, connection), secret))

    report = run(work)
    show(report, report_text(report), as_json=as_json)


def endpoint(
    repair: Annotated[bool, typer.Option("--repair", help="Make it, or mend what is wrong.")] = False,
    roll: Annotated[bool, typer.Option("--roll", help="Exchange its signing secret; both hold for a day.")] = False,
    connection: ConnectionId = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Look at the webhook endpoint at Stripe; ends with 1 when money can be missed."""
    from refref.connecting.endpoints import ReviewedEndpoint, repair_webhooks, review_webhooks

    async def work(here: Installation) -> ReviewedEndpoint:
        desk, acting = await desk_and_acting(here, organization)
        connection_id = await _connection_id(here, acting, connection)
        if repair or roll:
            return await repair_webhooks(desk, acting, connection_id, roll_secret=roll)
        return await review_webhooks(desk, acting, connection_id)

    seen = run(work)
    show(seen.present(), _endpoint_text(seen.present()), as_json=as_json)
    if any(found.is_error for found in seen.review.findings):
        raise typer.Exit(1)


def end(
    yes: Yes = False,
    connection: ConnectionId = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """End a connection: its endpoint goes and its secrets end; the books stay."""
    from refref.connecting.endpoints import end_connection

    confirm("End the connection?", yes=yes)

    async def work(here: Installation) -> tuple[StripeConnection, str | None]:
        desk, acting = await desk_and_acting(here, organization)
        return await end_connection(desk, acting, await _connection_id(here, acting, connection))

    ended, left = run(work)
    shown = {"connection_id": ended.connection_id, "status": ended.status, "left_to_do": left}
    show(shown, f"{ended.connection_id} is ended." + (f"\n{left}" if left else ""), as_json=as_json)


def _codes(problems: list[ConnectionProblem], connection_id: str) -> list[str]:
    return [problem.code for problem in problems if problem.connection_id == connection_id]


async def desk_and_acting(here: Installation, organization: str | None) -> tuple[Desk, Acting]:
    """Where a command takes the steps of connecting, and for whom."""
    from refref.connecting.access import Acting, Desk
    from refref.vault import Vault

    vault = Vault(here.settings.master_keys, here.settings.platforms)
    acting = Acting(await here.organization_id(organization), ACTOR, here.now)
    return Desk(here.database, vault, here.settings.base_url), acting


async def _connection_id(here: Installation, acting: Acting, given: str | None) -> str:
    async with here.database.tenant(acting.organization_id) as tx:
        return (await here.connection(tx, acting.organization_id, given)).connection_id


def report_text(report: Mapping[str, object] | None) -> str:
    """What a key can do; without one, what is missing."""
    from refref.core.permission_table import WITHOUT_KEY

    if report is None:
        return "\n".join(["Without a key it only listens:", *(f"- {line}" for line in WITHOUT_KEY)])
    rows = report["permissions"]
    assert isinstance(rows, list)
    lines = table([[row["name"], row["state"].replace("_", " "), row["need"], row["purpose"]] for row in rows])
    warnings = report["warnings"]
    assert isinstance(warnings, list)
    return "\n".join([lines, *warnings])


def _endpoint_text(seen: Mapping[str, object]) -> str:
    findings = seen["findings"]
    assert isinstance(findings, list)
    head = f"{seen['stripe_endpoint_id'] or 'No endpoint'}: {seen['url']}"
    if not findings:
        return f"{head}\nNothing is wrong with it."
    rows = [[row["code"], row["sentence"], ", ".join(row["names"][:6])] for row in findings]
    return f"{head}\n{table(rows)}\nMend it: refref connections endpoint --repair"
