"""Whoever writes, writes what is its own: not a row of another organization, nor one of the organization's other
connection, is changed, whatever ids are given.

Row-level security is taken away, so that the argument of each writer must hold by itself, and between two connections
of one organization there is none anyhow.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from db.test_connection_walls import with_another_connection
from db.two_tenants import DECISION, EARLY, FACT, NOW, Ids, drop_row_level_security, two_tenants
from refref.core.decisions import encode_decision
from refref.core.derive import DerivedCustomer, DerivedReferral
from refref.core.ledger import BookedReward
from refref.core.shared import Stale
from refref.core.totals import Tally
from refref.db import (
    books,
    connection_health,
    connections,
    custom_events,
    doctor,
    event_polls,
    facts,
    history,
    inbox,
    needs,
    reviews,
    statements,
    tallies,
)
from refref.db.history import Gap, HistoryRun
from refref.db.needs import OpenNeed
from refref.db.pool import Connection, Database
from refref.db.statements import Movement, StatedPayment

LATER = NOW + timedelta(days=1)
FAR = NOW + timedelta(days=9_000)
NEED = OpenNeed("invoice_of_payment", "pi_a", 0)
RUN = "rdg_a"
Writer = Callable[[Connection, str, Ids], Awaitable[Any]]


def reward(a: Ids) -> BookedReward:
    """A's reward, changed."""
    return BookedReward(
        *("rwd_a", a.program_id, "x", a.participant_id, "in_a", "cus_b", 1, "usd", 9, 0, "pending", 5, 5, 1),
        beneficiary_id=a.participant_id,
    )


def run_of(org: str, a: Ids) -> HistoryRun:
    return HistoryRun(org, RUN, a.connection_id, "statement", "running", None, NOW, "system", NOW, claim=7)


def tally(a: Ids, key: str) -> Tally:
    return Tally(a.program_id, key, "x", a.participant_id, "cus_a", 5)


