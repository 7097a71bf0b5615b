"""The second stage: claims to rewards, in the order of conversions: tiers, caps, splits, what is taken back.

Given the totals before it, a conversion's outcome is final. Pure; the clock only moves rewards between accounts.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from refref.core.claims import Candidate, CapRoom, Claim, Option
from refref.core.contributions import claim_tallies, contributions, counts_as_referral, earned_tallies, referral_tally
from refref.core.decisions import WAITING, Decision, Note, RuleOutcome
from refref.core.money import round_half_up, share, wire_exponent
from refref.core.program import Program
from refref.core.rates import convert, ratio
from refref.core.terms import FraudCheck
from refref.core.totals import NO_FIRSTS, Tally, Totals, counts, rules_of
from refref.core.values import rate_of_note

# Reasons that say least: another rule's reason is told rather than these.
QUIET = ("no_rule_applies", "rule_not_running", "other_campaign", "lower_precedence")
_LEAST_REFERRALS = 10  # fewer say nothing about a rate of refunds
_LEAST_BY_CODE = 5


class Given(msgspec.Struct, frozen=True, gc=False):
    """What a conversion gives one beneficiary by one rule: amounts in minor units of `currency`."""

    rule_id: str
    rule_no: int
    beneficiary_id: str
    reward: str
    currency: str
    amount: int
    reversed: int
    hold_until: int
    expires_at: int | None
    is_held: bool
    holds: tuple[str, ...] = ()  # why it waits for a person
    is_rejected: bool = False


class Completed(msgspec.Struct, frozen=True, gc=False):
    """A conversion's final decision, what it gives, and what it adds to the totals."""

    decision: Decision
    given: tuple[Given, ...]
    tallies: tuple[Tally, ...]


class Judged(msgspec.Struct, frozen=True, gc=False):
    """What the checks that look at a participant's other referrals found on one referral."""

    flags: tuple[str, ...] = ()
    is_denied: bool = False
    is_held: bool = False


NOT_JUDGED = Judged()


def complete(
    candidate: Candidate, program: Program | None, totals: Totals, judged: dict[tuple[str, str], Judged]
) -> Completed:
    """The outcome of a conversion. `judged` remembers the verdict on each referral, by (program, referee).

    Contributions of conversions before it must have been added to `totals`; the caller adds those returned.
    """
    decision = candidate.decision
    if decision.reason or program is None:
        return Completed(decision, (), ())
    key = (decision.program_id, decision.referee_id)
    outline = program.outline
    if candidate.referral == 1 and outline.is_shared:
        judged[key] = _judge(candidate, program, totals)
    verdict = judged.get(key, NOT_JUDGED)
    if verdict.flags:
        decision = msgspec.structs.replace(decision, flags=decision.flags + verdict.flags)
    if verdict.is_denied and candidate.approval != "approved":
        refused = msgspec.structs.replace(decision, outcome="refused", reason="fraud_denied", rules=())
        return Completed(refused, (), referral_tally(candidate))
    is_held = verdict.is_held
    claims = {claim.rule_id: claim for claim in candidate.claims}
    outcomes: list[RuleOutcome] = []
    given: list[Given] = []
    tallies = list(referral_tally(candidate)) if outline.has_sums else []
    for outcome in decision.rules:
        claim = claims.get(outcome.rule_id)
        if claim is None:
            outcomes.append(outcome)
            continue
        outcome, own = _reward(candidate, claim, totals, tallies, is_held)
        outcomes.append(outcome)
        given.extend(own)
        if outline.cap_currencies:
            nets = [(item.beneficiary_id, item.currency, item.amount - item.reversed) for item in own]
            tallies.extend(claim_tallies(candidate, claim, nets, tallies))
    final = _with_outcomes(decision, tuple(outcomes), bool(given))
    return Completed(final, tuple(given), contributions(tallies))


def _with_outcomes(decision: Decision, outcomes: tuple[RuleOutcome, ...], is_rewarded: bool) -> Decision:
    if is_rewarded:
        hold_until = min([outcome.hold_until for outcome in outcomes if outcome.outcome == "rewarded"])
        return msgspec.structs.replace(decision, outcome="rewarded", reason="", rules=outcomes, hold_until=hold_until)
    reasons = [outcome.reason for outcome in outcomes]
    telling = [reason for reason in reasons if reason not in QUIET]
    reason = (telling or reasons or ["no_rule_applies"])[0]
    outcome = "waiting" if reason in WAITING else "refused"
    return msgspec.structs.replace(decision, outcome=outcome, reason=reason, rules=outcomes)


# Rewards -------------------------------------------------------------------------------------------------------------


