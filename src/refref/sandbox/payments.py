"""Payment intents, charges and balance transactions: how money comes in."""

from refref.sandbox.balance import Balance
from refref.sandbox.cards import card_named, methodless, refusal, unauthenticated
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError, declined
from refref.sandbox.payment_methods import PaymentMethods
from refref.sandbox.payment_shape import blank_charge, blank_intent, method_details
from refref.sandbox.store import Doc, acted, copy_of


class Payments(PaymentMethods, Balance):
    """Takes money by payment intent or by bare charge."""

    @acted("api")
    def create_payment_intent(
        self,
        amount: int,
        currency: str,
        *,
        customer: str | None = None,
        card: str | None = None,
        confirm: bool = True,
        metadata: Metadata | None = None,
        description: str | None = None,
        capture: bool = True,
        off_session: bool = False,
    ) -> Doc:
        """A payment intent; confirmed, it is paid (or only authorised) at once or the card is declined (402).

        A card that wants authentication leaves it `requires_action`; with `off_session` it is declined.
        """
        if amount <= 0:
            raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        if customer is not None:
            self.customer(customer, "customer")
        intent = self.open_intent(amount, currency, customer=customer, metadata=metadata, description=description)
        if not capture:
            self.alter(intent, capture_method="manual")
        if confirm:
            self._confirm(intent, card, off_session=off_session)
        return intent

    def _confirm(self, intent: Doc, card: str | None, *, off_session: bool) -> None:
        word = card or self.card_of(intent["customer"])
        if not card_named(word).present:
            raise methodless()
        if not self.pay_intent(intent, word):
            raise refusal(card_named(word))
        if off_session and intent["status"] == "requires_action":
            self.finish_intent(intent, None, error=unauthenticated())
            raise unauthenticated()
        if intent["_invoice"] is not None:
            self.intent_done(intent)

    @acted("api")
    def confirm_payment_intent(self, payment_intent: str, *, card: str | None = None, off_session: bool = False) -> Doc:
        """Pay an open payment intent."""
        intent = self.find("payment_intent", payment_intent)
        if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
            raise StripeError(
                f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        self._confirm(intent, card, off_session=off_session)
        return intent

    @acted("nobody")
    def authenticate(self, payment_intent: str, *, succeeded: bool = True) -> Doc:
        """The buyer passes (or fails) the bank's check that a payment intent waits for."""
        intent = self.find("payment_intent", payment_intent)
        if intent["status"] != "requires_action":
            raise StripeError("This PaymentIntent does not wait for authentication.", param="payment_intent")
        if succeeded:
            self.alter(intent, next_action=None)
            self._charge_intent(intent, "visa" if intent["_card"] is None else intent["_card"])
        else:
            error = StripeError(
                "We are unable to authenticate your payment method. Please choose a different payment method.",
                code="payment_intent_authentication_failure",
            )
            self.finish_intent(intent, None, error=error)
        self.intent_done(intent)
        return intent

    @acted("nobody")
    def settle_payment(self, payment_intent: str, *, succeeded: bool = True) -> Doc:
        """The bank answers for a payment intent that is `processing`."""
        intent = self.find("payment_intent", payment_intent)
        if intent["status"] != "processing":
            raise StripeError("This PaymentIntent is not processing.", param="payment_intent")
        charge = self.find("charge", intent["latest_charge"])
        if self.finish_charge(charge, str(intent["_card"]), succeeded=succeeded):
            self.finish_intent(intent, charge)
        else:
            self.finish_intent(intent, charge, error=declined())
        self.intent_done(intent)
        return intent

    def intent_done(self, intent: Doc) -> None:
        """Called when a payment that waited has an outcome; the layers above move what it was for."""

    @acted("api")
    def capture_payment_intent(self, payment_intent: str) -> Doc:
        """Take the whole of an authorised amount."""
        intent = self.find("payment_intent", payment_intent)
        if intent["status"] != "requires_capture":
            raise StripeError("This PaymentIntent could not be captured.", code="payment_intent_unexpected_state")
        charge = self.find("charge", intent["latest_charge"])
        self.change_charge(charge, captured=True, amount_captured=charge["amount"])
        self.emit("charge.captured", charge)
        self._book(charge)
        self.alter(intent, amount_capturable=0)
        self.finish_intent(intent, charge)
        return intent

    @acted("api")
    def cancel_payment_intent(self, payment_intent: str) -> Doc:
        """Cancel an open payment intent."""
        intent = self.find("payment_intent", payment_intent)
        if intent["status"] in ("succeeded", "canceled"):
            raise StripeError("This PaymentIntent cannot be canceled.", code="payment_intent_unexpected_state")
        self.alter(intent, status="canceled", canceled_at=self.now)
        self.emit("payment_intent.canceled", intent)
        return intent

    @acted("api")
    def create_charge(
        self,
        amount: int,
        currency: str,
        *,
        customer: str | None = None,
        card: str | None = None,
        metadata: Metadata | None = None,
        description: str | None = None,
    ) -> Doc:
        """A bare charge, without a payment intent."""
        card = card or self.card_of(customer)
        if not card_named(card).present:
            raise methodless()
        charge = self.open_charge(amount, currency, card, customer, None, metadata, description)
        if not self.finish_charge(charge, card):
            raise refusal(card_named(card), charge=charge["id"])
        return charge

    @acted("api")
    def update_metadata(self, kind: str, object_id: str, metadata: Metadata | None, event: str) -> Doc:
        """Change only the metadata of an object; emits `event`."""
        doc = self.find(kind, object_id)
        before = self.alter(doc, metadata=merged(doc["metadata"], metadata))
        self.emit(event, doc, before)
        return doc

    def open_intent(
        self,
        amount: int,
        currency: str,
        *,
        customer: str | None,
        metadata: Metadata | None = None,
        description: str | None = None,
        invoice: str | None = None,
        kind: str = "card",
    ) -> Doc:
        """A payment intent that waits for its payment; emits payment_intent.created."""
        intent_id = self.ids.make("payment_intent")
        order = {"customer_reference": None, "order_reference": invoice[:25] if invoice else None}
        intent = blank_intent(intent_id, self.now) | {
            "amount": amount,
            "currency": currency.lower(),
            "customer": customer,
            "description": description,
            "metadata": merged({}, metadata),
            "payment_details": order,
            "payment_method_types": [kind],
            "_card": None,
            "_invoice": invoice,
        }
        self.put(intent)
        self.emit("payment_intent.created", intent)
        return intent

    def pay_intent(self, intent: Doc, card: str) -> bool:
        """Charge an intent with a card; emits the charge's and the intent's events. False: declined.

        A bank debit leaves it `processing`, a card that wants authentication `requires_action`.
        """
        kind = card_named(card)
        self.alter(intent, _card=card)
        if not kind.present:
            return self.finish_intent(intent, None, error=methodless())
        if kind.action:
            page = {"return_url": None, "url": f"{self.public_url}/authenticate/{intent['id']}"}
            self.alter(
                intent,
                status="requires_action",
                payment_method=self.method_for(intent["customer"], card),
                next_action={"redirect_to_url": page, "type": "redirect_to_url"},
            )
            self.emit("payment_intent.requires_action", intent)
            return True
        return self._charge_intent(intent, card)

    def _charge_intent(self, intent: Doc, card: str) -> bool:
        charge = self.open_charge(
            intent["amount"],
            intent["currency"],
            card,
            intent["customer"],
            intent,
            intent["metadata"],
            intent["description"],
        )
        if card_named(card).settles_late:
            self.alter(
                intent, status="processing", processing={"type": "card"}, payment_method=charge["payment_method"]
            )
            self.emit("payment_intent.processing", intent)
            self.emit("charge.pending", charge)
            return True
        capture = intent["capture_method"] != "manual"
        paid = self.finish_charge(charge, card, capture=capture)
        if paid and not capture:
            self.alter(intent, status="requires_capture", amount_capturable=intent["amount"])
            self.emit("payment_intent.amount_capturable_updated", intent)
            return True
        return self.finish_intent(intent, charge, error=None if paid else refusal(card_named(card)))

    def finish_intent(self, intent: Doc, charge: Doc | None, *, error: StripeError | None = None) -> bool:
        """Bring an intent to the outcome of its charge; an error sends it back for another payment method."""
        if error is None and charge is not None:
            self.alter(intent, status="succeeded", amount_received=intent["amount"], processing=None, next_action=None,
                       payment_method=charge["payment_method"], last_payment_error=None)  # fmt: skip
            self.emit("payment_intent.succeeded", intent)
            return True
        shown = (error or declined()).body("")["error"] | ({"charge": charge["id"]} if charge else {})
        self.alter(intent, status="requires_payment_method", last_payment_error=shown, processing=None,
                   next_action=None)  # fmt: skip
        self.emit("payment_intent.payment_failed", intent)
        return False

    def open_charge(
        self,
        amount: int,
        currency: str,
        card: str,
        customer: str | None,
        intent: Doc | None,
        metadata: Metadata | None,
        description: str | None,
    ) -> Doc:
        """A charge on its way (status pending); nothing is emitted yet."""
        charge_id = self.ids.make("charge")
        buyer: Doc = (intent or {}).get("_guest") or {}
        if customer is not None:
            buyer = self.find("customer", customer)
        charge = blank_charge(charge_id, buyer, self.now) | {
            "amount": amount,
            "currency": currency.lower(),
            "customer": customer,
            "description": description,
            "metadata": merged({}, metadata),
            "payment_intent": intent["id"] if intent else None,
            "payment_method": self.method_for(customer, card),
            "payment_method_details": method_details(card),
            "_card": card,
            "_invoice": intent["_invoice"] if intent else None,
        }
        self.put(charge)
        if intent and "presentment_details" in intent:
            charge["presentment_details"] = intent["presentment_details"]
        if intent:
            self.alter(intent, latest_charge=charge_id, _charges=[copy_of(charge)])
        return charge

    def finish_charge(self, charge: Doc, card: str, *, succeeded: bool = True, capture: bool = True) -> bool:
        """Settle a pending charge; emits charge.succeeded and charge.updated, or charge.failed."""
        kind = card_named(card)
        if kind.code is not None or not succeeded:
            error = refusal(kind)
            outcome = {
                "advice_code": "try_again_later",
                "network_advice_code": None,
                "network_decline_code": "01",
                "network_status": "declined_by_network",
                "reason": kind.reason or kind.code or "generic_decline",
                "risk_level": "normal",
                "seller_message": "The bank did not return any further details.",
                "type": "issuer_declined",
            }
            self.change_charge(
                charge, status="failed", failure_code=error.code, failure_message=error.message, outcome=outcome
            )
            self.emit("charge.failed", charge)
            return False
        approved: Doc = {"advice_code": None, "network_advice_code": None, "network_decline_code": None, "reason": None,
                   "network_status": "approved_by_network", "risk_level": "normal", "risk_score": 16,
                   "seller_message": "Payment complete.", "type": "authorized"}  # fmt: skip
        taken = charge["amount"] if capture else 0
        self.change_charge(
            charge, status="succeeded", paid=True, captured=capture, amount_captured=taken, outcome=approved
        )
        self.emit("charge.succeeded", charge)
        if capture:
            self._book(charge)
        return True

    def _book(self, charge: Doc) -> None:
        """The money of a captured charge lands on the merchant's balance; emits charge.updated."""
        entry = self.balance_entry(charge["amount"], charge, "charge")
        self.emit("charge.updated", charge, self.change_charge(charge, balance_transaction=entry["id"]))

    def change_charge(self, charge: Doc, **changes: object) -> Doc:
        """Change a charge, also where its payment intent carries a copy; returns the previous values."""
        before = self.alter(charge, **changes)
        if charge["payment_intent"] is not None:
            intent = self.find("payment_intent", charge["payment_intent"])
            self.alter(intent, _charges=[copy_of(charge)])
        return before

    def charge_of(self, payment: str) -> Doc:
        """The successful charge behind a charge, payment intent, invoice or session id."""
        if payment.startswith("ch_"):
            return self.find("charge", payment, "charge")
        if payment.startswith("pi_"):
            intent = self.find("payment_intent", payment, "payment_intent")
            return self.find("charge", str(intent["latest_charge"]), "payment_intent")
        if payment.startswith("in_"):
            return self.find("charge", str(self.find("invoice", payment, "invoice")["_charge"]), "charge")
        session = self.find("checkout.session", payment, "session")
        return self.charge_of(str(session["payment_intent"] or session["invoice"]))
