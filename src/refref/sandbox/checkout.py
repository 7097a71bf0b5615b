"""Checkout Sessions: what the buyer completes, abandons or lets expire."""

from collections.abc import Mapping
from dataclasses import replace

from refref.sandbox.amounts import share
from refref.sandbox.cards import card_named, refusal
from refref.sandbox.errors import StripeError
from refref.sandbox.session_shape import (
    details_of,
)
from refref.sandbox.sessions import Sessions
from refref.sandbox.store import Doc, acted
from refref.sandbox.subscriptions import Terms


class Checkout(Sessions):
    """Sells through Stripe's hosted page."""

    @acted("nobody")
    def pay_session(
        self,
        session: str,
        *,
        card: str = "visa",
        email: str | None = None,
        name: str | None = None,
        promotion_code: str | None = None,
        custom_amount: int | None = None,
        shipping_rate: str | None = None,
    ) -> Doc:
        """The buyer completes the hosted page; a declined card raises 402 and leaves it open.

        `custom_amount`: what the buyer chooses to pay for a price with custom_unit_amount; `shipping_rate`: the
        shipping option chosen.
        """
        doc = self.find("checkout.session", session)
        if doc["status"] != "open":
            raise StripeError(f"This Checkout Session is {doc['status']}.", param="session")
        if promotion_code is not None:
            self.alter(doc, discounts=[{"coupon": None, "promotion_code": promotion_code}])
        if shipping_rate is not None:
            self._choose_shipping(doc, shipping_rate)
        if custom_amount is not None:
            self.alter(doc, _custom_amount=custom_amount)
        if promotion_code is not None or shipping_rate is not None or custom_amount is not None:
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
        sold = zip(session["_prices"], session["_quantities"], session["_item_rates"], strict=True)
        for price_id, quantity, rates in sold:
            if self.find("price", price_id)["recurring"]:
                recurring.append({"price": price_id, "quantity": quantity, "tax_rates": rates})
            else:
                self.add_invoice_item(
                    customer["id"], price=price_id, quantity=quantity, tax_rates=rates, currency=session["currency"]
                )
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
        trial = (data.get("trial_settings") or {}).get("end_behavior", {})
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
