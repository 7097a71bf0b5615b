"""Participants and the codes that attribute to them (refcodes in lower case, Stripe promotion codes by their id)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection

_COLUMNS = "organization_id, participant_id, program_id, connection_id, kind, name, email, status, created_at"
_CODE_COLUMNS = (
    "organization_id, connection_id, code, code_kind, shown_as, program_id, participant_id, created_at, deactivated_at"
)


@dataclass(frozen=True, slots=True)
class Participant:
    organization_id: str
    participant_id: str
    program_id: str
    connection_id: str
    kind: str  # referrer, affiliate
    name: str
    email: str
    status: str  # active, paused
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ParticipantCode:
    """`code` is what is compared, `shown_as` what the participant sees."""

    organization_id: str
    connection_id: str
    code: str
    code_kind: str  # refcode, promotion_code
    shown_as: str
    program_id: str
    participant_id: str
    created_at: datetime
    deactivated_at: datetime | None


async def insert_participant(tx: Connection, made: Participant) -> bool:
    """Add a participant; False when the e-mail, in any case of letters, is in the program already."""
    done = await tx.fetchval(
        f"insert into participant ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"  # noqa: S608 - a constant
        " on conflict (organization_id, program_id, (lower(email))) do nothing returning true",
        made.organization_id,
        made.participant_id,
        made.program_id,
        made.connection_id,
        made.kind,
        made.name,
        made.email,
        made.status,
        made.created_at,
    )
    return done is True


async def participant_by_id(tx: Connection, organization_id: str, participant_id: str) -> Participant | None:
    row = await tx.fetchrow(
        f"select {_COLUMNS} from participant where organization_id = $1 and participant_id = $2",  # noqa: S608 - a constant
        organization_id,
        participant_id,
    )
    return None if row is None else Participant(**row)


async def known_participants(
    tx: Connection, organization_id: str, connection_id: str, participant_ids: Collection[str]
) -> set[str]:
    """Those of the ids that a participant of the connection has."""
    rows = await tx.fetch(
        "select participant_id from participant where organization_id = $1 and connection_id = $2"
        " and participant_id = any ($3)",
        organization_id,
        connection_id,
        list(participant_ids),
    )
    return {row[0] for row in rows}


async def has_participants(tx: Connection, organization_id: str, program_id: str) -> bool:
    """Whether anybody takes part in a program."""
    found: bool = await tx.fetchval(
        "select exists (select from participant where organization_id = $1 and program_id = $2)",
        organization_id,
        program_id,
    )
    return found


async def update_paused_at(
    tx: Connection, organization_id: str, participant_id: str, paused_at: datetime | None
) -> None:
    """Pause a participant since an instant; None: active."""
    await tx.execute(
        "update participant set status = case when $3::timestamptz is null then 'active' else 'paused' end,"
        " paused_at = $3 where organization_id = $1 and participant_id = $2",
        organization_id,
        participant_id,
        paused_at,
    )


async def insert_code(tx: Connection, made: ParticipantCode) -> bool:
    """Add a code; False when the connection has it already, active or not."""
    done = await tx.fetchval(
        f"insert into participant_code ({_CODE_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"  # noqa: S608 - a constant
        " on conflict do nothing returning true",
        made.organization_id,
        made.connection_id,
        made.code,
        made.code_kind,
        made.shown_as,
        made.program_id,
        made.participant_id,
        made.created_at,
        made.deactivated_at,
    )
    return done is True


async def code_by_value(tx: Connection, organization_id: str, connection_id: str, code: str) -> ParticipantCode | None:
    row = await tx.fetchrow(
        f"select {_CODE_COLUMNS} from participant_code where organization_id = $1 and connection_id = $2 and code = $3",  # noqa: S608 - a constant
        organization_id,
        connection_id,
        code,
    )
    return None if row is None else ParticipantCode(**row)


async def deactivate_code(
    tx: Connection, organization_id: str, connection_id: str, code: str, deactivated_at: datetime
) -> None:
    await tx.execute(
        "update participant_code set deactivated_at = $4"
        " where organization_id = $1 and connection_id = $2 and code = $3 and deactivated_at is null",
        organization_id,
        connection_id,
        code,
        deactivated_at,
    )


async def insert_ip(tx: Connection, organization_id: str, participant_id: str, ip_hash: str, seen_at: datetime) -> None:
    """Note a network address, hashed, from which a participant was seen."""
    await tx.execute(
        "insert into participant_ip (organization_id, participant_id, ip_hash, seen_at) values ($1, $2, $3, $4)"
        " on conflict do nothing",
        organization_id,
        participant_id,
        ip_hash,
        seen_at,
    )


async def ips_of(tx: Connection, organization_id: str, participant_ids: Collection[str]) -> list[tuple[str, str]]:
    """The hashed addresses of participants, as (participant, hash)."""
    rows = await tx.fetch(
        "select participant_id, ip_hash from participant_ip where organization_id = $1 and participant_id = any ($2)",
        organization_id,
        list(participant_ids),
    )
    return [(row[0], row[1]) for row in rows]
