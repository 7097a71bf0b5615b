"""Limits how often somebody may fail. Kept in memory: each web process counts for itself, a restart forgets."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from refref.core.refusals import Refused


class AttemptLimiter:
    """At most `limit` failures per key within `window_s` seconds; remembers at most `capacity` keys."""

    def __init__(
        self,
        *,
        limit: int,
        window_s: float,
        capacity: int = 20_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._capacity = capacity
        self._clock = clock
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, key: str) -> None:
        """Raise Refused("too_many_attempts") when the key has failed too often of late."""
        failures = self._recent(key)
        if len(failures) >= self._limit:
            minutes = max(1, round((failures[0] + self._window_s - self._clock()) / 60))
            raise Refused("too_many_attempts", f"Too many attempts. Try again in {minutes} minutes.")

    def fail(self, key: str) -> None:
        """Count one failure."""
        failures = self._recent(key)
        failures.append(self._clock())
        self._failures[key] = failures
        self._failures.move_to_end(key)
        while len(self._failures) > self._capacity:
            self._failures.popitem(last=False)

    def forgive(self, key: str) -> None:
        """Forget the failures of a key, which has succeeded."""
        self._failures.pop(key, None)

    def _recent(self, key: str) -> deque[float]:
        failures = self._failures.get(key, deque(maxlen=self._limit))
        oldest = self._clock() - self._window_s
        while failures and failures[0] <= oldest:
            failures.popleft()
        return failures