BOOKS: dict[str, Writer] = {
    "books.change_rewards": lambda tx, org, a: books.change_rewards(tx, org, a.connection_id, [(reward(a), "cus_b")]),
    "books.store_decisions": lambda tx, org, a: books.store_decisions(
        tx, org, a.connection_id, [(replace_paid(a), "cus_b", b"d", encode_decision(DECISION), None)]
    ),
    "books.drop_decisions": lambda tx, org, a: books.drop_decisions(tx, org, a.connection_id, [("in_a", a.program_id)]),
    "books.store_referrals": lambda tx, org, a: books.store_referrals(
        tx,
        org,
        a.connection_id,
        [("rfl_b", DerivedReferral(a.program_id, "cus_a", a.participant_id, "manual", "z", "", 5, "flagged"), "cus_b")],
    ),
    "books.undo_referrals": lambda tx, org, a: books.undo_referrals(tx, org, ["rfl_a"]),
    "books.store_customers": lambda tx, org, a: books.store_customers(
        tx, org, a.connection_id, [(DerivedCustomer("cus_a", "z@example.com", None, None, True), "cus_b")]
    ),
    "tallies.remove": lambda tx, org, a: tallies.remove(tx, org, a.connection_id, [("in_a", a.program_id)]),
    "tallies.add": lambda tx, org, a: tallies.add(tx, org, a.connection_id, [(tally(a, "in_z"), "cus_b")]),
    "tallies.mark_stale": lambda tx, org, a: tallies.mark_stale(
        tx, org, a.connection_id, [Stale(a.program_id, "", 0, None, (0, ""))], []
    ),
    "reviews.insert_reviews": lambda tx, org, a: reviews.insert_reviews(
        tx,
        org,
        a.connection_id,
        [reviews.ReviewEntry("rev_b", reviews.Subject(a.program_id, "", "cus_a", "", "cus_a"), "rejected")],
        reason="x",
        actor="system",
        at=NOW,
    ),
}
FACTS: dict[str, Writer] = {
    "facts.store_facts": lambda tx, org, a: facts.store_facts(tx, org, a.connection_id, [(FACT, "cus_b", 5)]),
    "facts.move_scopes": lambda tx, org, a: facts.move_scopes(tx, org, a.connection_id, {"cus_a": "cus_b"}),
    "facts.mark_dirty": lambda tx, org, a: facts.mark_dirty(tx, org, a.connection_id, ["cus_b"]),
    "facts.mark_code_dirty": lambda tx, org, a: facts.mark_code_dirty(tx, org, a.connection_id, "x"),
    "facts.mark_connection_dirty": lambda tx, org, a: facts.mark_connection_dirty(tx, org, a.connection_id),
    "facts.take_dirty": lambda tx, org, a: facts.take_dirty(tx, org, a.connection_id, 10),
    "facts.note_unclaimed": lambda tx, org, a: facts.note_unclaimed(tx, org, a.connection_id, [("z", "cus_a")]),
    "facts.note_cards": lambda tx, org, a: facts.note_cards(tx, org, a.connection_id, [("card_z", "cus_a")]),
    "facts.mark_card_sharers_dirty": lambda tx, org, a: facts.mark_card_sharers_dirty(
        tx, org, a.connection_id, ["cus_c"]
    ),
    "inbox.finish": lambda tx, org, a: inbox.finish(tx, org, a.connection_id, [1]),
    "inbox.fail": lambda tx, org, a: inbox.fail(tx, org, a.connection_id, 1, "x", "x", is_final=False),
    "inbox.replay": lambda tx, org, a: inbox.replay(tx, org, a.connection_id, event_ids=["evt_a"], only_parked=False),
    "needs.ask": lambda tx, org, a: needs.ask(tx, org, a.connection_id, [replace(NEED, seen_at=9)], 5),
    "needs.update_awake": lambda tx, org, a: needs.update_awake(tx, org, a.connection_id, ["asleep"], 0),
    "needs.answer": lambda tx, org, a: needs.answer(tx, org, a.connection_id, NEED, b"{}"),
    "needs.close": lambda tx, org, a: needs.close(tx, org, a.connection_id, NEED),
    "needs.postpone": lambda tx, org, a: needs.postpone(tx, org, a.connection_id, NEED, "x", 60),
    "needs.update_put_off": lambda tx, org, a: needs.update_put_off(tx, org, a.connection_id, "x", 60),
    "doctor.ask_again": lambda tx, org, a: doctor.ask_again(tx, org, a.connection_id),
    "custom_events.ask_for_types": lambda tx, org, a: custom_events.ask_for_types(
        tx, org, a.connection_id, {"charge.succeeded": ("customer",)}
    ),
    "custom_events.put_back_page": lambda tx, org, a: custom_events.put_back_page(tx, org, a.connection_id, 10),
    "custom_events.finish_types": lambda tx, org, a: custom_events.finish_types(tx, org, a.connection_id),
}
CONNECTIONS: dict[str, Writer] = {
    "connections.update_clock_ahead": lambda tx, org, a: connections.update_clock_ahead(tx, org, a.connection_id, 9),
    "connections.update_access": lambda tx, org, a: update_access(tx, org, a),
    "connections.update_api_base": lambda tx, org, a: connections.update_api_base(tx, org, a.connection_id, "x"),
    "connections.expire_secret": lambda tx, org, a: expire(tx, org, a),
    "connections.reseal_secret": lambda tx, org, a: reseal(tx, org, a),
    "connection_health.note_new_problems": lambda tx, org, a: connection_health.note_new_problems(
        tx, org, a.connection_id, {"x": "another detail", "y": "new"}, NOW
    ),
    "connection_health.note_ended_problems": lambda tx, org, a: connection_health.note_ended_problems(
        tx, org, a.connection_id, ["x"], LATER
    ),
    "connection_health.store_check": lambda tx, org, a: connection_health.store_check(
        tx, org, a.connection_id, "endpoint", {"x": 1}, LATER
    ),
    "connection_health.update_check_at": lambda tx, org, a: connection_health.update_check_at(
        tx, org, a.connection_id, LATER
    ),
    "connection_health.take_check": lambda tx, org, a: connection_health.take_check(tx, org, a.connection_id, LATER),
    "connection_health.update_status": lambda tx, org, a: connection_health.update_status(
        tx, org, a.connection_id, "degraded"
    ),
    "connection_health.note_version": lambda tx, org, a: connection_health.note_version(tx, org, a.connection_id),
    "connection_health.update_needs_due": lambda tx, org, a: connection_health.update_needs_due(
        tx, org, a.connection_id
    ),
    "event_polls.set_intake": lambda tx, org, a: event_polls.set_intake(tx, org, a.connection_id, is_intake=True),
    "event_polls.take": lambda tx, org, a: event_polls.take(tx, org, a.connection_id, 60),
    "event_polls.note_page": lambda tx, org, a: event_polls.note_page(tx, org, a.connection_id, 3, 2),
    "event_polls.move_cursor": lambda tx, org, a: event_polls.move_cursor(tx, org, a.connection_id, 9, 60),
    "event_polls.postpone": lambda tx, org, a: event_polls.postpone(tx, org, a.connection_id, "x", 60),
    "history.insert_run": lambda tx, org, a: history.insert_run(
        tx, replace(run_of(org, a), run_id="rdg_b", kind="reconcile"), ["charges"]
    ),
    "history.update_due_now": lambda tx, org, a: history.update_due_now(tx, org, a.connection_id),
}
# These name a reading, a referral or a problem by an id that is the organization's own.
OF_ORGANIZATION: dict[str, Writer] = {
    "connection_health.mark_mailed": lambda tx, org, a: mark_mailed(tx, org, a),
    "connections.delete_expired_secrets": lambda tx, org, a: connections.delete_expired_secrets(tx, org, FAR),
    "history.cancel": lambda tx, org, a: history.cancel(tx, org, RUN),
    "history.resume": lambda tx, org, a: history.resume(tx, org, "rdg_failed"),
    "history.take": lambda tx, org, a: history.take(tx, org, "rdg_waiting"),
    "history.hold": lambda tx, org, a: history.hold(tx, run_of(org, a)),
    "history.advance": lambda tx, org, a: history.advance(
        tx, run_of(org, a), "invoices", cursor_id="z", read=1, gaps=1, stored=1, reached_at=1, is_done=False
    ),
    "history.note_span": lambda tx, org, a: history.note_span(tx, run_of(org, a), "invoices", 9, 5),
    "history.skip": lambda tx, org, a: history.skip(tx, run_of(org, a), "invoices", "x"),
    "history.forget_cursor": lambda tx, org, a: history.forget_cursor(tx, run_of(org, a), "invoices"),
    "history.note_gaps": lambda tx, org, a: history.note_gaps(tx, run_of(org, a), [Gap("invoices", "in_b", "x")]),
    "history.release": lambda tx, org, a: history.release(tx, run_of(org, a)),
    "history.postpone": lambda tx, org, a: history.postpone(tx, run_of(org, a), "x", 60),
    "history.fail": lambda tx, org, a: history.fail(tx, run_of(org, a), "x"),
    "history.finish": lambda tx, org, a: history.finish(tx, run_of(org, a)),
    "statements.insert_payments": lambda tx, org, a: statements.insert_payments(
        tx, run_of(org, a), [StatedPayment("in_b", "excluded", "x", NOW, "cus_a", "usd", 5, 0)]
    ),
    "statements.insert_movements": lambda tx, org, a: statements.insert_movements(
        tx, run_of(org, a), [Movement("txn_b", "charge", True, "ch_a", "in_a", "usd", 5, 0, 5)]
    ),
}
OF_CONNECTION = BOOKS | FACTS | CONNECTIONS
MODULES = (books, connection_health, connections, custom_events, event_polls, facts, history, inbox, needs, statements)
BY_ID = {"books.undo_referrals"}  # a referral's id is the organization's own
# They add a row whose key is all new and says whose it is: there is none that could be hit.
NEW_ALONE = {
    "books.add_rewards",
    "connections.insert_connection",
    "connections.insert_secret",
}
ELSEWHERE = {"books.post_entries", "inbox.accept"}  # the database's own functions: test_ledger, test_inbox


