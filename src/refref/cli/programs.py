"""refref program: programs through their life, with what they say, and what was given of their budgets."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.files import read_file
from refref.cli.running import (
    ACTOR,
    AsJson,
    ConnectionId,
    Installation,
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
    from refref.db.programs import Program, StoredTerms
    from refref.flows.program_budgets import Budget

EligibilityText = Annotated[str | None, typer.Option(help="Who may take part, for people to read.")]
TermsText = Annotated[str | None, typer.Option(help="The small print, for people to read.")]
FirstInForce = Annotated[
    str | None,
    typer.Option(
        help="From when its terms are in force, such as 2026-01-31T00:00:00Z. Without it since ever: earlier payments "
        "that carry a participant's code earn, too."
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    program = typer.Typer(help="Programs and their life.", no_args_is_help=True)
    for name, command in (
        ("create", create_program),
        ("list", list_programs),
        ("show", show_program),
        ("update", update_program),
        ("pause", pause_program),
        ("resume", resume_program),
        ("archive", archive_program),
        ("duplicate", duplicate_program),
        ("templates", list_templates),
    ):
        program.command(name)(command)
    app.add_typer(program, name="program")


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
    eligibility_text: EligibilityText = None,
    terms_text: TermsText = None,
    effective_at: FirstInForce = None,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Make a program with the first version of its terms."""
    from refref.flows import programs

    starts_at = given_instant(effective_at)
    first = _first_terms(terms, template, currency)
    texts = {"eligibility_text": eligibility_text or "", "terms_text": terms_text or ""}

    async def work(here: Installation) -> dict[str, object]:
        async with here.tenant(organization) as (tx, organization_id):
            connection_id = (await here.connection(tx, organization_id, connection)).connection_id
            if draft:
                program, _ = await programs.create_program_draft(
                    tx,
                    organization_id,
                    connection_id=connection_id,
                    name=name,
                    terms=first,
                    actor=ACTOR,
                    now=here.now,
                    **texts,
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
                **texts,
            )
        return {
            "program_id": program.program_id,
            "terms_version": version.version,
            "effective_at": version.effective_at,
        }

    made = run(work)
    show(made, f"{made['program_id']}, {_state(made['effective_at'], starts_at)}", as_json=as_json)


def _state(effective_at: object, asked_for: datetime | None) -> str:
    """What to say of a new program's terms."""
    if not isinstance(effective_at, datetime):
        return "its terms are a draft: nothing is earned until it is published"
    if asked_for is None:
        return "terms in force since ever: earlier payments that carry a participant's code earn, too"
    return f"terms in force from {effective_at:%Y-%m-%d %H:%M} UTC"


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


def show_program(program: ProgramId, organization: Organization = None, as_json: AsJson = False) -> None:
    """Show a program: its status, the terms in force in words, its texts, and what was given of its budgets."""
    from refref.core.refusals import Refused
    from refref.core.terms_words import sentences_of
    from refref.db import drafts, programs
    from refref.flows.program_budgets import program_budgets, terms_in_force
    from refref.flows.terms_names import names_in

    async def work(here: Installation) -> tuple[Program, StoredTerms | None, bool, list[Budget], dict[str, str]]:
        async with here.tenant(organization) as (tx, organization_id):
            found = await programs.program_by_id(tx, organization_id, program)
            if found is None:
                raise Refused("unknown_program", "There is no program with this id.", "PROGRAM")
            now = await here.connection_now(tx, organization_id, found.connection_id)
            version = await terms_in_force(tx, organization_id, program, now)
            has_draft = await drafts.draft_of(tx, organization_id, program) is not None
            budgets = await program_budgets(tx, organization_id, program, version, now)
            shown = [version.terms] if version else []
            names = await names_in(tx, organization_id, found.connection_id, shown)
            return found, version, has_draft, budgets, names

    found, version, has_draft, budgets, names = run(work)
    sentences = sentences_of(version.terms, names) if version else []
    shown = {
        "program_id": found.program_id,
        "name": found.name,
        "status": found.status,
        "created_at": found.created_at,
        "eligibility_text": found.eligibility_text,
        "terms_text": found.terms_text,
        "has_draft": has_draft,
        "terms_version": version.version if version else None,
        "effective_at": version.effective_at if version else None,
        "starts_at": version.terms.starts_at if version else None,
        "ends_at": version.terms.ends_at if version else None,
        "sentences": sentences,
        "budgets": budgets,
    }
    show(shown, "\n".join(_program_lines(found, version, has_draft, sentences, budgets)), as_json=as_json)


def _program_lines(
    found: Program, version: StoredTerms | None, has_draft: bool, sentences: list[str], budgets: list[Budget]
) -> list[str]:
    from refref.core.money import format_amount

    lines = [f"{found.name} ({found.program_id}), {found.status}{', with a draft' if has_draft else ''}"]
    since = f"Terms, version {version.version}, since {version.effective_at:%Y-%m-%d %H:%M} UTC:" if version else ""
    lines += [since or "No terms are in force.", *(f"- {sentence}" for sentence in sentences)]
    for one in budgets:
        given, cap = format_amount(one.given_minor, one.currency), format_amount(one.cap_minor, one.currency)
        rules = f" from {', '.join(one.rules)}" if one.rules else ""
        lines.append(f"Budget: {given} of {cap} given ({one.period}){rules}")
    lines += [f"Who may take part: {found.eligibility_text}"] if found.eligibility_text else []
    return [*lines, f"Terms text: {found.terms_text}"] if found.terms_text else lines


def update_program(
    program: ProgramId,
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    eligibility_text: EligibilityText = None,
    terms_text: TermsText = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Change the name or the texts of a program; what is not given stays."""
    from refref.flows import programs

    if name is None and eligibility_text is None and terms_text is None:
        fail("say what to change: --name, --eligibility-text or --terms-text.", code=2)

    async def work(here: Installation) -> Program:
        async with here.tenant(organization) as (tx, organization_id):
            return await programs.update_program(
                tx,
                organization_id,
                program,
                name=name,
                eligibility_text=eligibility_text,
                terms_text=terms_text,
                actor=ACTOR,
                now=here.now,
            )

    changed = run(work)
    shown = {
        "program_id": program,
        "name": changed.name,
        "eligibility_text": changed.eligibility_text,
        "terms_text": changed.terms_text,
    }
    show(shown, f"{program} is “{changed.name}”.", as_json=as_json)


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
