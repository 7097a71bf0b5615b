"""The oracle: what every rule makes of every conversion of a world, step by step as docs/terms.md tells it.

It is slow and obvious on purpose, shares no code of the rules with the product, and must never be made clever.
"""

from __future__ import annotations

from oracle import fraud
from oracle.awards import award
from oracle.cases import WHOLE, Books, Case, Conversion, Outcome, coupons_of, lets_through, lines_of, unless_whole
from oracle.conditions import CONDITIONS
from oracle.conversions import conversions_of
from oracle.counted import Counted, CountedPayments
from oracle.events import (
    base_of_lines,
    event_lines,
    is_inside_window,
    is_of_kind,
    met_before,
    reason_against,
    welcomes,
)
from oracle.referrals import covers, domain_of
from oracle.sums import base_of, gone_of, half_up, is_whole, months_later, whole_months
from oracle.values import worth_of
from oracle.worlds import Line, World
from refref.core.terms import Duration, QualifyingEvent, RewardRule, Terms


def judge(world: World, now: int) -> dict[tuple[str, str], Outcome]:
    """Every outcome at `now`, by (natural key of the conversion, rule id); rule "" where steps 1 to 3 refuse."""
    conversions = conversions_of(world)
    counted = _count(world, conversions)
    books = Books()
    outcomes: dict[tuple[str, str], Outcome] = {}
    for conversion in conversions:
        terms = terms_for(world, conversion)
        reason = refusal_of(world, conversion, terms, counted)
        if not reason and terms is not None:
            reason = fraud.refusal(world, conversion, fraud.found_among_others(conversion, terms, counted))
        if reason or terms is None:
            outcomes[conversion.key, ""] = Outcome(conversion.key, "", reason)
            continue
        case = _case_of(world, conversion, terms, counted)
        for outcome in _outcomes(world, case, counted, books, now):
            outcomes[conversion.key, outcome.rule_id] = outcome
        for event in terms.events:
            if not reason_against(case, event, books):
                books.met.append((conversion, event.event_id))
    return outcomes


def terms_for(world: World, conversion: Conversion) -> Terms | None:
    """The terms in force: the highest number among those that have taken effect and apply to the referral."""
    found = None
    for version in sorted(world.versions, key=lambda version: version.version):
        has_begun = version.effective_at <= conversion.at
        is_kept_out = version.terms.existing_referrals == "keep" and conversion.bond.start < version.effective_at
        if has_begun and not is_kept_out:
            found = version.terms
    return found


def refusal_of(world: World, conversion: Conversion, terms: Terms | None, counted: CountedPayments) -> str:
    """Why steps 1 to 3 refuse a conversion, "" where they let it through. `counted` holds the payments before it."""
    bond = conversion.bond
    if terms is None:
        return "before_terms"
    if terms.starts_at is not None and conversion.at < terms.starts_at.timestamp():
        return "program_not_running"
    if terms.ends_at is not None and conversion.at >= terms.ends_at.timestamp():
        return "program_not_running"
    if any(start <= bond.start and (end is None or bond.start < end) for start, end in world.pauses):
        return "program_paused"
    if world.archived_at is not None and conversion.at >= world.archived_at:
        return "program_ended"
    return (
        _refusal_of_payment(conversion, terms)
        or _refusal_of_referral(conversion, terms, counted)
        or fraud.refusal(world, conversion, fraud.found_in_referral(world, conversion, terms))
    )


def _refusal_of_payment(conversion: Conversion, terms: Terms) -> str:
    payment = conversion.payment
    if payment is not None:
        if payment.status != "paid":
            return {"pending": "payment_pending", "failed": "payment_failed"}[payment.status]
        names_products = bool(terms.products or terms.excluded_products)
        if names_products and not payment.has_known_lines and payment.total > 0:
            return "lines_missing"
        if payment.source == "bare" and not terms.counts_bare_charges:
            return "bare_charge"
    if not covers(conversion.bond, conversion.at, payment):
        return "before_referral"
    if payment is not None:
        if _base_of_terms(conversion, terms) == 0:
            return "nothing_paid"
        if coupons_of(conversion) & set(terms.excluded_coupons):
            return "excluded_coupon"
    if domain_of(conversion.customer.email) in terms.excluded_email_domains:
        return "excluded_email_domain"
    return ""


def _refusal_of_referral(conversion: Conversion, terms: Terms, counted: CountedPayments) -> str:
    before = counted.of(conversion.customer.referee_id, conversion.order)
    judged = before[0].conversion if before else conversion
    settings: list[QualifyingEvent | None] = [None, *terms.events]
    is_new = is_new_customer(conversion)
    if any(is_inside_window(judged, one, terms) and welcomes(one, terms, is_new=is_new) for one in settings):
        return ""
    return "existing_customer" if is_inside_window(judged, None, terms) else "outside_window"


def is_new_customer(conversion: Conversion) -> bool:
    """Whether the customer had paid nothing before the bond covers."""
    return not any(
        payment.moved > 0 and not covers(conversion.bond, payment.paid_at, payment)
        for payment in conversion.customer.payments
    )


def _terms_lines(conversion: Conversion, terms: Terms) -> list[Line]:
    return [line for line in lines_of(conversion) if lets_through(line, terms.products, terms.excluded_products)]


def _base_of_terms(conversion: Conversion, terms: Terms) -> int:
    if conversion.payment is None:
        return 0
    lines = _terms_lines(conversion, terms)
    return base_of(conversion.payment, terms, unless_whole(lines, conversion, terms))


