"""How PostgreSQL reads the books of a scope while the tables are small and nobody has analysed them."""

import psycopg
import pytest

from refref.db.books import _READ

FILL = """
set session_replication_role = replica;
insert into reward (organization_id, connection_id, reward_id, program_id, participant_id, payment_key, rule_id,
  referee_id, scope_id, terms_version, kind, status, currency, amount_minor, reversed_minor, occurred_at, hold_until,
  entry_count, beneficiary_id)
select 'org_a', 'con_a', 'rwd_' || n, 'prg_a', 'ptc_a', 'in_' || n, 'r', 'cus_' || n, 'cus_' || n, 1, 'commission',
  'pending', 'usd', 5, 0, now(), now(), 1, 'ptc_a' from generate_series(1, %(rows)s) n;
insert into decision (organization_id, connection_id, payment_key, program_id, scope_id, referee_id, outcome,
  occurred_at, currency, paid_minor, base_minor, refunded_minor, earned_minor, reversed_minor, digest, body)
select 'org_a', 'con_a', 'in_' || n, 'prg_a', 'cus_' || n, 'cus_' || n, 'rewarded', now(), 'usd', 5, 5, 0, 5, 0, '', ''
from generate_series(1, %(rows)s) n;
"""


@pytest.mark.parametrize("rows", [400, 2_000])
def test_the_books_of_a_scope_are_read_by_scope(database: str, rows: int) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("alter table reward set (autovacuum_enabled = off)")
        for statement in (FILL % {"rows": rows}).split(";\n"):
            connection.execute(statement)
        connection.execute("set plan_cache_mode = force_generic_plan")
        connection.execute(f"prepare books (text, text, text[]) as {_READ}")
        plan = "\n".join(row[0] for row in connection.execute("explain execute books ('org_a', 'con_a', '{cus_1}')"))
    for name in ("decision_by_scope", "reward_by_scope"):
        assert f"Index Scan using {name}" in plan, plan
