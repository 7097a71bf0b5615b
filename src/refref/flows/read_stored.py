"""Reading a stored event: what Stripe's readers, what was told, and what custom events make of it. Writes nothing.

The pump and the rebuild read by it, so that they cannot differ.
"""

from __future__ import annotations

import msgspec

from refref.core.custom_types import CustomPaths
from refref.stripe.readers import Reading, UnreadableEvent, read
from refref.stripe.readers.custom import read_custom
from refref.stripe.readers.objects import OBJECT_PREFIX, read_object_event
from refref.told import TOLD_PREFIX, read_told

_decode = msgspec.json.Decoder().decode


def read_stored(stripe_type: str, body: bytes, custom: CustomPaths) -> Reading:
    """The facts and needs of a stored body; `custom`: the types that custom events ask for. Raises UnreadableEvent."""
    try:
        event = _decode(body)
    except msgspec.DecodeError as error:
        raise UnreadableEvent("not_json", "The stored body is not JSON.") from error
    if stripe_type.startswith(OBJECT_PREFIX):
        return read_object_event(event)
    if stripe_type.startswith(TOLD_PREFIX):
        return read_told(event)
    reading = read(event)
    paths = custom.get(stripe_type)
    if not paths:
        return reading
    return msgspec.structs.replace(reading, facts=(*reading.facts, *read_custom(event, body, paths)))
