"""Terms made ready for use: look-ups as sets, instants as seconds, conditions compiled, and what must be counted.

Decides nothing. A version of terms is compiled once and kept, with what is the same for each of its conversions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from refref.core.base import LineFilter, line_filter
from refref.core.claims import CapRoom, Option
from refref.core.criteria import CONDITION_VARIABLES, Criteria, compile_criteria
from refref.core.decisions import RuleOutcome
from refref.core.terms import MONEY_KINDS, Cap, FraudCheck, QualifyingEvent, RewardRule, Terms, TermsVersion

Measure = Literal["referrals", "revenue", "customer", "participant", "program"]
DEFAULT_FRAUD: dict[FraudCheck, str] = {
    "self_email": "deny",
    "self_card": "deny",
    "self_domain": "flag",
    "self_ip": "flag",
    "disposable_email": "flag",
    "refund_rate": "off",
    "velocity": "off",
    "coupon_site": "off",
}
DEFAULT_LIMITS: dict[str, int] = {"refund_rate": 30, "velocity": 50}
SHARED_CHECKS: tuple[FraudCheck, ...] = ("refund_rate", "velocity", "coupon_site")


class Window:
    """One sum that rules look at: what is added up, over which period, and of which rules (None: of all)."""

    __slots__ = ("key", "measure", "period", "rules")

    def __init__(self, measure: Measure, period: str, rules: tuple[str, ...] = ()) -> None:
        self.measure = measure
        self.period = period
        self.rules = frozenset(rules) if rules else None
        self.key = f"{measure} {period} {' '.join(sorted(rules))}".strip()


class CompiledCap:
    """A cap with the window that it limits; None for one reward alone."""

    __slots__ = ("cap", "window")

    def __init__(self, cap: Cap) -> None:
        self.cap = cap
        self.window = None if cap.on == "reward" else Window(cap.on, cap.period, cap.rules)


class CompiledEvent:
    """A qualifying event."""

    __slots__ = ("countries", "coupons", "criteria", "currencies", "domains", "event", "is_money", "keep")

    def __init__(self, event: QualifyingEvent) -> None:
        self.event = event
        self.keep = _event_filter(event)
        self.coupons = frozenset(event.excluded_coupons)
        self.domains = domains_of(event.excluded_email_domains)
        self.countries = frozenset(event.countries)
        self.currencies = frozenset(event.currencies)
        self.criteria = _compiled(event.condition)
        self.is_money = event.kind in MONEY_KINDS


class CompiledRule:
    """A reward rule; `event` None: counted payments, by `on`."""

    __slots__ = (
        "caps", "claimed", "criteria", "duration", "ends_at", "event", "expires_days", "has_one_value", "hold_days",
        "is_endless", "is_manual", "is_retroactive", "keep", "needs_lines", "number", "refusals", "rooms", "rule",
        "starts_at", "tier_key", "tier_window", "worths",
    )  # fmt: skip

    def __init__(self, number: int, rule: RewardRule, terms: Terms, event: CompiledEvent | None) -> None:
        self.number = number
        self.rule = rule
        self.event = event
        self.keep = line_filter(rule.products, rule.excluded_products)
        self.criteria = _compiled(rule.condition)
        self.starts_at = None if rule.starts_at is None else int(rule.starts_at.timestamp())
        self.ends_at = None if rule.ends_at is None else int(rule.ends_at.timestamp())
        self.duration = rule.duration
        self.is_endless = (rule.duration or terms.duration).unit == "forever"
        self.hold_days = terms.hold_days if rule.hold_days is None else rule.hold_days
        self.expires_days = rule.expires_days
        self.is_manual = (
            rule.approval == "manual"
            or (rule.approval is None and terms.approval == "manual")
            or (event is not None and event.event.verification == "manual")
        )
        caps = [CompiledCap(cap) for cap in terms.caps if not cap.rules or rule.rule_id in cap.rules]
        self.caps = tuple(sorted(caps, key=lambda cap: _CAP_ORDER[cap.cap.on])) if _is_capped(rule) else ()
        self.tier_window = _tier_window(rule)
        self.tier_key = "" if self.tier_window is None else self.tier_window.key
        self.is_retroactive = rule.tiers is not None and rule.tiers.applies == "retroactive"
        self.needs_lines = _needs_lines(self)
        self.claimed = RuleOutcome(rule.rule_id, "claimed")
        self.refusals: dict[str, RuleOutcome] = {}  # by reason, without more to say
        # Of each currency, where neither the conversion nor its day matters (`values`):
        self.has_one_value = _has_one_value(rule) and not is_daily(terms)
        self.worths: dict[str, tuple[tuple[Option, ...], str]] = {}
        self.rooms: dict[str, tuple[CapRoom, ...]] = {}


class CompiledTerms:
    """A version of terms, ready for use."""

    __slots__ = (
        "asked", "coupons", "domains", "effective_at", "ends_at", "events", "fraud", "fraud_limits", "has_one_policy",
        "is_daily", "keep", "moneyless", "policies", "rules", "starts_at", "terms", "version", "windows",
    )  # fmt: skip

    def __init__(self, version: TermsVersion) -> None:
        terms = version.terms
        self.version = version.version
        self.effective_at = version.effective_at
        self.terms = terms
        self.starts_at = None if terms.starts_at is None else int(terms.starts_at.timestamp())
        self.ends_at = None if terms.ends_at is None else int(terms.ends_at.timestamp())
        self.keep = line_filter(terms.products, terms.excluded_products)
        self.coupons = frozenset(terms.excluded_coupons)
        self.domains = domains_of(terms.excluded_email_domains)
        self.events = {event.event_id: CompiledEvent(event) for event in terms.events}
        self.rules = tuple(
            CompiledRule(number, rule, terms, self.events.get(rule.event)) for number, rule in enumerate(terms.rules)
        )
        self.moneyless = tuple(
            {id(r.event): r.event for r in self.rules if r.event is not None and not r.event.is_money}.values()
        )
        criteria = [*(rule.criteria for rule in self.rules), *(event.criteria for event in self.events.values())]
        self.asked = frozenset(name for one in criteria if one is not None for name in one.names)
        self.policies = _policies(terms, self.events)
        self.has_one_policy = len(set(self.policies.values())) == 1
        self.is_daily = is_daily(terms)
        given = {rule.check: rule for rule in terms.fraud}
        self.fraud = {check: given[check].action if check in given else act for check, act in DEFAULT_FRAUD.items()}
        self.fraud_limits = {
            check: given[check].limit if check in given and given[check].limit else limit
            for check, limit in DEFAULT_LIMITS.items()
        }
        self.windows = _windows(self.rules)

    @property
    def needs_lines(self) -> bool:
        """Whether the lines of a sale matter for what it earns."""
        return self.keep is not None or any(rule.needs_lines for rule in self.rules)

    @property
    def is_shared(self) -> bool:
        """Whether what a payment earns may depend on other customers' payments."""
        return any(window.measure != "customer" for window in self.windows) or any(
            given.check in SHARED_CHECKS and given.action != "off" for given in self.terms.fraud
        )


