"""Products, prices, coupons, promotion codes and discounts."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.errors import StripeError
from refref.sandbox.prices import currency_options, packages_of, recurring_of, unit_terms
from refref.sandbox.store import Doc, Store, acted, copy_of
from refref.sandbox.timeline import months_after

Metadata = Mapping[str, str]


def merged(old: Mapping[str, str], new: Metadata | None) -> dict[str, str]:
    """Metadata after an update: given keys replace, an empty value deletes."""
    return {k: v for k, v in {**old, **(new or {})}.items() if v != ""}


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
        /,
        product: str,
        currency: str,
        unit_amount: int | None = None,
        *,
        interval: str | None = None,
        interval_count: int = 1,
        id: str | None = None,
        tax_behavior: str = "unspecified",
        nickname: str | None = None,
        lookup_key: str | None = None,
        transfer_lookup_key: bool = False,
        tiers_mode: str | None = None,
        transform_quantity: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        metadata: Metadata | None = None,
        **terms: Any,
    ) -> Doc:
        """A new price: recurring when it has an interval (day, week, month, year).

        `terms` instead of `unit_amount`: unit_amount_decimal, tiers (with tiers_mode), custom_unit_amount;
        `options`: the same by currency.
        """
        self.find("product", product, "product")
        if interval is not None and interval not in ("day", "week", "month", "year"):
            raise StripeError(f"Invalid interval: {interval} (day, week, month or year)", param="recurring[interval]")
        asked = unit_terms({"unit_amount": unit_amount, **terms})
        if bool(asked["_tiers"]) != (tiers_mode in ("graduated", "volume")):
            raise StripeError("tiers go with tiers_mode graduated or volume.", param="tiers_mode")
        if asked["custom_unit_amount"] and interval is not None:
            raise StripeError("A price with custom_unit_amount cannot be recurring.", param="custom_unit_amount")
        price = asked | {
            "id": id or self.ids.make("price"),
            "object": "price",
            "active": True,
            "billing_scheme": "tiered" if asked["_tiers"] else "per_unit",
            "created": self.now,
            "currency": currency.lower(),
            "livemode": False,
            "lookup_key": self._free_key(lookup_key, transfer=transfer_lookup_key),
            "metadata": merged({}, metadata),
            "nickname": nickname,
            "product": product,
            "recurring": recurring_of(interval, interval_count),
            "tax_behavior": tax_behavior,
            "tiers_mode": tiers_mode,
            "transform_quantity": packages_of(transform_quantity),
            "type": "one_time" if interval is None else "recurring",
            "_currency_options": currency_options(options or {}),
        }
        self.put(price)
        self.emit("price.created", price)
        return price

    def price_for(self, item: Mapping[str, Any], param: str) -> Doc:
        """The price an item names, or a new one of its `price_data`."""
        if item.get("price"):
            price = self.find("price", str(item["price"]), param)
            if not price["active"]:
                raise StripeError(f"The price specified is inactive: {price['id']}.", param=param)
            return price
        if not item.get("price_data"):
            raise StripeError(f"Missing required param: {param}.", code="parameter_missing", param=param)
        data = item["price_data"]
        product = data.get("product") or self.create_product(data["product_data"]["name"])["id"]
        recurring = data.get("recurring") or {}
        price = self.create_price(
            product,
            data["currency"],
            interval=recurring.get("interval"),
            interval_count=int(recurring.get("interval_count", 1)),
            tax_behavior=data.get("tax_behavior") or "unspecified",
            **{k: data[k] for k in ("unit_amount", "unit_amount_decimal") if k in data},
        )
        return self.find("price", price["id"])

    def _free_key(self, key: str | None, *, transfer: bool) -> str | None:
        """A lookup key belongs to one active price; `transfer` takes it from the one that has it."""
        for price in self.live("price"):
            if key is not None and price["lookup_key"] == key:
                if not transfer:
                    raise StripeError(f"A price (`{price['id']}`) already uses that lookup key.", param="lookup_key")
                self.emit("price.updated", price, self.alter(price, lookup_key=None))
        return key

    @acted("api")
    def delete_product(self, product: str) -> Doc:
        """Delete a product that has no prices."""
        doc = self.find("product", product)
        if any(price["product"] == product for price in self.live("price")):
            raise StripeError("This product cannot be deleted because it has one or more user-created prices.")
        self.remove(doc)
        self.emit("product.deleted", doc)
        return {"id": product, "object": "product", "deleted": True}

    @acted("api")
    def update_catalog(self, kind: str, object_id: str, changes: Mapping[str, Any]) -> Doc:
        """Change what may change of a product, price, coupon, tax rate or shipping rate; emits `{kind}.updated`."""
        doc = self.find(kind, object_id)
        wanted = {k: merged(doc["metadata"], v) if k == "metadata" else v for k, v in changes.items()}
        before = self.alter(doc, **wanted)
        if kind != "shipping_rate":
            self.emit(f"{kind}.updated", doc, {k: v for k, v in before.items() if not k.startswith("_")})
        return doc

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
