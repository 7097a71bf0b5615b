"""refref program, refref participant: programs through their life, and who takes part in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.files import read_file
from refref.cli.running import (
    ACTOR,
    AsJson,
    ConnectionId,
    Installation,
    Instant,
    Organization,
    ProgramId,
    Yes,
    confirm,
    fail,
    given_instant,
    run,
    show,
    table,
    told,
)

if TYPE_CHECKING:
    from refref.core.terms import Terms
    from refref.db.participants import Participant, ParticipantCode
    from refref.db.profiles import Profile
    from refref.db.programs import Program

Groups = Annotated[
    list[str] | None, typer.Option("--group", help="A group of yours, for overrides; may be given several times.")
]
Metadata = Annotated[list[str] | None, typer.Option("--metadata", help="NAME=VALUE; may be given several times.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    program = typer.Typer(help="Programs and their life.", no_args_is_help=True)
    for name, command in (
        ("create", create_program),
        ("list", list_programs),
        ("pause", pause_program),
        ("resume", resume_program),
        ("archive", archive_program),
        ("duplicate", duplicate_program),
        ("templates", list_templates),
    ):
        program.command(name)(command)
    app.add_typer(program, name="program")
    participant = typer.Typer(help="People who refer.", no_args_is_help=True)
    participant.command("create")(create_participant)
    participant.command("profile")(set_profile)
    app.add_typer(participant, name="participant")


def create_program(
    name: Annotated[str, typer.Option(help="What to call it.")],
    terms: Annotated[
        Path | None,
        typer.Option(help="A file with the terms, YAML or JSON; without it the defaults.", exists=True, dir_okay=False),
    ] = None,
    template: Annotated[str | None, typer.Option(help="Begin with a template: refref program templates.")] = None,
    currency: Annotated[str, typer.Option(help="Of the template's amounts.")] = "usd",
    draft: Annotated[
        bool, typer.Option("--draft", help="Keep the terms as a draft: nothing is earned until it is published.")
    ] = False,
    effective_at: Instant = None,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Make a program with the first version of its terms."""
    from refref.flows import programs

    starts_at = given_instant(effective_at)
    first = _first_terms(terms, template, currency)

    async def work(here: Installation) -> dict[str, object]:
        async with here.tenant(organization) as (tx, organization_id):
            connection_id = (await here.connection(tx, organization_id, connection)).connection_id
            if draft:
                program, _ = await programs.create_program_draft(
                    tx, organization_id, connection_id=connection_id, name=name, terms=first, actor=ACTOR, now=here.now
                )
                return {"program_id": program.program_id, "terms_version": None, "effective_at": None}
            program, version = await programs.create_program(
                tx,
                organization_id,
                connection_id=connection_id,
                name=name,
                terms=first,
                effective_at=starts_at,
                actor=ACTOR,
                now=here.now,
            )
        return {
            "program_id": program.program_id,
            "terms_version": version.version,
            "effective_at": version.effective_at,
        }

    made = run(work)
    state = "its terms are a draft" if draft else f"terms in force from {made['effective_at']:%Y-%m-%d %H:%M} UTC"
    show(made, f"{made['program_id']}, {state}", as_json=as_json)


def _first_terms(file: Path | None, template: str | None, currency: str) -> Terms:
    """The terms of a file or a template, else the defaults."""
    from refref.core.templates import terms_of_template
    from refref.core.terms import Terms
    from refref.core.terms_document import read_terms

    if file is not None and template is not None:
        fail("give --terms or --template, not both.", code=2)
    if file is not None:
        return read_file(file, read_terms)
    with told():
        return Terms() if template is None else terms_of_template(template, currency)


def list_programs(organization: Organization = None, connection: ConnectionId = None, as_json: AsJson = False) -> None:
    """List the programs, the newest first."""
    from refref.db import programs

    async def work(here: Installation) -> list[Program]:
        async with here.tenant(organization) as (tx, organization_id):
            return await programs.programs(tx, organization_id, connection_id=connection, limit=1000)

    rows = run(work)
    lines = [(row.program_id, row.status, row.connection_id, row.name) for row in rows]
    show(rows, table(lines) or "No programs.", as_json=as_json)


def pause_program(program: ProgramId, organization: Organization = None, as_json: AsJson = False) -> None:
    """Take nobody new for now; who is bound goes on earning."""
    _change_status("pause", program, organization, as_json)


def resume_program(program: ProgramId, organization: Organization = None, as_json: AsJson = False) -> None:
    """Take new referees again from now on."""
    _change_status("resume", program, organization, as_json)


def archive_program(
    program: ProgramId,
    yes: Yes = False,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """End a program for good: what comes from now on earns nothing."""
    confirm(f"Archive {program} for good?", yes=yes)
    _change_status("archive", program, organization, as_json)


def _change_status(verb: str, program_id: str, organization: str | None, as_json: bool) -> None:
    from refref.flows import programs

    flow = {
        "pause": programs.pause_program,
        "resume": programs.resume_program,
        "archive": programs.archive_program,
    }[verb]

    async def work(here: Installation) -> Program:
        async with here.tenant(organization) as (tx, organization_id):
            return await flow(tx, organization_id, program_id, actor=ACTOR, now=here.now)

    changed = run(work)
    show({"program_id": program_id, "status": changed.status}, f"{program_id} is {changed.status}.", as_json=as_json)


def duplicate_program(
    program: ProgramId,
    name: Annotated[str | None, typer.Option(help="Copy of …, unless given.")] = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Make a program with the texts of another and, as a draft, its terms."""
    from refref.flows import programs

    async def work(here: Installation) -> Program:
        async with here.tenant(organization) as (tx, organization_id):
            made, _ = await programs.duplicate_program(
                tx, organization_id, program, name=name, actor=ACTOR, now=here.now
            )
            return made

    made = run(work)
    shown = {"program_id": made.program_id, "name": made.name}
    show(shown, f"{made.program_id} “{made.name}”, its terms are a draft", as_json=as_json)


def list_templates(
    currency: Annotated[str, typer.Option(help="Of the amounts.")] = "usd", as_json: AsJson = False
) -> None:
    """Show the terms that a program can begin with, and whom they are for."""
    from refref.core.templates import TEMPLATES, terms_of_template
    from refref.core.terms_words import sentences_of

    with told():
        found = [(template, sentences_of(terms_of_template(template.template_id, currency))) for template in TEMPLATES]
    lines = [
        f"{template.template_id}: {template.name}\n  {template.for_whom}\n" + "".join(f"  - {one}\n" for one in words)
        for template, words in found
    ]
    shown = [
        {"template_id": t.template_id, "name": t.name, "for_whom": t.for_whom, "sentences": words} for t, words in found
    ]
    show(shown, "\n".join(lines).rstrip(), as_json=as_json)


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
