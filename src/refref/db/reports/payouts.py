"""Payouts made by hand, the latest first, and what each is made up of. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from refref.db.pool import Connection
from refref.db.reports.paging import Filter, Page, clamp_limit, decode_instant_and_id, page_of


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """`undone_at` is set where it was taken back."""

    payout_id: str
    participant_id: str
    participant_name: str
    program_id: str
    program_name: str
    currency: str
    amount_minor: int
    paid_on: date
    reference: str
    note: str
    actor: str
    actor_name: str | None
    at: datetime
    undone_at: datetime | None
    undone_reason: str | None


@dataclass(frozen=True, slots=True)
class PayoutItemRow:
    """What of one reward was paid; negative: what had gone back of it after it was paid."""

    reward_id: str
    payment_key: str
    rule_id: str
    referee_id: str
    referee_email: str | None
    occurred_at: datetime
    amount_minor: int


_PAYOUTS = """
select y.payout_id, y.participant_id, p.name as participant_name, p.program_id, g.name as program_name, y.currency,
       y.amount_minor, y.paid_on, y.reference, y.note, y.actor, coalesce(nullif(u.name, ''), u.email) as actor_name,
       y.at, n.at as undone_at, n.reason as undone_reason
from payout y
join participant p on p.organization_id = y.organization_id and p.participant_id = y.participant_id
join program g on g.organization_id = p.organization_id and g.program_id = p.program_id
left join payout_undoing n on n.organization_id = y.organization_id and n.payout_id = y.payout_id
left join membership m on m.organization_id = y.organization_id and 'user:' || m.user_id = y.actor
left join user_account u on u.user_id = m.user_id
where {where} order by y.at desc, y.payout_id desc limit {limit}
"""
_ITEMS = """
select i.reward_id, r.payment_key, r.rule_id, r.referee_id, c.email as referee_email, r.occurred_at, i.amount_minor
from payout_item i
join reward r on r.organization_id = i.organization_id and r.reward_id = i.reward_id
left join customer c on c.organization_id = r.organization_id and c.connection_id = r.connection_id
     and c.stripe_customer_id = r.referee_id
where i.organization_id = $1 and i.payout_id = $2 order by r.occurred_at, i.reward_id
"""


async def payouts_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    participant_id: str | None = None,
    program_id: str | None = None,
    currency: str | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[PayoutRow]:
    """Payouts, the latest recorded first. `search`: the participant's name or e-mail, reference, note, id."""
    limit = clamp_limit(limit)
    wanted = Filter(_PAYOUTS)
    wanted.add("y.organization_id = ? and y.connection_id = ?", organization_id, connection_id)
    wanted.add_given("y.participant_id = ?", participant_id)
    wanted.add_given("p.program_id = ?", program_id)
    wanted.add_given("y.currency = lower(?)", currency)
    wanted.add_search(("y.payout_id", "p.name", "p.email", "y.reference", "y.note"), search)
    if cursor:
        wanted.add("(y.at, y.payout_id) < (?, ?)", *decode_instant_and_id(cursor))
    sql, values = wanted.query(limit)
    return page_of(await tx.fetch(sql, *values), limit, _row, ["at", "payout_id"])


async def payout_row(
    tx: Connection, organization_id: str, payout_id: str, *, connection_id: str | None = None
) -> PayoutRow | None:
    """One payout; None when the organization (and connection, where given) has none of that id."""
    wanted = Filter(_PAYOUTS)
    wanted.add("y.organization_id = ? and y.payout_id = ?", organization_id, payout_id)
    wanted.add_given("y.connection_id = ?", connection_id)
    sql, values = wanted.query(1)
    row = await tx.fetchrow(sql, *values)
    return None if row is None else _row(row)


async def payout_items(tx: Connection, organization_id: str, payout_id: str) -> tuple[PayoutItemRow, ...]:
    """What a payout is made up of, the oldest conversion first."""
    return tuple(PayoutItemRow(**dict(row)) for row in await tx.fetch(_ITEMS, organization_id, payout_id))


def _row(row: asyncpg.Record) -> PayoutRow:
    return PayoutRow(**dict(row))
