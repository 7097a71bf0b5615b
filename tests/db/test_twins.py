"""Two organizations may connect one Stripe account, and a restored or copied test account knows the same ids: then all
ids of Stripe's stand twice in the tables. What is found of the one must not change by a row of the other, and what is
written for the one must be the same and leave the other alone.

Row-level security is taken away, so that every part of every query must hold by itself.
"""

from __future__ import annotations

import asyncio
import re

import psycopg
import pytest
from psycopg import sql

from db.test_connection_walls import BY_ID, FINDERS, OF_ALL_CONNECTIONS
from db.test_tenancy import Finder
from db.test_writer_walls import OF_CONNECTION, OF_ORGANIZATION, Writer, more_rows, rows_of_a
from db.two_tenants import Ids, drop_row_level_security, two_tenants
from refref.db.pool import Database

TWINS = ["another organization", "the other connection"]
# They look at the organization's other connections on purpose, or count by participant, who is of one connection alone.
OF_SEVERAL = {"doctor.seen same_event_twice", "doctor.seen two_connections", "reports.participants_page"}
_PASSING = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00|datetime\([^)]*\)+| at 0x[0-9a-f]+")


def add_twin(dsn: str, a: Ids, tables: list[str], which: str) -> None:
    """Copy A's rows for another organization or connection, under the same ids of everything else. Its amounts are
    other ones, and each of its customers has one more scope of its own."""
    organization = "org_twin" if which == "another organization" else a.organization_id
    with psycopg.connect(dsn) as owner:
        owner.execute("set session_replication_role = replica")
        owner.execute("insert into organization values ('org_twin', 'Twin') on conflict do nothing")
        for name in tables:
            owner.execute(sql.SQL("alter table {} disable trigger user").format(sql.Identifier(name)))
        for name in tables:
            for scope in ("", "_too"):
                _copy(owner, name, a, organization, scope)
        for name in tables:
            owner.execute(sql.SQL("alter table {} enable trigger user").format(sql.Identifier(name)))


def _copy(owner: psycopg.Connection[tuple[str]], table: str, a: Ids, organization: str, scope: str) -> None:
    rows = owner.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
        " and attgenerated = '' order by attnum",
        [table],
    ).fetchall()
    columns = [row[0] for row in rows]
    given = {"organization_id": sql.Literal(organization), "connection_id": sql.Literal("con_twin")}
    if scope and "scope_id" not in columns:
        return

    def value(name: str) -> sql.Composable:
        if name in given:
            return given[name]
        if name == "scope_id" and scope:
            return sql.SQL("scope_id || {}").format(sql.Literal(scope))
        return sql.SQL("{} + 1000" if name.endswith("_minor") else "{}").format(sql.Identifier(name))

    owner.execute(
        sql.SQL(
            "insert into {} ({}) overriding system value select {} from {} where organization_id = {}"
            " on conflict do nothing"
        ).format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(map(value, columns)),
            sql.Identifier(table),
            sql.Literal(a.organization_id),
        )
    )


class _Undone(Exception):
    pass


async def found(db: Database, finder: Finder, a: Ids) -> str:
    """What is found; where that takes something away, it is put back."""
    shown = ""
    try:
        async with db.tenant(a.organization_id) as tx:
            shown = _PASSING.sub("then", repr(await finder(tx, a.organization_id, a)))
            raise _Undone
    except _Undone:
        return shown


async def written(db: Database, writer: Writer, a: Ids) -> tuple[dict[str, str], dict[str, str]]:
    """What stands of A, and of its twins, after a writer was called for A; everything is undone again."""
    result: tuple[dict[str, str], dict[str, str]] = ({}, {})
    twin = Ids("org_twin", "", "", "", "con_twin", "", "")
    sibling = Ids(a.organization_id, "", "", "", "con_twin", "", "")
    try:
        async with db.tenant(a.organization_id) as tx:
            others = {}
            for when in ("before", "after"):
                others[when] = [await rows_of_a(tx, other, only_of_connections=True) for other in (twin, sibling)]
                if when == "before":
                    await writer(tx, a.organization_id, a)
            own = await rows_of_a(tx, a, only_of_connections=True)
            changed = {
                name: "changed"
                for before, after in zip(others["before"], others["after"], strict=True)
                for name, rows in after.items()
                if rows != before[name]
            }
            result = ({name: _PASSING.sub("then", rows) for name, rows in own.items()}, changed)
            raise _Undone
    except _Undone:
        return result


@pytest.mark.parametrize("which", TWINS)
def test_what_is_found_does_not_change_by_a_twin(database: str, which: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, tables):
            more_rows(database, a)
            drop_row_level_security(database, tables)
            left_out = BY_ID | OF_ALL_CONNECTIONS | OF_SEVERAL if which == "the other connection" else set()
            finders = {name: finder for name, finder in FINDERS.items() if name not in left_out}
            alone = {name: await found(db, finder, a) for name, finder in finders.items()}
            add_twin(database, a, tables, which)
            changed = {name for name, finder in finders.items() if await found(db, finder, a) != alone[name]}
            assert not changed, f"these see {which}"

    asyncio.run(main())


@pytest.mark.parametrize("which", TWINS)
def test_what_is_written_leaves_a_twin_alone(database: str, which: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, tables):
            more_rows(database, a)
            drop_row_level_security(database, tables)
            writers = OF_CONNECTION | (OF_ORGANIZATION if which == "another organization" else {})
            alone = {name: await written(db, writer, a) for name, writer in writers.items()}
            add_twin(database, a, tables, which)
            for name, writer in writers.items():
                own, of_twin = await written(db, writer, a)
                assert own == alone[name][0], f"{name} sees {which}"
                assert not of_twin, f"{name} changes {which}"

    asyncio.run(main())
