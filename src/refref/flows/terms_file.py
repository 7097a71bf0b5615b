"""Terms as a file: what applying it would change, and applying it. The file itself is read by core.terms_document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.core.refusals import Refused
from refref.core.terms_document import ProgramPart, TermsDocument
from refref.core.terms_words import differences, sentences_of
from refref.db import audit, programs
from refref.db.pool import Connection
from refref.db.programs import Program, StoredTerms
from refref.flows.checks import check_long_text, check_name
from refref.flows.publishing import SINCE_EVER, add_version, check_newest, insert_program, require_program
from refref.flows.terms_names import names_in


@dataclass(frozen=True, slots=True)
class TermsPlan:
    """What applying a file would change, in words. `program` None: one would be made.

    `based_on_version`: the newest version it was compared with, 0 for none; applying takes it, so that what was shown
    is what is done.
    """

    program: Program | None
    based_on_version: int
    program_changes: tuple[str, ...]
    terms_changes: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether applying would change nothing."""
        return not self.program_changes and not self.terms_changes


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done: `version` None where the terms stayed as they were."""

    program_id: str
    plan: TermsPlan
    version: StoredTerms | None


async def plan_document(
    tx: Connection, organization_id: str, document: TermsDocument, *, connection_id: str, program_id: str | None = None
) -> TermsPlan:
    """What applying a document would change. The program is the one named by `program_id`, else by the document's id,
    else by its name on the connection. Raises Refused: unknown_program, ambiguous_program."""
    found = await _program_of(tx, organization_id, document.program, connection_id, program_id)
    if found is None:
        made = f"Program “{document.program.name}” is made."
        names = await names_in(tx, organization_id, connection_id, [document.terms])
        return TermsPlan(None, 0, (made,), tuple(sentences_of(document.terms, names)))
    latest = await programs.latest_terms(tx, organization_id, found.program_id)
    shown = [document.terms, *([latest.terms] if latest else [])]
    names = await names_in(tx, organization_id, found.connection_id, shown)
    if latest is None:
        return TermsPlan(found, 0, _text_changes(found, document.program), tuple(sentences_of(document.terms, names)))
    changes = tuple(differences(latest.terms, document.terms, names))
    return TermsPlan(found, latest.version, _text_changes(found, document.program), changes)


async def apply_document(
    tx: Connection,
    organization_id: str,
    document: TermsDocument,
    *,
    connection_id: str,
    program_id: str | None = None,
    based_on_version: int | None = None,
    effective_at: datetime | None = None,
    actor: str,
    now: datetime,
) -> Applied:
    """Do what `plan_document` tells: make or change the program, and publish its terms if they differ.

    A new program's terms are in force since ever, unless `effective_at` is given, others' from now on. Raises Refused:
    unknown_program, ambiguous_program, program_archived, invalid_terms, terms_out_of_order, terms_outdated.
    """
    plan = await plan_document(tx, organization_id, document, connection_id=connection_id, program_id=program_id)
    check_newest(plan.based_on_version, based_on_version)
    if plan.program is None and effective_at is None:
        effective_at = SINCE_EVER
    program = await _with_texts(tx, organization_id, plan, document.program, connection_id, actor, now)
    if not plan.terms_changes:
        return Applied(program.program_id, plan, None)
    made = await add_version(
        tx,
        program,
        terms=document.terms,
        effective_at=effective_at,
        based_on_version=plan.based_on_version,
        actor=actor,
        now=now,
    )
    return Applied(program.program_id, plan, made)


async def _with_texts(
    tx: Connection,
    organization_id: str,
    plan: TermsPlan,
    part: ProgramPart,
    connection_id: str,
    actor: str,
    now: datetime,
) -> Program:
    """The program, made or with the name and texts of the file."""
    name = check_name(part.name, "program.name")
    eligibility_text = check_long_text(part.eligibility_text, "program.eligibility_text")
    terms_text = check_long_text(part.terms_text, "program.terms_text")
    if plan.program is None:
        return await insert_program(
            tx,
            organization_id,
            connection_id=connection_id,
            name=name,
            eligibility_text=eligibility_text,
            terms_text=terms_text,
            actor=actor,
            now=now,
        )
    program_id = plan.program.program_id
    found = await require_program(tx, organization_id, program_id)
    if plan.program_changes:
        await programs.update_texts(
            tx, organization_id, program_id, name=name, eligibility_text=eligibility_text, terms_text=terms_text
        )
        await audit.record(tx, organization_id, at=now, actor=actor, action="program.update", subject=program_id)
    return found


async def _program_of(
    tx: Connection, organization_id: str, part: ProgramPart, connection_id: str, program_id: str | None
) -> Program | None:
    wanted = program_id or part.program_id
    if wanted:
        found = await programs.program_by_id(tx, organization_id, wanted)
        if found is None:
            remedy = "name another" if program_id else "name another, or take it out to go by the name"
            raise Refused("unknown_program", f"There is no program {wanted}: {remedy}.", "program.program_id")
        return found
    named = await programs.programs_named(tx, organization_id, connection_id, part.name.strip())
    if len(named) > 1:
        known = ", ".join(program.program_id for program in named)
        raise Refused(
            "ambiguous_program", f"Several programs have this name ({known}): give one's id.", "program.program_id"
        )
    return named[0] if named else None


def _text_changes(program: Program, part: ProgramPart) -> tuple[str, ...]:
    changes = []
    if program.name != part.name:
        changes.append(f"Name: “{program.name}” becomes “{part.name}”.")
    if program.eligibility_text != part.eligibility_text.strip():
        changes.append("The text on who may take part changes.")
    if program.terms_text != part.terms_text.strip():
        changes.append("The terms text changes.")
    return tuple(changes)
