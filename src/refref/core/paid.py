"""What has been paid out keeps its amount: a conversion with a paid reward, of which its own facts say nothing new,
comes out as it is booked, whatever happened to others. So the books and a rebuild of them agree. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from refref.core.claims import Candidate
from refref.core.complete import Completed, Given, Judged, judged_by
from refref.core.contributions import claim_tallies, contributions, stage_one_tally
from refref.core.decisions import Decision, RuleOutcome, digest_of
from refref.core.program import Program

Key = tuple[str, str]  # conversion, program
_encode = msgspec.msgpack.Encoder().encode


def draft_digest(candidate: Candidate) -> bytes:
    """Tells whether a conversion's draft changed."""
    return digest_of(_encode(candidate))


class PaidDecision(msgspec.Struct, frozen=True, gc=False):
    """The booked decision on a conversion of which a reward was paid out, and the digest of its draft then."""

    draft: bytes
    decision: Decision


def kept_as_paid(candidate: Candidate, paid: Mapping[Key, PaidDecision]) -> Decision | None:
    """The booked decision that holds for a conversion because it was paid out; None where it is to be judged."""
    known = paid.get((candidate.decision.payment_key, candidate.decision.program_id)) if paid else None
    return known.decision if known is not None and known.draft == draft_digest(candidate) else None


def as_booked(
    candidate: Candidate, booked: Decision, program: Program, judged: dict[tuple[str, str], Judged]
) -> Completed:
    """What completing made of a conversion when it was booked, for a draft that is the same.

    Tells `judged` the verdict on the referral, as `complete` does.
    """
    if candidate.referral == 1:
        flags = booked.flags[len(candidate.decision.flags) :]
        judged[booked.program_id, booked.referee_id] = judged_by(flags, program, booked.terms_version)
    outcomes = {rule.rule_id: rule for rule in booked.rules}
    first = stage_one_tally(candidate)
    tallies = [] if first is None else [first]
    given: list[Given] = []
    for claim in candidate.claims:
        own = _given(candidate, outcomes[claim.rule_id], claim.rule_no, claim.expires_at)
        given.extend(own)
        if program.outline.cap_currencies:
            nets = [(item.beneficiary_id, item.currency, item.amount - item.reversed) for item in own]
            tallies.extend(claim_tallies(candidate, claim, nets, tallies))
    return Completed(booked, tuple(given), contributions(tallies))


def _given(candidate: Candidate, outcome: RuleOutcome, rule_no: int, expires_at: int | None) -> list[Given]:
    if outcome.outcome != "rewarded":
        return []
    return [
        Given(
            outcome.rule_id, rule_no, beneficiary, outcome.reward, outcome.currency, amount, taken,
            outcome.hold_until, expires_at, candidate.is_held or bool(outcome.holds), outcome.holds,
            outcome.reason == "rejected",
        )
        for beneficiary, amount, taken in outcome.parts
    ]  # fmt: skip
