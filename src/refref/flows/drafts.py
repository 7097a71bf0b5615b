"""Drafts of terms: saved, discarded, and published as the next version."""

from __future__ import annotations

from datetime import datetime

from refref.core.refusals import Refused
from refref.core.terms import Terms, terms_to_json
from refref.db import audit, drafts, programs
from refref.db.drafts import TermsDraft
from refref.db.pool import Connection
from refref.db.programs import Program, StoredTerms
from refref.flows.publishing import add_version, check_newest, require_program


async def save_draft(
    tx: Connection,
    organization_id: str,
    program_id: str,
    *,
    terms: Terms,
    based_on_version: int | None = None,
    revision: int | None = None,
    actor: str,
    now: datetime,
) -> TermsDraft:
    """Save a program's draft; the terms may have faults (core.terms_check.faults_of tells them).

    `based_on_version`: the newest version its author knows of; as before unless given, and the newest for a new draft.
    `revision`: of the draft that was edited (0: there was none); refuse when somebody saved another meanwhile.
    Raises Refused: unknown_program, program_archived, draft_changed, terms_outdated.
    """
    program = await require_program(tx, organization_id, program_id)
    _check_open(program)
    before = await drafts.draft_of(tx, organization_id, program_id)
    _check_revision(before, revision)
    latest = await programs.latest_terms(tx, organization_id, program_id)
    newest = 0 if latest is None else latest.version
    check_newest(newest, based_on_version)
    made = TermsDraft(
        organization_id=organization_id,
        program_id=program_id,
        body=terms_to_json(terms),
        based_on_version=before.based_on_version if before is not None and based_on_version is None else newest,
        revision=1 if before is None else before.revision + 1,
        edited_by=actor,
        edited_at=now,
    )
    await drafts.store_draft(tx, made)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="terms_draft.save",
        subject=program_id,
        details={"revision": made.revision},
    )
    return made


async def discard_draft(
    tx: Connection, organization_id: str, program_id: str, *, actor: str, now: datetime
) -> TermsDraft:
    """Throw a program's draft away. Raises Refused: unknown_program, unknown_draft."""
    await require_program(tx, organization_id, program_id)
    found = await require_draft(tx, organization_id, program_id)
    await drafts.delete_draft(tx, organization_id, program_id)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="terms_draft.discard",
        subject=program_id,
        details={"revision": found.revision},
    )
    return found


async def publish_draft(
    tx: Connection,
    organization_id: str,
    program_id: str,
    *,
    effective_at: datetime | None = None,
    revision: int | None = None,
    actor: str,
    now: datetime,
) -> StoredTerms:
    """Make a program's draft the next version of its terms, in force from `effective_at` (from now on), and end it.

    `revision`: of the draft that its publisher saw. Raises Refused: unknown_program, unknown_draft, draft_changed,
    program_archived, invalid_terms, terms_out_of_order, terms_outdated (a version came after the draft was begun).
    """
    program = await require_program(tx, organization_id, program_id)
    found = await require_draft(tx, organization_id, program_id)
    _check_revision(found, revision)
    made = await add_version(
        tx,
        program,
        terms=found.terms,
        effective_at=effective_at,
        based_on_version=found.based_on_version,
        actor=actor,
        now=now,
    )
    await drafts.delete_draft(tx, organization_id, program_id)
    return made


async def require_draft(tx: Connection, organization_id: str, program_id: str) -> TermsDraft:
    """The draft of a program. Raises Refused("unknown_draft")."""
    found = await drafts.draft_of(tx, organization_id, program_id)
    if found is None:
        raise Refused("unknown_draft", "The program has no draft: save one first.")
    return found


def _check_open(program: Program) -> None:
    if program.status == "archived":
        raise Refused("program_archived", "The program is archived, which is for good: duplicate it to begin anew.")


def _check_revision(found: TermsDraft | None, revision: int | None) -> None:
    known = 0 if found is None else found.revision
    if revision is not None and revision != known:
        raise Refused(
            "draft_changed",
            f"Somebody saved the draft meanwhile: it is at revision {known}, not {revision}. Look at it first.",
            "revision",
        )
