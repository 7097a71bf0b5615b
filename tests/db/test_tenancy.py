"""Two walls stand between tenants: the organization in every query, and row-level security. Each holds alone.

Organization A owns one row in every tenant table. B looks for A's rows, in every table and with every finder:
- with row-level security alone: the query names A, as if the finder had forgotten whose request it serves;
- with the finder's argument alone: row-level security is taken away, and B asks for A's ids as B.
"""

import asyncio
import dataclasses
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from db import history_finders
from db.two_tenants import EARLY, LATER, NOW, Ids, drop_row_level_security, two_tenants
from refref.core.periods import DAY_S
from refref.core.refusals import Refused
from refref.db import (
    api_keys,
    audit,
    books,
    catalog,
    catalog_syncs,
    connection_health,
    connections,
    custom_events,
    drafts,
    explain,
    facts,
    idempotency,
    inbox,
    needs,
    participants,
    payouts,
    platform,
    profiles,
    programs,
    rates,
    reports,
    reviews,
    setup,
    tallies,
    users,
)
from refref.db.pool import Connection

Finder = Callable[[Connection, str, Ids], Awaitable[Any]]

# Every function of db/ that reads a tenant's rows, by module and name. A test sees to it that none is missing.
FINDERS: dict[str, Finder] = {
    "api_keys.api_keys": lambda tx, org, a: api_keys.api_keys(tx, org, before=None, limit=10),
    "api_keys.api_key_by_id": lambda tx, org, a: api_keys.api_key_by_id(tx, org, a.api_key_id),
    "api_keys.valid_key_hash": lambda tx, org, a: api_keys.valid_key_hash(tx, org, a.prefix),
    "audit.entries_of": lambda tx, org, a: audit.entries_of(
        tx, org, subject=a.program_id, actions=["program.create"], limit=5
    ),
    "books.books_of_scopes": lambda tx, org, a: booked(tx, org, a),
    "books.paid_decisions": lambda tx, org, a: books.paid_decisions(tx, org, a.connection_id),
    "connections.connections": lambda tx, org, a: connections.connections(tx, org),
    "connections.connection_by_id": lambda tx, org, a: connections.connection_by_id(tx, org, a.connection_id),
    "connections.lock_connection": lambda tx, org, a: connections.lock_connection(tx, org, a.connection_id),
    "connections.held_kinds": lambda tx, org, a: connections.held_kinds(tx, org, NOW),
    "connections.valid_secrets": lambda tx, org, a: connections.valid_secrets(tx, org, a.connection_id, "webhook", NOW),
    "connections.connection_of_account": lambda tx, org, a: connections.connection_of_account(
        tx, org, "acct_aaaa", "test"
    ),
    "connection_health.open_problems": lambda tx, org, a: connection_health.open_problems(tx, org),
    "connection_health.recent_problems": lambda tx, org, a: connection_health.recent_problems(
        tx, org, a.connection_id, 9
    ),
    "connection_health.problems_to_mail": lambda tx, org, a: connection_health.problems_to_mail(tx, org, NOW),
    "connection_health.has_refused_needs": lambda tx, org, a: connection_health.has_refused_needs(
        tx, org, a.connection_id
    ),
    "connection_health.last_received_at": lambda tx, org, a: connection_health.last_received_at(
        tx, org, a.connection_id, "invoice.paid"
    ),
    "connection_health.seen_check": lambda tx, org, a: connection_health.seen_check(
        tx, org, a.connection_id, "endpoint"
    ),
    "connections.all_secrets": lambda tx, org, a: connections.all_secrets(tx, org),
    "catalog.search_catalog": lambda tx, org, a: chosen(tx, org, a),
    "catalog.names_of_items": lambda tx, org, a: catalog.names_of_items(tx, org, a.connection_id, ["x"]),
    "catalog_syncs.latest_sync": lambda tx, org, a: catalog_syncs.latest_sync(tx, org, a.connection_id),
    "catalog_syncs.locked_sync": lambda tx, org, a: catalog_syncs.locked_sync(tx, org, a.connection_id),
    "custom_events.paths_by_type": lambda tx, org, a: custom_events.paths_by_type(tx, org, a.connection_id),
    "custom_events.is_reading_again": lambda tx, org, a: custom_events.is_reading_again(tx, org, a.connection_id),
    "custom_events.put_back_page": lambda tx, org, a: custom_events.put_back_page(tx, org, a.connection_id, 10),
    "custom_events.count_of_events": lambda tx, org, a: custom_events.count_of_events(tx, org, a.connection_id),
    "custom_events.events_page": lambda tx, org, a: custom_events.events_page(
        tx, org, a.connection_id, ["invoice.paid"], 0, 10
    ),
    "custom_events.rereadings": lambda tx, org, a: custom_events.rereadings(tx, org, a.connection_id),
    "custom_events.recent_events": lambda tx, org, a: custom_events.recent_events(
        tx, org, a.connection_id, ["invoice.paid"], 10
    ),
    "explain.places_of": lambda tx, org, a: explain.places_of(tx, org, None, "fact", "cus_a"),
    "explain.decisions_of_scope": lambda tx, org, a: explain.decisions_of_scope(tx, org, place(a)),
    "explain.rewards_of_scope": lambda tx, org, a: explain.rewards_of_scope(tx, org, place(a)),
    "explain.entries_of_rewards": lambda tx, org, a: explain.entries_of_rewards(tx, org, ["rwd_a"]),
    "explain.event_by_stripe_id": lambda tx, org, a: explain.event_by_stripe_id(tx, org, None, "evt_a"),
    "explain.events_of_facts": lambda tx, org, a: explain.events_of_facts(tx, org, place(a)),
    "explain.names_of": lambda tx, org, a: explain.names_of(tx, org, [a.participant_id, a.program_id]),
    "explain.emails_of_scope": lambda tx, org, a: explain.emails_of_scope(tx, org, place(a)),
    "facts.facts_of_scopes": lambda tx, org, a: facts.facts_of_scopes(tx, org, a.connection_id, stripe_ids=["cus_a"]),
    "facts.scope_of": lambda tx, org, a: facts.scope_of(tx, org, a.connection_id, "cus_a"),
    "facts.scopes_after": lambda tx, org, a: facts.scopes_after(tx, org, a.connection_id, "", 10),
    "facts.take_dirty": lambda tx, org, a: facts.take_dirty(tx, org, a.connection_id, 10),
    "facts.emails_of_cards": lambda tx, org, a: facts.emails_of_cards(tx, org, a.connection_id, ["card_a"]),
    "idempotency.stored_answer": lambda tx, org, a: idempotency.stored_answer(tx, org, "k", EARLY),
    "inbox.due_work": lambda tx, org, a: inbox.due_work(tx, org, a.connection_id, 10),
    "inbox.events_after": lambda tx, org, a: inbox.events_after(tx, org, a.connection_id, 0, 10),
    "inbox.unfinished_seqs": lambda tx, org, a: inbox.unfinished_seqs(tx, org, a.connection_id),
    "inbox.is_waiting": lambda tx, org, a: inbox.is_waiting(tx, org, a.connection_id, 1),
    "needs.due_needs": lambda tx, org, a: needs.due_needs(tx, org, a.connection_id, 10),
    "needs.documents": lambda tx, org, a: needs.documents(tx, org, a.connection_id),
    "needs.has_promotion_codes": lambda tx, org, a: needs.has_promotion_codes(tx, org, a.connection_id),
    "participants.participant_by_id": lambda tx, org, a: participants.participant_by_id(tx, org, a.participant_id),
    "participants.known_participants": lambda tx, org, a: participants.known_participants(
        tx, org, a.connection_id, [a.participant_id]
    ),
    "participants.has_participants": lambda tx, org, a: participants.has_participants(tx, org, a.program_id),
    "participants.code_by_value": lambda tx, org, a: participants.code_by_value(tx, org, a.connection_id, "code-a"),
    "programs.programs": lambda tx, org, a: programs.programs(tx, org),
    "programs.program_by_id": lambda tx, org, a: programs.program_by_id(tx, org, a.program_id),
    "programs.locked_program": lambda tx, org, a: programs.locked_program(tx, org, a.program_id),
    "programs.terms_versions": lambda tx, org, a: programs.terms_versions(tx, org, a.program_id),
    "programs.terms_version": lambda tx, org, a: programs.terms_version(tx, org, a.program_id, 1),
    "programs.status_changes": lambda tx, org, a: programs.status_changes(tx, org, a.program_id),
    "programs.programs_named": lambda tx, org, a: programs.programs_named(tx, org, a.connection_id, "A"),
    "drafts.draft_of": lambda tx, org, a: drafts.draft_of(tx, org, a.program_id),
    "profiles.groups_of_program": lambda tx, org, a: profiles.groups_of_program(tx, org, a.program_id),
    "profiles.profiles_of": lambda tx, org, a: profiles.profiles_of(tx, org, [a.participant_id]),
    "programs.terms_of_versions": lambda tx, org, a: programs.terms_of_versions(tx, org, [(a.program_id, 1)]),
    "programs.latest_terms": lambda tx, org, a: programs.latest_terms(tx, org, a.program_id),
    "reports.participants_page": lambda tx, org, a: rows(reports.participants_page(tx, org, a.connection_id)),
    "reports.audit_page": lambda tx, org, a: rows(reports.audit_page(tx, org)),
    "reports.participant_by_id": lambda tx, org, a: reports.participant_by_id(tx, org, a.participant_id),
    "reports.codes_of": lambda tx, org, a: reports.codes_of(tx, org, a.participant_id),
    "reports.balances_of": lambda tx, org, a: reports.balances_of(tx, org, a.participant_id),
    "reports.customers_page": lambda tx, org, a: rows(reports.customers_page(tx, org, a.connection_id)),
    "reports.customer_by_id": lambda tx, org, a: reports.customer_by_id(tx, org, a.connection_id, "cus_a"),
    "reports.referrals_page": lambda tx, org, a: rows(reports.referrals_page(tx, org, a.connection_id)),
    "reports.events_page": lambda tx, org, a: rows(reports.events_page(tx, org, a.connection_id)),
    "reports.event_by_id": lambda tx, org, a: reports.event_by_id(tx, org, a.connection_id, "evt_a"),
    "reports.rewards_page": lambda tx, org, a: rows(reports.rewards_page(tx, org, a.connection_id)),
    "reports.reward_by_id": lambda tx, org, a: reports.reward_by_id(tx, org, "rwd_a"),
    "reports.ledger_entries_of_reward": lambda tx, org, a: reports.ledger_entries_of_reward(tx, org, "rwd_a"),
    "reports.decisions_page": lambda tx, org, a: rows(reports.decisions_page(tx, org, a.connection_id)),
    "reports.decision_reasons": lambda tx, org, a: reports.decision_reasons(tx, org, a.connection_id),
    "reports.daily_trend": lambda tx, org, a: reports.daily_trend(tx, org, a.connection_id, EARLY),
    "reports.overview_totals": lambda tx, org, a: overview(tx, org, a),
}
FINDERS |= {
    "explain.reviews_of": lambda tx, org, a: explain.reviews_of(tx, org, place(a), ["cus_a"]),
    "reports.reviews_page": lambda tx, org, a: rows(reports.reviews_page(tx, org, a.connection_id)),
    "reports.review_by_id": lambda tx, org, a: or_none(reports.review_by_id(tx, org, a.connection_id, "rev_a")),
    "reports.payouts_page": lambda tx, org, a: rows(reports.payouts_page(tx, org, a.connection_id)),
    "reports.payout_row": lambda tx, org, a: reports.payout_row(tx, org, "pyt_a"),
    "reports.payout_items": lambda tx, org, a: reports.payout_items(tx, org, "pyt_a"),
    "payouts.payable_rewards": lambda tx, org, a: payouts.payable_rewards(
        tx, org, a.connection_id, a.participant_id, "usd"
    ),
    "participants.ips_of": lambda tx, org, a: participants.ips_of(tx, org, [a.participant_id]),
    "payouts.payout_by_id": lambda tx, org, a: payouts.payout_by_id(tx, org, "pyt_a"),
    "payouts.items_of": lambda tx, org, a: payout_items(tx, org),
    "payouts.later_payout": lambda tx, org, a: payouts.later_payout(tx, org, "pyt_0", ["rwd_a"]),
    "reviews.subjects_of_rewards": lambda tx, org, a: reviews.subjects_of_rewards(tx, org, a.connection_id, ["rwd_a"]),
    "reviews.subject_of_conversion": lambda tx, org, a: reviews.subject_of_conversion(
        tx, org, a.connection_id, a.program_id, "in_a"
    ),
    "reviews.subject_of_referral": lambda tx, org, a: reviews.subject_of_referral(tx, org, "rfl_a"),
    "reviews.subject_of_review": lambda tx, org, a: reviews.subject_of_review(tx, org, a.connection_id, "rev_a"),
    "reviews.waiting_subjects": lambda tx, org, a: reviews.waiting_subjects(
        tx, org, a.connection_id, program_id=None, participant_id=None, hold=None, limit=9
    ),
    "reviews.count_waiting": lambda tx, org, a: reviews.count_waiting(tx, org, a.connection_id),
    "reviews.known_ids": lambda tx, org, a: reviewed(tx, org, a),
}
FINDERS |= {
    "rates.rate_book": lambda tx, org, a: given_rates(tx, org),
    "rates.uploads": lambda tx, org, a: rates.uploads(tx, org),
    "rates.last_day_of": lambda tx, org, a: rates.last_day_of(tx, org, "csv"),
    "rates.lock_uploads": lambda tx, org, a: next_upload(tx, org),
    "rates.count_scopes_of_days": lambda tx, org, a: rates.count_scopes_of_days(tx, org, EARLY.date(), NOW.date()),
    "setup.programs_of": lambda tx, org, a: setup.programs_of(tx, org, a.connection_id),
    "setup.code_owners": lambda tx, org, a: owners(tx, org, a),
    "setup.clock_ahead_s": lambda tx, org, a: setup.clock_ahead_s(tx, org, a.connection_id),
    "setup.participants_of": lambda tx, org, a: setup.participants_of(tx, org, [a.participant_id]),
    "setup.reviews_of": lambda tx, org, a: setup.reviews_of(tx, org, a.connection_id, ["cus_a"]),
    "setup.has_reviews": lambda tx, org, a: setup.has_reviews(tx, org, a.connection_id),
    "tallies.tallies_of_scopes": lambda tx, org, a: tallies.tallies_of_scopes(tx, org, a.connection_id, ["cus_a"]),
    "tallies.sums_before": lambda tx, org, a: tallies.sums_before(
        tx, org, position(a, 10 * DAY_S), [("referrals", "ever"), ("earned", "month")]
    ),
    "tallies.contributions_since": lambda tx, org, a: tallies.contributions_since(tx, org, position(a, 0), []),
    "tallies.first_payments_before": lambda tx, org, a: tallies.first_payments_before(tx, org, position(a, 10 * DAY_S)),
    "setup.mode_of": lambda tx, org, a: setup.mode_of(tx, org, a.connection_id),
}
FINDERS |= history_finders.FINDERS
# Not guarded by row-level security: people and their memberships, and a platform's accounts, are reference tables.
REFERENCE_FINDERS: dict[str, Finder] = {
    "users.members": lambda tx, org, a: users.members(tx, org),
    "users.member_by_id": lambda tx, org, a: users.member_by_id(tx, org, a.user_id),
    "platform.is_connected": lambda tx, org, a: platform.is_connected(tx, org, a.connection_id),
}
MODULES = (
    *history_finders.MODULES,
    *(api_keys, audit, books, catalog, catalog_syncs, connection_health, connections, custom_events, drafts, explain),
    *(
        facts,
        idempotency,
        inbox,
        needs,
        participants,
        platform,
        payouts,
        programs,
        profiles,
        rates,
        reports,
        reviews,
        setup,
        tallies,
        users,
    ),
)
WRITES = (
    "insert_",
    "update_",
    "delete_",
    "store_",
    "expire_",
    "reseal_",
    "revoke_",
    "deactivate_",
    "record",
    "add_",
    "change_",
    "post_",
    "drop_",
    "undo_",
    "move_",
    "mark_",
    "note_",
    "finish",
    "fail",
    "replay",
    "ask",
    "remove",
    "add",
    "answer",
    "close",
    "postpone",
    "set_intake",
    "take",
    "cancel",
    "resume",
)


