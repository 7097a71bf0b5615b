"""Objects of Stripe's lists as events of our own: stored, replayable, read by the same readers as webhooks.

An object tells its present state; since when it carries what it carries is taken from its own instants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from refref.core.facts import Carrier, Fact
from refref.stripe.readers.carriers import discount_starts
from refref.stripe.readers.probe import Payload, identifier, rows, section, whole_or_none
from refref.stripe.readers.registry import OBJECT_READERS
from refref.stripe.readers.scene import Scene
from refref.stripe.readers.session import ASYNC_FAILED
from refref.stripe.reading import Reading, UnreadableEvent

OBJECT_PREFIX = "refref.object."


def object_event(payload: Payload, seen_at: int, *, livemode: bool, api_version: str) -> dict[str, Any]:
    """The envelope of an object as it was read at `seen_at` (seconds, Stripe's clock). Raises UnreadableEvent."""
    return {
        "id": f"obj_{identifier(payload)}_{seen_at}",
        "object": "event",
        "type": OBJECT_PREFIX + str(payload.get("object")),
        "created": seen_at,
        "livemode": livemode,
        "api_version": api_version,
        "data": {"object": payload},
    }


def read_object_event(event: Mapping[str, Any]) -> Reading:
    """The facts of a stored object, and what to fetch to complete them. Raises UnreadableEvent."""
    data = event.get("data")
    payload = data.get("object") if isinstance(data, dict) else None
    seen_at = event.get("created")
    if type(payload) is not dict or type(seen_at) is not int:
        raise UnreadableEvent("no_object", "The stored object cannot be read.")
    return read_object(payload, seen_at)


def read_object(payload: Payload, seen_at: int) -> Reading:
    """The same of an object as a list shows it. Raises UnreadableEvent."""
    reader = OBJECT_READERS.get(str(payload.get("object")))
    if reader is None:
        raise UnreadableEvent("wrong_object", f"There is no reader for {str(payload.get('object'))[:40]!r}.")
    scene = Scene(_event_of(payload), seen_at, OBJECT_READERS)
    reader(payload, scene)
    known_at = _known_at(payload, seen_at)
    starts = _starts(payload)
    facts = tuple(_dated(fact, payload, seen_at, known_at, starts) for fact in scene.facts())
    return Reading(facts, scene.needs(), scene.catalog)


def _event_of(payload: Payload) -> str:
    """The name of the event that alone tells what the object does not: a delayed payment that failed."""
    if payload.get("object") != "checkout.session" or payload.get("status") != "complete":
        return ""
    intent = section(payload, "payment_intent") if type(payload.get("payment_intent")) is dict else {}
    has_failed = payload.get("payment_status") == "unpaid" and intent.get("status") in _GIVEN_UP
    return ASYNC_FAILED if has_failed else ""


_GIVEN_UP = ("requires_payment_method", "canceled")


def _known_at(payload: Payload, seen_at: int) -> int:
    """Since when the object can have carried a referral identifier: an invoice since it was paid, all else since it was
    made."""
    paid_at = whole_or_none(section(payload, "status_transitions"), "paid_at")
    created_at = whole_or_none(payload, "created")
    return min(at for at in (paid_at or created_at, seen_at) if at is not None)


def _starts(payload: Payload) -> dict[str, int]:
    """Since when each promotion code and coupon is on a customer or subscription, where the discount is shown."""
    return discount_starts(payload) if payload.get("object") in ("customer", "subscription") else {}


def _dated(fact: Fact, payload: Payload, seen_at: int, known_at: int, starts: Mapping[str, int]) -> Fact:
    marks = {
        name: starts.get(name.partition(":")[2], known_at) if at == seen_at and name != "deleted" else at
        for name, at in fact.marks
    }
    if payload.get("object") == "dispute" and fact.stripe_id == payload.get("id"):
        marks.update(_moved(payload))
    carriers = [_carrier_dated(carrier, seen_at, known_at, starts) for carrier in fact.carriers]
    return msgspec.structs.replace(fact, carriers=tuple(carriers), marks=tuple(sorted(marks.items())))


def _carrier_dated(carrier: Carrier, seen_at: int, known_at: int, starts: Mapping[str, int]) -> Carrier:
    if carrier.seen_at != seen_at:
        return carrier
    return msgspec.structs.replace(carrier, seen_at=starts.get(carrier.value, known_at))


def _moved(dispute: Payload) -> dict[str, int]:
    """Whether a dispute's money went, and came back: its balance transactions tell."""
    marks: dict[str, int] = {}
    for entry in rows(dispute, "balance_transactions"):
        amount, at = whole_or_none(entry, "amount") or 0, whole_or_none(entry, "created")
        if amount and at is not None:
            name = "funds_withdrawn" if amount < 0 else "funds_reinstated"
            marks[name] = min(at, marks.get(name, at))
    return marks
