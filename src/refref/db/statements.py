"""The lines of monthly statements: payments by class, movements of Stripe's balance, and their sums."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.core.statement import Decided
from refref.db.history import HistoryRun
from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class DecidedPayment:
    """What one program decided about a payment of the month."""

    payment_key: str
    occurred_at: datetime
    referee_id: str
    currency: str
    decided: Decided


@dataclass(frozen=True, slots=True)
class StatedPayment:
    """A payment with its class; `reason`: a code of core.decisions.REASONS, "" where it earned. `charged_minor`: what
    its charges took, None where none is known; it ties where that and what came out of band make what was paid."""

    payment_key: str
    payment_class: str
    reason: str
    occurred_at: datetime
    referee_id: str
    currency: str
    paid_minor: int
    refunded_minor: int
    off_stripe_minor: int = 0
    charged_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """A balance transaction. `is_sale`: money of payments; `payment_key`: the payment behind it, "" where none is.
    `known_minor`: what the books hold of its source, without sign, in `known_currency`; None where they do not know."""

    stripe_id: str
    type: str
    is_sale: bool
    source_id: str
    payment_key: str
    currency: str
    amount_minor: int
    fee_minor: int
    created_s: int
    known_minor: int | None = None
    known_currency: str = ""


@dataclass(frozen=True, slots=True)
class Tie:
    """A currency's payments of the month beside their charges. `untied_count`: payments whose charges do not make what
    was paid; `unknown`: of which no charge is known; `unmoved`: whose charge is no movement of this month."""

    currency: str
    count: int
    paid_minor: int
    off_stripe_minor: int
    charged_minor: int
    untied_count: int
    unknown_count: int
    unknown_minor: int
    unmoved_count: int
    unmoved_minor: int


@dataclass(frozen=True, slots=True)
class ClassSum:
    payment_class: str
    reason: str
    currency: str
    count: int
    paid_minor: int
    refunded_minor: int


@dataclass(frozen=True, slots=True)
class MoneySum:
    """Movements of one type and currency; `moved_minor` and `explained_minor` without their signs."""

    type: str
    is_sale: bool
    currency: str
    count: int
    net_minor: int
    moved_minor: int
    explained_count: int
    explained_minor: int


async def decided_payments(tx: Connection, run: HistoryRun, after: str, limit: int) -> list[DecidedPayment]:
    """Decisions about the next `limit` payments of a statement's month, in order of payment. Conversions that are no
    payments (their keys have a slash) are none of it."""
    rows = await tx.fetch(
        """
        select d.payment_key, d.occurred_at, d.referee_id, d.currency, d.outcome, coalesce(d.reason, ''), d.paid_minor,
          d.refunded_minor, coalesce(gave.is_taken_back, false)
        from decision d
        cross join lateral (
          select bool_and(r.reversed_minor >= r.amount_minor and r.status <> 'expired') as is_taken_back from reward r
          where r.organization_id = $1 and r.connection_id = $2 and r.payment_key = d.payment_key
            and r.program_id = d.program_id and r.amount_minor > 0
        ) gave
        where d.organization_id = $1 and d.connection_id = $2 and d.payment_key in (
          select distinct p.payment_key from decision p
          where p.organization_id = $1 and p.connection_id = $2 and p.payment_key > $3
            and p.occurred_at >= $4 and p.occurred_at < $5 and strpos(p.payment_key, '/') = 0
          order by p.payment_key limit $6)
        order by d.payment_key, d.program_id
        """,
        run.organization_id,
        run.connection_id,
        after,
        run.from_at,
        run.until_at,
        limit,
    )
    return [DecidedPayment(row[0], row[1], row[2], row[3], Decided(*row[4:])) for row in rows]


async def decided_keys(tx: Connection, organization_id: str, connection_id: str, keys: Collection[str]) -> set[str]:
    """Those of the payments about which there is a decision."""
    rows = await tx.fetch(
        "select distinct payment_key from decision"
        " where organization_id = $1 and connection_id = $2 and payment_key = any ($3)",
        organization_id,
        connection_id,
        list(keys),
    )
    return {row[0] for row in rows}


async def insert_payments(tx: Connection, run: HistoryRun, payments: Sequence[StatedPayment]) -> None:
    await tx.execute(
        """
        insert into statement_payment (organization_id, run_id, payment_key, class, reason, occurred_at, referee_id,
                                       currency, paid_minor, refunded_minor, off_stripe_minor, charged_minor)
        select $1, $2, p.* from unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[],
                                       $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[]) p
        on conflict do nothing
        """,
        run.organization_id,
        run.run_id,
        [row.payment_key for row in payments],
        [row.payment_class for row in payments],
        [row.reason for row in payments],
        [row.occurred_at for row in payments],
        [row.referee_id for row in payments],
        [row.currency for row in payments],
        [row.paid_minor for row in payments],
        [row.refunded_minor for row in payments],
        [row.off_stripe_minor for row in payments],
        [row.charged_minor for row in payments],
    )


async def insert_movements(tx: Connection, run: HistoryRun, movements: Sequence[Movement]) -> None:
    await tx.execute(
        """
        insert into statement_movement (organization_id, run_id, stripe_id, type, is_sale, source_id, payment_key,
                                        currency, amount_minor, fee_minor, created_at, known_minor, known_currency)
        select $1, $2, m.stripe_id, m.type, m.is_sale, m.source_id, m.payment_key, m.currency, m.amount, m.fee,
          to_timestamp(m.created), m.known, m.known_currency
        from unnest($3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::bigint[],
                    $10::bigint[], $11::bigint[], $12::bigint[], $13::text[])
             as m (stripe_id, type, is_sale, source_id, payment_key, currency, amount, fee, created, known,
                   known_currency)
        on conflict do nothing
        """,
        run.organization_id,
        run.run_id,
        [row.stripe_id for row in movements],
        [row.type for row in movements],
        [row.is_sale for row in movements],
        [row.source_id for row in movements],
        [row.payment_key for row in movements],
        [row.currency for row in movements],
        [row.amount_minor for row in movements],
        [row.fee_minor for row in movements],
        [row.created_s for row in movements],
        [row.known_minor for row in movements],
        [row.known_currency for row in movements],
    )


async def class_sums(tx: Connection, organization_id: str, run_id: str) -> list[ClassSum]:
    """A statement's payments by class, reason and currency."""
    rows = await tx.fetch(
        """
        select class, reason, currency, count(*), sum(paid_minor)::bigint, sum(refunded_minor)::bigint
        from statement_payment where organization_id = $1 and run_id = $2
        group by class, reason, currency order by currency, class, reason
        """,
        organization_id,
        run_id,
    )
    return [ClassSum(*row) for row in rows]


