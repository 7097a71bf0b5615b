"""A storm of events (74): any order, in any batches, twice over, gives the books of the ordered replay.

STORM_SEEDS=20 and STORM_CUSTOMERS=100 (5,000 events and more) make it longer.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from refref.core.terms import Duration, RewardRule
from refref.sandbox import Sandbox
from refref.sandbox.errors import StripeError
from stories.story import MODES, START, VERSIONS, Mode, Story
from stories.world import World

SEEDS = int(os.environ.get("STORM_SEEDS", "2"))
CUSTOMERS = int(os.environ.get("STORM_CUSTOMERS", "24"))
REFCODES = ("ana", "bea", "cal", "dee")
CALM = MODES[0]
STORM = Mode("storm", versions=VERSIONS, copies=2, is_shuffled=True, is_crashing=True)


def make_history(sb: Sandbox, rng: random.Random) -> None:
    """Half a year of a few dozen customers: sales, renewals, refunds, disputes, credit notes, changes of plan."""
    product = sb.create_product("Plan")["id"]
    plans = [sb.create_price(product, "usd", amount, interval="month")["id"] for amount in (900, 1_999, 4_950)]
    items = [sb.create_price(product, currency, 2_500)["id"] for currency in ("usd", "eur", "jpy")]
    vat = sb.create_tax_rate(1_900, inclusive=True)["id"]
    coupon = sb.create_coupon(percent_off=25, duration="repeating", duration_in_months=2)["id"]
    for number in range(CUSTOMERS):
        more: dict[str, Any] = {}
        if rng.random() < 0.8:
            more["client_reference_id"] = rng.choice([*REFCODES, "nobody"])
        if rng.random() < 0.3:
            more["tax_rate"] = vat
        if rng.random() < 0.3:
            more["discounts"] = [{"coupon": coupon}]
        price = rng.choice([*plans, *plans, rng.choice(items)])
        sb.sell(price=price, email=f"c{number}@customers.example", quantity=rng.randint(1, 3), **more)
        sb.advance_by(hours=rng.randint(1, 40))
    for _ in range(CUSTOMERS * 2):
        sb.advance_by(days=rng.randint(0, 2), hours=rng.randint(1, 20))
        try:
            _something(sb, rng, plans)
        except (StripeError, LookupError, ValueError):
            continue  # nothing to do it with, or the sandbox refuses, such as a refund of what was refunded
    sb.advance_by(months=1)


def _something(sb: Sandbox, rng: random.Random, plans: list[str]) -> None:
    charges = [charge for charge in sb.all("charge") if charge["status"] == "succeeded"]
    charge = rng.choice(charges)
    subscription = rng.choice(sb.all("subscription"))["id"]
    match rng.randint(0, 8):
        case 0 | 1:
            sb.refund(charge["id"], amount=rng.randint(1, charge["amount"] - charge["amount_refunded"]))
        case 2:
            sb.refund(charge["id"])
        case 3:
            sb.fail_refund(rng.choice(sb.all("refund"))["id"])
        case 4:
            sb.dispute(charge["id"], inquiry=rng.random() < 0.3)
        case 5:
            sb.close_dispute(rng.choice(sb.all("dispute"))["id"], rng.choice(["won", "lost", "prevented"]))
        case 6:
            sb.change_subscription(subscription, price=rng.choice(plans), proration_behavior="always_invoice")
        case 7:
            sb.cancel_subscription(subscription, at_period_end=rng.random() < 0.5)
        case _:
            invoice = rng.choice([i for i in sb.all("invoice") if i["status"] == "paid" and i["amount_paid"]])
            part = rng.randint(1, invoice["amount_paid"])
            sb.credit_note(invoice["id"], amount=part, credit_amount=part)


def told(world: World, sb: Sandbox, mode: Mode, rng: random.Random) -> list[list[tuple[Any, ...]]]:
    """Deliver the whole history to a new merchant; returns its books with refcodes for participants."""
    merchant = world.create_merchant(sb)
    story = Story(world, mode, merchant, sb, rng)
    first = RewardRule(rule_id="first", on="first", kind="fixed", amounts={"usd": 700, "eur": 650})
    later = RewardRule(rule_id="share", rate_bps=1_500)
    story.program(rules=(first, later), hold_days=30, duration=Duration("payments", 4))
    for refcode in REFCODES:
        story.affiliate(refcode)
    events = list(sb.events) * mode.copies
    if mode.is_shuffled:
        rng.shuffle(events)
    while events:
        size = rng.randint(1, 160) if mode.is_shuffled else 60
        batch, events = events[:size], events[size:]
        story._send(batch)
    world.check(merchant)
    names = {participant_id: refcode for refcode, participant_id in story.names.items()}
    tables = world.books(merchant)
    return [sorted(tuple(names.get(v, v) for v in row if type(v) is not bytes) for row in rows) for rows in tables]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_74_a_storm_gives_the_books_of_the_ordered_replay(seed: int, world: World) -> None:
    rng = random.Random(seed)  # noqa: S311 - a seed for orders, no secret
    sb = Sandbox(clock_start=START, seed=seed)
    make_history(sb, rng)
    ordered = told(world, sb, CALM, rng)
    assert len(ordered[0]) > CUSTOMERS // 2  # it is a storm, not a breeze
    assert told(world, sb, STORM, rng) == ordered