def _count(world: World, conversions: list[Conversion]) -> CountedPayments:
    """Step 4: the counted payments of everybody, in order."""
    counted = CountedPayments()
    for conversion in conversions:
        payment, terms = conversion.payment, terms_for(world, conversion)
        if payment is None or terms is None:
            continue
        if refusal_of(world, conversion, terms, counted):
            continue
        base = _base_of_terms(conversion, terms)
        lines = _terms_lines(conversion, terms)
        gone = half_up(base * gone_of(payment, terms, unless_whole(lines, conversion, terms)))
        is_first = not counted.of(conversion.customer.referee_id, conversion.order)
        counted.all.append(Counted(conversion, base, gone, is_whole(payment, terms), is_first))
    return counted


def _case_of(world: World, conversion: Conversion, terms: Terms, counted: CountedPayments) -> Case:
    so_far = counted.of(conversion.customer.referee_id, conversion.order)
    of_subscription = [one for one in so_far if one.conversion.subscription_id == conversion.subscription_id]
    cycle = so_far if terms.restart == "continue" else of_subscription
    first_at = cycle[0].conversion.at if cycle else None
    profiles = [one for one in conversion.bond.participant.profiles if one.since_at <= conversion.at]
    profile = max(profiles, key=lambda one: one.since_at, default=None)
    return Case(
        conversion=conversion,
        terms=terms,
        number=len(cycle) if conversion.payment is not None else 0,
        first_at=first_at,
        months=0 if first_at is None else whole_months(first_at, conversion.at),
        base=_base_of_terms(conversion, terms),
        is_first_of_subscription=len(of_subscription) == 1,
        first_of_referral=so_far[0].conversion if so_far else None,
        groups=() if profile is None else profile.groups,
        participant_country=None if profile is None else profile.country,
        is_new=is_new_customer(conversion),
    )


def _outcomes(world: World, case: Case, counted: CountedPayments, books: Books, now: int) -> list[Outcome]:
    """Step 5: each rule, in the order of the list. A group's rules take lines from each other."""
    taken: dict[str, set[str]] = {}
    outcomes = []
    key = case.conversion.key
    for rule in case.terms.rules:
        reason = _reason_of_rule(case, rule, books)
        if reason:
            outcomes.append(Outcome(key, rule.rule_id, reason))
            continue
        lines, reason = _rule_lines(case, rule)
        if not reason and rule.group:
            left = [line for line in lines if line.line_id not in taken.setdefault(rule.group, set())]
            taken[rule.group] |= {line.line_id for line in lines}
            lines, reason = left, "" if left else "lower_precedence"
        event = case.event(rule.event) if rule.event else None
        if not reason and case.conversion.payment is not None and base_of_lines(case, lines, event, rule) == 0:
            reason = "nothing_paid"
        if reason:
            outcomes.append(Outcome(key, rule.rule_id, reason))
            continue
        worth = None
        if rule.reward not in ("discount", "feature"):
            worth = worth_of(world, case, rule, lines, counted)
        outcomes.append(award(world, case, rule, lines, worth, books, counted, now))
    return outcomes


def _reason_of_rule(case: Case, rule: RewardRule, books: Books) -> str:
    conversion = case.conversion
    if conversion.payment is None and not (rule.event and is_of_kind(case, case.event(rule.event))):
        return "no_rule_applies"
    if rule.starts_at is not None and conversion.at < rule.starts_at.timestamp():
        return "rule_not_running"
    if rule.ends_at is not None and conversion.at >= rule.ends_at.timestamp():
        return "rule_not_running"
    if rule.campaign and rule.campaign != conversion.bond.touch.campaign:
        return "other_campaign"
    event = case.event(rule.event) if rule.event else None
    reason = _reason_of_every_payment(case, rule) if event is None else reason_against(case, event, books)
    if reason:
        return reason
    if _is_over(case, rule, books):
        return "duration_over"
    if rule.condition and not CONDITIONS[rule.condition](case):
        return "condition_false"
    return ""


def _reason_of_every_payment(case: Case, rule: RewardRule) -> str:
    if (rule.on == "first" and case.number != 1) or (rule.on == "recurring" and case.number == 1):
        return "no_rule_applies"
    if not is_inside_window(case.first_of_referral or case.conversion, None, case.terms):
        return "outside_window"
    if not welcomes(None, case.terms, is_new=case.is_new):
        return "existing_customer"
    return ""


def _is_over(case: Case, rule: RewardRule, books: Books) -> bool:
    duration: Duration = rule.duration or case.terms.duration
    match duration.unit:
        case "forever":
            return False
        case "months":
            return case.first_at is not None and case.conversion.at >= months_later(case.first_at, duration.count)
    if rule.duration is None:
        return case.number > duration.count
    if rule.event:
        return len(met_before(case, rule.event, books)) + 1 > duration.count
    return (case.number - 1 if rule.on == "recurring" else case.number) > duration.count


def _rule_lines(case: Case, rule: RewardRule) -> tuple[list[Line], str]:
    event = case.event(rule.event) if rule.event else None
    lines, reason = event_lines(case, event)
    conversion = case.conversion
    if reason or (conversion.payment is None and conversion.subscription is None):
        return lines, reason
    has_plans = rule.tiers is not None and rule.tiers.by == "plan"
    needs_lines = bool(rule.products or rule.excluded_products or rule.fixed_per != "sale" or has_plans)
    if needs_lines and conversion.payment is not None and lines[0].line_id == WHOLE:
        return [], "lines_missing"
    lines = [line for line in lines if lets_through(line, rule.products, rule.excluded_products)]
    return lines, "" if lines else "not_eligible_lines"
