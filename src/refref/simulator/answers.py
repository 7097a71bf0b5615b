"""What an event left open, answered from the sandbox as Stripe's API would answer. Reads only."""

from __future__ import annotations

from collections.abc import Mapping

from refref.core.facts import Fact
from refref.sandbox import Sandbox
from refref.sandbox.errors import StripeError
from refref.sandbox.lists import expand
from refref.sandbox.store import API_VERSION, Doc, copy_of
from refref.sandbox.versions import render
from refref.stripe.readers import read_document
from refref.stripe.reading import Need, NeedKind

# Of which kind the asked object is, and what is expanded in the answer.
_ASKED: Mapping[NeedKind, tuple[str, tuple[str, ...]]] = {
    NeedKind.INVOICE_LINES: ("invoice", ()),
    NeedKind.INVOICE_OFF_STRIPE: ("invoice", ()),
    NeedKind.INVOICE_DISCOUNTS: ("invoice", ("discounts", "total_discount_amounts.discount", "lines.data.discounts")),
    NeedKind.SESSION_LINES: ("checkout.session", ("line_items",)),
    NeedKind.SESSION_DISCOUNTS: ("checkout.session", ("total_details.breakdown",)),
    NeedKind.SESSION_COUPONS: ("checkout.session", ("total_details.breakdown",)),
    NeedKind.CUSTOMER: ("customer", ()),
    NeedKind.SUBSCRIPTION: ("subscription", ()),
    NeedKind.SUBSCRIPTION_DISCOUNTS: ("subscription", ("discounts", "items.data.discounts")),
    NeedKind.CREDIT_NOTE: ("credit_note", ()),
}
_LISTED: Mapping[NeedKind, tuple[str, str]] = {
    NeedKind.INVOICE_OF_PAYMENT: ("invoice_payment", "payment"),
    NeedKind.BALANCE_TRANSACTION: ("balance_transaction", "source"),
}


def answer(sandbox: Sandbox, need: Need, seen_at: int) -> tuple[Fact, ...]:
    """The facts of what is asked for, seen with the event that asked; none where there is no such thing."""
    if need.kind in _LISTED:
        return read_document(need, _list(sandbox, need), seen_at)
    kind, paths = _ASKED[need.kind]
    try:
        found = sandbox.find(kind, need.stripe_id)
    except StripeError:
        return ()
    document = expand(sandbox, render(copy_of(found), API_VERSION), paths, API_VERSION)
    if need.kind in (NeedKind.INVOICE_LINES, NeedKind.INVOICE_OFF_STRIPE):
        rows = [render(line, API_VERSION) for line in sandbox.lines_of(found)]
        document["lines"] = {"object": "list", "data": rows, "has_more": False, "total_count": len(rows)}
    return read_document(need, document, seen_at)


def _list(sandbox: Sandbox, need: Need) -> Doc:
    kind, key = _LISTED[need.kind]
    rows = [render(doc, API_VERSION) for doc in sandbox.all(kind) if _concerns(doc, key, need.stripe_id)]
    return {"object": "list", "data": rows, "has_more": False}


def _concerns(doc: Doc, key: str, stripe_id: str) -> bool:
    found = doc[key]
    return stripe_id in (found, found.get("payment_intent") if isinstance(found, dict) else None)
