"""Deliveries that intake refuses are remembered for the doctor: those that somebody signed, once a minute at most."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from db.two_tenants import two_tenants
from refref.db.delivery_refusals import note_refusals
from refref.db.pool import Database
from refref.sandbox.deliveries import sign
from refref.settings import MasterKey
from refref.vault import Vault
from refref.web.intake import Intake
from refref.web.refused_deliveries import RefusedDeliveries

BODY = b'{"id": "evt_1Sample"}'
AT = 1_790_000_000.0


async def noted(database: Database, organization_id: str) -> dict[str, tuple[int, int, int]]:
    async with database.tenant(organization_id) as tx:
        rows = await tx.fetch(
            "select code, refused_count, extract(epoch from first_at)::bigint, extract(epoch from last_at)::bigint"
            " from delivery_refusal"
        )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def test_what_somebody_signed_is_counted_and_rubbish_is_not(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, _tables):
            async with db.tenant(a.organization_id) as tx:
                await tx.execute("delete from delivery_refusal")
            intake = Intake(db, Vault([MasterKey("k1", bytes(32))]))
            good, now = "whsec_sample000a", int(time.time())
            for header in (
                *(None, b"", b"t=1", b"v1=00", sign(b"other", good, now).encode()),
                *(sign(BODY, good, now - 400).encode(), sign(BODY, good, now + 400).encode()),
            ):
                assert (await intake.take(a.connection_id, header, BODY)).status == 400
            await intake.take("con_nobody", sign(BODY, good, now).encode(), BODY)
            found = await noted(db, a.organization_id)
            assert {code: count for code, (count, _, _) in found.items()} == {
                "no_match": 1,
                "timestamp_too_old": 1,
                "timestamp_in_future": 1,
            }
            await intake.close()

    asyncio.run(main())


def test_a_storm_of_refusals_is_written_once_a_minute(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, _tables):
            async with db.tenant(a.organization_id) as tx:
                await tx.execute("delete from delivery_refusal")
            refused = RefusedDeliveries(db)
            own = (a.organization_id, a.connection_id, "no_match")
            await asyncio.gather(*[refused.note(*own, AT + number / 10) for number in range(300)])
            assert await noted(db, a.organization_id) == {"no_match": (1, AT, AT)}
            await refused.note(*own, AT + 61)
            assert await noted(db, a.organization_id) == {"no_match": (301, AT, AT + 61)}

    asyncio.run(main())


@pytest.mark.parametrize(("pause", "count"), [(timedelta(hours=23), 2), (timedelta(hours=25), 1)])
def test_the_count_begins_anew_after_a_day_without_one(database: str, pause: timedelta, count: int) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, _, _tables):
            at = datetime.fromtimestamp(AT, UTC)
            async with db.tenant(a.organization_id) as tx:
                await tx.execute("delete from delivery_refusal")
                for when in (at, at + pause):
                    await note_refusals(tx, a.organization_id, a.connection_id, "no_match", 1, when)
            assert (await noted(db, a.organization_id))["no_match"][0] == count

    asyncio.run(main())


def test_an_unreachable_database_loses_no_count_and_changes_no_answer(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (_db, a, _, _tables):
            gone = await Database.open(database, max_size=1)
            await gone.close()
            refused = RefusedDeliveries(gone)
            await refused.note(a.organization_id, a.connection_id, "no_match", AT)
            assert refused.waiting(a.connection_id, "no_match") == 1

    asyncio.run(main())
