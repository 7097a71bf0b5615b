"""Facts by scope: everything known of a customer (or of a guest's sale) is read and written together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from refref.core.facts import Fact, decode_fact, encode_fact
from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact with the scope it is filed under."""

    fact: Fact
    scope_id: str


async def facts_of_scopes(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    stripe_ids: Collection[str],
    scope_ids: Collection[str] = (),
) -> list[StoredFact]:
    """Every fact of every scope that holds one of `stripe_ids` or is one of `scope_ids`."""
    rows = await tx.fetch(
        """
        with touched as materialized (
          select distinct scope_id from fact
          where organization_id = $1 and connection_id = $2 and stripe_id = any ($3)
          union
          select unnest($4::text[])
        )
        select touched.scope_id, f.body from touched cross join lateral (
          select body from fact where organization_id = $1 and connection_id = $2 and scope_id = touched.scope_id
          offset 0  -- scope by scope: a join may read every fact there is
        ) f
        """,
        organization_id,
        connection_id,
        list(stripe_ids),
        list(scope_ids),
    )
    return [StoredFact(decode_fact(row[1]), row[0]) for row in rows]


async def scope_of(tx: Connection, organization_id: str, connection_id: str, stripe_id: str) -> str | None:
    """The scope that holds a Stripe object, if it is known."""
    scope: str | None = await tx.fetchval(
        "select scope_id from fact where organization_id = $1 and connection_id = $2 and stripe_id = $3",
        organization_id,
        connection_id,
        stripe_id,
    )
    return scope


async def store_facts(
    tx: Connection, organization_id: str, connection_id: str, rows: Sequence[tuple[Fact, str, int | None]]
) -> None:
    """Write facts as (fact, scope, seq of the event that changed it or None)."""
    if not rows:
        return
    await tx.execute(
        """
        insert into fact (organization_id, connection_id, stripe_id, scope_id, kind, body, event_seq)
        select $1, $2, f.* from unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::bigint[]) f
        on conflict (organization_id, connection_id, stripe_id) do update
        set scope_id = excluded.scope_id, kind = excluded.kind, body = excluded.body,
            event_seq = coalesce(excluded.event_seq, fact.event_seq)
        """,
        organization_id,
        connection_id,
        [fact.stripe_id for fact, _, _ in rows],
        [scope for _, scope, _ in rows],
        [fact.kind.value for fact, _, _ in rows],
        [encode_fact(fact) for fact, _, _ in rows],
        [seq for _, _, seq in rows],
    )


async def move_scopes(tx: Connection, organization_id: str, connection_id: str, moves: dict[str, str]) -> None:
    """File what stood under an old scope under the one it was merged into ({old: new})."""
    for table in ("fact", "decision", "reward", "referral", "customer", "tally"):
        await tx.execute(
            f"""
            update {table} t set scope_id = m.new
            from unnest($3::text[], $4::text[]) as m (old, new)
            where t.organization_id = $1 and t.connection_id = $2 and t.scope_id = m.old
            """,  # noqa: S608 - the table names are the literals above
            organization_id,
            connection_id,
            list(moves),
            list(moves.values()),
        )


async def scopes_after(tx: Connection, organization_id: str, connection_id: str, after: str, limit: int) -> list[str]:
    """Scopes in order, for walking over all of them in pages."""
    rows = await tx.fetch(
        """
        select distinct scope_id from fact
        where organization_id = $1 and connection_id = $2 and scope_id > $3 order by scope_id limit $4
        """,
        organization_id,
        connection_id,
        after,
        limit,
    )
    return [row[0] for row in rows]


async def mark_dirty(tx: Connection, organization_id: str, connection_id: str, scope_ids: Collection[str]) -> None:
    """Ask for scopes to be settled again."""
    await tx.execute(
        "insert into dirty_scope select $1, $2, s from unnest($3::text[]) s on conflict do nothing",
        organization_id,
        connection_id,
        list(scope_ids),
    )


