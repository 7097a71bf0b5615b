"""Which list of throw-away mail services each connection's books go by."""

from __future__ import annotations

from refref.db.pool import Connection


async def connections_with_other_list(connection: Connection, current: str) -> list[tuple[str, str]]:
    """Connections whose books go by another list: (organization_id, connection_id)."""
    rows = await connection.fetch(
        "select organization_id, connection_id from connections_with_other_mail_list($1)", current
    )
    return [(row[0], row[1]) for row in rows]


async def replace_list(tx: Connection, organization_id: str, connection_id: str, current: str) -> str:
    """Write down which list the books go by from now on; returns the one before, "" where there was none."""
    before: str = await tx.fetchval(
        """
        update connection c set mail_list = $3
        from (select mail_list from connection where organization_id = $1 and connection_id = $2 for update) old
        where c.organization_id = $1 and c.connection_id = $2 returning old.mail_list
        """,
        organization_id,
        connection_id,
        current,
    )
    return before
