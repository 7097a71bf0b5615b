"""What can be wrong with a reward rule of terms. Yields faults; owns no rule of its own beyond docs/terms.md."""

from __future__ import annotations

from refref.core.faults import (
    Fault,
    Faults,
    amount_faults,
    currency_faults,
    either_or_faults,
    list_faults,
    order_faults,
    outside,
    text_faults,
)
from refref.core.terms import MAX_RATE_BPS, Benefit, Duration, QualifyingEvent, RewardRule, Terms, Tiers, Value
from refref.core.terms_check_events import carries_money, condition_faults

MAX_HOLD_DAYS = 365
MAX_EXPIRES_DAYS = 3650
_RATE = "A rate is {least} to 10000 basis points (20 % = 2000)."
_IN_KIND = ("discount", "feature")


def rule_faults(rule: RewardRule, terms: Terms, field: str) -> Faults:
    """What is wrong with one rule; its id is checked with the others'."""
    event = next((event for event in terms.events if event.event_id == rule.event), None)
    yield from text_faults(f"{field}.name", rule.name)
    if rule.event and event is None:
        yield Fault(f"{field}.event", f"There is no event “{rule.event}”: add it to terms.events, or name another.")
    if rule.event and rule.on != "every":
        yield Fault(f"{field}.on", "This is for rules without an event: let the event say which payments count.")
    yield from condition_faults(f"{field}.condition", rule.condition)
    yield from text_faults(f"{field}.group", rule.group)
    yield from text_faults(f"{field}.campaign", rule.campaign, 255)
    yield from list_faults(f"{field}.products", rule.products)
    yield from list_faults(f"{field}.excluded_products", rule.excluded_products)
    yield from either_or_faults(f"{field}.products", rule.products, rule.excluded_products, "products")
    yield from _beneficiary_faults(rule, field)
    if rule.reward in _IN_KIND:
        yield from _in_kind_faults(rule, field)
    else:
        yield from _money_faults(rule, event, field)
    yield from order_faults(f"{field}.ends_at", rule.starts_at, rule.ends_at)
    if rule.duration is not None:
        yield from duration_faults(rule.duration, f"{field}.duration")
    yield from outside(f"{field}.hold_days", rule.hold_days, 0, MAX_HOLD_DAYS, "The hold in days")
    yield from _expiry_faults(rule, terms, field)


def duration_faults(duration: Duration, field: str) -> Faults:
    """A count outside 1 to 1200; `forever` ignores it."""
    if duration.unit != "forever":
        yield from outside(f"{field}.count", duration.count, 1, 1200, f"A duration in {duration.unit}")


def _expiry_faults(rule: RewardRule, terms: Terms, field: str) -> Faults:
    hold_days = terms.hold_days if rule.hold_days is None else rule.hold_days
    yield from outside(f"{field}.expires_days", rule.expires_days, 1, MAX_EXPIRES_DAYS, "The expiry in days")
    if rule.expires_days is not None and rule.expires_days <= hold_days:
        yield Fault(
            f"{field}.expires_days",
            f"It would expire before it is payable: give more than the hold of {hold_days} days.",
        )


def _beneficiary_faults(rule: RewardRule, field: str) -> Faults:
    if rule.to == "referee" and rule.reward == "commission":
        yield Fault(f"{field}.reward", "A referee is a customer: give a credit, a discount or a feature.")
    if rule.to != "split":
        if rule.split:
            yield Fault(f"{field}.split", "Only a rule with `to: split` has shares: set that, or leave them out.")
        return
    if rule.reward in _IN_KIND:
        yield Fault(f"{field}.to", f"A {rule.reward} cannot be divided: give it to the referrer or the referee.")
    if not rule.split:
        yield Fault(f"{field}.split", "Say who shares, in basis points that sum to 10000.")
        return
    for number, share in enumerate(rule.split):
        if share.participant != "referrer":
            yield from _participant_faults(f"{field}.split.{number}.participant", share.participant, "or `referrer`")
        if share.participant in [other.participant for other in rule.split[:number]]:
            yield Fault(f"{field}.split.{number}.participant", f"“{share.participant}” has a share already.")
        yield from outside(f"{field}.split.{number}.share_bps", share.share_bps, 1, MAX_RATE_BPS, "A share")
    total = sum(share.share_bps for share in rule.split)
    if total != MAX_RATE_BPS:
        yield Fault(f"{field}.split", f"The shares sum to {total} basis points: they must sum to 10000.")


