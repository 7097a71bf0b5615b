"""Why not: the gate at which a payment stopped earning, with a remedy; and why an id may be unknown. Pure.

The gates stand in the order in which a payment passes them, so the first that refuses is the one to look at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from refref.core.decisions import REASONS, Decision

GATES = ("delivery", "payment", "attribution", "program", "customer", "conditions", "amount", "limits", "people")

# Every reason: its gate, what helps, and the page for it ("" where nothing is to be done: the terms say so).
_TERMS = "If it should have earned, change the terms: earlier versions keep what they gave."
REASON_GATES: dict[str, tuple[str, str, str]] = {
    "payment_pending": ("payment", "It is judged when Stripe says that the money came.", ""),
    "payment_failed": ("payment", "", ""),
    "nothing_paid": ("payment", "", ""),
    "went_back": ("payment", "", ""),
    "bare_charge": ("payment", _TERMS, "/programs"),
    "lines_missing": ("payment", "RefRef asks Stripe for the lines; the doctor says if it gets no answer.", "/doctor"),
    "not_attributed": ("attribution", "Bind the customer by hand, or see how identifiers travel.", "/doctor"),
    "unknown_code": ("attribution", "Add the code to a participant; the payment is judged again.", "/participants"),
    "inactive_code": ("attribution", "Bind the customer by hand to another code, if it should count.", ""),
    "before_referral": ("attribution", "Bind the customer by hand with the day of the referral.", ""),
    "outside_window": ("attribution", "Bind the customer by hand with the day of the referral.", ""),
    "self_referral": ("people", "Approve the referral on the customer's page, if it is none.", ""),
    "fraud_denied": ("people", "Approve the referral on the customer's page, if it is none.", ""),
    "rejected": ("people", "Withdraw the rejection.", ""),
    "before_terms": ("program", "Publish terms that take effect earlier.", "/programs"),
    "program_not_running": ("program", _TERMS, "/programs"),
    "program_paused": ("program", "Resume the program; whoever is referred from then on counts.", "/programs"),
    "program_ended": ("program", "", ""),
    "existing_customer": ("customer", _TERMS, "/programs"),
    "excluded_email_domain": ("customer", _TERMS, "/programs"),
    "duration_over": ("customer", _TERMS, "/programs"),
    "too_few_payments": ("customer", "", ""),
    "country": ("conditions", _TERMS, "/programs"),
    "currency": ("conditions", _TERMS, "/programs"),
    "excluded_coupon": ("conditions", _TERMS, "/programs"),
    "not_eligible_lines": ("conditions", _TERMS, "/programs"),
    "below_minimum": ("conditions", _TERMS, "/programs"),
    "condition_false": ("conditions", _TERMS, "/programs"),
    "no_rule_applies": ("conditions", _TERMS, "/programs"),
    "rule_not_running": ("conditions", _TERMS, "/programs"),
    "other_campaign": ("conditions", _TERMS, "/programs"),
    "lower_precedence": ("conditions", "", ""),
    "no_tier_for_plan": ("amount", _TERMS, "/programs"),
    "rounds_to_zero": ("amount", "", ""),
    "no_amount_for_currency": ("amount", _TERMS, "/programs"),
    "no_rate": ("amount", "Upload a rate for that day.", "/settings/currencies"),
    "rate_not_yet_known": ("amount", "It comes by itself, or upload it.", "/settings/currencies"),
    "no_cap_for_currency": ("amount", _TERMS, "/programs"),
    "amount_missing": ("amount", "Send whole amounts and a currency where the terms look for them.", "/programs"),
    "cap_reached": ("limits", _TERMS, "/programs"),
}


class StoppedBy(msgspec.Struct, frozen=True, kw_only=True):
    """The first thing that kept a payment from earning. `rule_id`: the reward rule, where one said so."""

    gate: str
    code: str
    sentence: str
    remedy: str
    href: str
    rule_id: str | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What may be the reason that an id is unknown, the likeliest first; `is_certain`: we know that it is so."""

    code: str
    is_certain: bool
    sentence: str
    remedy: str
    href: str


def stopped_by(decisions: Sequence[Decision]) -> StoppedBy | None:
    """What stopped one payment in all programs; None where one rewarded it. Of several programs that which let it
    come farthest, since there the least is missing."""
    if not decisions or any(decision.outcome == "rewarded" for decision in decisions):
        return None
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
    return StoppedBy(gate=gate, code=code, sentence=REASONS[code], remedy=remedy, href=href, rule_id=rule_id)


