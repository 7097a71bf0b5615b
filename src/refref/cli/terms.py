"""refref terms: a program and its terms as a file, checked, compared, published; drafts and versions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refref.cli.backtest import money_of_plan
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
)

if TYPE_CHECKING:
    from datetime import datetime

    from refref.core.terms import Terms
    from refref.core.terms_document import TermsDocument
    from refref.db.drafts import TermsDraft
    from refref.db.pool import Connection
    from refref.db.programs import Program, StoredTerms
    from refref.flows.terms_file import Applied, TermsPlan

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON.", exists=True, dir_okay=False)]
OtherProgram = Annotated[
    str | None, typer.Option("--program", help="Program id, in place of the one that the file names.")
]
HEAD = """\
Terms of “{name}”, {version}. Amounts are minor units, rates basis points; docs/terms.md tells what each field means.
`refref terms plan FILE` shows what a change would do, `refref terms apply FILE` publishes it."""


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Terms as files, versions and drafts.", no_args_is_help=True)
    for name, command in (
        ("export", export_terms),
        ("validate", validate_terms),
        ("plan", plan_terms),
        ("apply", apply_terms),
        ("history", list_versions),
        ("diff", diff_terms),
        ("publish", publish_draft),
        ("discard", discard_draft),
        ("schema", print_schema),
    ):
        group.command(name)(command)
    app.add_typer(group, name="terms")


def export_terms(
    program: ProgramId,
    version: Annotated[str | None, typer.Option(help="A number, or draft; the newest unless given.")] = None,
    as_format: Annotated[str, typer.Option("--format", help="yaml or json.")] = "yaml",
    output: Annotated[Path | None, typer.Option(help="Write it to a file.", dir_okay=False)] = None,
    organization: Organization = None,
) -> None:
    """Print a program with its terms as a file that `terms apply` takes."""
    from refref.core.terms_document import ProgramPart, TermsDocument, document_to_json, document_to_yaml

    if as_format not in ("yaml", "json"):
        fail("--format is yaml or json.", code=2)

    async def work(here: Installation) -> tuple[Program, str, Terms]:
        async with here.tenant(organization) as (tx, organization_id):
            return await _terms_of(tx, organization_id, program, version)

    found, name, terms = run(work)
    part = ProgramPart(found.name, found.program_id, found.eligibility_text, found.terms_text)
    document = TermsDocument(part, terms)
    head = HEAD.format(name=found.name, version=name)
    text = document_to_yaml(document, head) if as_format == "yaml" else document_to_json(document)
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")


def validate_terms(file: File, as_json: AsJson = False) -> None:
    """Check a file, and say in words what it says. Needs no database; ends with 1 and every fault with its line."""
    from refref.core.terms_document import read_document
    from refref.core.terms_words import sentences_of

    document = read_file(file, read_document)
    sentences = sentences_of(document.terms)
    shown = {"ok": True, "name": document.program.name, "sentences": sentences}
    show(shown, "\n".join([f"{file} can be published.", *(f"- {one}" for one in sentences)]), as_json=as_json)


def plan_terms(
    file: File,
    program: OtherProgram = None,
    money: Annotated[bool, typer.Option(help="Try changed terms on the program's own history, too.")] = True,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Show what applying a file would change, and what changed terms would have given so far. Changes nothing."""
    from refref.core.terms_document import read_document

    document = read_file(file, read_document)
    plan = _plan(document, program, organization, connection)
    found, lines = money_of_plan(plan, document.terms) if money else (None, [])
    show({**_plan_shown(plan), "backtest": found}, "\n".join([*plan_lines(plan), *lines]), as_json=as_json)


def apply_terms(
    file: File,
    yes: Yes = False,
    draft: Annotated[bool, typer.Option("--draft", help="Save it as the program's draft instead.")] = False,
    effective_at: Instant = None,
    program: OtherProgram = None,
    organization: Organization = None,
    connection: ConnectionId = None,
    as_json: AsJson = False,
) -> None:
    """Show what a file would change, ask, and do it: make or change the program, publish its terms if they differ."""
    from refref.core.terms_document import read_document

    starts_at = given_instant(effective_at)
    document = read_file(file, read_document)
    plan = _plan(document, program, organization, connection)
    if draft and plan.program is not None and plan.program_changes:
        plan = replace(plan, program_changes=())
        print("The name and texts are no part of a draft: refref program update changes them.", file=sys.stderr)
    if not as_json:
        print("\n".join(plan_lines(plan)))
    if plan.is_empty:
        if as_json:
            show({**_plan_shown(plan), "version": None}, "", as_json=True)
        return
    confirm("Save it as the draft?" if draft else "Apply this?", yes=yes)
    if draft:
        saved = _save_as_draft(document, plan, organization)
        shown = {**_plan_shown(plan), "revision": saved.revision}
        show(shown, f"{saved.program_id}: draft saved, revision {saved.revision}.", as_json=as_json)
        return

    done = _apply(document, plan, starts_at, organization, connection)
    version = None if done.version is None else done.version.version
    shown = {**_plan_shown(plan), "program_id": done.program_id, "version": version}
    since = "" if done.version is None else f"{done.version.effective_at:%Y-%m-%d %H:%M} UTC"
    said = f"version {version} from {since}" if since else "its terms stay"
    show(shown, f"{done.program_id}: {said}.", as_json=as_json)


