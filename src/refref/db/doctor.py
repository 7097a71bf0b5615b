"""What the doctor looks at: where a fault was seen, how webhooks come, sessions, codes. Decides nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from refref.core.decisions import Decision, decode_decision
from refref.core.diagnoses import Rhythm, Seen
from refref.core.facts import Fact, decode_fact
from refref.db.bodies import decompress
from refref.db.doctor_traces import TRACES
from refref.db.pool import Connection


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
                                    or type in ('customer.created', 'customer.updated', 'payment_intent.succeeded',
                                                'charge.succeeded', 'invoice.paid'))
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


@dataclass(frozen=True, slots=True)
class Tell:
    """Something that tells that an event of type `needed` must have come: `subject` arrived at `at` (seconds)."""

    needed: str
    subject: str
    at: int


_COVERED = timedelta(days=8)
_ON_THE_WAY = timedelta(minutes=15)
# Events that come with another one of the same object, or after it.
_IMPLIED = (
    ("invoice.payment_succeeded", "invoice.paid"),
    ("payment_intent.succeeded", "charge.succeeded"),
    ("checkout.session.async_payment_succeeded", "checkout.session.completed"),
)


async def missing_types(
    tx: Connection, organization_id: str, connection_id: str, tells: Sequence[Tell], since: datetime, now: datetime
) -> list[tuple[int, str]]:
    """Of `tells`, and of webhooks that imply others, those of whose needed type nothing came for more than a week: as
    (instant of arrival, subject). A week, since money may be captured as long after it was reserved."""
    needed = {tell.needed for tell in tells} | {type_ for _, type_ in _IMPLIED}
    last = await _last_arrivals(tx, organization_id, connection_id, needed)
    stale = {type_ for type_ in needed if last.get(type_, since - _COVERED) < now - _COVERED}
    implied = [(type_, wanted) for type_, wanted in _IMPLIED if wanted in stale]
    rows = await tx.fetch(
        """
        select e.type, e.object_id, e.received_at from stripe_event e
        where e.organization_id = $1 and e.connection_id = $2 and e.type = any ($3)
          and e.source = 'webhook' and e.state = 'accepted' and e.received_at > $4
        """,
        organization_id,
        connection_id,
        [type_ for type_, _ in implied],
        max(since, min((last.get(type_, since) for type_ in stale), default=since)),
    ) if implied else []  # fmt: skip
    wanted_by = dict(implied)
    told = [(wanted_by[row[0]], row[1], row[2]) for row in rows]
    told += [(tell.needed, tell.subject, datetime.fromtimestamp(tell.at, UTC)) for tell in tells]
    return [
        (int(at.timestamp()), f"{type_} {subject}")
        for type_, subject, at in dict.fromkeys(told)
        if type_ in stale and since < at < now - _ON_THE_WAY and (type_ not in last or last[type_] <= at - _COVERED)
    ]


async def _last_arrivals(
    tx: Connection, organization_id: str, connection_id: str, types: Collection[str]
) -> dict[str, datetime]:
    """When an event of each type came last, by webhook or by Stripe's list."""
    rows = await tx.fetch(
        """
        select n.type, e.received_at from unnest($3::text[]) as n (type) cross join lateral (
          select received_at from stripe_event
          where organization_id = $1 and connection_id = $2 and type = n.type and source in ('webhook', 'poll')
          order by event_seq desc limit 1) e
        """,
        organization_id,
        connection_id,
        sorted(types),
    )
    return {row[0]: row[1] for row in rows}


@dataclass(frozen=True, slots=True)
class StrayCode:
    """A code that nobody owns, how many customers or guests carried it, and since when (seconds)."""

    code: str
    scope_count: int
    noted_at: int


async def stray_codes(
    tx: Connection, organization_id: str, connection_id: str, since: datetime, now: datetime
) -> list[StrayCode]:
    """Codes that came after an instant and that nobody owns. Promotion codes that nobody owns are the shop's own."""
    rows = await tx.fetch(
        """
        select u.code, count(*)::int, extract(epoch from max(u.noted_at))::bigint from unclaimed_code u
        where u.organization_id = $1 and u.connection_id = $2 and u.code not like 'promo\\_%'
          and u.noted_at > $3 and u.noted_at <= $4
          and not exists (select from participant_code c where c.organization_id = $1 and c.connection_id = $2
                          and c.code = u.code)
          and not exists (select from participant p where p.organization_id = $1 and p.participant_id = u.code)
          and not exists (select from referral r where r.organization_id = $1 and r.referral_id = u.code)
        group by u.code order by 3 desc limit 10000
        """,
        organization_id,
        connection_id,
        since,
        now,
    )
    return [StrayCode(*row) for row in rows]


async def payments_alike(
    tx: Connection, organization_id: str, connection_id: str, since: datetime
) -> list[tuple[int, Decision, Decision]]:
    """Pairs of payments under unlike ids that may be one sale: of one customer, of the same money, within ten minutes;
    with the instant of the first, by our clock."""
    rows = await tx.fetch(
        """
        select distinct on (a.payment_key, b.payment_key)
               extract(epoch from a.occurred_at)::bigint - c.clock_ahead_s, a.body, b.body
        from connection c
        join decision a on a.organization_id = $1 and a.connection_id = $2 and a.paid_minor > 0
             and a.occurred_at > $3::timestamptz + make_interval(secs => c.clock_ahead_s) and a.payment_key !~ '/'
        join decision b on b.organization_id = $1 and b.connection_id = $2 and b.scope_id = a.scope_id
             and b.paid_minor = a.paid_minor and b.currency = a.currency and b.payment_key > a.payment_key
             and abs(extract(epoch from a.occurred_at - b.occurred_at)) < 600
             and split_part(a.payment_key, '_', 1) <> split_part(b.payment_key, '_', 1) and b.payment_key !~ '/'
        where c.organization_id = $1 and c.connection_id = $2
        order by a.payment_key, b.payment_key limit 1000
        """,
        organization_id,
        connection_id,
        since,
    )
    return [(row[0], decode_decision(row[1]), decode_decision(row[2])) for row in rows]


async def has_new_referrals(tx: Connection, organization_id: str, connection_id: str, since: datetime) -> bool:
    """Whether anybody was bound since an instant, by whatever identifier."""
    found: bool = await tx.fetchval(
        "select exists (select from referral where organization_id = $1 and connection_id = $2"
        " and status <> 'undone' and created_at > $3)",
        organization_id,
        connection_id,
        since,
    )
    return found


async def first_code_at(tx: Connection, organization_id: str, connection_id: str) -> datetime | None:
    """Since when there is a refcode that is in use."""
    at: datetime | None = await tx.fetchval(
        "select min(created_at) from participant_code where organization_id = $1 and connection_id = $2"
        " and code_kind = 'refcode' and deactivated_at is null",
        organization_id,
        connection_id,
    )
    return at


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
        "update open_need set due_at = now(), attempts = 0"
        " where organization_id = $1 and connection_id = $2 and due_at < 'infinity'",
        organization_id,
        connection_id,
    )
    return int(tag.rsplit(" ", 1)[-1])
