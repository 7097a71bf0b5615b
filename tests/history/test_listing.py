"""The pace of reading lists, and what is done when Stripe is busy. A clock of the test's own: nothing waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.listing import LISTS, MOST_TRIES, ListReader, TokenBucket, wholly


@dataclass
class Clock:
    """Time that passes only where somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Stripe:
    """Answers lists of numbered objects, each `created` at its number; fails as it is told to, first in order."""

    objects: int = 0
    failures: list[StripeFailure] = field(default_factory=list)
    asked: list[dict[str, object]] = field(default_factory=list)

    async def read(self, path: str, params: Mapping[str, object]) -> dict[str, object]:
        self.asked.append(dict(params))
        if self.failures:
            raise self.failures.pop(0)
        bounds = params.get("created")
        until = bounds.get("lt") if isinstance(bounds, dict) else None
        first = self.objects if until is None else min(self.objects, int(until) - 1)
        if after := params.get("starting_after"):
            first = min(first, int(str(after)) - 1)
        limit = params["limit"]
        assert isinstance(limit, int)
        rows = [{"id": str(number), "created": number} for number in range(first, max(0, first - limit), -1)]
        return {"data": rows, "has_more": first - limit > 0}


def failure(kind: FailureClass, retry_after_s: int | None = None) -> StripeFailure:
    return StripeFailure(kind, None, "no", status=429, request_id=None, retry_after_s=retry_after_s)


def reader(stripe: Stripe, clock: Clock, per_second: int = 20) -> ListReader:
    return ListReader(stripe, TokenBucket(per_second, clock.time, clock.sleep), spread=lambda: 1.0)


@pytest.mark.parametrize(("per_second", "calls", "seconds"), [(20, 100, 4.95), (80, 100, 1.2375), (0, 100, 0.0)])
def test_a_bucket_lets_so_many_pass_a_second(per_second: int, calls: int, seconds: float) -> None:
    clock = Clock()

    async def work() -> None:
        bucket = TokenBucket(per_second, clock.time, clock.sleep)
        for _ in range(calls):
            await bucket.take()

    asyncio.run(work())
    assert clock.now == pytest.approx(seconds)


def test_no_second_has_more_calls_than_the_bucket_gives() -> None:
    clock, at = Clock(), []

    async def work() -> None:
        bucket = TokenBucket(20, clock.time, clock.sleep)
        for number in range(200):
            await bucket.take()
            at.append(clock.now)
            clock.now += 0.3 if number % 50 == 0 else 0.001  # sometimes the answer is slow

    asyncio.run(work())
    busiest = max(sum(start <= other < start + 1 for other in at) for start in at)
    assert busiest <= 21  # twenty a second, and the one that begins it


def test_a_list_is_read_page_by_page_to_its_end() -> None:
    clock, stripe = Clock(), Stripe(objects=250)

    async def work() -> list[str]:
        found: list[str] = []
        after = ""
        while True:
            page = await reader(stripe, clock).page(LISTS["charges"], after=after)
            found += [str(row["id"]) for row in page.rows]
            after = page.next_id
            if not after:
                return found

    assert asyncio.run(work()) == [str(number) for number in range(250, 0, -1)]
    assert [call.get("starting_after") for call in stripe.asked] == [None, "151", "51"]


@pytest.mark.parametrize(
    ("failures", "waited"),
    [
        ([failure(FailureClass.RATE_LIMITED, 7)], [7]),
        ([failure(FailureClass.RATE_LIMITED)], [1]),
        ([failure(FailureClass.TRANSIENT), failure(FailureClass.TRANSIENT)], [1, 2]),
        ([failure(FailureClass.RATE_LIMITED, 1), failure(FailureClass.RATE_LIMITED, 30)], [1, 30]),
    ],
)
def test_a_busy_stripe_is_asked_again_after_a_while(failures: list[StripeFailure], waited: list[int]) -> None:
    clock, stripe = Clock(), Stripe(objects=1, failures=failures)
    page = asyncio.run(reader(stripe, clock, 0).page(LISTS["charges"]))
    assert [row["id"] for row in page.rows] == ["1"]
    assert clock.slept == pytest.approx(waited)


def test_a_stripe_that_stays_busy_is_left_alone() -> None:
    stripe = Stripe(failures=[failure(FailureClass.RATE_LIMITED)] * 50)
    with pytest.raises(StripeFailure):
        asyncio.run(reader(stripe, Clock()).page(LISTS["charges"]))
    assert len(stripe.asked) == MOST_TRIES


def test_a_refused_key_is_not_tried_again() -> None:
    stripe = Stripe(failures=[failure(FailureClass.AUTH)] * 50)
    with pytest.raises(StripeFailure):
        asyncio.run(reader(stripe, Clock()).page(LISTS["charges"]))
    assert len(stripe.asked) == 1


def test_an_answer_that_is_no_list_is_no_end_of_the_list() -> None:
    class Odd(Stripe):
        async def read(self, path: str, params: Mapping[str, object]) -> dict[str, object]:
            return {"object": "list"}

    with pytest.raises(StripeFailure):
        asyncio.run(reader(Odd(), Clock()).page(LISTS["charges"]))


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [], "has_more": True},
        {"data": [{"id": "1"}]},
        {"data": [{"id": "1"}], "has_more": None},
        {"data": ["1"], "has_more": True},
    ],
)
def test_an_answer_that_is_cut_off_is_no_end_of_the_list(answer: dict[str, object]) -> None:
    class CutOff(Stripe):
        async def read(self, path: str, params: Mapping[str, object]) -> dict[str, object]:
            return answer

    with pytest.raises(StripeFailure):
        asyncio.run(reader(CutOff(), Clock()).page(LISTS["charges"]))


def test_a_long_retry_after_is_not_slept_through() -> None:
    """Others are read meanwhile; the reading says when it comes back."""
    clock, stripe = Clock(), Stripe(objects=1, failures=[failure(FailureClass.RATE_LIMITED, 3_600)])
    with pytest.raises(StripeFailure) as refused:
        asyncio.run(reader(stripe, clock).page(LISTS["charges"]))
    assert refused.value.retry_after_s == 3_600
    assert (len(stripe.asked), clock.now) == (1, 0.0)


def test_the_oldest_object_is_found_about_and_never_too_late() -> None:
    began = 1_600_000_000

    class Account(Stripe):
        async def read(self, path: str, params: Mapping[str, object]) -> dict[str, object]:
            bounds = params["created"]
            assert isinstance(bounds, dict)
            return {"data": [{"id": "x", "created": began}] if bounds["lt"] > began else [], "has_more": False}

    found = asyncio.run(reader(Account(), Clock()).oldest_at(LISTS["charges"], None, 1_700_000_000))
    assert began - 400_000_000 // 1024 - 1 <= found <= began


def test_a_backfill_asks_for_what_events_leave_out() -> None:
    assert LISTS["invoices"].params["expand"] == ["data.payments"]
    assert wholly(LISTS["invoices"]).params["expand"] == ["data.payments", "data.discounts"]
    assert wholly(LISTS["subscriptions"]).params == {"status": "all", "expand": ["data.discounts"]}
