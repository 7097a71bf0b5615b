"""Why not: the gate at which a payment stopped earning, or waits, with a remedy. Pure.

The gates stand in the order in which a payment passes them, so the first that refuses is the one to look at.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from refref.core.decisions import HOLDS, REASONS, Decision

GATES = ("delivery", "payment", "attribution", "program", "customer", "conditions", "amount", "limits", "people")

_TERMS = (
    "If it should have earned, publish changed terms that are in force since the day of the payment; terms of a later "
    "day leave it as it is."
)
_BIND = "Bind the customer by hand"  # at the beginning of what only helps for a customer, not for a guest
_GUEST = "A guest cannot be bound by hand: let the next sale carry the identifier, or create a customer with it."
_APPROVE = "Approve the referral on the customer's page, if it is none."
# Every reason: its gate, what helps, and the page for it ("" where there is none).
REASON_GATES: dict[str, tuple[str, str, str]] = {
    "payment_pending": ("payment", "It is judged when Stripe says that the money came.", ""),
    "payment_failed": ("payment", "Nothing is to be done here: if the customer pays after all, that is judged.", ""),
    "nothing_paid": ("payment", "Nothing is to be done: what is paid later is judged then.", ""),
    "went_back": ("payment", "Nothing is to be done: the customer has the money back.", ""),
    "bare_charge": ("payment", _TERMS, "/programs"),
    "lines_missing": ("payment", "RefRef asks Stripe for the lines; the doctor says if it gets no answer.", "/doctor"),
    "not_attributed": (
        "attribution",
        f"{_BIND}; the doctor tells of identifiers that got lost.",
        "/doctor",
    ),
    "unknown_code": ("attribution", "Add the code to a participant; the payment is judged again.", "/participants"),
    "inactive_code": ("attribution", f"{_BIND} to another code, if it should count.", ""),
    "before_referral": ("attribution", f"{_BIND} with the day of the referral.", ""),
    "outside_window": ("attribution", f"{_BIND} with the day of the referral, if it was later.", ""),
    "self_referral": ("people", _APPROVE, ""),
    "fraud_denied": ("people", _APPROVE, ""),
    "rejected": ("people", "Take the rejection back, if it was a mistake.", "/approvals/decided"),
    "before_terms": (
        "program",
        "Nothing is to be done: a program's first terms may take effect in the past, no later version before them.",
        "/programs",
    ),
    "program_not_running": ("program", _TERMS, "/programs"),
    "program_paused": ("program", "Resume the program; whoever is referred from then on counts.", "/programs"),
    "program_ended": ("program", "Nothing is to be done: an archived program gives nothing new.", ""),
    "existing_customer": ("customer", _TERMS, "/programs"),
    "excluded_email_domain": ("customer", _TERMS, "/programs"),
    "duration_over": ("customer", _TERMS, "/programs"),
    "too_few_payments": ("customer", "Nothing is to be done: later payments of this customer earn.", ""),
    "country": ("conditions", _TERMS, "/programs"),
    "currency": ("conditions", _TERMS, "/programs"),
    "excluded_coupon": ("conditions", _TERMS, "/programs"),
    "not_eligible_lines": ("conditions", _TERMS, "/programs"),
    "below_minimum": ("conditions", _TERMS, "/programs"),
    "condition_false": ("conditions", _TERMS, "/programs"),
    "no_rule_applies": ("conditions", _TERMS, "/programs"),
    "rule_not_running": ("conditions", _TERMS, "/programs"),
    "other_campaign": ("conditions", _TERMS, "/programs"),
    "lower_precedence": ("conditions", "If this rule should come first, change the order in the terms.", "/programs"),
    "no_tier_for_plan": ("amount", _TERMS, "/programs"),
    "rounds_to_zero": ("amount", _TERMS, "/programs"),
    "no_amount_for_currency": ("amount", _TERMS, "/programs"),
    "no_rate": ("amount", "Upload a rate for that day.", "/settings/currencies"),
    "rate_not_yet_known": ("amount", "It comes by itself, or upload it.", "/settings/currencies"),
    "no_cap_for_currency": ("amount", _TERMS, "/programs"),
    "amount_missing": ("amount", "Send whole amounts and a currency where the terms look for them.", "/programs"),
    "cap_reached": ("limits", _TERMS, "/programs"),
}
# Every hold: its gate, what helps, and the page for it.
HOLD_GATES: dict[str, tuple[str, str, str]] = {
    "awaiting_approval": ("people", "Approve or reject it.", "/approvals"),
    "fraud_hold": ("people", "Look at what was found, then approve or reject it.", "/approvals"),
    "dispute": ("payment", "Answer the dispute in Stripe; the reward is freed or taken back with its end.", ""),
}


class StoppedBy(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing that kept a payment from earning, or what its reward waits for. `rule_id`: the reward rule, where
    one said so."""

    gate: str
    code: str
    sentence: str
    remedy: str
    href: str
    rule_id: str | None = None


def stopped_by(decisions: Sequence[Decision]) -> StoppedBy | None:
    """What stopped one payment in all programs; None where one rewarded it and the reward neither waits for a person
    nor was taken back. Of several programs that which let it come farthest, since there the least is missing."""
    rewarded = [decision for decision in decisions if decision.outcome == "rewarded"]
    if not decisions or rewarded:
        held = [stop for decision in rewarded if (stop := _held(decision)) is not None]
        return held[0] if held and len(held) == len(rewarded) else None
    found = [_of(decision) for decision in decisions]
    return max(found, key=lambda row: GATES.index(row.gate))


