"""A decision by itself in plain words, for setting two of them side by side. A pure presenter."""

from __future__ import annotations

from collections.abc import Mapping

from refref.core.decisions import Decision
from refref.core.outcome_words import present_rule
from refref.core.words import (
    Document,
    present_base,
    present_evidence,
    present_outcome,
    present_reversal,
)


def present_decision(decision: Decision, names: Mapping[str, str]) -> Document:
    """What was decided and why: the base, who referred, each rule, what went back. `names` are of participants."""
    lines, steps = present_base(decision)
    return {
        "outcome": decision.outcome,
        "reason": decision.reason or None,
        "sentence": present_outcome(decision, names),
        "currency": decision.currency,
        "participant_id": decision.participant_id or None,
        "participant_name": names.get(decision.participant_id),
        "terms_version": decision.terms_version or None,
        "payment_number": decision.payment_number or None,
        "conversion_kinds": list(decision.kinds),
        "fraud_flags": list(decision.flags),
        "lines": lines,
        "base_steps": steps,
        "base_minor": decision.base.amount if decision.base else 0,
        "evidence": [present_evidence(item, names) for item in decision.evidence],
        "rules": [present_rule(rule, decision, names) for rule in decision.rules],
        "reversals": [present_reversal(item, decision.currency) for item in decision.reversals],
    }


def named_in(decision: Decision) -> set[str]:
    """The participants and programs whose names a decision needs."""
    named = {decision.participant_id, decision.program_id}
    named.update(item.participant_id for item in decision.evidence)
    named.update(part[0] for rule in decision.rules for part in rule.parts)
    return named - {""}