def test_no_finder_is_missing_here() -> None:
    there = {
        f"{module.__name__.removeprefix('refref.db.')}.{name}"
        for module in MODULES
        for name, function in vars(module).items()
        if inspect.iscoroutinefunction(function)
        and function.__module__.startswith(module.__name__)
        and "organization_id" in inspect.signature(function).parameters
        and not name.startswith((*WRITES, "_"))
    }
    assert there - (FINDERS | REFERENCE_FINDERS).keys() == set()


def place(a: Ids) -> explain.Place:
    return explain.Place(a.connection_id, "cus_a")


async def booked(tx: Connection, organization_id: str, a: Ids) -> list[Any]:
    """What is booked for A's customer, without the empty books of scopes that are unknown."""
    found = await books.books_of_scopes(tx, organization_id, a.connection_id, ["cus_a"])
    return [book for book in found.values() if book.rewards or book.decisions or book.referrals or book.customers]


async def or_none(found: Awaitable[Any]) -> Any:
    """What is found, or None where it is refused."""
    try:
        return await found
    except Refused:
        return None


async def payout_items(tx: Connection, organization_id: str) -> list[Any]:
    return [part for part in await payouts.items_of(tx, organization_id, "pyt_a") if part]


async def reviewed(tx: Connection, organization_id: str, a: Ids) -> list[str]:
    subject = reviews.Subject(a.program_id, "", "in_a", "in_a", "cus_a")
    return (await reviews.known_ids(tx, organization_id, a.connection_id, [subject]))[subject]


