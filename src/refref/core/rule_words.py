"""Reward rules, qualifying events and caps in plain words: short phrases that sentences and differences are made of.

A phrase stands for itself ("held 14 days"), so that "A becomes B" reads well; "" where there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from refref.core.criteria_words import condition_words
from refref.core.money import format_amount
from refref.core.terms import (
    Benefit,
    Cap,
    CustomEvent,
    Duration,
    Override,
    QualifyingEvent,
    RewardRule,
    Tiers,
    Value,
)
from refref.core.words import percent

Names = Mapping[str, str]  # participant, product or price id -> what a person calls it; what is not in it stays an id

KINDS: dict[str, str] = {
    "any_purchase": "every payment",
    "first_purchase": "the first payment",
    "subscription_started": "the first payment of a subscription",
    "trial_converted": "the first payment after a trial",
    "renewal": "every renewal of a subscription",
    "upgrade": "every upgrade of a subscription",
    "trial_started": "the start of a trial",
    "downgrade": "a change to a cheaper plan",
    "quantity_change": "a change of quantity",
    "signup": "a sign-up",
    "custom": "an event in Stripe",
}
_ON = {"every": "every payment", "first": "the first payment", "recurring": "every payment after the first"}
_REWARDS = {"commission": "a commission", "credit": "a credit", "discount": "a discount", "feature": "a feature"}
_PERIODS = {"month": "a calendar month", "quarter": "a quarter", "year": "a calendar year", "ever": "all time"}
_CAPPED = {
    "reward": "one reward",
    "customer": "each customer",
    "participant": "each participant",
    "program": "everybody",
}


def quoted(name: str) -> str:
    """A name in quotation marks."""
    return f"“{name}”"


def listed(words: Iterable[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    *before, final = words
    return f"{', '.join(before)} {last} {final}" if before else final


def counted(count: int, one: str, many: str = "") -> str:
    """`1 day`, `3 days`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def moment(instant: datetime) -> str:
    """`1 Jan 2026`, with the time of day unless it is midnight, UTC."""
    there = instant.astimezone(UTC)
    time = "" if (there.hour, there.minute, there.second) == (0, 0, 0) else f", {there:%H:%M:%S} UTC"
    return f"{there.day} {there:%b %Y}{time}"


def amounts_words(amounts: Mapping[str, int]) -> str:
    """`10.00 USD or 9.00 EUR`, in alphabetical order of currency."""
    return listed([format_amount(amounts[code], code) for code in sorted(amounts)], "or")


def value_words(value: Value | RewardRule) -> str:
    """`20 %`, `10.00 USD`, `20 % plus 10.00 USD`; `nothing`."""
    parts = [percent(value.rate_bps)] if value.rate_bps else []
    if any(value.amounts.values()):
        parts.append(amounts_words(value.amounts))
    return " plus ".join(parts) or "nothing"


def duration_words(duration: Duration) -> str:
    """`12 months from the first payment`, `3 payments`, `for ever`."""
    if duration.unit == "forever":
        return "for ever"
    if duration.unit == "payments":
        return f"for {counted(duration.count, 'payment')}"
    return f"for {counted(duration.count, 'month')} from the first payment"


def benefit_words(benefit: Benefit) -> str:
    """`20 % off the next invoice`, `10.00 USD off every invoice`, `the feature “seats”`."""
    if benefit.feature:
        return f"the feature {quoted(benefit.feature)}"
    off = (
        percent(benefit.percent_off_bps) if benefit.percent_off_bps else amounts_words(benefit.amount_off or {"usd": 0})
    )
    if benefit.duration == "forever":
        return f"{off} off every invoice"
    if benefit.duration == "repeating":
        return f"{off} off the invoices of {counted(benefit.duration_in_months or 0, 'month')}"
    return f"{off} off the next invoice"


def rule_value(rule: RewardRule) -> str:
    """What the rule itself gives, before bands, tiers and overrides."""
    if rule.benefit is not None:
        return benefit_words(rule.benefit)
    per = {"sale": "", "line": " per line", "unit": " per unit"}[rule.fixed_per]
    return value_words(rule) + per


def rule_occasion(rule: RewardRule) -> str:
    """What it is given for: payments, or the event it names."""
    return f"for {quoted(rule.event)}" if rule.event else f"for {_ON[rule.on]}"


