"""What people decided, the latest first. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from refref.core.refusals import Refused
from refref.db.pool import Connection
from refref.db.reports.paging import Filter, Page, clamp_limit, decode_instant_and_id, page_of


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A verdict on a reward (`rule_id` set), a conversion, or a referral (`stripe_id` is the referee).

    `is_current`: nobody decided anew since.
    """

    review_id: str
    at: datetime
    actor: str
    actor_name: str | None
    program_id: str
    program_name: str
    rule_id: str
    stripe_id: str
    is_referral: bool
    verdict: str
    reason: str
    is_current: bool


_REVIEWS = """
select v.review_id, v.at, v.actor, coalesce(nullif(u.name, ''), u.email) as actor_name, v.program_id,
       g.name as program_name, v.rule_id, v.stripe_id,
       v.rule_id = '' and exists (select from referral r where r.organization_id = v.organization_id
         and r.connection_id = v.connection_id and r.program_id = v.program_id and r.referee_id = v.stripe_id)
         as is_referral,
       v.verdict, v.reason,
       not exists (select from review l where l.organization_id = v.organization_id
         and l.connection_id = v.connection_id
         and split_part(l.stripe_id, '/', 1) = split_part(v.stripe_id, '/', 1)
         and (l.program_id, l.rule_id, l.stripe_id) = (v.program_id, v.rule_id, v.stripe_id)
         and l.review_id > v.review_id) as is_current
from review v
join program g on g.organization_id = v.organization_id and g.program_id = v.program_id
left join membership m on m.organization_id = v.organization_id and 'user:' || m.user_id = v.actor
left join user_account u on u.user_id = m.user_id
where {where} order by v.at desc, v.review_id desc limit {limit}
"""


async def reviews_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    program_id: str | None = None,
    verdict: str | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ReviewRow]:
    """Verdicts of people, the latest first. `search`: the conversion's key or the referee, and the reason."""
    limit = clamp_limit(limit)
    wanted = Filter(_REVIEWS)
    wanted.add("v.organization_id = ? and v.connection_id = ?", organization_id, connection_id)
    wanted.add_given("v.program_id = ?", program_id)
    wanted.add_given("v.verdict = ?", verdict)
    wanted.add_search(("v.stripe_id", "v.reason", "v.review_id"), search)
    if cursor:
        wanted.add("(v.at, v.review_id) < (?, ?)", *decode_instant_and_id(cursor))
    sql, values = wanted.query(limit)
    return page_of(await tx.fetch(sql, *values), limit, _row, ["at", "review_id"])


async def review_by_id(tx: Connection, organization_id: str, connection_id: str, review_id: str) -> ReviewRow:
    """One verdict; raises Refused("unknown_review")."""
    wanted = Filter(_REVIEWS)
    wanted.add("v.organization_id = ? and v.connection_id = ?", organization_id, connection_id)
    wanted.add("v.review_id = ?", review_id)
    sql, values = wanted.query(1)
    rows = await tx.fetch(sql, *values)
    if not rows:
        raise Refused("unknown_review", "There is no verdict with this id on this connection.", "review_id")
    return _row(rows[0])


def _row(row: asyncpg.Record) -> ReviewRow:
    return ReviewRow(**dict(row))
