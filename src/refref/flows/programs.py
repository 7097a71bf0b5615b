"""Programs: made, described, paused, resumed, archived and duplicated, and new versions of their terms published."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from refref.core.program_status import ProgramStatus, advance
from refref.core.terms import Terms, terms_to_json
from refref.core.terms_check import check_terms
from refref.db import audit, drafts, programs
from refref.db.drafts import TermsDraft
from refref.db.pool import Connection
from refref.db.programs import Program, StatusChange, StoredTerms
from refref.flows.checks import check_instant, check_long_text, check_name
from refref.flows.publishing import (
    SINCE_EVER,
    add_version,
    connection_now,
    insert_program,
    require_program,
    settle_again,
)

_ACTIONS: dict[ProgramStatus, str] = {
    "active": "program.resume",
    "paused": "program.pause",
    "archived": "program.archive",
}


async def create_program(
    tx: Connection,
    organization_id: str,
    *,
    connection_id: str,
    name: str,
    terms: Terms,
    effective_at: datetime | None,
    eligibility_text: str = "",
    terms_text: str = "",
    actor: str,
    now: datetime,
) -> tuple[Program, StoredTerms]:
    """Make a program with version 1 of its terms, in force from `effective_at` (since ever, unless given).

    Only sales that carry a participant's code count, so sales from before the program earn nothing by it unless they
    were referred; an instant draws a line all the same. Raises Refused: unknown_connection, invalid_name,
    invalid_text, invalid_terms, invalid_instant.
    """
    name = check_name(name, "name")
    check_terms(terms)
    starts_at = SINCE_EVER if effective_at is None else check_instant(effective_at, "effective_at")
    program = await insert_program(
        tx,
        organization_id,
        connection_id=connection_id,
        name=name,
        eligibility_text=check_long_text(eligibility_text, "eligibility_text"),
        terms_text=check_long_text(terms_text, "terms_text"),
        actor=actor,
        now=now,
    )
    first = await add_version(
        tx, program, terms=terms, effective_at=starts_at, based_on_version=0, actor=actor, now=now
    )
    return program, first


async def create_program_draft(
    tx: Connection,
    organization_id: str,
    *,
    connection_id: str,
    name: str,
    terms: Terms,
    eligibility_text: str = "",
    terms_text: str = "",
    actor: str,
    now: datetime,
) -> tuple[Program, TermsDraft]:
    """Make a program whose first terms are a draft: it earns nothing until they are published.

    Raises Refused: unknown_connection, invalid_name, invalid_text.
    """
    program = await insert_program(
        tx,
        organization_id,
        connection_id=connection_id,
        name=check_name(name, "name"),
        eligibility_text=check_long_text(eligibility_text, "eligibility_text"),
        terms_text=check_long_text(terms_text, "terms_text"),
        actor=actor,
        now=now,
    )
    return program, await _store_first_draft(tx, program, terms, actor, now)


async def publish_terms(
    tx: Connection,
    organization_id: str,
    program_id: str,
    *,
    terms: Terms,
    effective_at: datetime | None,
    based_on_version: int | None = None,
    actor: str,
    now: datetime,
) -> StoredTerms:
    """Add a version of a program's terms, in force from `effective_at` (now, on the connection's clock).

    `based_on_version`: refuse when there is a newer one. Raises Refused: unknown_program, program_archived,
    invalid_terms, terms_out_of_order (before the last version's instant), terms_outdated.
    """
    program = await require_program(tx, organization_id, program_id)
    return await add_version(
        tx,
        program,
        terms=terms,
        effective_at=effective_at,
        based_on_version=based_on_version,
        actor=actor,
        now=now,
    )


async def update_program(
    tx: Connection,
    organization_id: str,
    program_id: str,
    *,
    name: str | None = None,
    eligibility_text: str | None = None,
    terms_text: str | None = None,
    actor: str,
    now: datetime,
) -> Program:
    """Change what people read of a program; None leaves it.

    Raises Refused: unknown_program, invalid_name, invalid_text.
    """
    found = await require_program(tx, organization_id, program_id)
    changed = replace(
        found,
        name=found.name if name is None else check_name(name, "name"),
        eligibility_text=found.eligibility_text
        if eligibility_text is None
        else check_long_text(eligibility_text, "eligibility_text"),
        terms_text=found.terms_text if terms_text is None else check_long_text(terms_text, "terms_text"),
    )
    if changed == found:
        return found
    await programs.update_texts(
        tx,
        organization_id,
        program_id,
        name=changed.name,
        eligibility_text=changed.eligibility_text,
        terms_text=changed.terms_text,
    )
    await audit.record(tx, organization_id, at=now, actor=actor, action="program.update", subject=program_id)
    return changed


async def pause_program(tx: Connection, organization_id: str, program_id: str, *, actor: str, now: datetime) -> Program:
    """Take nobody new from now on; who is bound goes on earning. Raises Refused: unknown_program, program_archived."""
    return await _change_status(tx, organization_id, program_id, "paused", actor, now)


async def resume_program(
    tx: Connection, organization_id: str, program_id: str, *, actor: str, now: datetime
) -> Program:
    """Take new referees again from now on. Raises Refused: unknown_program, program_archived."""
    return await _change_status(tx, organization_id, program_id, "active", actor, now)


async def archive_program(
    tx: Connection, organization_id: str, program_id: str, *, actor: str, now: datetime
) -> Program:
    """End a program for good: what comes from now on earns nothing. Raises Refused: unknown_program."""
    return await _change_status(tx, organization_id, program_id, "archived", actor, now)


async def duplicate_program(
    tx: Connection, organization_id: str, program_id: str, *, name: str | None = None, actor: str, now: datetime
) -> tuple[Program, TermsDraft]:
    """A new program with the texts and, as a draft, the terms of another: its own draft, else its newest version.

    Raises Refused: unknown_program, invalid_name.
    """
    found = await require_program(tx, organization_id, program_id)
    draft = await drafts.draft_of(tx, organization_id, program_id)
    latest = await programs.latest_terms(tx, organization_id, program_id)
    made = await insert_program(
        tx,
        organization_id,
        connection_id=found.connection_id,
        name=check_name(f"Copy of {found.name}"[:120] if name is None else name, "name"),
        eligibility_text=found.eligibility_text,
        terms_text=found.terms_text,
        actor=actor,
        now=now,
        copy_of=program_id,
    )
    terms = latest.terms if draft is None and latest is not None else draft.terms if draft is not None else Terms()
    return made, await _store_first_draft(tx, made, terms, actor, now)


async def _change_status(
    tx: Connection, organization_id: str, program_id: str, wanted: ProgramStatus, actor: str, now: datetime
) -> Program:
    found = await require_program(tx, organization_id, program_id)
    if not advance(found.status, wanted):
        return found
    before = await programs.status_changes(tx, organization_id, program_id)
    there = await connection_now(tx, found, now)
    at = max([there, *(change.at for change in before)])
    await programs.insert_status(tx, organization_id, program_id, StatusChange(at, wanted))
    # What was settled between that instant and this commit did not know of it yet.
    await settle_again(tx, found)
    await audit.record(tx, organization_id, at=now, actor=actor, action=_ACTIONS[wanted], subject=program_id)
    return replace(found, status=wanted)


async def _store_first_draft(tx: Connection, program: Program, terms: Terms, actor: str, now: datetime) -> TermsDraft:
    made = TermsDraft(
        organization_id=program.organization_id,
        program_id=program.program_id,
        body=terms_to_json(terms),
        based_on_version=0,
        revision=1,
        edited_by=actor,
        edited_at=now,
    )
    await drafts.store_draft(tx, made)
    return made
