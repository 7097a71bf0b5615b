"""Paying invoices: all, a part, more than is due, outside Stripe; or ending them without payment."""

from refref.sandbox.cards import card_named
from refref.sandbox.errors import StripeError
from refref.sandbox.invoices import Invoices
from refref.sandbox.store import Doc, acted
from refref.sandbox.timeline import DAY


class InvoicePayments(Invoices):
    """Takes money for invoices."""

    @acted("api")
    def pay_invoice(
        self, invoice: str, *, amount: int | None = None, card: str | None = None, out_of_band: bool = False
    ) -> Doc:
        """Pay an open or uncollectible invoice (a draft is finalised first): all, a part, more, or outside Stripe."""
        doc = self.find("invoice", invoice)
        if doc["status"] == "draft":
            self.finalize(doc)
            if doc["status"] == "paid":
                return doc
        if doc["status"] not in ("open", "uncollectible"):
            raise StripeError(f"Invoice is {doc['status']} and cannot be paid.", code="invoice_not_editable")
        if out_of_band:
            left = doc["amount_remaining"]
            self.alter(doc, amount_paid=doc["amount_paid"] + left, amount_paid_off_stripe=left, amount_remaining=0)
            self.settle(doc)
            self.invoice_paid(doc)
        else:
            self.collect(doc, card or self.card_for(doc), amount, on_session=True)
        return doc

    def collect(
        self,
        invoice: Doc,
        card: str,
        amount: int | None = None,
        description: str | None = None,
        *,
        on_session: bool = False,
    ) -> bool:
        """Take money for an open invoice with a card; False: declined, or the buyer must authenticate first."""
        wanted = invoice["amount_remaining"] if amount is None else amount
        link = self._payment_link(invoice, wanted, description, card)
        intent = self.find("payment_intent", link["payment"]["payment_intent"])
        self.alter(invoice, attempted=True, attempt_count=invoice["attempt_count"] + 1)
        paid = self.pay_intent(intent, card)
        if intent["status"] == "requires_action" and on_session:
            self.authenticate(intent["id"])
            return bool(intent["status"] == "succeeded")
        if paid and intent["status"] == "succeeded":
            self.receive(invoice, link, intent)
        elif paid and intent["status"] == "processing":
            self.invoice_processing(invoice)
        else:
            self._not_paid(invoice, action=intent["status"] == "requires_action")
            return False
        return True

    def await_payment(self, invoice: Doc, description: str) -> None:
        """An open invoice whose payment intent the buyer confirms later."""
        self._payment_link(invoice, invoice["amount_remaining"], description, self.card_for(invoice))

    def _not_paid(self, invoice: Doc, *, action: bool) -> None:
        """An attempt failed; emits invoice.payment_failed, and .payment_action_required when the buyer can help."""
        self.alter(invoice, next_payment_attempt=self.next_attempt(invoice))
        self.emit("invoice.payment_failed", invoice)
        if action:
            self.emit("invoice.payment_action_required", invoice)
        self.invoice_failed(invoice)

    def next_attempt(self, invoice: Doc) -> int | None:
        """When the invoice is tried again; the dunning layer knows."""
        return int(self.now + 3 * DAY)

    def intent_done(self, intent: Doc) -> None:
        """A payment that waited has an outcome: bring its invoice on."""
        super().intent_done(intent)
        for link in self.live("invoice_payment"):
            if link["payment"].get("payment_intent") != intent["id"] or link["status"] != "open":
                continue
            invoice = self.find("invoice", link["invoice"])
            if intent["status"] == "succeeded":
                self.receive(invoice, link, intent)
            elif intent["status"] == "requires_payment_method" and invoice["status"] == "open":
                self._not_paid(invoice, action=False)

    def card_for(self, invoice: Doc) -> str:
        """The card an invoice is paid with: its own, its subscription's or the customer's."""
        details = (invoice["parent"] or {}).get("subscription_details")
        own = None if details is None else self.find("subscription", details["subscription"])["_card"]
        if invoice["default_payment_method"] is not None:
            own = self.find("payment_method", invoice["default_payment_method"])["_card"]
        return str(own or self.card_of(invoice["customer"]))

    def _payment_link(self, invoice: Doc, wanted: int, description: str | None, card: str) -> Doc:
        """The open invoice_payment of that amount, or a new one with a new payment intent."""
        links = [self.find("invoice_payment", link) for link in invoice["_links"]]
        for link in links:
            if link["status"] == "open" and link["amount_requested"] == wanted:
                return link
        text = description or ("Subscription update" if invoice["parent"] else "Invoice payment")
        intent = self.open_intent(
            wanted,
            invoice["currency"],
            customer=invoice["customer"],
            description=text,
            invoice=invoice["id"],
            kind=card_named(card).kind,
        )
        return self.link_payment(invoice, intent, is_default=not links)

    def link_payment(self, invoice: Doc, intent: Doc, *, is_default: bool) -> Doc:
        """An open invoice_payment between an invoice and a payment intent."""
        if is_default:
            self.alter(invoice, _payment_intent=intent["id"])
        link_id = self.ids.make("invoice_payment")
        self.alter(invoice, _links=[*invoice["_links"], link_id])
        return self.put(
            {
                "id": link_id,
                "object": "invoice_payment",
                "amount_paid": None,
                "amount_requested": intent["amount"],
                "created": self.now,
                "currency": invoice["currency"],
                "invoice": invoice["id"],
                "is_default": is_default,
                "livemode": False,
                "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
                "status": "open",
                "status_transitions": {"canceled_at": None, "paid_at": None},
            }
        )

    def receive(self, invoice: Doc, link: Doc, intent: Doc) -> None:
        """Count a succeeded payment intent towards an invoice; emits the invoice's events and invoice_payment.paid."""
        amount = intent["amount"]
        paid = invoice["amount_paid"] + amount
        over = max(0, paid - invoice["amount_due"])
        before = self.alter(
            invoice,
            amount_paid=paid,
            amount_overpaid=over,
            amount_remaining=max(0, invoice["amount_due"] - paid),
            _charge=intent["latest_charge"],
            _payment_intent=invoice["_payment_intent"] or intent["id"],
        )
        if invoice["amount_remaining"] == 0:
            self.settle(invoice)
            self.emit("invoice.payment_succeeded", invoice)
        else:
            self.emit("invoice.updated", invoice, {k: v for k, v in before.items() if not k.startswith("_")})
        transitions = link["status_transitions"] | {"paid_at": self.now}
        self.alter(link, status="paid", amount_paid=amount, status_transitions=transitions)
        self.emit("invoice_payment.paid", link)
        if over:
            customer = self.find("customer", invoice["customer"])
            self.move_balance(customer, -over, "invoice_overpaid", currency=invoice["currency"], invoice=invoice["id"])
        if invoice["status"] == "paid":
            self.invoice_paid(invoice)

    @acted("api")
    def void_invoice(self, invoice: str) -> Doc:
        """An open or uncollectible invoice is void: nothing is owed."""
        return self._end(invoice, "void", "voided_at", "invoice.voided")

    @acted("api")
    def mark_uncollectible(self, invoice: str) -> Doc:
        """An open invoice is written off; it may still be paid."""
        return self._end(invoice, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")

    def _end(self, invoice: str, status: str, moment: str, event: str) -> Doc:
        doc = self.find("invoice", invoice)
        if doc["status"] not in ("open", "uncollectible") or doc["status"] == status:
            raise StripeError(f"Invoice is {doc['status']}.", code="invoice_not_editable")
        self.alter(doc, status=status, status_transitions=doc["status_transitions"] | {moment: self.now})
        self.emit(event, doc)
        return doc