def _participant_faults(field: str, participant: str, otherwise: str = "") -> Faults:
    if not participant.startswith("ptc_") or participant != participant.strip():
        yield Fault(field, f"Give the id of a participant, ptc_… {otherwise}".rstrip() + ".")


def _money_faults(rule: RewardRule, event: QualifyingEvent | None, field: str) -> Faults:
    if rule.benefit is not None:
        yield Fault(f"{field}.benefit", f"A {rule.reward} is money: only a discount or a feature has a benefit.")
    yield from _own_value_faults(rule, field)
    if rule.bands and rule.tiers is not None:
        yield Fault(f"{field}.tiers", "A rule has bands or tiers, not both: split it into two rules.")
    values: list[tuple[str, Value]] = []
    for number, band in enumerate(rule.bands):
        where = f"{field}.bands.{number}"
        values.append((where, band))
        yield from outside(f"{where}.up_to_months", band.up_to_months, 0, 1200, "A band's end in months")
        if number and band.up_to_months <= rule.bands[number - 1].up_to_months:
            yield Fault(f"{where}.up_to_months", "Bands come in ascending order: give more months than the one before.")
    if rule.tiers is not None:
        values += [(f"{field}.tiers.steps.{number}", step) for number, step in enumerate(rule.tiers.steps)]
        yield from _tier_faults(rule.tiers, f"{field}.tiers")
    for number, override in enumerate(rule.overrides):
        where = f"{field}.overrides.{number}"
        values.append((where, override))
        if not override.participants and not override.groups:
            yield Fault(where, "Say for whom: name participants or groups.")
        for place, participant in enumerate(override.participants):
            yield from _participant_faults(f"{where}.participants.{place}", participant)
        yield from list_faults(f"{where}.groups", override.groups, 60)
    for where, value in values:
        if not 0 <= value.rate_bps <= MAX_RATE_BPS:
            yield Fault(f"{where}.rate_bps", _RATE.format(least=0))
        yield from amount_faults(f"{where}.amounts", value.amounts, least=0)
    if event is not None and not carries_money(event):
        yield from _moneyless_faults(rule, event, [(field, Value(rule.rate_bps, rule.amounts)), *values], field)


def _own_value_faults(rule: RewardRule, field: str) -> Faults:
    has_others = bool(rule.bands or rule.overrides or rule.tiers)
    least = 0 if has_others else 1
    yield from amount_faults(f"{field}.amounts", rule.amounts)
    if rule.kind == "fixed":
        if rule.rate_bps:
            yield Fault(f"{field}.rate_bps", "A fixed reward has no rate: leave it out, or set `kind: both`.")
    elif not least <= rule.rate_bps <= MAX_RATE_BPS:
        yield Fault(f"{field}.rate_bps", _RATE.format(least=least))
    if rule.kind == "percentage":
        if rule.amounts:
            yield Fault(f"{field}.amounts", "A percentage has no amounts: leave them out, or set `kind: both`.")
        if rule.fixed_per != "sale":
            yield Fault(f"{field}.fixed_per", "This is for fixed amounts: leave it out, or set `kind: both`.")
    elif not rule.amounts and not has_others:
        yield Fault(f"{field}.amounts", 'A fixed reward needs amounts, such as {"usd": 1000}.')


