"""Customers with what they paid, and their referrals. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from refref.db.pool import Connection
from refref.db.reports.paging import Amount, Filter, Page, clamp_limit, decode_instant_and_id, page_of

ReferralStatus = Literal["active", "flagged", "undone"]


@dataclass(frozen=True, slots=True)
class CustomerRow:
    stripe_customer_id: str
    scope_id: str
    email: str | None
    name: str | None
    created_at: datetime | None
    is_deleted: bool
    participant_id: str | None  # who referred the customer (the earliest bond, where there are several programs)
    participant_name: str | None
    paid: tuple[Amount, ...]
    payment_count: int


@dataclass(frozen=True, slots=True)
class ReferralRow:
    referral_id: str
    program_id: str
    program_name: str
    referee_id: str  # cus_…, or the scope of a guest
    referee_email: str | None
    participant_id: str
    participant_name: str
    carrier_kind: str  # core.facts.CarrierKind
    carrier_value: str
    campaign: str
    status: ReferralStatus
    bound_at: datetime
    flags: tuple[str, ...]  # checks against fraud that found something (core.decisions.FLAGS)
    verdict: str | None  # what a person decided on the referral: approved, rejected


# Decisions of a customer are one row per payment and program; a payment's money counts once.
_CUSTOMERS = """
with listed as (
  select c.*, coalesce(c.created_at, '0001-01-01 00:00:00+00') as sort_at
  from customer c
  where {where} order by sort_at desc, c.stripe_customer_id desc limit {limit}
)
select c.stripe_customer_id, c.scope_id, c.email, c.name, c.created_at, c.is_deleted, c.sort_at,
       r.participant_id, r.participant_name, coalesce(m.paid, '{}') as paid, coalesce(m.currencies, '{}') as currencies,
       coalesce(m.payments, 0) as payment_count
from listed c
left join lateral (
  select r.participant_id, p.name as participant_name
  from referral r
  join participant p on p.organization_id = r.organization_id and p.participant_id = r.participant_id
  where r.organization_id = c.organization_id and r.connection_id = c.connection_id and r.scope_id = c.scope_id
    and r.referee_id = c.stripe_customer_id and r.status <> 'undone'
  order by r.bound_at, r.referral_id limit 1
) r on true
left join lateral (
  select array_agg(s.currency order by s.currency) as currencies, array_agg(s.paid order by s.currency) as paid,
         sum(s.payments)::bigint as payments
  from (
    select d.currency, sum(d.paid)::bigint as paid, count(*) as payments
    from (select d.payment_key, d.currency, max(d.paid_minor) as paid from decision d
          where d.organization_id = c.organization_id and d.connection_id = c.connection_id
            and d.scope_id = c.scope_id and d.referee_id = c.stripe_customer_id
          group by d.payment_key, d.currency) d
    group by d.currency
  ) s
) m on true
order by c.sort_at desc, c.stripe_customer_id desc
"""
_REFERRALS = """
with listed as (
select r.referral_id, r.program_id, g.name as program_name, r.referee_id, c.email as referee_email, r.participant_id,
       p.name as participant_name, r.carrier_kind, r.carrier_value, r.campaign, r.status, r.bound_at,
       r.organization_id, r.connection_id
from referral r
join program g on g.organization_id = r.organization_id and g.program_id = r.program_id
join participant p on p.organization_id = r.organization_id and p.participant_id = r.participant_id
left join customer c on c.organization_id = r.organization_id and c.connection_id = r.connection_id
     and c.stripe_customer_id = r.referee_id
where {where} order by r.bound_at desc, r.referral_id desc limit {limit}
)
select l.referral_id, l.program_id, l.program_name, l.referee_id, l.referee_email, l.participant_id, l.participant_name,
       l.carrier_kind, l.carrier_value, l.campaign,
       case when l.status = 'active' and f.flags is not null then 'flagged' else l.status end as status,
       l.bound_at, coalesce(f.flags, '{}') as flags, nullif(v.verdict, 'withdrawn') as verdict