def replace_paid(a: Ids) -> Any:
    return DECISION.__class__("in_a", a.program_id, ("cus_a",), "cus_a", "refused", "x", 0, "usd", "", 9, 9, 0, 0, 0, 0)


async def update_access(tx: Connection, org: str, a: Ids) -> None:
    made = connections.StripeConnection(org, a.connection_id, "A", "test", "acct_z", None, 0, "degraded", NOW)
    await connections.update_access(tx, made)


async def secret_of(tx: Connection, a: Ids) -> connections.ConnectionSecret:
    return (await connections.all_secrets(tx, a.organization_id))[0]


async def expire(tx: Connection, org: str, a: Ids) -> None:
    secret = await secret_of(tx, a)
    await connections.expire_secret(tx, org, a.connection_id, secret.secret_id, EARLY)


async def reseal(tx: Connection, org: str, a: Ids) -> None:
    secret = await secret_of(tx, a)
    changed = replace(secret, organization_id=org, connection_id=a.connection_id, key_id="k9")
    await connections.reseal_secret(tx, changed)


async def mark_mailed(tx: Connection, org: str, a: Ids) -> None:
    problems = await connection_health.open_problems(tx, a.organization_id)
    assert problems
    await connection_health.mark_mailed(tx, org, problems, LATER)


