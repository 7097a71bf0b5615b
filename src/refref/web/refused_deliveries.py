"""Remembers for the doctor which deliveries intake refused.

Writes once a minute for a connection and a code at most, so that nobody can make it work by sending rubbish.
"""

from __future__ import annotations

from datetime import UTC, datetime

from refref.db.delivery_refusals import note_refusals
from refref.db.failures import UNREACHABLE
from refref.db.pool import Database

NOTED = frozenset(("no_match", "timestamp_too_old", "timestamp_in_future"))  # signed, so somebody meant it
_EVERY_S = 60.0
_MOST_KEYS = 10_000


class RefusedDeliveries:
    """Counts in memory and writes now and then; what is not yet written when the process ends is forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[tuple[str, str], tuple[float, int]] = {}

    def waiting(self, connection_id: str, code: str) -> int:
        """How many refusals are counted and not yet written."""
        return self._waiting.get((connection_id, code), (0.0, 0))[1]

    async def note(self, organization_id: str, connection_id: str, code: str, now: float) -> None:
        """Take note of one refusal at `now` (unix seconds); codes that tell nothing are left out."""
        if code not in NOTED:
            return
        key = (connection_id, code)
        written_at, count = self._waiting.get(key, (float("-inf"), 0))
        if now - written_at < _EVERY_S:
            self._waiting[key] = (written_at, count + 1)
            return
        if len(self._waiting) >= _MOST_KEYS:
            self._waiting.clear()
        self._waiting[key] = (now, 0)  # before the write, so that no second one begins meanwhile
        at = datetime.fromtimestamp(now, UTC)
        try:
            async with self._database.tenant(organization_id) as tx:
                await note_refusals(tx, organization_id, connection_id, code, count + 1, at)
        except UNREACHABLE:
            written_at, later = self._waiting.get(key, (now, 0))
            self._waiting[key] = (written_at, later + count + 1)
