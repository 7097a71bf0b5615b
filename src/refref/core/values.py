"""Values: what a rule gives for a conversion as options (percentage and fixed part), converted where terms say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from refref.core.claims import CapRoom, Option
from refref.core.compiled import CompiledCap, CompiledRule
from refref.core.conversions import plan_line
from refref.core.decisions import Note
from refref.core.money import currency_rule
from refref.core.program import source_currency
from refref.core.rates import Missing, Rate, Rates, TableRates, convert, day_of, stripe_rate
from refref.core.situation import Situation
from refref.core.terms import CurrencyTerms, Value


class Fixed(NamedTuple):
    """A fixed amount in the wanted currency, or the reason why there is none, and how it was converted."""

    amount: int
    reason: str = ""
    notes: tuple[Note, ...] = ()


def worth_of(rule: CompiledRule, situation: Situation, chosen: frozenset[int] | None) -> tuple[tuple[Option, ...], str]:
    """What the rule may give, and in which currency: one option, or one per tier that other customers' payments choose
    among."""
    if not rule.has_one_value:
        return _worth_of(rule, situation, chosen)
    known = rule.worths.get(situation.currency)
    if known is None:
        known = rule.worths[situation.currency] = _worth_of(rule, situation, chosen)
    return known


def _worth_of(
    rule: CompiledRule, situation: Situation, chosen: frozenset[int] | None
) -> tuple[tuple[Option, ...], str]:
    units = _units(rule, situation, chosen)
    values = _values(rule, situation)
    if not values:
        return (Option(reason="no_tier_for_plan"),), situation.currency
    # What carries no money has the currency in which its values have amounts.
    currency = situation.currency or _own_currency(values, situation.terms.terms.currency.base)
    options = [_option(value, situation, currency, units, notes, at_least) for value, notes, at_least in values]
    return tuple(options), currency


def _values(rule: CompiledRule, situation: Situation) -> Sequence[tuple[Value, tuple[Note, ...], int]]:
    """The value that applies, or one per step of a tier, with why and from what on; none for an unknown plan."""
    own = rule.rule
    for override in own.overrides:
        if situation.binding.participant_id in override.participants:
            return [(override, (("override", "participant"),), 0)]
    for override in own.overrides:
        for group in override.groups:
            if group in situation.profile.groups:
                return [(override, (("override", group),), 0)]
    for band in own.bands:
        if situation.months <= band.up_to_months:
            return [(band, (("band", situation.months, band.up_to_months),), 0)]
    if own.tiers is not None and own.tiers.by == "plan":
        plan = plan_line(situation.lines)
        return [
            (step, (("plan", step.plan),), 0)
            for step in own.tiers.steps
            if plan is not None and step.plan in (plan.product, plan.price)
        ][:1]
    if own.tiers is not None:
        return [(step, (), step.at_least) for step in own.tiers.steps]
    rate = 0 if own.kind == "fixed" else own.rate_bps
    return [(Value(rate_bps=rate, amounts={} if own.kind == "percentage" else own.amounts), (), 0)]


def _own_currency(values: Sequence[tuple[Value, tuple[Note, ...], int]], base: str) -> str:
    named = {currency for value, _, _ in values for currency in value.amounts}
    return base if base in named or not named else min(named)


def _units(rule: CompiledRule, situation: Situation, chosen: frozenset[int] | None) -> int:
    if rule.rule.fixed_per == "sale" or situation.base is None or not situation.lines:
        return 1
    nets = situation.base.lines
    own = [
        line
        for place, line in enumerate(situation.lines)
        if nets[place].net > 0 and (place in chosen if chosen is not None else not nets[place].left_out)
    ]
    if rule.rule.fixed_per == "line":
        return len(own)
    return sum(1 if line.quantity is None else line.quantity for line in own)


def _option(
    value: Value, situation: Situation, currency: str, units: int, notes: tuple[Note, ...], at_least: int
) -> Option:
    if not value.amounts:
        return Option(at_least, value.rate_bps, 0, "", notes)
    fixed = fixed_amount(value.amounts, currency, situation)
    if units != 1:
        notes += (("units", units),)
    return Option(at_least, value.rate_bps, fixed.amount * units, fixed.reason, notes + fixed.notes)


def fixed_amount(amounts: Mapping[str, int], currency: str, situation: Situation) -> Fixed:
    """The amount for a currency: as given, else converted where the terms do that."""
    given = amounts.get(currency)
    if given is not None:
        return Fixed(given)
    terms = situation.terms.terms.currency
    if terms.conversion == "never" or not currency:
        return Fixed(0, "no_amount_for_currency")
    source = source_currency(amounts, terms)
    found = rate_for(source, currency, situation)
    if not isinstance(found, Rate):
        return Fixed(0, "no_rate" if found is None else found.reason)
    amount = max(convert(amounts[source], found), currency_rule(currency).charge_step)
    return Fixed(amount, "", (rate_note(found, amounts[source], amount),))


def rate_for(source: str, target: str, situation: Situation) -> Rate | Missing | None:
    """The rate of the conversion's day by the terms; None where the terms never convert or no rates are at hand."""
    terms = situation.terms.terms.currency
    day = day_of(situation.occurred_at)
    if terms.conversion == "daily" and situation.sale is not None:
        of_stripe = stripe_rate(situation.sale.facts, situation.sale.currency, source, target)
        if of_stripe is not None:
            return of_stripe
    rates = _rates(terms, situation)
    return None if rates is None else rates.rate(source, target, day)


