"""Terms: one immutable, numbered version of a program's rules, with its checks and its stored JSON form."""

from __future__ import annotations

from typing import Literal

import msgspec

from refref.core.refusals import Refused

MAX_RATE_BPS = 10_000


class Duration(msgspec.Struct, frozen=True):
    """How long a referee earns: `count` paid payments, or `count` months from the first; `forever` ignores count."""

    unit: Literal["payments", "months", "forever"] = "months"
    count: int = 12


class RewardRule(msgspec.Struct, frozen=True):
    """One rule: on which payments (`first`, `recurring` = later ones, `every`) and how much.

    Percentage: `rate_bps` of the base. Fixed: `amounts`, whole minor units by currency; a currency without an amount
    earns nothing and says so.
    """

    rule_id: str
    on: Literal["first", "recurring", "every"] = "every"
    kind: Literal["percentage", "fixed"] = "percentage"
    rate_bps: int = 0
    amounts: dict[str, int] = {}


class Terms(msgspec.Struct, frozen=True):
    """The rules of one version. Defaults are the product's: 20 % of net paid money for 12 months, held 30 days."""

    rules: tuple[RewardRule, ...] = (RewardRule(rule_id="commission", rate_bps=2_000),)
    duration: Duration = Duration()
    hold_days: int = 30
    attribution_window_days: int = 60
    products: tuple[str, ...] = ()  # eligible product or price ids; empty: all
    includes_tax: bool = False
    includes_shipping: bool = False
    counts_out_of_band: bool = True
    counts_bare_charges: bool = False
    restart: Literal["continue", "new_cycle"] = "continue"  # a new subscription of the same referee

    def check(self) -> None:
        """Raise Refused, naming the field, when these terms cannot be published."""
        if not self.rules:
            raise Refused("invalid_terms", "Give at least one reward rule.", "terms.rules")
        ids = [rule.rule_id for rule in self.rules]
        if len(set(ids)) != len(ids) or not all(ids):
            raise Refused("invalid_terms", "Each rule needs an id of its own.", "terms.rules.rule_id")
        for number, rule in enumerate(self.rules):
            _check_rule(rule, f"terms.rules.{number}")
        if self.duration.unit != "forever" and not 1 <= self.duration.count <= 1200:
            raise Refused("invalid_terms", "A duration is 1 to 1200 payments or months.", "terms.duration.count")
        if not 0 <= self.hold_days <= 365:
            raise Refused("invalid_terms", "The hold is 0 to 365 days.", "terms.hold_days")
        if not 1 <= self.attribution_window_days <= 3650:
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


class TermsVersion(msgspec.Struct, frozen=True):
    """Terms in force from `effective_at` (seconds since 1970) as `version` of a program."""

    version: int
    effective_at: int
    terms: Terms


def terms_from_json(body: bytes | str) -> Terms:
    """Checked terms of their JSON form; unknown keys are refused. Raises Refused naming the field."""
    try:
        terms = msgspec.json.decode(body, type=_StrictTerms)
    except msgspec.DecodeError as error:
        raise Refused("invalid_terms", f"The terms cannot be read: {error}.", "terms") from error
    plain = msgspec.convert(msgspec.to_builtins(terms), Terms)
    plain.check()
    return plain


def terms_to_json(terms: Terms) -> str:
    """The stored JSON form, keys in a fixed order."""
    return msgspec.json.encode(terms).decode()


class _StrictRule(RewardRule, frozen=True, forbid_unknown_fields=True):
    pass


class _StrictDuration(Duration, frozen=True, forbid_unknown_fields=True):
    pass


class _StrictTerms(Terms, frozen=True, forbid_unknown_fields=True):
    rules: tuple[_StrictRule, ...] = (_StrictRule(rule_id="commission", rate_bps=2_000),)
    duration: _StrictDuration = _StrictDuration()