async def owners(tx: Connection, organization_id: str, a: Ids) -> Any:
    keys = ["code-a", a.participant_id, "rfl_a"]
    return [part for part in await setup.code_owners(tx, organization_id, a.connection_id, keys) if part]


async def chosen(tx: Connection, organization_id: str, a: Ids) -> list[Any]:
    """Every kind of thing that a search of A's catalogue finds."""
    found = await catalog.search_catalog(tx, organization_id, a.connection_id, "", limit=5, include_inactive=True)
    return [part for part in (found.products, found.prices, found.coupons, found.promotion_codes) if part]


def position(a: Ids, at: int) -> dict[tuple[str, str], tuple[int, str]]:
    """A's participant, from an instant on."""
    return {(a.program_id, a.participant_id): (at, "")}


async def given_rates(tx: Connection, organization_id: str) -> Any:
    return (await rates.rate_book(tx, organization_id)).given


async def next_upload(tx: Connection, organization_id: str) -> int:
    """How many uploads there are already."""
    return await rates.lock_uploads(tx, organization_id) - 1


async def rows(page: Awaitable[Any]) -> Any:
    return (await page).rows


async def overview(tx: Connection, organization_id: str, a: Ids) -> Any:
    """The totals, or None when every figure is nothing."""
    found = await reports.overview_totals(tx, organization_id, a.connection_id, EARLY)
    return found if any(getattr(found, field.name) for field in dataclasses.fields(found)) else None


