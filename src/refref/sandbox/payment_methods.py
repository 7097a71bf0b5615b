"""Payment methods and setup intents: what a customer can pay with."""

from typing import Any

from refref.sandbox.cards import card_named, refusal
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.customers import Customers
from refref.sandbox.errors import StripeError
from refref.sandbox.payment_shape import blank_payment_method, method_id
from refref.sandbox.session_shape import blank_setup_intent
from refref.sandbox.store import Doc, acted


class PaymentMethods(Customers):
    """Keeps cards and bank accounts."""

    @acted("api")
    def create_payment_method(self, card: str, *, customer: str | None = None, metadata: Metadata | None = None) -> Doc:
        """A payment method for a test card, attached to a customer when one is named."""
        method = blank_payment_method(self.ids.make("payment_method"), card, self.now)
        method["metadata"] = merged({}, metadata)
        self.put(method)
        return self.attach_payment_method(method["id"], customer) if customer else method

    @acted("api")
    def attach_payment_method(self, payment_method: str, customer: str) -> Doc:
        """Keep a payment method for a customer, who pays with it from now on."""
        method = self.find("payment_method", payment_method)
        owner = self.customer(customer, "customer")
        if method["customer"] not in (None, customer):
            raise StripeError(
                "The payment method you provided has already been attached to a customer.", param="payment_method"
            )
        if not card_named(method["_card"]).attachable:
            raise refusal(card_named(method["_card"]))
        before = self.alter(method, customer=customer)
        self.alter(owner, _card=method["_card"], _method=method["id"])
        self.emit("payment_method.attached", method, before)
        return method

    @acted("api")
    def detach_payment_method(self, payment_method: str) -> Doc:
        """The customer no longer pays with it; whoever has no other left pays with "none"."""
        method = self.find("payment_method", payment_method)
        if method["customer"] is None:
            raise StripeError("The payment method you provided is not attached to a customer.", param="payment_method")
        owner = self.find("customer", method["customer"])
        before = self.alter(method, customer=None)
        if owner["_card"] == method["_card"]:
            held = [m for m in self.live("payment_method") if m["customer"] == owner["id"]]
            settings = owner["invoice_settings"]
            if settings["default_payment_method"] == payment_method:
                settings = settings | {"default_payment_method": None}
            self.alter(
                owner,
                invoice_settings=settings,
                _card=held[-1]["_card"] if held else "none",
                _method=held[-1]["id"] if held else None,
            )
        self.emit("payment_method.detached", method, before)
        return method

    @acted("api")
    def update_payment_method(self, payment_method: str, metadata: Metadata | None) -> Doc:
        """Change the metadata of an attached payment method."""
        method = self.find("payment_method", payment_method)
        before = self.alter(method, metadata=merged(method["metadata"], metadata))
        self.emit("payment_method.updated", method, before)
        return method

    def method_for(self, customer: str | None, card: str) -> str:
        """The id of the payment method of a customer (or guest) for a card, which from now on exists."""
        if customer is not None:
            owner = self.find("customer", customer)
            if owner.get("_method") and owner["_card"] == card:
                return str(owner["_method"])
        method = method_id(card, customer)
        if not self.has("payment_method", method):
            self.put(blank_payment_method(method, card, self.now) | {"customer": customer})
        return method

    # setup intents

    @acted("api")
    def create_setup_intent(
        self,
        /,
        *,
        customer: str | None = None,
        card: str | None = None,
        confirm: bool = False,
        metadata: Metadata | None = None,
        **more: Any,
    ) -> Doc:
        """Prepare a card for later payments; `more`: description, usage, attach_to_self."""
        if customer is not None:
            self.customer(customer, "customer")
        if confirm and card is None:
            raise StripeError(
                "You cannot confirm this SetupIntent because it is missing a payment method.",
                code="parameter_missing",
                param="payment_method",
            )
        method = None if card is None else self.method_for(None, card)
        intent = blank_setup_intent(self.ids.make("setup_intent"), customer, method, self.now) | more
        intent |= {"metadata": merged({}, metadata), "_card": card}
        self.put(intent)
        self.emit("setup_intent.created", intent)
        if confirm:
            self._set_up_with(intent, str(card))
        return intent

    @acted("api")
    def confirm_setup_intent(self, setup_intent: str, *, card: str | None = None) -> Doc:
        """Try to set a card up; a declined one raises 402, one that wants authentication waits for it."""
        intent = self.find("setup_intent", setup_intent)
        if intent["status"] not in ("requires_payment_method", "requires_confirmation", "requires_action"):
            raise StripeError(
                f"You cannot confirm this SetupIntent because it has a status of {intent['status']}.",
                code="setup_intent_unexpected_state",
            )
        word = card or intent["_card"]
        if word is None:
            raise StripeError(
                "You cannot confirm this SetupIntent because it is missing a payment method.",
                code="parameter_missing",
                param="payment_method",
            )
        self._set_up_with(intent, word)
        return intent

    def _set_up_with(self, intent: Doc, word: str) -> None:
        card = card_named(word)
        self.alter(intent, _card=word, payment_method=self.method_for(None, word))
        if not card.attachable:
            error = refusal(card)
            self.alter(
                intent, status="requires_payment_method", payment_method=None,
                last_setup_error=error.body("")["error"],
            )  # fmt: skip
            self.emit("setup_intent.setup_failed", intent)
            raise error
        if card.action:
            page = {"return_url": None, "url": f"{self.public_url}/authenticate/{intent['id']}"}
            next_action = {"redirect_to_url": page, "type": "redirect_to_url"}
            self.alter(intent, status="requires_action", next_action=next_action)
            self.emit("setup_intent.requires_action", intent)
            return
        self._set_up_done(intent)

    def _set_up_done(self, intent: Doc) -> None:
        """The card is the customer's from now on; emits payment_method.attached and setup_intent.succeeded."""
        if intent["customer"] is not None:
            method = self.create_payment_method(str(intent["_card"]), customer=intent["customer"])
            self.alter(intent, payment_method=method["id"])
        self.alter(intent, status="succeeded", next_action=None, last_setup_error=None)
        self.emit("setup_intent.succeeded", intent)

    @acted("nobody")
    def authenticate_setup(self, setup_intent: str, *, succeeded: bool = True) -> Doc:
        """The buyer passes (or fails) the bank's check that a setup intent waits for."""
        intent = self.find("setup_intent", setup_intent)
        if intent["status"] != "requires_action":
            raise StripeError("This SetupIntent does not wait for authentication.", param="setup_intent")
        if succeeded:
            self._set_up_done(intent)
        else:
            error = StripeError(
                "We are unable to authenticate your payment method.", code="setup_intent_authentication_failure"
            )
            self.alter(
                intent, status="requires_payment_method", payment_method=None, next_action=None,
                last_setup_error=error.body("")["error"],
            )  # fmt: skip
            self.emit("setup_intent.setup_failed", intent)
        return intent

    @acted("api")
    def cancel_setup_intent(self, setup_intent: str, *, reason: str | None = None) -> Doc:
        """Cancel a setup intent that is not done."""
        intent = self.find("setup_intent", setup_intent)
        if intent["status"] in ("succeeded", "canceled"):
            raise StripeError("This SetupIntent cannot be canceled.", code="setup_intent_unexpected_state")
        self.alter(intent, status="canceled", cancellation_reason=reason, next_action=None)
        self.emit("setup_intent.canceled", intent)
        return intent
