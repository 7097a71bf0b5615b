"""Customers, their default card and their balance."""

from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import missing
from refref.sandbox.ids import scramble
from refref.sandbox.rates import Rates
from refref.sandbox.store import Doc, acted


def address(country: str | None) -> Doc | None:
    """A Stripe address that holds a country only."""
    if country is None:
        return None
    return {"city": None, "country": country, "line1": None, "line2": None, "postal_code": None, "state": None}


class Customers(Rates):
    """The people who buy."""

    @acted("api")
    def create_customer(
        self,
        /,
        *,
        email: str | None = None,
        name: str | None = None,
        id: str | None = None,
        metadata: Metadata | None = None,
        card: str = "visa",
        country: str | None = None,
        **more: Any,
    ) -> Doc:
        """A new customer who pays with `card`."""
        customer_id = id or self.ids.make("customer")
        customer: Doc = {
            "id": customer_id,
            "object": "customer",
            "address": address(country),
            "balance": 0,
            "created": self.now,
            "currency": None,
            "customer_account": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": email,
            "invoice_credit_balance": {},
            "invoice_prefix": scramble(customer_id, 8).upper(),
            "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None,
                                 "rendering_options": None},
            "livemode": False,
            "metadata": merged({}, metadata),
            "name": name,
            "next_invoice_sequence": 1,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": None,
            "_balances": {},
            "_card": card,
            "_method": None,
            "_pending": [],
        }  # fmt: skip
        self.put(customer | more)
        doc = self.find("customer", customer_id)
        self.emit("customer.created", doc)
        return doc

    @acted("api")
    def update_customer(self, /, customer: str, **changes: Any) -> Doc:
        """Change a customer; metadata merges, `card` is the new default card, `country` the address."""
        doc = self.customer(customer)
        if "card" in changes:
            changes |= {"_card": changes.pop("card"), "_method": None}
        if "country" in changes:
            changes["address"] = address(changes.pop("country"))
        if "metadata" in changes:
            changes["metadata"] = merged(doc["metadata"], changes["metadata"])
        if "balance" in changes and doc["currency"]:
            balances = doc["_balances"] | {doc["currency"]: changes["balance"]}
            changes |= {"_balances": balances, "invoice_credit_balance": {c: -held for c, held in balances.items()}}
        before = self.alter(doc, **changes)
        self.emit("customer.updated", doc, {k: v for k, v in before.items() if not k.startswith("_")})
        return doc

    @acted("api")
    def delete_customer(self, customer: str) -> Doc:
        """Delete a customer: subscriptions end at once; the id answers with `deleted`."""
        doc = self.customer(customer)
        self.end_subscriptions(customer)
        self.emit("customer.deleted", doc)
        doc.clear()
        self.alter(doc, id=customer, object="customer", deleted=True)
        return doc

    def end_subscriptions(self, customer: str) -> None:
        """Called before a customer goes; the subscriptions' layer ends what is live."""

    def customer(self, customer: str, param: str = "id") -> Doc:
        """The document of a customer who is not deleted."""
        doc = self.find("customer", customer, param)
        if doc.get("deleted"):
            raise missing("customer", customer, param)
        return doc

    @acted("api")
    def credit_customer(
        self,
        customer: str,
        amount: int,
        *,
        currency: str = "usd",
        description: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """Move the customer balance; negative is credit."""
        doc = self.customer(customer, "customer")
        return self.move_balance(
            doc, amount, "adjustment", currency=currency, description=description, metadata=metadata
        )

    def move_balance(
        self,
        customer: Doc,
        amount: int,
        kind: str,
        *,
        currency: str,
        invoice: str | None = None,
        credit_note: str | None = None,
        description: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """Add `amount` to the balance (negative: the merchant owes the customer); emits customer.updated."""
        ending = self.balance_in(customer, currency) + amount
        own = customer["currency"] or currency
        balances = customer["_balances"] | {currency: ending}
        shown = {name: -held for name, held in balances.items()}
        before = self.alter(
            customer, currency=own, balance=balances.get(own, 0), invoice_credit_balance=shown, _balances=balances
        )
        entry = {
            "id": self.ids.make("customer_balance_transaction"),
            "object": "customer_balance_transaction",
            "amount": amount,
            "checkout_session": None,
            "created": self.now,
            "credit_note": credit_note,
            "currency": currency,
            "customer": customer["id"],
            "customer_account": None,
            "description": description,
            "ending_balance": ending,
            "invoice": invoice,
            "livemode": False,
            "metadata": merged({}, metadata),
            "type": kind,
        }
        self.put(entry)
        if before:
            self.emit("customer.updated", customer, {k: v for k, v in before.items() if k != "_balances"})
        return entry

    def balance_in(self, customer: Doc, currency: str) -> int:
        """The balance of a customer in one currency (negative: credit)."""
        if not customer["_balances"] and customer["currency"] in (None, currency):
            return int(customer["balance"])
        return int(customer["_balances"].get(currency, 0))

    def card_of(self, customer: str | None) -> str:
        """The card a customer pays with."""
        return "visa" if customer is None else str(self.find("customer", customer).get("_card", "visa"))