async def mark_code_dirty(tx: Connection, organization_id: str, connection_id: str, code: str) -> int:
    """Ask for the scopes that carried a code before anybody owned it to be settled again; returns how many."""
    tag = await tx.execute(
        """
        insert into dirty_scope select $1, $2, scope_id from unclaimed_code
        where organization_id = $1 and connection_id = $2 and code = $3 on conflict do nothing
        """,
        organization_id,
        connection_id,
        code,
    )
    return int(tag.rsplit(" ", 1)[-1])


async def mark_connection_dirty(tx: Connection, organization_id: str, connection_id: str) -> None:
    """Ask for every scope of a connection to be settled again: terms changed for the past."""
    await tx.execute(
        """
        insert into dirty_scope select distinct $1, $2, scope_id from fact
        where organization_id = $1 and connection_id = $2 on conflict do nothing
        """,
        organization_id,
        connection_id,
    )


async def take_dirty(tx: Connection, organization_id: str, connection_id: str, limit: int) -> list[str]:
    """Take scopes off the list; they are settled in the same transaction."""
    rows = await tx.fetch(
        """
        delete from dirty_scope d using (
          select scope_id from dirty_scope where organization_id = $1 and connection_id = $2 order by scope_id limit $3
        ) taken
        where d.organization_id = $1 and d.connection_id = $2 and d.scope_id = taken.scope_id
        returning d.scope_id
        """,
        organization_id,
        connection_id,
        limit,
    )
    return [row[0] for row in rows]


async def note_unclaimed(
    tx: Connection, organization_id: str, connection_id: str, pairs: Sequence[tuple[str, str]]
) -> None:
    """Remember codes that nobody owns, as (code, scope)."""
    if pairs:
        await tx.execute(
            """
            insert into unclaimed_code select $1, $2, u.* from unnest($3::text[], $4::text[]) u on conflict do nothing
            """,
            organization_id,
            connection_id,
            [code for code, _ in pairs],
            [scope for _, scope in pairs],
        )


async def note_cards(
    tx: Connection, organization_id: str, connection_id: str, pairs: Sequence[tuple[str, str]]
) -> list[str]:
    """Remember which scope paid with which card, as (fingerprint, scope); returns the scopes for which that is news."""
    if not pairs:
        return []
    rows = await tx.fetch(
        """
        insert into card_use select $1, $2, c.* from unnest($3::text[], $4::text[]) c on conflict do nothing
        returning scope_id
        """,
        organization_id,
        connection_id,
        [card for card, _ in pairs],
        [scope for _, scope in pairs],
    )
    return [row[0] for row in rows]


async def mark_card_sharers_dirty(
    tx: Connection, organization_id: str, connection_id: str, scope_ids: Collection[str]
) -> None:
    """Ask for the scopes that share a card with one of `scope_ids` to be settled again."""
    if scope_ids:
        await tx.execute(
            """
            insert into dirty_scope
            select distinct $1, $2, other.scope_id from unnest($3::text[]) as wanted (scope_id)
            join card_use mine on mine.organization_id = $1 and mine.connection_id = $2
                 and mine.scope_id = wanted.scope_id
            join card_use other on other.organization_id = $1 and other.connection_id = $2
                 and other.fingerprint = mine.fingerprint and other.scope_id <> mine.scope_id
            on conflict do nothing
            """,
            organization_id,
            connection_id,
            list(scope_ids),
        )


async def emails_of_cards(
    tx: Connection, organization_id: str, connection_id: str, fingerprints: Collection[str]
) -> dict[str, set[str]]:
    """The e-mail addresses of the customers who paid with each card."""
    rows = await tx.fetch(
        """
        select distinct u.fingerprint, c.email from card_use u
        join customer c on c.organization_id = u.organization_id and c.connection_id = u.connection_id
             and c.scope_id = u.scope_id
        where u.organization_id = $1 and u.connection_id = $2 and u.fingerprint = any ($3) and c.email is not null
        """,
        organization_id,
        connection_id,
        list(fingerprints),
    )
    found: dict[str, set[str]] = {}
    for fingerprint, email in rows:
        found.setdefault(fingerprint, set()).add(email)
    return found
