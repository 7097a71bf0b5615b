"""What the doctor, “Why not?” and binding by hand look at stays inside the organization, by either wall alone."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from db.two_tenants import EARLY, NOW, Ids, drop_row_level_security, two_tenants
from refref.db import bonds, doctor, why_not
from refref.db.doctor_traces import TRACES
from refref.db.pool import Connection

LATE = NOW + timedelta(days=9_000)
Finder = Callable[[Connection, str, Ids], Awaitable[Any]]


def of_doctor(name: str, *arguments: object) -> Finder:
    return lambda tx, org, a: getattr(doctor, name)(tx, org, a.connection_id, *arguments)


async def strays(tx: Connection, org: str, a: Ids) -> list[str]:
    found = await doctor.stray_codes(tx, org, a.connection_id, EARLY, LATE)
    return [row.code for row in found]


FINDERS: dict[str, Finder] = {
    "doctor.rhythm": lambda tx, org, a: rhythm(tx, org, a),
    "doctor.deliveries": of_doctor("deliveries", EARLY),
    "doctor.carrier_bodies": of_doctor("carrier_bodies", EARLY, 9),
    "doctor.session_facts": of_doctor("session_facts", EARLY, 9),
    "doctor.facts_by_id": of_doctor("facts_by_id", ["cus_a"]),
    "doctor.missing_types": of_doctor("missing_types", (), EARLY, LATE),
    "doctor.stray_codes": strays,
    "doctor.payments_alike": of_doctor("payments_alike", EARLY),
    "doctor.has_new_referrals": of_doctor("has_new_referrals", EARLY),
    "doctor.first_code_at": of_doctor("first_code_at"),
    "doctor.active_codes": of_doctor("active_codes"),
    "doctor.mended_at": of_doctor("mended_at"),
    "bonds.customers_named": lambda tx, org, a: bonds.customers_named(tx, org, a.connection_id, ["c@example.com"]),
    "bonds.customer_facts": lambda tx, org, a: bonds.customer_facts(tx, org, a.connection_id, ["cus_a"]),
    "why_not.named": lambda tx, org, a: why_not.named(tx, org, None, a.participant_id, "code-a"),
    "why_not.connections_that_know": lambda tx, org, a: why_not.connections_that_know(tx, org, "con_x", "cus_a"),
    "why_not.events_about": lambda tx, org, a: why_not.events_about(tx, org, None, "cus_a"),
    "why_not.last_webhook_at": lambda tx, org, a: why_not.last_webhook_at(tx, org, None),
    "why_not.has_history": lambda tx, org, a: why_not.has_history(tx, org, None),
    "why_not.standings_of": lambda tx, org, a: why_not.standings_of(tx, org, a.connection_id, ["code-a"]),
    **{f"doctor.seen {code}": of_doctor("seen", code, EARLY, LATE) for code in TRACES},
}
# The sample row of A that these would need is none that two_tenants makes.
NOTHING_TO_SEE = {"carrier_bodies", "session_facts", "missing_types", "payments_alike", "mended_at", "has_history"}


async def rhythm(tx: Connection, org: str, a: Ids) -> int:
    return (await doctor.rhythm(tx, org, a.connection_id, EARLY)).count


def test_no_finder_is_missing_here() -> None:
    for module in (doctor, bonds, why_not):
        for name, function in inspect.getmembers(module, inspect.iscoroutinefunction):
            if function.__module__ == module.__name__ and name[0] != "_" and name not in ("seen", "ask_again"):
                assert f"{module.__name__.rpartition('.')[2]}.{name}" in FINDERS


@pytest.mark.parametrize("is_secured", [True, False])
def test_each_wall_holds_alone(database: str, is_secured: bool) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, tables):
            if not is_secured:
                drop_row_level_security(database, tables)
            for name, finder in FINDERS.items():
                async with db.tenant(b) as tx:
                    assert not await finder(tx, a.organization_id if is_secured else b, a), name
                async with db.tenant(a.organization_id) as tx:
                    found = await finder(tx, a.organization_id, a)
                if name.partition(".")[2] not in NOTHING_TO_SEE and not name.startswith("doctor.seen"):
                    assert found, f"{name} finds nothing at all"

    asyncio.run(main())
