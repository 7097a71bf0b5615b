"""An event of Stripe on its way into a connection's inbox, by whichever way it came: read, ignored, or kept aside.

Of another mode or account nothing is ever read into the books. Writes nothing.
"""

from __future__ import annotations

from typing import Literal

from refref.db.bodies import compress
from refref.db.inbox import Arrival, State
from refref.stripe.envelope import EventHead
from refref.stripe.readers import READ_TYPES


def strange_to(head: EventHead, mode: str, stripe_account_id: str | None) -> str | None:
    """Why an event is none of a connection's: `livemode_mismatch`, `unknown_account`; None when it is one of them."""
    if head.livemode != (mode == "live"):
        return "livemode_mismatch"
    if head.account is not None and head.account != stripe_account_id:
        return "unknown_account"
    return None


def arrival_of(
    organization_id: str,
    connection_id: str,
    head: EventHead,
    body: bytes,
    *,
    source: Literal["webhook", "poll"],
    strange: str | None = None,
) -> Arrival:
    """The event as the inbox takes it; `body` as it came. What is `strange` is kept aside for that reason."""
    state: State = "accepted" if head.type in READ_TYPES else "ignored"
    return Arrival(
        organization_id=organization_id,
        connection_id=connection_id,
        stripe_event_id=head.id,
        type=head.type,
        object_id=head.data_object_id or "",
        api_version=head.api_version,
        livemode=head.livemode,
        state="quarantined" if strange is not None else state,
        reason=strange,
        source=source,
        created_at=head.created,
        body=compress(body),
    )
