"""The merchant's own metadata on Stripe objects, for conditions. Finds, never judges."""

from __future__ import annotations

from refref.core.facts import Metadata
from refref.stripe.readers.probe import Payload, label, section

MOST_KEYS = 50  # Stripe's own bound
OWN_PREFIX = "refref_"


def metadata_of(payload: Payload) -> Metadata:
    """The object's metadata in order of keys, without RefRef's own; what is no text is left out."""
    if not payload.get("metadata"):
        return ()
    metadata = section(payload, "metadata")
    found = []
    for key in sorted(metadata):
        if key.startswith(OWN_PREFIX) or not _is_storable(key) or type(metadata[key]) is not str:
            continue
        found.append((key, label(metadata, key) or ""))
    return tuple(found[:MOST_KEYS])


def _is_storable(key: str) -> bool:
    return "\x00" not in key and (key.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in key))
