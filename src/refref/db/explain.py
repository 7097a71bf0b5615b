"""Look-ups behind an explanation: from any id or e-mail address to scopes, decisions, rewards, entries and events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.core.decisions import Decision, decode_decision
from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class Place:
    """A scope of a connection."""

    connection_id: str
    scope_id: str


@dataclass(frozen=True, slots=True)
class RewardLine:
    reward_id: str
    program_id: str
    rule_id: str
    participant_id: str
    payment_key: str
    status: str
    currency: str
    amount_minor: int
    reversed_minor: int
    hold_until: datetime
    beneficiary_id: str


@dataclass(frozen=True, slots=True)
class EntryLine:
    entry_id: str
    reward_id: str
    kind: str
    reason: str
    posted_at: datetime
    amount_minor: int
    currency: str
    source_account: str
    source_owner: str
    destination_account: str
    destination_owner: str


@dataclass(frozen=True, slots=True)
class EventLine:
    """An event as a story's footnote; `state` pending, parked, done, ignored or quarantined."""

    connection_id: str
    stripe_event_id: str
    type: str
    object_id: str
    state: str
    reason: str | None
    created_at: datetime
    received_at: datetime


_PLACES = {
    "reward": "select connection_id, scope_id from reward where organization_id = $1 and reward_id = $3",
    "referral": "select connection_id, scope_id from referral where organization_id = $1 and referral_id = $3",
    "email": "select connection_id, scope_id from customer where organization_id = $1 and lower(email) = lower($3)",
    "fact": "select connection_id, scope_id from fact where organization_id = $1 and stripe_id = $3",
}


async def places_of(
    tx: Connection, organization_id: str, connection_id: str | None, how: str, value: str
) -> list[Place]:
    """The scopes that a reward id, referral id, e-mail address or Stripe id leads to (`how`: a key of _PLACES)."""
    rows = await tx.fetch(
        f"{_PLACES[how]} and ($2::text is null or connection_id = $2) order by 1, 2 limit 20",
        organization_id,
        connection_id,
        value,
    )
    return [Place(row[0], row[1]) for row in rows]


async def decisions_of_scope(tx: Connection, organization_id: str, place: Place) -> list[Decision]:
    """Every decision of a scope, in order of payment."""
    rows = await tx.fetch(
        """
        select body from decision where organization_id = $1 and connection_id = $2 and scope_id = $3
        order by occurred_at, payment_key, program_id
        """,
        organization_id,
        place.connection_id,
        place.scope_id,
    )
    return [decode_decision(row[0]) for row in rows]


async def rewards_of_scope(tx: Connection, organization_id: str, place: Place) -> list[RewardLine]:
    """Every reward of a scope."""
    rows = await tx.fetch(
        """
        select reward_id, program_id, rule_id, participant_id, payment_key, status, currency, amount_minor,
               reversed_minor, hold_until, beneficiary_id
        from reward where organization_id = $1 and connection_id = $2 and scope_id = $3 order by reward_id
        """,
        organization_id,
        place.connection_id,
        place.scope_id,
    )
    return [RewardLine(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class ReviewLine:
    """What a person decided; `rule_id` "": on the whole conversion, or on the referral."""

    program_id: str
    rule_id: str
    stripe_id: str
    verdict: str
    reason: str
    actor: str
    at: datetime


async def reviews_of(tx: Connection, organization_id: str, place: Place, stripe_ids: list[str]) -> list[ReviewLine]:
    """What people decided on these conversions and referees, in order."""
    rows = await tx.fetch(
        """
        select program_id, rule_id, stripe_id, verdict, reason, actor, at from review
        where organization_id = $1 and connection_id = $2 and split_part(stripe_id, '/', 1) = any ($3)
        order by review_id
        """,
        organization_id,
        place.connection_id,
        [stripe_id.partition("/")[0] for stripe_id in stripe_ids],
    )
    return [ReviewLine(*row) for row in rows]


async def entries_of_rewards(tx: Connection, organization_id: str, reward_ids: list[str]) -> list[EntryLine]:
    """The ledger entries of rewards, in the order in which they were posted."""
    rows = await tx.fetch(
        """
        select e.entry_id, e.reward_id, e.kind, e.reason, e.posted_at, p.amount_minor, p.currency, p.source_account,
               p.source_owner, p.destination_account, p.destination_owner
        from unnest($2::text[]) as wanted (reward_id)
        join reward r on r.organization_id = $1 and r.reward_id = wanted.reward_id
        cross join lateral generate_series(1, r.entry_count) as n
        join ledger_entry e on e.organization_id = $1 and e.entry_id = r.reward_id || '.' || n
        join ledger_posting p on p.organization_id = $1 and p.entry_id = e.entry_id
        order by e.reward_id, n, p.posting_no
        """,
        organization_id,
        reward_ids,
    )
    return [EntryLine(*row) for row in rows]


async def event_by_stripe_id(
    tx: Connection, organization_id: str, connection_id: str | None, event_id: str
) -> EventLine | None:
    """One event with its state."""
    row = await tx.fetchrow(
        """
        select e.connection_id, e.stripe_event_id, e.type, e.object_id,
               case when e.state <> 'accepted' then e.state else coalesce(i.state, 'done') end,
               coalesce(i.error, e.reason), e.created_at, e.received_at
        from stripe_event e left join inbox i using (organization_id, connection_id, event_seq)
        where e.organization_id = $1 and ($2::text is null or e.connection_id = $2) and e.stripe_event_id = $3
        order by e.event_seq limit 1
        """,
        organization_id,
        connection_id,
        event_id,
    )
    return None if row is None else EventLine(*row)


async def events_of_facts(tx: Connection, organization_id: str, place: Place) -> list[EventLine]:
    """The events that last changed the facts of a scope."""
    rows = await tx.fetch(
        """
        select distinct on (e.event_seq) e.connection_id, e.stripe_event_id, e.type, e.object_id,
               coalesce(i.state, 'done'), i.error, e.created_at, e.received_at
        from fact f
        join stripe_event e on e.organization_id = $1 and e.connection_id = $2 and e.event_seq = f.event_seq
        left join inbox i on i.organization_id = $1 and i.connection_id = $2 and i.event_seq = e.event_seq
        where f.organization_id = $1 and f.connection_id = $2 and f.scope_id = $3
        order by e.event_seq limit 200
        """,
        organization_id,
        place.connection_id,
        place.scope_id,
    )
    return [EventLine(*row) for row in rows]


async def names_of(tx: Connection, organization_id: str, ids: list[str]) -> dict[str, str]:
    """The names of participants and programs."""
    rows = await tx.fetch(
        """
        select participant_id, name from participant where organization_id = $1 and participant_id = any ($2)
        union all
        select program_id, name from program where organization_id = $1 and program_id = any ($2)
        """,
        organization_id,
        ids,
    )
    return {row[0]: row[1] for row in rows}


async def emails_of_scope(tx: Connection, organization_id: str, place: Place) -> dict[str, str | None]:
    """The customers of a scope with their e-mail addresses."""
    rows = await tx.fetch(
        """
        select stripe_customer_id, email from customer
        where organization_id = $1 and connection_id = $2 and scope_id = $3
        """,
        organization_id,
        place.connection_id,
        place.scope_id,
    )
    return {row[0]: row[1] for row in rows}
