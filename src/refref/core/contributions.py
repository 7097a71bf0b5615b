"""Contributions: what a conversion adds to the sums that tiers, caps and checks look at, as rows of each owner. Pure.

A conversion also has a row of nothing where it must be found when what came before it changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from refref.core.claims import Candidate, Claim
from refref.core.rates import convert
from refref.core.totals import REFERRAL_ROW, Tally, converted_currency
from refref.core.values import rate_of_note


def contributions(tallies: Sequence[Tally]) -> tuple[Tally, ...]:
    """What a conversion adds, without the row of referrals and revenue where that says nothing: it adds nothing, and
    another row shows that the conversion stands among the participant's."""
    first = tallies[0] if tallies else None
    if first is None or first.rule_id != REFERRAL_ROW or first.referrals or first.undone or first.revenue:
        return tuple(tallies)
    is_shown = any(tally.owner_id == first.owner_id for tally in tallies[1:])
    return tuple(tallies[1:]) if is_shown else tuple(tallies)


def claim_tallies(
    candidate: Candidate, claim: Claim, nets: Sequence[tuple[str, str, int]], so_far: Sequence[Tally]
) -> list[Tally]:
    """What the rewards of a claim add to the sums that caps look at; `nets`: (beneficiary, currency, what is left).

    With a row of nothing for each beneficiary whom a cap may have left without anything: what others used up of it may
    come back, and the conversion is found by its rows then. `so_far`: the conversion's rows before these.
    """
    rows: list[Tally] = []
    for beneficiary, currency, net in nets:
        rows.extend(earned_tallies(candidate, claim, beneficiary, currency, net))
    if not claim.caps:
        return rows
    shown = {tally.owner_id for tally in (*so_far, *rows)}
    if all(beneficiary in shown for beneficiary, _ in claim.parts):
        return rows
    decision = candidate.decision
    rows.extend([
        Tally(
            decision.program_id, decision.payment_key, claim.rule_id, beneficiary, decision.referee_id,
            decision.occurred_at, claim.pays or claim.currency,
        )
        for beneficiary, _ in claim.parts
        if beneficiary not in shown
    ])  # fmt: skip
    return rows


def stage_one_tally(candidate: Candidate) -> Tally | None:
    """What a conversion adds to referrals and revenue; known before any reward is."""
    return next(iter(referral_tally(candidate)), None)


def referral_tally(candidate: Candidate) -> tuple[Tally, ...]:
    if not candidate.referral and not candidate.claims:
        return ()
    decision = candidate.decision  # without a payment it adds nothing, but is found when what came before changes
    is_first = candidate.referral == 1
    return (
        Tally(
            decision.program_id, decision.payment_key, REFERRAL_ROW, decision.participant_id, decision.referee_id,
            decision.occurred_at, "", counts_as_referral(candidate),
            int(is_first and candidate.is_undone), int(is_first and candidate.is_by_code), candidate.revenue,
        ),
    )  # fmt: skip


def counts_as_referral(candidate: Candidate) -> int:
    return int(candidate.referral == 1 and not candidate.is_undone)


def earned_tallies(candidate: Candidate, claim: Claim, beneficiary: str, currency: str, net: int) -> list[Tally]:
    """What a reward adds to the sums that caps look at: in its currency, and in those in which it counts converted."""
    if not net:
        return []
    decision = candidate.decision
    if not claim.counted_in:
        return [
            Tally(
                decision.program_id, decision.payment_key, claim.rule_id, beneficiary, decision.referee_id,
                decision.occurred_at, currency, earned=net,
            )
        ]  # fmt: skip
    amounts = [(currency, net)]
    for note in claim.counted_in:
        rate = rate_of_note(note)
        amounts.append((converted_currency(rate.target, currency), convert(net, rate)))
    return [
        Tally(
            decision.program_id, decision.payment_key, claim.rule_id, beneficiary, decision.referee_id,
            decision.occurred_at, filed_under, earned=amount,
        )
        for filed_under, amount in amounts
        if amount
    ]  # fmt: skip