@pytest.mark.parametrize("is_secured", [True, False], ids=["with row-level security", "without row-level security"])
def test_each_finder_finds_what_is_its_own(database: str, is_secured: bool) -> None:
    """Else the tests below would prove nothing."""

    async def main() -> None:
        async with two_tenants(database) as (db, a, _, tables):
            if not is_secured:
                drop_row_level_security(database, tables)
            for name, finder in (FINDERS | REFERENCE_FINDERS).items():
                async with db.tenant(a.organization_id) as tx:
                    assert await finder(tx, a.organization_id, a), f"{name} finds nothing at all"

    asyncio.run(main())


def test_row_level_security_holds_when_a_finder_forgets_the_organization(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, tables):
            for name, finder in FINDERS.items():
                async with db.tenant(b) as tx:
                    assert not await finder(tx, a.organization_id, a), f"{name} shows rows of another organization"
            for name in tables:
                async with db.tenant(a.organization_id) as tx:
                    assert await tx.fetchval(f"select count(*) from {name}") > 0, (
                        f"no row in {name}: this proves nothing"
                    )
                async with db.tenant(b) as tx:
                    seen = await tx.fetch(f"select * from {name} where organization_id = $1", a.organization_id)
                    assert not seen, f"{name} shows rows of another organization"
                async with db.reference() as tx:
                    assert not await tx.fetchval(f"select count(*) from {name}"), f"{name} shows rows without a tenant"

    asyncio.run(main())


