"""Drafts of terms: one per program, with who saved it last and which version it knows of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from refref.core.terms import Terms
from refref.db.pool import Connection

_COLUMNS = "organization_id, program_id, body, based_on_version, revision, edited_by, edited_at"


@dataclass(frozen=True, slots=True)
class TermsDraft:
    """`body`: the JSON form of terms that may have faults; `revision` counts the saves, from 1.

    `based_on_version`: the newest version that the draft knows of; 0 when there was none.
    """

    organization_id: str
    program_id: str
    body: str
    based_on_version: int
    revision: int
    edited_by: str
    edited_at: datetime

    @property
    def terms(self) -> Terms:
        """The terms themselves; they have the right shape."""
        return msgspec.json.decode(self.body, type=Terms)


async def draft_of(tx: Connection, organization_id: str, program_id: str) -> TermsDraft | None:
    """The draft of a program's next terms."""
    row = await tx.fetchrow(
        f"select {_COLUMNS} from terms_draft where organization_id = $1 and program_id = $2",  # noqa: S608 - a constant
        organization_id,
        program_id,
    )
    return None if row is None else TermsDraft(**row)


async def store_draft(tx: Connection, made: TermsDraft) -> None:
    """Put a draft in the place of the one before."""
    await tx.execute(
        f"insert into terms_draft ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7)"  # noqa: S608 - a constant
        " on conflict (organization_id, program_id) do update set body = excluded.body,"
        " based_on_version = excluded.based_on_version, revision = excluded.revision,"
        " edited_by = excluded.edited_by, edited_at = excluded.edited_at",
        made.organization_id,
        made.program_id,
        made.body,
        made.based_on_version,
        made.revision,
        made.edited_by,
        made.edited_at,
    )


async def delete_draft(tx: Connection, organization_id: str, program_id: str) -> None:
    await tx.execute(
        "delete from terms_draft where organization_id = $1 and program_id = $2", organization_id, program_id
    )
