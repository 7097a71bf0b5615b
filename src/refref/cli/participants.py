"""refref participant: who takes part in programs, with their codes, balances and groups."""

from __future__ import annotations

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
)

if TYPE_CHECKING:
    from refref.db.participants import Participant, ParticipantCode
    from refref.db.profiles import Profile
    from refref.db.reports import Page, ParticipantRow

Groups = Annotated[
    list[str] | None, typer.Option("--group", help="A group of yours, for overrides; may be given several times.")
]
Metadata = Annotated[list[str] | None, typer.Option("--metadata", help="NAME=VALUE; may be given several times.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    participant = typer.Typer(help="People who refer.", no_args_is_help=True)
    participant.command("create")(create_participant)
    participant.command("list")(list_participants)
    participant.command("profile")(set_profile)
    app.add_typer(participant, name="participant")


def list_participants(
    program: Annotated[str | None, typer.Option(help="Program id.")] = None,
    search: Annotated[str | None, typer.Option(help="A part of a name, an e-mail address, an id or a code.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """List participants with their codes and what is payable to them, the newest first."""
    from refref.core.money import format_amount
    from refref.db import reports

    async def work(here: Installation) -> Page[ParticipantRow]:
        async with here.books(organization, connection) as (tx, own):
            return await reports.participants_page(tx, *own, program_id=program, search=search, limit=limit)

    rows = run(work).rows
    lines = [
        (
            row.participant_id,
            row.status,
            row.name,
            row.email,
            " ".join(row.codes),
            f"{row.referral_count} referred",
            ", ".join(format_amount(one.payable_minor, one.currency) for one in row.balances if one.payable_minor),
        )
        for row in rows
    ]
    show(rows, table(lines) or "No participants.", as_json=as_json)


def create_participant(
    program: Annotated[str, typer.Option(help="Program id.")],
    name: Annotated[str, typer.Option(help="Name to show.")],
    email: Annotated[str, typer.Option(help="E-mail address.")],
    kind: Annotated[str, typer.Option(help="referrer or affiliate.")] = "affiliate",
    refcode: Annotated[str | None, typer.Option(help="Made when left out.")] = None,
    created_at: Instant = None,
    group: Groups = None,
    country: Annotated[str, typer.Option(help="Two upper-case letters.")] = "",
    metadata: Metadata = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Add a participant with a refcode."""
    from refref.flows import participants

    since = given_instant(created_at)
    pairs = _pairs(metadata or [])

    async def work(here: Installation) -> tuple[Participant, ParticipantCode]:
        async with here.tenant(organization) as (tx, organization_id):
            return await participants.create_participant(
                tx,
                organization_id,
                program_id=program,
                kind=kind,
                name=name,
                email=email,
                refcode=refcode,
                created_at=since,
                groups=group or [],
                country=country,
                metadata=pairs,
                actor=ACTOR,
                now=here.now,
            )

    made, code = run(work)
    shown = {"participant_id": made.participant_id, "refcode": code.shown_as}
    show(shown, f"{made.participant_id} with refcode {code.shown_as}", as_json=as_json)


def set_profile(
    participant: Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Participant id.")],
    group: Groups = None,
    no_groups: Annotated[bool, typer.Option("--no-groups", help="Take them out of every group.")] = False,
    country: Annotated[str | None, typer.Option(help="Two upper-case letters; empty: unknown.")] = None,
    metadata: Metadata = None,
    since_at: Instant = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Say what holds of a participant from now on; what is not given stays. Earlier conversions keep what held."""
    from refref.flows import profiles

    since = given_instant(since_at)
    groups = [] if no_groups else group or None
    pairs = _pairs(metadata) if metadata else None

    async def work(here: Installation) -> Profile:
        async with here.tenant(organization) as (tx, organization_id):
            return await profiles.set_profile(
                tx,
                organization_id,
                participant,
                groups=groups,
                country=country,
                metadata=pairs,
                since_at=since,
                actor=ACTOR,
                now=here.now,
            )

    made = run(work)
    shown = {
        "participant_id": participant,
        "since_at": made.since_at,
        "groups": made.group_names,
        "country": made.country,
        "metadata": dict(made.metadata),
    }
    said = [f"groups {', '.join(made.group_names) or 'none'}", f"country {made.country or 'unknown'}"]
    said += [f"{key}={value}" for key, value in made.metadata.items()]
    show(shown, f"{participant} since {made.since_at:%Y-%m-%d %H:%M} UTC: {'; '.join(said)}", as_json=as_json)


def _pairs(given: list[str]) -> dict[str, str]:
    for text in given:
        if "=" not in text:
            fail(f"--metadata is NAME=VALUE, not {text!r}.", code=2)
    return dict(text.split("=", 1) for text in given)
