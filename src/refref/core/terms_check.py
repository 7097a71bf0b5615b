"""What may be published: checks of terms that name the field and the remedy, and the reading of their JSON form."""

from __future__ import annotations

import msgspec

from refref.core.refusals import Refused
from refref.core.terms import MAX_RATE_BPS, RewardRule, Terms


def terms_from_json(body: bytes | str) -> Terms:
    """Checked terms of their JSON form; unknown keys are refused. Raises Refused naming the field."""
    try:
        terms = msgspec.json.decode(body, type=Terms)
    except msgspec.DecodeError as error:
        raise Refused("invalid_terms", f"The terms cannot be read: {error}.", "terms") from error
    check_terms(terms)
    return terms


def check_terms(terms: Terms) -> None:
    """Raise Refused, naming the field, when these terms cannot be published."""
    if not terms.rules:
        raise Refused("invalid_terms", "Give at least one reward rule.", "terms.rules")
    ids = [rule.rule_id for rule in terms.rules]
    if len(set(ids)) != len(ids) or not all(ids):
        raise Refused("invalid_terms", "Each rule needs an id of its own.", "terms.rules.rule_id")
    for number, rule in enumerate(terms.rules):
        _check_rule(rule, f"terms.rules.{number}")
    if terms.duration.unit != "forever" and not 1 <= terms.duration.count <= 1200:
        raise Refused("invalid_terms", "A duration is 1 to 1200 payments or months.", "terms.duration.count")
    if not 0 <= terms.hold_days <= 365:
        raise Refused("invalid_terms", "The hold is 0 to 365 days.", "terms.hold_days")
    if not 1 <= terms.attribution_window_days <= 3650:
        raise Refused("invalid_terms", "The window is 1 to 3650 days.", "terms.attribution_window_days")


def _check_rule(rule: RewardRule, field: str) -> None:
    if rule.kind == "percentage":
        if not 0 < rule.rate_bps <= MAX_RATE_BPS:
            raise Refused("invalid_terms", "A rate is 1 to 10000 basis points (20 % = 2000).", f"{field}.rate_bps")
        return
    if not rule.amounts:
        raise Refused("invalid_terms", 'A fixed reward needs amounts, such as {"usd": 1000}.', f"{field}.amounts")
    for currency, amount in rule.amounts.items():
        if len(currency) != 3 or not currency.isascii() or not currency.islower():
            raise Refused("invalid_terms", "Currencies are three lower-case letters.", f"{field}.amounts.{currency}")
        if amount <= 0:
            raise Refused("invalid_terms", "An amount is positive, in minor units.", f"{field}.amounts.{currency}")
