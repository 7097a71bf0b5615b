"""What went wrong on the way of a referral identifier through Stripe: misspelt keys and blank references.

Finds, never judges attribution: the doctor shows it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from refref.core.diagnoses import is_misspelt_key

_decode = msgspec.json.Decoder().decode


class CarrierFault(NamedTuple):
    """`code`: misspelt_key, blank_reference; `detail`: the key as it came."""

    code: str
    stripe_id: str
    detail: str


def carrier_faults(body: bytes) -> tuple[CarrierFault, ...]:
    """The faults of the object in a stored event; what cannot be read has none."""
    try:
        event: Any = _decode(body)
        found = event["data"]["object"]
        stripe_id = str(found["id"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ()
    faults = []
    metadata = found.get("metadata")
    for key in sorted(metadata) if isinstance(metadata, dict) else ():
        if is_misspelt_key(key):
            faults.append(CarrierFault("misspelt_key", stripe_id, key))
    reference = found.get("client_reference_id")
    if found.get("object") == "checkout.session" and isinstance(reference, str) and not reference.strip():
        faults.append(CarrierFault("blank_reference", stripe_id, ""))
    return tuple(faults)