def list_versions(program: ProgramId, organization: Organization = None, as_json: AsJson = False) -> None:
    """List the versions of a program's terms, the newest first, each with what it changed."""
    from refref.core.terms_words import differences, sentences_of
    from refref.db import programs
    from refref.flows.terms_names import names_in

    async def work(here: Installation) -> tuple[list[StoredTerms], dict[str, str]]:
        async with here.tenant(organization) as (tx, organization_id):
            found = await _require(tx, organization_id, program)
            known = await programs.terms_versions(tx, organization_id, program)
            return known, await names_in(tx, organization_id, found.connection_id, [one.terms for one in known])

    rows, names = run(work)
    shown = []
    lines: list[tuple[str, str, str]] = []
    for number, row in enumerate(rows):
        before = rows[number + 1] if number + 1 < len(rows) else None
        changes = sentences_of(row.terms, names) if before is None else differences(before.terms, row.terms, names)
        shown.append({"version": row.version, "effective_at": row.effective_at, "changes": changes})
        first, *others = changes or ["The same."]
        lines.append((f"version {row.version}", f"from {row.effective_at:%Y-%m-%d %H:%M} UTC", first))
        lines += [("", "", other) for other in others]
    show(shown, table(lines) or "No version is published yet.", as_json=as_json)


def diff_terms(
    program: ProgramId,
    old: Annotated[str, typer.Argument(metavar="FROM", help="A version's number, or draft.")],
    new: Annotated[str, typer.Argument(metavar="TO", help="A version's number, or draft.")] = "draft",
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Say in words what changes from one version, or the draft, to another."""
    from refref.core.terms_words import differences
    from refref.flows.terms_names import names_in

    async def work(here: Installation) -> list[str]:
        async with here.tenant(organization) as (tx, organization_id):
            found, _, before = await _terms_of(tx, organization_id, program, old)
            _, _, after = await _terms_of(tx, organization_id, program, new)
            names = await names_in(tx, organization_id, found.connection_id, [before, after])
        return differences(before, after, names)

    found = run(work)
    show({"differences": found}, "\n".join(found) or "Nothing.", as_json=as_json)


def publish_draft(
    program: ProgramId,
    yes: Yes = False,
    effective_at: Instant = None,
    organization: Organization = None,
    as_json: AsJson = False,
) -> None:
    """Show what a program's draft changes, ask, and make it the next version."""
    from refref.core.terms_words import differences, sentences_of
    from refref.db import programs
    from refref.flows import drafts
    from refref.flows.terms_names import names_in

    starts_at = given_instant(effective_at)

    async def look(here: Installation) -> tuple[TermsDraft, list[str]]:
        async with here.tenant(organization) as (tx, organization_id):
            draft = await drafts.require_draft(tx, organization_id, program)
            newest = await programs.latest_terms(tx, organization_id, program)
            found = await _require(tx, organization_id, program)
            shown = [draft.terms, *([newest.terms] if newest else [])]
            names = await names_in(tx, organization_id, found.connection_id, shown)
        return draft, sentences_of(draft.terms, names) if newest is None else differences(
            newest.terms, draft.terms, names
        )

    draft, changes = run(look)
    if not as_json:
        print("\n".join(changes) or "It changes nothing.")
    confirm("Publish this?", yes=yes)

    async def work(here: Installation) -> StoredTerms:
        async with here.tenant(organization) as (tx, organization_id):
            return await drafts.publish_draft(
                tx,
                organization_id,
                program,
                effective_at=starts_at,
                revision=draft.revision,
                actor=ACTOR,
                now=here.now,
            )

    made = run(work)
    shown = {"version": made.version, "effective_at": made.effective_at, "changes": changes}
    show(shown, f"Version {made.version} from {made.effective_at:%Y-%m-%d %H:%M} UTC.", as_json=as_json)


def discard_draft(program: ProgramId, organization: Organization = None, as_json: AsJson = False) -> None:
    """Throw a program's draft away."""
    from refref.flows import drafts

    async def work(here: Installation) -> TermsDraft:
        async with here.tenant(organization) as (tx, organization_id):
            return await drafts.discard_draft(tx, organization_id, program, actor=ACTOR, now=here.now)

    gone = run(work)
    show({"program_id": program, "revision": gone.revision}, f"The draft of {program} is gone.", as_json=as_json)


def print_schema() -> None:
    """Print the JSON Schema of the file (docs/terms.schema.json)."""
    import msgspec

    from refref.core.terms_document import document_schema

    print(msgspec.json.format(msgspec.json.encode(document_schema()), indent=2).decode())


def plan_lines(plan: TermsPlan) -> list[str]:
    """A plan for people."""
    if plan.is_empty:
        return ["Nothing to change."]
    lines = list(plan.program_changes)
    if plan.terms_changes:
        lines.append(
            f"Version {plan.based_on_version + 1} of the terms:" if plan.based_on_version else "The first terms:"
        )
        lines += [f"- {change}" for change in plan.terms_changes]
    return lines


def _plan(document: TermsDocument, program: str | None, organization: str | None, connection: str | None) -> TermsPlan:
    from refref.flows.terms_file import plan_document

    async def work(here: Installation) -> TermsPlan:
        async with here.tenant(organization) as (tx, organization_id):
            is_named = program or document.program.program_id
            chosen = "" if is_named else (await here.connection(tx, organization_id, connection)).connection_id
            return await plan_document(tx, organization_id, document, connection_id=chosen, program_id=program)

    return run(work)


def _plan_shown(plan: TermsPlan) -> dict[str, object]:
    return {
        "program_id": None if plan.program is None else plan.program.program_id,
        "based_on_version": plan.based_on_version,
        "program_changes": plan.program_changes,
        "terms_changes": plan.terms_changes,
    }


def _apply(
    document: TermsDocument,
    plan: TermsPlan,
    effective_at: datetime | None,
    organization: str | None,
    connection: str | None,
) -> Applied:
    from refref.flows.terms_file import apply_document

    async def work(here: Installation) -> Applied:
        async with here.tenant(organization) as (tx, organization_id):
            connection_id = await _connection_id(here, tx, organization_id, connection, plan)
            return await apply_document(
                tx,
                organization_id,
                document,
                connection_id=connection_id,
                program_id=None if plan.program is None else plan.program.program_id,
                based_on_version=plan.based_on_version,
                effective_at=effective_at,
                actor=ACTOR,
                now=here.now,
            )

    return run(work)


def _save_as_draft(document: TermsDocument, plan: TermsPlan, organization: str | None) -> TermsDraft:
    from refref.flows import drafts

    if plan.program is None:
        fail("there is no such program yet: refref program create --draft --terms FILE makes one.")
    program_id = plan.program.program_id

    async def work(here: Installation) -> TermsDraft:
        async with here.tenant(organization) as (tx, organization_id):
            return await drafts.save_draft(
                tx,
                organization_id,
                program_id,
                terms=document.terms,
                based_on_version=plan.based_on_version,
                actor=ACTOR,
                now=here.now,
            )

    return run(work)


async def _connection_id(
    here: Installation, tx: Connection, organization_id: str, given: str | None, plan: TermsPlan
) -> str:
    if plan.program is not None:
        return plan.program.connection_id
    return (await here.connection(tx, organization_id, given)).connection_id


async def _require(tx: Connection, organization_id: str, program_id: str) -> Program:
    from refref.core.refusals import Refused
    from refref.db import programs

    found = await programs.program_by_id(tx, organization_id, program_id)
    if found is None:
        raise Refused("unknown_program", "There is no program with this id.", "PROGRAM")
    return found


async def _terms_of(
    tx: Connection, organization_id: str, program_id: str, name: str | None
) -> tuple[Program, str, Terms]:
    """The program, what the version is called, and its terms; the newest, else the draft, unless one is named."""
    from refref.core.refusals import Refused
    from refref.db import programs
    from refref.flows import drafts

    program = await _require(tx, organization_id, program_id)
    newest = await programs.latest_terms(tx, organization_id, program_id)
    if name == "draft" or (name is None and newest is None):
        return program, "draft", (await drafts.require_draft(tx, organization_id, program_id)).terms
    found = newest
    if name is not None:
        is_number = name.isascii() and name.isdigit() and len(name) <= 9
        found = await programs.terms_version(tx, organization_id, program_id, int(name)) if is_number else None
    if found is None:
        raise Refused("unknown_version", "There is no such version: give its number, or draft.", name)
    return program, f"version {found.version}", found.terms
