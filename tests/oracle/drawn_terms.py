"""Random terms that may be published: every kind of event, rule, tier, band, cap, condition and currency rule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from oracle.conditions import CONDITIONS, SALE_FREE
from oracle.drawing import AMOUNTS, COUNTRIES, COUPONS, GROUPS, PRODUCTS, Dice
from oracle.events import NO_MONEY_KINDS
from refref.core.terms import (
    Band,
    Benefit,
    Cap,
    CurrencyTerms,
    CustomEvent,
    Duration,
    FraudCheck,
    FraudRule,
    Override,
    Period,
    QualifyingEvent,
    RewardRule,
    Share,
    Terms,
    Tiers,
    TierStep,
    Value,
)
from refref.core.terms_check import faults_of

MONEY_KINDS = ("any_purchase", "first_purchase", "subscription_started", "trial_converted", "renewal", "upgrade")
RATES_BPS = (2_000, 1_000, 5_000, 1, 10_000, 333)
VALUES = (1_000, 1, 333, 9_000)
UNITS: tuple[Literal["forever", "months", "payments"], ...] = ("forever", "months", "payments")
PERIODS: tuple[Period, ...] = ("ever", "month", "quarter", "year")
TIERS_BY: tuple[Literal["referrals", "revenue"], ...] = ("referrals", "revenue")
APPLIES: tuple[Literal["onward", "retroactive"], ...] = ("onward", "retroactive")
CAPS_ON: tuple[Literal["customer", "participant", "program"], ...] = ("customer", "participant", "program")
HOW_OFTEN: tuple[Literal["once", "many"], ...] = ("once", "many")
CONVERSIONS: tuple[Literal["never", "daily", "table"], ...] = ("never", "never", "daily", "table")
PAYS_IN: tuple[Literal["sale", "base"], ...] = ("sale", "base")
ACTIONS: tuple[Literal["deny", "hold", "flag", "off"], ...] = ("deny", "hold", "flag", "off")
CHECKS: tuple[FraudCheck, ...] = (
    "self_email",
    "self_card",
    "self_domain",
    "self_ip",
    "disposable_email",
    "velocity",
    "coupon_site",
    "refund_rate",
)


def _day(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def durations(dice: Dice) -> Duration:
    unit = dice.one(UNITS)
    return Duration() if unit == "forever" and dice.rare() else Duration(unit, dice.whole(1, 4))


def values(dice: Dice, with_rate: bool) -> Value:
    """A rate, amounts, or both; without money to take a rate of, amounts."""
    kind = dice.one(("rate", "amounts", "both")) if with_rate else "amounts"
    rate_bps = dice.one(RATES_BPS) if kind != "amounts" else 0
    return Value(rate_bps, amounts(dice) if kind != "rate" else {})


def amounts(dice: Dice) -> dict[str, int]:
    currencies = dice.some(("usd", "eur", "jpy"), 2)
    return {currency: dice.one(VALUES) for currency in currencies}


def events(dice: Dice, event_id: str) -> QualifyingEvent:
    kind = dice.one((*MONEY_KINDS, "any_purchase", "any_purchase", *MONEY_KINDS, *NO_MONEY_KINDS))
    has_sale = kind in MONEY_KINDS
    given: dict[str, object] = {"kind": kind}
    if kind == "custom":
        given["custom"] = custom_events(dice)
    if (has_sale or kind in ("trial_started", "downgrade")) and dice.rare():
        given[dice.one(("products", "excluded_products"))] = dice.some(PRODUCTS)
    if has_sale and dice.rare():
        given["min_net"] = {"usd": dice.one(AMOUNTS)}
    if has_sale and dice.rare():
        given["min_payments"] = dice.whole(2, 3)
    if has_sale and dice.rare(6):
        given["excluded_coupons"] = dice.some(COUPONS)
    if has_sale and kind != "upgrade" and dice.rare(6):
        given["prorations"] = "exclude"
    if has_sale and dice.rare(6):
        given["currencies"] = dice.some(("usd", "eur"))
    if dice.rare(6):
        given["excluded_email_domains"] = ("shop.example",)
    if dice.rare(6):
        given["countries"] = dice.some(COUNTRIES)
    if dice.rare(6):
        given["customers"] = dice.one(("any", "new"))
    if dice.rare(6):
        given["attribution_window_days"] = dice.one((1, 10, 30, 90))
    if dice.rare(6):
        given["signup_window_days"] = dice.one((1, 10, 30))
    if dice.rare():
        given["condition"] = dice.one(tuple(CONDITIONS) if has_sale else SALE_FREE)
    if dice.rare(6):
        given["verification"] = "manual"
    return QualifyingEvent(event_id, **given)  # type: ignore[arg-type]  # fields drawn above


def custom_events(dice: Dice) -> CustomEvent:
    criteria = dice.one(("", "event.data.object.metadata.kyc == 'passed'"))
    has_amount = dice.rare(2)
    return CustomEvent(
        ("customer.updated",),
        criteria,
        "data.object.score" if has_amount else "",
        "data.object.currency" if has_amount else "",
        per_customer=dice.one(HOW_OFTEN),
    )


def tiers(dice: Dice, with_rate: bool, with_plan: bool) -> Tiers:
    if with_plan and dice.rare(3):
        plans = dice.some((*PRODUCTS, "price_pro"), 3)
        return Tiers("plan", tuple(_step(values(dice, with_rate), plan=plan) for plan in plans))
    by = dice.one(TIERS_BY)
    thresholds = (1, 2, 3, 5) if by == "referrals" else (1, 2_500, 10_000, 20_000, 50_000)
    reached = sorted(dice.some(thresholds, 3))
    return Tiers(
        by,
        tuple(_step(values(dice, with_rate), at_least=number) for number in reached),
        dice.one(PERIODS),
        dice.one(APPLIES),
        "usd" if by == "revenue" else "",
    )


def _step(value: Value, at_least: int = 0, plan: str = "") -> TierStep:
    return TierStep(value.rate_bps, value.amounts, at_least, plan)


def rules(dice: Dice, rule_id: str, known: tuple[QualifyingEvent, ...]) -> RewardRule:
    event = dice.one((None, *known))
    has_sale = event is None or event.kind in MONEY_KINDS
    with_rate = has_sale or (event is not None and event.custom is not None and event.custom.amount_path != "")
    given: dict[str, object] = {"event": "" if event is None else event.event_id}
    if event is None and dice.rare(3):
        given["on"] = dice.one(("first", "recurring"))
    given |= recipients(dice)
    if given.get("reward") in ("discount", "feature"):
        is_feature = given["reward"] == "feature"
        given["benefit"] = Benefit(feature="beta") if is_feature else Benefit(percent_off_bps=2_000)
    else:
        given |= worth(dice, with_rate, has_sale)
    if dice.rare():
        given[dice.one(("products", "excluded_products"))] = dice.some(PRODUCTS)
    given |= limits(dice, has_sale)
    return RewardRule(rule_id, **given)  # type: ignore[arg-type]  # fields drawn above


def recipients(dice: Dice) -> dict[str, object]:
    """Whom, and with which kind of reward."""
    to = dice.one(("referrer", "referrer", "split", "referee"))
    if to == "referee":
        return {"to": to, "reward": dice.one(("credit", "discount", "feature"))}
    reward = dice.one(("commission", "credit"))
    if to == "split":
        first = dice.one((5_000, 7_000, 3_333, 1))
        return {"to": to, "reward": reward, "split": (Share("referrer", first), Share("ptc_bea", 10_000 - first))}
    return {"to": to, "reward": reward}


def worth(dice: Dice, with_rate: bool, has_sale: bool) -> dict[str, object]:
    """The value of a rule: its own, and by bands, tiers and overrides."""
    own = values(dice, with_rate)
    kind = "both" if own.rate_bps and own.amounts else "fixed" if own.amounts else "percentage"
    given: dict[str, object] = {"kind": kind, "rate_bps": own.rate_bps, "amounts": own.amounts}
    if kind != "percentage" and has_sale and dice.rare(3):
        given["fixed_per"] = dice.one(("line", "unit"))
    if dice.rare(3):
        given["tiers"] = tiers(dice, with_rate, has_sale)
    elif dice.rare(3):
        months = sorted(dice.some(range(4 + 1), 2))
        bands = [(values(dice, with_rate), count) for count in months]
        given["bands"] = tuple(Band(value.rate_bps, value.amounts, count) for value, count in bands)
    if dice.rare():
        value = values(dice, with_rate)
        groups = dice.some(GROUPS) if dice.rare(2) else ()
        people = () if groups else ("ptc_ana",)
        given["overrides"] = (Override(value.rate_bps, value.amounts, people, groups),)
    return given


def limits(dice: Dice, has_sale: bool) -> dict[str, object]:
    """Where and how long a rule holds, and when its rewards are payable."""
    given: dict[str, object] = {}
    if dice.rare(3):
        given["group"] = dice.one(("sale", "other"))
    if dice.rare():
        given["condition"] = dice.one(tuple(CONDITIONS) if has_sale else SALE_FREE)
    if dice.rare(12):
        given["campaign"] = "spring"
    if dice.rare(12):
        given["starts_at"] = _day(dice.instant(0, 40))
    if dice.rare(12):
        given["ends_at"] = _day(dice.instant(60, 100))
    if dice.rare():
        given["duration"] = durations(dice)
    if dice.rare(6):
        given["hold_days"] = dice.one((0, 10, 45))
    if dice.rare(6):
        given["expires_days"] = dice.one((46, 60))
    if dice.rare(6):
        given["approval"] = dice.one(("manual", "automatic"))
    return given


def caps(dice: Dice, rule_ids: tuple[str, ...]) -> Cap:
    currencies = dice.one((("usd",), ("usd", "eur"), ("usd", "eur", "jpy", "gbp")))
    limits = dict.fromkeys(currencies, dice.one((1_500, 2_500, 5, 10_000, 300)))
    chosen = dice.some(rule_ids) if dice.rare() else ()
    if dice.rare():
        return Cap("reward", limits, rules=chosen)
    return Cap(dice.one(CAPS_ON), limits, dice.one(PERIODS), chosen)


def currency_terms(dice: Dice) -> CurrencyTerms:
    conversion = dice.one(CONVERSIONS)
    if conversion == "never":
        return CurrencyTerms()
    base = dice.one(("usd", "usd", "eur", "jpy"))
    prices = {"usd": "1", "eur": "1.1", "jpy": "0.0065", "gbp": "1.27"}
    table = {currency: price for currency, price in prices.items() if currency != base}
    pays_in = dice.one(PAYS_IN)
    return CurrencyTerms(base, "", conversion, table if conversion == "table" else {}, pays_in)


def fraud_rules(dice: Dice) -> tuple[FraudRule, ...]:
    chosen = dice.some(CHECKS, 3)
    found = []
    for check in chosen:
        action = dice.one(ACTIONS)
        limit = {"velocity": 2, "refund_rate": 10}.get(check, 0)
        found.append(FraudRule(check, action, limit))
    return tuple(found)


def terms(dice: Dice, currency: CurrencyTerms, fraud: tuple[FraudRule, ...]) -> Terms:
    """Terms that may be published. Currencies and fraud rules are given, since all versions of a history share them."""
    known = tuple(events(dice, f"e{number}") for number in range(1, dice.whole(0, 3) + 1))
    listed = tuple(rules(dice, f"r{number}", known) for number in range(1, dice.whole(1, 4) + 1))
    given: dict[str, object] = {"rules": listed, "events": known, "currency": currency, "fraud": fraud}
    if dice.rare(2):
        ids = tuple(rule.rule_id for rule in listed)
        given["caps"] = tuple(caps(dice, ids) for _ in range(dice.whole(1, 3)))
    if dice.rare(3):
        given["duration"] = durations(dice)
    for name, choices in _CHOICES.items():
        if dice.rare(6):
            given[name] = dice.one(choices)
    if dice.rare(6):
        given[dice.one(("products", "excluded_products"))] = dice.some(PRODUCTS)
    if dice.rare(16):
        given["starts_at"] = _day(dice.instant(0, 20))
    if dice.rare(16):
        given["ends_at"] = _day(dice.instant(80, 120))
    made = Terms(**given)  # type: ignore[arg-type]  # fields drawn above
    faults = faults_of(made)
    assert not faults, faults
    return made


_CHOICES: dict[str, tuple[object, ...]] = {
    "hold_days": (0, 14),
    "attribution_window_days": (1, 10, 30),
    "signup_window_days": (1, 10, 30),
    "customers": ("any",),
    "excluded_coupons": (("coupon_a",), ("promo_bea",)),
    "excluded_email_domains": (("shop.example",),),
    "includes_tax": (True,),
    "includes_shipping": (True,),
    "counts_out_of_band": (False,),
    "counts_bare_charges": (True,),
    "restart": ("new_cycle",),
    "approval": ("manual",),
    "existing_referrals": ("keep",),
}
