"""Reads of Stripe's lists, page by page: which there are, paced by a token bucket, tried again when Stripe is busy.

Keeps no cursor: who reads stores it with what the page gave.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from refref.stripe.errors import FailureClass, StripeFailure

PAGE = 100
MOST_TRIES = 7
LONGEST_PAUSE_S = 60
# Four fifths of what Stripe allows to read in a second (25 in test mode, 100 in live mode): others call, too.
READS_PER_SECOND = {"test": 20, "live": 80}
_STRIPE_BEGAN_AT = 1_293_840_000  # 2011-01-01: nothing in any account is older
_GUESSES = 10  # halvings of the time in which the oldest object can lie

Row = dict[str, object]
Document = dict[str, object]


class StripeList(msgspec.Struct, frozen=True):
    """One of Stripe's lists: its path, what is asked with it, and which statuses the books take no notice of. `whole`:
    what is asked too where an object must tell all at once; events leave it out, so a comparison does."""

    path: str
    params: Mapping[str, object] = {}
    whole: tuple[str, ...] = ()
    unless_status: frozenset[str] = frozenset()


# In the order in which they are read: who pays, what is sold, how it is paid, what went back. Invoices come with their
# payments before payment intents and charges, which therefore need not be asked for their invoice one by one.
LISTS: Mapping[str, StripeList] = {
    "customers": StripeList("/v1/customers"),
    "subscriptions": StripeList("/v1/subscriptions", {"status": "all"}, ("data.discounts",)),
    "invoices": StripeList(
        "/v1/invoices", {"expand": ["data.payments"]}, ("data.discounts",), frozenset({"draft", "open"})
    ),
    "sessions": StripeList(
        "/v1/checkout/sessions",
        {"expand": ["data.line_items", "data.payment_intent"]},
        unless_status=frozenset({"open"}),
    ),
    "payment_intents": StripeList(
        "/v1/payment_intents",
        unless_status=frozenset(
            {"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture", "processing"}
        ),
    ),
    "charges": StripeList("/v1/charges", unless_status=frozenset({"pending", "failed"})),
    "refunds": StripeList("/v1/refunds"),
    "disputes": StripeList("/v1/disputes"),
    "credit_notes": StripeList("/v1/credit_notes"),
    "fraud_warnings": StripeList("/v1/radar/early_fraud_warnings"),
}
EVENTS = StripeList("/v1/events")
MISSED_EVENTS = StripeList("/v1/events", {"delivery_success": "false"})
BALANCE_TRANSACTIONS = StripeList("/v1/balance_transactions")


def wholly(what: StripeList) -> StripeList:
    """The same list, its objects complete."""
    expand = what.params.get("expand")
    shown = [*(expand if isinstance(expand, list) else ()), *what.whole]
    return msgspec.structs.replace(what, params={**what.params, "expand": shown})


class Page(msgspec.Struct, frozen=True):
    """Rows, newest first, and the id to go on after; "" at the end."""

    rows: Sequence[Row]
    next_id: str


class Reader(Protocol):
    """What a gateway can do that lists need."""

    async def read(self, path: str, params: Mapping[str, object]) -> Document: ...


class TokenBucket:
    """Lets `per_second` calls pass each second, evenly; 0: as many as come. `clock` in seconds, monotonic."""

    def __init__(
        self,
        per_second: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._free_at = 0.0
        self.taken = 0

    async def take(self) -> None:
        """Wait for the next turn."""
        self.taken += 1
        now = self._clock()
        turn, self._free_at = max(now, self._free_at), max(now, self._free_at)
        if self._per_second:
            self._free_at += 1 / self._per_second
        if turn > now:
            await self._sleep(turn - now)

    def pause(self, seconds: float) -> None:
        """Let nobody pass for a while: Stripe asked for it."""
        self._free_at = max(self._free_at, self._clock() + seconds)


class ListReader:
    """Pages of one account's lists. A bucket is shared by all that call for the same account in this process."""

    def __init__(self, gateway: Reader, bucket: TokenBucket, spread: Callable[[], float] = random.random) -> None:
        self._gateway = gateway
        self._bucket = bucket
        self._spread = spread

    async def page(
        self, what: StripeList, *, from_at: int | None = None, until_at: int | None = None, after: str = ""
    ) -> Page:
        """One page of what was created in [from_at, until_at), after the id. Raises StripeFailure."""
        answer = await self._read(what.path, {**what.params, **_created(from_at, until_at), **_after(after)})
        rows = rows_of(answer)
        if answer["has_more"] is False:
            return Page(rows, "")
        last = rows[-1].get("id") if rows else None
        if not isinstance(last, str):
            raise _odd(what.path)
        return Page(rows, last)

    async def oldest_at(self, what: StripeList, from_at: int | None, newest_at: int) -> int:
        """About since when the list has objects, for an estimate; a little too early, never too late."""
        low, high = max(from_at or 0, _STRIPE_BEGAN_AT), newest_at
        for _ in range(_GUESSES):
            if high - low < 3600:
                break
            middle = (low + high) // 2
            found = await self._read(what.path, {**what.params, **_created(None, middle), "limit": 1, "expand": []})
            if rows_of(found):
                high = middle
            else:
                low = middle
        return low

    async def _read(self, path: str, params: Mapping[str, object]) -> Document:
        asked = {"limit": PAGE, **{name: value for name, value in params.items() if value != []}}
        for tried in range(MOST_TRIES):
            await self._bucket.take()
            try:
                return _checked(await self._gateway.read(path, asked), path)
            except StripeFailure as failure:
                asked_s = failure.retry_after_s or 0
                if not failure.policy.is_repeatable or tried + 1 == MOST_TRIES or asked_s > LONGEST_PAUSE_S:
                    raise  # who reads comes back later, and lets the others have their turn
                wait = min(2**tried, LONGEST_PAUSE_S) * (0.5 + self._spread() / 2)
                self._bucket.pause(max(asked_s, wait))
        raise AssertionError("the last try returns or raises")


def _checked(answer: Document, path: str) -> Document:
    """An answer that is cut off must not pass for the end of a list."""
    rows, has_more = answer.get("data"), answer.get("has_more")
    if isinstance(rows, list) and type(has_more) is bool and (rows or not has_more):
        return answer
    raise _odd(path)


def _odd(path: str) -> StripeFailure:
    told = f"Stripe's answer about {path} is no list."
    return StripeFailure(FailureClass.TRANSIENT, None, told, status=None, request_id=None)


def rows_of(answer: Document) -> list[Row]:
    """The objects of a list."""
    data = answer.get("data")
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _created(from_at: int | None, until_at: int | None) -> dict[str, object]:
    bounds = {name: at for name, at in (("gte", from_at), ("lt", until_at)) if at is not None}
    return {"created": bounds} if bounds else {}


def _after(stripe_id: str) -> dict[str, object]:
    return {"starting_after": stripe_id} if stripe_id else {}


def created_of(row: Row) -> int:
    """When a row's object was made, in seconds; 0 where it does not say."""
    created = row.get("created")
    return created if type(created) is int else 0
