"""Open needs: what an event left open and only Stripe's API can answer, and the answers kept for replays.

A need that sleeps is due at infinity.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from refref.db.bodies import compress, decompress
from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class OpenNeed:
    """One question: `kind` as stripe.reading.NeedKind; `seen_at` the asking event's created, in seconds."""

    kind: str
    stripe_id: str
    seen_at: int
    attempts: int = 0


async def ask(
    tx: Connection, organization_id: str, connection_id: str, needs: Sequence[OpenNeed], delay_s: int | None
) -> None:
    """Note needs that have no answer as new as they are, due in `delay_s` seconds (an event may answer them first).
    With None they sleep until `update_awake`."""
    if not needs:
        return
    await tx.execute(
        """
        insert into open_need (organization_id, connection_id, need_kind, stripe_id, seen_at, due_at)
        select $1, $2, n.kind, n.stripe_id, n.seen_at,
          case when $6::int is null then 'infinity' else now() + make_interval(secs => $6::int) end
        from (
          select kind, stripe_id, max(seen_at) as seen_at
          from unnest($3::text[], $4::text[], $5::bigint[]) as asked (kind, stripe_id, seen_at) group by 1, 2
        ) n
        where not exists (
          select from stripe_document d where d.organization_id = $1 and d.connection_id = $2
            and d.need_kind = n.kind and d.stripe_id = n.stripe_id and d.seen_at >= n.seen_at
        )
        on conflict (organization_id, connection_id, need_kind, stripe_id) do update
        set seen_at = greatest(open_need.seen_at, excluded.seen_at),
          due_at = case when open_need.due_at = 'infinity' then excluded.due_at else open_need.due_at end
        """,
        organization_id,
        connection_id,
        [n.kind for n in needs],
        [n.stripe_id for n in needs],
        [n.seen_at for n in needs],
        delay_s,
    )


async def update_awake(
    tx: Connection, organization_id: str, connection_id: str, kinds: Collection[str], seen_since: int
) -> None:
    """Ask for what slept, of these kinds and told at `seen_since` (seconds) or later: somebody looks at it now."""
    await tx.execute(
        """
        update open_need set due_at = now()
        where organization_id = $1 and connection_id = $2 and need_kind = any ($3) and seen_at >= $4
          and due_at = 'infinity'
        """,
        organization_id,
        connection_id,
        list(kinds),
        seen_since,
    )


async def connections_with_due_needs(connection: Connection) -> list[tuple[str, str]]:
    """The connections that have an API key and due needs: (organization_id, connection_id)."""
    rows = await connection.fetch("select organization_id, connection_id from connections_with_due_needs()")
    return [(row[0], row[1]) for row in rows]


async def due_needs(tx: Connection, organization_id: str, connection_id: str, limit: int) -> list[OpenNeed]:
    """The needs to ask Stripe about now, oldest first."""
    rows = await tx.fetch(
        """
        select need_kind, stripe_id, seen_at, attempts from open_need
        where organization_id = $1 and connection_id = $2 and due_at <= now() order by due_at limit $3
        """,
        organization_id,
        connection_id,
        limit,
    )
    return [OpenNeed(*row) for row in rows]


async def answer(
    tx: Connection, organization_id: str, connection_id: str, need: OpenNeed, document: bytes | None
) -> None:
    """Keep Stripe's answer (JSON, or None: there is none) and close the need."""
    await tx.execute(
        """
        insert into stripe_document (organization_id, connection_id, need_kind, stripe_id, body, seen_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (organization_id, connection_id, need_kind, stripe_id, seen_at) do nothing
        """,
        organization_id,
        connection_id,
        need.kind,
        need.stripe_id,
        None if document is None else compress(document),
        need.seen_at,
    )
    await close(tx, organization_id, connection_id, need)


async def close(tx: Connection, organization_id: str, connection_id: str, need: OpenNeed) -> None:
    """Close a need that other events have answered."""
    await tx.execute(
        """
        delete from open_need
        where organization_id = $1 and connection_id = $2 and need_kind = $3 and stripe_id = $4
        """,
        organization_id,
        connection_id,
        need.kind,
        need.stripe_id,
    )


async def postpone(
    tx: Connection, organization_id: str, connection_id: str, need: OpenNeed, sentence: str, pause_s: int
) -> None:
    """Ask again in `pause_s` seconds, and say why it was not answered."""
    await tx.execute(
        """
        update open_need set attempts = attempts + 1, error = $5, due_at = now() + make_interval(secs => $6)
        where organization_id = $1 and connection_id = $2 and need_kind = $3 and stripe_id = $4
        """,
        organization_id,
        connection_id,
        need.kind,
        need.stripe_id,
        sentence[:1000],
        pause_s,
    )


async def update_put_off(tx: Connection, organization_id: str, connection_id: str, sentence: str, pause_s: int) -> None:
    """Ask everything that is due in `pause_s` seconds only, and say why."""
    await tx.execute(
        """
        update open_need set attempts = attempts + 1, error = $3, due_at = now() + make_interval(secs => $4)
        where organization_id = $1 and connection_id = $2 and due_at <= now()
        """,
        organization_id,
        connection_id,
        sentence,
        pause_s,
    )


async def documents(tx: Connection, organization_id: str, connection_id: str) -> list[tuple[OpenNeed, bytes]]:
    """Every kept answer with its need."""
    rows = await tx.fetch(
        """
        select need_kind, stripe_id, seen_at, body from stripe_document
        where organization_id = $1 and connection_id = $2 and body is not null order by need_kind, stripe_id, seen_at
        """,
        organization_id,
        connection_id,
    )
    return [(OpenNeed(row[0], row[1], row[2]), decompress(row[3])) for row in rows]


async def has_promotion_codes(tx: Connection, organization_id: str, connection_id: str) -> bool:
    """Whether any participant of the connection has a promotion code, so that discounts must be looked into."""
    found: bool = await tx.fetchval(
        """
        select exists (select from participant_code
                       where organization_id = $1 and connection_id = $2 and code_kind = 'promotion_code')
        """,
        organization_id,
        connection_id,
    )
    return found
