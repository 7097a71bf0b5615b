"""The verdict on a request: the specification's, and for a version newer than it, the SDK's parameter types'."""

from typing import Any

from judges.expansions import expansion_faults
from judges.forms import form_faults
from judges.typed import typed_faults

SPECIFICATION_DAY = "2026-05-27"
FIRST_OF_TODAYS_SHAPES = "2025-03-31"  # basil; what could be expanded before is no longer in the specification


def request_faults(method: str, path: str, query: str, version: str) -> list[str]:
    """What Stripe would find wrong with a request in an API version; `query`: its query string or form body.

    In a version newer than the specification the SDK's types decide about names and types, and what the specification
    does not know is right only if the types list it by name.
    """
    by_form = form_faults(method, path, query)
    if version[:10] >= FIRST_OF_TODAYS_SHAPES:
        by_form += expansion_faults(method, path, query)
    if version[:10] <= SPECIFICATION_DAY:
        return by_form
    by_type = typed_faults(method, path, query)
    if by_type or not by_form:
        return by_type
    expansions = [fault for fault in by_form if "[expand]" in fault]
    return by_form if typed_faults(method, path, query, closed=True) else expansions


def form_of(data: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested data as Stripe's bracket form, for tests that change one thing in a request."""
    if isinstance(data, dict):
        rows = [(f"{prefix}[{key}]" if prefix else str(key), each) for key, each in data.items()]
    elif isinstance(data, list):
        rows = [(f"{prefix}[{place}]", each) for place, each in enumerate(data)]
    else:
        return [(prefix, str(data).lower() if isinstance(data, bool) else str(data))]
    return [pair for name, each in rows for pair in form_of(each, name)]