def _rates(terms: CurrencyTerms, situation: Situation) -> Rates | None:
    if terms.conversion == "table":
        return TableRates(terms.base, terms.table)
    return situation.config.rates if terms.conversion == "daily" else None


def rate_note(rate: Rate, before: int, after: int) -> Note:
    """How an amount was converted, for the explanation."""
    on = "" if rate.on is None else rate.on.isoformat()
    return ("rate", rate.source, rate.target, rate.rate, on, rate.origin, rate.via, before, after)


def rate_of_note(note: Note) -> Rate:
    """The rate that a note tells of, as far as converting needs it."""
    return Rate(str(note[1]), str(note[2]), str(note[3]), None, "table")


def caps_for(rule: CompiledRule, currency: str, situation: Situation) -> tuple[CapRoom, ...]:
    """The caps on what a rule gives in a currency."""
    known = rule.rooms.get(currency)
    if known is None:
        is_for_referee = rule.rule.to == "referee"
        caps = [cap for cap in rule.caps if not (is_for_referee and cap.cap.on == "participant")]
        known = tuple([cap_room(cap, currency, situation) for cap in caps])
        if not situation.terms.is_daily:
            rule.rooms[currency] = known
    return known


def cap_room(cap: CompiledCap, currency: str, situation: Situation) -> CapRoom:
    """A cap for rewards in a currency; where it has no amount in it, the amount in which they count, converted."""
    given = cap.cap
    window = "" if cap.window is None else cap.window.key
    named = tuple(sorted(given.amounts))
    amount = given.amounts.get(currency)
    terms = situation.terms.terms.currency
    others = "" if terms.conversion == "never" else source_currency(given.amounts, terms)
    if amount is not None:
        return CapRoom(given.on, window, given.period, amount, currency, named, others)
    if not others:
        return CapRoom(given.on, window, given.period, 0, currency, named, "", "no_cap_for_currency")
    found = rate_for(currency, others, situation)
    if not isinstance(found, Rate):
        reason = "no_rate" if found is None else found.reason
        return CapRoom(given.on, window, given.period, 0, others, named, others, reason)
    note = rate_note(found, 0, 0)
    return CapRoom(given.on, window, given.period, given.amounts[others], others, named, others, "", note)


def counted_in(currency: str, situation: Situation) -> tuple[Note, ...]:
    """The rates at which a reward counts in the currencies of the program's caps that do not name its own."""
    if situation.terms.is_daily:
        return _counted_in(currency, situation)
    key = situation.terms.version, currency
    known = situation.outline.counted_in.get(key)
    if known is None:
        known = situation.outline.counted_in[key] = _counted_in(currency, situation)
    return known


def _counted_in(currency: str, situation: Situation) -> tuple[Note, ...]:
    found: dict[str, Note] = {}
    for source, named in situation.outline.cap_currencies:
        if currency not in named and source not in found:
            rate = rate_for(currency, source, situation)
            if isinstance(rate, Rate):
                found[source] = rate_note(rate, 0, 0)
    return tuple(found.values())
