"""What people and the merchant's own application tell RefRef, as events of our own: stored, replayable, read to facts.

A referral told by hand or by `POST /v1/referrals` becomes a stored event, so that a rebuild finds it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from refref.core.facts import Carrier, CarrierKind, Fact, Kind
from refref.core.told_carriers import told_again_mark, undone_mark
from refref.stripe.reading import Reading, UnreadableEvent

TOLD_PREFIX = "refref."
REFERRAL_TOLD = "refref.referral_told"
REFERRAL_UNDONE = "refref.referral_undone"


class ToldReferral(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody says who referred a customer. `kind`: manual or signup; instants in seconds since 1970. `ip_hash`: of
    the customer's network address (flows.ip_hashes). `is_again`: the same was told before and taken back."""

    id: str
    stripe_customer_id: str
    code: str
    kind: CarrierKind
    told_at: int
    actor: str
    campaign: str = ""
    clicked_at: int | None = None
    ip_hash: str = ""
    reason: str = ""
    is_again: bool = False
    type: str = REFERRAL_TOLD


class ToldUndoing(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody takes back what was told of a customer: the carrier of this kind and code."""

    id: str
    stripe_customer_id: str
    code: str
    kind: CarrierKind
    told_at: int
    actor: str
    reason: str = ""
    type: str = REFERRAL_UNDONE


Told = ToldReferral | ToldUndoing


def encode_told(told: Told) -> bytes:
    """The stored body."""
    return msgspec.json.encode(told)


def read_told(event: Mapping[str, Any]) -> Reading:
    """The facts of a told event; raises UnreadableEvent."""
    told: Told
    try:
        if event.get("type") == REFERRAL_UNDONE:
            told = msgspec.convert(event, ToldUndoing)
        else:
            told = msgspec.convert(event, ToldReferral)
    except msgspec.ValidationError as error:
        raise UnreadableEvent("not_an_event", f"The stored event cannot be read: {error}") from error
    return Reading((fact_of(told),))


def fact_of(told: Told) -> Fact:
    """What a told referral, or the taking back of one, adds to what is known of the customer."""
    if isinstance(told, ToldUndoing):
        undone = undone_mark(told.kind, told.code, told.told_at)
        return Fact(told.stripe_customer_id, Kind.CUSTOMER, seen_at=told.told_at, marks=(undone,))
    carrier = Carrier(told.kind, told.code, told.told_at, told.campaign, told.clicked_at)
    ip = ((f"ip:{told.ip_hash}", told.told_at),) if told.ip_hash else ()
    marks = (*ip, told_again_mark(carrier)) if told.is_again else ip
    return Fact(told.stripe_customer_id, Kind.CUSTOMER, seen_at=told.told_at, carriers=(carrier,), marks=marks)