from listed l
left join lateral (
  select array_agg(distinct flag order by flag) as flags from decision d cross join unnest(d.flags) as flag
  where d.organization_id = l.organization_id and d.connection_id = l.connection_id and d.referee_id = l.referee_id
    and d.program_id = l.program_id and d.flags <> '{}'
) f on true
left join lateral (
  select v.verdict from review v
  where v.organization_id = l.organization_id and v.connection_id = l.connection_id
    and split_part(v.stripe_id, '/', 1) = l.referee_id and v.stripe_id = l.referee_id
    and v.program_id = l.program_id and v.rule_id = ''
  order by v.review_id desc limit 1
) v on true
order by l.bound_at desc, l.referral_id desc
"""
_IS_FLAGGED = """exists (select from decision d where d.organization_id = r.organization_id
  and d.connection_id = r.connection_id and d.referee_id = r.referee_id and d.program_id = r.program_id
  and d.flags <> '{}')"""
_HAS_REFERRAL = """(select from referral r where r.organization_id = c.organization_id
  and r.connection_id = c.connection_id and r.scope_id = c.scope_id and r.referee_id = c.stripe_customer_id
  and r.status <> 'undone')"""


async def customers_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    is_referred: bool | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[CustomerRow]:
    """Customers, the newest first. `search` is looked for in ids, e-mails and names."""
    limit = clamp_limit(limit)
    wanted = Filter(_CUSTOMERS)
    wanted.add("c.organization_id = ? and c.connection_id = ?", organization_id, connection_id)
    if is_referred is not None:
        wanted.add(("exists " if is_referred else "not exists ") + _HAS_REFERRAL)
    wanted.add_search(("c.stripe_customer_id", "c.email", "c.name"), search)
    if cursor:
        wanted.add(
            "(coalesce(c.created_at, '0001-01-01 00:00:00+00'), c.stripe_customer_id) < (?, ?)",
            *decode_instant_and_id(cursor),
        )
    sql, values = wanted.query(limit)
    return page_of(await tx.fetch(sql, *values), limit, _customer_row, ["sort_at", "stripe_customer_id"])


async def customer_by_id(
    tx: Connection, organization_id: str, connection_id: str, stripe_customer_id: str
) -> CustomerRow | None:
    """One customer; None when the connection has none of that id."""
    wanted = Filter(_CUSTOMERS)
    wanted.add(
        "c.organization_id = ? and c.connection_id = ? and c.stripe_customer_id = ?",
        organization_id,
        connection_id,
        stripe_customer_id,
    )
    sql, values = wanted.query(1)
    row = await tx.fetchrow(sql, *values)
    return None if row is None else _customer_row(row)


async def referrals_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    status: ReferralStatus | None = None,
    participant_id: str | None = None,
    program_id: str | None = None,
    referee_id: str | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ReferralRow]:
    """Referrals, the latest bond first. `search`: customer id or e-mail, participant's name, the code or campaign."""
    limit = clamp_limit(limit)
    wanted = Filter(_REFERRALS)
    wanted.add("r.organization_id = ? and r.connection_id = ?", organization_id, connection_id)
    if status == "flagged":
        wanted.add(f"(r.status = 'flagged' or r.status = 'active' and {_IS_FLAGGED})")
    elif status == "active":
        wanted.add(f"r.status = 'active' and not {_IS_FLAGGED}")
    wanted.add_given("r.status = ?", status if status == "undone" else None)
    wanted.add_given("r.participant_id = ?", participant_id)
    wanted.add_given("r.program_id = ?", program_id)
    wanted.add_given("r.referee_id = ?", referee_id)
    wanted.add_search(("r.referee_id", "r.referral_id", "c.email", "p.name", "r.carrier_value", "r.campaign"), search)
    if cursor:
        wanted.add("(r.bound_at, r.referral_id) < (?, ?)", *decode_instant_and_id(cursor))
    sql, values = wanted.query(limit)
    return page_of(await tx.fetch(sql, *values), limit, _referral_row, ["bound_at", "referral_id"])


def _referral_row(row: asyncpg.Record) -> ReferralRow:
    return ReferralRow(**{**dict(row), "flags": tuple(row["flags"])})


def _customer_row(row: asyncpg.Record) -> CustomerRow:
    values = {name: row[name] for name in CustomerRow.__slots__ if name != "paid"}
    paid = tuple(Amount(currency, minor) for currency, minor in zip(row["currencies"], row["paid"], strict=True))
    return CustomerRow(paid=paid, **values)
