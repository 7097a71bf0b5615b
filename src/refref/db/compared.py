"""What the books know of objects that a list of Stripe's shows: their facts, and stored events that are not settled."""

from __future__ import annotations

from collections.abc import Collection

from refref.core.facts import Fact, decode_fact
from refref.db.bodies import decompress
from refref.db.pool import Connection


async def waiting_events(
    tx: Connection, organization_id: str, connection_id: str, object_ids: Collection[str]
) -> list[tuple[str, bytes, bool]]:
    """Events about these objects that are stored and not settled: (type, body, whether it is parked)."""
    rows = await tx.fetch(
        """
        select e.type, e.body, i.state = 'parked' from inbox i
        cross join lateral (
          select * from stripe_event e
          where e.organization_id = $1 and e.connection_id = $2 and e.event_seq = i.event_seq limit 1
        ) e
        where i.organization_id = $1 and i.connection_id = $2 and e.object_id = any ($3)
        """,
        organization_id,
        connection_id,
        list(object_ids),
    )
    return [(row[0], decompress(row[1]), row[2]) for row in rows]


async def known_facts(
    tx: Connection, organization_id: str, connection_id: str, stripe_ids: Collection[str]
) -> dict[str, Fact]:
    """The facts of these objects, by id."""
    rows = await tx.fetch(
        "select body from fact where organization_id = $1 and connection_id = $2 and stripe_id = any ($3)",
        organization_id,
        connection_id,
        list(stripe_ids),
    )
    facts = [decode_fact(row[0]) for row in rows]
    return {fact.stripe_id: fact for fact in facts}
