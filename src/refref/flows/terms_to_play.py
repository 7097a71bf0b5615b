"""The terms under which a simulation is played: a program's newest ones or its draft. Reads; writes nothing."""

from __future__ import annotations

from refref.core.refusals import Refused
from refref.core.terms import Terms
from refref.core.terms_check import check_terms
from refref.db import drafts, programs
from refref.db.pool import Connection


async def terms_to_play(
    tx: Connection, organization_id: str, program_id: str, *, is_draft: bool = False
) -> tuple[Terms, str]:
    """A program's newest terms (else its draft), or its draft; and in words whose they are.

    Raises Refused: unknown_program, unknown_draft, invalid_terms for a draft that could not be published.
    """
    program = await programs.program_by_id(tx, organization_id, program_id)
    if program is None:
        raise Refused("unknown_program", "There is no program with this id.", "program_id")
    newest = None if is_draft else await programs.latest_terms(tx, organization_id, program_id)
    if newest is not None:
        return newest.terms, f"{program.name}, version {newest.version}"
    draft = await drafts.draft_of(tx, organization_id, program_id)
    if draft is None:
        raise Refused("unknown_draft", "The program has no draft: save one first.", "program_id")
    check_terms(draft.terms)
    return draft.terms, f"{program.name}, the draft"
