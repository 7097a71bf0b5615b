"""Faults: what is wrong with a field of a document, each with its remedy, and the checks that many fields share.

A check yields the faults it finds and raises nothing, so that all of them can be shown at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.core.currency_codes import CURRENCIES

ID_SENTENCE = "An id has 1 to 60 lower-case letters, digits, hyphens or underscores, such as pro-plan."
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_AMOUNT_MINOR = 10**15  # a thousand times what Stripe charges at once; keeps sums within 64 bits
MAX_TEXT_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Fault:
    """`field`: a dotted path such as `terms.rules.2.amounts.usd`; `sentence`: what is wrong and the remedy."""

    field: str
    sentence: str


Faults = Iterator[Fault]


def outside(field: str, value: int | None, least: int, most: int, what: str) -> Faults:
    """A number that is not `least` to `most`; None is as good as absent."""
    if value is not None and not least <= value <= most:
        yield Fault(field, f"{what} is {least} to {most}, not {value}.")


def amount_faults(field: str, amounts: Mapping[str, int], *, least: int = 1) -> Faults:
    """Amounts by currency: known currencies in lower case, whole minor units of at least `least`."""
    for currency, amount_minor in amounts.items():
        yield from currency_faults(f"{field}.{currency}", currency)
        if not least <= amount_minor <= MAX_AMOUNT_MINOR:
            sign = "positive" if least else "not negative"
            yield Fault(f"{field}.{currency}", f"An amount is {sign}, in minor units (1000 is 10.00 USD).")


def currency_faults(field: str, currency: str) -> Faults:
    """A code that Stripe does not know."""
    if currency not in CURRENCIES:
        small = currency.lower()
        hint = f"write {small}" if small in CURRENCIES else "give one that Stripe charges in, such as usd"
        yield Fault(field, f"“{currency}” is no currency in three lower-case letters: {hint}.")


def id_faults(field: str, name: str, ids: Sequence[str]) -> Faults:
    """Ids of a list that are malformed or taken by an earlier one; `name`: the field that holds them."""
    for number, given in enumerate(ids):
        where = f"{field}.{number}.{name}"
        if not _ID.fullmatch(given):
            yield Fault(where, ID_SENTENCE)
        elif given in ids[:number]:
            yield Fault(where, f"“{given}” is the id of an earlier one: give each an id of its own.")


def text_faults(field: str, text: str, most: int = MAX_TEXT_LENGTH) -> Faults:
    """A text that is too long, has control characters, or blanks around it."""
    if len(text) > most or _CONTROL.search(text) or text != text.strip():
        yield Fault(field, f"Give at most {most} characters, without line breaks or blanks around them.")


def list_faults(field: str, texts: Sequence[str], most: int = 255) -> Faults:
    """Entries of a list that are empty, malformed or repeated."""
    for number, text in enumerate(texts):
        where = f"{field}.{number}"
        if not text:
            yield Fault(where, "This entry is empty: take it out.")
        elif text in texts[:number]:
            yield Fault(where, f"“{text}” is in the list already: take one out.")
        else:
            yield from text_faults(where, text, most)


def domain_faults(field: str, domains: Sequence[str]) -> Faults:
    """E-mail domains that are none, or not in lower case."""
    for number, domain in enumerate(domains):
        if not _DOMAIN.fullmatch(domain):
            yield Fault(f"{field}.{number}", "Give what stands after the @, in lower case, such as example.com.")


def either_or_faults(field: str, chosen: Iterable[str], excluded: Iterable[str], what: str) -> Faults:
    """What is both chosen and excluded."""
    both = sorted(set(chosen) & set(excluded))
    if both:
        yield Fault(field, f"“{both[0]}” is both in {what} and excluded: take it out of one of the lists.")


def order_faults(field: str, starts_at: datetime | None, ends_at: datetime | None) -> Faults:
    """An end that is not after its start."""
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        yield Fault(field, "The end must lie after the start.")
