"""The steps of a story in words, for its timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from refref.simulator.story import (
    CreditNote,
    Dispute,
    Ending,
    Invoice,
    Payment,
    PlanChange,
    Purchase,
    Refund,
    Setting,
    Step,
    Subscribing,
)

_PAID = {"card": "by card", "outside": "outside Stripe", "later": "later"}
_SETTLES = {"now": "settled at once", "later": "settled with the next invoice", "never": "without settling"}
_GIVES = {"refund": "refunded", "credit": "as credit", "outside": "given back outside Stripe"}


def step_sentence(step: Step, who: str) -> str:
    """What happens in a step; `who`: how its customer is called. "" where only time passes."""
    text = _action(step, who)
    parts = [f"{text[:1].upper()}{text[1:]}." if text else "", step.note]
    return " ".join(part for part in parts if part)


def _action(step: Step, who: str) -> str:
    if step.signs_up:
        return f"{who} signs up"
    if step.buys is not None:
        return f"{who} buys {_purchase(step.buys)}"
    if step.subscribes is not None:
        return f"{who} subscribes to {_subscribing(step.subscribes)}"
    if step.changes is not None:
        return f"{who or step.changes.subscription} changes {_change(step.changes)}"
    if step.cancels is not None:
        return f"{who or step.cancels.subscription} cancels {_ending(step.cancels)}"
    if step.restarts is not False:
        return f"{who or step.restarts} takes the subscription up again"
    if step.sets is not None:
        return f"{who} changes {_setting(step.sets)}"
    if step.invoices is not None:
        return f"the merchant invoices {who} for {_invoice(step.invoices)}"
    return _money(step)


def _money(step: Step) -> str:
    if step.pays is not None:
        paid = Payment(step.pays) if isinstance(step.pays, str) else step.pays
        return f"{paid.amount or 'all'} of {paid.sale} is paid{' outside Stripe' if paid.outside else ''}"
    if step.refunds is not None:
        refund = Refund(step.refunds) if isinstance(step.refunds, str) else step.refunds
        fails = ", and the bank sends it back" if refund.fails else ""
        return f"the merchant refunds {_part(refund)}{fails}"
    if step.credits is not None:
        note = CreditNote(step.credits) if isinstance(step.credits, str) else step.credits
        return f"the merchant credits {_part(note)}, {_GIVES[note.gives]}"
    if step.disputes is not None:
        dispute = Dispute(step.disputes) if isinstance(step.disputes, str) else step.disputes
        what = "the bank asks about" if dispute.inquiry else "the bank disputes"
        return f"{what} {dispute.amount or 'all'} of {dispute.sale}"
    for text, sale in (
        ("the dispute of {} is won", step.wins_dispute),
        ("the dispute of {} is lost", step.loses_dispute),
        ("a person approves {}", step.approves),
        ("a person rejects {}", step.rejects),
    ):
        if sale is not None:
            return text.format(sale)
    return ""


def _purchase(given: str | Purchase) -> str:
    if isinstance(given, str):
        return given
    items = given.items
    rows = [(item.price, item.quantity) for item in items] if items else [(given.price, given.quantity)]
    return ", ".join([" and ".join(_counted(*row) for row in rows), *_terms(given)])


def _subscribing(given: str | Subscribing) -> str:
    if isinstance(given, str):
        return given
    trial = [f"with a trial of {given.trial}"] if given.trial and given.trial != "none" else []
    return ", ".join([_counted(given.price, given.quantity), *trial, *_terms(given)])


def _terms(given: Purchase | Subscribing) -> Iterator[str]:
    if given.link:
        yield f"through the link of {given.link}"
    if given.promotion_code:
        yield f"with the promotion code {given.promotion_code}"
    if given.coupon:
        yield f"with the coupon {given.coupon}"
    if given.currency:
        yield f"in {given.currency.upper()}"
    if isinstance(given, Purchase) and given.shipping:
        yield f"shipped for {given.shipping}"
    if given.card:
        yield f"with the card {given.card}"


def _counted(price: str, quantity: int) -> str:
    return price if quantity == 1 else f"{quantity} × {price}"


def _change(given: PlanChange) -> str:
    to = [f"to {given.price}"] if given.price else []
    if given.quantity is not None:
        to.append(f"to {given.quantity} of them")
    return f"{' and '.join(to)}, {_SETTLES[given.settles]}"


def _ending(given: Ending) -> str:
    rest = ", with credit for the unused time" if given.credits_rest else ""
    return ("at the end of the period" if given.when == "period_end" else "at once") + rest


def _setting(given: Setting) -> str:
    named = [
        f"{name} to {getattr(given, name)}" for name in ("email", "name", "country", "card") if getattr(given, name)
    ]
    return " and ".join([*named, *(f"{key} to {value}" for key, value in given.metadata.items())])


def _invoice(given: Invoice) -> str:
    rows = [
        _counted(line.price, line.quantity) if line.price else f"{line.text or 'work'} ({line.amount})"
        for line in given.lines
    ]
    return f"{' and '.join(rows)}, to be paid {_PAID[given.paid]}"


def _part(given: Refund | CreditNote) -> str:
    if given.price:
        return f"{given.amount or 'all'} of the line {given.price} of {given.sale}"
    return f"{given.amount or 'all'} of {given.sale}"
