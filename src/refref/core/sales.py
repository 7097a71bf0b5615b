"""Sales: the facts of one scope grouped into payments, one payment per sale whatever events told of it.

Natural key: the invoice, else the payment intent, else the charge, else the checkout session (docs/how-it-counts.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from refref.core.facts import (
    ChargeState,
    Fact,
    InvoiceState,
    Kind,
    Line,
    PaymentIntentState,
    SessionState,
)

_NOT_OF_ONE_SALE = ("cus_", "sub_", "acct_", "event:")
_PAYMENT_IDS = ("pi_", "ch_", "py_")
_SAME_HOUR_S = 3600
_KEY_ORDER = {Kind.INVOICE: 0, Kind.PAYMENT_INTENT: 1, Kind.CHARGE: 2, Kind.SESSION: 3}


class SaleStatus(StrEnum):
    PAID = "paid"
    PENDING = "pending"  # an asynchronous payment method has not answered yet
    FAILED = "failed"
    UNPAID = "unpaid"  # draft, open, void, uncollectible, expired


class Sale(msgspec.Struct, frozen=True, gc=False):
    """One sale: what was due, what moved, and the facts that tell it. Amounts in minor units of `currency`.

    `total` is what the invoice or session came to, with tax and shipping; `paid` what moved of it (never more).
    `lines` is None where the lines are not known (yet); `net` is the total without tax and shipping.
    """

    key: str
    ids: tuple[str, ...]
    source: Kind
    status: SaleStatus
    customer_id: str | None
    subscription_id: str | None
    paid_at: int
    currency: str
    total: int
    paid: int
    off_stripe: int
    tax: int
    shipping: int
    net: int
    lines: tuple[Line, ...] | None
    is_bare: bool
    facts: tuple[Fact, ...]

    @property
    def referee_id(self) -> str:
        """Who can be referred: the customer, or the sale itself for a guest."""
        return self.customer_id or self.key


def is_customer_id(stripe_id: str) -> bool:
    return stripe_id.startswith(("cus_", "acct_"))


def components(facts: Iterable[Fact]) -> list[list[Fact]]:
    """Group facts that are linked without going over a customer or a subscription, each group in order of ids."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while (up := parent.setdefault(node, node)) != node:
            parent[node] = up = parent[up]
            node = up
        return node

    members = [fact for fact in facts if not fact.stripe_id.startswith(_NOT_OF_ONE_SALE)]
    for fact in members:
        mine = root(fact.stripe_id)
        for link in fact.links:
            if not link.startswith(_NOT_OF_ONE_SALE):
                other = root(link)
                if other != mine:
                    parent[other] = mine
    groups: dict[str, list[Fact]] = {}
    for fact in sorted(members, key=_by_id):
        groups.setdefault(root(fact.stripe_id), []).append(fact)
    return list(groups.values())


def _by_id(fact: Fact) -> str:
    return fact.stripe_id


def sales_of(facts: Sequence[Fact]) -> list[Sale]:
    """Every sale that the facts of one scope tell of, ordered by (paid_at, key)."""
    sales = [sale for group in components(facts) if (sale := _sale_of(group)) is not None]
    sales.sort(key=_in_order)
    if any(sale.is_bare and sale.customer_id for sale in sales):
        return _with_unnamed_payments(sales)
    return sales


def _in_order(sale: Sale) -> tuple[int, str]:
    return sale.paid_at, sale.key


def _with_unnamed_payments(sales: list[Sale]) -> list[Sale]:
    """Give each paid invoice of which nobody named the payment the bare payment that must be it.

    Since basil only `invoice_payment.paid` or the API ties the two. Without either, a payment of the same customer,
    of exactly the money that the invoice took through Stripe, in the same hour, is the invoice's: else one sale would
    count twice, and a refund of the payment would leave the invoice's reward alone.
    """
    bare = [sale for sale in sales if sale.is_bare and sale.customer_id]
    joined: list[Sale] = []
    for sale in sales:
        if not _lacks_payment(sale):
            joined.append(sale)
            continue
        mine = [other for other in bare if _pays(other, sale)]
        if mine:
            payment = min(mine, key=lambda other: (abs(other.paid_at - sale.paid_at), other.key))
            bare.remove(payment)
            whole = _sale_of(sorted((*sale.facts, *payment.facts), key=_by_id))
            joined.append(sale if whole is None else whole)
        else:
            joined.append(sale)
    left = {sale.key for sale in bare}
    joined = [sale for sale in joined if not (sale.is_bare and sale.customer_id) or sale.key in left]
    joined.sort(key=_in_order)
    return joined


def _lacks_payment(sale: Sale) -> bool:
    if sale.source is not Kind.INVOICE or sale.status is not SaleStatus.PAID or sale.paid <= sale.off_stripe:
        return False
    is_named = any(stripe_id.startswith(_PAYMENT_IDS) for stripe_id in sale.ids)
    return not is_named and not any(fact.kind is Kind.INVOICE_PAYMENT for fact in sale.facts)


def _pays(payment: Sale, invoice: Sale) -> bool:
    return (
        payment.customer_id == invoice.customer_id
        and payment.currency == invoice.currency
        and payment.paid == invoice.paid - invoice.off_stripe
        and abs(payment.paid_at - invoice.paid_at) <= _SAME_HOUR_S
    )


