"""Typed probes into Stripe's JSON: each gives the value, None where absent or null, or refuses. No meaning here.

Absent and null are the same. A wrong type under a key that is read is refused, never guessed; only `label`, for texts
that people see and nothing is derived from, lets it pass as None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from refref.stripe.reading import UnreadableEvent

Payload = Mapping[str, Any]

LARGEST = 10**15  # far above any Stripe amount or instant; keeps every sum inside 64 bits
LONGEST_ID = 255  # Stripe's own bound for object ids


def refuse(code: str, where: Payload, key: str, expected: str) -> NoReturn:
    """Raise the refusal of one key: which object, which key, what was expected."""
    name = where.get("object")
    owner = name if type(name) is str else "object"
    raise UnreadableEvent(code, f"`{key}` of the {owner[:40]} must be {expected}.")


def whole(payload: Payload, key: str) -> int:
    """The required whole number."""
    value = payload.get(key)
    if type(value) is int and -LARGEST <= value <= LARGEST:
        return value
    refuse("missing_field" if value is None else "wrong_type", payload, key, "a whole number")


def whole_or_none(payload: Payload, key: str) -> int | None:
    """The whole number, or None."""
    value = payload.get(key)
    if value is None:
        return None
    if type(value) is int and -LARGEST <= value <= LARGEST:
        return value
    refuse("wrong_type", payload, key, "a whole number or null")


def text(payload: Payload, key: str) -> str:
    """The required text, not empty: a status, a mode, a currency."""
    value = payload.get(key)
    if type(value) is str and value and value.isascii():
        return value
    refuse("missing_field" if value is None else "wrong_type", payload, key, "a text")


def text_or_none(payload: Payload, key: str) -> str | None:
    """The text, or None."""
    value = payload.get(key)
    if value is None:
        return None
    if type(value) is str and value.isascii():
        return value
    refuse("wrong_type", payload, key, "a text or null")


def label(payload: Payload, key: str) -> str | None:
    """A text for people (name, e-mail address, description); None where it is anything else, or empty."""
    value = payload.get(key)
    if type(value) is not str or not value:
        return None
    # A NUL or a lone surrogate (JSON allows both) could not be stored as text.
    if "\x00" in value:
        value = value.replace("\x00", "")
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def flag(payload: Payload, key: str) -> bool:
    """The truth value; absent and null count as false."""
    value = payload.get(key)
    if value is None or type(value) is bool:
        return bool(value)
    refuse("wrong_type", payload, key, "true, false or null")


def section(payload: Payload, key: str) -> Payload:
    """The nested object, empty where absent or null."""
    value = payload.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    refuse("wrong_type", payload, key, "an object or null")


def rows(payload: Payload, key: str) -> Sequence[Payload]:
    """The array of objects, empty where absent or null."""
    value = payload.get(key)
    if value is None:
        return ()
    if type(value) is list:
        for row in value:
            if type(row) is not dict:
                break
        else:
            return value
    refuse("wrong_type", payload, key, "an array of objects or null")


def identifier(payload: Payload) -> str:
    """The object's own id."""
    value = payload.get("id")
    if value is None:
        raise UnreadableEvent("no_id", "An object in the event has no id.")
    return checked_id(value, payload, "id")


def checked_id(value: object, payload: Payload, key: str) -> str:
    """The value, if it is a Stripe id."""
    if type(value) is str and 0 < len(value) <= LONGEST_ID and value.isascii() and value.isprintable():
        return value
    refuse("wrong_type", payload, key, "an id")


def id_or_none(payload: Payload, key: str) -> str | None:
    """The id under the key, whether it stands there alone or inside the expanded (or deleted) object."""
    value = payload.get(key)
    if value is None:
        return None
    if type(value) is dict:
        value = value.get("id")
    return checked_id(value, payload, key)
