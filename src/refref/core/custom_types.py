"""Which Stripe events the terms' custom events look at, and where each looks for the customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from refref.core.terms import Terms

CustomPaths = Mapping[str, tuple[str, ...]]  # Stripe type -> customer paths; "" is the object's own customer


def custom_paths(terms: Iterable[Terms]) -> CustomPaths:
    """The customer paths by Stripe type, in order, of every custom event in these terms."""
    found: dict[str, set[str]] = {}
    for version in terms:
        for event in version.events:
            if event.custom is not None:
                for stripe_type in event.custom.stripe_types:
                    found.setdefault(stripe_type, set()).add(event.custom.customer_path)
    return {stripe_type: tuple(sorted(found[stripe_type])) for stripe_type in sorted(found)}
