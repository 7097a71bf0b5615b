"""The doctor at its edges: healthy shops that look sick are left alone, and sick ones that look healthy are told."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from refref.flows.payouts import undo_payout
from refref.sandbox import Sandbox
from refref.stripe.readers import events_to_enable
from stories.doctor_plants import DAY, arrive, later, mended, now, reading, sell, sql
from stories.doctor_plants_books import pay
from stories.story import MODES, Mode, Story
from stories.test_doctor import codes_of, examine
from stories.world import World

BASICS = (
    *("checkout.session.completed", "invoice.paid", "customer.subscription.created"),
    *("customer.subscription.updated", "charge.succeeded"),
)


@pytest.fixture
def s(world_of: Callable[[Mode], World]) -> Story:
    """Give the story of a live merchant, connected three hours ago, whose sandbox's clock is 90 days behind ours."""
    world = world_of(MODES[0])
    sandbox = Sandbox(clock_start=int(now().timestamp()) - 90 * DAY, seed=29)
    made = Story(world, MODES[0], world.create_merchant(sandbox), sandbox, random.Random(29))  # noqa: S311 - repeatable tests need it
    for table in ("connection", "connection_secret"):
        since = f"update {table} set created_at = now() - interval '3 hours'"
        sql(made, f"{since} where organization_id = $1 and connection_id = $2")
    made.affiliate("ana")
    return made


def live(s: Story) -> None:
    sql(s, "update connection set mode = 'live' where organization_id = $1 and connection_id = $2")


def lists(s: Story, *, is_intake: bool = False) -> None:
    """Stripe's list of events is read, lately without a fault."""
    sql(
        s,
        "insert into event_poll (organization_id, connection_id, is_intake, checked_at, due_at, read_count)"
        " values ($1, $2, $3, $4, $4::timestamptz + interval '5 minutes', 9)",
        is_intake,
        later(),
    )


def was_busy(s: Story, *, until: timedelta) -> None:
    """Webhooks came three times a day, until a while ago."""
    for number in reversed(range(30)):
        arrive(s, f"evt_Busy{number}", received_at=now() - until - timedelta(hours=8 * number))


# Healthy, whatever it looks like --------------------------------------------------------------------------------------

Act = Callable[[Story], object]
HEALTHY: dict[str, Act] = {}


def healthy(act: Act) -> Act:
    HEALTHY[act.__name__] = act
    return act


@healthy
def a_new_shop_whose_list_holds_what_was_before_the_connection(s: Story) -> None:
    lists(s)
    for number in range(40):
        at = now() - timedelta(hours=4 + 12 * number)
        arrive(s, f"evt_Before{number}", received_at=now() - timedelta(hours=2), created_at=at, source="poll")


@healthy
def a_new_shop_in_which_nothing_has_happened_yet(s: Story) -> None:
    lists(s)
    for table in ("connection", "connection_secret"):
        since = f"update {table} set created_at = now() - interval '9 days'"
        sql(s, f"{since} where organization_id = $1 and connection_id = $2")


@healthy
def an_old_shop_that_was_connected_just_now(s: Story) -> None:
    s.sb.sell(price=s.price(5_000, every="month"), email="old@customers.example")
    charge = s.sb.all("charge")[0]["id"]
    s._collect()
    s.waiting.clear()  # all of it was before the connection
    s.sb.refund(charge, amount=100)
    s.sb.update_subscription(s.sb.all("subscription")[0]["id"], metadata={"seat": "2"})
    s.sb.create_invoice(s.sb.all("customer")[0]["id"], [{"amount": 700, "description": "Work"}])
    s.deliver()


@healthy
def a_quiet_shop_whose_list_is_quiet_too(s: Story) -> None:
    live(s)
    was_busy(s, until=timedelta(days=12))
    lists(s)


@healthy
def a_test_mode_that_nobody_works_in(s: Story) -> None:
    was_busy(s, until=timedelta(days=12))


@healthy
def a_shop_that_went_over_to_the_list(s: Story) -> None:
    live(s)
    was_busy(s, until=timedelta(days=12))
    lists(s, is_intake=True)
    sql(s, "update connection_secret set expires_at = now() where organization_id = $1 and connection_id = $2")
    for number in range(9):
        arrive(s, f"evt_Listed{number}", received_at=now() - timedelta(days=number), source="poll", type="invoice.paid")


@healthy
def a_shop_that_closes_at_weekends(s: Story) -> None:
    live(s)
    for day in reversed(range(28)):
        if day % 7 < 5:
            arrive(s, f"evt_Day{day}", received_at=now() - timedelta(days=day + 3))


