"""Customers and codes that people name when they bind customers by hand."""

from __future__ import annotations

from collections.abc import Collection

from refref.core.facts import Fact, decode_fact
from refref.db.pool import Connection


async def customers_named(
    tx: Connection, organization_id: str, connection_id: str, names: Collection[str]
) -> dict[str, list[str]]:
    """The Stripe ids of the customers that an id or an e-mail address (in lower case) names; deleted ones are left
    out where an address names others, too."""
    rows = await tx.fetch(
        """
        select name, array_agg(distinct stripe_customer_id order by stripe_customer_id) from (
          select stripe_customer_id as name, stripe_customer_id from customer
          where organization_id = $1 and connection_id = $2 and stripe_customer_id = any ($3)
          union all
          select lower(email), stripe_customer_id from customer
          where organization_id = $1 and connection_id = $2 and lower(email) = any ($3) and not is_deleted
        ) found
        group by name
        """,
        organization_id,
        connection_id,
        list(names),
    )
    return {row[0]: list(row[1]) for row in rows}


async def customer_facts(
    tx: Connection, organization_id: str, connection_id: str, stripe_customer_ids: Collection[str]
) -> dict[str, Fact]:
    """What is known of these customers, by id."""
    rows = await tx.fetch(
        "select stripe_id, body from fact where organization_id = $1 and connection_id = $2 and stripe_id = any ($3)",
        organization_id,
        connection_id,
        list(stripe_customer_ids),
    )
    return {row[0]: decode_fact(row[1]) for row in rows}
