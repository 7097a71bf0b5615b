"""Rules of the schema, asked of the migrated database itself: the tenant comes first, and row-level security is on."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

# Tables without a tenant in front: tenants, people, and the look-ups from something public to its tenant.
REFERENCE_TABLES = {
    "organization",
    "user_account",
    "membership",
    "web_session",
    "api_key_prefix",
    "webhook_path",
    "connected_account",
    "platform_event",
}
NOT_OURS = {"alembic_version"}

KEYS = """
select t.relname, i.relname, array_agg(a.attname order by k.place), ix.indisprimary
from pg_index ix
join pg_class t on t.oid = ix.indrelid and t.relnamespace = 'public'::regnamespace
join pg_class i on i.oid = ix.indexrelid
cross join unnest(ix.indkey) with ordinality k (number, place)
left join pg_attribute a on a.attrelid = t.oid and a.attnum = k.number
where ix.indisunique
group by 1, 2, 4
"""
FOREIGN_KEYS = """
select t.relname, c.conname, f.relname,
  (select attname from pg_attribute where attrelid = t.oid and attnum = c.conkey[1]),
  (select attname from pg_attribute where attrelid = f.oid and attnum = c.confkey[1])
from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_class f on f.oid = c.confrelid
where c.contype = 'f' and t.relnamespace = 'public'::regnamespace
"""
TABLES = """
select relname, relrowsecurity, (select count(*) from pg_policy where polrelid = pg_class.oid)
from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
"""


@pytest.fixture
def rows(module_database: str) -> Iterator[Any]:
    with psycopg.connect(module_database) as connection:
        yield lambda query: connection.execute(query).fetchall()


def is_tenant_table(name: str) -> bool:
    return name not in REFERENCE_TABLES | NOT_OURS and not name.startswith("procrastinate_")


def test_every_key_of_a_tenant_table_starts_with_the_organization(rows: Any) -> None:
    wrong = [
        f"{table}.{index}: {columns}"
        for table, index, columns, _ in rows(KEYS)
        if is_tenant_table(table) and columns[0] != "organization_id"
    ]
    assert not wrong, wrong


def test_every_table_has_a_primary_key(rows: Any) -> None:
    with_key = {table for table, _, _, primary in rows(KEYS) if primary}
    assert {table for table, _, _ in rows(TABLES)} - with_key == set()


def test_every_foreign_key_between_tenant_tables_starts_with_the_organization(rows: Any) -> None:
    wrong = [
        f"{table}.{constraint}: {column} -> {target}.{target_column}"
        for table, constraint, target, column, target_column in rows(FOREIGN_KEYS)
        if is_tenant_table(table)
        and is_tenant_table(target)
        and (column, target_column) != ("organization_id", "organization_id")
    ]
    assert not wrong, wrong


def test_row_level_security_guards_every_tenant_table(rows: Any) -> None:
    open_tables = [table for table, on, policies in rows(TABLES) if is_tenant_table(table) and not (on and policies)]
    assert not open_tables, open_tables


def test_every_reference_table_exists(rows: Any) -> None:
    assert {table for table, _, _ in rows(TABLES)} >= REFERENCE_TABLES, "remove the name from REFERENCE_TABLES"
