"""From what a rule is worth to what each beneficiary gets: shares, caps, what is taken back, and the state."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor

from oracle import fraud
from oracle.cases import Books, Case, Earned, Given, Outcome, unless_whole
from oracle.counted import CountedPayments
from oracle.sums import divide, exchange, gone_of, half_up, is_whole, period_of, rate_of, step, to_step
from oracle.values import Worth
from oracle.worlds import DAY, Line, World
from refref.core.terms import Cap, RewardRule

REFEREE = "referee"  # what is given to the customer


def award(
    world: World,
    case: Case,
    rule: RewardRule,
    lines: list[Line],
    worth: Worth | None,
    books: Books,
    counted: CountedPayments,
    now: int,
) -> Outcome:
    """What the rule gives whom, capped, less what went back. `worth` None: a discount or feature."""
    key = case.conversion.key
    if worth is None:
        granted: list[Given] = [Given(who, "", 0) for who, _ in _shares(case, rule, 0)]
        is_cut = False
    elif worth.reason:
        return Outcome(key, rule.rule_id, worth.reason)
    else:
        capped = _capped(world, case, rule, worth, books)
        if isinstance(capped, str):
            return Outcome(key, rule.rule_id, capped)
        granted, is_cut = capped
    gone = _gone(case, rule, lines)
    state = _state(world, case, rule, gone, counted, now)
    total = sum(one.amount_minor for one in granted)
    # What has expired still counts for the caps, so that no reward depends on the clock.
    back = total if state == "rejected" else min(total, half_up(total * gone))
    for one, part in zip(granted, _divided(back, granted), strict=True):
        left = one.amount_minor - part
        books.earned.append(Earned(case.conversion, rule.rule_id, one.beneficiary, one.currency, left))
    taken = _divided(total if state == "expired" else back, granted)
    given = tuple(replace(one, reversed_minor=part) for one, part in zip(granted, taken, strict=True))
    return Outcome(key, rule.rule_id, "", given, state, is_cut)


def _divided(back: int, granted: list[Given]) -> list[int]:
    return divide(back, [one.amount_minor for one in granted])


def _shares(case: Case, rule: RewardRule, amount: int) -> list[tuple[str, int]]:
    referrer = case.conversion.bond.participant.participant_id
    if rule.to == "referrer":
        return [(referrer, amount)]
    if rule.to == "referee":
        return [(REFEREE, amount)]
    shares: dict[str, int] = {}  # those of one participant are one
    for share in rule.split:
        name = referrer if share.participant == "referrer" else share.participant
        shares[name] = shares.get(name, 0) + share.share_bps
    return list(zip(shares, divide(amount, list(shares.values())), strict=True))


def _gone(case: Case, rule: RewardRule, lines: list[Line]) -> Fraction:
    payment = case.conversion.payment
    if payment is None:
        return Fraction(0)
    if rule.reward in ("discount", "feature"):  # are granted or not, and not in part
        return Fraction(is_whole(payment, case.terms))
    event = case.event(rule.event) if rule.event else None
    return gone_of(payment, case.terms, unless_whole(lines, case.conversion, case.terms, event, rule))


def _state(world: World, case: Case, rule: RewardRule, gone: Fraction, counted: CountedPayments, now: int) -> str:
    at, terms, payment = case.conversion.at, case.terms, case.conversion.payment
    review = fraud.verdict(world, case.conversion, rule.rule_id)
    if review == "rejected":
        return "rejected"
    if gone == 1:
        return "reversed"
    if rule.expires_days is not None and now >= at + rule.expires_days * DAY:
        return "expired"
    if payment is not None and any(one.outcome in ("open", "inquiry") for one in payment.disputes):
        return "held"
    event = case.event(rule.event) if rule.event else None
    by_person = "manual" in (
        rule.approval or terms.approval,
        "automatic" if event is None else event.verification,
    )
    found = fraud.found_in_referral(world, case.conversion, terms)
    found |= fraud.found_among_others(case.conversion, terms, counted)
    is_suspect = "hold" in found.values()
    if (by_person or is_suspect) and review != "approved":
        return "held"
    hold_days = terms.hold_days if rule.hold_days is None else rule.hold_days
    return "pending" if now < at + hold_days * DAY else "payable"


def _capped(world: World, case: Case, rule: RewardRule, worth: Worth, books: Books) -> tuple[list[Given], bool] | str:
    """The shares after every cap, and whether one was cut; or why nothing is left."""
    given: list[Given] = []
    reason = "rounds_to_zero"
    whole = worth.amount_minor
    for cap in case.terms.caps:
        if cap.on == "reward" and (not cap.rules or rule.rule_id in cap.rules):
            left = _left(world, case, cap, "", worth.currency, whole, books, rule, [])
            if left is None:
                return "no_cap_for_currency"
            whole = min(whole, left)
    is_cut = whole < worth.amount_minor
    if is_cut:
        reason = "cap_reached"
    for who, share in _shares(case, rule, whole):
        amount = share
        for on in ("customer", "participant", "program"):
            for cap in case.terms.caps:
                if cap.on != on or (cap.rules and rule.rule_id not in cap.rules):
                    continue
                if on == "participant" and who == REFEREE:
                    continue
                left = _left(world, case, cap, who, worth.currency, amount, books, rule, given)
                if left is None:
                    return "no_cap_for_currency"
                amount = min(amount, left)
        if amount < share:
            is_cut, reason = True, "cap_reached"
        if amount > 0:
            given.append(Given(who, worth.currency, amount))
    return (given, is_cut) if given else reason


def _left(
    world: World,
    case: Case,
    cap: Cap,
    who: str,
    currency: str,
    amount: int,
    books: Books,
    rule: RewardRule,
    shares: list[Given],
) -> int | None:
    """What a cap leaves for an amount; None where it has no amount for the currency and none can be converted."""
    conversion = case.conversion
    of_others = [
        one
        for one in books.earned
        if (not cap.rules or one.rule_id in cap.rules)
        and period_of(one.conversion.at, cap.period) == period_of(conversion.at, cap.period)
        and (cap.on != "customer" or one.conversion.customer.referee_id == conversion.customer.referee_id)
        and (cap.on != "participant" or one.beneficiary == who)
    ]
    # The earlier shares of the same reward count whole.
    own = [
        Earned(conversion, rule.rule_id, one.beneficiary, currency, one.amount_minor)
        for one in shares
        if cap.on != "participant" or one.beneficiary == who
    ]
    earlier = [] if cap.on == "reward" else of_others + own
    terms = case.terms.currency
    # Currencies without an amount of their own share that of `base`, else of the first.
    shared = terms.base if terms.base in cap.amounts else min(cap.amounts)
    target = currency if currency in cap.amounts else shared
    rate = rate_of(world, terms, currency, target, conversion.at)
    if rate is None:
        return None
    used = 0
    for one in earlier:
        own_rate = rate_of(world, terms, one.currency, target, one.conversion.at)
        is_sharing = target == shared and one.currency not in cap.amounts
        if own_rate is not None and (one.currency == target or is_sharing):
            used += to_step(exchange(one.net_minor, own_rate, one.currency, target), target)
    left = max(0, cap.amounts[target] - used)
    if to_step(exchange(amount, rate, currency, target), target) <= left:
        return amount
    return floor(exchange(left, 1 / rate, target, currency) / step(currency)) * step(currency)
