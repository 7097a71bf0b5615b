"""How PostgreSQL answers the doctor and “Why not?” among many events: by indexes, not by reading all of them."""

import asyncio

import psycopg
import pytest

from db.test_plans import FILL as FILL_BOOKS
from refref.db.doctor_traces import TRACES
from refref.db.invariants import CHECKS, offenders
from refref.db.pool import Database

FILL = """
set session_replication_role = replica;
alter table stripe_event disable trigger user;
insert into stripe_event (organization_id, connection_id, stripe_event_id, type, object_id, livemode, state, source,
  created_at, received_at, body)
select 'org_a', 'con_a', 'evt_' || n, 'invoice.paid', 'in_' || n, false,
  case when n % 10 = 0 then 'ignored' else 'accepted' end, case when n % 500 = 1 then 'poll' else 'webhook' end,
  now(), now() - n * interval '1 minute', '' from generate_series(1, 40000) n;
analyze stripe_event;
"""
LEFT_OUT = """
select distinct e.type, e.state from stripe_event e
where e.organization_id = $1 and e.connection_id = $2 and e.object_id = 'in_7'
  and e.state in ('ignored', 'quarantined') and e.state <> 'accepted' and $3 < $4
"""
QUERIES = {
    "what came of events about an object": (LEFT_OUT, "stripe_event_left_out"),
    "wrong_mode": (TRACES["wrong_mode"], "stripe_event_left_out"),
    "unknown_account": (TRACES["unknown_account"], "stripe_event_left_out"),
    "missed_by_webhook": (TRACES["missed_by_webhook"], "stripe_event_listed"),
    "deliveries_lost": (TRACES["deliveries_lost"], "stripe_event_listed"),
    "type_only_listed": (TRACES["type_only_listed"], "stripe_event_listed"),
}


@pytest.fixture(scope="module")
def filled(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        for statement in FILL.split(";\n"):
            if statement.strip():
                connection.execute(statement)
    return module_database


@pytest.mark.parametrize("name", QUERIES)
def test_it_is_answered_by_an_index(filled: str, name: str) -> None:
    query, index = QUERIES[name]
    with psycopg.connect(filled) as connection:
        connection.execute(f"prepare q (text, text, timestamptz, timestamptz) as {query}")
        plan = "\n".join(
            row[0]
            for row in connection.execute("explain execute q ('org_a', 'con_a', now() - interval '30 days', now())")
        )
    assert f"using {index} on stripe_event" in plan or f"on {index}" in plan, plan
    assert "Seq Scan on stripe_event e" not in plan, plan


def test_invariants_are_checked_in_time_on_tables_that_nobody_has_analysed(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for table in ("reward", "decision"):
            connection.execute(f"alter table {table} set (autovacuum_enabled = off)")
        for statement in (FILL_BOOKS % {"rows": 30_000}).split(";\n"):
            connection.execute(statement)

    async def main() -> None:
        db = await Database.open(database, max_size=1)
        for name, _, query in CHECKS:
            async with db.tenant("org_a") as tx:
                await tx.execute("set local statement_timeout = '5s'")  # a join of all with all takes longer by far
                await offenders(tx, "org_a", query)
                assert await tx.fetchval("show enable_nestloop") == "on", name
                assert await tx.fetchval("show enable_mergejoin") == "on", name
        await db.close()

    asyncio.run(main())
