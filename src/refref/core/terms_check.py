"""What may be published: every fault of terms with its field and remedy, and the reading of their JSON form."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from refref.core.faults import (
    Fault,
    Faults,
    amount_faults,
    currency_faults,
    domain_faults,
    either_or_faults,
    id_faults,
    list_faults,
    order_faults,
    outside,
)
from refref.core.refusals import Refused
from refref.core.terms import CurrencyTerms, FraudRule, Terms
from refref.core.terms_check_events import MAX_DAYS, event_faults
from refref.core.terms_check_rules import MAX_HOLD_DAYS, duration_faults, rule_faults
from refref.core.terms_shape import shape_fault

MAX_ENTRIES = 100  # rules, events or caps
MAX_SHOWN = 10
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,12})?")
_LIMITS = {
    "refund_rate": (100, "A share of refunded referrals in per cent"),
    "velocity": (100_000, "A number of referrals"),
}


def faults_of(terms: Terms) -> tuple[Fault, ...]:
    """Everything that keeps these terms from being published, in the order of the document; empty: nothing."""
    return tuple(_faults(terms))


def check_terms(terms: Terms) -> None:
    """Raise Refused("invalid_terms") with the first fault's field; its sentence lists the others."""
    refuse_faults(faults_of(terms))


def refuse_faults(faults: tuple[Fault, ...]) -> None:
    """Raise Refused("invalid_terms") for the first of these faults, if there is one; its sentence lists the others."""
    if not faults:
        return
    first, *others = faults
    also = "".join(f" Also {other.field}: {other.sentence}" for other in others[: MAX_SHOWN - 1])
    more = f" And {len(faults) - MAX_SHOWN} more." if len(faults) > MAX_SHOWN else ""
    raise Refused("invalid_terms", f"{first.sentence}{also}{more}", first.field)


def terms_from_json(body: bytes | str) -> Terms:
    """Checked terms of their JSON form; unknown keys are refused. Raises Refused("invalid_terms") naming the field."""
    try:
        given: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("invalid_terms", f"This is no JSON: {error}.", "terms") from error
    terms = terms_from_data(given)
    check_terms(terms)
    return terms


def terms_from_data(given: object, where: str = "terms") -> Terms:
    """Terms of parsed JSON or YAML, with the right shape but not checked further: a draft may still be faulty.

    Raises Refused("invalid_terms") naming the field below `where`.
    """
    fault = shape_fault(given, Terms, where)
    if fault is not None:
        raise Refused("invalid_terms", fault.sentence, fault.field)
    return msgspec.convert(given, Terms)


def _faults(terms: Terms) -> Iterator[Fault]:
    if not terms.rules:
        yield Fault("terms.rules", "Give at least one reward rule.")
    for name in ("rules", "events", "caps"):
        if len(getattr(terms, name)) > MAX_ENTRIES:
            yield Fault(f"terms.{name}", f"There can be at most {MAX_ENTRIES}.")
            return
    yield from id_faults("terms.rules", "rule_id", [rule.rule_id for rule in terms.rules])
    for number, rule in enumerate(terms.rules):
        yield from rule_faults(rule, terms, f"terms.rules.{number}")
    yield from _revenue_faults(terms)
    yield from id_faults("terms.events", "event_id", [event.event_id for event in terms.events])
    for number, event in enumerate(terms.events):
        yield from event_faults(event, f"terms.events.{number}")
    yield from duration_faults(terms.duration, "terms.duration")
    yield from outside("terms.hold_days", terms.hold_days, 0, MAX_HOLD_DAYS, "The hold in days")
    for name in ("attribution_window_days", "signup_window_days"):
        yield from outside(f"terms.{name}", getattr(terms, name), 1, MAX_DAYS, "A window in days")
    yield from list_faults("terms.products", terms.products)
    yield from list_faults("terms.excluded_products", terms.excluded_products)
    yield from either_or_faults("terms.products", terms.products, terms.excluded_products, "products")
    yield from list_faults("terms.excluded_coupons", terms.excluded_coupons)
    yield from domain_faults("terms.excluded_email_domains", terms.excluded_email_domains)
    yield from _cap_faults(terms)
    yield from _currency_faults(terms.currency)
    yield from _fraud_faults(terms.fraud)
    yield from order_faults("terms.ends_at", terms.starts_at, terms.ends_at)


def _revenue_faults(terms: Terms) -> Faults:
    """Revenue is added up once per participant, so all tiers look at it in one currency."""
    first = ""
    for number, rule in enumerate(terms.rules):
        if rule.tiers is not None and rule.tiers.by == "revenue":
            first = first or rule.tiers.currency
            if rule.tiers.currency != first:
                yield Fault(
                    f"terms.rules.{number}.tiers.currency",
                    f"Another rule adds revenue up in {first}: use the same currency in both.",
                )


def _cap_faults(terms: Terms) -> Faults:
    known = {rule.rule_id for rule in terms.rules}
    for number, cap in enumerate(terms.caps):
        field = f"terms.caps.{number}"
        if not cap.amounts:
            yield Fault(f"{field}.amounts", 'A cap needs amounts, such as {"usd": 100000}.')
        yield from amount_faults(f"{field}.amounts", cap.amounts)
        for place, rule_id in enumerate(cap.rules):
            if rule_id not in known:
                yield Fault(f"{field}.rules.{place}", f"There is no rule “{rule_id}”: give the rule_id of one.")


def _currency_faults(currency: CurrencyTerms) -> Faults:
    field = "terms.currency"
    for name in ("base", "display"):
        if code := getattr(currency, name):
            yield from currency_faults(f"{field}.{name}", code)
    if currency.conversion != "never" and not currency.base:
        yield Fault(f"{field}.base", "To convert, give the base currency of the program, such as usd.")
    if currency.pays_in == "base" and currency.conversion == "never":
        yield Fault(f"{field}.pays_in", "To pay in the base currency, set conversion to daily or table.")
    if currency.conversion == "table":
        if not currency.table:
            yield Fault(f"{field}.table", 'Give the price of each currency in the base, such as {"gbp": "1.27"}.')
    elif currency.table:
        yield Fault(f"{field}.table", "A table is only used with `conversion: table`: set that, or leave it out.")
    for code, rate in currency.table.items():
        where = f"{field}.table.{code}"
        yield from currency_faults(where, code)
        if code == currency.base:
            yield Fault(where, "The base currency is worth one of itself: take it out.")
        if not _DECIMAL.fullmatch(rate) or not rate.strip("0."):
            yield Fault(where, "A rate is a positive decimal in quotes, such as “1.27”.")


def _fraud_faults(fraud: tuple[FraudRule, ...]) -> Faults:
    for number, rule in enumerate(fraud):
        field = f"terms.fraud.{number}"
        if rule.check in [other.check for other in fraud[:number]]:
            yield Fault(f"{field}.check", f"“{rule.check}” is in the list already: take one out.")
        if rule.check in _LIMITS:
            most, what = _LIMITS[rule.check]
            if rule.limit:
                yield from outside(f"{field}.limit", rule.limit, 1, most, what)
        elif rule.limit:
            yield Fault(f"{field}.limit", f"“{rule.check}” has no limit: leave it out.")
