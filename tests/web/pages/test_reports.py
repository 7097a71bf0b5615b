"""The read queries: sums agree with their rows, a payment counts once, pages have no gaps, filters hold."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from refref.core.refusals import Refused
from refref.db import reports
from refref.db.pool import Connection, Database
from refref.db.reports.paging import encode_cursor
from refref.settings import load_settings
from refref.vault import Vault
from web.pages.sample import Sample, make_sample

T = TypeVar("T")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Books:
    """The sample in a database of its own; each `read` is one transaction on one event loop's pool."""

    def __init__(self, dsn: str, sample: Sample) -> None:
        self._dsn = dsn
        self.sample = sample
        self.scope = (sample.organization_id, sample.connection_id)

    def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async def run() -> T:
            database = await Database.open(self._dsn, max_size=1)
            try:
                async with database.tenant(self.sample.organization_id) as tx:
                    return await work(tx)
            finally:
                await database.close()

        return asyncio.run(run())


@pytest.fixture(scope="module")
def books(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Books:
    folder: Path = tmp_path_factory.mktemp("data")
    settings = load_settings({"REFREF_DATA_DIR": str(folder), "DATABASE_URL": module_database})

    async def make() -> Sample:
        database = await Database.open(module_database, max_size=2)
        try:
            return await make_sample(database, Vault(settings.master_keys))
        finally:
            await database.close()

    return Books(module_database, asyncio.run(make()))


def every_row(
    books: Books, query: Callable[..., Awaitable[reports.Page[T]]], limit: int = 7, **filters: object
) -> list[T]:
    async def walk(tx: Connection) -> list[T]:
        rows: list[T] = []
        cursor: str | None = None
        while True:
            page = await query(tx, *books.scope, cursor=cursor, limit=limit, **filters)
            rows += page.rows
            cursor = page.next_cursor
            if cursor is None:
                return rows

    return books.read(walk)


def test_sums_are_those_of_the_rows(books: Books) -> None:
    overview = books.read(lambda tx: reports.overview_totals(tx, *books.scope, LONG_AGO))
    decisions = every_row(books, reports.decisions_page)
    rewards = every_row(books, reports.rewards_page)
    assert overview.payment_count == len(decisions)
    assert {total.currency for total in overview.currencies} == {"usd", "eur"}
    for total in overview.currencies:
        own = [row for row in decisions if row.currency == total.currency]
        earned = [row for row in rewards if row.currency == total.currency]
        assert total.referred_minor == sum(row.paid_minor for row in own if row.participant_id)
        assert total.unattributed_minor == sum(row.paid_minor for row in own if not row.participant_id)
        assert total.earned_minor == sum(row.amount_minor for row in earned)
        assert total.reversed_minor == sum(row.reversed_minor for row in earned)
        for status in ("pending", "payable", "held"):
            assert getattr(total, f"{status}_minor") == sum(row.net_minor for row in earned if row.status == status)


def test_a_payment_in_two_programs_counts_once(books: Books) -> None:
    copy = """
      insert into decision select (jsonb_populate_record(d, '{"program_id": "prg_second"}')).* from decision d
      where d.program_id <> ''
    """

    async def with_a_second_program(tx: Connection) -> reports.Overview:
        inner = tx.transaction()
        await inner.start()
        await tx.execute(copy)
        overview = await reports.overview_totals(tx, *books.scope, LONG_AGO)
        await inner.rollback()
        return overview

    before = books.read(lambda tx: reports.overview_totals(tx, *books.scope, LONG_AGO))
    after = books.read(with_a_second_program)
    assert after.payment_count == before.payment_count
    assert [total.referred_minor for total in after.currencies] == [t.referred_minor for t in before.currencies]


def test_what_a_payment_earned_is_the_sum_of_its_rewards(books: Books) -> None:
    rewards = every_row(books, reports.rewards_page)
    for decision in every_row(books, reports.decisions_page):
        own = [
            row for row in rewards if (row.payment_key, row.program_id) == (decision.payment_key, decision.program_id)
        ]
        assert sum(one.earned_minor for one in decision.earned) == sum(row.amount_minor for row in own)
        assert decision.earned_in(decision.currency).reversed_minor == sum(row.reversed_minor for row in own)


def test_days_add_up_to_the_sums(books: Books) -> None:
    overview = books.read(lambda tx: reports.overview_totals(tx, *books.scope, LONG_AGO))
    days = books.read(lambda tx: reports.daily_trend(tx, *books.scope, LONG_AGO))
    for total in overview.currencies:
        own = [day for day in days if day.currency == total.currency]
        assert sum(day.referred_minor for day in own) == total.referred_minor
        assert sum(day.earned_minor for day in own) == total.earned_minor
        assert [day.day for day in own] == sorted({day.day for day in own})


def test_a_period_begins_where_it_is_told_to(books: Books) -> None:
    since = datetime.now(UTC) - timedelta(days=20)
    overview = books.read(lambda tx: reports.overview_totals(tx, *books.scope, since))
    decisions = every_row(books, reports.decisions_page, since=since)
    assert 0 < overview.payment_count == len(decisions)
    assert all(row.occurred_at >= since for row in decisions)


@pytest.mark.parametrize(
    "query",
    [
        reports.decisions_page,
        reports.rewards_page,
        reports.customers_page,
        reports.referrals_page,
        reports.participants_page,
        reports.events_page,
    ],
)
def test_pages_have_no_gaps(books: Books, query: Callable[..., Awaitable[reports.Page[object]]]) -> None:
    whole = every_row(books, query, limit=200)
    assert len(whole) > 2
    assert every_row(books, query, limit=1) == whole
    assert every_row(books, query, limit=2) == whole


def test_event_states_follow_from_the_inbox(books: Books) -> None:
    for state, event_id in {
        "done": "evt_sampledone",
        "pending": "evt_samplepending",
        "parked": "evt_sampleparked",
        "ignored": "evt_sampleignored",
        "quarantined": "evt_samplewrong",
    }.items():
        rows = every_row(books, reports.events_page, state=state)
        assert [(row.stripe_event_id, row.state) for row in rows] == [(event_id, state)]


def test_balances_are_those_of_the_rewards(books: Books) -> None:
    for participant in every_row(books, reports.participants_page):
        rewards = every_row(books, reports.rewards_page, participant_id=participant.participant_id)
        for balance in participant.balances:
            own = [row for row in rewards if row.currency == balance.currency]
            assert balance.pending_minor == sum(row.net_minor for row in own if row.status == "pending")
            assert balance.payable_minor == sum(row.net_minor for row in own if row.status == "payable")


def test_a_search_takes_its_text_as_it_is(books: Books) -> None:
    assert [row.email for row in every_row(books, reports.customers_page, search="CUSTOMER11@")] == [
        "customer11@example.com"
    ]
    for text in ("%", "_______", "\\", "'; drop table reward; --"):
        assert every_row(books, reports.customers_page, search=text) == []
    assert len(every_row(books, reports.customers_page, search="cus_")) == 12


def test_customers_know_who_referred_them(books: Books) -> None:
    referred = every_row(books, reports.customers_page, is_referred=True)
    others = every_row(books, reports.customers_page, is_referred=False)
    assert {row.participant_name is None for row in referred} == {False}
    assert {row.participant_name is None for row in others} == {True}
    assert len(referred) + len(others) == 12
    one = next(row for row in referred if row.stripe_customer_id == "cus_sample1")
    paid = every_row(books, reports.decisions_page, referee_id="cus_sample1")
    assert one.payment_count == len(paid)
    assert one.paid == (reports.Amount("usd", sum(row.paid_minor for row in paid)),)


@pytest.mark.parametrize("cursor", ["made up", "!!!", "e30", encode_cursor([1]), encode_cursor(["x", 2])])
def test_a_made_up_cursor_is_refused(books: Books, cursor: str) -> None:
    with pytest.raises(Refused, match="invalid_cursor"):
        books.read(lambda tx: reports.rewards_page(tx, *books.scope, cursor=cursor))


def test_another_organization_has_no_rows(books: Books) -> None:
    other = ("org_other", books.scope[1])
    assert books.read(lambda tx: reports.rewards_page(tx, *other)).rows == ()
    assert books.read(lambda tx: reports.overview_totals(tx, *other, LONG_AGO)).currencies == ()
    assert books.read(lambda tx: reports.event_by_id(tx, *other, "evt_sampledone")) is None
    assert books.read(lambda tx: reports.reward_by_id(tx, other[0], books.sample.reward_id)) is None
