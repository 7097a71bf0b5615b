"""Rules: what each reward rule makes of one conversion, from this customer's facts alone: a claim, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from refref.core.base import LineFilter
from refref.core.claims import Claim, Option
from refref.core.compiled import CompiledEvent, CompiledRule
from refref.core.conversions import Happening
from refref.core.criteria import Criteria
from refref.core.decisions import Note, RuleOutcome
from refref.core.facts import Line
from refref.core.periods import DAY_S, has_passed
from refref.core.rates import Rate
from refref.core.situation import Situation
from refref.core.terms import QualifyingEvent, RewardRule, Terms
from refref.core.values import caps_for, counted_in, rate_for, rate_note, worth_of

Chosen = frozenset[int] | None  # places of lines; None: every line that the terms let through


class Met(NamedTuple):
    """What a qualifying event made of a conversion: the reason why not, or its lines and how often it was met."""

    reason: str
    because: str = ""
    chosen: Chosen = None
    times: int = 0


NOT_MET = Met("no_rule_applies")
_EVERY, _RECURRING = 0, 1  # beside the ids of events: counted payments, and those after the first


class Standing(NamedTuple):
    """What holds for all rules of one conversion: refusals by policy (see `evaluate`), holds and verdicts."""

    refused_by_policy: Mapping[int, str]  # id of the event (0: none) -> reason
    is_fraud_held: bool
    verdict: str


def apply_rules(situation: Situation, standing: Standing) -> tuple[tuple[RuleOutcome, ...], tuple[Claim, ...]]:
    """The outcome of every rule that has to do with this conversion, and the claims (their outcomes say `claimed`)."""
    outcomes: list[RuleOutcome] = []
    claims: list[Claim] = []
    met: dict[int, Met] = {}
    taken: dict[str, set[int]] = {}
    for rule in situation.terms.rules:
        if situation.happening is not None and not _concerns(rule, situation):
            continue
        result = _claim(rule, situation, standing, met, taken)
        if isinstance(result, Claim):
            claims.append(result)
            outcomes.append(rule.claimed)
        else:
            outcomes.append(result)
    if situation.terms.events:
        _meet_the_others(situation, standing, met)
    return tuple(outcomes), tuple(claims)


def _meet_the_others(situation: Situation, standing: Standing, met: dict[int, Met]) -> None:
    """Count the events that no rule asked about here: a rule of later terms or dates may ask who was first."""
    happening = situation.happening
    for compiled in situation.terms.events.values():
        if id(compiled) in met or compiled.is_money != (happening is None):
            continue
        if happening is not None and not _is_of_event(compiled, happening):
            continue
        _meet(compiled, situation, standing, met)


def _concerns(rule: CompiledRule, situation: Situation) -> bool:
    """Whether a conversion without a payment is what this rule's event is about."""
    happening = situation.happening
    return rule.event is not None and happening is not None and _is_of_event(rule.event, happening)


def _is_of_event(compiled: CompiledEvent, happening: Happening) -> bool:
    event = compiled.event
    return event.kind == happening.kind and (happening.kind != "custom" or event.event_id == happening.event_id)


def _refused(rule: CompiledRule, reason: str, because: str = "") -> RuleOutcome:
    if because:
        return RuleOutcome(rule.rule.rule_id, "refused", reason, rule.rule.kind, notes=(("because", because),))
    known = rule.refusals.get(reason)
    if known is None:
        known = rule.refusals[reason] = RuleOutcome(rule.rule.rule_id, "refused", reason, rule.rule.kind)
    return known


def _claim(
    rule: CompiledRule,
    situation: Situation,
    standing: Standing,
    met: dict[int, Met],
    taken: dict[str, set[int]],
) -> Claim | RuleOutcome:
    own = rule.rule
    at = situation.occurred_at
    if (rule.starts_at is not None and at < rule.starts_at) or (rule.ends_at is not None and at >= rule.ends_at):
        return _refused(rule, "rule_not_running")
    if own.campaign and own.campaign != situation.binding.carrier.campaign:
        return _refused(rule, "other_campaign")
    event = _met(rule, situation, standing, met)
    if event.reason:
        return _refused(rule, event.reason, event.because)
    if not rule.is_endless and _is_over(rule, situation, event.times):
        return _refused(rule, "duration_over")
    if rule.criteria is not None and not rule.criteria.matches(situation.values):
        return _refused(rule, "condition_false", _because(rule.criteria, situation))
    if rule.needs_lines and _lacks_lines(situation):
        return _refused(rule, "lines_missing")
    if situation.happening is not None and not _is_of_products(situation, own):
        return _refused(rule, "not_eligible_lines")
    chosen = event.chosen
    if rule.keep is not None or own.group:
        chosen = _lines(rule, situation, event.chosen, taken)
    if chosen is not None and not chosen:
        is_beaten = own.group and _own_lines(rule, situation, event.chosen) != frozenset()
        return _refused(rule, "lower_precedence" if is_beaten else "not_eligible_lines")
    return _priced(rule, situation, standing, chosen)


