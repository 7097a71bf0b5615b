"""How many requests a second an account may make; off unless asked for, so that nobody waits who does not test it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

LIVE = (100, 100)
TEST = (25, 25)


@dataclass(slots=True)
class RateLimit:
    """One bucket for reads and one for writes, each refilled evenly up to a second's worth. `clock`: seconds."""

    reads_per_second: int
    writes_per_second: int
    clock: Callable[[], float] = time.monotonic
    _read: float = 0
    _written: float = 0
    _at: float = 0

    def allows(self, method: str) -> bool:
        """Take one request from its bucket; False when the bucket is empty."""
        now = self.clock()
        passed, self._at = now - self._at, now
        self._read = max(0.0, self._read - passed * self.reads_per_second)
        self._written = max(0.0, self._written - passed * self.writes_per_second)
        if method == "GET":
            if self._read + 1 > self.reads_per_second:
                return False
            self._read += 1
        else:
            if self._written + 1 > self.writes_per_second:
                return False
            self._written += 1
        return True
