"""refref doctor: what is wrong with connections and books, why we think so, and what mends it; mending it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.running import ACTOR, AsJson, ConnectionId, Installation, Organization, run, show

if TYPE_CHECKING:
    from refref.core.diagnoses import Diagnosis
    from refref.core.findings import Finding


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    repair: Annotated[
        str | None, typer.Option(help="Mend the fault of this code, where the doctor can; needs --connection.")
    ] = None,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Look for all that can be wrong and check the invariants of the books; asked of all organizations, also for what
    the platform's endpoints hear of strangers. Ends with 1 for an error only."""
    if repair is not None:
        _repair(repair, organization, connection, as_json=as_json)
        return
    findings, diagnoses = run(lambda here: _examine(here, organization, connection))
    is_ok = all(finding.ok for own in findings.values() for finding in own)
    is_ok = is_ok and not any(row.severity == "error" for rows in diagnoses.values() for row in rows)
    shown = {"ok": is_ok, "organizations": findings, "diagnoses": diagnoses}
    show(shown, _text(findings, diagnoses), as_json=as_json)
    if not is_ok:
        raise typer.Exit(1)


async def _examine(
    here: Installation, organization: str | None, connection: str | None
) -> tuple[dict[str, list[Finding]], dict[str, list[Diagnosis]]]:
    from refref.db import connections
    from refref.flows.doctor import examine_connection, examine_platform
    from refref.flows.invariants import check_invariants
    from refref.vault import Vault

    vault = Vault(here.settings.master_keys, here.settings.platforms)
    findings: dict[str, list[Finding]] = {}
    diagnoses: dict[str, list[Diagnosis]] = {}
    for organization_id in await here.organization_ids(organization):
        async with here.database.tenant(organization_id) as tx:
            findings[organization_id] = await check_invariants(tx, organization_id)
            for row in await connections.connections(tx, organization_id, limit=1000):
                if connection in (None, row.connection_id):
                    found = await examine_connection(tx, organization_id, row, vault, now=here.now)
                    diagnoses[row.connection_id] = list(found.diagnoses)
    if organization is None and connection is None:
        async with here.database.reference() as tx:
            strays = await examine_platform(tx, now=here.now)
        diagnoses |= {"platform": strays} if strays else {}
    return findings, diagnoses


def _repair(code: str, organization: str | None, connection: str | None, *, as_json: bool) -> None:
    from refref.core.known_faults import FAULTS
    from refref.flows.doctor_repairs import repair_fault

    async def work(here: Installation) -> int:
        async with here.books(organization, connection) as (tx, own):
            return await repair_fault(tx, *own, code, actor=ACTOR, now=here.now)

    count = run(work)
    is_noted = FAULTS[code].fix.repair == "mended"
    text = "noted; only what comes later counts." if is_noted else f"done ({count} put to work)."
    show({"code": code, "repaired": count}, f"{code}: {text}", as_json=as_json)


def _text(findings: dict[str, list[Finding]], diagnoses: dict[str, list[Diagnosis]]) -> str:
    if not findings:
        return "No organizations yet."
    lines: list[str] = []
    for connection_id, rows in diagnoses.items():
        if not rows:
            lines.append(f"{connection_id}: nothing is wrong.")
        for row in rows:
            lines.append(f"{row.severity.upper()}  {connection_id}  {row.code}: {row.sentence}")
            if row.last_at is not None:
                lines.append(f"    last seen {datetime.fromtimestamp(row.last_at, UTC):%Y-%m-%d %H:%M} UTC")
            lines += [f"    {item}" for item in row.evidence]
            lines.append(f"    -> {row.fix.sentence}")
            if row.fix.repair:
                lines.append(f"       refref doctor --connection {connection_id} --repair {row.code}")
            elif row.fix.command:
                lines.append(f"       {row.fix.command}")
            lines += [f"       {line}" for line in row.fix.snippet.splitlines()]
    for organization_id, own in findings.items():
        broken = [finding for finding in own if not finding.ok]
        lines += [f"BROKEN  {organization_id}  {finding.name}: {finding.detail}" for finding in broken]
        if not broken:
            lines.append(f"{organization_id}: all {len(own)} invariants of the books hold.")
    return "\n".join(lines)
