"""Invoices and invoice payments in every shape. Amounts in minor units, instants in unix seconds."""

from __future__ import annotations

from refref.core.facts import CarrierKind, InvoicePaymentState, InvoiceState, Kind, Line
from refref.stripe.readers.carriers import Discounts, metadata_carriers
from refref.stripe.readers.lines import invoice_line
from refref.stripe.readers.metadata import metadata_of
from refref.stripe.readers.probe import (
    Payload,
    flag,
    identifier,
    label,
    rows,
    section,
    text,
    text_or_none,
    whole,
    whole_or_none,
)
from refref.stripe.readers.ranks import INVOICE_PAYMENT_RANK, INVOICE_RANK
from refref.stripe.readers.scene import Scene
from refref.stripe.reading import NeedKind

# Short shapes leave the status out; the event's name tells it.
STATUS_OF_EVENT = {
    "invoice.paid": "paid",
    "invoice.voided": "void",
    "invoice.marked_uncollectible": "uncollectible",
    "invoice_payment.paid": "paid",
}


def read_invoice(invoice: Payload, scene: Scene) -> None:
    """An invoice: its state, its links, the promotion codes on it, and the subscription metadata it was made with."""
    stripe_id = identifier(invoice)
    created_at = whole_or_none(invoice, "created") or 0
    status = _status(invoice, scene)
    state = None if status is None else _state(invoice, status, _paid_at(invoice, scene))
    # A need is answered once, so it is raised for the state that counts: lines of an unpaid invoice never do.
    if state is not None and state.status == "paid" and (not state.has_all_lines or _hides_credits(invoice, state)):
        scene.need(NeedKind.INVOICE_LINES, stripe_id)
    discounts = _discounts(invoice, scene.seen_at)
    if discounts.is_incomplete:
        scene.need(NeedKind.INVOICE_DISCOUNTS, stripe_id)
    if state is not None and _hides_off_stripe(invoice, state):
        scene.need(NeedKind.INVOICE_OFF_STRIPE, stripe_id)
    carriers = discounts.carriers + metadata_carriers(invoice, CarrierKind.INVOICE_METADATA, created_at)
    subscription_id, of_subscription = _subscription(invoice, scene)
    customer_id = scene.follow(invoice, "customer", "customer") or scene.follow(invoice, "customer_account", "account")
    snapshot = metadata_carriers(of_subscription, CarrierKind.SUBSCRIPTION_METADATA, created_at)
    if snapshot and subscription_id is not None:
        scene.add(subscription_id, Kind.SUBSCRIPTION, links=(customer_id, stripe_id), carriers=snapshot)
        snapshot = ()
    scene.add(
        stripe_id,
        Kind.INVOICE,
        state,
        rank=0 if state is None else INVOICE_RANK.get(state.status, 0),
        weight=0 if state is None else _completeness(state),
        links=(
            customer_id,
            subscription_id,
            scene.follow(invoice, "payment_intent", "payment_intent"),
            scene.follow(invoice, "charge", "charge"),
            *_payments(invoice, scene),
        ),
        carriers=carriers + snapshot,
        marks=discounts.marks,
    )


def read_invoice_payment(payment: Payload, scene: Scene) -> None:
    """An invoice payment (basil and later): what ties an invoice to its payment intent or charge."""
    stripe_id = identifier(payment)
    status = text_or_none(payment, "status") or scene.told(STATUS_OF_EVENT) or ""
    if not status and not scene.is_nested:
        status = text(payment, "status")
    means = section(payment, "payment")
    scene.add(
        stripe_id,
        Kind.INVOICE_PAYMENT,
        InvoicePaymentState(
            status=status,
            amount_paid=whole_or_none(payment, "amount_paid") or 0,
            currency=_currency(payment),
            paid_at=whole_or_none(section(payment, "status_transitions"), "paid_at"),
        ),
        rank=INVOICE_PAYMENT_RANK.get(status, 0),
        links=(
            scene.follow(payment, "invoice", "invoice"),
            scene.follow(means, "payment_intent", "payment_intent"),
            scene.follow(means, "charge", "charge"),
        ),
    )


