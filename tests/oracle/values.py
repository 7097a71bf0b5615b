"""What a rule is worth on a conversion: overrides, bands, tiers, the amount and its currency (docs/terms.md)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from oracle.cases import WHOLE, Case, lines_of
from oracle.counted import Counted, CountedPayments
from oracle.events import base_of_lines
from oracle.sums import exchange, half_up, period_of, rate_of, step, to_step
from oracle.worlds import Line, World
from refref.core.terms import RewardRule, Tiers, TierStep, Value


@dataclass(frozen=True)
class Worth:
    """An amount in a currency, or the reason why there is none."""

    currency: str = ""
    amount_minor: int = 0
    reason: str = ""


def worth_of(world: World, case: Case, rule: RewardRule, lines: list[Line], counted: CountedPayments) -> Worth:
    """What the rule gives in all on these lines, before it is divided and capped."""
    value, reason = value_of(world, case, rule, counted)
    if value is None:
        return Worth(reason=reason)
    event = case.event(rule.event) if rule.event else None
    is_own = value is rule
    rate_bps = value.rate_bps if not is_own or rule.kind in ("percentage", "both") else 0
    amounts = value.amounts if not is_own or rule.kind in ("fixed", "both") else {}
    terms = case.terms
    currency = case.currency
    if not currency and amounts:
        # Without money of its own: the currency in which the rule's values (the tier's steps together) have amounts.
        steps = rule.tiers.steps if rule.tiers is not None and value in rule.tiers.steps else ()
        named = {*amounts, *(one for step in steps for one in step.amounts)}
        currency = terms.currency.base if terms.currency.base in named else min(named)
    total = half_up(Fraction(base_of_lines(case, lines, event, rule) * rate_bps, 10_000))
    if amounts:
        fixed = _fixed(world, case, amounts, currency)
        if isinstance(fixed, str):
            return Worth(reason=fixed)
        total += fixed * _times(case, rule, lines)
    if total <= 0:
        return Worth(reason="rounds_to_zero")
    return _paid_in(world, case, Worth(currency, total))


def _times(case: Case, rule: RewardRule, lines: list[Line]) -> int:
    if rule.fixed_per == "sale" or case.conversion.payment is None:
        return 1
    paid_lines = [line for line in lines if line.net > 0]
    if rule.fixed_per == "line":
        return len(paid_lines)
    return sum(1 if line.quantity is None else line.quantity for line in paid_lines)


def _fixed(world: World, case: Case, amounts: dict[str, int], currency: str) -> int | str:
    if currency in amounts:
        return amounts[currency]
    terms = case.terms.currency
    if terms.conversion == "never":
        return "no_amount_for_currency"
    source = terms.base if terms.base in amounts else min(amounts)
    rate = rate_of(world, terms, source, currency, case.conversion.at)
    if rate is None:
        return "no_rate"
    return max(step(currency), to_step(exchange(amounts[source], rate, source, currency), currency))


def _paid_in(world: World, case: Case, worth: Worth) -> Worth:
    terms = case.terms.currency
    if terms.pays_in == "sale" or worth.currency == terms.base:
        return worth
    rate = rate_of(world, terms, worth.currency, terms.base, case.conversion.at)
    if rate is None:
        return Worth(reason="no_rate")
    amount = to_step(exchange(worth.amount_minor, rate, worth.currency, terms.base), terms.base)
    return Worth(terms.base, amount) if amount > 0 else Worth(reason="rounds_to_zero")


def value_of(
    world: World, case: Case, rule: RewardRule, counted: CountedPayments
) -> tuple[Value | RewardRule | None, str]:
    """The first that applies: override by participant, by group, band, tier step, the rule's own."""
    person = case.conversion.bond.participant
    for override in rule.overrides:
        if person.participant_id in override.participants:
            return override, ""
    for override in rule.overrides:
        if set(override.groups) & set(case.groups):
            return override, ""
    for band in rule.bands:
        if case.months <= band.up_to_months:
            return band, ""
    if rule.tiers is None:
        return rule, ""
    if rule.tiers.by == "plan":
        return _plan_step(case, rule.tiers)
    reached = (_referrals if rule.tiers.by == "referrals" else _revenue)(world, case, rule.tiers, counted)
    found = rule.tiers.steps[0]
    for one in rule.tiers.steps:
        if one.at_least <= reached:
            found = one
    return found, ""


def _plan_step(case: Case, tiers: Tiers) -> tuple[TierStep | None, str]:
    conversion = case.conversion
    lines = lines_of(conversion)
    if conversion.payment is not None:
        if lines[0].line_id == WHOLE:
            return None, "lines_missing"
        billed = [line for line in lines if line.amount > 0]
        lines = [line for line in billed if not line.is_proration] or billed
    for one in tiers.steps:
        if lines and one.plan in (lines[-1].product, lines[-1].price):
            return one, ""
    return None, "no_tier_for_plan"


def _in_question(case: Case, tiers: Tiers, counted: CountedPayments) -> list[Counted]:
    """The counted payments of the participant that count for this conversion's step: of the same period and, unless
    it holds for the whole period, up to this conversion."""
    conversion = case.conversion
    return [
        one
        for one in counted.all
        if one.conversion.bond.participant == conversion.bond.participant
        and period_of(one.conversion.at, tiers.period) == period_of(conversion.at, tiers.period)
        and (tiers.applies == "retroactive" or one.conversion.order <= conversion.order)
    ]


def _referrals(world: World, case: Case, tiers: Tiers, counted: CountedPayments) -> int:
    return sum(1 for one in _in_question(case, tiers, counted) if one.is_first_of_referral and not one.is_whole_back)


def _revenue(world: World, case: Case, tiers: Tiers, counted: CountedPayments) -> int:
    revenue = 0
    for one in _in_question(case, tiers, counted):
        left, currency = one.base - one.gone, one.currency
        rate = rate_of(world, case.terms.currency, currency, tiers.currency, one.conversion.at)
        if rate is not None:
            revenue += to_step(exchange(left, rate, currency, tiers.currency), tiers.currency)
    return revenue
