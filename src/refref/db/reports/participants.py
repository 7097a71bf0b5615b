"""Participants with their codes and what the ledger holds for them. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from refref.db.pool import Connection
from refref.db.reports.paging import Filter, Page, clamp_limit, decode_instant_and_id, page_of

ParticipantStatus = Literal["active", "paused"]


@dataclass(frozen=True, slots=True)
class Balance:
    """What one owner has in one currency, whole minor units; only `payable` may be negative."""

    currency: str
    pending_minor: int
    payable_minor: int
    held_minor: int
    in_transit_minor: int
    paid_minor: int


@dataclass(frozen=True, slots=True)
class CodeRow:
    code: str  # stored in lower case
    code_kind: Literal["refcode", "promotion_code"]
    shown_as: str
    created_at: datetime
    deactivated_at: datetime | None


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    participant_id: str
    program_id: str
    program_name: str
    kind: Literal["referrer", "affiliate"]
    name: str
    email: str
    status: ParticipantStatus
    created_at: datetime
    codes: tuple[str, ...]  # as shown, the active ones
    referral_count: int
    balances: tuple[Balance, ...]


_PARTICIPANTS = """
select p.participant_id, p.program_id, g.name as program_name, p.kind, p.name, p.email, p.status, p.created_at,
       coalesce((select array_agg(k.shown_as order by k.created_at, k.code) from participant_code k
                 where k.organization_id = p.organization_id and k.participant_id = p.participant_id
                   and k.deactivated_at is null), '{}') as codes,
       (select count(*) from referral r where r.organization_id = p.organization_id
          and r.participant_id = p.participant_id and r.status <> 'undone') as referral_count
from participant p
join program g on g.organization_id = p.organization_id and g.program_id = p.program_id
where {where} order by p.created_at desc, p.participant_id desc limit {limit}
"""
_BALANCES = """
select owner_id, currency,
       coalesce(sum(balance_minor) filter (where account = 'pending'), 0)::bigint as pending_minor,
       coalesce(sum(balance_minor) filter (where account = 'payable'), 0)::bigint as payable_minor,
       coalesce(sum(balance_minor) filter (where account = 'held'), 0)::bigint as held_minor,
       coalesce(sum(balance_minor) filter (where account = 'in_transit'), 0)::bigint as in_transit_minor,
       coalesce(sum(balance_minor) filter (where account = 'paid'), 0)::bigint as paid_minor
from ledger_balance
where organization_id = $1 and owner_id = any($2)
group by owner_id, currency order by owner_id, currency
"""
_CODES = """
select code, code_kind, shown_as, created_at, deactivated_at from participant_code
where organization_id = $1 and participant_id = $2 order by deactivated_at nulls first, created_at, code
"""


async def participants_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    status: ParticipantStatus | None = None,
    program_id: str | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ParticipantRow]:
    """Participants, the newest first. `search` is looked for in names, e-mails, ids and codes."""
    limit = clamp_limit(limit)
    wanted = Filter(_PARTICIPANTS)
    wanted.add("p.organization_id = ? and p.connection_id = ?", organization_id, connection_id)
    wanted.add_given("p.status = ?", status)
    wanted.add_given("p.program_id = ?", program_id)
    code = (
        "(select string_agg(k.shown_as, ' ') from participant_code k"
        " where k.organization_id = p.organization_id and k.participant_id = p.participant_id)"
    )
    wanted.add_search(("p.name", "p.email", "p.participant_id", code), search)
    if cursor:
        wanted.add("(p.created_at, p.participant_id) < (?, ?)", *decode_instant_and_id(cursor))
    return await _participants(tx, organization_id, wanted, limit)


async def participant_by_id(
    tx: Connection, organization_id: str, participant_id: str, *, connection_id: str | None = None
) -> ParticipantRow | None:
    """One participant; None when the organization (and connection, where given) has none of that id."""
    wanted = Filter(_PARTICIPANTS)
    wanted.add("p.organization_id = ? and p.participant_id = ?", organization_id, participant_id)
    wanted.add_given("p.connection_id = ?", connection_id)
    found = (await _participants(tx, organization_id, wanted, 1)).rows
    return found[0] if found else None


async def balances_of(tx: Connection, organization_id: str, owner_id: str) -> tuple[Balance, ...]:
    """What the ledger holds for a participant, by currency."""
    return (await _balances(tx, organization_id, [owner_id])).get(owner_id, ())


async def codes_of(tx: Connection, organization_id: str, participant_id: str) -> tuple[CodeRow, ...]:
    """A participant's refcodes and promotion codes, the active ones first."""
    return tuple(CodeRow(**dict(row)) for row in await tx.fetch(_CODES, organization_id, participant_id))


async def _participants(tx: Connection, organization_id: str, wanted: Filter, limit: int) -> Page[ParticipantRow]:
    sql, values = wanted.query(limit)
    records = await tx.fetch(sql, *values)
    balances = await _balances(tx, organization_id, [record["participant_id"] for record in records])

    def row_of(record: asyncpg.Record) -> ParticipantRow:
        mine = balances.get(record["participant_id"], ())
        return ParticipantRow(**{**dict(record), "codes": tuple(record["codes"]), "balances": mine})

    return page_of(records, limit, row_of, ["created_at", "participant_id"])


async def _balances(tx: Connection, organization_id: str, owner_ids: list[str]) -> dict[str, tuple[Balance, ...]]:
    found: dict[str, tuple[Balance, ...]] = {}
    for row in await tx.fetch(_BALANCES, organization_id, owner_ids):
        values = dict(row)
        owner_id = values.pop("owner_id")
        found[owner_id] = (*found.get(owner_id, ()), Balance(**values))
    return found
