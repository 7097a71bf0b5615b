"""The books of scopes: rewards, decisions, referrals, customers, and the ledger's only door."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from refref.core.decisions import Decision, decode_decision
from refref.core.derive import DerivedCustomer, DerivedReferral
from refref.core.ledger import BookedReward, Entry
from refref.core.paid import Key, PaidDecision
from refref.core.shared import KnownDecision
from refref.db.pool import Connection


def instant(seconds: int) -> datetime:
    """Whole seconds since 1970 as an aware UTC instant."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(slots=True)
class ScopeBooks:
    """What is booked for one scope."""

    rewards: list[BookedReward] = field(default_factory=list)
    decisions: dict[tuple[str, str], KnownDecision] = field(default_factory=dict)  # by (payment, program)
    referrals: dict[tuple[str, str], tuple[str, DerivedReferral]] = field(default_factory=dict)
    customers: dict[str, DerivedCustomer] = field(default_factory=dict)


_READ = """
select x.* from unnest($3::text[]) as wanted (scope_id) cross join lateral (
  select 'd' as what, scope_id, payment_key as a, program_id as b, null as c, null as d, null as e, null as f,
         null as g, is_stale::int::bigint as m, null::bigint as n, null::bigint as o, null::bigint as p,
         null::bigint as q, null::bigint as r, null::bigint as s, null as h, digest as body, draft_digest as draft
  from decision where organization_id = $1 and connection_id = $2 and scope_id = wanted.scope_id
  union all
  select 'c', scope_id, stripe_customer_id, email, name, null, null, null, null,
         extract(epoch from created_at)::bigint, is_deleted::int, null, null, null, null, null, null, null, null
  from customer where organization_id = $1 and connection_id = $2 and scope_id = wanted.scope_id
  union all
  select 'b', scope_id, referral_id, program_id, referee_id, participant_id, carrier_kind, carrier_value,
         campaign || E'\\n' || status, extract(epoch from bound_at)::bigint, null, null, null, null, null, null, null,
         null, null
  from referral where organization_id = $1 and connection_id = $2 and scope_id = wanted.scope_id
  union all
  select 'r', scope_id, reward_id, program_id, rule_id, participant_id, payment_key, referee_id,
         concat_ws(E'\\n', currency, status, terms_version, kind, array_to_string(holds, ' ')),
         amount_minor, reversed_minor,
         extract(epoch from occurred_at)::bigint, extract(epoch from hold_until)::bigint, entry_count,
         extract(epoch from expires_at)::bigint, paid_minor, beneficiary_id, null, null
  from reward where organization_id = $1 and connection_id = $2 and scope_id = wanted.scope_id
) x
"""


async def books_of_scopes(
    tx: Connection, organization_id: str, connection_id: str, scope_ids: Collection[str]
) -> dict[str, ScopeBooks]:
    """The books of each scope, in one question to the database."""
    books = {scope_id: ScopeBooks() for scope_id in scope_ids}
    for row in await tx.fetch(_READ, organization_id, connection_id, list(scope_ids)):
        what, scope, a, b, c, d, e, f, g, m, n, o, p, q, r, s, h, body, draft = row
        own = books[scope]
        if what == "d":
            own.decisions[a, b] = KnownDecision(body, draft, bool(m))
        elif what == "c":
            own.customers[a] = DerivedCustomer(a, b, c, m, bool(n))
        elif what == "b":
            campaign, status = g.split("\n")
            own.referrals[b, c] = (a, DerivedReferral(b, c, d, e, f, campaign, m, status))
        else:
            currency, status, version, kind, holds = g.split("\n")
            held_for = tuple(holds.split())
            own.rewards.append(
                BookedReward(a, b, c, d, e, f, int(version), currency, m, n, status, o, p, q, h, kind, r, s, held_for)
            )
    for own in books.values():
        for key in {(reward.payment_key, reward.program_id) for reward in own.rewards if reward.paid}:
            if key in own.decisions:
                own.decisions[key] = msgspec.structs.replace(own.decisions[key], is_paid=True)
    return books


async def add_rewards(
    tx: Connection, organization_id: str, connection_id: str, rows: Sequence[tuple[BookedReward, str]]
) -> None:
    """Write new rewards as (reward, scope)."""
    if not rows:
        return
    await tx.execute(
        """
        insert into reward (organization_id, connection_id, reward_id, program_id, participant_id, payment_key,
          rule_id, referee_id, scope_id, terms_version, status, currency, amount_minor, reversed_minor, occurred_at,
          hold_until, entry_count, beneficiary_id, kind, expires_at, holds)
        select $1, $2, r.a, r.b, r.c, r.d, r.e, r.f, r.g, r.h, r.i, r.j, r.k, r.l, r.m, r.n, r.o, r.p, r.q, r.r,
          string_to_array(r.s, ' ')
        from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
          $8::text[], $9::text[], $10::int[], $11::text[], $12::text[], $13::bigint[], $14::bigint[],
          $15::timestamptz[], $16::timestamptz[], $17::int[], $18::text[], $19::text[], $20::timestamptz[], $21::text[])
          as r (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s)
        """,
        organization_id,
        connection_id,
        *_reward_columns(rows),
    )