def _status(invoice: Payload, scene: Scene) -> str | None:
    """The status; where a short shape lacks it, `paid` or the event's name tells. None: an expanded stub, only a link.

    Refuses an invoice that an event is about and whose status nothing tells.
    """
    status = text_or_none(invoice, "status")
    if not status:
        status = "paid" if flag(invoice, "paid") else scene.told(STATUS_OF_EVENT)
    if scene.is_nested:
        has_money = invoice.get("amount_paid") is not None and invoice.get("currency") is not None
        return status if has_money else None
    return status or text(invoice, "status")


def _total(invoice: Payload, status: str) -> int:
    """The total; where a short shape lacks it, what was due, else what was paid."""
    total = whole_or_none(invoice, "total")
    if total is None:
        total = whole_or_none(invoice, "amount_due") or _amount_paid(invoice, status)
    return total


def _amount_paid(invoice: Payload, status: str) -> int:
    # Only where money is told to have come does it matter how much.
    return whole(invoice, "amount_paid") if status == "paid" else whole_or_none(invoice, "amount_paid") or 0


def _paid_at(invoice: Payload, scene: Scene) -> int | None:
    """When it was paid; where a short shape lacks it, the instant of the event that says so."""
    paid_at = whole_or_none(section(invoice, "status_transitions"), "paid_at")
    if paid_at is None and scene.told(STATUS_OF_EVENT) == "paid":
        return scene.seen_at
    return paid_at


def _state(invoice: Payload, status: str, paid_at: int | None) -> InvoiceState:
    total = _total(invoice, status)
    amount_paid, off_stripe = _paid(invoice, status, total)
    listed = invoice.get("lines")
    lines: tuple[Payload, ...] | list[Payload] = ()
    has_all = False
    if listed is not None:
        listed = section(invoice, "lines")
        lines = list(rows(listed, "data"))
        count = whole_or_none(listed, "total_count")
        has_all = not flag(listed, "has_more") and (count is None or count <= len(lines))
    read = tuple([invoice_line(line) for line in lines])
    tax = _tax(invoice, total, read)
    subtotal = whole_or_none(invoice, "subtotal")
    return InvoiceState(
        status=status,
        currency=text(invoice, "currency").lower(),
        total=total,
        subtotal=total if subtotal is None else subtotal,
        amount_paid=amount_paid,
        amount_off_stripe=off_stripe,
        tax=tax,
        total_excluding_tax=total - tax,
        shipping=_shipping(invoice),
        created_at=whole_or_none(invoice, "created") or 0,
        paid_at=paid_at,
        billing_reason=text_or_none(invoice, "billing_reason"),
        number=label(invoice, "number"),
        email=label(invoice, "customer_email"),
        lines=read,
        has_all_lines=has_all,
        metadata=metadata_of(invoice),
    )


def _paid(invoice: Payload, status: str, total: int) -> tuple[int, int]:
    """Money paid for the invoice, out-of-band money included, and the out-of-band part.

    What was paid beyond amount_due is `amount_overpaid` (basil), which goes to the customer balance: it is left out.
    Money on an invoice of which nothing was due is a contradiction: then amount_due is not believed.

    Before basil amount_paid leaves out-of-band money out and `paid_out_of_band` says that the rest of amount_due came
    that way; since basil amount_paid includes it, and since 2026-05-27 `amount_paid_off_stripe` tells how much.
    """
    paid = _amount_paid(invoice, status)
    due = whole_or_none(invoice, "amount_due")
    if due:
        paid = min(paid, max(0, due))
    off_stripe = whole_or_none(invoice, "amount_paid_off_stripe")
    if off_stripe is not None:
        return paid, off_stripe
    if status != "paid" or not flag(invoice, "paid_out_of_band"):
        return paid, 0
    due = total if due is None else due
    return (due, due - paid) if due > paid else (paid, paid)


