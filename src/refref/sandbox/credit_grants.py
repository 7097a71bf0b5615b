"""Billing credits: grants to a customer. The sandbox keeps them; they apply to metered prices only, which it lacks."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.customers import Customers
from refref.sandbox.errors import StripeError
from refref.sandbox.store import Doc, acted

KIND = "billing.credit_grant"
MOST_PRICES = 20
PRIORITY = 50


class CreditGrants(Customers):
    """Creates, changes, expires and voids credit grants."""

    @acted("api")
    def grant_credit(
        self,
        customer: str,
        amount: int,
        currency: str = "usd",
        *,
        category: str = "promotional",
        name: str | None = None,
        prices: Sequence[str] = (),
        effective_at: int | None = None,
        expires_at: int | None = None,
        priority: int | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new grant: for all metered prices, or for the given ones. Emits billing.credit_grant.created."""
        self.customer(customer, "customer")
        if amount <= 0:
            raise StripeError(
                "Invalid positive integer", code="parameter_invalid_integer", param="amount[monetary][value]"
            )
        if category not in ("paid", "promotional"):
            raise StripeError("Invalid category: must be one of paid or promotional", param="category")
        if len(prices) > MOST_PRICES:
            raise StripeError(f"A credit grant applies to {MOST_PRICES} prices at most.", param="applicability_config")
        if expires_at is not None and expires_at <= (effective_at or self.now):
            raise StripeError("expires_at must be after effective_at.", param="expires_at")
        if priority is not None and not 0 <= priority <= 100:
            raise StripeError("The priority is a whole number from 0 to 100.", param="priority")
        scope: Doc = {"prices": [{"id": p} for p in prices]} if prices else {"price_type": "metered"}
        doc = self.put(
            {
                "id": self.ids.make(KIND),
                "object": KIND,
                "amount": {"monetary": {"currency": currency.lower(), "value": amount}, "type": "monetary"},
                "applicability_config": {"scope": scope},
                "category": category,
                "created": self.now,
                "customer": customer,
                "customer_account": None,
                "effective_at": effective_at or self.now,
                "expires_at": expires_at,
                "livemode": False,
                "metadata": merged({}, metadata),
                "name": name,
                "priority": PRIORITY if priority is None else priority,
                "test_clock": None,
                "updated": self.now,
                "voided_at": None,
            }
        )
        self.emit("billing.credit_grant.created", doc)
        return doc

    @acted("api")
    def update_credit_grant(self, grant: str, changes: Mapping[str, Any]) -> Doc:
        """Change metadata or expires_at (None: it never expires). Stripe emits nothing."""
        doc = self._usable(grant)
        wanted = dict(changes)
        if "metadata" in wanted:
            wanted["metadata"] = merged(doc["metadata"], wanted["metadata"])
        self.alter(doc, **wanted, updated=self.now)
        return doc

    @acted("api")
    def expire_credit_grant(self, grant: str) -> Doc:
        """End a grant now."""
        doc = self._usable(grant)
        self.alter(doc, expires_at=self.now, updated=self.now)
        return doc

    @acted("api")
    def void_credit_grant(self, grant: str) -> Doc:
        """Take a grant back that nothing was used of."""
        doc = self._usable(grant)
        self.alter(doc, voided_at=self.now, updated=self.now)
        return doc

    def _usable(self, grant: str) -> Doc:
        doc = self.find(KIND, grant)
        if doc["voided_at"] is not None:
            raise StripeError("This credit grant has been voided.", param="id")
        if doc["expires_at"] is not None and doc["expires_at"] <= self.now:
            raise StripeError("This credit grant has expired.", param="id")
        return doc
