"""How far the shop's history has come: written by the sandbox, and taken by those who listen.

Sends nothing itself: a listener gets what happens, and after a cut the deliveries go on by themselves.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator

from refref.sandbox.deliveries import NOTE, Deliveries
from refref.sandbox.sample import History
from refref.sandbox.state import Sandbox
from refref.sandbox.timeline import months_after


class Arrival:
    """Watches the deliveries of the history month by month."""

    def __init__(self, sandbox: Sandbox, deliveries: Deliveries, history: History | None) -> None:
        self.sb = sandbox
        self.deliveries = deliveries
        self.history = history
        self.written = asyncio.Event()
        self.awaited = asyncio.Event()  # somebody has asked for the whole of it
        self.is_urgent = False  # and somebody waits until it is written
        self._ends = [] if history is None else month_ends(history)
        self._passed: list[int] = []  # for each month that was sent: how many deliveries there were by then
        if history is None or history.complete:
            self.written.set()
            notes = sandbox.notes(NOTE).values()  # of what an ended process had not delivered
            left = sorted(sandbox.find("event", note["event"])["created"] for note in notes if not note["lost"])
            self._passed = [bisect_right(left, end) for end in self._ends] if left else []

    @property
    def months(self) -> tuple[int, int]:
        """How many months of the history have arrived everywhere, and how many there are; (0, 0): nothing to come."""
        settled = self.deliveries.delivered + self.deliveries.failed
        arrived = bisect_right(self._passed, settled)
        if self.written.is_set() and arrived == len(self._passed):
            return 0, 0
        return arrived, len(self._ends)

    def hurry(self) -> None:
        """Write it without pauses: somebody waits."""
        self.is_urgent = True
        self.awaited.set()

    def sent_until(self, at: int) -> None:
        """Everything that happened before `at` is on its way."""
        while len(self._passed) < len(self._ends) and self._ends[len(self._passed)] <= at:
            sent = self.deliveries
            self._passed.append(sent.delivered + sent.failed + sent.waiting)

    def write(self) -> Iterator[None]:
        """Write the history, or the rest of it."""
        if self.history is not None:
            for _ in self.history.steps():
                self.sent_until(self.sb.now)
                yield
        self.sent_until(self.sb.now)
        self.written.set()


def month_ends(history: History) -> list[int]:
    """The instants at which the months of a history end; the last month may be short."""
    start, end = history.span
    count = 1
    while months_after(start, count) < end:
        count += 1
    return [min(months_after(start, month), end) for month in range(1, count + 1)]
