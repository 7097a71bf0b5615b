"""Which events the reading of Stripe's list brings, to the second, and when it reads again: the edges at which an event
could be lost. Stripe's list is the test's own; no clock is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from refref.db import event_polls
from refref.db.connections import StripeConnection
from refref.db.pool import Connection, Database
from refref.flows import connections as flows
from refref.flows.connections import NewConnection
from refref.settings import MasterKey
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.listing import ListReader, Reader, TokenBucket
from refref.vault import Vault
from refref.worker.pace import Pace
from refref.worker.polling import poll_events_due

NOW = int(datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp())
MINUTE, HOUR, DAY = 60, 3_600, 86_400
NOT_YET = datetime.max.replace(tzinfo=UTC)
VAULT = Vault([MasterKey("k1", bytes(32))])


class Died(Exception):
    """The process ended in the middle of a call."""


@dataclass
class EventsList:
    """Stripe's list of events: (id, made at, delivered). `failure`: what it answers instead, from call `fails_from` on,
    counted from 0."""

    events: list[tuple[str, int, bool]] = field(default_factory=list)
    failure: Exception | None = None
    fails_from: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def read(self, path: str, params: Mapping[str, object]) -> dict[str, object]:
        assert path == "/v1/events"
        self.asked.append(dict(params))
        if self.failure is not None and len(self.asked) > self.fails_from:
            raise self.failure
        created = params["created"]
        assert isinstance(created, dict)
        found = [
            row_of(stripe_id, made_at)
            for stripe_id, made_at, is_delivered in sorted(self.events, key=lambda event: -event[1])
            if created["gte"] <= made_at < created["lt"]
            and not (params.get("delivery_success") == "false" and is_delivered)
        ]
        return {"data": found, "has_more": False}


def row_of(stripe_id: str, made_at: int) -> dict[str, object]:
    told = {"id": stripe_id, "object": "event", "type": "customer.created", "created": made_at, "livemode": False}
    return {**told, "data": {"object": {"id": f"cus_{stripe_id}", "object": "customer"}}}


class PaceOf(Pace):
    """Lets the list of the test stand in for Stripe's; nobody waits."""

    def __init__(self, stripe: EventsList) -> None:
        super().__init__(0)
        self._stripe = stripe

    def reader_of(self, gateway: Reader, connection: StripeConnection) -> ListReader:
        async def at_once(seconds: float) -> None:
            """Time is not what is tested."""

        return ListReader(self._stripe, TokenBucket(0, sleep=at_once))


@dataclass
class Shop:
    """A connection made ten days ago, and its events list."""

    database: Database
    stripe: EventsList
    made: StripeConnection
    polled_at: datetime = NOT_YET  # by the database's clock

    async def poll(self, now: int = NOW, *, turn_s: float = 60.0) -> int:
        """Read the list at `now`, however recently it was read; how many events were new."""
        await self.write("update event_poll set due_at = '-infinity'")
        async with self.database.tenant("org_a") as tx:
            self.polled_at = await tx.fetchval("select clock_timestamp()")
        return await poll_events_due(self.database, VAULT, lambda: now, PaceOf(self.stripe), turn_s=turn_s)

    async def write(self, statement: str, *values: Any) -> None:
        async with self.database.tenant("org_a") as tx:
            await tx.execute(statement, *values)

    async def stored(self) -> set[str]:
        async with self.database.tenant("org_a") as tx:
            return {row[0] for row in await tx.fetch("select stripe_event_id from stripe_event")}

    async def state(self) -> event_polls.EventPoll:
        async with self.database.tenant("org_a") as tx:
            return await event_polls.poll_of(tx, "org_a", self.made.connection_id)

    async def is_due_in(self, seconds: int) -> bool:
        """Whether the list is read again so long after the last `poll`."""
        async with self.database.tenant("org_a") as tx:
            due_at, now = await tx.fetchrow("select due_at, clock_timestamp() from event_poll")
        pause = timedelta(seconds=seconds)
        return bool(self.polled_at + pause <= due_at <= now + pause)

    async def be_intake(self, *, is_intake: bool = True) -> None:
        async with self.database.tenant("org_a") as tx:
            await event_polls.set_intake(tx, "org_a", self.made.connection_id, is_intake=is_intake)

    async def read_up_to(self, cursor_at: int) -> None:
        """All before `cursor_at` was read."""
        await self.write(
            "insert into event_poll (organization_id, connection_id, cursor_at) values ('org_a', $1, $2)"
            " on conflict (organization_id, connection_id) do update set cursor_at = $2",
            *(self.made.connection_id, cursor_at),
        )