async def money_sums(tx: Connection, organization_id: str, run_id: str) -> list[MoneySum]:
    """A statement's movements by type and currency."""
    rows = await tx.fetch(
        """
        select type, is_sale, currency, count(*), sum(amount_minor)::bigint, sum(abs(amount_minor))::bigint,
          count(*) filter (where payment_key <> ''),
          coalesce(sum(abs(amount_minor)) filter (where payment_key <> ''), 0)::bigint
        from statement_movement where organization_id = $1 and run_id = $2
        group by type, is_sale, currency order by currency, is_sale desc, type
        """,
        organization_id,
        run_id,
    )
    return [MoneySum(*row) for row in rows]


async def ties(tx: Connection, organization_id: str, run_id: str) -> list[Tie]:
    """By currency, what the payments of a statement came to and what their charges took."""
    rows = await tx.fetch(
        """
        select p.currency, count(*), sum(p.paid_minor)::bigint, sum(p.off_stripe_minor)::bigint,
          coalesce(sum(p.charged_minor), 0)::bigint,
          count(*) filter (where p.charged_minor <> p.paid_minor - p.off_stripe_minor),
          count(*) filter (where p.charged_minor is null and p.paid_minor > p.off_stripe_minor),
          coalesce(sum(p.paid_minor - p.off_stripe_minor)
                     filter (where p.charged_minor is null and p.paid_minor > p.off_stripe_minor), 0)::bigint,
          count(*) filter (where p.charged_minor > 0 and m.payment_key is null),
          coalesce(sum(p.charged_minor) filter (where m.payment_key is null), 0)::bigint
        from statement_payment p
        left join (select distinct payment_key from statement_movement
                   where organization_id = $1 and run_id = $2 and type in ('charge', 'payment')) m using (payment_key)
        where p.organization_id = $1 and p.run_id = $2
        group by p.currency order by p.currency
        """,
        organization_id,
        run_id,
    )
    return [Tie(*row) for row in rows]


async def untied_payments(tx: Connection, organization_id: str, run_id: str, limit: int) -> list[StatedPayment]:
    """Payments whose charges took something else than was paid by the books, the farthest apart first."""
    rows = await tx.fetch(
        """
        select payment_key, class, reason, occurred_at, referee_id, currency, paid_minor, refunded_minor,
          off_stripe_minor, charged_minor
        from statement_payment where organization_id = $1 and run_id = $2
          and charged_minor <> paid_minor - off_stripe_minor
        order by abs(charged_minor - paid_minor + off_stripe_minor) desc, payment_key limit $3
        """,
        organization_id,
        run_id,
        limit,
    )
    return [StatedPayment(*row) for row in rows]


async def untied_movements(tx: Connection, organization_id: str, run_id: str, limit: int) -> list[Movement]:
    """Movements that are not what the books hold of their charge, refund or dispute, the farthest apart first. What
    Stripe converted is left out: it is in another currency."""
    rows = await tx.fetch(
        """
        select stripe_id, type, is_sale, source_id, payment_key, currency, amount_minor, fee_minor,
          extract(epoch from created_at)::bigint, known_minor, known_currency
        from statement_movement where organization_id = $1 and run_id = $2 and is_sale
          and known_currency = currency and abs(amount_minor) <> known_minor
        order by abs(abs(amount_minor) - known_minor) desc, stripe_id limit $3
        """,
        organization_id,
        run_id,
        limit,
    )
    return [Movement(*row) for row in rows]


async def movements(
    tx: Connection,
    organization_id: str,
    run_id: str,
    *,
    only_unexplained: bool = False,
    after: str = "",
    limit: int = 100,
) -> list[Movement]:
    """A statement's movements in order of id, those after `after`."""
    rows = await tx.fetch(
        """
        select stripe_id, type, is_sale, source_id, payment_key, currency, amount_minor, fee_minor,
          extract(epoch from created_at)::bigint, known_minor, known_currency
        from statement_movement where organization_id = $1 and run_id = $2 and stripe_id > $3
          and (not $4 or (is_sale and payment_key = ''))
        order by stripe_id limit $5
        """,
        organization_id,
        run_id,
        after,
        only_unexplained,
        limit,
    )
    return [Movement(*row) for row in rows]


async def payments(
    tx: Connection, organization_id: str, run_id: str, *, after: str = "", limit: int = 100
) -> list[StatedPayment]:
    """A statement's payments in order of key, those after `after`."""
    rows = await tx.fetch(
        """
        select payment_key, class, reason, occurred_at, referee_id, currency, paid_minor, refunded_minor,
          off_stripe_minor, charged_minor
        from statement_payment where organization_id = $1 and run_id = $2 and payment_key > $3
        order by payment_key limit $4
        """,
        organization_id,
        run_id,
        after,
        limit,
    )
    return [StatedPayment(*row) for row in rows]