def _reward(
    candidate: Candidate, claim: Claim, totals: Totals, so_far: Sequence[Tally], is_fraud_held: bool
) -> tuple[RuleOutcome, list[Given]]:
    """One claim as an outcome with what it gives to whom."""
    notes: list[Note] = []
    holds = claim.holds
    if is_fraud_held and not (claim.is_rejected or claim.is_approved) and "fraud_hold" not in holds:
        holds = (*holds, "fraud_hold")
    if not claim.options:
        return _granted(candidate, claim, holds)
    option = _option(candidate, claim, totals, notes)
    if option.reason:
        return _refusal(claim, option.reason, notes), []
    notes.extend(option.notes)
    amount = share(claim.base, option.rate_bps) + option.fixed
    currency = claim.pays or claim.currency
    if claim.pays:
        rate = rate_of_note(claim.pays_rate)
        converted = convert(amount, rate)
        notes.append((*claim.pays_rate[:-2], amount, converted))
        amount = converted
    if amount <= 0:
        return _refusal(claim, "rounds_to_zero", notes, option), []
    for room in claim.caps:
        if room.reason:
            return _refusal(claim, room.reason, notes, option), []
    for room in claim.caps:
        if room.on == "reward":
            amount = _room_left(room, amount, 0, notes)
    shares = [amount]
    if len(claim.parts) > 1:
        shares = allocate(amount, [bps for _, bps in claim.parts])
        notes.append(("split", *shares))
    if claim.caps:
        shares = _after_caps(candidate, claim, currency, shares, totals, so_far, notes)
    whole = shares[0] if len(shares) == 1 else sum(shares)
    if whole <= 0:
        return _refusal(claim, "cap_reached", notes, option), []
    parts = _taken_back(claim, shares, whole)
    is_held = candidate.is_held or bool(holds)
    given = [
        Given(
            claim.rule_id, claim.rule_no, beneficiary, claim.reward, currency, part, back,
            claim.hold_until, claim.expires_at, is_held, holds, claim.is_rejected,
        )
        for beneficiary, part, back in parts
    ]  # fmt: skip
    outcome = RuleOutcome(
        claim.rule_id, "rewarded", "rejected" if claim.is_rejected else "", claim.kind, option.rate_bps, whole,
        sum([back for _, _, back in parts]), currency, claim.base, option.fixed, claim.reward, parts,
        holds, tuple(notes), claim.hold_until,
    )  # fmt: skip
    return outcome, given


def _granted(candidate: Candidate, claim: Claim, holds: tuple[str, ...]) -> tuple[RuleOutcome, list[Given]]:
    """A discount or a feature: granted whole or not at all, without money in the books."""
    if claim.is_whole or claim.is_rejected:
        return _refusal(claim, "rejected" if claim.is_rejected else "went_back", ()), []
    given = [
        Given(
            claim.rule_id, claim.rule_no, beneficiary, claim.reward, claim.currency, 0, 0,
            claim.hold_until, claim.expires_at, candidate.is_held or bool(holds), holds,
        )
        for beneficiary, _ in claim.parts
    ]  # fmt: skip
    outcome = RuleOutcome(
        claim.rule_id, "rewarded", "", claim.kind, currency=claim.currency, base=claim.base, reward=claim.reward,
        parts=tuple((item.beneficiary_id, 0, 0) for item in given), holds=holds, hold_until=claim.hold_until,
    )  # fmt: skip
    return outcome, given


def _refusal(claim: Claim, reason: str, notes: Sequence[Note], option: Option | None = None) -> RuleOutcome:
    rate = option.rate_bps if option else 0
    return RuleOutcome(
        claim.rule_id, "refused", reason, claim.kind, rate, currency=claim.pays or claim.currency, base=claim.base,
        notes=tuple(notes),
    )  # fmt: skip


def _option(candidate: Candidate, claim: Claim, totals: Totals, notes: list[Note]) -> Option:
    if not claim.tier:
        return claim.options[0]
    decision = candidate.decision
    measure, _, period = claim.tier.partition(" ")
    owner, at = decision.participant_id, decision.occurred_at
    if claim.is_retroactive:
        reached = totals.whole(claim.tier, period, decision.program_id, owner, at)
    else:
        reached = totals.before(claim.tier, period, decision.program_id, owner, at)
        reached += counts_as_referral(candidate) if measure == "referrals" else candidate.revenue
    chosen = claim.options[0]
    for option in claim.options:
        if option.at_least <= reached:
            chosen = option
    applies = "retroactive" if claim.is_retroactive else "onward"
    # The count of a whole period goes on growing; only the step that it reaches is part of the decision.
    seen = 0 if claim.is_retroactive else reached
    notes.append(("tier", measure, period, seen, chosen.at_least, applies))
    return chosen


