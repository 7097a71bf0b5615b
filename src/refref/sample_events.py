"""The sample events that come with RefRef, one of each type. Made by `refref.sandbox.sample_events`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from refref.stripe.envelope import parse_event_head

_FILE = Path(__file__).with_suffix(".jsonl")


@lru_cache(maxsize=1)
def sample_events() -> Mapping[str, bytes]:
    """The JSON of each sample by Stripe type, in order of type."""
    lines = _FILE.read_bytes().splitlines()
    return MappingProxyType({parse_event_head(line).type: line for line in lines})
