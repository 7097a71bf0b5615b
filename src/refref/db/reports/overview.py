"""Sums for the overview: what was referred and earned, by currency and by day. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class CurrencyTotals:
    """Money of one currency in whole minor units.

    `referred`, `unattributed`, `earned` and `reversed` are of the period asked for; `pending`, `payable` and `held`
    are what the ledger holds now.
    """

    currency: str
    referred_minor: int
    referred_refunded_minor: int
    unattributed_minor: int
    earned_minor: int
    reversed_minor: int
    pending_minor: int
    payable_minor: int
    held_minor: int


@dataclass(frozen=True, slots=True)
class Overview:
    currencies: tuple[CurrencyTotals, ...]  # the one with the most referred money first
    payment_count: int  # in the period
    referred_payment_count: int  # in the period
    referral_count: int
    customer_count: int
    participant_count: int
    events_parked: int
    events_quarantined: int
    events_pending: int
    last_event_at: datetime | None


@dataclass(frozen=True, slots=True)
class DayTotals:
    day: date  # UTC
    currency: str
    referred_minor: int
    earned_minor: int


# A payment has one decision per program; its money counts once. Conversions that are no payments have a slash in their
# keys: what they earn counts, what they tell of money is none that moved.
_PAYMENTS = """
  select payment_key, currency, min(occurred_at) as occurred_at, max(paid_minor) as paid,
         max(refunded_minor) as refunded, bool_or(participant_id is not null) as is_referred
  from decision
  where organization_id = $1 and connection_id = $2 and occurred_at >= $3 and strpos(payment_key, '/') = 0
  group by payment_key, currency
"""

# What was earned stands in the currency of the reward, which may be another than the payment's.
_TOTALS = """
with payment as ({payments}),
flow as (
  select currency, count(*) as payments, count(*) filter (where is_referred) as referred_payments,
         coalesce(sum(paid) filter (where is_referred), 0)::bigint as referred,
         coalesce(sum(refunded) filter (where is_referred), 0)::bigint as refunded,
         coalesce(sum(paid) filter (where not is_referred), 0)::bigint as unattributed
  from payment group by currency
),
gain as (
  select currency, sum(amount_minor)::bigint as earned, sum(reversed_minor)::bigint as reversed
  from reward
  where organization_id = $1 and connection_id = $2 and occurred_at >= $3 and kind in ('commission', 'credit')
  group by currency
),
held as (
  select currency,
         coalesce(sum(balance_minor) filter (where account = 'pending'), 0)::bigint as pending,
         coalesce(sum(balance_minor) filter (where account = 'payable'), 0)::bigint as payable,
         coalesce(sum(balance_minor) filter (where account = 'held'), 0)::bigint as held
  from ledger_balance
  where organization_id = $1 and connection_id = $2 and account in ('pending', 'payable', 'held')
  group by currency
)
select currency, coalesce(payments, 0) as payments, coalesce(referred_payments, 0) as referred_payments,
       coalesce(referred, 0) as referred_minor, coalesce(refunded, 0) as referred_refunded_minor,
       coalesce(unattributed, 0) as unattributed_minor, coalesce(earned, 0) as earned_minor,
       coalesce(reversed, 0) as reversed_minor, coalesce(pending, 0) as pending_minor,
       coalesce(payable, 0) as payable_minor, coalesce(held, 0) as held_minor
from flow full join gain using (currency) full join held using (currency)
order by referred_minor desc, currency
""".replace("{payments}", _PAYMENTS)

_COUNTS = """
select
  (select count(*) from referral
   where organization_id = $1 and connection_id = $2 and status <> 'undone') as referral_count,
  (select count(*) from customer
   where organization_id = $1 and connection_id = $2 and not is_deleted) as customer_count,
  (select count(*) from participant where organization_id = $1 and connection_id = $2) as participant_count,
  (select count(*) from inbox
   where organization_id = $1 and connection_id = $2 and state = 'parked') as events_parked,
  (select count(*) from inbox
   where organization_id = $1 and connection_id = $2 and state = 'pending') as events_pending,
  (select count(*) from stripe_event
   where organization_id = $1 and connection_id = $2 and state = 'quarantined') as events_quarantined,
  (select received_at from stripe_event
   where organization_id = $1 and connection_id = $2 order by event_seq desc limit 1) as last_event_at
"""

_TREND = """
with payment as ({payments}),
gain as (
  select occurred_at, currency, amount_minor from reward
  where organization_id = $1 and connection_id = $2 and occurred_at >= $3 and kind in ('commission', 'credit')
)
select (occurred_at at time zone 'UTC')::date as day, currency, sum(referred)::bigint as referred_minor,
       sum(earned)::bigint as earned_minor
from (
  select occurred_at, currency, case when is_referred then paid else 0 end as referred, 0 as earned from payment
  union all select occurred_at, currency, 0, amount_minor from gain
) flow group by 1, 2 order by 2, 1
""".replace("{payments}", _PAYMENTS)


async def overview_totals(tx: Connection, organization_id: str, connection_id: str, since: datetime) -> Overview:
    """Sums per currency of payments since an instant, with the present balances and counts of one connection."""
    totals = await tx.fetch(_TOTALS, organization_id, connection_id, since)
    counts = await tx.fetchrow(_COUNTS, organization_id, connection_id)
    assert counts is not None
    return Overview(
        currencies=tuple(CurrencyTotals(*(row[name] for name in CurrencyTotals.__slots__)) for row in totals),
        payment_count=sum(row["payments"] for row in totals),
        referred_payment_count=sum(row["referred_payments"] for row in totals),
        **dict(counts),
    )


async def daily_trend(
    tx: Connection, organization_id: str, connection_id: str, since: datetime
) -> tuple[DayTotals, ...]:
    """Referred and earned money per currency and UTC day since an instant; days without any are absent."""
    rows = await tx.fetch(_TREND, organization_id, connection_id, since)
    return tuple(DayTotals(**dict(row)) for row in rows)
