"""What went wrong on the way of a referral identifier through Stripe: misspelt keys, blanks and words for nothing.

Finds, never judges attribution: the doctor shows it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from refref.core.diagnoses import is_misspelt_key, is_no_code
from refref.stripe.readers.carriers import REFERRAL_KEY

_decode = msgspec.json.Decoder().decode


class CarrierFault(NamedTuple):
    """`code`: misspelt_key, blank_reference; `detail`: the key, or the value, as it came."""

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
    if not isinstance(metadata, dict):
        metadata = {}
    for key in sorted(metadata):
        if is_misspelt_key(key):
            faults.append(CarrierFault("misspelt_key", stripe_id, key))
    for value in (found.get("client_reference_id"), metadata.get(REFERRAL_KEY)):
        if isinstance(value, str) and is_no_code(value):
            faults.append(CarrierFault("blank_reference", stripe_id, value.strip()[:40]))
            break
    return tuple(faults)