def _moneyless_faults(rule: RewardRule, event: QualifyingEvent, values: list[tuple[str, Value]], field: str) -> Faults:
    for where, value in values:
        if value.rate_bps:
            yield Fault(
                f"{where}.rate_bps",
                f"“{event.event_id}” carries no money to take a percentage of: set `kind: fixed` and give amounts.",
            )
    if rule.fixed_per != "sale":
        yield Fault(f"{field}.fixed_per", f"“{event.event_id}” has no lines: leave it out.")
    if rule.tiers is not None and rule.tiers.by == "plan":
        yield Fault(f"{field}.tiers.by", f"“{event.event_id}” is no sale of a plan: use tiers by referrals or revenue.")


def _tier_faults(tiers: Tiers, field: str) -> Faults:
    if not tiers.steps:
        yield Fault(f"{field}.steps", "Give at least one step.")
    if tiers.by == "revenue":
        if not tiers.currency:
            yield Fault(f"{field}.currency", "Tiers by revenue need the currency in which it is added up, such as usd.")
    elif tiers.currency:
        yield Fault(f"{field}.currency", "Only tiers by revenue have a currency: leave it out.")
    if tiers.currency:
        yield from currency_faults(f"{field}.currency", tiers.currency)
    for number, step in enumerate(tiers.steps):
        where, earlier = f"{field}.steps.{number}", tiers.steps[:number]
        if tiers.by == "plan":
            if not step.plan.strip():
                yield Fault(f"{where}.plan", "Name the plan, by the id of its product or price.")
            elif step.plan in [other.plan for other in earlier]:
                yield Fault(f"{where}.plan", f"“{step.plan}” has a step already: take one out.")
            if step.at_least:
                yield Fault(f"{where}.at_least", "Tiers by plan have no threshold: leave it out.")
            continue
        if step.plan:
            yield Fault(f"{where}.plan", "Only tiers by plan name a plan: leave it out.")
        if step.at_least < 0 or (earlier and step.at_least <= earlier[-1].at_least):
            yield Fault(f"{where}.at_least", "Steps come in ascending order: give more than the step before.")


def _in_kind_faults(rule: RewardRule, field: str) -> Faults:
    for name in ("rate_bps", "amounts", "bands", "tiers", "overrides"):
        if getattr(rule, name):
            yield Fault(f"{field}.{name}", f"A {rule.reward} moves no money: leave it out and describe the benefit.")
    if rule.benefit is None:
        wanted = "percent_off_bps or amount_off" if rule.reward == "discount" else "the feature's lookup key"
        yield Fault(f"{field}.benefit", f"Say what the {rule.reward} grants: {wanted}.")
    else:
        yield from _benefit_faults(rule.benefit, rule.reward, f"{field}.benefit")


def _benefit_faults(benefit: Benefit, reward: str, field: str) -> Faults:
    if reward == "feature":
        if not benefit.feature.strip():
            yield Fault(f"{field}.feature", "Give the lookup key of the feature.")
        if benefit.percent_off_bps or benefit.amount_off:
            yield Fault(field, "A feature takes nothing off: leave percent_off_bps and amount_off out.")
        return
    if benefit.feature:
        yield Fault(f"{field}.feature", "A discount grants no feature: leave it out, or set `reward: feature`.")
    if bool(benefit.percent_off_bps) == bool(benefit.amount_off):
        yield Fault(field, "A discount takes off percent_off_bps or amount_off: give one of them.")
    yield from outside(f"{field}.percent_off_bps", benefit.percent_off_bps, 0, MAX_RATE_BPS, "What is taken off")
    yield from amount_faults(f"{field}.amount_off", benefit.amount_off)
    if benefit.duration == "repeating":
        if benefit.duration_in_months is None:
            yield Fault(f"{field}.duration_in_months", "A repeating discount needs a number of months.")
        yield from outside(f"{field}.duration_in_months", benefit.duration_in_months, 1, 36, "The number of months")
    elif benefit.duration_in_months is not None:
        yield Fault(f"{field}.duration_in_months", "Only a repeating discount has a number of months: leave it out.")
