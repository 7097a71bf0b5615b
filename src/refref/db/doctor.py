"""Queries of the doctor: where a fault was seen, how often, from when to when, with examples. Decides nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.core.diagnoses import Rhythm, Seen
from refref.core.facts import Fact, decode_fact
from refref.db.bodies import decompress
from refref.db.pool import Connection

# Each gives (subject, instant) of what is wrong. $1 organization, $2 connection, $3 only what came after it, $4 now; by
# our own clock.
TRACES: dict[str, str] = {
    "no_webhook_secret": """
        select c.connection_id, c.created_at from connection c
        where c.organization_id = $1 and c.connection_id = $2 and c.access = 'key' and $3 < $4
          and not exists (select from connection_secret s where s.organization_id = $1 and s.connection_id = $2
                          and s.kind = 'webhook' and (s.expires_at is null or s.expires_at > $4))
          and not exists (select from event_poll p where p.organization_id = $1 and p.connection_id = $2
                          and p.is_intake)
    """,
    "nothing_arrived": """
        select c.connection_id, c.created_at from connection c
        where c.organization_id = $1 and c.connection_id = $2 and c.created_at < $4 - interval '1 day' and $3 < $4
          and exists (select from connection_secret s where s.organization_id = $1 and s.connection_id = $2
                      and s.kind = 'webhook')
          and not exists (select from stripe_event e where e.organization_id = $1 and e.connection_id = $2
                          and e.source = 'webhook')
          and not exists (select from event_poll p where p.organization_id = $1 and p.connection_id = $2
                          and p.is_intake)
    """,
    # Objects that webhooks told of, while the event that every one of them has never came.
    "type_missing": """
        select needed.type || ' ' || f.stripe_id, e.received_at
        from (values ('invoice', 'invoice.paid'), ('invoice_payment', 'invoice.paid'), ('charge', 'charge.succeeded'),
                     ('payment_intent', 'charge.succeeded'), ('session', 'checkout.session.completed'),
                     ('subscription', 'customer.subscription.created')) as needed (kind, type)
        join fact f on f.organization_id = $1 and f.connection_id = $2 and f.kind = needed.kind
        join stripe_event e on e.organization_id = $1 and e.connection_id = $2 and e.event_seq = f.event_seq
             and e.source = 'webhook' and e.received_at > $3 and e.received_at < $4 - interval '15 minutes'
        where not exists (select from stripe_event o where o.organization_id = $1 and o.connection_id = $2
                          and o.type = needed.type and o.source = 'webhook')
          and e.type not in ('checkout.session.expired', 'invoice.voided', 'invoice.created', 'invoice.finalized',
                             'invoice.updated', 'invoice.payment_failed', 'charge.failed', 'charge.pending',
                             'payment_intent.created', 'payment_intent.payment_failed', 'payment_intent.canceled')
    """,
    # Since webhooks flow again there is nothing to mend: what was missed is here.
    "missed_by_webhook": """
        select e.stripe_event_id, e.received_at from stripe_event e
        where e.organization_id = $1 and e.connection_id = $2 and e.source = 'poll' and e.state = 'accepted'
          and e.received_at > $3 and e.received_at < $4 - interval '15 minutes'
          and e.created_at > (select coalesce(max(w.created_at), '-infinity') from stripe_event w
                              where w.organization_id = $1 and w.connection_id = $2 and w.source = 'webhook')
          and not exists (select from event_poll p where p.organization_id = $1 and p.connection_id = $2
                          and p.is_intake)
          and exists (select from connection_secret s where s.organization_id = $1 and s.connection_id = $2
                      and s.kind = 'webhook')
    """,
    "gaps_found": """
        select g.stripe_id, r.finished_at from (
          select * from history_run where organization_id = $1 and connection_id = $2 and kind = 'reconcile'
            and status = 'done' order by run_id desc limit 1) r
        join history_gap g on g.organization_id = $1 and g.run_id = r.run_id
        where r.finished_at > $3 and r.finished_at <= $4
    """,
    "reading_failed": """
        select r.run_id, r.created_at from (
          select distinct on (kind) * from history_run where organization_id = $1 and connection_id = $2
          order by kind, run_id desc) r
        where r.status = 'failed' and r.created_at > $3 and r.created_at <= $4
    """,
    "poll_failing": """
        select p.error, p.checked_at from event_poll p
        where p.organization_id = $1 and p.connection_id = $2 and p.attempts >= 3 and $3 < $4
    """,
    # Promotion codes that nobody owns are the shop's own: nothing is wrong with them.
    "unknown_codes": """
        select u.code, max(e.received_at) from unclaimed_code u
        join fact f on f.organization_id = $1 and f.connection_id = $2 and f.scope_id = u.scope_id
        join stripe_event e on e.organization_id = $1 and e.connection_id = $2 and e.event_seq = f.event_seq
        where u.organization_id = $1 and u.connection_id = $2 and u.code not like 'promo\\_%'
          and e.received_at > $3 and e.received_at <= $4
          and not exists (select from participant_code c where c.organization_id = $1 and c.connection_id = $2
                          and c.code = u.code)
          and not exists (select from participant p where p.organization_id = $1 and p.participant_id = u.code)
          and not exists (select from referral r where r.organization_id = $1 and r.referral_id = u.code)
        group by u.code, u.scope_id
    """,
    "promotion_code_collides": """
        select p.code || ' (' || p.stripe_promotion_code_id || ')', to_timestamp(p.seen_at)
        from catalog_promotion_code p
        join participant_code refcode on refcode.organization_id = $1 and refcode.connection_id = $2
             and refcode.code_kind = 'refcode' and refcode.code = lower(p.code) and refcode.deactivated_at is null
        left join participant_code own on own.organization_id = $1 and own.connection_id = $2
             and own.code = p.stripe_promotion_code_id
        where p.organization_id = $1 and p.connection_id = $2 and p.is_active and p.deleted_at is null and $3 < $4
          and own.participant_id is distinct from refcode.participant_id
    """,
    "two_connections": """
        select o.connection_id, o.created_at from connection c
        join connection o on o.organization_id = $1 and o.connection_id <> c.connection_id and o.mode = c.mode
             and o.stripe_account_id = c.stripe_account_id and o.status <> 'disabled'
        where c.organization_id = $1 and c.connection_id = $2 and c.status <> 'disabled' and $3 < $4
    """,
    "same_event_twice": """
        select e.stripe_event_id, e.received_at from stripe_event e
        join connection o on o.organization_id = $1 and o.connection_id <> $2 and o.status <> 'disabled'
        join stripe_event d on d.organization_id = $1 and d.connection_id = o.connection_id
             and d.stripe_event_id = e.stripe_event_id and d.state = 'accepted'
        where e.organization_id = $1 and e.connection_id = $2 and e.state = 'accepted' and e.received_at > $3
          and e.received_at <= $4
    """,
    "sale_twice": """
        select distinct a.payment_key || ' = ' || b.payment_key, a.occurred_at from decision a
        join decision b on b.organization_id = $1 and b.connection_id = $2 and b.scope_id = a.scope_id
             and b.paid_minor = a.paid_minor and b.currency = a.currency and b.payment_key > a.payment_key
             and abs(extract(epoch from a.occurred_at - b.occurred_at)) < 600
             and split_part(a.payment_key, '_', 1) <> split_part(b.payment_key, '_', 1)
        where a.organization_id = $1 and a.connection_id = $2 and a.paid_minor > 0 and $3 < $4
          and a.payment_key !~ '/' and b.payment_key !~ '/'
    """,
    "version_drift": """
        select e.api_version, max(e.received_at) from (
          select api_version, received_at from stripe_event
          where organization_id = $1 and connection_id = $2 and source = 'webhook' and api_version is not null
            and received_at > $3 and received_at <= $4
          order by event_seq desc limit 20) e
        group by e.api_version having count(*) < (
          select count(*) from (select from stripe_event where organization_id = $1 and connection_id = $2
            and source = 'webhook' and api_version is not null and received_at > $3 and received_at <= $4
            order by event_seq desc limit 20) newest)
    """,
    "clock_ahead": """
        select e.stripe_event_id, e.received_at from stripe_event e
        join connection c on c.organization_id = $1 and c.connection_id = $2 and c.api_base is null
        where e.organization_id = $1 and e.connection_id = $2 and e.source = 'webhook'
          and e.created_at > e.received_at + interval '2 minutes'
          and e.received_at > $4 - interval '1 day' and e.received_at > $3
          and not exists (select from stripe_event w where w.organization_id = $1 and w.connection_id = $2
            and w.source = 'webhook' and w.event_seq > e.event_seq
            and w.created_at <= w.received_at + interval '2 minutes')
    """,
    "wrong_mode": """
        select stripe_event_id, received_at from stripe_event
        where organization_id = $1 and connection_id = $2 and state = 'quarantined' and reason = 'livemode_mismatch'
          and received_at > $3 and received_at <= $4
    """,
    "unknown_account": """
        select stripe_event_id, received_at from stripe_event
        where organization_id = $1 and connection_id = $2 and state = 'quarantined' and reason = 'unknown_account'
          and received_at > $3 and received_at <= $4
    """,
    "needs_unanswered": """
        select need_kind || ' ' || stripe_id, due_at from open_need
        where organization_id = $1 and connection_id = $2 and attempts >= 3 and $3 < $4
    """,
    "parked_events": """
        select e.stripe_event_id || coalesce(': ' || i.error, ''), e.received_at from inbox i
        join stripe_event e using (organization_id, connection_id, event_seq)
        where i.organization_id = $1 and i.connection_id = $2 and i.state = 'parked' and $3 < $4
    """,
    "overdue_events": """
        select e.stripe_event_id, e.received_at from inbox i
        join stripe_event e using (organization_id, connection_id, event_seq)
        where i.organization_id = $1 and i.connection_id = $2 and i.state = 'pending' and $3 < $4
          and greatest(i.due_at, e.received_at) < $4 - interval '15 minutes'
    """,
}


async def seen(
    tx: Connection, organization_id: str, connection_id: str, code: str, since: datetime, now: datetime
) -> Seen | None:
    """Where a fault of TRACES was seen; None: nowhere."""
    query = TRACES[code].replace("$3", "$3::timestamptz").replace("$4", "$4::timestamptz")
    row = await tx.fetchrow(
        f"""
        select count(*)::int, extract(epoch from min(at))::bigint, extract(epoch from max(at))::bigint,
               (array_agg(subject order by at desc, subject))[1:5]
        from ({query}) as found (subject, at)
        """,  # noqa: S608 - the queries are the literals above
        organization_id,
        connection_id,
        since,
        now,
    )
    return Seen(row[0], row[1], row[2], tuple(row[3])) if row[0] else None


async def mended_at(tx: Connection, organization_id: str, connection_id: str) -> dict[str, datetime]:
    """When a person said last that the cause of a fault is mended, by code."""
    rows = await tx.fetch(
        "select details->>'code', max(at) from audit_log where organization_id = $1 and action = 'doctor.mended'"
        " and subject = $2 group by 1",
        organization_id,
        connection_id,
    )
    return {row[0]: row[1] for row in rows}


async def rhythm(tx: Connection, organization_id: str, connection_id: str, since: datetime) -> Rhythm:
    """How webhooks came since an instant."""
    row = await tx.fetchrow(
        """
        select count(*)::int, extract(epoch from min(received_at))::bigint,
               extract(epoch from max(received_at))::bigint,
               coalesce(extract(epoch from max(received_at - before))::bigint, 0)
        from (select received_at, lag(received_at) over (order by event_seq) as before from stripe_event
              where organization_id = $1 and connection_id = $2 and source = 'webhook' and received_at > $3) e
        """,
        organization_id,
        connection_id,
        since,
    )
    return Rhythm(*row)


@dataclass(frozen=True, slots=True)
class TypeLine:
    """Deliveries of one type: the last one and how many in the span."""

    type: str
    count: int
    last_at: datetime


async def deliveries(tx: Connection, organization_id: str, connection_id: str, since: datetime) -> list[TypeLine]:
    """The last delivery of each type and how many there were since an instant."""
    rows = await tx.fetch(
        """
        select type, count(*)::int, max(received_at) from stripe_event
        where organization_id = $1 and connection_id = $2 and source = 'webhook' and received_at > $3
        group by type order by type
        """,
        organization_id,
        connection_id,
        since,
    )
    return [TypeLine(*row) for row in rows]


async def carrier_bodies(
    tx: Connection, organization_id: str, connection_id: str, since: datetime, limit: int
) -> list[tuple[datetime, bytes]]:
    """The latest events whose objects can carry a referral identifier: when received, and the raw body."""
    rows = await tx.fetch(
        """
        select received_at, body from stripe_event
        where organization_id = $1 and connection_id = $2 and source in ('webhook', 'poll') and state = 'accepted'
          and received_at > $3 and (type like 'checkout.session.%' or type like 'customer.subscription.%'
                                    or type in ('customer.created', 'customer.updated', 'payment_intent.succeeded'))
        order by event_seq desc limit $4
        """,
        organization_id,
        connection_id,
        since,
        limit,
    )
    return [(row[0], decompress(row[1])) for row in rows]


async def session_facts(
    tx: Connection, organization_id: str, connection_id: str, since: datetime, limit: int
) -> list[tuple[Fact, int]]:
    """The latest checkout sessions that webhooks told of, with the instant of arrival in seconds."""
    rows = await tx.fetch(
        """
        select f.body, extract(epoch from e.received_at)::bigint from fact f
        join stripe_event e on e.organization_id = $1 and e.connection_id = $2 and e.event_seq = f.event_seq
        where f.organization_id = $1 and f.connection_id = $2 and f.kind = 'session' and e.received_at > $3
        order by f.event_seq desc limit $4
        """,
        organization_id,
        connection_id,
        since,
        limit,
    )
    return [(decode_fact(row[0]), row[1]) for row in rows]


async def facts_by_id(
    tx: Connection, organization_id: str, connection_id: str, stripe_ids: Collection[str]
) -> list[Fact]:
    """These objects, as far as they are known."""
    rows = await tx.fetch(
        "select body from fact where organization_id = $1 and connection_id = $2 and stripe_id = any ($3)",
        organization_id,
        connection_id,
        list(stripe_ids),
    )
    return [decode_fact(row[0]) for row in rows]


async def active_codes(tx: Connection, organization_id: str, connection_id: str) -> Sequence[tuple[str, str]]:
    """Every refcode in use, as (code, participant)."""
    rows = await tx.fetch(
        "select code, participant_id from participant_code where organization_id = $1 and connection_id = $2"
        " and code_kind = 'refcode' and deactivated_at is null order by code limit 100000",
        organization_id,
        connection_id,
    )
    return [(row[0], row[1]) for row in rows]


async def ask_again(tx: Connection, organization_id: str, connection_id: str) -> int:
    """Let every question to Stripe that waits be asked now; returns how many."""
    tag = await tx.execute(
        "update open_need set due_at = now(), attempts = 0 where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
    )
    return int(tag.rsplit(" ", 1)[-1])