def _of(decision: Decision) -> StoppedBy:
    refusing = [rule for rule in decision.rules if rule.outcome != "rewarded" and rule.reason]
    first = min(refusing, key=lambda rule: GATES.index(_gate(rule.reason)), default=None)
    code, rule_id = decision.reason, None
    if first is not None and (code not in REASONS or code == "no_rule_applies" or first.reason == code):
        code, rule_id = first.reason, first.rule_id
    assert code in REASON_GATES, decision.payment_key
    gate, remedy, href = REASON_GATES[code]
    is_customer = decision.referee_id.startswith(("cus_", "acct_"))
    if remedy.startswith(_BIND):
        remedy, href = bind_by_hand(decision, remedy.removeprefix(_BIND))
    elif href == "/programs" and decision.program_id:
        href = f"/programs/{decision.program_id}"
    elif code == "unknown_code":
        told = next((item.value for item in decision.evidence if item.verdict == "unknown_code"), "")
        remedy = remedy.replace("the code", f"the code “{told[:64]}”", 1) if told else remedy
    elif remedy == _APPROVE and is_customer:
        href = f"/customers/{decision.referee_id}"
    return StoppedBy(gate=gate, code=code, sentence=REASONS[code], remedy=remedy, href=href, rule_id=rule_id)


def bind_by_hand(decision: Decision, rest: str) -> tuple[str, str]:
    """The remedy of binding the customer by hand, ending with `rest`, and its page; what helps instead for a guest."""
    if not decision.referee_id.startswith(("cus_", "acct_")):
        return _GUEST, ""
    return f"{_BIND}{rest}", f"/customers/{decision.referee_id}/referral"


def _held(decision: Decision) -> StoppedBy | None:
    """Why a rewarded decision pays nothing, or nothing yet; None where something of it is paid."""
    rewarded = [rule for rule in decision.rules if rule.outcome == "rewarded"]
    if not rewarded:
        return None
    if all(rule.reason == "rejected" for rule in rewarded):
        code, sentence = "rejected", REASONS["rejected"]
    elif all(0 < rule.amount == rule.reversed for rule in rewarded):
        if any(item.kind == "dispute" and item.reason in _OPEN_DISPUTES for item in decision.reversals):
            return _disputed(rewarded[0].rule_id)
        code, sentence = "went_back", "All of the money went back, and the reward with it."
    elif all(rule.holds for rule in rewarded):
        code, sentence = rewarded[0].holds[0], HOLDS[rewarded[0].holds[0]]
    elif decision.is_held:
        code, sentence = "dispute", HOLDS["dispute"]
    else:
        return None
    gate, remedy, href = HOLD_GATES[code] if code in HOLD_GATES else REASON_GATES[code]
    return StoppedBy(gate=gate, code=code, sentence=sentence, remedy=remedy, href=href, rule_id=rewarded[0].rule_id)


_OPEN_DISPUTES = frozenset(("dispute_needs_response", "dispute_under_review"))


def _disputed(rule_id: str) -> StoppedBy:
    return StoppedBy(
        gate="payment",
        code="went_back",
        sentence="A dispute that is not decided yet took the money, and the reward with it.",
        remedy="Answer the dispute in Stripe: the reward is back when it is won.",
        href="",
        rule_id=rule_id,
    )


def _gate(reason: str) -> str:
    return REASON_GATES[reason][0]


EVENT_STOPS: dict[str, tuple[str, str, str]] = {
    "pending": ("The event waits to be settled.", "The doctor says if the worker does not run.", "/doctor"),
    "parked": ("The event could not be settled and is parked.", "Mend the cause, then replay it.",
               "/events?state=parked"),
    "ignored": ("The event is of a type that RefRef does not read.", "Ask with the id of a payment or a customer.", ""),
    "quarantined": ("The event was set aside: it is of the other mode or of another account.",
                    "Look at its endpoint.", "/doctor"),
}  # fmt: skip


def stopped_event(state: str) -> StoppedBy | None:
    """What stopped an event that was not settled; None for one that was."""
    if state not in EVENT_STOPS:
        return None
    sentence, remedy, href = EVENT_STOPS[state]
    return StoppedBy(gate="delivery", code=f"event_{state}", sentence=sentence, remedy=remedy, href=href)


KNOWN_BY_REFERENCE = "known by reference only"


def stopped_unpaid(summary: str) -> StoppedBy:
    """Why no payment came of an object of a sale; `summary`: what is known of it."""
    if summary == KNOWN_BY_REFERENCE:
        sentence = "Others name it, but no event has told of it."
        remedy = "Compare with Stripe: what is missing is brought in."
        return StoppedBy(gate="delivery", code="not_told", sentence=sentence, remedy=remedy, href="/history")
    sentence = f"No payment has come of it: as far as Stripe told, it is {summary}."
    remedy = "Nothing is to be done here: it is judged when the money comes."
    return StoppedBy(gate="payment", code="not_paid", sentence=sentence, remedy=remedy, href="")
