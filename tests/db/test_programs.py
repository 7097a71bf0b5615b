"""Histories of programs and participants: append-only, in order, and whoever they concern is settled again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config

from db.two_tenants import NOW, Ids, make_a
from refref.db import migrate, profiles, programs
from refref.db.pool import Connection, Database
from refref.flows import profiles as profile_flows
from refref.flows import programs as program_flows

SYSTEM = {"actor": "system", "now": NOW}
Scenario = Callable[[Connection, Ids], Awaitable[None]]


def with_a(database: str, scenario: Scenario) -> None:
    """Run a scenario in one transaction of organization A, whose three scopes belong to two participants."""

    async def main() -> None:
        db = await Database.open(database, max_size=2)
        try:
            a = await make_a(db)
            async with db.tenant(a.organization_id) as tx:
                for scope, participant in (
                    ("cus_1", a.participant_id),
                    ("cus_2", a.participant_id),
                    ("cus_3", "ptc_x"),
                ):
                    await tx.execute(
                        "insert into fact (organization_id, connection_id, stripe_id, scope_id, kind, body)"
                        " values ($1, $2, $3, $3, 'customer', '')",
                        a.organization_id,
                        a.connection_id,
                        scope,
                    )
                    await tx.execute(
                        "insert into referral (organization_id, referral_id, connection_id, program_id, referee_id,"
                        " scope_id, participant_id, carrier_kind, carrier_value, status, bound_at)"
                        " values ($1, 'rfl_' || $3, $2, $4, $3, $3, $5, 'manual', '', 'active', $6)",
                        a.organization_id,
                        a.connection_id,
                        scope,
                        a.program_id,
                        participant,
                        NOW,
                    )
                await tx.execute("delete from dirty_scope where organization_id = $1", a.organization_id)
                await scenario(tx, a)
        finally:
            await db.close()

    asyncio.run(main())


async def dirty(tx: Connection) -> list[str]:
    return [row[0] for row in await tx.fetch("select scope_id from dirty_scope order by scope_id")]


@pytest.mark.parametrize("flow", ["pause_program", "archive_program"])
def test_a_change_of_status_settles_everybody_again(database: str, flow: str) -> None:
    async def scenario(tx: Connection, a: Ids) -> None:
        await getattr(program_flows, flow)(tx, a.organization_id, a.program_id, **SYSTEM)
        assert await dirty(tx) == ["cus_1", "cus_2", "cus_3"]

    with_a(database, scenario)


def test_what_stays_as_it_is_settles_nobody(database: str) -> None:
    async def scenario(tx: Connection, a: Ids) -> None:
        await program_flows.resume_program(tx, a.organization_id, a.program_id, **SYSTEM)
        await profile_flows.set_profile(tx, a.organization_id, a.participant_id, groups=["gold_a"], **SYSTEM)
        assert await dirty(tx) == []
        assert len(await programs.status_changes(tx, a.organization_id, a.program_id)) == 1
        assert len(await profiles.profiles_of(tx, a.organization_id, [a.participant_id])) == 1

    with_a(database, scenario)


def test_a_profile_settles_the_customers_of_its_participant_again(database: str) -> None:
    async def scenario(tx: Connection, a: Ids) -> None:
        await profile_flows.set_profile(tx, a.organization_id, a.participant_id, country="DE", **SYSTEM)
        assert await dirty(tx) == ["cus_1", "cus_2"]

    with_a(database, scenario)


def test_changes_at_one_instant_keep_their_order(database: str) -> None:
    async def scenario(tx: Connection, a: Ids) -> None:
        org = a.organization_id
        for flow in (program_flows.pause_program, program_flows.resume_program, program_flows.pause_program):
            await flow(tx, org, a.program_id, **SYSTEM)
        changes = await programs.status_changes(tx, org, a.program_id)
        assert [change.status for change in changes] == ["active", "paused", "active", "paused"]
        assert [change.at for change in changes] == sorted(change.at for change in changes)
        earlier = {"actor": "system", "now": datetime(2026, 1, 1, tzinfo=UTC)}  # a clock that went back
        await program_flows.resume_program(tx, org, a.program_id, **earlier)
        assert (await programs.status_changes(tx, org, a.program_id))[-1].status == "active"
        for groups in (["one"], ["two"], ["three"]):
            await profile_flows.set_profile(tx, org, a.participant_id, groups=groups, **SYSTEM)
        found = await profiles.profiles_of(tx, org, [a.participant_id])
        assert [profile.group_names for profile in found] == [("gold_a",), ("one",), ("two",), ("three",)]

    with_a(database, scenario)


@pytest.mark.parametrize(
    "statement", ["update program_status set status = 'paused'", "delete from participant_profile"]
)
def test_histories_are_append_only(database: str, statement: str) -> None:
    with_a(database, lambda tx, a: asyncio.sleep(0))
    with psycopg.connect(database) as owner, pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
        owner.execute(statement)


@contextmanager
def before_migrations(dsn: str, version: str) -> Iterator[tuple[sqlalchemy.Connection, Callable[[str], None]]]:
    """A database as it was at a version of before, with the means to bring it to a later one."""
    config = Config()
    config.set_main_option("script_location", str(migrate.HERE))
    engine = sqlalchemy.create_engine(migrate.sqlalchemy_url(dsn), poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.exec_driver_sql("insert into organization (organization_id, name) values ('org_1', 'Sample Shop')")
        connection.exec_driver_sql(
            "insert into connection (organization_id, connection_id, name, mode) values"
            " ('org_1', 'con_1', 'A', 'test'), ('org_1', 'con_2', 'B', 'test')"
        )
        yield connection, lambda later: command.upgrade(config, later)
    engine.dispose()


def test_programs_of_before_get_a_history(empty_database: str) -> None:
    with before_migrations(empty_database, "0003") as (connection, upgrade):
        connection.exec_driver_sql(
            "insert into program (organization_id, program_id, connection_id, name, status, created_at) values"
            " ('org_1', 'prg_1', 'con_1', 'A', 'active', '2026-01-01Z'),"
            " ('org_1', 'prg_2', 'con_1', 'B', 'archived', '2026-01-01Z')"
        )
        upgrade("0004")
        rows = connection.exec_driver_sql(
            "select program_id, status_no, status from program_status order by 1, 2"
        ).fetchall()
    assert [tuple(row) for row in rows] == [("prg_1", 1, "active"), ("prg_2", 1, "active"), ("prg_2", 2, "archived")]


def test_what_is_judged_otherwise_since_then_is_looked_at_once_more(empty_database: str) -> None:
    with before_migrations(empty_database, "0015") as (connection, upgrade):
        connection.exec_driver_sql(
            "insert into program (organization_id, program_id, connection_id, name) values"
            " ('org_1', 'prg_1', 'con_1', 'A'), ('org_1', 'prg_2', 'con_2', 'B'), ('org_1', 'prg_3', 'con_1', 'C')"
        )
        connection.exec_driver_sql(
            "insert into terms (organization_id, program_id, version, effective_at, body)"
            " values ('org_1', 'prg_1', 1, '2026-01-01Z', '{}'),"
            " ('org_1', 'prg_3', 1, '2026-01-01Z', '{\"caps\": [{}]}')"
        )
        for connection_id, payment, program_id, reason in (
            ("con_1", "in_unknown", "", "unknown_code"),
            ("con_1", "in_nobody", "", "not_attributed"),
            ("con_1", "in_bound", "prg_1", "outside_window"),
            ("con_1", "in_free", "", "nothing_paid"),
            ("con_1", "sub_1/trial_started", "prg_1", "not_eligible_lines"),
            ("con_2", "in_no_terms", "", "unknown_code"),
            ("con_1", "in_capped", "prg_3", "cap_reached"),
        ):
            connection.exec_driver_sql(
                "insert into decision (organization_id, connection_id, payment_key, program_id, scope_id, referee_id,"
                " outcome, reason, occurred_at, currency, paid_minor, base_minor, refunded_minor, earned_minor,"
                " reversed_minor, digest, body, draft_digest) values"
                f" ('org_1', '{connection_id}', '{payment}', '{program_id}', 'cus_{payment}',"
                f" 'cus_{payment}', 'refused', '{reason}', now(), 'usd', 1, 1, 0, 0, 0, '', '', '')"
            )
        upgrade("0016")
        rows = connection.exec_driver_sql("select connection_id, scope_id from dirty_scope order by 2").fetchall()
        stale = connection.exec_driver_sql("select payment_key from decision where is_stale").fetchall()
    assert [tuple(row) for row in stale] == [("in_capped",)]
    assert [tuple(row) for row in rows] == [
        ("con_1", "cus_in_capped"),
        ("con_1", "cus_in_nobody"),
        ("con_1", "cus_in_unknown"),
        ("con_1", "cus_sub_1/trial_started"),
    ]
