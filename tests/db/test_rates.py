"""Uploads of rates: numbered, immutable, and what they touch is settled again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from db.two_tenants import two_tenants
from refref.core.ecb import EcbHistory
from refref.core.rates import Missing, Rate
from refref.core.refusals import Refused
from refref.db import rates, reports
from refref.db.pool import Connection
from refref.ecb_file import bundled_history
from refref.flows.rates import adopt_bundled_history, import_rates, look_up_rate, preview_rates

NOW = datetime(2026, 11, 3, 9, tzinfo=UTC)
_LAST = bundled_history().last_day
NEXT_DAY = next(day for n in (1, 2, 3) if (day := _LAST + timedelta(days=n)).weekday() < 5)  # the next working day


def newer_history(*, gbp: str = "0.83") -> bytes:
    return f"Date,USD,GBP,\n{NEXT_DAY},1.1201,{gbp},\n".encode()


def csv_of(*lines: str) -> bytes:
    return "\n".join(["date,from,to,rate", *lines, ""]).encode()


def with_tenant(dsn: str, work: Callable[[Connection, str], Awaitable[Any]]) -> Any:
    """Run `work` for organization B, which owns nothing."""

    async def main() -> Any:
        async with two_tenants(dsn) as (database, _, b, _), database.tenant(b) as tx:
            return await work(tx, b)

    return asyncio.run(main())


async def take_in(tx: Connection, org: str, source: str, content: bytes, at: datetime = NOW) -> rates.RateUpload | None:
    given = await import_rates(
        tx, org, source=source, file_name="C:\\rates\\own.csv", content=content, actor="user:usr_1", now=at
    )
    return given.upload


def test_a_newer_history_makes_the_days_known_that_were_not(database: str) -> None:
    async def work(tx: Connection, org: str) -> None:
        before = await look_up_rate(tx, org, "gbp", "usd", NEXT_DAY)
        assert isinstance(before, Missing)
        assert before.reason == "rate_not_yet_known"
        preview = await preview_rates(tx, org, source="ecb", content=newer_history())
        assert (preview.plan.new_count, preview.plan.changed_count, preview.scope_count) == (2, 0, 0)
        upload = await take_in(tx, org, "ecb", newer_history())
        assert upload is not None
        assert (upload.upload_no, upload.rate_count, upload.last_day) == (1, 2, NEXT_DAY)
        assert upload.file_name == "own.csv"
        after = await look_up_rate(tx, org, "GBP", "usd", NEXT_DAY)
        assert after == Rate("gbp", "usd", "1.1201/0.83", NEXT_DAY, "ecb", "eur", 1)
        assert await take_in(tx, org, "ecb", newer_history()) is None  # the same file again
        corrected = await take_in(tx, org, "ecb", newer_history(gbp="0.84"))
        assert corrected is not None
        assert (corrected.upload_no, corrected.rate_count, corrected.changed_count) == (2, 1, 1)
        rate = await look_up_rate(tx, org, "eur", "gbp", NEXT_DAY)
        assert isinstance(rate, Rate)
        assert (rate.rate, rate.upload_no) == ("0.84", 2)
        log = await reports.audit_page(tx, org, action="rates.upload")
        assert len(log.rows) == 2

    with_tenant(database, work)


def test_a_merchant_s_own_rates(database: str) -> None:
    async def work(tx: Connection, org: str) -> None:
        friday = date(2026, 10, 30)
        first = await take_in(tx, org, "csv", csv_of("2026-10-30,eur,usd,1.2", "2026-10-30,kwd,usd,3.25"))
        assert first is not None
        assert (first.first_day, first.last_day, first.rate_count) == (friday, friday, 2)
        assert await look_up_rate(tx, org, "eur", "usd", friday) == Rate("eur", "usd", "1.2", friday, "csv", "", 1)
        second = await take_in(tx, org, "csv", csv_of("2026-10-30,eur,usd,1.3"), NOW + timedelta(seconds=1))
        assert second is not None
        assert second.changed_count == 1
        assert await look_up_rate(tx, org, "eur", "usd", friday) == Rate("eur", "usd", "1.3", friday, "csv", "", 2)
        assert [upload.upload_no for upload in await rates.uploads(tx, org)] == [2, 1]
        assert [upload.upload_no for upload in await rates.uploads(tx, org, before=2)] == [1]

    with_tenant(database, work)


@pytest.mark.parametrize(
    ("source", "content", "code"),
    [
        ("csv", csv_of("2026-10-30,eur,usd,0"), "invalid_rates"),
        ("csv", b"\xff\xfe\x00", "invalid_rates"),
        ("csv", b"PK\x03\x04 and then nothing", "invalid_rates"),
        ("ecb", csv_of("2026-10-30,eur,usd,1"), "invalid_rates"),
        ("xml", b"", "invalid_choice"),
    ],
)
def test_a_bad_file_is_refused_and_leaves_no_trace(database: str, source: str, content: bytes, code: str) -> None:
    async def work(tx: Connection, org: str) -> None:
        with pytest.raises(Refused) as refused:
            await take_in(tx, org, source, content)
        assert refused.value.code == code
        assert await rates.uploads(tx, org) == []

    with_tenant(database, work)


def test_the_organizations_do_not_share_rates(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, _):
            async with db.tenant(b) as tx:
                await take_in(tx, b, "csv", csv_of("2026-10-30,eur,usd,9"))
            async with db.tenant(a.organization_id) as tx:
                rate = await look_up_rate(tx, a.organization_id, "eur", "usd", date(2026, 10, 30))
                assert isinstance(rate, Rate)
                assert rate.origin == "ecb"

    asyncio.run(main())


def test_scopes_with_conversions_on_the_days_are_settled_again(database: str) -> None:
    """A's decision is of 2026-05-01, a Friday; the Tuesday a week and more before may not matter to it, others do."""

    async def main() -> list[tuple[int, int]]:
        async with two_tenants(database) as (db, a, _, _):
            org, found = a.organization_id, []
            for day in ("2026-04-21", "2026-04-24", "2026-05-01", "2026-05-02"):
                async with db.tenant(org) as tx:
                    await tx.execute("delete from dirty_scope where organization_id = $1", org)
                    content = csv_of(f"{day},kwd,usd,3.2")
                    foreseen = (await preview_rates(tx, org, source="csv", content=content)).scope_count
                    upload = await take_in(tx, org, "csv", content)
                    assert upload is not None
                    assert upload.scope_count == foreseen
                    dirty = await tx.fetchval("select count(*) from dirty_scope where organization_id = $1", org)
                    found.append((upload.scope_count, dirty))
            return found

    assert asyncio.run(main()) == [(0, 0), (1, 1), (1, 1), (0, 0)]