def more_rows(dsn: str, a: Ids) -> None:
    """What the sample rows of two_tenants lack, so that every writer has something of A's to hit."""
    with psycopg.connect(dsn) as owner:
        ids = {"o": a.organization_id, "c": a.connection_id}
        for statement in (
            "update history_run set status = 'running', claim = 7, heartbeat_at = now(), attempts = 2,"
            "  due_at = '2100-01-01' where organization_id = %(o)s",
            "update history_part set cursor_id = 'x' where organization_id = %(o)s",
            "insert into history_run (organization_id, run_id, connection_id, kind, until_at, created_by, status, "
            "  attempts, due_at) values (%(o)s, 'rdg_failed', %(c)s, 'reconcile', now(), 'system', 'failed', 0, now()),"
            "  (%(o)s, 'rdg_waiting', %(c)s, 'backfill', now(), 'system', 'waiting', 2, now())",
            "update connection_secret set expires_at = '2040-01-01' where organization_id = %(o)s",
            "update open_need set attempts = 2 where organization_id = %(o)s",
            "insert into open_need (organization_id, connection_id, need_kind, stripe_id, seen_at, due_at)"
            "  values (%(o)s, %(c)s, 'asleep', 'pi_b', 5, 'infinity')",
            "update event_poll set due_at = '-infinity', attempts = 2 where organization_id = %(o)s",
            "update connection set check_at = '-infinity', event_version = null where organization_id = %(o)s",
            "alter table stripe_event disable trigger user",
            "update stripe_event set api_version = '2026-10-28.endive' where organization_id = %(o)s",
            "alter table stripe_event enable trigger user",
            "update custom_event_type set is_read = false, cursor_seq = 0, asked_at = '2100-01-01'"
            "  where organization_id = %(o)s",
            "insert into custom_event_type (organization_id, connection_id, stripe_type, customer_path, asked_at,"
            "  cursor_seq) values (%(o)s, %(c)s, 'charge.updated', 'customer', '2020-01-01', 1000000)",
            "insert into card_use (organization_id, connection_id, fingerprint, scope_id)"
            "  values (%(o)s, %(c)s, 'card_a', 'cus_c'), (%(o)s, %(c)s, 'card_a', 'cus_g')",
            "insert into unclaimed_code (organization_id, connection_id, code, scope_id)"
            "  values (%(o)s, %(c)s, 'x', 'cus_d')",
            "insert into tally (organization_id, connection_id, program_id, payment_key, rule_id, owner_id, currency,"
            "  referee_id, scope_id, occurred_at) select organization_id, connection_id, program_id, 'in_a', 'y',"
            "  owner_id, currency, referee_id, 'cus_f', 6 from tally where organization_id = %(o)s",
            "insert into fact (organization_id, connection_id, stripe_id, scope_id, kind, body) select organization_id,"
            "  connection_id, 'cus_e', 'cus_e', kind, body from fact where organization_id = %(o)s",
            "update reward set paid_minor = 0, payment_key = 'in_a' where organization_id = %(o)s",
        ):
            owner.execute(statement, ids)


