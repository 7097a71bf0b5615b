"""Entitlements: features, the products that bring them, and what each customer is entitled to by its subscriptions."""

from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.customers import Customers
from refref.sandbox.errors import StripeError, missing
from refref.sandbox.ids import scramble
from refref.sandbox.store import Doc, acted, listed

FEATURE, OF_PRODUCT, ACTIVE = "entitlements.feature", "product_feature", "entitlements.active_entitlement"
TOLD = "_entitlements"
ENTITLING = ("active", "trialing", "past_due")


class Entitlements(Customers):
    """Keeps features and tells when what a customer is entitled to changes."""

    @acted("api")
    def create_feature(self, name: str, lookup_key: str, *, metadata: Metadata | None = None) -> Doc:
        """A new feature; its lookup_key is unique. Stripe emits nothing."""
        if any(f["lookup_key"] == lookup_key for f in self.live(FEATURE)):
            raise StripeError(f"A feature with the lookup_key {lookup_key} already exists.", param="lookup_key")
        return self.put(
            {
                "id": self.ids.make(FEATURE),
                "object": FEATURE,
                "active": True,
                "livemode": False,
                "lookup_key": lookup_key,
                "metadata": merged({}, metadata),
                "name": name,
            }
        )

    @acted("api")
    def update_feature(self, /, feature: str, **changes: Any) -> Doc:
        """Change name, active (False: archived) or metadata."""
        doc = self.find(FEATURE, feature)
        if "metadata" in changes:
            changes["metadata"] = merged(doc["metadata"], changes["metadata"])
        self.alter(doc, **changes)
        return doc

    @acted("api")
    def add_feature(self, product: str, feature: str) -> Doc:
        """A product brings a feature from now on, to whoever subscribes to it already as well."""
        self.find("product", product)
        found = self.find(FEATURE, feature, "entitlement_feature")
        if any(f["_product"] == product and f["_feature"] == feature for f in self.live(OF_PRODUCT)):
            raise StripeError("The feature is already attached to the product.", param="entitlement_feature")
        made = self.put(
            {
                "id": self.ids.make(OF_PRODUCT),
                "object": OF_PRODUCT,
                "entitlement_feature": dict(found),
                "livemode": False,
                "_product": product,
                "_feature": feature,
            }
        )
        self._look_at_everybody()
        return made

    @acted("api")
    def remove_feature(self, product: str, product_feature: str) -> Doc:
        """A product no longer brings a feature."""
        doc = self.find(OF_PRODUCT, product_feature)
        if doc["_product"] != product:
            raise missing("product feature", product_feature)
        self.remove(doc)
        self._look_at_everybody()
        return {"id": product_feature, "object": OF_PRODUCT, "deleted": True}

    def features_of(self, product: str) -> list[Doc]:
        """What a product brings, newest first."""
        return [f for f in reversed(self.live(OF_PRODUCT)) if f["_product"] == product]

    def entitlements(self, customer: str) -> list[Doc]:
        """What a customer is entitled to now, one per feature."""
        products = {
            item["price"]["product"]
            for sub in self.live("subscription")
            if sub["customer"] == customer and sub["status"] in ENTITLING
            for item in sub["items"]["data"]
        }
        held = {f["_feature"] for f in self.live(OF_PRODUCT) if f["_product"] in products}
        return [
            {
                "id": f"ent_test_{scramble(f'{customer} {feature}', 24)}",
                "object": ACTIVE,
                "feature": feature,
                "livemode": False,
                "lookup_key": self.find(FEATURE, feature)["lookup_key"],
            }
            for feature in sorted(held)
        ]

    def emit(self, kind: str, doc: Doc, previous: Doc | None = None) -> Doc:
        """Record an event; after one of a subscription, look at what its customer is entitled to."""
        event = super().emit(kind, doc, previous)
        if kind.startswith("customer.subscription.") and self.live(OF_PRODUCT):
            self._look_at(doc["customer"])
        return event

    def _look_at_everybody(self) -> None:
        for customer in dict.fromkeys(s["customer"] for s in self.live("subscription")):
            self._look_at(customer)

    def _look_at(self, customer: str) -> None:
        """Emit entitlements.active_entitlement_summary.updated when a customer's entitlements changed."""
        held = self.entitlements(customer)
        ids = [e["id"] for e in held]
        before = self.notes(TOLD).get(customer, {"held": [], "ids": []})
        if before["ids"] == ids:
            return
        self.note(TOLD, customer, {"held": held, "ids": ids})
        url = f"/v1/customer/{customer}/entitlements"
        summary = {
            "object": "entitlements.active_entitlement_summary",
            "customer": customer,
            "entitlements": listed(held, url, total=False),
            "livemode": False,
        }
        earlier = {"entitlements": listed(before["held"], url, total=False)}
        self.emit("entitlements.active_entitlement_summary.updated", summary, earlier)
