"""Invoices: drafting, finalising, paying in whole or in part, ending without payment."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.ids import scramble
from refref.sandbox.invoice_lines import LineDraft, item_parent, line_of, pricing_of, reductions, totals_of
from refref.sandbox.invoice_shape import blank_invoice, embedded_lines, invoice_parent, shipping_cost
from refref.sandbox.refunds import Refunds
from refref.sandbox.store import Doc, acted, copy_of


class Invoices(Refunds):
    """Bills customers."""

    @acted("api")
    def add_invoice_item(
        self,
        customer: str,
        *,
        amount: int | None = None,
        price: str | None = None,
        quantity: int = 1,
        currency: str = "usd",
        description: str | None = None,
        subscription: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A pending item for the customer's next invoice of that currency."""
        self.customer(customer, "customer")
        found = None if price is None else self.find("price", price, "price")
        if found is None and amount is None:
            raise StripeError("Missing required param: amount.", code="parameter_missing", param="amount")
        draft = LineDraft(
            amount=found["unit_amount"] * quantity if found else int(amount or 0),
            description=description or (self.product_name(found) if found else ""),
            start=self.now,
            end=self.now,
            price=found,
            quantity=quantity,
            subscription=subscription,
            metadata=merged({}, metadata),
        )
        return self.pend(customer, found["currency"] if found else currency.lower(), draft)

    def pend(self, customer: str, currency: str, draft: LineDraft) -> Doc:
        """Keep a line for the next invoice; emits invoiceitem.created."""
        item = {
            "id": self.ids.make("invoiceitem"),
            "object": "invoiceitem",
            "amount": draft.amount,
            "currency": currency,
            "customer": customer,
            "customer_account": None,
            "date": self.now,
            "description": draft.description,
            "discountable": draft.discountable,
            "discounts": [],
            "invoice": None,
            "livemode": False,
            "metadata": draft.metadata,
            "net_amount": draft.amount,
            "parent": item_parent(draft),
            "period": {"end": draft.end, "start": draft.start},
            "pricing": pricing_of(draft.price, None if draft.proration else draft.amount) or None,
            "proration": draft.proration,
            "proration_details": {"discount_amounts": []},
            "quantity": draft.quantity,
            "quantity_decimal": str(draft.quantity),
            "tax_rates": [],
            "test_clock": None,
            "_price": draft.price,
            "_credited": draft.credited,
        }
        self.put(item)
        owner = self.find("customer", customer)
        self.alter(owner, _pending=[*owner["_pending"], item["id"]])
        self.emit("invoiceitem.created", item)
        return item

    def pending_drafts(self, customer: str, currency: str, subscription: str | None) -> list[LineDraft]:
        """The customer's pending items as lines (items of another subscription wait for its own invoice)."""
        found = []
        for item_id in self.find("customer", customer)["_pending"]:
            item = self.find("invoiceitem", item_id)
            if item["currency"] != currency:
                continue
            details = (item["parent"] or {}).get("subscription_details", {})
            if details.get("subscription") not in (None, subscription):
                continue
            found.append(
                LineDraft(
                    amount=item["amount"],
                    description=item["description"],
                    start=item["period"]["start"],
                    end=item["period"]["end"],
                    price=item["_price"],
                    quantity=item["quantity"],
                    discountable=item["discountable"],
                    proration=item["proration"],
                    subscription=details.get("subscription"),
                    subscription_item=details.get("subscription_item"),
                    invoice_item=item["id"],
                    credited=item["_credited"],
                    metadata=item["metadata"],
                )
            )
        return found

    @acted("api")
    def create_invoice(
        self,
        customer: str,
        items: Sequence[Mapping[str, Any]] = (),
        *,
        currency: str = "usd",
        metadata: Metadata | None = None,
        tax_rate: str | None = None,
        coupon: str | None = None,
        promotion_code: str | None = None,
        collection_method: str = "send_invoice",
        shipping: int = 0,
        finalize: bool = True,
        description: str | None = None,
    ) -> Doc:
        """A manual invoice of these items and of the customer's pending ones."""
        for item in items:
            self.add_invoice_item(customer, currency=currency, **item)
        prices = [self.find("price", i["price"], "price") for i in items if "price" in i]
        money = prices[0]["currency"] if prices else currency.lower()
        discounts = []
        if coupon or promotion_code:
            discounts.append(self.give_discount(coupon=coupon, promotion_code=promotion_code, customer=customer))
        invoice = self.draft_invoice(
            self.customer(customer, "customer"),
            self.pending_drafts(customer, money, None),
            currency=money,
            reason="manual",
            discounts=discounts,
            tax_rate=tax_rate,
            metadata=metadata,
            collection_method=collection_method,
            shipping=shipping,
            description=description,
        )
        if finalize:
            self.finalize(invoice)
        return invoice

    def draft_invoice(
        self,
        customer: Doc,
        drafts: Sequence[LineDraft],
        *,
        currency: str,
        reason: str,
        discounts: Sequence[Doc] = (),
        tax_rate: str | None = None,
        metadata: Metadata | None = None,
        collection_method: str = "charge_automatically",
        shipping: int = 0,
        description: str | None = None,
        subscription: Doc | None = None,
        period: tuple[int, int] | None = None,
        invoice_id: str | None = None,
    ) -> Doc:
        """A draft with finished lines and totals; emits invoice.created."""
        invoice_id = invoice_id or self.ids.make("invoice")
        rate = None if tax_rate is None else self.find("tax_rate", tax_rate, "tax_rate")
        reduced = reductions(drafts, discounts)
        lines = [
            self.put(line_of(self.ids.make("line_item"), invoice_id, currency, draft, amounts, rate))
            for draft, amounts in zip(drafts, reduced, strict=True)
        ]
        self._use_items(customer, [d.invoice_item for d in drafts if d.invoice_item is not None], invoice_id)
        start, end = period or (self.now, self.now)
        invoice = blank_invoice(invoice_id, customer, currency, reason, self.now) | totals_of(lines, shipping)
        invoice |= {
            "collection_method": collection_method,
            "description": description,
            "discounts": [d["id"] for d in discounts],
            "due_date": self.now + 30 * 86_400 if collection_method == "send_invoice" else None,
            "metadata": merged({}, metadata),
            "period_end": end,
            "period_start": start,
            "_discounts": copy_of(list(discounts)),
            "_lines": [line["id"] for line in lines],
            "lines": embedded_lines(lines, invoice_id),
        }
        if shipping:
            invoice["shipping_cost"] = shipping_cost(shipping)
        if subscription is not None:
            invoice["parent"] = invoice_parent(subscription)
        due = max(0, invoice["total"])
        invoice |= {"amount_due": due, "amount_remaining": due}
        self.put(invoice)
        self.emit("invoice.created", invoice)
        return invoice

    def _use_items(self, customer: Doc, items: Sequence[str], invoice_id: str) -> None:
        """These items are pending no more."""
        for item in items:
            self.alter(self.find("invoiceitem", item), invoice=invoice_id)
        if items:
            self.alter(customer, _pending=[i for i in customer["_pending"] if i not in items])

    @acted("api")
    def finalize_invoice(self, invoice: str) -> Doc:
        """A draft becomes open (or paid, when nothing is due)."""
        doc = self.find("invoice", invoice)
        if doc["status"] != "draft":
            raise StripeError(
                "This invoice is already finalized, you can't re-finalize it.", code="invoice_not_editable"
            )
        self.finalize(doc)
        return doc

    def finalize(self, invoice: Doc, *, use_balance: bool = True) -> None:
        """Number the invoice and use the customer's balance; emits invoice.finalized, and invoice.paid of nothing."""
        customer = self.find("customer", invoice["customer"])
        sequence = customer["next_invoice_sequence"]
        self.alter(customer, next_invoice_sequence=sequence + 1, currency=customer["currency"] or invoice["currency"])
        starting = customer["balance"] if use_balance and customer["currency"] == invoice["currency"] else 0
        due, ending = max(0, invoice["total"] + starting), min(0, invoice["total"] + starting)
        page = f"{self.public_url}/invoice/{scramble(invoice['id'], 24)}"
        self.alter(
            invoice,
            status="open",
            number=f"{customer['invoice_prefix']}-{sequence:04d}",
            starting_balance=starting,
            ending_balance=ending,
            amount_due=due,
            amount_remaining=due,
            auto_advance=False,
            effective_at=self.now,
            hosted_invoice_url=page,
            invoice_pdf=page + "/pdf",
            webhooks_delivered_at=self.now,
            status_transitions=invoice["status_transitions"] | {"finalized_at": self.now},
        )
        self.emit("invoice.finalized", invoice)
        if ending != starting:
            currency = invoice["currency"]
            self.move_balance(
                customer, ending - starting, "applied_to_invoice", currency=currency, invoice=invoice["id"]
            )
        if due == 0:
            self.settle(invoice)
            self.invoice_paid(invoice)

    def settle(self, invoice: Doc) -> None:
        """Nothing is left to pay; emits invoice.paid."""
        self.alter(
            invoice,
            status="paid",
            attempted=True,
            next_payment_attempt=None,
            status_transitions=invoice["status_transitions"] | {"paid_at": self.now},
        )
        self.emit("invoice.paid", invoice)

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
            self.collect(doc, card or self.card_of(doc["customer"]), amount)
        return doc

    def collect(self, invoice: Doc, card: str, amount: int | None = None, description: str | None = None) -> bool:
        """Take money for an open invoice with a card; False: declined."""
        wanted = invoice["amount_remaining"] if amount is None else amount
        link = self._payment_link(invoice, wanted, description)
        intent = self.find("payment_intent", link["payment"]["payment_intent"])
        self.alter(invoice, attempted=True, attempt_count=invoice["attempt_count"] + 1)
        if not self.pay_intent(intent, card):
            self.alter(invoice, next_payment_attempt=self.now + 3 * 86_400)
            self.emit("invoice.payment_failed", invoice)
            self.invoice_failed(invoice)
            return False
        self.receive(invoice, link, intent)
        return True

    def _payment_link(self, invoice: Doc, wanted: int, description: str | None) -> Doc:
        """The open invoice_payment of that amount, or a new one with a new payment intent."""
        links = [self.find("invoice_payment", link) for link in invoice["_links"]]
        for link in links:
            if link["status"] == "open" and link["amount_requested"] == wanted:
                return link
        text = description or ("Subscription update" if invoice["parent"] else "Invoice payment")
        intent = self.open_intent(
            wanted, invoice["currency"], customer=invoice["customer"], description=text, invoice=invoice["id"]
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

    def invoice_paid(self, invoice: Doc) -> None:
        """Called when an invoice is settled; the subscriptions' layer moves its subscription on."""

    def invoice_failed(self, invoice: Doc) -> None:
        """Called when a payment was declined; the subscriptions' layer moves its subscription on."""

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

    def lines_of(self, invoice: Doc) -> list[Doc]:
        """All lines of an invoice, also those a webhook does not embed."""
        return [self.find("line_item", line_id) for line_id in invoice["_lines"]]

    def product_name(self, price: Doc) -> str:
        """The name of a price's product."""
        return str(self.find("product", price["product"])["name"])
