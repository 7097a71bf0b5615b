"""What happens to deliveries between the sandbox and a webhook endpoint, and in which manner they are tried again.

Pure: chance is an argument. The manners are Stripe's: in live mode up to three days, in test mode three attempts.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from refref.sandbox.errors import StripeError

MINUTE, HOUR = 60, 3600

# Seconds to wait after each failed attempt; after the last one a delivery is given up.
MANNERS: dict[str, tuple[float, ...]] = {
    "quick": (1, 2, 4, 8, 16, 32, 60),
    "test": (1 * HOUR, 4 * HOUR),
    "live": (5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, *[12 * HOUR] * 4),
}


@dataclass(frozen=True, slots=True)
class Weather:
    """How deliveries are disturbed; chances in percent, times in seconds.

    `duplicate`: extra copies of each; `shuffle`: each batch in random order; `delay_seconds`: all come later;
    `drop_percent`: lost for good, as after the last attempt; `duplicate_percent`: one extra copy; `late_percent`:
    `late_seconds` later than the others; `reorder_percent`: after the others of its batch; `skew_seconds`: how far the
    clock that signs is ahead (or, below 0, behind).
    """

    duplicate: int = 0
    shuffle: bool = False
    delay_seconds: float = 0
    drop_percent: int = 0
    duplicate_percent: int = 0
    late_percent: int = 0
    late_seconds: float = 60
    reorder_percent: int = 0
    skew_seconds: int = 0


CONVERTED: dict[str, Any] = {
    "duplicate": int,
    "shuffle": bool,
    "delay_seconds": float,
    "drop_percent": int,
    "duplicate_percent": int,
    "late_percent": int,
    "late_seconds": float,
    "reorder_percent": int,
    "skew_seconds": int,
}


class Forecast:
    """The weather, in general and for some types of events, and the chance in it: the same seed, the same storms."""

    def __init__(self, seed: int) -> None:
        self.general = Weather()
        self.by_type: dict[str, Weather] = {}
        self.rng = random.Random(seed)  # noqa: S311 - the fate of deliveries, no secret

    def change(self, changes: Mapping[str, Any], types: tuple[str, ...] = ()) -> Weather:
        """Change the weather from now on; `types` (`invoice.*`): for these alone, on top of the general weather."""
        for name, value in changes.items():
            if name not in CONVERTED:
                raise StripeError(f"Unknown field '{name}': one of {', '.join(CONVERTED)}.", param=name)
            if name.endswith("_percent") and not 0 <= value <= 100:
                raise StripeError(f"Invalid {name}: {value} is not between 0 and 100.", param=name)
        for pattern in types:
            self.by_type[pattern] = replace(self.by_type.get(pattern, self.general), **changes)
        if not types:
            self.general = replace(self.general, **changes)
        return self.by_type[types[0]] if types else self.general

    def clear(self) -> None:
        """Fair weather."""
        self.general = Weather()
        self.by_type.clear()

    def of(self, event_type: str) -> Weather:
        """The weather for events of one type."""
        for pattern, weather in self.by_type.items():
            if fnmatchcase(event_type, pattern):
                return weather
        return self.general

    def strikes(self, percent: int) -> bool:
        """Whether something of that probability happens now."""
        return self.rng.randrange(100) < percent
