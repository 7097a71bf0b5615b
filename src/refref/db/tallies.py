"""Tallies: what conversions add to the sums that tiers, caps and checks look at, and those sums before a position."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from refref.core.paid import Key
from refref.core.periods import DAY_S, period_start
from refref.core.shared import Order, Owner, Prefix, Stale, Sum
from refref.core.totals import Tally
from refref.db.pool import Connection

_COLUMNS = (
    "program_id, payment_key, rule_id, owner_id, referee_id, occurred_at, currency, referrals, undone, by_code,"
    " revenue_minor, earned_minor"
)


async def tallies_of_scopes(
    tx: Connection, organization_id: str, connection_id: str, scope_ids: Collection[str]
) -> dict[str, list[Tally]]:
    """The contributions of each scope's conversions."""
    rows = await tx.fetch(
        f"select scope_id, {_COLUMNS} from tally"  # noqa: S608 - a constant
        " where organization_id = $1 and connection_id = $2 and scope_id = any ($3)",
        organization_id,
        connection_id,
        list(scope_ids),
    )
    found: dict[str, list[Tally]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(Tally(*row[1:]))
    return found


async def sums_before(
    tx: Connection, organization_id: str, since: Mapping[Owner, Order], wanted: Collection[Sum]
) -> list[Prefix]:
    """For each owner, the wanted sums of what lies before a position in the periods that hold it."""
    sums = tuple(sorted(wanted))
    if not sums:
        return []
    rows = await tx.fetch(
        _question_for_sums(sums),
        organization_id,
        [program_id for program_id, _ in since],
        [owner_id for _, owner_id in since],
        [at for at, _ in since.values()],
        [key for _, key in since.values()],
        *([period_start(period, at) // DAY_S for at, _ in since.values()] for period in _periods(sums)),
    )
    return [Prefix(row[0], row[1], row[2], row[3], dict(zip(sums, row[4:], strict=True))) for row in rows]


def _periods(sums: Collection[Sum]) -> list[str]:
    """The periods that begin on some day."""
    return sorted({period for _, period in sums} - {"ever"})


@lru_cache(maxsize=64)
def _question_for_sums(sums: tuple[Sum, ...]) -> str:
    periods = _periods(sums)
    days = "".join(f", {period}_day" for period in periods)
    arrays = "".join(f", ${number}::int[]" for number, _ in enumerate(periods, start=6))
    amounts = ", ".join(
        f"sum({measure})" + ("" if period == "ever" else f" filter (where day >= q.{period}_day)") + "::bigint"
        for measure, period in sums
    )
    is_ever = any(period == "ever" for _, period in sums)
    from_day = "" if is_ever else f"and d.day >= least({', '.join(f'q.{period}_day' for period in periods)})"
    return f"""
        select q.program_id, q.owner_id, own.*
        from unnest($2::text[], $3::text[], $4::bigint[], $5::text[]{arrays}) as q (program_id, owner_id, at, key{days})
        cross join lateral (  -- owner by owner: a join would read every contribution there is
          select rule_id, currency, {amounts}
          from (
            select d.rule_id, d.currency, d.day, d.referrals, d.revenue_minor as revenue, d.earned_minor as earned
            from tally_day d
            where d.organization_id = $1 and d.program_id = q.program_id and d.owner_id = q.owner_id
              and d.day < q.at / 86400 {from_day}
            union all
            select t.rule_id, t.currency, (t.occurred_at / 86400)::int, t.referrals, t.revenue_minor, t.earned_minor
            from tally t
            where q.owner_id <> '' and t.organization_id = $1 and t.program_id = q.program_id
              and t.owner_id = q.owner_id and t.occurred_at >= q.at / 86400 * 86400
              and (t.occurred_at, t.payment_key) < (q.at, q.key)
            union all
            select t.rule_id, t.currency, (t.occurred_at / 86400)::int, 0, 0, t.earned_minor
            from tally t
            where q.owner_id = '' and t.organization_id = $1 and t.program_id = q.program_id
              and t.occurred_at >= q.at / 86400 * 86400
              and (t.occurred_at, t.payment_key) < (q.at, q.key) and t.rule_id <> ''
          ) parts group by 1, 2
        ) own
        """  # noqa: S608 - names of columns and periods, from the lists of core.shared


async def contributions_since(
    tx: Connection, organization_id: str, since: Mapping[Owner, Order], replaced: Collection[Key]
) -> list[Tally]:
    """Each owner's contributions from a position on, `replaced` conversions left out; none twice."""
    rows = await tx.fetch(
        f"""
        with asked as (
          select * from unnest($2::text[], $3::text[], $4::bigint[], $5::text[]) as q (program_id, owner_id, at, key)
        ), found as (
          select own.* from asked q cross join lateral (
            select * from tally t
            where q.owner_id <> '' and t.organization_id = $1 and t.program_id = q.program_id
              and t.owner_id = q.owner_id and (t.owner_id, t.occurred_at, t.payment_key) >= (q.owner_id, q.at, q.key)
            offset 0  -- owner by owner: a join would read every contribution there is
          ) own
          union
          select whole.* from asked q cross join lateral (
            select * from tally t
            where q.owner_id = '' and t.organization_id = $1 and t.program_id = q.program_id
              and t.occurred_at >= q.at and (t.occurred_at, t.payment_key) >= (q.at, q.key)
            offset 0
          ) whole
        )
        select {_COLUMNS} from found f
        where not exists (select from unnest($6::text[], $7::text[]) as r (payment_key, program_id)
                          where r.payment_key = f.payment_key and r.program_id = f.program_id)
        """,  # noqa: S608 - a constant
        organization_id,
        [program_id for program_id, _ in since],
        [owner_id for _, owner_id in since],
        [at for at, _ in since.values()],
        [key for _, key in since.values()],
        [payment for payment, _ in replaced],
        [program for _, program in replaced],
    )
    return [Tally(*row) for row in rows]


async def first_payments_before(
    tx: Connection, organization_id: str, since: Mapping[Owner, Order]
) -> dict[Owner, tuple[int, int, int, tuple[int, ...]]]:
    """For each participant, of the referees whose first counted payment lies before a position: how many, how many
    undone, how many by code, and the instants within the last day."""
    rows = await tx.fetch(
        """
        select q.program_id, q.owner_id, count(*), sum(t.undone), sum(t.by_code),
               coalesce(array_agg(t.occurred_at order by t.occurred_at)
                          filter (where t.occurred_at > q.at - 86400), '{}')
        from unnest($2::text[], $3::text[], $4::bigint[], $5::text[]) as q (program_id, owner_id, at, key)
        join tally t on t.organization_id = $1 and t.program_id = q.program_id and t.owner_id = q.owner_id
          and (t.occurred_at, t.payment_key) < (q.at, q.key) and t.rule_id = '' and t.referrals + t.undone > 0
        where q.owner_id <> ''
        group by 1, 2
        """,
        organization_id,
        [program_id for program_id, _ in since],
        [owner_id for _, owner_id in since],
        [at for at, _ in since.values()],
        [key for _, key in since.values()],
    )
    return {(row[0], row[1]): (row[2], row[3], row[4], tuple(row[5])) for row in rows}


async def remove(tx: Connection, organization_id: str, connection_id: str, replaced: Collection[Key]) -> None:
    """Take the contributions of conversions out of every sum."""
    if replaced:
        await tx.execute(
            """
            delete from tally t using unnest($3::text[], $4::text[]) as r (payment_key, program_id)
            where t.organization_id = $1 and t.connection_id = $2
              and t.program_id = r.program_id and t.payment_key = r.payment_key
            """,
            organization_id,
            connection_id,
            [payment for payment, _ in replaced],
            [program for _, program in replaced],
        )


async def add(tx: Connection, organization_id: str, connection_id: str, rows: Sequence[tuple[Tally, str]]) -> None:
    """Add contributions as (tally, scope)."""
    if not rows:
        return
    await tx.execute(
        """
        insert into tally (organization_id, connection_id, program_id, payment_key, rule_id, owner_id, referee_id,
          occurred_at, currency, referrals, undone, by_code, revenue_minor, earned_minor, scope_id)
        select $1, $2, t.* from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
          $9::text[], $10::int[], $11::int[], $12::int[], $13::bigint[], $14::bigint[], $15::text[]) t
        """,
        organization_id,
        connection_id,
        *([getattr(tally, name) for tally, _ in rows] for name in Tally.__struct_fields__),
        [scope for _, scope in rows],
    )


async def mark_stale(
    tx: Connection, organization_id: str, connection_id: str, stale: Sequence[Stale], judged: Collection[Key]
) -> None:
    """Ask for conversions whose sums changed to be judged again, those just `judged` left out, and those paid out."""
    if not stale:
        return
    await tx.execute(
        """
        with concerned as (
          select distinct t.payment_key, t.program_id, t.scope_id
          from unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[])
                 as s (program_id, owner_id, since, until, after_at, after_key)
          join tally t on t.organization_id = $1 and t.connection_id = $2 and t.program_id = s.program_id
            and t.occurred_at >= s.since and (s.until is null or t.occurred_at < s.until)
            and (t.occurred_at, t.payment_key) > (s.after_at, s.after_key)
            and (s.owner_id = '' or t.owner_id = s.owner_id)
          where not exists (select from unnest($9::text[], $10::text[]) as j (payment_key, program_id)
                            where j.payment_key = t.payment_key and j.program_id = t.program_id)
            and not exists (select from reward r where r.organization_id = $1 and r.connection_id = $2
                            and r.payment_key = t.payment_key and r.program_id = t.program_id and r.paid_minor > 0)
        ), marked as (
          update decision d set is_stale = true from concerned c
          where d.organization_id = $1 and d.connection_id = $2 and d.payment_key = c.payment_key
            and d.program_id = c.program_id
        )
        insert into dirty_scope select distinct $1, $2, scope_id from concerned on conflict do nothing
        """,
        organization_id,
        connection_id,
        [item.program_id for item in stale],
        [item.owner_id for item in stale],
        [item.since for item in stale],
        [item.until for item in stale],
        [item.after[0] for item in stale],
        [item.after[1] for item in stale],
        [payment for payment, _ in judged],
        [program for _, program in judged],
    )