def _hides_off_stripe(invoice: Payload, state: InvoiceState) -> bool:
    # From 2025-03-31 to 2026-05-27 nothing in the payload tells out-of-band money from other money (`paid` is older).
    return (
        state.status == "paid"
        and state.amount_paid > 0
        and invoice.get("amount_paid_off_stripe") is None
        and invoice.get("paid_out_of_band") is None
        and invoice.get("paid") is None
    )


def _hides_credits(invoice: Payload, state: InvoiceState) -> bool:
    # Before acacia (2024-09-30) a line does not name the billing credits taken off it: then it does not add up.
    if any(line.get("pretax_credit_amounts") is not None for line in rows(section(invoice, "lines"), "data")):
        return False
    shipping = whole_or_none(section(invoice, "shipping_cost"), "amount_total")
    billed = sum(line.amount - line.discount + line.tax_exclusive for line in state.lines)
    return billed + (state.shipping if shipping is None else shipping) != state.total


def _completeness(state: InvoiceState) -> int:
    # What an API version cannot tell, it leaves at nought, so it loses a tie against one that tells; where there is
    # nothing to tell, every version has the same weight.
    has_credits = any(line.credit_applied for line in state.lines)
    return 8 * len(state.lines) + 4 * state.has_all_lines + 2 * has_credits + (state.amount_off_stripe > 0)


def _tax(invoice: Payload, total: int, lines: tuple[Line, ...]) -> int:
    """Every tax on the invoice, inclusive and exclusive, shipping's too; where only the lines tell of it, theirs."""
    excluding = whole_or_none(invoice, "total_excluding_tax")
    if excluding is not None:
        return total - excluding
    tax = whole_or_none(invoice, "tax")
    if tax is not None:
        return tax
    if invoice.get("total_taxes") is None and invoice.get("total_tax_amounts") is None:
        of_shipping = whole_or_none(section(invoice, "shipping_cost"), "amount_tax") or 0
        return of_shipping + sum(line.tax_inclusive + line.tax_exclusive for line in lines)
    key = "total_taxes" if invoice.get("total_taxes") else "total_tax_amounts"
    return sum(whole(row, "amount") for row in rows(invoice, key))


def _shipping(invoice: Payload) -> int:
    if invoice.get("shipping_cost") is None:
        return whole_or_none(invoice, "amount_shipping") or 0
    return shipping_without_tax(section(invoice, "shipping_cost"))


def shipping_without_tax(cost: Payload) -> int:
    """Net shipping of `shipping_cost`; amount_total less amount_tax holds for inclusive and exclusive tax alike."""
    total = whole_or_none(cost, "amount_total")
    if total is None:
        return whole_or_none(cost, "amount_subtotal") or 0
    return total - (whole_or_none(cost, "amount_tax") or 0)


def _discounts(invoice: Payload, seen_at: int) -> Discounts:
    found = Discounts(seen_at)
    found.one(invoice, "discount")
    found.many(invoice, "discounts")
    found.of_amounts(invoice, "total_discount_amounts")
    for line in rows(section(invoice, "lines"), "data"):
        found.many(line, "discounts")
        found.of_amounts(line, "discount_amounts")
    return found


def _subscription(invoice: Payload, scene: Scene) -> tuple[str | None, Payload]:
    """The subscription's id and the details that hold its metadata, from `parent` (basil) or the invoice itself."""
    parent = section(invoice, "parent")
    details = section(parent, "subscription_details")
    subscription_id = scene.follow(details, "subscription", "subscription")
    if subscription_id is None:
        subscription_id = scene.follow(invoice, "subscription", "subscription")
    if not details.get("metadata"):
        details = section(invoice, "subscription_details")
    return subscription_id, details


def _payments(invoice: Payload, scene: Scene) -> list[str | None]:
    found: list[str | None] = []
    for row in rows(section(invoice, "payments"), "data"):
        if row.get("id") is not None:
            found.append(scene.enter(row, "invoice_payment"))
        else:
            means = section(row, "payment")
            found.append(scene.follow(means, "payment_intent", "payment_intent"))
            found.append(scene.follow(means, "charge", "charge"))
    return found


def _currency(payload: Payload) -> str | None:
    currency = text_or_none(payload, "currency")
    return None if currency is None else currency.lower()