async def change_rewards(
    tx: Connection, organization_id: str, connection_id: str, rows: Sequence[tuple[BookedReward, str]]
) -> None:
    """Bring existing rewards to their new state."""
    if not rows:
        return
    await tx.execute(
        """
        update reward r set payment_key = n.payment_key, referee_id = n.referee_id, scope_id = n.scope_id,
          participant_id = n.participant_id, expires_at = n.expires_at,
          terms_version = n.terms_version, status = n.status, amount_minor = n.amount_minor,
          reversed_minor = n.reversed_minor, occurred_at = n.occurred_at, hold_until = n.hold_until,
          entry_count = n.entry_count, holds = string_to_array(n.holds, ' ')
        from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::int[],
          $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::timestamptz[], $16::timestamptz[], $17::int[],
          $18::text[], $19::text[], $20::timestamptz[], $21::text[])
          as n (reward_id, program_id, participant_id, payment_key, rule_id, referee_id, scope_id, terms_version,
                status, currency, amount_minor, reversed_minor, occurred_at, hold_until, entry_count, beneficiary_id,
                kind, expires_at, holds)
        where r.organization_id = $1 and r.connection_id = $2 and r.reward_id = n.reward_id
        """,
        organization_id,
        connection_id,
        *_reward_columns(rows),
    )


def _reward_columns(rows: Sequence[tuple[BookedReward, str]]) -> tuple[list[object], ...]:
    return (
        [r.reward_id for r, _ in rows],
        [r.program_id for r, _ in rows],
        [r.participant_id for r, _ in rows],
        [r.payment_key for r, _ in rows],
        [r.rule_id for r, _ in rows],
        [r.referee_id for r, _ in rows],
        [scope for _, scope in rows],
        [r.terms_version for r, _ in rows],
        [r.status for r, _ in rows],
        [r.currency for r, _ in rows],
        [r.amount for r, _ in rows],
        [r.reversed for r, _ in rows],
        [instant(r.occurred_at) for r, _ in rows],
        [instant(r.hold_until) for r, _ in rows],
        [r.entry_count for r, _ in rows],
        [r.beneficiary_id for r, _ in rows],
        [r.kind for r, _ in rows],
        [None if r.expires_at is None else instant(r.expires_at) for r, _ in rows],
        [" ".join(r.holds) for r, _ in rows],
    )


async def post_entries(tx: Connection, organization_id: str, connection_id: str, entries: Sequence[Entry]) -> int:
    """Post entries through ledger_post; returns how many were new. The transaction must be the organization's."""
    if not entries:
        return 0
    made: int = await tx.fetchval(
        "select ledger_post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        connection_id,
        [e.entry_id for e in entries],
        [e.kind for e in entries],
        [e.reward_id for e in entries],
        [e.reason for e in entries],
        [e.entry_id for e in entries],
        [1] * len(entries),
        [e.currency for e in entries],
        [e.amount for e in entries],
        [e.source[0] for e in entries],
        [e.source[1] for e in entries],
        [e.destination[0] for e in entries],
        [e.destination[1] for e in entries],
    )
    return made


DecisionRow = tuple[Decision, str, bytes, bytes, bytes | None]  # decision, scope, digest, stored body, draft's digest


async def store_decisions(
    tx: Connection, organization_id: str, connection_id: str, rows: Sequence[DecisionRow]
) -> None:
    """Write decisions; one that exists is replaced (its history is the ledger's)."""
    if not rows:
        return
    await tx.execute(
        """
        insert into decision (organization_id, connection_id, payment_key, program_id, scope_id, referee_id,
          participant_id, outcome, reason, occurred_at, currency, paid_minor, base_minor, refunded_minor, earned_minor,
          reversed_minor, digest, body, draft_digest, flags)
        select $1, $2, d.a, d.b, d.c, d.d, d.e, d.f, d.g, d.h, d.i, d.j, d.k, d.l, d.m, d.n, d.o, d.p, d.q,
          string_to_array(d.r, ' ')
        from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
          $9::text[], $10::timestamptz[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
          $16::bigint[], $17::bytea[], $18::bytea[], $19::bytea[], $20::text[])
          as d (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
        on conflict (organization_id, connection_id, payment_key, program_id) do update set
          scope_id = excluded.scope_id, referee_id = excluded.referee_id, participant_id = excluded.participant_id,
          outcome = excluded.outcome, reason = excluded.reason, occurred_at = excluded.occurred_at,
          currency = excluded.currency, paid_minor = excluded.paid_minor, base_minor = excluded.base_minor,
          refunded_minor = excluded.refunded_minor, earned_minor = excluded.earned_minor,
          reversed_minor = excluded.reversed_minor, digest = excluded.digest, body = excluded.body,
          draft_digest = excluded.draft_digest, flags = excluded.flags, is_stale = false
        """,
        organization_id,
        connection_id,
        [d.payment_key for d, *_ in rows],
        [d.program_id for d, *_ in rows],
        [scope for _, scope, *_ in rows],
        [d.referee_id for d, *_ in rows],
        [d.participant_id or None for d, *_ in rows],
        [d.outcome for d, *_ in rows],
        [d.reason or None for d, *_ in rows],
        [instant(d.occurred_at) for d, *_ in rows],
        [d.currency for d, *_ in rows],
        [d.paid for d, *_ in rows],
        [d.base.amount if d.base else 0 for d, *_ in rows],
        [d.refunded for d, *_ in rows],
        [d.earned for d, *_ in rows],
        [d.taken_back for d, *_ in rows],
        [digest for _, _, digest, *_ in rows],
        [body for *_, body, _ in rows],
        [draft for *_, draft in rows],
        [" ".join(d.flags) for d, *_ in rows],
    )