def _gate(reason: str) -> str:
    return REASON_GATES[reason][0]


EVENT_STOPS: dict[str, tuple[str, str, str]] = {
    "pending": ("The event waits to be settled.", "The doctor says if the worker does not run.", "/doctor"),
    "parked": ("The event could not be settled and is parked.", "Mend the cause, then replay it.",
               "/events?state=parked"),
    "ignored": ("The event is of a type that RefRef does not read.", "", ""),
    "quarantined": ("The event was set aside: it is of the other mode or of another account.",
                    "Look at its endpoint.", "/doctor"),
}  # fmt: skip


def stopped_event(state: str) -> StoppedBy | None:
    """What stopped an event that was not settled; None for one that was."""
    if state not in EVENT_STOPS:
        return None
    sentence, remedy, href = EVENT_STOPS[state]
    return StoppedBy(gate="delivery", code=f"event_{state}", sentence=sentence, remedy=remedy, href=href)


class IdSituation(msgspec.Struct, frozen=True, kw_only=True):
    """What we know around an unknown id. `events`: (type, state) of events about it, anywhere in the organization that
    is not settled; `elsewhere`: names of other connections that know it; `last_webhook`: ISO or ""."""

    mode: str
    elsewhere: tuple[str, ...]
    events: tuple[tuple[str, str], ...]
    last_webhook: str
    has_history: bool


_STRIPE_ID = re.compile(r"(in|pi|ch|py|cs|cus|sub|re|pyr|dp|du|cn|evt|promo|inpay|acct|txn)_[A-Za-z0-9_]{4,250}")
_OWN_ID = re.compile(r"(rwd|rfl|tld|ptc)_[a-z0-9]{20}(\.\d+)?")


def causes_of(any_id: str, found: IdSituation) -> list[Cause]:
    """Why nothing is known of an id or an e-mail address, the likeliest first."""
    causes: list[Cause] = []
    if found.elsewhere:
        causes.append(_cause("other_connection", f"It is known on {', '.join(found.elsewhere)}.",
                             "Look at that connection.", "", is_certain=True))  # fmt: skip
    mode = next((mode for mode in ("test", "live") if f"_{mode}_" in any_id), found.mode)
    if mode != found.mode:
        sentence = f"The id is of {mode} mode, and this connection of {found.mode} mode."
        causes.append(_cause("other_mode", sentence, f"Look at a connection of {mode} mode.", "", is_certain=True))
    for state in ("parked", "pending", "quarantined", "ignored"):
        types = sorted({name for name, own in found.events if own == state})
        if types:
            sentence, remedy, href = EVENT_STOPS[state]
            told = f"{sentence[:-1]}: {', '.join(types)}."
            causes.append(_cause(f"event_{state}", told, remedy, href, is_certain=True))
    if causes:
        return causes
    if "@" in any_id:
        sentence = "No customer with this address is known; guests and customers without an address have only ids."
        causes.append(_cause("no_such_address", sentence, "Ask with the id of a payment (in_…, pi_…, ch_…, cs_…).", ""))
    elif not (_STRIPE_ID.fullmatch(any_id) or _OWN_ID.fullmatch(any_id)):
        sentence = "It has not the form of an id: there may be a typing error."
        causes.append(_cause("malformed", sentence, "Copy the id from Stripe's own pages.", ""))
        return causes
    last = f"The last webhook came at {found.last_webhook}." if found.last_webhook else "No webhook ever came."
    causes.append(_cause("never_arrived", f"No event has told of it. {last}", "Compare with Stripe: what is missing is "
                         "brought in.", "/history"))  # fmt: skip
    if not found.has_history:
        sentence = "It may be from before the connection was made, and the history was not read."
        causes.append(_cause("before_connection", sentence, "Read the history of the account.", "/history"))
    causes.append(_cause("filtered_type", "Its event type may not be enabled on the endpoint in Stripe.",
                         "Look at the endpoint; the doctor lists what comes.", "/doctor"))  # fmt: skip
    sentence = "It may belong to another Stripe account."
    causes.append(_cause("other_account", sentence, "Connect that account.", "/integrations"))
    return causes


def _cause(code: str, sentence: str, remedy: str, href: str, *, is_certain: bool = False) -> Cause:
    return Cause(code=code, is_certain=is_certain, sentence=sentence, remedy=remedy, href=href)
