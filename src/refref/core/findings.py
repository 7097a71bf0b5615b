"""What checks of the books find: one shape for invariants, rebuild and doctor."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One check: its stable `name`, whether it holds, and what was seen (at most a few examples)."""

    name: str
    ok: bool
    detail: str


class Difference(msgspec.Struct, frozen=True):
    """One thing that a rebuild derives otherwise than the books have it."""

    connection_id: str
    what: str  # fact, reward, decision, referral, customer
    subject: str
    detail: str


class RebuildReport(msgspec.Struct, frozen=True):
    """What a rebuild went through. `due`: rewards that only wait for the clock's next turn (no difference)."""

    events: int
    facts: int
    scopes: int
    due: int
    unsettled: int
    differences: tuple[Difference, ...]
