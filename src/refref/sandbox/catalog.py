"""Products, prices, tax rates, coupons, promotion codes and discounts."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.amounts import bps_percent
from refref.sandbox.errors import StripeError
from refref.sandbox.store import Doc, Store, acted, copy_of
from refref.sandbox.timeline import months_after

Metadata = Mapping[str, str]


def merged(old: Mapping[str, str], new: Metadata | None) -> dict[str, str]:
    """Metadata after an update: given keys replace, an empty value deletes."""
    return {k: v for k, v in {**old, **(new or {})}.items() if v != ""}


def plan_of(price: Doc) -> Doc:
    """The old `plan` object of a recurring price."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


class Catalog(Store):
    """What the sample merchant sells and the reductions it gives."""

    @acted("api")
    def create_product(
        self, name: str, *, id: str | None = None, metadata: Metadata | None = None, description: str | None = None
    ) -> Doc:
        """A new product."""
        product = {
            "id": id or self.ids.make("product"),
            "object": "product",
            "active": True,
            "created": self.now,
            "default_price": None,
            "description": description,
            "images": [],
            "livemode": False,
            "marketing_features": [],
            "metadata": merged({}, metadata),
            "name": name,
            "package_dimensions": None,
            "shippable": None,
            "statement_descriptor": None,
            "tax_code": None,
            "type": "service",
            "unit_label": None,
            "updated": self.now,
            "url": None,
        }
        self.put(product)
        self.emit("product.created", product)
        return product

    @acted("api")
    def create_price(
        self,
        product: str,
        currency: str,
        unit_amount: int,
        *,
        interval: str | None = None,
        interval_count: int = 1,
        id: str | None = None,
        tax_behavior: str = "unspecified",
        nickname: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new price: recurring when it has an interval (day, week, month, year)."""
        self.find("product", product, "product")
        recurring: Doc | None = None
        if interval is not None:
            recurring = {
                "interval": interval,
                "interval_count": interval_count,
                "meter": None,
                "trial_period_days": None,
                "usage_type": "licensed",
            }
        price = {
            "id": id or self.ids.make("price"),
            "object": "price",
            "active": True,
            "billing_scheme": "per_unit",
            "created": self.now,
            "currency": currency.lower(),
            "custom_unit_amount": None,
            "livemode": False,
            "lookup_key": None,
            "metadata": merged({}, metadata),
            "nickname": nickname,
            "product": product,
            "recurring": recurring,
            "tax_behavior": tax_behavior,
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "one_time" if recurring is None else "recurring",
            "unit_amount": unit_amount,
            "unit_amount_decimal": str(unit_amount),
        }
        self.put(price)
        self.emit("price.created", price)
        return price

    @acted("api")
    def update_catalog(self, kind: str, object_id: str, changes: Mapping[str, Any]) -> Doc:
        """Change the name, metadata, nickname or active flag of a product, price or coupon."""
        doc = self.find(kind, object_id)
        wanted = {k: merged(doc["metadata"], v) if k == "metadata" else v for k, v in changes.items()}
        self.emit(f"{kind}.updated", doc, self.alter(doc, **wanted))
        return doc

    @acted("api")
    def create_tax_rate(self, rate_bps: int, *, inclusive: bool, name: str = "Tax") -> Doc:
        """A new tax rate, in hundredths of a percent."""
        rate = {
            "id": self.ids.make("tax_rate"),
            "object": "tax_rate",
            "active": True,
            "country": None,
            "created": self.now,
            "description": None,
            "display_name": name,
            "effective_percentage": None,
            "flat_amount": None,
            "inclusive": inclusive,
            "jurisdiction": None,
            "jurisdiction_level": None,
            "livemode": False,
            "metadata": {},
            "percentage": bps_percent(rate_bps),
            "rate_type": "percentage",
            "state": None,
            "tax_type": None,
        }
        self.put(rate)
        self.emit("tax_rate.created", rate)
        return rate

    @acted("api")
    def create_coupon(
        self,
        *,
        percent_off: int | float | None = None,
        amount_off: int | None = None,
        currency: str | None = None,
        duration: str = "once",
        duration_in_months: int | None = None,
        id: str | None = None,
        products: Sequence[str] | None = None,
        name: str | None = None,
        max_redemptions: int | None = None,
        redeem_by: int | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new coupon: percent_off, or amount_off with currency; `products` limits what it reduces."""
        if (percent_off is None) == (amount_off is None):
            raise StripeError(
                "You must pass either percent_off or amount_off.", code="parameter_missing", param="percent_off"
            )
        if amount_off is not None and currency is None:
            raise StripeError("You must pass currency with amount_off.", code="parameter_missing", param="currency")
        if (duration == "repeating") != (duration_in_months is not None):
            raise StripeError("duration_in_months goes with duration repeating.", param="duration_in_months")
        coupon: Doc = {
            "id": id or self.ids.make("coupon"),
            "object": "coupon",
            "amount_off": amount_off,
            "created": self.now,
            "currency": currency,
            "duration": duration,
            "duration_in_months": duration_in_months,
            "livemode": False,
            "max_redemptions": max_redemptions,
            "metadata": merged({}, metadata),
            "name": name,
            "percent_off": percent_off,
            "redeem_by": redeem_by,
            "times_redeemed": 0,
            "valid": True,
        }
        if products:
            coupon["applies_to"] = {"products": list(products)}
        if self.has("coupon", coupon["id"]):
            raise StripeError("Coupon already exists.", code="resource_already_exists", param="id")
        self.put(coupon)
        self.emit("coupon.created", coupon)
        return coupon

    @acted("api")
    def delete_coupon(self, coupon: str) -> Doc:
        """Delete a coupon; discounts already given stay."""
        doc = self.find("coupon", coupon)
        self.remove(doc)
        self.emit("coupon.deleted", doc)
        return {"id": coupon, "object": "coupon", "deleted": True}

    @acted("api")
    def create_promotion_code(
        self,
        coupon: str,
        code: str | None = None,
        *,
        customer: str | None = None,
        max_redemptions: int | None = None,
        expires_at: int | None = None,
        active: bool = True,
        restrictions: Mapping[str, Any] | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new promotion code; the code is unique among active ones, whatever the case."""
        source = self.find("coupon", coupon, "promotion[coupon]")
        text = code or self.ids.make("coupon").upper()
        if any(p["active"] and p["code"].lower() == text.lower() for p in self.live("promotion_code")):
            raise StripeError("An active promotion code with this code already exists.", param="code")
        promotion = {
            "id": self.ids.make("promotion_code"),
            "object": "promotion_code",
            "active": active,
            "code": text,
            "created": self.now,
            "customer": customer,
            "customer_account": None,
            "expires_at": expires_at,
            "livemode": False,
            "max_redemptions": max_redemptions,
            "metadata": merged({}, metadata),
            "promotion": {"coupon": coupon, "type": "coupon"},
            "restrictions": {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
            | dict(restrictions or {}),
            "times_redeemed": 0,
            "_coupon": copy_of(source),
        }
        self.put(promotion)
        self.emit("promotion_code.created", promotion)
        return promotion

    @acted("api")
    def update_promotion_code(
        self, promotion_code: str, *, active: bool | None = None, metadata: Metadata | None = None
    ) -> Doc:
        """Switch a code on or off, or change its metadata."""
        doc = self.find("promotion_code", promotion_code)
        changes: Doc = {"metadata": merged(doc["metadata"], metadata)}
        if active is not None:
            changes["active"] = active
        self.emit("promotion_code.updated", doc, self.alter(doc, **changes))
        return doc

    def usable_code(self, code: str, customer: str | None) -> Doc:
        """The active promotion code with that id or text."""
        for doc in self.live("promotion_code"):
            if code == doc["id"] or code.lower() == doc["code"].lower():
                spent = doc["max_redemptions"] is not None and doc["times_redeemed"] >= doc["max_redemptions"]
                late = doc["expires_at"] is not None and doc["expires_at"] <= self.now
                other = doc["customer"] is not None and doc["customer"] != customer
                if doc["active"] and not (spent or late or other):
                    return doc
                raise StripeError(
                    "This promotion code cannot be redeemed.", code="promotion_code_invalid", param="promotion_code"
                )
        raise StripeError(f"No such promotion code: '{code}'", code="resource_missing", param="promotion_code")

    def give_discount(
        self, *, coupon: str | None, promotion_code: str | None, customer: str | None, **owner: str
    ) -> Doc:
        """A discount from a coupon or code, owned by a subscription, invoice or session; counts a redemption."""
        promotion = None if promotion_code is None else self.usable_code(promotion_code, customer)
        name = promotion["promotion"]["coupon"] if promotion else coupon
        source = self.find("coupon", str(name), "coupon")
        self.alter(source, times_redeemed=source["times_redeemed"] + 1)
        if promotion:
            self.alter(promotion, times_redeemed=promotion["times_redeemed"] + 1)
        months = source["duration_in_months"]
        discount = {
            "id": self.ids.make("discount"),
            "object": "discount",
            "checkout_session": owner.get("checkout_session"),
            "customer": customer,
            "customer_account": None,
            "end": None if months is None else months_after(self.now, months),
            "invoice": owner.get("invoice"),
            "invoice_item": None,
            "promotion_code": promotion["id"] if promotion else None,
            "source": {"coupon": source["id"], "type": "coupon"},
            "start": self.now,
            "subscription": owner.get("subscription"),
            "subscription_item": None,
            "_coupon": copy_of(source),
        }
        return self.put(discount)
