"""The product against the oracle: random histories under random terms, and the same books for both.

In memory for many histories; in the database for some, told in any order, in batches and twice.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from oracle.agreement import derived_of, differences, told_by_oracle, told_by_product
from oracle.booking import Bookkeeper
from oracle.drawing import START
from oracle.histories import stories
from oracle.rendering import facts_of
from oracle.worlds import DAY, World

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "25"))
# The suite tells the same worlds every time; HYPOTHESIS_EXAMPLES=2000 draws new ones.
in_memory = settings(
    max_examples=EXAMPLES * 4,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="HYPOTHESIS_EXAMPLES" not in os.environ,
)
# Without shrinking, which would take hours: what is found here is mostly found in memory, too, or shrunk by hand.
in_database = settings(in_memory, max_examples=max(5, EXAMPLES // 2), phases=(Phase.explicit, Phase.generate))


@in_memory
@given(stories())
def test_the_product_agrees_with_the_oracle(story: tuple[World, int]) -> None:
    world, now = story
    assert differences(told_by_oracle(world, now), told_by_product(derived_of(world, now).values())) == []


@pytest.fixture(scope="module")
def bookkeeper(module_database: str) -> Iterator[Bookkeeper]:
    made = Bookkeeper(module_database)
    yield made
    made.close()


@in_database
@given(story=stories(most_customers=8), seed=st.integers(0, 2**32))
def test_the_books_agree_in_any_order(bookkeeper: Bookkeeper, story: tuple[World, int], seed: int) -> None:
    world, now = story
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    told = [fact for customer in world.customers for fact in facts_of(customer)]
    told += rng.sample(told, len(told) // 4)
    rng.shuffle(told)
    shop = bookkeeper.open(world)
    while told:
        size = rng.choice((1, 2, 5, 20))
        # The clock may stand anywhere while facts arrive, also behind them.
        bookkeeper.settle(shop, told[:size], now - rng.choice((0, DAY, 40 * DAY)) if len(told) > size else now)
        del told[:size]
    bookkeeper.finish(shop, now)
    assert differences(told_by_oracle(world, now), bookkeeper.told(shop)) == []
    assert bookkeeper.rebuilt(shop, now) == []
    assert bookkeeper.backtests(shop) == []
    assert bookkeeper.broken(shop) == []


@in_database
@given(story=stories(most_customers=8), seed=st.integers(0, 2**32))
def test_what_was_paid_out_stays(bookkeeper: Bookkeeper, story: tuple[World, int], seed: int) -> None:
    """Half of the customers become known only after everybody was paid, with payments that lie before."""
    world, now = without_cards(story[0]), START + 400 * DAY  # when every hold is over
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    early = [customer for customer in world.customers if rng.random() < 0.5]
    late = [customer for customer in world.customers if customer not in early]
    shop = bookkeeper.open(world)
    bookkeeper.settle(shop, [fact for customer in early for fact in facts_of(customer)], now)
    bookkeeper.finish(shop, now)
    bookkeeper.pay(shop, now)
    paid = bookkeeper.paid(shop)
    for customer in late:
        bookkeeper.settle(shop, facts_of(customer), now)
    bookkeeper.finish(shop, now)
    assert bookkeeper.paid(shop) == paid
    assert bookkeeper.rebuilt(shop, now) == []
    assert bookkeeper.broken(shop) == []


def without_cards(world: World) -> World:
    """A card that a later customer used too would tell of the earlier ones."""
    customers = [
        replace(customer, payments=tuple(replace(payment, card="") for payment in customer.payments))
        for customer in world.customers
    ]
    return replace(world, customers=tuple(customers))