def test_the_finder_s_argument_holds_when_row_level_security_is_off(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, tables):
            drop_row_level_security(database, tables)
            async with db.tenant(b) as tx:
                assert await tx.fetchval("select count(*) from connection"), "row-level security is still on"
            for name, finder in (FINDERS | REFERENCE_FINDERS).items():
                async with db.tenant(b) as tx:
                    found = repr(await finder(tx, b, a))
                    leaked = [value for value in theirs(a) if value in found]
                    assert not leaked, f"{name} relies on row-level security alone: {leaked}"

    asyncio.run(main())


def test_nobody_writes_into_another_organization(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, _):
            async with db.tenant(b) as tx:
                await connections.update_clock_ahead(tx, a.organization_id, a.connection_id, 9)
                await participants.update_paused_at(tx, a.organization_id, a.participant_id, NOW)
                await participants.deactivate_code(tx, a.organization_id, a.connection_id, "code-a", NOW)
                await api_keys.revoke_api_key(tx, a.organization_id, a.api_key_id, NOW)
                await connections.delete_expired_secrets(tx, a.organization_id, LATER)
            async with db.tenant(a.organization_id) as tx:
                assert (await connections.connection_by_id(tx, a.organization_id, a.connection_id)).clock_ahead_s == 5
                assert (await reports.participant_by_id(tx, a.organization_id, a.participant_id)).status == "active"
                assert (
                    await participants.code_by_value(tx, a.organization_id, a.connection_id, "code-a")
                ).deactivated_at is None
                assert await api_keys.valid_key_hash(tx, a.organization_id, a.prefix)
            with pytest.raises(Exception, match="row-level security"):
                async with db.tenant(b) as tx:
                    await audit.record(tx, a.organization_id, at=NOW, actor="system", action="x", subject="x")

    asyncio.run(main())


def test_the_application_s_role_cannot_leave_its_wall(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, tables):
            for statement in (
                "alter table connection disable row level security",
                "update terms set version = 9",
                "delete from audit_log",
                "delete from ledger_entry",
                "set session_replication_role = replica",
                f"drop table {tables[0]}",
            ):
                with pytest.raises(Exception, match=r"denied|must be owner"):
                    async with db.tenant(a.organization_id) as tx:
                        await tx.execute(statement)
            async with db.tenant(b) as tx:
                await tx.execute("reset role")
                assert await tx.fetchval("select current_user") == "refref_app"

    asyncio.run(main())


A_WORDS = (
    "code-a",
    "gold_a",
    "cus_a",
    "in_a",
    "rwd_a",
    "evt_a",
    "rfl_a",
    "promo_1AbC",
    "c@example.com",
    "_minor=",
    "{1}",
)


def theirs(a: Ids) -> list[str]:
    """What must not show up anywhere."""
    return [*dataclasses.asdict(a).values(), *A_WORDS]