def _because(criteria: Criteria, situation: Situation) -> str:
    return criteria.reason_against(situation.values) if situation.config.explains else ""


def _met(rule: CompiledRule, situation: Situation, standing: Standing, met: dict[int, Met]) -> Met:
    if rule.event is None:
        on = rule.rule.on
        number = situation.number
        if (on == "first" and number != 1) or (on == "recurring" and number == 1):
            return NOT_MET
        place = _RECURRING if on == "recurring" else _EVERY
        known = met.get(place)
        if known is None:
            times = number - 1 if on == "recurring" else number
            known = met[place] = Met(standing.refused_by_policy.get(0, ""), "", None, times)
        return known
    return met.get(id(rule.event)) or _meet(rule.event, situation, standing, met)


def _counted_as(compiled: CompiledEvent, situation: Situation) -> str:
    """Under what an event is counted: payments by themselves, what carries none by itself."""
    event_id = compiled.event.event_id
    return event_id if situation.happening is None else f"{event_id}/without payment"


def _meet(compiled: CompiledEvent, situation: Situation, standing: Standing, met: dict[int, Met]) -> Met:
    """Judge an event once for a conversion, and count it in both cycles where it is met."""
    judged = _judge_event(compiled, situation, standing)
    if not judged.reason:
        event_id = _counted_as(compiled, situation)
        for cycle in situation.cycles:
            cycle.met[event_id] = cycle.met.get(event_id, 0) + 1
        judged = Met("", "", judged.chosen, situation.cycle.met[event_id])
    met[id(compiled)] = judged
    return judged


def _judge_event(compiled: CompiledEvent, situation: Situation, standing: Standing) -> Met:
    """Whether a conversion meets a qualifying event: its kind, then each criterion in the order of docs/terms.md."""
    event = compiled.event
    if situation.sale is not None:
        is_again = event.kind == "first_purchase" and situation.cycle.met.get(_counted_as(compiled, situation))
        if is_again or (event.kind not in situation.kinds and event.kind != "first_purchase"):
            return NOT_MET
    if situation.happening is not None and situation.happening.missing:
        return Met(situation.happening.missing)
    if compiled.keep is not None and _lacks_lines(situation):
        return Met("lines_missing")
    chosen = _places(compiled.keep, situation, None) if compiled.keep is not None and situation.sale else None
    if chosen and len(chosen) == len(situation.lines) and not (event.products or event.excluded_products):
        chosen = None  # nothing was left out: shipping counts as it does without such an event
    base = situation.base_of_lines(chosen)
    if event.kind == "upgrade" and base <= 0:
        return NOT_MET
    reason = _criterion_not_met(compiled, situation, chosen, base)
    reason = reason or standing.refused_by_policy.get(id(compiled), "")
    if reason:
        return Met(reason)
    if compiled.criteria is not None and not compiled.criteria.matches(situation.values):
        return Met("condition_false", _because(compiled.criteria, situation))
    return Met("", "", chosen)


def _criterion_not_met(compiled: CompiledEvent, situation: Situation, chosen: Chosen, base: int) -> str:
    event = compiled.event
    is_of_products = _is_of_products(situation, situation.terms.terms) and _is_of_products(situation, event)
    if (chosen is not None and not chosen) or not is_of_products:
        return "not_eligible_lines"
    if compiled.coupons and not compiled.coupons.isdisjoint(situation.coupons):
        return "excluded_coupon"
    if compiled.domains and any(email.endswith(compiled.domains) for email in situation.referee.emails):
        return "excluded_email_domain"
    if compiled.countries and situation.referee.country not in compiled.countries:
        return "country"
    if compiled.currencies and situation.currency not in compiled.currencies:
        return "currency"
    if base < event.min_net.get(situation.currency, 0):
        return "below_minimum"
    if situation.sale is not None and situation.number < event.min_payments:
        return "too_few_payments"
    return ""


def _lacks_lines(situation: Situation) -> bool:
    return situation.sale is not None and situation.sale.lines is None


def _is_of_products(situation: Situation, chooser: Terms | QualifyingEvent | RewardRule) -> bool:
    """Whether what happened without a payment concerns a product that terms, event or rule let through."""
    happening = situation.happening
    if happening is None or not happening.products:
        return True
    own = frozenset(happening.products)
    if chooser.products and own.isdisjoint(chooser.products):
        return False
    return own.isdisjoint(chooser.excluded_products)


def _places(keep: LineFilter, situation: Situation, within: Chosen) -> frozenset[int]:
    """The places of the lines that the terms and `keep` let through."""
    base = situation.base
    return frozenset(
        [
            place
            for place, line in enumerate(situation.lines)
            if (within is None or place in within) and (base is None or not base.lines[place].left_out) and keep(line)
        ]
    )


