"""The names of a story's sales: `buyer/2` is the second sale to the buyer, `plan/2` the second of a subscription.

Counts what asks for money, in the order of time; a trial's invoice over nothing is no sale.
"""

from __future__ import annotations

from collections.abc import Sequence

from refref.sandbox.store import Doc
from refref.simulator.names import split_sale

CUSTOMER = "cus_"


class Unknown(Exception):
    """A name that names no sale, or several; the message says which there are."""


def customer_id(name: str) -> str:
    """The Stripe id of a story's customer."""
    return CUSTOMER + name


class Sales:
    """What was sold so far, under its names. Ids are those of invoices, or of checkout sessions without one."""

    def __init__(self) -> None:
        self.named: dict[str, str] = {}  # a name that the story gives -> a sale
        self.subscriptions: dict[str, str] = {}  # a name -> a subscription
        self._of: dict[str, list[str]] = {}  # a customer's or subscription's Stripe id -> its sales
        self._owner: dict[str, str] = {}  # a sale -> `buyer/2`

    def note(self, event: Doc) -> None:
        """Take an event into account."""
        doc: Doc = event["data"]["object"]
        if event["type"] == "invoice.finalized" and doc["total"] <= 0:
            self._owner[doc["id"]] = f"{doc['customer'].removeprefix(CUSTOMER)}, nothing to pay"
        elif event["type"] == "invoice.finalized":
            details = (doc["parent"] or {}).get("subscription_details") or {}
            self._add(doc["id"], doc["customer"], details.get("subscription"))
        elif event["type"] == "checkout.session.completed" and _is_sale(doc):
            self._add(doc["id"], doc["customer"], None)

    def _add(self, sale: str, customer: str, subscription: str | None) -> None:
        if sale in self._owner:
            return
        own = self._of.setdefault(customer, [])
        own.append(sale)
        self._owner[sale] = f"{customer.removeprefix(CUSTOMER)}/{len(own)}"
        if subscription is not None:
            self._of.setdefault(subscription, []).append(sale)

    def name_of(self, ids: Sequence[str]) -> str:
        """How the sale with these Stripe ids is called; what has no name is called by its id."""
        found = next((self._owner[one] for one in ids if one in self._owner), None)
        if found is not None:
            return found
        owner, _, rest = ids[0].partition("/")
        subscription = next((name for name, sub in self.subscriptions.items() if sub == owner), None)
        shown = subscription or owner.removeprefix(CUSTOMER)
        return f"{shown}/{rest.partition('/')[0]}" if rest else shown

    def owner_id(self, owner: str) -> str:
        """The Stripe id of a customer or a named subscription. Raises Unknown."""
        return self.subscriptions.get(owner) or customer_id(owner)

    def sale(self, name: str) -> str:
        """The Stripe id of a sale. Raises Unknown."""
        parts = split_sale(name)
        if parts is None:
            raise Unknown(f"“{name}” names no sale.")
        owner, which = parts
        if not which and owner in self.named:
            return self.named[owner]
        own = self._of.get(self.owner_id(owner), [])
        if which.isdigit() and int(which) <= len(own):
            return own[int(which) - 1]
        if not which and len(own) == 1:
            return own[0]
        there = ", ".join(f"{owner}/{number}" for number in range(1, len(own) + 1))
        if not own:
            raise Unknown(f"There is no sale “{name}”: nothing was sold to {owner} by then.")
        if not which:
            raise Unknown(f"“{name}” has several sales: name one of {there}.")
        raise Unknown(f"There is no sale “{name}” by then; there is {there}.")


def _is_sale(session: Doc) -> bool:
    """Whether a checkout is a sale of its own: nothing else, no invoice, stands for it."""
    return session["mode"] == "payment" and session["invoice"] is None and session["amount_total"] > 0
