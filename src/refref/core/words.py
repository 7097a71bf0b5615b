"""Decisions in plain words: every number of a payment as a line that a merchant can check. Pure presenters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from refref.core.attribution import Evidence
from refref.core.base import Base
from refref.core.decisions import HOLDS, REASONS, Decision
from refref.core.facts import CarrierKind
from refref.core.money import format_amount
from refref.core.reversals import ReversalItem

Document = dict[str, object]

_CARRIERS = {
    CarrierKind.MANUAL: "bound by hand in RefRef",
    CarrierKind.PROMOTION_CODE: "promotion code used at checkout",
    CarrierKind.CLIENT_REFERENCE: "client_reference_id of the checkout session",
    CarrierKind.SESSION_METADATA: "metadata of the checkout session",
    CarrierKind.SUBSCRIPTION_METADATA: "metadata of the subscription",
    CarrierKind.PAYMENT_INTENT_METADATA: "metadata of the payment intent",
    CarrierKind.INVOICE_METADATA: "metadata of the invoice",
    CarrierKind.CUSTOMER_METADATA: "metadata of the customer",
    CarrierKind.SIGNUP: "told by your application at sign-up",
}

_VERDICTS = {
    "used": "This decided who referred the customer.",
    "lower": "On the same sale, something of higher precedence was found.",
    "later": "The customer had been bound before; the first referral stays.",
    "unknown_code": "No participant has this code.",
    "inactive_code": "The code had been ended before.",
    "other_program": "The code belongs to another program.",
    "no_terms": "Their program has no published terms.",
    "other_connection": "They take part on another connection.",
    "undone": "It was taken back by hand.",
}

_REVERSALS = {
    "refunded": "Refunded to the customer.",
    "refunded_on_charge": "Refunded, as the charge says.",
    "refund_failed": "The refund failed, so nothing was taken back.",
    "refund_canceled": "The refund was cancelled, so nothing was taken back.",
    "credited_without_refund": "Credited by a credit note, without a refund.",
    "dispute_open": "A dispute is open: the reward is held until it is decided.",
    "dispute_inquiry": "The bank asks about the payment: the reward is held until that is over.",
    "dispute_won": "The dispute was won: nothing is taken back.",
    "dispute_lost": "The dispute was lost.",
    "dispute_prevented": "The dispute was prevented: nothing is taken back.",
    "dispute_warning_closed": "The inquiry was closed without a dispute.",
}


def iso(seconds: int) -> str:
    """Seconds since 1970 as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(seconds: int) -> str:
    """Seconds since 1970 as a date for people: 24 Dec 2026."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%b %Y}"


def percent(rate_bps: int) -> str:
    """Basis points for people: 2000 -> `20 %`, 250 -> `2.5 %`."""
    whole, rest = divmod(rate_bps, 100)
    return f"{whole}.{rest:02d}".rstrip("0").rstrip(".") + " %" if rest else f"{whole} %"


def present_evidence(item: Evidence, names: Mapping[str, str]) -> Document:
    """One carrier: where it was, what it said, and what became of it."""
    owner = names.get(item.participant_id, item.participant_id)
    where = _CARRIERS[item.kind]
    said = f"“{item.value}” ({where})" + (f" stands for {owner}." if owner else ".")
    return {
        "carrier": item.kind.value,
        "value": item.value,
        "stripe_id": item.stripe_id,
        "seen_at": iso(item.seen_at),
        "clicked_at": None if item.clicked_at is None else iso(item.clicked_at),
        "campaign": item.campaign or None,
        "used": item.verdict == "used",
        "verdict": item.verdict,
        "sentence": f"{said} {_VERDICTS[item.verdict]}",
    }


def present_base(decision: Decision) -> tuple[list[Document], list[Document]]:
    """The lines of a sale, and the steps from what was paid to the base, in minor units."""
    base = decision.base
    if base is None:
        return [], []
    lines: list[Document] = [
        {
            "id": line.id,
            "description": line.description or line.id,
            "amount_minor": line.amount,
            "net_minor": line.net,
            "is_eligible": not line.left_out,
            "left_out": "Its product is not one that the terms reward." if line.left_out else None,
        }
        for line in base.lines
    ]
    return lines, _base_steps(decision, base)


def _base_steps(decision: Decision, base: Base) -> list[Document]:
    steps: list[tuple[str, int]] = [("Total of the sale", decision.total)]
    if decision.tax and base.net != decision.total - decision.shipping:
        steps.append(("Tax, left out", -decision.tax))
    if decision.shipping and base.net != decision.total - decision.tax:
        steps.append(("Shipping, left out", -decision.shipping))
    left_out = base.net - base.eligible
    if base.lines and base.eligible != base.net and base.lines_net == base.net:
        steps.append(("Lines whose product is not rewarded", -left_out))
    elif base.eligible != base.net:
        steps.append((f"Eligible lines make up {base.eligible} of {base.lines_net}", base.eligible - base.net))
    if base.paid != base.total and base.total > 0:
        label = f"Only {format_amount(base.paid, decision.currency)} of the total was paid in money"
        steps.append((label, base.amount - max(0, base.eligible)))
    return [{"label": label, "amount_minor": amount} for label, amount in steps]


def present_reversal(item: ReversalItem, currency: str) -> Document:
    """One refund, dispute or credit note, and what it does."""
    known = _REVERSALS.get(item.reason) or (
        "The dispute took the money." if item.kind == "dispute" else item.reason.replace("_", " ") + "."
    )
    of_lines = " The credit note names the lines, so their part of the base counts." if item.base_part else ""
    return {
        "id": item.stripe_id, "kind": item.kind, "amount_minor": item.amount, "effect": item.effect,
        "sentence": f"{format_amount(item.amount, currency)}: {known}{of_lines}",
    }  # fmt: skip


def present_outcome(decision: Decision, names: Mapping[str, str]) -> str:
    """One sentence: who earned what, or why nobody did. Currencies are never added."""
    if decision.outcome != "rewarded":
        return REASONS[decision.reason]
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    granted: list[str] = []
    for rule in decision.rules:
        if rule.reward in ("discount", "feature") and rule.outcome == "rewarded":
            granted.append(f"a {rule.reward}")
        for beneficiary, amount, taken in rule.parts if rule.reward not in ("discount", "feature") else ():
            key = (beneficiary, rule.currency or decision.currency)
            known = sums.get(key, (0, 0))
            sums[key] = (known[0] + amount, known[1] + taken)
    sentences = [
        _earned(_name(beneficiary, decision, names), amount, taken, currency)
        for (beneficiary, currency), (amount, taken) in sums.items()
    ]
    if granted:
        sentences.append(f"The customer gets {' and '.join(granted)}.")
    return " ".join(sentences)


def _name(beneficiary: str, decision: Decision, names: Mapping[str, str]) -> str:
    return "The customer" if beneficiary == decision.referee_id else names.get(beneficiary, beneficiary)


def _earned(who: str, amount: int, taken: int, currency: str) -> str:
    back = f" after {format_amount(taken, currency)} was taken back" if taken else ""
    return f"{who} earned {format_amount(amount - taken, currency)}{back}."


def status_sentence(status: str, hold_until: int, holds: Sequence[str] = ()) -> str:
    """When a reward's status will change."""
    if status == "held" and holds:
        return "Held: " + " ".join(HOLDS[hold] for hold in holds)
    return {
        "pending": f"Pending until {day(hold_until)}, when the hold period ends.",
        "payable": f"Payable since {day(hold_until)}.",
        "held": "Held while a dispute is open; decided with it.",
        "reversed": "Reversed: all of it was taken back.",
        "expired": "Expired: it was not paid out in time.",
        "paid": "Paid out.",
    }[status]
