"""Tax rates and shipping rates: what is put on top of what is sold."""

from collections.abc import Mapping
from typing import Any

from refref.sandbox.amounts import bps_percent
from refref.sandbox.catalog import Catalog, Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.store import Doc, acted


class Rates(Catalog):
    """Tax and shipping."""

    @acted("api")
    def create_tax_rate(
        self, /, rate_bps: int, *, inclusive: bool, name: str = "Tax", metadata: Metadata | None = None, **more: Any
    ) -> Doc:
        """A new tax rate, in hundredths of a percent; `more`: active, country, description, jurisdiction, state,
        tax_type."""
        unset = dict.fromkeys(("country", "description", "jurisdiction", "state", "tax_type"))
        rate = unset | {
            "id": self.ids.make("tax_rate"),
            "object": "tax_rate",
            "active": True,
            "created": self.now,
            "display_name": name,
            "effective_percentage": None,
            "flat_amount": None,
            "inclusive": inclusive,
            "jurisdiction_level": None,
            "livemode": False,
            "metadata": merged({}, metadata),
            "percentage": bps_percent(rate_bps),
            "rate_type": "percentage",
        }
        made = self.put(rate | more)
        self.emit("tax_rate.created", made)
        return made

    @acted("api")
    def create_shipping_rate(
        self,
        amount: int,
        currency: str,
        *,
        name: str = "Shipping",
        tax_behavior: str = "unspecified",
        delivery_estimate: Mapping[str, Any] | None = None,
        options: Mapping[str, int] | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new shipping rate: a fixed amount, and with `options` another one by currency. Stripe emits nothing."""
        fixed: Doc = {"amount": amount, "currency": currency.lower()}
        if options:
            fixed["currency_options"] = {
                c.lower(): {"amount": sum_, "tax_behavior": "unspecified"} for c, sum_ in options.items()
            }
        return self.put(
            {
                "id": self.ids.make("shipping_rate"),
                "object": "shipping_rate",
                "active": True,
                "created": self.now,
                "delivery_estimate": None if delivery_estimate is None else dict(delivery_estimate),
                "display_name": name,
                "fixed_amount": fixed,
                "livemode": False,
                "metadata": merged({}, metadata),
                "tax_behavior": tax_behavior,
                "tax_code": None,
                "type": "fixed_amount",
            }
        )

    def shipping_amount(self, shipping_rate: str, currency: str) -> int:
        """What a shipping rate asks in a currency."""
        rate = self.find("shipping_rate", shipping_rate, "shipping_options[0][shipping_rate]")
        fixed = rate["fixed_amount"]
        if not rate["active"]:
            raise StripeError(f"The shipping rate {shipping_rate} is not active.", param="shipping_options")
        if fixed["currency"] == currency:
            return int(fixed["amount"])
        option = fixed.get("currency_options", {}).get(currency)
        if option is None:
            raise StripeError(
                f"The shipping rate {shipping_rate} has no amount in {currency}.", param="shipping_options"
            )
        return int(option["amount"])
