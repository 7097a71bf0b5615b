"""The terms of a program as a form. It covers what most programs need; the API and the command line take the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec

from refref.core.money import wire_exponent
from refref.core.refusals import Refused
from refref.core.terms import Duration, RewardRule, Terms
from refref.web.money_format import decimal_text

L = TypeVar("L", bound=str)
UNITS: tuple[Literal["months"], Literal["payments"], Literal["forever"]] = ("months", "payments", "forever")
KINDS: tuple[Literal["percentage"], Literal["fixed"]] = ("percentage", "fixed")
_DECIMAL = re.compile(r"([0-9]{1,12})(?:[.,]([0-9]{1,12}))?")
ON: tuple[Literal["every"], Literal["first"], Literal["recurring"]] = ("every", "first", "recurring")


def terms_of_form(form: Mapping[str, str], before: Terms) -> Terms:
    """The terms that a form describes; what it does not show stays as `before`. Raises Refused naming the field."""
    return msgspec.structs.replace(
        before,
        rules=(_rule(form, before), *before.rules[1:]),
        duration=Duration(
            unit=_choice(form, "duration_unit", UNITS),
            count=_whole(form, "duration_count", before.duration.count),
        ),
        hold_days=_whole(form, "hold_days", before.hold_days),
        attribution_window_days=_whole(form, "attribution_window_days", before.attribution_window_days),
        products=tuple(form.get("products", "").replace(",", " ").split()),
        includes_tax="includes_tax" in form,
        includes_shipping="includes_shipping" in form,
    )


def form_of_terms(terms: Terms) -> dict[str, str]:
    """The values of the form for terms that exist."""
    rule = terms.rules[0]
    currency, amount = next(iter(rule.amounts.items()), ("usd", 1000))
    values = {
        "rule_on": rule.on,
        "rule_kind": rule.kind,
        "rate": _percent(rule.rate_bps or 2_000),
        "amount": decimal_text(amount, currency),
        "currency": currency.upper(),
        "duration_unit": terms.duration.unit,
        "duration_count": str(terms.duration.count),
        "hold_days": str(terms.hold_days),
        "attribution_window_days": str(terms.attribution_window_days),
        "products": " ".join(terms.products),
    }
    switches = {"includes_tax": terms.includes_tax, "includes_shipping": terms.includes_shipping}
    return values | {name: "on" for name, is_on in switches.items() if is_on}


def given_terms(form: Mapping[str, str]) -> dict[str, str]:
    """What was given, to show the form again; fields that did not come at all are empty."""
    return {**dict.fromkeys(form_of_terms(Terms()), ""), **form}


def instant_of_form(form: Mapping[str, str]) -> datetime | None:
    """The day from which terms hold, at 00:00 UTC; None: from now. Raises Refused("invalid_instant")."""
    text = form.get("effective_on", "")
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Refused("invalid_instant", "Give a day such as 2026-01-31.", "effective_on") from error


def _rule(form: Mapping[str, str], before: Terms) -> RewardRule:
    rule = msgspec.structs.replace(before.rules[0], on=_choice(form, "rule_on", ON))
    if _choice(form, "rule_kind", KINDS) == "percentage":
        rate = _decimal(form, "rate", 2)
        return msgspec.structs.replace(rule, kind="percentage", rate_bps=rate, amounts={})
    currency = form.get("currency", "").lower()
    amount = _decimal(form, "amount", wire_exponent(currency))
    others = {known: minor for known, minor in rule.amounts.items() if known != currency}
    return msgspec.structs.replace(rule, kind="fixed", rate_bps=0, amounts={currency: amount, **others})


def _choice(form: Mapping[str, str], name: str, choices: tuple[L, ...]) -> L:
    for choice in choices:
        if choice == form.get(name):
            return choice
    raise Refused("invalid_terms", f"Choose one of: {', '.join(choices)}.", name)


def _whole(form: Mapping[str, str], name: str, default: int) -> int:
    text = form.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise Refused("invalid_terms", "Give a whole number.", name)
    return int(text)


def _decimal(form: Mapping[str, str], name: str, places: int) -> int:
    """A decimal of the form as a whole number of its smallest units."""
    match = _DECIMAL.fullmatch(form.get(name, "").removesuffix("%").strip())
    if match is None:
        raise Refused("invalid_terms", "Give a number such as 12.5.", name)
    whole, fraction = match.group(1), match.group(2) or ""
    if len(fraction) > places:
        raise Refused("invalid_terms", f"Give a number with at most {places} decimals.", name)
    return int(whole + fraction.ljust(places, "0"))


def _percent(rate_bps: int) -> str:
    whole, rest = divmod(rate_bps, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)
