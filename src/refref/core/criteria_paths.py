"""Paths of custom events: `data.object.amount_total`, and what stands there in an event.

Reads plain JSON values; missing parts and amounts that are not whole minor units are told, never raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from refref.core.criteria_check import CriteriaError, error_at
from refref.core.criteria_explain import show
from refref.core.criteria_names import MISSING, Steps, look_up

MAX_PATH = 200
MAX_DIGITS = 18  # so that sums stay within 64 bits

# A name after a dot (or at the start), an index in brackets, or a name in brackets and quotes.
_STEP = re.compile(
    r"""(?P<dot>\.)?(?P<name>[^\s.\[\]"'`]+)|\[(?P<index>[0-9]{1,6})\]|\[(?P<quote>["'])(?P<quoted>[^"']+)(?P=quote)\]"""
)
_WHOLE = re.compile(rf"-?\d{{1,{MAX_DIGITS}}}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What stands at a path: `value`, or None and the `reason`.

    `amount_minor`: the value as whole minor units, or None and the `amount_reason`.
    """

    value: object
    reason: str
    amount_minor: int | None
    amount_reason: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """A compiled path; call it with an event."""

    source: str
    steps: Steps

    def __call__(self, event: Mapping[str, object]) -> Extracted:
        """Read the event: never raises. JSON's null counts as missing."""
        found, count = look_up(event, self.steps, in_record=False)
        if found is MISSING or found is None:
            reason = f"{self.text(count + 1)} is missing" if found is MISSING else f"{self.text()} is null"
            return Extracted(None, reason, None, reason)
        amount = _whole_minor(found)
        if amount is None:
            told = f"{self.text()} is {show(found)}: not a whole number of minor units"
            return Extracted(found, "", None, told)
        return Extracted(found, "", amount, "")

    def text(self, length: int | None = None) -> str:
        """The path, or its first steps, as criteria write it."""
        steps = self.steps[:length]
        return "event" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _whole_minor(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**MAX_DIGITS else None
    return int(value) if isinstance(value, str) and _WHOLE.match(value) else None


@lru_cache(maxsize=4096)
def compile_path(source: str) -> Extraction:
    """A dotted path from the event down; list indexes as `data[0]` or `data.0`: `data.object.lines.data[0].amount`.

    A leading `event.` is taken off, and names with odd characters stand in brackets: `metadata["my key"]`. Raises
    CriteriaError.
    """
    if not source.strip():
        raise CriteriaError("There is no path.", "Write one such as data.object.amount_total.")
    if len(source) > MAX_PATH:
        message = f"The path has more than {MAX_PATH} characters."
        raise error_at(source, MAX_PATH, message, "Name one field.")
    steps: list[str | int] = []
    at = 0
    while at < len(source):
        found = _STEP.match(source, at)
        if found is None or (found["name"] is not None and bool(found["dot"]) == (at == 0)):
            message = f"The path cannot be read from {source[at : at + 10]!r} on."
            raise error_at(source, at, message, "Write names with dots between them: data.object.amount_total.")
        if found["name"] is not None:
            steps.append(int(found["name"]) if re.fullmatch(r"[0-9]{1,6}", found["name"]) else found["name"])
        else:
            steps.append(int(found["index"]) if found["index"] is not None else found["quoted"])
        at = found.end()
    if steps[0] == "event":
        steps = steps[1:]
    if not steps or not isinstance(steps[0], str):
        raise CriteriaError("The path names no field of the event.", "Write one such as data.object.amount_total.")
    return Extraction(source, tuple(steps))