def told(dsn: str, story: Callable[[Shop], Awaitable[None]]) -> None:
    async def main() -> None:
        database = await Database.open(dsn, max_size=2)
        try:
            async with database.reference() as tx:
                await tx.execute("insert into organization values ('org_a', 'Sample Shop')")
            async with database.tenant("org_a") as tx:
                made = await connect(tx)
            await story(Shop(database, EventsList(), made))
        finally:
            await database.close()

    asyncio.run(main())


async def connect(tx: Connection) -> StripeConnection:
    given = NewConnection("Shop", api_key="rk_test_sample000000")
    made_at = datetime.fromtimestamp(NOW, UTC) - timedelta(days=10)
    return await flows.create_connection(tx, VAULT, "org_a", given, actor="system", now=made_at)


@pytest.mark.parametrize(
    ("is_intake", "seconds", "is_read"),
    [
        # Behind the webhooks: what may still be on its way is let be, or it would count as missed.
        (False, -61, True),
        (False, -60, False),
        (False, 0, False),
        # No webhook comes: what was made this very second is wanted, too.
        (True, -60, True),
        (True, 0, True),
        (True, 1, False),
    ],
)
def test_how_new_an_event_is_that_is_read(database: str, is_intake: bool, seconds: int, is_read: bool) -> None:
    async def story(shop: Shop) -> None:
        await shop.be_intake(is_intake=is_intake)
        await shop.read_up_to(NOW - 5 * MINUTE)
        shop.stripe.events = [("evt_a", NOW + seconds, True)]
        assert await shop.poll() == is_read
        assert await shop.stored() == ({"evt_a"} if is_read else set())
        assert (await shop.state()).cursor_at == NOW + (1 if is_intake else -60)

    told(database, story)


@pytest.mark.parametrize("is_intake", [False, True])
def test_what_stripe_lists_up_to_an_hour_late_is_read(database: str, is_intake: bool) -> None:
    async def story(shop: Shop) -> None:
        await shop.be_intake(is_intake=is_intake)
        await shop.read_up_to(NOW - 5 * MINUTE)
        hour_before = NOW - 5 * MINUTE - HOUR
        shop.stripe.events = [("evt_too_late", hour_before - 1, True), ("evt_late", hour_before, True)]
        assert await shop.poll() == 1
        assert await shop.stored() == {"evt_late"}

    told(database, story)