def _room_left(room: CapRoom, amount: int, used: int, notes: list[Note]) -> int:
    """What a cap leaves of an amount in the reward's currency; `used` is in the cap's."""
    left = max(0, room.amount - used)
    counted = convert(amount, rate_of_note(room.rate)) if room.rate else amount
    if counted <= left:
        return amount
    kept = _back(left, room.rate) if room.rate else left
    notes.append(("cap", room.on, room.period, room.amount, room.currency, used, amount, kept))
    return min(amount, kept)


def _back(amount: int, note: Note) -> int:
    """An amount of a cap in the reward's currency, rounded down."""
    rate = rate_of_note(note)
    numerator, denominator = ratio(rate.rate)
    shift = wire_exponent(rate.source) - wire_exponent(rate.target)
    if shift >= 0:
        denominator *= 10**shift
    else:
        numerator *= 10**-shift
    return amount * denominator // numerator


def _after_caps(
    candidate: Candidate,
    claim: Claim,
    currency: str,
    shares: Sequence[int],
    totals: Totals,
    so_far: Sequence[Tally],
    notes: list[Note],
) -> list[int]:
    """What the caps on customers, participants and the program leave of each beneficiary's share."""
    decision = candidate.decision
    kept: list[int] = []
    for place, amount in enumerate(shares):
        beneficiary = claim.parts[place][0]
        for room in claim.caps:
            if room.on == "reward":
                continue
            owner = decision.referee_id if room.on == "customer" else beneficiary if room.on == "participant" else ""
            used = totals.used(room, decision.program_id, owner, decision.occurred_at)
            for tally in so_far:
                if tally.earned and _counts_here(room, tally, beneficiary):
                    used += tally.earned
            amount = _room_left(room, amount, used, notes)
        kept.append(amount)
        if place + 1 < len(shares):  # whole: what is taken back is known with all shares
            so_far = [*so_far, *earned_tallies(candidate, claim, beneficiary, currency, amount)]
    return kept


def _counts_here(room: CapRoom, tally: Tally, beneficiary: str) -> bool:
    """Whether what the same conversion gave before uses up a cap."""
    if room.on == "participant" and tally.owner_id != beneficiary:
        return False
    rules = rules_of(room.window)
    return counts(room, tally.currency) and (not rules or tally.rule_id in rules)


def _target(claim: Claim, amount: int) -> int:
    if claim.is_whole or claim.is_rejected:
        return amount
    numerator, denominator = claim.gone
    return min(amount, round_half_up(amount * numerator, denominator)) if numerator else 0


def _taken_back(claim: Claim, shares: Sequence[int], whole: int) -> tuple[tuple[str, int, int], ...]:
    """Who gets something: beneficiary, amount, and what is taken back: of their sum, divided in proportion to them."""
    target = _target(claim, whole)
    if len(shares) == 1:
        return ((claim.parts[0][0], whole, target),)
    parts = [(beneficiary, part) for (beneficiary, _), part in zip(claim.parts, shares, strict=True) if part > 0]
    back = allocate(target, [part for _, part in parts]) if target else [0] * len(parts)
    return tuple([(beneficiary, part, gone) for (beneficiary, part), gone in zip(parts, back, strict=True)])


def allocate(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide an amount by weights: whole units first, the rest to the largest remainders, ties to the earlier."""
    if len(weights) == 1:
        return [amount]
    total = sum(weights)
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(amount * weights[place] % total), place))
    for place in by_remainder[: amount - sum(parts)]:
        parts[place] += 1
    return parts


# Checks --------------------------------------------------------------------------------------------------------------


def _judge(candidate: Candidate, program: Program, totals: Totals) -> Judged:
    """The checks that look at the participant's referrals before this one."""
    decision = candidate.decision
    terms = program.version_numbered(decision.terms_version)
    firsts = totals.firsts.get((decision.program_id, decision.participant_id), NO_FIRSTS)
    before = firsts.count
    found: list[FraudCheck] = []
    if before >= _LEAST_REFERRALS and firsts.undone * 100 > terms.fraud_limits["refund_rate"] * before:
        found.append("refund_rate")
    if firsts.within_a_day(decision.occurred_at) + 1 > terms.fraud_limits["velocity"]:
        found.append("velocity")
    if candidate.is_by_code and before >= _LEAST_BY_CODE and firsts.by_code * 2 > before:
        found.append("coupon_site")
    found = [check for check in found if terms.fraud[check] != "off"]
    return judged_by(found, program, decision.terms_version)


def judged_by(flags: Sequence[str], program: Program, terms_version: int) -> Judged:
    """The verdict on a referral, by what was found on it."""
    actions = program.version_numbered(terms_version).fraud
    found = {action for check, action in actions.items() if check in flags}
    return Judged(tuple(flags), "deny" in found, "hold" in found)