async def paid_decisions(
    tx: Connection, organization_id: str, connection_id: str, keys: Collection[Key] | None = None
) -> dict[Key, PaidDecision]:
    """The decisions on conversions of which a reward was paid out, where the program looks at others' payments and
    nothing asked for judging them again: those of `keys`, or all."""
    rows = await tx.fetch(
        """
        select d.payment_key, d.program_id, d.draft_digest, d.body
        from (select distinct r.payment_key, r.program_id from reward r
              where r.organization_id = $1 and r.connection_id = $2 and r.paid_minor > 0
                and ($3::text[] is null or r.payment_key = any ($3))) p
        join decision d on d.organization_id = $1 and d.connection_id = $2 and d.payment_key = p.payment_key
          and d.program_id = p.program_id
        where d.draft_digest is not null and not d.is_stale
        """,
        organization_id,
        connection_id,
        None if keys is None else [payment for payment, _ in keys],
    )
    return {(row[0], row[1]): PaidDecision(row[2], decode_decision(row[3])) for row in rows}


async def drop_decisions(
    tx: Connection, organization_id: str, connection_id: str, keys: Sequence[tuple[str, str]]
) -> None:
    """Remove decisions whose payment turned out to be part of another, as (payment, program)."""
    if keys:
        await tx.execute(
            """
            delete from decision d using unnest($3::text[], $4::text[]) as k (payment_key, program_id)
            where d.organization_id = $1 and d.connection_id = $2
              and d.payment_key = k.payment_key and d.program_id = k.program_id
            """,
            organization_id,
            connection_id,
            [payment for payment, _ in keys],
            [program for _, program in keys],
        )


async def store_referrals(
    tx: Connection, organization_id: str, connection_id: str, rows: Sequence[tuple[str, DerivedReferral, str]]
) -> None:
    """Write referrals as (referral id, referral, scope); a referee has one per program."""
    if not rows:
        return
    await tx.execute(
        """
        insert into referral (organization_id, connection_id, referral_id, program_id, referee_id, scope_id,
                              participant_id, carrier_kind, carrier_value, campaign, status, bound_at)
        select $1, $2, r.* from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                                       $9::text[], $10::text[], $11::text[], $12::timestamptz[]) r
        on conflict (organization_id, connection_id, program_id, referee_id) do update set
          scope_id = excluded.scope_id, participant_id = excluded.participant_id, carrier_kind = excluded.carrier_kind,
          carrier_value = excluded.carrier_value, campaign = excluded.campaign, status = excluded.status,
          bound_at = excluded.bound_at
        """,
        organization_id,
        connection_id,
        [referral_id for referral_id, _, _ in rows],
        [r.program_id for _, r, _ in rows],
        [r.referee_id for _, r, _ in rows],
        [scope for _, _, scope in rows],
        [r.participant_id for _, r, _ in rows],
        [r.carrier_kind for _, r, _ in rows],
        [r.carrier_value for _, r, _ in rows],
        [r.campaign for _, r, _ in rows],
        [r.status for _, r, _ in rows],
        [instant(r.bound_at) for _, r, _ in rows],
    )


async def undo_referrals(tx: Connection, organization_id: str, referral_ids: Sequence[str]) -> None:
    """Mark referrals that no evidence supports any longer."""
    if referral_ids:
        await tx.execute(
            "update referral set status = 'undone' where organization_id = $1 and referral_id = any ($2)",
            organization_id,
            list(referral_ids),
        )


async def store_customers(
    tx: Connection, organization_id: str, connection_id: str, rows: Sequence[tuple[DerivedCustomer, str]]
) -> None:
    """Write customers as (customer, scope)."""
    if not rows:
        return
    await tx.execute(
        """
        insert into customer (organization_id, connection_id, stripe_customer_id, scope_id, email, name, created_at,
                              is_deleted)
        select $1, $2, c.* from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::bool[]) c
        on conflict (organization_id, connection_id, stripe_customer_id) do update set scope_id = excluded.scope_id,
          email = excluded.email, name = excluded.name, created_at = excluded.created_at,
          is_deleted = excluded.is_deleted
        """,
        organization_id,
        connection_id,
        [c.stripe_customer_id for c, _ in rows],
        [scope for _, scope in rows],
        [c.email for c, _ in rows],
        [c.name for c, _ in rows],
        [None if c.created_at is None else instant(c.created_at) for c, _ in rows],
        [c.is_deleted for c, _ in rows],
    )
