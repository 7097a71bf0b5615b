"""Checkout Sessions: what the merchant opens and the buyer completes, abandons or lets expire."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refref.sandbox.amounts import share
from refref.sandbox.cards import card_named, refusal
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_lines import LineDraft
from refref.sandbox.invoice_shape import shipping_cost
from refref.sandbox.prices import amount_of
from refref.sandbox.schedules import Schedules
from refref.sandbox.session_shape import (
    blank_session,
    details_of,
    invoice_creation_of,
    items_of,
    session_totals,
)
from refref.sandbox.store import Doc, acted
from refref.sandbox.subscriptions import Terms

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


class Checkout(Schedules):
    """Sells through Stripe's hosted page."""

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
        for price_id, quantity in zip(session["_prices"], session["_quantities"], strict=True):
            price = self.find("price", price_id)
            rows.append(
                LineDraft(
                    amount_of(price, quantity, session["currency"], session["_custom_amount"]),
                    self.product_name(price),
                    self.now,
                    self.now,
                    price,
                    quantity,
                )
            )
        return rows

    @acted("nobody")
    def pay_session(
        self,
        session: str,
        *,
        card: str = "visa",
        email: str | None = None,
        name: str | None = None,
        promotion_code: str | None = None,
    ) -> Doc:
        """The buyer completes the hosted page; a declined card raises 402 and leaves it open."""
        doc = self.find("checkout.session", session)
        if doc["status"] != "open":
            raise StripeError(f"This Checkout Session is {doc['status']}.", param="session")
        if promotion_code is not None:
            self.alter(doc, discounts=[{"coupon": None, "promotion_code": promotion_code}])
            self.price_session(doc)
        if doc["mode"] == "subscription" and doc["amount_total"] and card_named(card).code is not None:
            raise refusal(card_named(card))
        self._identify(doc, card, email or doc["customer_email"], name)
        if doc["mode"] == "setup":
            self._set_up(doc, card)
        elif doc["mode"] == "subscription":
            self._start(doc, card)
        else:
            self._pay_once(doc, card)
        self.alter(doc, status="complete", url=None)
        self.emit("checkout.session.completed", doc)
        self.completed(doc)
        return doc

    def completed(self, session: Doc) -> None:
        """Called when a session is complete; the links' layer counts."""

    def _identify(self, session: Doc, card: str, email: str | None, name: str | None) -> None:
        """Find or create the customer, or leave a guest."""
        needed = (
            session["mode"] == "subscription"
            or session["customer_creation"] == "always"
            or (session["invoice_creation"] or {}).get("enabled")
        )
        if session["customer"] is None and needed:
            created = self.create_customer(email=email, name=name, card=card)
            self.alter(session, customer=created["id"])
        known: Doc = {} if session["customer"] is None else self.find("customer", session["customer"])
        self.alter(session, customer_details=details_of(known, email, name))

    def _set_up(self, session: Doc, card: str) -> None:
        data = session["_setup_data"]
        intent = self.create_setup_intent(
            customer=session["customer"], metadata=data.get("metadata"), description=data.get("description")
        )
        self.alter(session, setup_intent=intent["id"])
        self.confirm_setup_intent(intent["id"], card=card)
        if intent["status"] == "requires_action":
            self.authenticate_setup(intent["id"])

    def _start(self, session: Doc, card: str) -> None:
        customer = self.find("customer", session["customer"])
        recurring = []
        for price_id, quantity in zip(session["_prices"], session["_quantities"], strict=True):
            if self.find("price", price_id)["recurring"]:
                recurring.append({"price": price_id, "quantity": quantity})
            else:
                self.add_invoice_item(customer["id"], price=price_id, quantity=quantity)
        given = session["discounts"][0] if session["discounts"] else {}
        sub = self.start_subscription(
            customer,
            recurring,
            "incomplete",
            card,
            self._terms_of(session, given),
        )
        status = "paid" if session["amount_total"] else "no_payment_required"
        if status == "paid" and self.find("invoice", sub["latest_invoice"])["status"] == "open":
            status = "unpaid"
        self.alter(session, subscription=sub["id"], invoice=sub["latest_invoice"], payment_status=status)

    def _terms_of(self, session: Doc, discount: Mapping[str, str | None]) -> Terms:
        data = session["_subscription_data"]
        anchor, trial_end = data.get("billing_cycle_anchor"), data.get("trial_end")
        trial = data.get("trial_settings", {}).get("end_behavior", {})
        return Terms(
            trial_days=int(data.get("trial_period_days") or 0) or None,
            trial_end=None if trial_end is None else int(trial_end),
            coupon=None if discount.get("promotion_code") else discount.get("coupon"),
            promotion_code=discount.get("promotion_code"),
            rates=session["_rates"],
            metadata=data.get("metadata"),
            description=data.get("description"),
            currency=session["currency"],
            billing_cycle_anchor=None if anchor is None else int(anchor),
            proration_behavior=data.get("proration_behavior") or "create_prorations",
            missing_payment_method=trial.get("missing_payment_method") or "create_invoice",
        )

    def _pay_once(self, session: Doc, card: str) -> None:
        if session["_automatic_tax"] or session["invoice_creation"]["enabled"]:
            session.setdefault("_invoice_id", self.ids.make("invoice"))
        if session["amount_total"] == 0:
            self.alter(session, payment_status="no_payment_required")
            self._redeem(session)
            return
        intent = self._intent_for(session, card)
        if not self.pay_intent(intent, card):
            raise refusal(card_named(card))
        if intent["status"] == "requires_action":
            self.authenticate(intent["id"])
        if intent["status"] == "processing":
            return
        self.alter(session, payment_status="paid")
        self._redeem(session, intent)

    def _intent_for(self, session: Doc, card: str) -> Doc:
        """The session's payment intent, made on the first try to pay."""
        if session["payment_intent"] is not None:
            return self.find("payment_intent", session["payment_intent"])
        data = session["_intent_data"]
        invoiced = session["invoice_creation"]["enabled"]
        intent = self.open_intent(
            session["amount_total"],
            session["currency"],
            customer=session["customer"],
            metadata=data.get("metadata"),
            description=data.get("description"),
            invoice=session["_invoice_id"] if invoiced else None,
            kind=card_named(card).kind,
        )
        if session["_presentment"]:
            # A made-up rate: only what the buyer saw, never what is booked.
            shown = {
                "presentment_amount": share(intent["amount"], 92, 100),
                "presentment_currency": session["_presentment"],
            }
            self.alter(intent, presentment_details=shown)
            self.alter(session, presentment_details=shown)
        self.alter(session, payment_intent=intent["id"])
        self.alter(intent, _guest=session["customer_details"])
        return intent

    def _redeem(self, session: Doc, intent: Doc | None = None) -> None:
        """After payment: count the discount's use and make the invoice the merchant asked for."""
        discounts = []
        for given in session["discounts"]:
            code = given["promotion_code"]
            discounts.append(
                self.give_discount(
                    coupon=None if code else given["coupon"],
                    promotion_code=code,
                    customer=session["customer"],
                    checkout_session=session["id"],
                )
            )
        if not session["invoice_creation"]["enabled"]:
            return
        data = session["invoice_creation"]["invoice_data"]
        drafts = [
            replace(d, invoice_item=self.pend(session["customer"], session["currency"], d)["id"])
            for d in self._drafts(session)
        ]
        invoice = self.draft_invoice(
            self.find("customer", session["customer"]),
            drafts,
            currency=session["currency"],
            reason="manual",
            discounts=discounts,
            rates=session["_rates"],
            metadata=data["metadata"],
            shipping=session["_shipping"],
            description=data["description"],
            invoice_id=session["_invoice_id"],
        )
        self.alter(session, invoice=invoice["id"])
        self.finalize(invoice, use_balance=False)
        if intent is not None:
            self.receive(invoice, self.link_payment(invoice, intent, is_default=True), intent)

    @acted("nobody")
    def settle_session(self, session: str, *, succeeded: bool = True) -> Doc:
        """The bank answers for an asynchronous payment."""
        doc = self.find("checkout.session", session)
        if doc["status"] != "complete" or doc["payment_status"] != "unpaid":
            raise StripeError("This Checkout Session does not wait for a payment.", param="session")
        intent = doc["payment_intent"] or self.find("invoice", doc["invoice"])["_payment_intent"]
        self.settle_payment(intent, succeeded=succeeded)
        return doc

    def intent_done(self, intent: Doc) -> None:
        """A payment that waited has an outcome: tell the session that it was for."""
        super().intent_done(intent)
        for session in self.live("checkout.session"):
            if session["status"] != "complete" or session["payment_status"] != "unpaid":
                continue
            invoice = session["mode"] == "subscription" and session["invoice"] == intent["_invoice"]
            if session["payment_intent"] != intent["id"] and not invoice:
                continue
            if intent["status"] == "succeeded":
                self.alter(session, payment_status="paid")
                if session["mode"] == "payment":
                    self._redeem(session, intent)
                self.emit("checkout.session.async_payment_succeeded", session)
            elif intent["status"] == "requires_payment_method":
                self.emit("checkout.session.async_payment_failed", session)

    @acted("api")
    def expire_session(self, session: str) -> Doc:
        """Close an open session; the clock does it after 24 hours."""
        doc = self.find("checkout.session", session)
        if doc["status"] != "open":
            raise StripeError(f"This Checkout Session is {doc['status']} and cannot expire.", param="session")
        self.alter(doc, status="expired", url=None)
        self.emit("checkout.session.expired", doc)
        return doc