@healthy
def a_connection_that_was_disabled(s: Story) -> None:
    live(s)
    was_busy(s, until=timedelta(days=9))
    sql(s, "update connection set status = 'disabled' where organization_id = $1 and connection_id = $2")
    sql(s, "update connection_secret set expires_at = now() where organization_id = $1 and connection_id = $2")


@healthy
def a_shop_whose_application_tells_who_referred(s: Story) -> None:
    for number in range(22):
        customer = s.customer(email=f"buyer{number}@customers.example")
        if number % 7 == 0:
            s.tell(customer, "ana")
        s.buy(s.price(1_000), customer=customer)
    s.deliver()


@healthy
def a_shop_that_has_had_participants_since_today(s: Story) -> None:
    since = "update participant_code set created_at = now() + interval '5 minutes'"
    sql(s, f"{since} where organization_id = $1 and connection_id = $2")
    for number in range(22):
        s.buy(s.price(1_000), email=f"buyer{number}@customers.example")
    s.deliver()


@healthy
def a_shop_that_passes_ids_of_its_own(s: Story) -> None:
    for number in range(12):
        s.buy(
            s.price(1_000),
            f"user-{number:02}a8f3c1{number:02}",
            email=f"buyer{number}@customers.example",
            metadata={"refref_referral_id": "ana"},
        )
    s.deliver()


@healthy
def a_shop_that_replays_what_it_stored_long_ago(s: Story) -> None:
    arrive(s, "evt_Old", received_at=now() - timedelta(days=20))
    sql(
        s,
        "insert into inbox (organization_id, connection_id, event_seq, queued_at)"
        " select $1, $2, max(event_seq), $3::timestamptz from stripe_event"
        " where organization_id = $1 and connection_id = $2",
        later(),
    )


@healthy
def a_subscription_with_a_fee_of_the_same_amount(s: Story) -> None:
    customer = s.customer()
    s.buy(s.price(5_000, every="month"), customer=customer)
    s.buy(s.price(5_000), customer=customer)
    s.deliver()
    sql(
        s,
        "update decision set occurred_at = now() - interval '1 hour' where organization_id = $1 and connection_id = $2",
    )


@healthy
def a_first_comparison_that_brought_the_past(s: Story) -> None:
    reading(s, "reconcile", "done", "in_1", "in_2")


@healthy
def a_busy_shop_with_a_late_delivery_now_and_then(s: Story) -> None:
    for number in range(120):
        source = "poll" if number in (30, 90) else "webhook"
        kind = "charge.refunded" if number == 30 else "product.updated"
        arrive(s, f"evt_{number}", received_at=now() - timedelta(minutes=number), source=source, type=kind)


@healthy
def an_old_shop_that_went_over_to_the_list_just_now(s: Story) -> None:
    access = "access = 'platform', stripe_account_id = 'acct_1Sample', created_at = now() - interval '300 days'"
    sql(s, f"update connection set {access} where organization_id = $1 and connection_id = $2")
    lists(s, is_intake=True)
    sql(s, "update event_poll set due_at = '-infinity' where organization_id = $1 and connection_id = $2")


