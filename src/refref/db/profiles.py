"""Profiles of participants: groups, country and metadata as the merchant gave them, each from an instant on.

Append-only: a conversion is judged by what held at its own instant.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class Profile:
    """What holds from `since_at` on, on the connection's clock; `country` two letters, or "" where it is not known."""

    organization_id: str
    participant_id: str
    since_at: datetime
    group_names: tuple[str, ...] = ()
    country: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


async def insert_profile(tx: Connection, made: Profile) -> None:
    await tx.execute(
        "insert into participant_profile (organization_id, participant_id, since_at, group_names, country, metadata)"
        " values ($1, $2, $3, $4, $5, $6)",
        made.organization_id,
        made.participant_id,
        made.since_at,
        list(made.group_names),
        made.country,
        json.dumps(dict(made.metadata)),
    )


async def profiles_of(tx: Connection, organization_id: str, participant_ids: Collection[str]) -> list[Profile]:
    """The profiles of participants, of each the oldest first."""
    rows = await tx.fetch(
        "select organization_id, participant_id, since_at, group_names, country, metadata::text as metadata"
        " from participant_profile where organization_id = $1 and participant_id = any ($2)"
        " order by participant_id, since_at",
        organization_id,
        list(participant_ids),
    )
    return [
        Profile(
            row["organization_id"],
            row["participant_id"],
            row["since_at"],
            tuple(row["group_names"]),
            row["country"],
            msgspec.json.decode(row["metadata"], type=dict[str, str]),
        )
        for row in rows
    ]


async def groups_of_program(tx: Connection, organization_id: str, program_id: str) -> list[str]:
    """The groups that participants of a program have, or had; at most 100."""
    rows = await tx.fetch(
        """
        select distinct g.name
        from participant p
        join participant_profile f on f.organization_id = $1 and f.participant_id = p.participant_id
        cross join unnest(f.group_names) as g (name)
        where p.organization_id = $1 and p.program_id = $2 order by g.name limit 100
        """,
        organization_id,
        program_id,
    )
    return [row[0] for row in rows]


async def mark_participant_dirty(tx: Connection, organization_id: str, participant_id: str) -> bool:
    """Have the scopes of everybody whom a participant referred settled again; False when there is nobody."""
    found: int = await tx.fetchval(
        """
        with marked as (
          insert into dirty_scope (organization_id, connection_id, scope_id)
          select distinct organization_id, connection_id, scope_id from referral
          where organization_id = $1 and participant_id = $2
          on conflict do nothing
          returning 1
        )
        select count(*) from referral where organization_id = $1 and participant_id = $2
        """,
        organization_id,
        participant_id,
    )
    return found > 0
