"""Checks of what people type, shared by the flows: each returns the clean value or raises Refused with the field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from refref.core.refusals import Refused

MAX_NAME_LENGTH = 120
MAX_EMAIL_LENGTH = 254
MAX_TEXT_LENGTH = 20_000
MAX_GROUPS = 20
MAX_METADATA = 50  # as many as Stripe takes
_COUNTRY = re.compile(r"[A-Z]{2}")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f.]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(text: str, field: str) -> str:
    """One to 120 printable characters, without blanks around them; raises Refused("invalid_name")."""
    text = text.strip()
    if not 1 <= len(text) <= MAX_NAME_LENGTH or _CONTROL.search(text):
        raise Refused("invalid_name", f"Give a name of 1 to {MAX_NAME_LENGTH} characters, without line breaks.", field)
    return text


def check_long_text(text: str, field: str) -> str:
    """At most 20,000 characters, line breaks included, without blanks around them; raises Refused("invalid_text")."""
    text = text.strip()
    if len(text) > MAX_TEXT_LENGTH or "\x00" in text:
        raise Refused("invalid_text", f"Give at most {MAX_TEXT_LENGTH} characters.", field)
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


def check_groups(groups: Sequence[str]) -> tuple[str, ...]:
    """Names of groups, each once; raises Refused("invalid_group")."""
    if len(groups) > MAX_GROUPS:
        raise Refused("invalid_group", f"Give at most {MAX_GROUPS} groups.", "groups")
    try:
        names = [check_name(name, f"groups.{number}") for number, name in enumerate(groups)]
    except Refused as refused:
        raise Refused("invalid_group", refused.sentence, refused.field) from refused
    for number, name in enumerate(names):
        if len(name) > 60:
            raise Refused("invalid_group", "A group's name has at most 60 characters.", f"groups.{number}")
    return tuple(dict.fromkeys(names))


def check_country(country: str) -> str:
    """Two upper-case letters, or "" for unknown; raises Refused("invalid_country")."""
    if country and not _COUNTRY.fullmatch(country):
        raise Refused("invalid_country", "A country is two upper-case letters, such as DE; empty: unknown.", "country")
    return country


def check_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Keys and values of a size that Stripe takes too; raises Refused("invalid_metadata")."""
    if len(metadata) > MAX_METADATA:
        raise Refused("invalid_metadata", f"Give at most {MAX_METADATA} keys.", "metadata")
    for key, value in metadata.items():
        if not _KEY.fullmatch(key):
            raise Refused(
                "invalid_metadata", "A key has 1 to 40 letters, digits, dots, hyphens or underscores.", "metadata"
            )
        if len(value) > 500 or "\x00" in value:
            raise Refused("invalid_metadata", "A value has at most 500 characters.", f"metadata.{key}")
    return dict(sorted(metadata.items()))
