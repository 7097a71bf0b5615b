"""How much was judged and what was found: counted in each test process, added up for the run."""

from collections import Counter

import msgspec


class Judged(msgspec.Struct):
    """The counts of a process, or of a run. `found`: each fault with the test that showed it first."""

    requests: int = 0
    objects: int = 0
    older: int = 0
    errors: int = 0
    shapes: set[str] = msgspec.field(default_factory=set)
    events: dict[str, int] = msgspec.field(default_factory=dict)
    found: dict[str, str] = msgspec.field(default_factory=dict)

    def add(self, other: "Judged") -> None:
        """Count in what another process saw."""
        self.requests += other.requests
        self.objects += other.objects
        self.older += other.older
        self.errors += other.errors
        self.shapes |= other.shapes
        self.events = dict(Counter(self.events) + Counter(other.events))
        self.found = other.found | self.found

    def line(self) -> str:
        """What was judged, in one line."""
        return (
            f"judged: {self.requests} requests ({len(self.shapes)} distinct), {self.objects} objects"
            f" ({self.older} answers in older versions), {self.errors} errors, {sum(self.events.values())} events of"
            f" {len(self.events)} types; {len(self.found)} faults"
        )
