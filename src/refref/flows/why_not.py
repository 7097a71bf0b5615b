"""Why not: what explain adds for what earned nothing, and for ids that nothing is known of. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from refref.core.decisions import Decision
from refref.core.facts import CarrierKind
from refref.core.told_carriers import code_key
from refref.core.unbound import Unbound
from refref.core.unknown_ids import Cause, IdSituation, cause_of_named, causes_of
from refref.core.why_not import StoppedBy, stopped_by, stopped_event, stopped_unpaid
from refref.core.words import Document, iso
from refref.db import connections
from refref.db import why_not as look
from refref.db.explain import EventLine
from refref.db.pool import Connection


def present_stops(decisions: Iterable[Decision], unbound: Mapping[str, Unbound]) -> dict[str, Document | None]:
    """What stopped each payment, by its key; None for one that earned. `unbound`: what to tell instead of those."""
    by_payment: dict[str, list[Decision]] = {}
    for decision in decisions:
        by_payment.setdefault(decision.payment_key, []).append(decision)
    return {
        key: _document(unbound[key].stopped_by if key in unbound else stopped_by(own))
        for key, own in by_payment.items()
    }


def first_stop(event: EventLine | None, payments: Iterable[Document], alone: str | None) -> object:
    """What stopped the thing that was asked for: its event, else the first of its payments that earned nothing;
    `alone`: what is known of an object that no payment came of."""
    of_event = None if event is None else stopped_event(event.state)
    if of_event is not None:
        return _document(of_event)
    if alone is not None:
        return _document(stopped_unpaid(alone))
    return next((stop for payment in payments if (stop := payment["stopped_by"]) is not None), None)


async def present_named(tx: Connection, organization_id: str, connection_id: str | None, any_id: str) -> list[Document]:
    """What of the set-up or the catalogue an id, a code or an address names that no payment came of."""
    code = code_key(CarrierKind.MANUAL, any_id)
    found = await look.named(tx, organization_id, connection_id, any_id, code)
    return [_plain(cause_of_named(one)) for one in found]


async def causes_of_unknown(
    tx: Connection, organization_id: str, connection_id: str | None, any_id: str
) -> list[Document]:
    """Why nothing is known of an id on a connection (None: on any of the organization's), with remedies."""
    known = await connections.connections(tx, organization_id, limit=1000)
    own = next((row for row in known if connection_id in (None, row.connection_id)), None)
    if own is None:
        return []
    if connection_id is None and len(known) == 1:
        connection_id = own.connection_id
    last = await look.last_webhook_at(tx, organization_id, connection_id)
    situation = IdSituation(
        mode=own.mode if connection_id else "",
        elsewhere=tuple(await look.connections_that_know(tx, organization_id, connection_id, any_id)),
        events=tuple(await look.events_about(tx, organization_id, connection_id, any_id)),
        last_webhook="" if last is None else iso(int(last.timestamp())),
        has_history=await look.has_history(tx, organization_id, connection_id),
    )
    return [_plain(cause) for cause in causes_of(any_id, situation)]


def _document(found: StoppedBy | None) -> Document | None:
    return None if found is None else _plain(found)


def _plain(found: StoppedBy | Cause) -> Document:
    return dict(msgspec.structs.asdict(found))