_CAP_ORDER = {"reward": 0, "customer": 1, "participant": 2, "program": 3}


def _is_capped(rule: RewardRule) -> bool:
    return rule.reward in ("commission", "credit")


def _compiled(condition: str) -> Criteria | None:
    return compile_criteria(condition, variables=CONDITION_VARIABLES) if condition else None


def domains_of(domains: tuple[str, ...]) -> tuple[str, ...]:
    """Domains as the ends of addresses: `@example.com`."""
    return tuple(f"@{domain.lower().lstrip('@')}" for domain in domains)


def is_daily(terms: Terms) -> bool:
    """Whether amounts may depend on the rates of a day."""
    return terms.currency.conversion == "daily"


def _has_one_value(rule: RewardRule) -> bool:
    """Whether what the rule gives in a currency is the same for every conversion but for others' payments."""
    by_plan = rule.tiers is not None and rule.tiers.by == "plan"
    return not rule.overrides and not rule.bands and not by_plan and rule.fixed_per == "sale"


Policy = tuple[str, int, int | None]  # customers, window from the click, window from the sign-up


def _policies(terms: Terms, events: Mapping[str, CompiledEvent]) -> dict[int, Policy]:
    """Whom and when to reward by the terms (key 0) and by each event (its id()) that says otherwise."""
    policies: dict[int, Policy] = {0: (terms.customers, terms.attribution_window_days, terms.signup_window_days)}
    for compiled_event in events.values():
        event = compiled_event.event
        policies[id(compiled_event)] = (
            event.customers or terms.customers,
            event.attribution_window_days or terms.attribution_window_days,
            event.signup_window_days if event.signup_window_days is not None else terms.signup_window_days,
        )
    return policies


def _event_filter(event: QualifyingEvent) -> LineFilter | None:
    by_product = line_filter(event.products, event.excluded_products)
    if event.kind == "upgrade":
        return lambda line: line.is_proration and (by_product is None or by_product(line))
    if event.prorations == "exclude":
        return lambda line: not line.is_proration and (by_product is None or by_product(line))
    return by_product


def _needs_lines(rule: CompiledRule) -> bool:
    by_event = rule.event is not None and rule.event.keep is not None
    by_tier = rule.rule.tiers is not None and rule.rule.tiers.by == "plan"
    return by_event or by_tier or rule.keep is not None or rule.rule.fixed_per != "sale"


def _tier_window(rule: RewardRule) -> Window | None:
    tiers = rule.tiers
    if tiers is None or tiers.by == "plan":
        return None
    return Window("referrals" if tiers.by == "referrals" else "revenue", tiers.period)


def _windows(rules: tuple[CompiledRule, ...]) -> tuple[Window, ...]:
    found: dict[str, Window] = {}
    for rule in rules:
        for window in (rule.tier_window, *(cap.window for cap in rule.caps)):
            if window is not None:
                found[window.key] = window
    return tuple(found.values())


_kept: dict[int, tuple[Terms, int, int, CompiledTerms]] = {}
_MOST_KEPT = 4096


def compiled(version: TermsVersion) -> CompiledTerms:
    """The version, ready for use; the same object for the same version."""
    known = _kept.get(id(version.terms))
    if known is not None and known[0] is version.terms and known[1:3] == (version.version, version.effective_at):
        return known[3]
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    made = CompiledTerms(version)
    _kept[id(version.terms)] = (version.terms, version.version, version.effective_at, made)
    return made