@healthy
def a_shop_whose_machine_was_down_for_a_morning(s: Story) -> None:
    for number in range(60):
        arrive(
            s,
            f"evt_{number}",
            received_at=now() - timedelta(minutes=number // 10),
            source="poll" if number % 3 else "webhook",
        )


@healthy
def a_test_clock_that_is_months_ahead(s: Story) -> None:
    arrive(s, "evt_Ahead", received_at=now(), created_at=now() + timedelta(days=60))


@healthy
def a_shop_that_captures_days_later(s: Story) -> None:
    arrive(s, "evt_Reserved", received_at=now() - timedelta(days=6), type="charge.succeeded")
    for number in range(4):
        arrive(s, f"evt_Captured{number}", received_at=now(), type="payment_intent.succeeded")


@healthy
def a_refund_after_the_payout_that_the_next_sales_cover(s: Story) -> None:
    sell(s)
    s.wait(days=40)
    pay(s)
    s.sb.refund(s.sb.all("charge")[0]["id"])
    sell(s)
    sell(s)


@healthy
def payouts_of_the_same_amount(s: Story) -> None:
    for reference in ("March", "April"):
        sell(s)
        s.wait(days=40)
        pay(s, reference)


@healthy
def a_payout_that_was_told_twice_and_undone_once(s: Story) -> None:
    async def undo(payout_id: str) -> None:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            await undo_payout(tx, s.merchant.organization_id, payout_id, reason="Twice", actor="system", now=now())

    sell(s)
    s.wait(days=40)
    s.world.run(undo(pay(s, "WIRE-1")))
    pay(s, "WIRE-1")


@pytest.mark.parametrize("name", sorted(HEALTHY))
def test_a_healthy_shop_is_left_alone(s: Story, name: str) -> None:
    HEALTHY[name](s)
    found = examine(s)
    assert [(row.code, row.evidence) for row in found] == []


# Sick, although much goes well ----------------------------------------------------------------------------------------


def test_a_type_that_was_taken_off_the_endpoint_later(s: Story) -> None:
    arrive(s, "evt_Paid", received_at=now() - timedelta(days=20), type="invoice.paid")
    arrive(s, "evt_Succeeded", received_at=now(), type="invoice.payment_succeeded")
    (found,) = examine(s)
    assert (found.code, found.evidence) == ("type_missing", ("invoice.paid prod_1",))


@pytest.mark.parametrize("missing", ["invoice.paid", "customer.subscription.created", "charge.succeeded"])
def test_an_endpoint_that_lacks_one_of_the_five_basic_types(s: Story, missing: str) -> None:
    s.lost = tuple({*events_to_enable()} - {*BASICS} | {missing})
    s.buy(s.price(5_000, every="month"), "ana", subscription_data={"metadata": {"refref_referral_id": "ana"}})
    s.buy(s.price(5_000), "ana", email="other@customers.example")
    s.deliver()
    (found,) = examine(s)
    assert found.code == "type_missing"
    assert all(row.startswith(f"{missing} cs_") for row in found.evidence)


def test_an_endpoint_with_the_five_basic_types_is_enough(s: Story) -> None:
    s.lost = tuple({*events_to_enable()} - {*BASICS})
    s.buy(s.price(5_000, every="month"), "ana", subscription_data={"metadata": {"refref_referral_id": "ana"}})
    s.buy(s.price(5_000), "ana", email="other@customers.example")
    s.deliver()
    assert codes_of(examine(s)) == []


def test_a_live_shop_that_is_silent_although_the_list_is_not(s: Story) -> None:
    live(s)
    was_busy(s, until=timedelta(days=3))
    arrive(s, "evt_Listed", received_at=now() - timedelta(hours=1), source="poll")
    assert codes_of(examine(s)) == ["silent", "missed_by_webhook"]
    lists(s)
    assert codes_of(examine(s)) == ["missed_by_webhook"]


def test_a_platforms_endpoint_that_brings_nothing(s: Story) -> None:
    access = "access = 'platform', stripe_account_id = 'acct_1Sample'"
    sql(s, f"update connection set {access} where organization_id = $1 and connection_id = $2")
    sql(s, "delete from connection_secret where organization_id = $1 and connection_id = $2")
    lists(s)
    arrive(s, "evt_Listed", received_at=now() - timedelta(hours=1), source="poll")
    assert codes_of(examine(s)) == ["missed_by_webhook"]


def test_a_word_for_nothing_is_no_code(s: Story) -> None:
    sell(s, "undefined")
    (found,) = examine(s)
    assert found.code == "blank_reference"
    assert "(undefined)" in found.evidence[0]
    mended(s, "blank_reference")
    assert codes_of(examine(s)) == []


def test_a_code_that_nobody_has_stands_out_among_ids_of_the_shops_own(s: Story) -> None:
    a_shop_that_passes_ids_of_its_own(s)
    sell(s, "anna", email="lost@customers.example")
    (found,) = examine(s)
    assert (found.code, found.evidence) == ("unknown_codes", ("anna",))


def test_what_was_said_to_be_mended_is_not_told_again_by_a_renewal(s: Story) -> None:
    s.buy(s.price(5_000, every="month"), "nobody-here")
    s.deliver()
    assert codes_of(examine(s)) == ["unknown_codes"]
    mended(s, "unknown_codes", at=datetime.now(UTC))
    assert codes_of(examine(s)) == []
    s.wait(months=1)
    assert codes_of(examine(s)) == []
    sell(s, "nobody-else")
    assert codes_of(examine(s)) == ["unknown_codes"]


def test_an_endpoint_that_was_upgraded_is_told_until_somebody_says_so(s: Story) -> None:
    sell(s)
    s.pin("2024-06-20")
    sell(s)
    assert codes_of(examine(s)) == ["version_drift"]
    mended(s, "version_drift", at=datetime.now(UTC))
    assert codes_of(examine(s)) == []


def test_a_second_comparison_that_finds_gaps(s: Story) -> None:
    reading(s, "reconcile", "done", "in_1")
    reading(s, "reconcile", "done", "in_2")
    (found,) = examine(s)
    assert (found.code, found.evidence) == ("gaps_found", ("in_2",))


def test_nobody_works_is_told_before_an_event_waits(s: Story) -> None:
    access = "access = 'platform', stripe_account_id = 'acct_1Sample'"
    sql(s, f"update connection set {access} where organization_id = $1 and connection_id = $2")
    (found,) = examine(s)
    assert (found.code, found.severity) == ("worker_absent", "error")
