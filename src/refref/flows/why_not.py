"""Why not: what explain adds for what earned nothing, and for ids that nothing is known of. Reads only."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from refref.core.decisions import Decision
from refref.core.why_not import Cause, IdSituation, StoppedBy, causes_of, stopped_by, stopped_event
from refref.core.words import Document, iso
from refref.db import connections
from refref.db import why_not as look
from refref.db.explain import EventLine
from refref.db.pool import Connection


def present_stops(decisions: Iterable[Decision]) -> dict[str, Document | None]:
    """What stopped each payment, by its key; None for one that earned."""
    by_payment: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_payment.setdefault(decision.payment_key, []).append(decision)
    return {key: _document(stopped_by(own)) for key, own in by_payment.items()}


def first_stop(event: EventLine | None, payments: Iterable[Document]) -> object:
    """What stopped the thing that was asked for: its event, else the first of its payments that earned nothing."""
    of_event = None if event is None else stopped_event(event.state)
    if of_event is not None:
        return _document(of_event)
    return next((stop for payment in payments if (stop := payment["stopped_by"]) is not None), None)


async def causes_of_unknown(
    tx: Connection, organization_id: str, connection_id: str | None, any_id: str
) -> list[Document]:
    """Why nothing is known of an id on a connection (or on the organization's only one), with remedies."""
    known = await connections.connections(tx, organization_id, limit=2)
    if connection_id is None and len(known) != 1:
        return []
    own = connection_id or known[0].connection_id
    connection = await connections.connection_by_id(tx, organization_id, own)
    if connection is None:
        return []
    last = await look.last_webhook_at(tx, organization_id, own)
    situation = IdSituation(
        mode=connection.mode,
        elsewhere=tuple(await look.connections_that_know(tx, organization_id, own, any_id)),
        events=tuple(await look.events_about(tx, organization_id, own, any_id)),
        last_webhook="" if last is None else iso(int(last.timestamp())),
        has_history=await look.has_history(tx, organization_id, own),
    )
    return [_plain(cause) for cause in causes_of(any_id, situation)]


def _document(found: StoppedBy | None) -> Document | None:
    return None if found is None else _plain(found)


def _plain(found: StoppedBy | Cause) -> Document:
    return dict(msgspec.structs.asdict(found))