def test_the_bundled_history_is_noted_once_and_an_upgrade_settles_what_waited(database: str) -> None:
    async def main() -> None:
        async with two_tenants(database) as (db, a, b, _):
            async with db.tenant(b) as tx:
                noted = await adopt_bundled_history(tx, b, NOW)
                assert noted is not None
                assert (noted.source, noted.last_day, noted.scope_count) == ("bundled", bundled_history().last_day, 0)
                assert await adopt_bundled_history(tx, b, NOW) is None
            async with db.tenant(a.organization_id) as tx:
                # As if an older RefRef had noted a history that ended before A's payment of 2026-05-01.
                old = rates.RateUpload(9, "bundled", "", date(1999, 1, 4), date(2026, 4, 30), 0, 0, 0, "system", NOW)
                await rates.insert_upload(tx, a.organization_id, old, None, ())
                upgraded = await adopt_bundled_history(tx, a.organization_id, NOW)
                assert upgraded is not None
                assert (upgraded.upload_no, upgraded.scope_count) == (10, 1)

    asyncio.run(main())


def test_nobody_changes_an_upload(database: str) -> None:
    async def work(tx: Connection, org: str) -> None:
        await take_in(tx, org, "csv", csv_of("2026-10-30,eur,usd,1.2"))

    with_tenant(database, work)
    for statement in (
        "update exchange_rate set rate = '9'",
        "delete from exchange_rate",
        "update rate_upload set rate_count = 9",
        "truncate rate_upload cascade",
    ):
        with psycopg.connect(database) as owner, pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            owner.execute(statement)


def test_the_same_book_is_given_until_somebody_uploads(database: str) -> None:
    async def work(tx: Connection, org: str) -> None:
        first = await rates.rate_book(tx, org)
        assert await rates.rate_book(tx, org) is first
        await take_in(tx, org, "csv", csv_of("2026-10-30,eur,usd,1.2"))
        second = await rates.rate_book(tx, org)
        assert second is not first
        assert isinstance(second.ecb, EcbHistory)
        assert second.ecb is first.ecb  # the history is shared, not copied

    with_tenant(database, work)
