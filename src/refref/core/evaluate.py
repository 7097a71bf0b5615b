"""The first stage: every conversion of one bound referee in one program, judged in order; claims instead of rewards.

Looks at this referee's facts alone. docs/terms.md, "The order of decisions", is the rule book.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from refref.core.attribution import Binding
from refref.core.base import Base, base_of
from refref.core.claims import Candidate, Claim
from refref.core.compiled import CompiledTerms, Policy
from refref.core.conversions import Happening, Referee, coupons_of, happenings, kinds_of
from refref.core.decisions import WAITING, Decision, RuleOutcome
from refref.core.facts import CarrierKind
from refref.core.fraud import findings
from refref.core.periods import add_days
from refref.core.program import Config, Program
from refref.core.rates import Rate, convert
from refref.core.reversals import Reversal, reversal_of
from refref.core.rules import Standing, apply_rules
from refref.core.sales import Sale, SaleStatus
from refref.core.situation import Cycle, Situation, default_currency
from refref.core.values import rate_for

_ALL = "all"
_SELF = frozenset(("self_email", "self_card"))


class Course:
    """What the payments judged so far have settled for the later ones of one referee in one program."""

    __slots__ = (
        "binding", "config", "counted", "cycles", "denied", "findings", "first_counted", "flags", "has_paid_before",
        "is_fraud_held", "numbers", "outline", "program", "referee", "verdict",
    )  # fmt: skip

    def __init__(
        self, program: Program, binding: Binding, referee: Referee, sales: Sequence[Sale], config: Config
    ) -> None:
        self.program = program
        self.outline = program.outline
        self.binding = binding
        self.referee = referee
        self.config = config
        self.cycles: dict[str, Cycle] = {}
        self.numbers: dict[str, int] = {}  # counted payments by subscription
        self.first_counted: tuple[int, str] | None = None  # instant and key
        self.counted = 0
        self.has_paid_before = any(
            sale.status is SaleStatus.PAID
            and sale.paid > 0
            and sale.paid_at < binding.covers_from
            and sale.key != binding.sale_key
            for sale in sales
        )
        self.verdict = config.reviews.get((program.program_id, "", referee.id), "") if config.reviews else ""
        self.denied = ""
        self.is_fraud_held = False
        self.flags: tuple[str, ...] = ()
        self.findings = findings(binding.participant_id, referee.emails, referee.ips, config)

    def cycle(self, key: str) -> Cycle:
        """The earning cycle of all payments (_ALL) or of one subscription."""
        known = self.cycles.get(key)
        if known is None:
            known = self.cycles[key] = Cycle()
        return known

    def look_for_fraud(self, terms: CompiledTerms) -> None:
        """Judge the referral by the checks that it answers alone; whether a person overrides them is asked later."""
        if not self.findings:
            return
        self.flags = tuple(check for check in self.findings if terms.fraud[check] != "off")
        self.denied = ""
        self.is_fraud_held = False
        for check in self.flags:
            action = terms.fraud[check]  # type: ignore[index]  # flags are checks
            if action == "deny" and not self.denied:
                self.denied = "self_referral" if check in _SELF else "fraud_denied"
            self.is_fraud_held = self.is_fraud_held or action == "hold"


def evaluate(
    program: Program, binding: Binding, referee: Referee, sales: Sequence[Sale], config: Config
) -> tuple[list[Candidate], bool]:
    """Every conversion of a bound referee in order, and whether a check against fraud found something."""
    course = Course(program, binding, referee, sales, config)
    happened = _happenings(course)
    candidates: list[Candidate] = []
    place = 0
    is_flagged = False
    for sale in sales:
        while place < len(happened) and (happened[place].occurred_at, happened[place].key) < (sale.paid_at, sale.key):
            candidates.append(_judge_happening(course, happened[place]))
            place += 1
        if sale.status is not SaleStatus.UNPAID:
            candidates.append(_judge_sale(course, sale))
            is_flagged = is_flagged or bool(course.flags)
    candidates.extend([_judge_happening(course, item) for item in happened[place:]])
    return candidates, is_flagged or bool(course.flags)


def _happenings(course: Course) -> list[Happening]:
    """What happened besides payments, each under the terms of its instant."""
    if not course.outline.has_moneyless:
        return []
    program, bound_at = course.program, course.binding.bound_at
    found: dict[str, Happening] = {}
    for version in program.terms:
        terms = program.version_numbered(version.version)
        if not terms.moneyless:
            continue

        def is_judged_by(instant: int, terms: CompiledTerms = terms) -> bool:
            return program.version_for(instant, bound_at) is terms

        for item in happenings(course.referee, terms.moneyless, is_judged_by):
            known = found.get(item.key)
            if known is None or item.occurred_at < known.occurred_at:
                found[item.key] = item
    return sorted(found.values(), key=lambda item: (item.occurred_at, item.key))


# Payments ------------------------------------------------------------------------------------------------------------


def _judge_sale(course: Course, sale: Sale) -> Candidate:
    program, binding = course.program, course.binding
    terms = program.version_for(sale.paid_at, binding.bound_at)
    if terms is None:
        return Candidate(_decision(course, sale, "before_terms", None, None, 0))
    base = base_of(sale, terms.terms)
    reversal = reversal_of(sale, base, terms.terms)
    course.look_for_fraud(terms)
    reason = _program_reason(course, terms, sale.paid_at) or _payment_reason(course, terms, sale, base)
    refused: dict[int, str] = {}
    if not reason:
        refused = _refused_by_policy(course, terms, sale.paid_at, sale.key)
        reason = refused.pop(-1, "") or ("" if _verdict(course, sale.ids) == "approved" else course.denied)
    if reason:
        return Candidate(_decision(course, sale, reason, base, reversal, terms.version))
    return _count_sale(course, terms, sale, base, reversal, refused)


def _program_reason(course: Course, terms: CompiledTerms, at: int) -> str:
    program = course.program
    if (terms.starts_at is not None and at < terms.starts_at) or (terms.ends_at is not None and at >= terms.ends_at):
        return "program_not_running"
    if program.pauses and program.is_paused_at(course.binding.bound_at):
        return "program_paused"
    if program.archived_at is not None and at >= program.archived_at:
        return "program_ended"
    return ""


def _payment_reason(course: Course, terms: CompiledTerms, sale: Sale, base: Base) -> str:
    if sale.status is SaleStatus.PENDING:
        return "payment_pending"
    if sale.status is SaleStatus.FAILED:
        return "payment_failed"
    if base.missing:
        return base.missing
    if sale.is_bare and not terms.terms.counts_bare_charges:
        return "bare_charge"
    binding = course.binding
    if sale.paid_at < binding.covers_from and sale.key != binding.sale_key:
        return "before_referral"
    if base.amount <= 0:
        return "nothing_paid"
    if terms.coupons and not terms.coupons.isdisjoint(coupons_of(sale, course.referee)):
        return "excluded_coupon"
    if terms.domains and any(email.endswith(terms.domains) for email in course.referee.emails):
        return "excluded_email_domain"
    return ""


def _count_sale(
    course: Course, terms: CompiledTerms, sale: Sale, base: Base, reversal: Reversal, refused: Mapping[int, str]
) -> Candidate:
    of_all, own = course.cycle(_ALL), course.cycle(sale.subscription_id or "")
    for counting in (of_all, own):
        counting.first_at = sale.paid_at if counting.first_at is None else counting.first_at
        counting.number += 1
    cycle = own if terms.terms.restart == "new_cycle" else of_all
    of_subscription = 0
    if sale.subscription_id is not None:
        of_subscription = course.numbers.get(sale.subscription_id, 0) + 1
        course.numbers[sale.subscription_id] = of_subscription
    kinds = kinds_of(sale, course.referee, cycle.number, of_subscription)
    situation = Situation(
        course.program, course.outline, terms, course.binding, course.referee, course.config,
        cycle=cycle, cycles=(of_all, own), kinds=kinds, is_new=not course.has_paid_before,
        sale=sale, base=base, reversal=reversal,
    )  # fmt: skip
    outcomes, claims = apply_rules(situation, _standing(course, sale.ids, refused))
    course.counted += 1
    course.first_counted = course.first_counted or (sale.paid_at, sale.key)
    decision = _decision(
        course, sale, "", base, reversal, terms.version,
        number=cycle.number, rules=outcomes, kinds=_in_order(kinds),
    )  # fmt: skip
    return Candidate(
        decision,
        claims,
        referral=1 if course.counted == 1 else -1,
        is_undone=reversal.is_whole,
        is_by_code=_is_by_code(course.binding),
        revenue=_revenue(course.outline.revenue_currency, situation, reversal) if course.outline.is_shared else 0,
        is_held=reversal.is_held,
        approval=_verdict(course, sale.ids),
    )


@lru_cache(maxsize=256)
def _in_order(kinds: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(kinds))


def _is_by_code(binding: Binding) -> bool:
    return binding.carrier.kind is CarrierKind.PROMOTION_CODE and binding.carrier.clicked_at is None


def _revenue(currency: str, situation: Situation, reversal: Reversal) -> int:
    """The base less what went back of it, in the currency in which the program adds up; 0 where it cannot be brought
    there."""
    base = situation.base.amount if situation.base else 0
    gone = reversal.base_share
    left = 0 if reversal.is_whole else base - (2 * base * gone.numerator + gone.denominator) // (2 * gone.denominator)
    if not currency or currency == situation.currency:
        return left if currency else 0
    found = rate_for(situation.currency, currency, situation)
    return convert(left, found) if isinstance(found, Rate) else 0


def _standing(course: Course, ids: Sequence[str], refused: Mapping[int, str]) -> Standing:
    return Standing(refused, course.is_fraud_held, _verdict(course, ids))


def _verdict(course: Course, ids: Sequence[str]) -> str:
    """What a person decided on the conversion, else on the referral."""
    reviews = course.config.reviews
    for stripe_id in ids if reviews else ():
        verdict = reviews.get((course.program.program_id, "", stripe_id))
        if verdict:
            return verdict
    return course.verdict


# Windows and new customers -----------------------------------------------------------------------------------------


def _refused_by_policy(course: Course, terms: CompiledTerms, at: int, key: str) -> dict[int, str]:
    """Which events are refused by their policy; under -1 the terms' reason where all are.

    The window ends with the first counted payment; until then each conversion is judged by its own instant.
    """
    at, key = course.first_counted or (at, key)
    policies = terms.policies
    if terms.has_one_policy:
        reason = _policy_reason(course, policies[0], at, key)
        return {-1: reason} if reason else {}
    reasons = {policy: _policy_reason(course, policy, at, key) for policy in set(policies.values())}
    refused = {event_key: reason for event_key, policy in policies.items() if (reason := reasons[policy])}
    if len(refused) == len(policies):
        refused[-1] = refused[0]
    return refused


def _policy_reason(course: Course, policy: Policy, at: int, key: str) -> str:
    customers, window_days, signup_window_days = policy
    binding = course.binding
    if key != binding.sale_key:
        closes_at = add_days(binding.bound_at, window_days + 1)  # the last day counts whole
        signup_at = course.referee.signup_at
        if signup_window_days is not None and signup_at is not None and signup_at >= binding.bound_at:
            is_open = signup_at < closes_at and at < add_days(signup_at, signup_window_days + 1)
        else:
            is_open = at < closes_at
        if not is_open:
            return "outside_window"
    return "existing_customer" if customers == "new" and course.has_paid_before else ""


# Conversions without a payment ---------------------------------------------------------------------------------------


def _judge_happening(course: Course, happening: Happening) -> Candidate:
    program, binding = course.program, course.binding
    terms = program.version_for(happening.occurred_at, binding.bound_at)
    assert terms is not None
    course.look_for_fraud(terms)
    at = happening.occurred_at
    reason = _program_reason(course, terms, at)
    if not reason and at < binding.covers_from:
        reason = "before_referral"
    if not reason and terms.domains and any(email.endswith(terms.domains) for email in course.referee.emails):
        reason = "excluded_email_domain"
    refused: dict[int, str] = {}
    if not reason:
        refused = _refused_by_policy(course, terms, at, happening.key)
        is_approved = _verdict(course, (happening.key,)) == "approved"
        reason = refused.pop(-1, "") or ("" if is_approved else course.denied)
    outcomes: tuple[RuleOutcome, ...] = ()
    claims: tuple[Claim, ...] = ()
    currency = happening.currency
    if not reason:
        cycle = course.cycle(_ALL)
        situation = Situation(
            program, course.outline, terms, binding, course.referee, course.config,
            cycle=cycle, cycles=(cycle,), kinds=frozenset((happening.kind,)),
            is_new=not course.has_paid_before, happening=happening,
        )  # fmt: skip
        outcomes, claims = apply_rules(situation, _standing(course, (happening.key,), refused))
        currency = currency or next((claim.currency for claim in claims), "")
    decision = Decision(
        payment_key=happening.key,
        program_id=program.program_id,
        ids=(happening.key, *happening.ids),
        referee_id=course.referee.id,
        outcome="refused",
        reason=reason,
        occurred_at=at,
        currency=currency or default_currency(terms.terms),
        source=happening.kind,
        paid=happening.amount, total=happening.amount, tax=0, shipping=0, off_stripe=0, refunded=0,
        participant_id=binding.participant_id,
        evidence=binding.evidence,
        terms_version=terms.version,
        rules=outcomes,
        bound_at=binding.bound_at,
        kinds=(happening.kind,),
        flags=course.flags,
        campaign=binding.carrier.campaign,
    )  # fmt: skip
    return Candidate(decision, claims, approval=_verdict(course, (happening.key,)))


def _decision(
    course: Course,
    sale: Sale,
    reason: str,
    base: Base | None,
    reversal: Reversal | None,
    version: int,
    *,
    number: int = 0,
    rules: tuple[RuleOutcome, ...] = (),
    kinds: tuple[str, ...] = (),
) -> Decision:
    binding = course.binding
    return Decision(
        payment_key=sale.key,
        program_id=course.program.program_id,
        ids=sale.ids,
        referee_id=sale.referee_id,
        outcome="waiting" if reason in WAITING else "refused",
        reason=reason,
        occurred_at=sale.paid_at,
        currency=sale.currency,
        source=sale.source.value,
        paid=sale.paid,
        total=sale.total,
        tax=sale.tax,
        shipping=sale.shipping,
        off_stripe=sale.off_stripe,
        refunded=0 if reversal is None else reversal.refunded,
        base=base,
        participant_id=binding.participant_id,
        evidence=binding.evidence,
        terms_version=version,
        payment_number=number,
        is_held=reversal is not None and reversal.is_held,
        rules=rules,
        reversals=() if reversal is None else reversal.items,
        bound_at=binding.bound_at,
        kinds=kinds,
        flags=course.flags,
        campaign=binding.carrier.campaign,
    )