def rule_whom(rule: RewardRule, names: Names) -> str:
    """Who gets it."""
    if rule.to == "split":
        shares = [f"{percent(s.share_bps)} to {_name(s.participant, names)}" for s in rule.split]
        return f"divided: {listed(shares)}"
    return f"to the {rule.to}"


def _name(any_id: str, names: Names) -> str:
    return "the referrer" if any_id == "referrer" else names.get(any_id, any_id)


def _of(ids: Iterable[str], names: Names, last: str = "and") -> str:
    return listed([names.get(one, one) for one in ids], last)


def _only(ids: tuple[str, ...], names: Names) -> str:
    return f"only for {_of(ids, names)}" if ids else ""


def _without(ids: tuple[str, ...], names: Names, what: str = "") -> str:
    return f"not {what or 'for '}{_of(ids, names, 'or')}" if ids else ""


def _bands(rule: RewardRule) -> str:
    if not rule.bands:
        return ""
    parts = [
        value_words(band) + (f" up to {counted(band.up_to_months, 'month')}" if band.up_to_months else " at first")
        for band in rule.bands
    ]
    return f"by time since the first payment: {', '.join(parts)}, then {value_words(rule)}"


def tiers_words(tiers: Tiers, names: Names) -> str:
    """The steps in order, with what they are counted by."""
    if tiers.by == "plan":
        return "by plan: " + ", ".join(f"{value_words(step)} for {_of([step.plan], names)}" for step in tiers.steps)
    steps = ", ".join(f"{value_words(step)} {_from_step(tiers, step.at_least)}" for step in tiers.steps)
    back = ", also for what was earned before in the period" if tiers.applies == "retroactive" else ""
    period = f" in {_PERIODS[tiers.period]}" if tiers.period != "ever" else ""
    return f"by {tiers.by}{period}: {steps}{back}"


def _from_step(tiers: Tiers, at_least: int) -> str:
    """Where a step begins; the one that holds from the very first referral, or the first money, on is `at first`."""
    if at_least <= (1 if tiers.by == "referrals" else 0):
        return "at first"
    begins = counted(at_least, "referral") if tiers.by == "referrals" else format_amount(at_least, tiers.currency)
    return f"from {begins} on"


def _override(override: Override, names: Names) -> str:
    whom = [_name(one, names) for one in override.participants] + [f"group {quoted(one)}" for one in override.groups]
    return f"{value_words(override)} for {listed(whom or ['nobody'])}"


def _dates(starts_at: datetime | None, ends_at: datetime | None) -> str:
    parts = [f"from {moment(starts_at)}"] if starts_at else []
    return " ".join([*parts, f"until {moment(ends_at)}"] if ends_at else parts)


RULE_PHRASES: tuple[Callable[[RewardRule, Names], str], ...] = (
    lambda rule, names: _only(rule.products, names),
    lambda rule, names: _without(rule.excluded_products, names),
    lambda rule, names: _bands(rule),
    lambda rule, names: tiers_words(rule.tiers, names) if rule.tiers else "",
    lambda rule, names: ", ".join(_override(override, names) for override in rule.overrides),
    lambda rule, names: f"only if {condition_words(rule.condition, names)}" if rule.condition else "",
    lambda rule, names: f"only in the campaign {quoted(rule.campaign)}" if rule.campaign else "",
    lambda rule, names: _dates(rule.starts_at, rule.ends_at),
    lambda rule, names: duration_words(rule.duration) if rule.duration else "",
    lambda rule, names: "" if rule.hold_days is None else held_words(rule.hold_days),
    lambda rule, names: f"expires after {counted(rule.expires_days, 'day')}" if rule.expires_days else "",
    lambda rule, names: {"manual": "after approval", "automatic": "without approval", None: ""}[rule.approval],
    lambda rule, names: f"instead of later rules of the group {quoted(rule.group)}" if rule.group else "",
)
# What the first words of a rule's sentence tell.
RULE_HEAD: tuple[Callable[[RewardRule, Names], str], ...] = (
    lambda rule, names: rule_value(rule),
    lambda rule, names: rule_occasion(rule),
    rule_whom,
    lambda rule, names: f"as {_REWARDS[rule.reward]}",
)


def held_words(days: int) -> str:
    """`held 30 days`, `payable at once`."""
    return f"held {counted(days, 'day')}" if days else "payable at once"


