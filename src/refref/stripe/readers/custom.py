"""Events that custom events ask for, of any Stripe type: kept whole, filed with the customers they concern.

Probes gently: whatever an object lacks is no refusal, since criteria say "no match, because" of what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from refref.core.criteria import compile_path
from refref.core.facts import EventState, Fact, Kind
from refref.stripe.readers.probe import LARGEST, LONGEST_ID

# Whom a custom event can be about: customers, and what stands for a sale without one. Other texts are no links, or one
# wrong path would file all of an account's customers together.
_REFEREES = ("cus_", "acct_", "in_", "pi_", "ch_", "py_", "cs_")


def read_custom(event: Mapping[str, Any], body: bytes, customer_paths: Iterable[str]) -> tuple[Fact, ...]:
    """The fact of a decoded event, whose JSON is `body`; none where it names nobody who can be referred.

    `customer_paths`: where the definitions look for the customer; "" is the object's customer, or the customer itself.
    """
    stripe_type, created = event.get("type"), event.get("created")
    data = event.get("data")
    found = data.get("object") if isinstance(data, dict) else None
    if type(stripe_type) is not str or type(created) is not int or not 0 <= created <= LARGEST:
        return ()
    if not isinstance(found, dict):
        return ()
    # Previews have no id: then the event's own stands for it, and two endpoints' events are two.
    object_id = _id(found.get("id")) or _id(event.get("id"))
    links = {
        _customer_of(found) if path == "" else _referee(compile_path(path)(event).value) for path in customer_paths
    }
    told = tuple(sorted(link for link in links if link is not None))
    if object_id is None or not told:
        return ()
    return (
        Fact(
            f"event:{object_id}/{stripe_type}/{created}",
            Kind.EVENT,
            seen_at=created,
            state=EventState(stripe_type, object_id, created, msgspec.json.format(body, indent=-1)),
            links=told,
        ),
    )


def _customer_of(found: Mapping[str, Any]) -> str | None:
    if found.get("object") == "customer":
        return _referee(found.get("id"))
    for key in ("customer", "customer_account"):
        value = found.get(key)
        customer = _referee(value.get("id") if isinstance(value, dict) else value)
        if customer is not None:
            return customer
    return None


def _referee(value: object) -> str | None:
    stripe_id = _id(value)
    return stripe_id if stripe_id is not None and stripe_id.startswith(_REFEREES) else None


def _id(value: object) -> str | None:
    if type(value) is str and 0 < len(value) <= LONGEST_ID and value.isascii() and value.isprintable():
        return value
    return None
