"""How Stripe's events arrive in a simulation. Data alone."""

from __future__ import annotations

from dataclasses import dataclass

from refref.sandbox.versions import VERSIONS

API_VERSIONS = VERSIONS  # in which events can be told, the oldest first


@dataclass(frozen=True, slots=True)
class Mode:
    """How Stripe's events arrive: in which API version, in disorder, several times. The books must be the same."""

    api_version: str = API_VERSIONS[-1]
    is_shuffled: bool = False
    copies: int = 1
    seed: int = 1
