"""refref attribute and refref doctor from outside."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from cli.test_cli import Run, refref, said  # noqa: F401 - the fixture
from refref.core.facts import CustomerState, Fact, Kind
from refref.db.pool import Database, lock_books
from refref.flows.settle import Incoming, settle


@pytest.fixture
def shop(refref: Run, database: str) -> None:  # noqa: F811 - the fixture of that name
    """Give an installation with a participant `ana` and a customer."""
    refref("user", "create", "--email", "a@example.com", "--new-organization", "Shop")
    connection = said(
        refref("connection", "create", "--webhook-secret", "whsec_sample0001", "--mode", "test", "--json")
    )
    program = said(refref("program", "create", "--name", "Partners", "--json"))
    refref(
        *("participant", "create", "--program", program["program_id"], "--name", "Sample partner"),
        *("--email", "p@example.com", "--refcode", "ana"),
    )

    async def customer() -> None:
        db = await Database.open(database, max_size=1)
        async with db.reference() as tx:
            organization_id = await tx.fetchval("select organization_id from organization")
        now = int(datetime.now(UTC).timestamp())
        fact = Fact("cus_1", Kind.CUSTOMER, 1, now, 0, CustomerState("buyer@example.com"))
        async with db.tenant(organization_id) as tx:
            await lock_books(tx, connection["connection_id"])
            await settle(tx, organization_id, connection["connection_id"], [Incoming([fact], None)], now)
        await db.close()

    asyncio.run(customer())


def test_a_customer_is_bound_previewed_and_taken_back(shop: None, refref: Run, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    assert "No reward would change." in refref("attribute", "cus_1", "ana", "--preview").stdout
    assert "reason: Say why" in refref("attribute", "cus_1", "ana", code=1).stderr
    assert said(refref("attribute", "cus_1", "ana", "--reason", "By phone", "--json")) == {"bound": 1}
    assert said(refref("attribute", "cus_1", "ana", "--undo", "--reason", "Wrong", "--json")) == {"undone": True}
    assert "taken back already" in refref("attribute", "cus_1", "ana", "--undo", "--reason", "x", code=1).stderr
    given = tmp_path / "bonds.csv"
    given.write_text("customer,code\nbuyer@example.com,nobody\n")
    assert "Line 2, code: no participant" in refref("attribute", "--file", str(given), "--reason", "x", code=1).stderr
    given.write_text("customer,code\nbuyer@example.com,ana\n")
    assert "1 customer is bound." in refref("attribute", "--file", str(given), "--reason", "A list").stdout
    assert "give a customer and a code" in refref("attribute", "cus_1", code=2).stderr


def test_the_doctor_says_that_nothing_is_wrong_and_mends_what_it_can(shop: None, refref: Run) -> None:  # noqa: F811 - the fixture
    told = refref("doctor").stdout
    assert "nothing is wrong." in told
    assert "invariants of the books hold." in told
    assert said(refref("doctor", "--json"))["diagnoses"].popitem()[1] == []


def test_the_doctor_tells_the_operator_of_accounts_that_nobody_has_connected(
    shop: None,
    refref: Run,  # noqa: F811 - the fixture
    database: str,
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into platform_event (mode, stripe_account_id, stripe_event_id, type, object_id, created_at,"
            " received_at, body) select 'live', 'acct_1Stray', 'evt_' || n, 'invoice.paid', 'in_1', now(),"
            " now() - interval '60 days' * (n / 3), '' from generate_series(1, 3) n"
        )
    told = refref("doctor").stdout
    assert "NOTICE  platform  stray_accounts" in told
    assert "acct_1Stray (live mode): 2 events" in told
    (organization,) = said(refref("doctor", "--json"))["organizations"]
    assert "stray_accounts" not in refref("doctor", "--organization", organization).stdout
    assert said(refref("doctor", "--repair", "parked_events", "--json")) == {"code": "parked_events", "repaired": 0}
    assert "cannot mend this by itself" in refref("doctor", "--repair", "silent", code=1).stderr