def _own_lines(rule: CompiledRule, situation: Situation, of_event: Chosen) -> Chosen:
    if rule.keep is None or situation.happening is not None:  # without a payment there are no lines to choose from
        return of_event
    return _places(rule.keep, situation, of_event)


def _every(line: Line) -> bool:
    return True


def _lines(rule: CompiledRule, situation: Situation, of_event: Chosen, taken: dict[str, set[int]]) -> Chosen:
    """The lines of this rule: those of its event and products that no earlier rule of its group took."""
    chosen = _own_lines(rule, situation, of_event)
    group = rule.rule.group
    if not group:
        return chosen
    gone = taken.setdefault(group, set())
    if not situation.lines:  # a sale without known lines is one line
        if -1 in gone:
            return frozenset()
        gone.add(-1)
        return chosen
    if chosen is None:
        if not gone:
            gone.update(range(len(situation.lines)))
            return None
        chosen = _places(_every, situation, None)
    left = frozenset(chosen - gone)
    gone.update(left)
    return left


def _is_over(rule: CompiledRule, situation: Situation, count: int) -> bool:
    duration = rule.duration or situation.terms.terms.duration
    first_at = situation.cycle.first_at
    if duration.unit == "months":
        return first_at is not None and has_passed(first_at, duration.count, situation.occurred_at)
    if rule.duration is None:
        return situation.number > duration.count
    return count > duration.count


def _priced(rule: CompiledRule, situation: Situation, standing: Standing, chosen: Chosen) -> Claim | RuleOutcome:
    own = rule.rule
    base = situation.base_of_lines(chosen)
    if situation.sale is not None and base <= 0:
        return _refused(rule, "nothing_paid")
    options: tuple[Option, ...] = ()
    currency = situation.currency
    if own.reward in ("commission", "credit"):
        options, currency = worth_of(rule, situation, chosen)
    if len(options) == 1 and options[0].reason:
        return _refused(rule, options[0].reason)
    pays, pays_note, reason = _pays(situation, currency)
    if reason:
        return _refused(rule, reason)
    reversal = situation.reversal_of_lines(chosen, base)
    verdict = _verdict(rule, situation, standing) if situation.config.reviews else ""
    holds: tuple[str, ...] = ()
    if verdict == "" and (rule.is_manual or standing.is_fraud_held):
        holds = (("awaiting_approval",) if rule.is_manual else ()) + (("fraud_hold",) if standing.is_fraud_held else ())
    occurred_at = situation.occurred_at
    return Claim(  # by place: one is made for each rule of each conversion
        rule.number,
        own.rule_id,
        own.kind,
        own.reward,
        base,
        currency,
        options,
        rule.tier_key if len(options) > 1 else "",
        rule.is_retroactive,
        _NOTHING_GONE if reversal is None or not reversal.items else reversal.base_share.as_integer_ratio(),
        reversal is not None and reversal.is_whole,
        _parts(own, situation),
        caps_for(rule, pays or currency, situation) if rule.caps else (),
        occurred_at + rule.hold_days * DAY_S,
        None if rule.expires_days is None else occurred_at + rule.expires_days * DAY_S,
        holds,
        verdict == "rejected",
        pays,
        pays_note,
        verdict == "approved",
        counted_in(pays or currency, situation) if situation.outline.cap_currencies else (),
    )


_NOTHING_GONE = (0, 1)


def _pays(situation: Situation, currency: str) -> tuple[str, Note, str]:
    """The currency in which the reward is owed ("": the conversion's), the rate as a note, or why there is none."""
    terms = situation.terms.terms.currency
    if terms.pays_in != "base" or not terms.base or not currency or terms.base == currency:
        return "", (), ""
    found = rate_for(currency, terms.base, situation)
    if isinstance(found, Rate):
        return terms.base, rate_note(found, 0, 0), ""
    return "", (), "no_rate" if found is None else found.reason


def _parts(rule: RewardRule, situation: Situation) -> tuple[tuple[str, int], ...]:
    referrer = situation.binding.participant_id
    if rule.to == "referee":
        return ((situation.referee.id, 10_000),)
    if rule.to == "split":
        shares: dict[str, int] = {}  # two shares of one participant are one, in the place of the first
        for share in rule.split:
            owner = referrer if share.participant == "referrer" else share.participant
            shares[owner] = shares.get(owner, 0) + share.share_bps
        return tuple(shares.items())
    return ((referrer, 10_000),)


def _verdict(rule: CompiledRule, situation: Situation, standing: Standing) -> str:
    """What a person decided: on this reward, else on the conversion or the referral."""
    reviews = situation.config.reviews
    for stripe_id in situation.ids:
        verdict = reviews.get((situation.program.program_id, rule.rule.rule_id, stripe_id))
        if verdict:
            return verdict
    return standing.verdict
