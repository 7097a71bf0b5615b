"""Words that the drawn terms and histories share, and how often something unusual is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from hypothesis import strategies as st

from oracle.worlds import DAY, HOUR

T = TypeVar("T")

START = int(datetime(2026, 1, 15, 10, tzinfo=UTC).timestamp())
LAST_DAY = 130
CURRENCIES = ("usd", "usd", "usd", "eur", "jpy", "gbp")
PRODUCTS = ("prod_basic", "prod_pro", "prod_scale")
PRICES = {"prod_basic": "price_basic", "prod_pro": "price_pro", "prod_scale": "price_scale"}
COUNTRIES = ("DE", "FR", "US")
COUPONS = ("coupon_a", "promo_bea")
GROUPS = ("gold", "tin")
# Amounts around the thresholds that terms name, and small ones that show every rounding.
AMOUNTS = (10_000, 2_500, 2_499, 15_000, 15_001, 10, 7, 3, 1, 333, 99_999, 5_000)


class Dice:
    """What a history is drawn with. The first of every choice is the simplest: counterexamples shrink to it."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def one(self, of: Sequence[T]) -> T:
        """One of several."""
        return of[self._draw(below(len(of)))]

    def some(self, of: Sequence[T], most: int = 2) -> tuple[T, ...]:
        """One to `most` different ones."""
        left, found = list(of), []
        for _ in range(self.whole(1, min(most, len(left)))):
            found.append(left.pop(self._draw(below(len(left)))))
        return tuple(found)

    def rare(self, one_in: int = 4) -> bool:
        """True once in so many times."""
        return self._draw(below(one_in)) == one_in - 1

    def whole(self, least: int, most: int) -> int:
        """A whole number, both ends included."""
        return least + self._draw(below(most - least + 1))

    def instant(self, first_day: int = 0, last_day: int = LAST_DAY) -> int:
        """An instant on one of few places of its day, so that they meet each other and the ends of windows."""
        # 14 hours later a day, and perhaps a month, begins.
        return (
            START + self.whole(first_day, last_day) * DAY + self.one((0, 0, 0, 1, -1, HOUR, 14 * HOUR, 14 * HOUR - 1))
        )


@lru_cache
def below(number: int) -> st.SearchStrategy[int]:
    """Whole numbers from 0 up to but not including `number`."""
    return st.integers(0, number - 1)


def all_rates() -> dict[tuple[str, str, int], str]:
    """A rate for every pair and day of the histories, another every day."""
    rates = {}
    prices = {"eur": "1.1", "gbp": "1.2", "jpy": "0.006"}
    first = START // DAY - 60
    for day in range(first, first + LAST_DAY + 460):
        for currency, price in prices.items():
            rates[currency, "usd", day] = f"{price}{day % 7 + 1}"
        rates["eur", "gbp", day] = f"0.8{day % 5}1"
        rates["eur", "jpy", day] = f"16{day % 5}.5"
        rates["gbp", "jpy", day] = f"19{day % 3}.25"
    return rates


RATES = all_rates()