def _sale_of(group: list[Fact]) -> Sale | None:
    payers = [fact for fact in group if fact.state is not None and fact.kind in _KEY_ORDER]
    if not payers:
        return None
    if len(payers) > 1:
        payers.sort(key=lambda fact: (_KEY_ORDER[fact.kind], -fact.rank, fact.stripe_id))
    first = payers[0]
    if isinstance(first.state, InvoiceState):
        return _invoice_sale(first, first.state, group)
    session = next((fact for fact in payers if fact.kind is Kind.SESSION), None)
    if session is not None and isinstance(session.state, SessionState):
        if session.state.mode != "payment":
            return None  # the invoice of the subscription is the sale; this fact carries attribution only
        return _session_sale(session, session.state, payers, group)
    return _bare_sale(payers, group)


def _links_of(prefixes: tuple[str, ...], *groups: Sequence[Fact]) -> str | None:
    for group in groups:
        found = [link for fact in group for link in fact.links if link.startswith(prefixes)]
        if found:
            return found[0] if len(found) == 1 else min(found)
    return None


def _ids(group: Sequence[Fact]) -> tuple[str, ...]:
    ids = {fact.stripe_id for fact in group}
    ids.update([link for fact in group for link in fact.links if not link.startswith(_NOT_OF_ONE_SALE)])
    return tuple(sorted(ids))


def _invoice_sale(fact: Fact, invoice: InvoiceState, group: list[Fact]) -> Sale:
    net = invoice.total - invoice.tax if invoice.total_excluding_tax is None else invoice.total_excluding_tax
    is_paid = invoice.status == "paid"
    return Sale(
        key=fact.stripe_id,
        ids=_ids(group),
        source=Kind.INVOICE,
        status=SaleStatus.PAID if is_paid else SaleStatus.UNPAID,
        customer_id=_links_of(("cus_", "acct_"), [fact], group),
        subscription_id=_links_of(("sub_",), [fact], group),
        paid_at=invoice.paid_at or invoice.created_at or fact.seen_at,
        currency=invoice.currency,
        total=invoice.total,
        paid=max(0, min(invoice.amount_paid, invoice.total)),
        off_stripe=invoice.amount_off_stripe,
        tax=invoice.tax,
        shipping=invoice.shipping,
        net=net - invoice.shipping,
        lines=invoice.lines if invoice.has_all_lines else None,
        is_bare=False,
        facts=tuple(group),
    )


def _session_sale(fact: Fact, session: SessionState, payers: list[Fact], group: list[Fact]) -> Sale:
    payment = _payment_of(payers)
    if session.payment_status in ("paid", "no_payment_required") or payment is not None:
        status = SaleStatus.PAID
    elif session.has_async_failure:
        status = SaleStatus.FAILED
    elif session.status == "complete":
        status = SaleStatus.PENDING
    else:
        status = SaleStatus.UNPAID
    total = session.amount_total
    if total is None:
        total = payment[0] if payment else 0
    intents = [link for link in _ids(group) if link.startswith("pi_")]
    return Sale(
        key=min(intents) if intents else _key_without_intent(payers),
        ids=_ids(group),
        source=Kind.SESSION,
        status=status,
        customer_id=_links_of(("cus_", "acct_"), [fact], group),
        subscription_id=None,
        paid_at=_paid_at(payers, fact.seen_at),
        currency=session.currency or (payment[1] if payment else ""),
        total=total,
        paid=total if status is SaleStatus.PAID else 0,
        off_stripe=0,
        tax=session.amount_tax,
        shipping=session.amount_shipping,
        net=total - session.amount_tax - session.amount_shipping,
        lines=session.lines,
        is_bare=False,
        facts=tuple(group),
    )


def _key_without_intent(payers: list[Fact]) -> str:
    return payers[0].stripe_id


def _bare_sale(payers: list[Fact], group: list[Fact]) -> Sale | None:
    first = payers[0]
    payment = _payment_of(payers)
    if payment is None:
        return None
    amount, currency = payment
    return Sale(
        key=first.stripe_id,
        ids=_ids(group),
        source=first.kind,
        status=SaleStatus.PAID,
        customer_id=_links_of(("cus_", "acct_"), payers, group),
        subscription_id=None,
        paid_at=_paid_at(payers, first.seen_at),
        currency=currency,
        total=amount,
        paid=amount,
        off_stripe=0,
        tax=0,
        shipping=0,
        net=amount,
        lines=None,
        is_bare=True,
        facts=tuple(group),
    )


def _payment_of(payers: list[Fact]) -> tuple[int, str] | None:
    """The money that a succeeded payment intent (or, without one, the succeeded charges) moved.

    Of a partial capture the intent tells the rest, its charge the whole and what of it was booked back.
    """
    charges = [fact.state for fact in payers if isinstance(fact.state, ChargeState)]
    succeeded = [charge for charge in charges if charge.status == "succeeded"]
    charged = sum(charge.amount for charge in succeeded)
    for fact in payers:
        state = fact.state
        if isinstance(state, PaymentIntentState) and state.status == "succeeded":
            booked_back = sum(charge.amount_refunded for charge in succeeded)
            is_partial = state.amount_received < charged <= state.amount_received + booked_back
            return (charged if is_partial else state.amount_received), state.currency
    return (charged, succeeded[0].currency) if succeeded else None


def _paid_at(payers: list[Fact], otherwise: int) -> int:
    """When the money moved: the succeeded charge, else the payment intent's report, else the session's."""
    succeeded = [f.state for f in payers if isinstance(f.state, ChargeState) and f.state.status == "succeeded"]
    charged = [charge.created_at for charge in succeeded if charge.created_at]
    if charged:
        return min(charged)
    intents = [f.seen_at for f in payers if isinstance(f.state, PaymentIntentState) and f.state.status == "succeeded"]
    return min(intents, default=otherwise)
