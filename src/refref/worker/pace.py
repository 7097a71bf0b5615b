"""How fast this process reads lists: one token bucket for each connection, below Stripe's limits."""

from __future__ import annotations

from refref.db.connections import StripeConnection
from refref.stripe.listing import READS_PER_SECOND, ListReader, Reader, TokenBucket


class Pace:
    """The buckets of a process. `per_second`: another pace than that of the connection's mode; 0: none."""

    def __init__(self, per_second: int | None = None) -> None:
        self._per_second = per_second
        self._buckets: dict[str, TokenBucket] = {}

    def bucket_of(self, connection: StripeConnection) -> TokenBucket:
        """The bucket that every reading of this connection shares."""
        known = self._buckets.get(connection.connection_id)
        if known is None:
            per_second = READS_PER_SECOND[connection.mode] if self._per_second is None else self._per_second
            known = self._buckets[connection.connection_id] = TokenBucket(per_second)
        return known

    def reader_of(self, gateway: Reader, connection: StripeConnection) -> ListReader:
        """A reader of the connection's lists."""
        return ListReader(gateway, self.bucket_of(connection))
