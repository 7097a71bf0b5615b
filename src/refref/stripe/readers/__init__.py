"""Readers: Stripe event -> facts, in every payload shape from 2020-08-27 on. Probes keys, never asks the version."""

from refref.stripe.readers.registry import (
    READ_TYPES,
    REGISTRY,
    EventGroup,
    EventType,
    events_to_enable,
    read,
    read_document,
)
from refref.stripe.reading import Need, NeedKind, Reading, UnreadableEvent

__all__ = [
    "READ_TYPES",
    "REGISTRY",
    "EventGroup",
    "EventType",
    "Need",
    "NeedKind",
    "Reading",
    "UnreadableEvent",
    "events_to_enable",
    "read",
    "read_document",
]
