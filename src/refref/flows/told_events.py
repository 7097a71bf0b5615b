"""Told events: what people say of customers becomes stored events of our own, settled at once like any other."""

from __future__ import annotations

from collections.abc import Sequence

from refref.core.facts import CarrierKind, Fact
from refref.core.told_carriers import undone_at
from refref.db import inbox, setup
from refref.db.bodies import compress
from refref.db.inbox import Arrival
from refref.db.pool import Connection, lock_books
from refref.flows.settle import Incoming, settle
from refref.told import Told, encode_told, fact_of

EARLIEST_CLICK = 946_684_800  # the year 2000: before it there was nobody to click


def telling_instant(customer: Fact | None, kind: CarrierKind, code: str, there: int) -> tuple[bool, int]:
    """Whether this was told and taken back before, and the instant of telling it now: after the taking back."""
    undone = None if customer is None else undone_at(customer, kind, code)
    return (False, there) if undone is None else (True, max(there, undone + 1))


async def store_told(
    tx: Connection, organization_id: str, connection_id: str, told: Sequence[Told], there: int
) -> None:
    """Store what was told and settle it; `there` is now by the connection's clock."""
    if not told:
        return
    mode = await setup.mode_of(tx, organization_id, connection_id)
    arrivals = [
        Arrival(
            organization_id=organization_id,
            connection_id=connection_id,
            stripe_event_id=item.id,
            type=item.type,
            object_id=item.stripe_customer_id,
            api_version=None,
            livemode=mode == "live",
            state="accepted",
            reason=None,
            source="told",
            created_at=item.told_at,
            body=compress(encode_told(item)),
        )
        for item in told
    ]
    await inbox.accept(tx, arrivals)
    await lock_books(tx, connection_id)
    incoming = [Incoming([fact_of(item)], None) for item in told]
    await settle(tx, organization_id, connection_id, incoming, there)