def rule_sentence(rule: RewardRule, event: QualifyingEvent | None, names: Names) -> str:
    """A rule in one sentence; its event in words, by name where it restricts more than its kind."""
    if event is None:
        occasion = _ON[rule.on] if not rule.event else quoted(rule.event)
    else:
        plain = not any(phrase(event, names) for phrase in EVENT_PHRASES)
        occasion = KINDS[event.kind] if plain else f"{KINDS[event.kind]} ({quoted(event.name or event.event_id)})"
    if rule.tiers or rule.bands or (rule.overrides and value_words(rule) == "nothing"):
        head = f"for {occasion}"
    else:
        head = f"{rule_value(rule)} {'of' if rule.kind == 'percentage' and not rule.benefit else 'for'} {occasion}"
    if rule.benefit is not None:
        head += f", {rule_whom(rule, names)}"
    elif (rule.to, rule.reward) != ("referrer", "commission"):
        head += f", as {_REWARDS[rule.reward]}, {rule_whom(rule, names)}"
    details = [words for phrase in RULE_PHRASES if (words := phrase(rule, names))]
    name = f"{quoted(rule.name)}: " if rule.name else ""
    return name + capital("; ".join([head, *details]), not name) + "."


def capital(text: str, is_first: bool = True) -> str:
    """With a capital letter where it begins a sentence."""
    return text[:1].upper() + text[1:] if is_first else text


def _custom(custom: CustomEvent | None) -> str:
    if custom is None:
        return ""
    parts = [f"on {listed(custom.stripe_types, 'or')}"]
    if custom.criteria:
        parts.append(f"if {custom.criteria}")
    if custom.amount_path:
        parts.append(f"amount from {custom.amount_path}")
    if custom.currency_path:
        parts.append(f"currency from {custom.currency_path}")
    if custom.customer_path:
        parts.append(f"customer from {custom.customer_path}")
    parts.append("once per customer" if custom.per_customer == "once" else "as often as it happens")
    return ", ".join(parts)


EVENT_PHRASES: tuple[Callable[[QualifyingEvent, Names], str], ...] = (
    lambda event, names: _custom(event.custom),
    lambda event, names: _only(event.products, names),
    lambda event, names: _without(event.excluded_products, names),
    lambda event, names: _without(event.excluded_coupons, names, "with the coupon "),
    lambda event, names: _without(event.excluded_email_domains, names, "for addresses at "),
    lambda event, names: f"only customers in {listed(event.countries, 'or')}" if event.countries else "",
    lambda event, names: f"only in {listed([c.upper() for c in event.currencies], 'or')}" if event.currencies else "",
    lambda event, names: f"at least {amounts_words(event.min_net)}" if event.min_net else "",
    lambda event, names: f"from payment number {event.min_payments} on" if event.min_payments > 1 else "",
    lambda event, names: {"new": "only new customers", "any": "new and old customers", None: ""}[event.customers],
    lambda event, names: window_words(event.attribution_window_days, "the click"),
    lambda event, names: window_words(event.signup_window_days, "the sign-up"),
    lambda event, names: "without prorated amounts of a change of plan" if event.prorations == "exclude" else "",
    lambda event, names: f"only if {condition_words(event.condition, names)}" if event.condition else "",
    lambda event, names: "after approval" if event.verification == "manual" else "",
)


def window_words(days: int | None, since: str) -> str:
    """`within 60 days of the click`."""
    return "" if days is None else f"within {counted(days, 'day')} of {since}"


def event_sentence(event: QualifyingEvent, names: Names) -> str:
    """An event in one sentence; "" where its kind says all there is."""
    details = [words for phrase in EVENT_PHRASES if (words := phrase(event, names))]
    if not details:
        return ""
    return f"{quoted(event.name or event.event_id)}: " + "; ".join([KINDS[event.kind], *details]) + "."


def cap_sentence(cap: Cap) -> str:
    """A cap in one sentence."""
    period = f" in {_PERIODS[cap.period]}" if cap.on != "reward" and cap.period != "ever" else ""
    rules = f", from {listed([quoted(rule_id) for rule_id in cap.rules])}" if cap.rules else ""
    return f"At most {amounts_words(cap.amounts)} for {_CAPPED[cap.on]}{period}{rules}."
