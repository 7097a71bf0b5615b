"""Payment Links: an address that opens a new Checkout Session for everybody who visits it."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.checkout import Checkout
from refref.sandbox.errors import StripeError
from refref.sandbox.ids import scramble
from refref.sandbox.prices import amount_of
from refref.sandbox.session_shape import invoice_creation_of
from refref.sandbox.store import Doc, acted

UNSET = ("application", "application_fee_amount", "application_fee_percent", "consent_collection", "inactive_message",
         "on_behalf_of", "optional_items", "payment_method_options", "payment_method_types",
         "shipping_address_collection", "transfer_data")  # fmt: skip
# What a visitor may put in the address.
FROM_ADDRESS = ("client_reference_id", "prefilled_email", "prefilled_promo_code", "locale")


class PaymentLinks(Checkout):
    """Sells by link."""

    @acted("api")
    def create_payment_link(
        self,
        line_items: Sequence[Mapping[str, Any]],
        *,
        metadata: Metadata | None = None,
        allow_promotion_codes: bool = False,
        customer_creation: str = "if_required",
        after_completion: Mapping[str, Any] | None = None,
        payment_intent_data: Mapping[str, Any] | None = None,
        subscription_data: Mapping[str, Any] | None = None,
        invoice_creation: Mapping[str, Any] | None = None,
        shipping_options: Sequence[Mapping[str, str]] = (),
        completed_sessions_limit: int | None = None,
        automatic_tax: bool = False,
    ) -> Doc:
        """A new payment link; its sessions carry `payment_link`, and its metadata and data.

        `after_completion`: `{"redirect": {"url": ...}}`. `completed_sessions_limit`: so many may pay, then it closes.
        """
        if not line_items:
            raise StripeError("Missing required param: line_items.", code="parameter_missing", param="line_items")
        prices = [self.price_for(item, "line_items[0][price]") for item in line_items]
        recurring = any(p["recurring"] for p in prices)
        link_id = self.ids.make("payment_link")
        redirect = (after_completion or {}).get("redirect")
        done: Doc = {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"}
        if redirect:
            done = {"redirect": {"url": redirect["url"]}, "type": "redirect"}
        limit: Doc | None = None
        if completed_sessions_limit is not None:
            limit = {"completed_sessions": {"count": 0, "limit": completed_sessions_limit}}
        link: Doc = dict.fromkeys(UNSET)
        link |= _data_of(recurring, payment_intent_data, subscription_data, invoice_creation)
        link |= {
            "id": link_id,
            "object": "payment_link",
            "active": True,
            "after_completion": done,
            "allow_promotion_codes": allow_promotion_codes,
            "automatic_tax": {"enabled": automatic_tax, "liability": None},
            "billing_address_collection": "auto",
            "currency": prices[0]["currency"],
            "custom_fields": [],
            "custom_text": dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")),
            "customer_creation": customer_creation,
            "livemode": False,
            "metadata": merged({}, metadata),
            "payment_method_collection": "always",
            "phone_number_collection": {"enabled": False},
            "restrictions": limit,
            "shipping_options": [
                {
                    "shipping_amount": self.shipping_amount(o["shipping_rate"], prices[0]["currency"]),
                    "shipping_rate": o["shipping_rate"],
                }
                for o in shipping_options
            ],
            "submit_type": "auto",
            "tax_id_collection": {"enabled": False, "required": "never"},
            "url": f"{self.public_url}/buy/{link_id}",
            "_items": [
                {"price": p["id"], "quantity": int(i.get("quantity", 1))}
                for p, i in zip(prices, line_items, strict=True)
            ],
            "_mode": "subscription" if recurring else "payment",
        }
        self.put(link)
        self.emit("payment_link.created", link)
        return link

    @acted("api")
    def update_payment_link(self, /, payment_link: str, **changes: Any) -> Doc:
        """Change active, metadata, allow_promotion_codes or inactive_message."""
        link = self.find("payment_link", payment_link)
        if "metadata" in changes:
            changes["metadata"] = merged(link["metadata"], changes["metadata"])
        before = self.alter(link, **changes)
        self.emit("payment_link.updated", link, before)
        return link

    def link_items(self, payment_link: str) -> list[Doc]:
        """What a link sells, as line items."""
        link = self.find("payment_link", payment_link)
        prices = [self.find("price", item["price"]) for item in link["_items"]]
        return [
            {
                "id": f"li_{scramble(f'{payment_link} {number}', 24)}",
                "object": "item",
                "adjustable_quantity": None,
                "amount_discount": 0,
                "amount_subtotal": amount_of(price, item["quantity"]),
                "amount_tax": 0,
                "amount_total": amount_of(price, item["quantity"]),
                "currency": price["currency"],
                "description": self.product_name(price),
                "metadata": {},
                "price": price,
                "quantity": item["quantity"],
            }
            for number, (price, item) in enumerate(zip(prices, link["_items"], strict=True))
        ]

    @acted("nobody")
    def visit_payment_link(self, /, payment_link: str, **address: str) -> Doc:
        """Somebody opens the link: a new session; `address`: client_reference_id, prefilled_email,
        prefilled_promo_code (what the address carries after the question mark)."""
        link = self.find("payment_link", payment_link)
        if not link["active"]:
            raise StripeError(link["inactive_message"] or "This payment link is not active any more.", param="id")
        if unknown := set(address) - set(FROM_ADDRESS):
            raise TypeError(f"visit_payment_link() does not know {sorted(unknown)}")
        reference = address.get("client_reference_id")
        if reference is not None and not _is_reference(reference):
            reference = None  # Stripe drops what it cannot use and lets the buyer pay
        session = self.checkout(
            mode=link["_mode"],
            line_items=link["_items"],
            metadata=link["metadata"],
            client_reference_id=reference,
            customer_email=address.get("prefilled_email"),
            customer_creation=link["customer_creation"] if link["_mode"] == "payment" else None,
            payment_intent_data=link["payment_intent_data"] or {},
            subscription_data=link["subscription_data"] or {},
            invoice_creation=link["invoice_creation"],
            allow_promotion_codes=link["allow_promotion_codes"],
            shipping_options=[{"shipping_rate": o["shipping_rate"]} for o in link["shipping_options"]],
            automatic_tax=link["automatic_tax"]["enabled"],
            success_url=(link["after_completion"].get("redirect") or {}).get("url"),
            payment_link=payment_link,
        )
        self._prefill(session, address.get("prefilled_promo_code"))
        return session

    def _prefill(self, session: Doc, code: str | None) -> None:
        """A code in the address is entered for the buyer; one that does not hold is left out."""
        if not code or not session["allow_promotion_codes"]:
            return
        try:
            self.usable_code(code, None)
        except StripeError:
            return
        self.alter(session, discounts=[{"coupon": None, "promotion_code": code}])
        self.price_session(session)

    def completed(self, session: Doc) -> None:
        """A session of a link is complete: count it, and close the link when that was the last."""
        super().completed(session)
        if session["payment_link"] is None:
            return
        link = self.find("payment_link", session["payment_link"])
        if link["restrictions"] is None:
            return
        counted = link["restrictions"]["completed_sessions"]
        count = counted["count"] + 1
        changes: Doc = {"restrictions": {"completed_sessions": counted | {"count": count}}}
        if count >= counted["limit"]:
            changes["active"] = False
        self.emit("payment_link.updated", link, self.alter(link, **changes))


def _is_reference(text: str) -> bool:
    return 0 < len(text) <= 200 and all(c.isascii() and (c.isalnum() or c in "-_") for c in text)


def _data_of(
    recurring: bool,
    intent: Mapping[str, Any] | None,
    subscription: Mapping[str, Any] | None,
    invoice: Mapping[str, Any] | None,
) -> Doc:
    """What a link hands on to what its sessions make."""
    if recurring and (intent or invoice):
        raise StripeError(
            "You can not pass payment_intent_data or invoice_creation with recurring prices.",
            param="payment_intent_data" if intent else "invoice_creation",
        )
    given = dict(intent or {})
    intents = dict.fromkeys(
        ("capture_method", "description", "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix",
         "transfer_group")
    )  # fmt: skip
    days = (subscription or {}).get("trial_period_days")
    subscriptions = {
        "description": (subscription or {}).get("description"),
        "invoice_settings": {"issuer": {"type": "self"}},
        "metadata": dict((subscription or {}).get("metadata", {})),
        "trial_period_days": None if days is None else int(days),
        "trial_settings": None,
    }
    return {
        "invoice_creation": None if recurring else invoice_creation_of(invoice),
        "payment_intent_data": {**intents, "metadata": {}, **given} if given else None,
        "subscription_data": subscriptions if recurring else None,
    }
