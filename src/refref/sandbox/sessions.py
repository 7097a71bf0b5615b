"""Opening Checkout Sessions: what they sell, ship and cost. Paying them is in the next layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_lines import LineDraft
from refref.sandbox.invoice_shape import shipping_cost
from refref.sandbox.prices import amount_of
from refref.sandbox.schedules import Schedules
from refref.sandbox.session_shape import (
    blank_session,
    invoice_creation_of,
    items_of,
    session_totals,
)
from refref.sandbox.store import Doc, acted

# What a merchant may say of a session that is kept as said.
KEPT = (
    "allow_promotion_codes",
    "client_reference_id",
    "customer_email",
    "customer_creation",
    "success_url",
    "cancel_url",
)
AUTOMATIC_TAX = {"enabled": True, "liability": {"type": "self"}, "provider": "stripe", "status": "complete"}
AUTOMATIC_RATE = "Automatic tax"


class Sessions(Schedules):
    """Opens sessions and works out what they cost."""

    @acted("api")
    def checkout(
        self,
        /,
        *,
        mode: str,
        line_items: Sequence[Mapping[str, Any]] = (),
        customer: str | None = None,
        metadata: Metadata | None = None,
        payment_intent_data: Mapping[str, Any] | None = None,
        subscription_data: Mapping[str, Any] | None = None,
        setup_intent_data: Mapping[str, Any] | None = None,
        invoice_creation: Mapping[str, Any] | None = None,
        discounts: Sequence[Mapping[str, str]] = (),
        tax_rate: str | None = None,
        automatic_tax: bool = False,
        shipping: int = 0,
        shipping_options: Sequence[Mapping[str, Any]] = (),
        payment_link: str | None = None,
        currency: str | None = None,
        expires_at: int | None = None,
        presentment_currency: str | None = None,
        **kept: Any,
    ) -> Doc:
        """Open a session; nothing is emitted."""
        if unknown := set(kept) - set(KEPT):
            raise TypeError(f"checkout() does not know {sorted(unknown)}")
        if customer is not None:
            self.customer(customer, "customer")
        prices = self._sellable(mode, line_items)
        session_id = self.ids.make("checkout.session")
        money = currency.lower() if currency else prices[0]["currency"] if prices else None
        options = [self._shipping_option(o, str(money)) for o in shipping_options]
        shipping = options[0]["shipping_amount"] if options else shipping
        session = blank_session(session_id, mode, money, f"{self.public_url}/pay/{session_id}", self.now)
        session |= {
            **kept,
            "customer": customer,
            "discounts": [{"coupon": d.get("coupon"), "promotion_code": d.get("promotion_code")} for d in discounts],
            "invoice_creation": invoice_creation_of(invoice_creation) if mode == "payment" else None,
            "metadata": merged({}, metadata),
            "payment_link": payment_link,
            "shipping_cost": shipping_cost(shipping, options[0]["shipping_rate"] if options else None)
            if shipping or options
            else None,
            "shipping_options": options,
            "_automatic_tax": automatic_tax,
            "_custom_amount": None,
            "_intent_data": dict(payment_intent_data or {}),
            "_presentment": presentment_currency,
            "_item_rates": [list(item.get("tax_rates", ())) for item in line_items],
            "_quantities": [int(item.get("quantity", 1)) for item in line_items],
            "_prices": [p["id"] for p in prices],
            "_setup_data": dict(setup_intent_data or {}),
            "_shipping": shipping,
            "_subscription_data": dict(subscription_data or {}),
            "_rates": [self._automatic_rate(prices)] if automatic_tax else [tax_rate] if tax_rate else [],
        }
        if expires_at is not None:
            session["expires_at"] = expires_at
        if automatic_tax:
            session["automatic_tax"] = dict(AUTOMATIC_TAX)
        if customer is not None:
            session["customer_creation"] = None
        self.price_session(session)
        self.put(session)
        self.plan(session["expires_at"], "expire_session", session_id)
        return session

    def _choose_shipping(self, session: Doc, shipping_rate: str) -> None:
        for option in session["shipping_options"]:
            if option["shipping_rate"] == shipping_rate:
                amount = option["shipping_amount"]
                self.alter(session, _shipping=amount, shipping_cost=shipping_cost(amount, shipping_rate))
                return
        raise StripeError("This shipping rate is not offered.", param="shipping_rate")

    def _shipping_option(self, given: Mapping[str, Any], currency: str) -> Doc:
        """A shipping rate that exists, or one made of `shipping_rate_data`."""
        rate = given.get("shipping_rate")
        if rate is None:
            data = given.get("shipping_rate_data") or {}
            fixed = data.get("fixed_amount")
            if not fixed:
                raise StripeError(
                    "A shipping option needs shipping_rate or shipping_rate_data[fixed_amount].",
                    code="parameter_missing",
                    param="shipping_options[0][shipping_rate]",
                )
            made = self.create_shipping_rate(
                int(fixed["amount"]),
                str(fixed["currency"]),
                name=str(data.get("display_name") or "Shipping"),
                metadata=data.get("metadata"),
            )
            rate = made["id"]
        return {"shipping_amount": self.shipping_amount(str(rate), currency), "shipping_rate": rate}

    def _sellable(self, mode: str, line_items: Sequence[Mapping[str, Any]]) -> list[Doc]:
        """The prices of the items, if the mode can sell them."""
        if mode not in ("payment", "subscription", "setup"):
            raise StripeError("Invalid mode: must be one of payment, setup, subscription", param="mode")
        if mode != "setup" and not line_items:
            raise StripeError("Missing required param: line_items.", code="parameter_missing", param="line_items")
        prices = [self.price_for(item, "line_items[0][price]") for item in line_items]
        recurring = any(p["recurring"] for p in prices)
        if mode == "payment" and recurring:
            raise StripeError(
                "You specified `payment` mode but passed a recurring price.", param="line_items[0][price]"
            )
        if mode == "subscription" and not recurring:
            raise StripeError("You must provide a recurring price in `subscription` mode.", param="line_items")
        return prices

    def _automatic_rate(self, prices: Sequence[Doc]) -> str:
        """The sandbox's one automatic tax: 10 %, inside the price when the price says inclusive."""
        inclusive = any(p["tax_behavior"] == "inclusive" for p in prices)
        for rate in self.live("tax_rate"):
            if rate["display_name"] == AUTOMATIC_RATE and rate["inclusive"] == inclusive:
                return str(rate["id"])
        return str(self.create_tax_rate(1000, inclusive=inclusive, name=AUTOMATIC_RATE)["id"])

    def price_session(self, session: Doc) -> None:
        """Work out the items and totals with the discounts the session has now."""
        if session["mode"] == "setup":
            return
        previews = []
        for given in session["discounts"]:
            if given["promotion_code"]:
                code = self.usable_code(given["promotion_code"], session["customer"])
                given.update(promotion_code=code["id"], coupon=code["promotion"]["coupon"])
            previews.append(
                {"id": "di_preview", "_coupon": self.find("coupon", given["coupon"], "discounts[0][coupon]")}
            )
        drafts = self._drafts(session)
        rates = [[self.find("tax_rate", r, "tax_rate") for r in d.rates or session["_rates"]] for d in drafts]
        items = items_of([self.ids.make("item") for _ in drafts], drafts, previews, rates, session["currency"])
        totals = session_totals(
            items, session["_shipping"], trial=bool(session["_subscription_data"].get("trial_period_days"))
        )
        self.alter(session, _items=items, **totals)

    def _drafts(self, session: Doc) -> list[LineDraft]:
        rows = []
        sold = zip(session["_prices"], session["_quantities"], session["_item_rates"], strict=True)
        for price_id, quantity, rates in sold:
            price = self.find("price", price_id)
            rows.append(
                LineDraft(
                    amount_of(price, quantity, session["currency"], session["_custom_amount"]),
                    self.product_name(price),
                    self.now,
                    self.now,
                    price,
                    quantity,
                    rates=tuple(rates),
                )
            )
        return rows