class _Undone(Exception):
    pass


async def tables_of(tx: Connection, *, only_of_connections: bool) -> list[str]:
    rows = await tx.fetch(
        """
        select c.relname from pg_class c
        where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
          and exists (select from pg_attribute where attrelid = c.oid and attname = 'organization_id')
          and (not $1 or exists (select from pg_attribute where attrelid = c.oid and attname = 'connection_id'))
        order by 1
        """,
        only_of_connections,
    )
    return [row[0] for row in rows]


async def rows_of_a(tx: Connection, a: Ids, *, only_of_connections: bool) -> dict[str, str]:
    """What stands in A's tables; with `only_of_connections`, of A's connection alone."""
    where = "organization_id = $1" + (" and connection_id = $2" if only_of_connections else " and $2::text <> ''")
    question = " union all ".join(
        f"select '{name}', coalesce(string_agg(t::text, ';' order by t::text), '') from {name} t where {where}"
        for name in await tables_of(tx, only_of_connections=only_of_connections)
    )
    return {row[0]: row[1] for row in await tx.fetch(question, a.organization_id, a.connection_id)}


async def changed_by(
    db: Database, writer: Writer, organization_id: str, given: Ids, a: Ids, *, only_of_connections: bool
) -> set[str]:
    """The tables in which rows of A are other rows after a writer was called; everything is undone again."""
    changed: set[str] = set()
    try:
        async with db.tenant(organization_id) as tx:
            before = await rows_of_a(tx, a, only_of_connections=only_of_connections)
            await writer(tx, organization_id, given)
            after = await rows_of_a(tx, a, only_of_connections=only_of_connections)
            changed = {name for name, rows in after.items() if rows != before[name]}
            raise _Undone
    except (_Undone, asyncpg.IntegrityConstraintViolationError):  # a key that refuses a row is a wall, too
        return changed


def test_no_writer_is_missing_here() -> None:
    there = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in (*MODULES, tallies, reviews)
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction)
        if function.__module__ == module.__name__ and name[0] != "_" and _writes(function)
    }
    known = OF_CONNECTION.keys() | OF_ORGANIZATION.keys() | NEW_ALONE | ELSEWHERE
    assert there <= known


def _writes(function: Callable[..., Any]) -> bool:
    source = inspect.getsource(function)
    return any(word in source for word in ("tx.execute(", "update ", "insert into ", "delete from "))


@pytest.mark.parametrize("name", ["itself", "another organization", "the other connection"])
def test_a_writer_changes_rows_of_its_own_alone(database: str, name: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, tables):
            other = await with_another_connection(db, a)
            more_rows(database, a)
            drop_row_level_security(database, tables)
            for what, writer in (OF_CONNECTION | OF_ORGANIZATION).items():
                if name == "itself":  # else the other cases would prove nothing
                    changed = await changed_by(db, writer, a.organization_id, a, a, only_of_connections=False)
                    assert changed, f"{what} changes nothing at all"
                elif name == "another organization":
                    changed = await changed_by(db, writer, b, a, a, only_of_connections=False)
                    assert not changed, f"{what} changes rows of another organization: {changed}"
                elif what in OF_CONNECTION and what not in BY_ID:
                    changed = await changed_by(db, writer, a.organization_id, other, a, only_of_connections=True)
                    assert not changed, f"{what} changes rows of the other connection: {changed}"

    asyncio.run(main())
