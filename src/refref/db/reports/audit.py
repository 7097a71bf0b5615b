"""The audit log with the names of who acted and of what was acted on, the newest entry first. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from refref.db.pool import Connection
from refref.db.reports.paging import Filter, Page, clamp_limit, decode_id, page_of


@dataclass(frozen=True, slots=True)
class AuditRow:
    """`actor`: user:usr_…, key:key_… or system. `is_there`: the subject is something of ours that is still kept.

    `connection_id`, `program_id`: what the subject belongs to, if anything.
    """

    audit_id: str
    at: datetime
    actor: str
    actor_name: str | None
    action: str
    subject: str
    subject_name: str | None
    is_there: bool
    connection_id: str | None
    program_id: str | None
    program_name: str | None
    details: dict[str, str | int | bool | None]


_ENTRIES = """
select a.audit_id, a.at, a.actor, coalesce(nullif(u.name, ''), u.email, k.name) as actor_name, a.action, a.subject,
       case when g.program_id = a.subject then g.name
            else coalesce(p.name, c.name, sk.name, nullif(su.name, ''), su.email) end as subject_name,
       (a.subject in (g.program_id, p.participant_id, c.connection_id, sk.api_key_id, su.user_id, h.run_id,
         b.backtest_id, y.payout_id)) is true as is_there,
       coalesce(a.details->>'connection_id', g.connection_id, p.connection_id, c.connection_id, h.connection_id)
         as connection_id,
       g.program_id, g.name as program_name, a.details
from audit_log a
left join membership m on m.organization_id = a.organization_id and m.user_id = split_part(a.actor, ':', 2)
left join user_account u on u.user_id = m.user_id
left join api_key k on k.organization_id = a.organization_id and k.api_key_id = split_part(a.actor, ':', 2)
left join membership sm on sm.organization_id = a.organization_id and sm.user_id = a.subject
left join user_account su on su.user_id = sm.user_id
left join api_key sk on sk.organization_id = a.organization_id and sk.api_key_id = a.subject
left join connection c on c.organization_id = a.organization_id and c.connection_id = a.subject
left join history_run h on h.organization_id = a.organization_id and h.run_id = a.subject
left join backtest b on b.organization_id = a.organization_id and b.backtest_id = a.subject
left join payout y on y.organization_id = a.organization_id and y.payout_id = a.subject
left join participant p on p.organization_id = a.organization_id
     and p.participant_id = coalesce(y.participant_id, a.subject)
left join program g on g.organization_id = a.organization_id
     and g.program_id = coalesce(p.program_id, b.program_id, a.details->>'program_id', a.subject)
where {where} order by a.audit_id desc limit {limit}
"""


async def audit_page(
    tx: Connection,
    organization_id: str,
    *,
    action: str | None = None,
    actor: str | None = None,
    subject: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[AuditRow]:
    """Entries of this action and this actor. `subject` is looked for in the ids and the names of subjects."""
    limit = clamp_limit(limit)
    wanted = Filter(_ENTRIES)
    wanted.add("a.organization_id = ?", organization_id)
    wanted.add_given("a.action = ?", action)
    wanted.add_given("a.actor = ?", actor)
    wanted.add_search(("a.subject", "p.name", "g.name", "c.name", "sk.name", "su.name", "su.email"), subject)
    if cursor:
        wanted.add("a.audit_id < ?", decode_id(cursor))
    sql, values = wanted.query(limit)
    return page_of(await tx.fetch(sql, *values), limit, _row, ["audit_id"])


def _row(row: asyncpg.Record) -> AuditRow:
    given = {name: row[name] for name in AuditRow.__slots__ if name != "details"}
    return AuditRow(**given, details=msgspec.json.decode(row["details"], type=dict[str, str | int | bool | None]))