def test_the_first_reading_goes_back_as_far_as_stripe_keeps_events(database: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.be_intake()
        kept_from = NOW + 1 - 30 * DAY
        shop.stripe.events = [("evt_gone", kept_from - 1, True), ("evt_oldest", kept_from, True)]
        assert await shop.poll() == 1
        assert await shop.stored() == {"evt_oldest"}

    told(database, story)


@pytest.mark.parametrize(
    ("is_intake", "before_s", "is_delivered", "is_read"),
    [
        (False, 2 * DAY, False, True),  # made before, found out only when Stripe gave up
        (False, 2 * DAY, True, False),  # a webhook brought it
        (False, 3 * DAY, False, True),  # as long as Stripe tries
        (False, 3 * DAY + 1, False, False),
        (True, 2 * DAY, False, False),  # nothing is delivered at all: the list itself brought it
    ],
)
def test_events_that_stripe_could_not_deliver_are_asked_for(
    database: str, is_intake: bool, before_s: int, is_delivered: bool, is_read: bool
) -> None:
    async def story(shop: Shop) -> None:
        await shop.be_intake(is_intake=is_intake)
        await shop.read_up_to(NOW - 5 * MINUTE)
        shop.stripe.events = [("evt_a", NOW - MINUTE - before_s, is_delivered)]
        assert await shop.poll(turn_s=0) == is_read  # also where the list itself took the whole turn
        assert await shop.stored() == ({"evt_a"} if is_read else set())

    told(database, story)


@pytest.mark.parametrize("ahead_s", [0, 5 * DAY])
def test_a_clock_that_runs_ahead_moves_what_is_read_and_what_counts_as_missed(database: str, ahead_s: int) -> None:
    async def story(shop: Shop) -> None:
        connected_at = NOW - 10 * DAY + ahead_s
        async with shop.database.tenant("org_a") as tx:
            await flows.set_clock_ahead(
                *(tx, "org_a", shop.made.connection_id, ahead_s), actor="system", now=datetime.now(UTC)
            )
        shop.stripe.events = [
            ("evt_before", connected_at - 1, True),  # no webhook could bring it
            ("evt_first", connected_at, True),
            ("evt_newest", NOW + ahead_s - MINUTE - 1, True),
            ("evt_coming", NOW + ahead_s - MINUTE, True),
        ]
        assert await shop.poll() == 2
        assert await shop.stored() == {"evt_before", "evt_first", "evt_newest"}
        state = await shop.state()
        assert (state.new_count, state.cursor_at) == (2, NOW + ahead_s - MINUTE)

    told(database, story)


def test_an_intake_counts_also_what_is_older_than_the_connection(database: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.be_intake()
        shop.stripe.events = [("evt_before", NOW - 11 * DAY, True)]
        assert await shop.poll() == 1

    told(database, story)


@pytest.mark.parametrize(
    ("is_intake", "days_behind", "turn_s", "next_in_s"),
    [
        (True, 0, 60, 15),
        (False, 0, 60, 300),
        (True, 5, 60, 15),  # all five days in one turn
        (False, 5, 60, 300),
        (True, 5, 0, 0),  # the turn is over after the first day: goes on as soon as the others had theirs
        (False, 5, 0, 0),
        (True, 0, 0, 15),  # the turn is over, and so is the list
    ],
)
def test_when_the_list_is_read_again(
    database: str, is_intake: bool, days_behind: int, turn_s: int, next_in_s: int
) -> None:
    async def story(shop: Shop) -> None:
        await shop.be_intake(is_intake=is_intake)
        began_at = NOW - 5 * MINUTE - days_behind * DAY
        await shop.read_up_to(began_at)
        await shop.poll(turn_s=turn_s)
        assert await shop.is_due_in(next_in_s)
        ended_at = began_at - HOUR + DAY if turn_s == 0 and days_behind else NOW + (1 if is_intake else -60)
        assert (await shop.state()).cursor_at == ended_at

    told(database, story)


def test_a_worker_that_dies_keeps_the_days_it_read_and_its_turn_for_a_quarter_of_an_hour(database: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.be_intake()
        await shop.read_up_to(NOW - 5 * DAY)
        shop.stripe.events = [("evt_a", NOW - 5 * DAY, True), ("evt_b", NOW - 3 * DAY, True)]
        shop.stripe.failure, shop.stripe.fails_from = Died(), 1
        with pytest.raises(Died):
            await shop.poll()
        assert await shop.stored() == {"evt_a"}
        assert (await shop.state()).cursor_at == NOW - 5 * DAY - HOUR + DAY
        assert await shop.is_due_in(900)
        shop.stripe.failure = None
        assert await shop.poll() == 1
        assert await shop.stored() == {"evt_a", "evt_b"}

    told(database, story)


def test_the_cursor_never_goes_back(database: str) -> None:
    """Webhooks take over from the list: the reading is a minute behind from now on, what was read stays read."""

    async def story(shop: Shop) -> None:
        await shop.be_intake()
        await shop.poll()
        assert (await shop.state()).cursor_at == NOW + 1
        await shop.be_intake(is_intake=False)
        for now in (NOW, NOW - HOUR, NOW + MINUTE):
            await shop.poll(now)
            assert (await shop.state()).cursor_at == NOW + 1
        await shop.poll(NOW + MINUTE + 2)
        assert (await shop.state()).cursor_at == NOW + 2

    told(database, story)


@pytest.mark.parametrize(
    ("failure", "failed_before", "retry_after_s", "next_in_s"),
    [
        (FailureClass.TRANSIENT, 0, None, 30),
        (FailureClass.TRANSIENT, 1, None, 60),
        (FailureClass.TRANSIENT, 3, None, 240),
        (FailureClass.TRANSIENT, 6, None, 1_920),
        (FailureClass.TRANSIENT, 7, None, 3_600),  # never longer than an hour by itself
        (FailureClass.TRANSIENT, 60, None, 3_600),
        (FailureClass.RATE_LIMITED, 0, 45, 45),  # Stripe says when
        (FailureClass.RATE_LIMITED, 3, 45, 240),  # but not sooner than it would be by itself
        (FailureClass.RATE_LIMITED, 0, 7_200, 7_200),  # and as late as Stripe says
        (FailureClass.AUTH, 0, None, 3_600),  # does not mend itself
        (FailureClass.PERMISSION, 0, None, 3_600),
    ],
)
def test_a_list_that_cannot_be_read_is_left_for_a_while(
    database: str, failure: FailureClass, failed_before: int, retry_after_s: int | None, next_in_s: int
) -> None:
    async def story(shop: Shop) -> None:
        await shop.read_up_to(NOW - 5 * MINUTE)
        await shop.write("update event_poll set attempts = $1", failed_before)
        shop.stripe.events = [("evt_a", NOW - 2 * MINUTE, True)]
        shop.stripe.failure = StripeFailure(
            failure, None, "Sample refusal.", status=400, request_id=None, retry_after_s=retry_after_s
        )
        assert await shop.poll() == 0
        state = await shop.state()
        assert (state.attempts, state.error) == (failed_before + 1, f"{failure}: Sample refusal.")
        assert state.cursor_at == NOW - 5 * MINUTE  # nothing is taken for read
        assert await shop.is_due_in(next_in_s)

        shop.stripe.failure = None
        await shop.write("update connection set status = 'active'")
        assert await shop.poll() == 1
        state = await shop.state()
        assert (state.attempts, state.error, state.cursor_at) == (0, None, NOW - MINUTE)

    told(database, story)


@pytest.mark.parametrize(("failure", "is_checked"), [(FailureClass.AUTH, True), (FailureClass.TRANSIENT, False)])
def test_a_refused_key_is_looked_into_at_once(database: str, failure: FailureClass, is_checked: bool) -> None:
    async def story(shop: Shop) -> None:
        await shop.write("update connection set check_at = now() + interval '15 minutes'")
        shop.stripe.failure = StripeFailure(failure, None, "Sample refusal.", status=401, request_id=None)
        await shop.poll()
        async with shop.database.tenant("org_a") as tx:
            assert await tx.fetchval("select check_at <= now() from connection") is is_checked

    told(database, story)


def test_a_key_that_does_not_open_is_said_and_tried_again_in_an_hour(database: str) -> None:
    async def story(shop: Shop) -> None:
        await shop.write("update connection_secret set ciphertext = '\\x00'")
        assert await shop.poll() == 0
        assert shop.stripe.asked == []
        state = await shop.state()
        assert (state.attempts, state.error) == (
            1,
            "There is no Stripe key that opens; connect the account again.",
        )
        assert await shop.is_due_in(3_600)

    told(database, story)


def test_two_workers_do_not_read_one_list_at_a_time(database: str) -> None:
    async def story(shop: Shop) -> None:
        where = ("org_a", shop.made.connection_id)
        async with shop.database.tenant("org_a") as tx:
            assert await event_polls.take(tx, *where, 900) is not None
        async with shop.database.tenant("org_a") as tx:
            assert await event_polls.take(tx, *where, 900) is None

    told(database, story)
