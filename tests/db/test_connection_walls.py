"""Test and live mode are two connections of one organization: what is one's is never shown at the other.

Row-level security cannot help here: the organization is the same. So each finder that is given a connection is asked
with the other one for what the first one owns.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from db import test_doctor_walls, test_tenancy
from db.test_tenancy import Finder
from db.two_tenants import NOW, Ids, two_tenants
from refref.db import connection_health, connections, explain, why_not
from refref.db.connections import StripeConnection
from refref.db.pool import Database

OTHER = "con_other"
FINDERS = test_tenancy.FINDERS | test_doctor_walls.FINDERS
# What is named by an id of the organization's own, whatever the connection: an id of one connection is not the other's.
BY_ID = {
    "api_keys.api_key_by_id",
    "api_keys.valid_key_hash",
    "audit.entries_of",
    "explain.entries_of_rewards",
    "explain.names_of",
    "history.gaps_of",
    "history.parts_of",
    "history.run_by_id",
    "participants.has_participants",
    "participants.ips_of",
    "participants.participant_by_id",
    "payouts.items_of",
    "payouts.later_payout",
    "payouts.payout_by_id",
    "profiles.groups_of_program",
    "profiles.profiles_of",
    "programs.latest_terms",
    "programs.locked_program",
    "programs.program_by_id",
    "programs.status_changes",
    "programs.terms_of_versions",
    "programs.terms_version",
    "programs.terms_versions",
    "drafts.draft_of",
    "reports.balances_of",
    "reports.codes_of",
    "reports.ledger_entries_of_reward",
    "reports.participant_by_id",
    "reports.payout_items",
    "reports.payout_row",
    "reports.readings.reading_view",
    "reports.readings.statement",
    "reports.reward_by_id",
    "reviews.subject_of_referral",
    "setup.participants_of",
    "statements.class_sums",
    "statements.money_sums",
    "statements.movements",
    "statements.payments",
    "statements.ties",
    "statements.untied_movements",
    "statements.untied_payments",
    "tallies.contributions_since",
    "tallies.first_payments_before",
    "tallies.sums_before",
}
# What belongs to the organization as a whole, or is looked for over all its connections.
OF_ALL_CONNECTIONS = {
    "api_keys.api_keys",
    "connection_health.open_problems",
    "connection_health.problems_to_mail",
    "connections.all_secrets",
    "connections.connection_of_account",
    "connections.connections",
    "connections.held_kinds",
    "explain.event_by_stripe_id",
    "explain.places_of",
    "idempotency.stored_answer",
    "programs.programs",
    "rates.count_scopes_of_days",
    "rates.last_day_of",
    "rates.lock_uploads",
    "rates.rate_book",
    "rates.uploads",
    "reports.audit_page",
    "why_not.connections_that_know",  # names them where a person asked at the wrong one
    "why_not.events_about",
    "why_not.last_webhook_at",
    "why_not.named",
    "why_not.standings_of",  # names the other connection where a code is of a participant there
}
# What the other connection says of itself.
OF_THE_OTHER = {
    "connections.connection_by_id",
    "connections.lock_connection",
    "doctor.seen no_webhook_secret",
    "setup.mode_of",
}


def found_by(how: str, value: str) -> Finder:
    return lambda tx, org, a: explain.places_of(tx, org, a.connection_id, how, value)


# Those of them that can be given a connection, and are asked with one here.
NARROWED: dict[str, Finder] = {
    "places of a fact": found_by("fact", "cus_a"),
    "places of a reward": found_by("reward", "rwd_a"),
    "places of a referral": found_by("referral", "rfl_a"),
    "places of an address": found_by("email", "c@example.com"),
    "an event": lambda tx, org, a: explain.event_by_stripe_id(tx, org, a.connection_id, "evt_a"),
    "problems": lambda tx, org, a: connection_health.open_problems(tx, org, a.connection_id),
    "events about an object": lambda tx, org, a: why_not.events_about(tx, org, a.connection_id, "cus_a"),
    "the last webhook": lambda tx, org, a: why_not.last_webhook_at(tx, org, a.connection_id),
}


async def with_another_connection(database: Database, a: Ids) -> Ids:
    """The ids of A, but for the connection: A's organization has another one, to the same account in live mode."""
    async with database.tenant(a.organization_id) as tx:
        made = StripeConnection(a.organization_id, OTHER, "A, live", "live", "acct_aaaa", None, 0, "active", NOW)
        await connections.insert_connection(tx, made)
    return replace(a, connection_id=OTHER)


def test_no_finder_shows_at_one_connection_what_is_the_other_s(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, _):
            other = await with_another_connection(db, a)
            seen = set()
            for name, finder in FINDERS.items():
                async with db.tenant(a.organization_id) as tx:
                    if await finder(tx, a.organization_id, other):
                        seen.add(name)
            assert seen == BY_ID | OF_ALL_CONNECTIONS | OF_THE_OTHER
            for name, finder in NARROWED.items():
                async with db.tenant(a.organization_id) as tx:
                    assert await finder(tx, a.organization_id, a), f"{name}: nothing at all, which proves nothing"
                    assert not await finder(tx, a.organization_id, other), name

    asyncio.run(main())


def test_the_other_connection_is_itself(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, _):
            other = await with_another_connection(db, a)
            for name in OF_THE_OTHER:
                async with db.tenant(a.organization_id) as tx:
                    shown = repr(await FINDERS[name](tx, a.organization_id, other))
                assert "live" in shown or OTHER in shown, name
                assert a.connection_id not in shown, name

    asyncio.run(main())
