"""Payment intents, charges, test cards and balance transactions: how money comes in."""

from refref.sandbox.amounts import share
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.customers import Customers
from refref.sandbox.errors import StripeError, declined
from refref.sandbox.payment_shape import blank_charge, blank_intent, blank_payment_method, method_details, method_id
from refref.sandbox.store import Doc, acted, copy_of
from refref.sandbox.timeline import DAY

TOKENS = {
    "pm_card_visa": "visa",
    "pm_card_mastercard": "mastercard",
    "pm_card_amex": "amex",
    "tok_visa": "visa",
    "pm_card_chargeDeclined": "declined",
    "pm_card_visa_chargeDeclined": "declined",
    "tok_chargeDeclined": "declined",
    "pm_card_chargeCustomerFail": "declined",
    "tok_chargeCustomerFail": "declined",
    "pm_card_createDispute": "disputed",
    "tok_createDispute": "disputed",
    "pm_card_createDisputeInquiry": "inquired",
    "tok_createDisputeInquiry": "inquired",
}
DECLINE = "Your card was declined."


class Payments(Customers):
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
    ) -> Doc:
        """A payment intent; confirmed, it is paid (or only authorised) at once or the card is declined (402)."""
        if customer is not None:
            self.customer(customer, "customer")
        intent = self.open_intent(amount, currency, customer=customer, metadata=metadata, description=description)
        if not capture:
            self.alter(intent, capture_method="manual")
        if confirm and not self.pay_intent(intent, card or self.card_of(customer)):
            raise declined()
        return intent

    @acted("api")
    def confirm_payment_intent(self, payment_intent: str, *, card: str | None = None) -> Doc:
        """Pay an open payment intent."""
        intent = self.find("payment_intent", payment_intent)
        if intent["status"] not in ("requires_payment_method", "requires_confirmation"):
            raise StripeError(
                f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        if not self.pay_intent(intent, card or self.card_of(intent["customer"])):
            raise declined()
        return intent

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
        self.finish_intent(intent, charge, succeeded=True)
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
    def create_payment_method(self, card: str, *, customer: str | None = None) -> Doc:
        """A payment method for a test card, attached to a customer when one is named."""
        method = blank_payment_method(self.ids.make("payment_method"), card, self.now)
        self.put(method)
        return self.attach_payment_method(method["id"], customer) if customer else method

    @acted("api")
    def attach_payment_method(self, payment_method: str, customer: str) -> Doc:
        """Keep a payment method for a customer, who pays with it from now on."""
        method = self.find("payment_method", payment_method)
        owner = self.customer(customer, "customer")
        before = self.alter(method, customer=customer)
        self.alter(owner, _card=method["_card"])
        self.emit("payment_method.attached", method, before)
        return method

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
        charge = self.open_charge(amount, currency, card, customer, None, metadata, description)
        if not self.finish_charge(charge, card):
            raise declined()
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
        asynchronous: bool = False,
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
            "payment_method_types": ["sepa_debit" if asynchronous else "card"],
            "_invoice": invoice,
        }
        self.put(intent)
        self.emit("payment_intent.created", intent)
        return intent

    def pay_intent(self, intent: Doc, card: str) -> bool:
        """Charge an intent with a card; emits the charge's and the intent's events. False: declined."""
        charge = self.open_charge(
            intent["amount"],
            intent["currency"],
            card,
            intent["customer"],
            intent,
            intent["metadata"],
            intent["description"],
        )
        capture = intent["capture_method"] != "manual"
        paid = self.finish_charge(charge, card, capture=capture)
        if paid and not capture:
            self.alter(intent, status="requires_capture", amount_capturable=intent["amount"])
            self.emit("payment_intent.amount_capturable_updated", intent)
            return True
        return self.finish_intent(intent, charge, succeeded=paid)

    def finish_intent(self, intent: Doc, charge: Doc, *, succeeded: bool) -> bool:
        """Bring an intent to the outcome of its charge."""
        if succeeded:
            self.alter(intent, status="succeeded", amount_received=intent["amount"], processing=None,
                       payment_method=charge["payment_method"], last_payment_error=None)  # fmt: skip
            self.emit("payment_intent.succeeded", intent)
        else:
            error = declined().body("")["error"] | {"charge": charge["id"]}
            self.alter(intent, status="requires_payment_method", last_payment_error=error, processing=None)
            self.emit("payment_intent.payment_failed", intent)
        return succeeded

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
            "payment_method": method_id(card),
            "payment_method_details": method_details(card),
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
        if card == "declined" or not succeeded:
            outcome = {
                "advice_code": "try_again_later",
                "network_advice_code": None,
                "network_decline_code": "01",
                "network_status": "declined_by_network",
                "reason": "generic_decline",
                "risk_level": "normal",
                "seller_message": "The bank did not return any further details.",
                "type": "issuer_declined",
            }
            self.change_charge(
                charge, status="failed", failure_code="card_declined", failure_message=DECLINE, outcome=outcome
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
        fee = share(charge["amount"], 290, 10_000) + 30
        entry = self.balance_entry(charge["amount"], charge, "charge", fee=fee)
        self.emit("charge.updated", charge, self.change_charge(charge, balance_transaction=entry["id"]))

    def change_charge(self, charge: Doc, **changes: object) -> Doc:
        """Change a charge, also where its payment intent carries a copy; returns the previous values."""
        before = self.alter(charge, **changes)
        if charge["payment_intent"] is not None:
            intent = self.find("payment_intent", charge["payment_intent"])
            self.alter(intent, _charges=[copy_of(charge)])
        return before

    def balance_entry(self, amount: int, source: Doc, kind: str, *, fee: int = 0, category: str | None = None) -> Doc:
        """A balance transaction: what the source did to the merchant's own balance."""
        details = {"amount": fee, "application": None, "currency": source["currency"], "description": "Processing fees",
                   "type": "stripe_fee"}  # fmt: skip
        entry = {
            "id": self.ids.make("balance_transaction"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": self.now + 2 * DAY,
            "balance_type": "payments",
            "created": self.now,
            "currency": source["currency"],
            "description": source.get("description"),
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [details] if fee else [],
            "net": amount - fee,
            "reporting_category": category or kind,
            "source": source["id"],
            "status": "pending",
            "type": kind,
        }
        return self.put(entry)

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
