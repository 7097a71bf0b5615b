"""Checks of what people type, shared by the flows: each returns the clean value or raises Refused with the field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from refref.core.refusals import Refused

MAX_NAME_LENGTH = 120
MAX_EMAIL_LENGTH = 254
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f.]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(text: str, field: str) -> str:
    """One to 120 printable characters, without blanks around them; raises Refused("invalid_name")."""
    text = text.strip()
    if not 1 <= len(text) <= MAX_NAME_LENGTH or _CONTROL.search(text):
        raise Refused("invalid_name", f"Give a name of 1 to {MAX_NAME_LENGTH} characters, without line breaks.", field)
    return text


def check_email(text: str, field: str) -> str:
    """What looks like an e-mail address; raises Refused("invalid_email")."""
    text = text.strip()
    if len(text) > MAX_EMAIL_LENGTH or not _EMAIL.fullmatch(text):
        raise Refused("invalid_email", "Give an e-mail address such as name@example.com.", field)
    return text


def check_choice(value: str, choices: Sequence[str], field: str) -> None:
    """One of `choices`; raises Refused("invalid_choice")."""
    if value not in choices:
        raise Refused("invalid_choice", f"Give one of: {', '.join(choices)}.", field)


def check_instant(value: datetime, field: str) -> datetime:
    """An instant that knows its time zone, as UTC; raises Refused("invalid_instant")."""
    sentence = "Give an instant with its time zone, such as 2026-01-31T00:00:00Z."
    if value.tzinfo is None:
        raise Refused("invalid_instant", sentence, field)
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the first or last day of all
        raise Refused("invalid_instant", sentence, field) from None
