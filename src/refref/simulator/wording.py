"""What happened and what it earned, in words. Pure presenters over decisions, entries and Stripe's events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from refref.core.base import Base
from refref.core.decisions import WAITING, Decision, RuleOutcome
from refref.core.ledger import Entry
from refref.core.money import format_amount
from refref.core.outcome_words import present_rule
from refref.core.words import present_base, present_evidence, present_outcome, present_reversal
from refref.sandbox.store import Doc
from refref.simulator.result import Outcome, Tone
from refref.simulator.sales import Sales

# How an event reads in the timeline; others are only counted.
_EVENTS: Mapping[str, str] = {
    "invoice.paid": "{who} paid {amount}: {sale}.",
    "invoice.payment_failed": "{who}'s card was declined for {amount}: {sale}.",
    "invoice.voided": "The invoice {sale} was voided.",
    "customer.subscription.trial_will_end": "{who}'s trial ends in three days.",
    "customer.subscription.deleted": "{who}'s subscription ended.",
    "charge.failed": "A payment of {who} was declined.",
    "refund.created": "{amount} went back to {who}.",
    "refund.failed": "The refund of {amount} to {who} failed: the money came back.",
    "credit_note.created": "A credit note over {amount} for {who}.",
    "charge.dispute.created": "{who} disputes {amount}.",
    "charge.dispute.funds_withdrawn": "Stripe withdrew {amount} for the dispute.",
    "charge.dispute.funds_reinstated": "{amount} of the dispute came back.",
    "checkout.session.expired": "A checkout of {who} expired unpaid.",
}
_AMOUNTS = ("amount_paid", "amount_total", "amount")
_ENTRIES = {
    "earn": "{owner} earns {amount}, {account}.",
    "adjust": "{amount} of {owner} is corrected: {reason}.",
    "mature": "{amount} of {owner} becomes payable: {reason}.",
    "hold": "{amount} of {owner} is held: {reason}.",
    "release": "{amount} of {owner} is released: {account}.",
    "reverse": "{amount} is taken back from {owner}: {reason}.",
    "restore": "{amount} is given back to {owner}: {reason}.",
}


class Wording:
    """Puts a story's results in words. `names`: Stripe ids and participants' ids -> how people are called."""

    def __init__(self, names: Mapping[str, str], sales: Sales) -> None:
        self.names = names
        self.sales = sales

    def name(self, owner: str) -> str:
        """How somebody is called."""
        return self.names.get(owner, owner)

    def outcome(self, decision: Decision) -> Outcome:
        """A decision as the timeline shows it."""
        sentence = present_outcome(decision, self.names)
        return Outcome(
            self.sale(decision),
            self.name(decision.referee_id),
            sentence.replace("The customer", self.name(decision.referee_id)),
            _tone(decision),
            tuple(self.because(decision)),
        )

    def sale(self, decision: Decision) -> str:
        """How the sale of a decision is called."""
        return self.sales.name_of([decision.payment_key, *decision.ids])

    def because(self, decision: Decision, rule_id: str = "") -> Iterator[str]:
        """Every step from who referred to what was earned; of one rule, where one is named."""
        yield from self.evidence(decision)
        if decision.because:
            yield f"{decision.because.removesuffix('.')}."
        yield from base_lines(decision)
        if decision.payment_number:
            yield f"It is the customer's counted payment number {decision.payment_number}."
        for rule in decision.rules:
            if not rule_id or rule.rule_id == rule_id:
                yield from self.rule_lines(rule, decision)
        for reversal in decision.reversals:
            yield str(present_reversal(reversal, decision.currency)["sentence"])

    def evidence(self, decision: Decision) -> Iterator[str]:
        """What named a participant, and what became of it."""
        for item in decision.evidence:
            yield str(present_evidence(item, self.names)["sentence"])

    def rule_lines(self, rule: RuleOutcome, decision: Decision) -> Iterator[str]:
        """What one rule made of a sale, with its arithmetic and what chose, cut or converted."""
        shown = present_rule(rule, decision, self.names)
        said = shown["arithmetic"] or shown["sentence"]
        yield f"Rule “{rule.rule_id}”: {said}"
        yield from _texts(shown["steps"])
        yield from _texts(shown["holds"])
        if rule.outcome == "rewarded" and rule.reversed:
            yield str(shown["sentence"])

    def entry(self, entry: Entry) -> str:
        """A ledger entry in one sentence."""
        is_out = entry.destination[0] == "expense"
        account, owner = entry.source if is_out else entry.destination
        amount = format_amount(entry.amount, entry.currency)
        return _ENTRIES[entry.kind].format(owner=self.name(owner), amount=amount, account=account, reason=entry.reason)

    def event(self, event: Doc, customer: str) -> str:
        """One of Stripe's events, of a customer, in a sentence; "" for those that say nothing of their own."""
        text = _EVENTS.get(event["type"])
        doc: Doc = event["data"]["object"]
        amount = next((doc[name] for name in _AMOUNTS if doc.get(name) is not None), 0)
        if event["type"] == "invoice.payment_failed":
            amount = doc["amount_due"]
        if text is None or (event["type"] == "invoice.paid" and amount == 0):
            return ""
        currency = str(doc.get("currency") or "usd")
        who = self.name(customer)
        return text.format(who=who, amount=format_amount(amount, currency), sale=self.sales.name_of([doc["id"]]))


def base_lines(decision: Decision) -> Iterator[str]:
    """From the total of the sale to what counts of it."""
    base: Base | None = decision.base
    if base is None or not decision.total:
        return
    _, steps = present_base(decision)
    parts = [f"{step['label']}: {_signed(step['amount_minor'], decision.currency)}" for step in steps]
    yield f"{'; '.join(parts)}. What counts: {format_amount(base.amount, decision.currency)}."
    left_out = [line.description or line.id for line in base.lines if line.left_out]
    if left_out:
        yield f"Not of a product that the terms reward: {', '.join(left_out)}."


def _signed(amount: object, currency: str) -> str:
    assert isinstance(amount, int)
    return format_amount(amount, currency)


def _texts(given: object) -> Sequence[str]:
    return [str(text) for text in given] if isinstance(given, Iterable) else []


def _tone(decision: Decision) -> Tone:
    if decision.outcome == "rewarded":
        return "good"
    return "wait" if decision.outcome == "waiting" or decision.reason in WAITING else "off"
