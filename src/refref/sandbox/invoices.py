"""Invoices: items that wait for one, drafting, finalising. Payment is in the next layer."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.ids import scramble
from refref.sandbox.invoice_lines import (
    LineDraft,
    draft_of_item,
    item_parent,
    line_of,
    pricing_of,
    reductions,
    totals_of,
    unit_of,
)
from refref.sandbox.invoice_shape import blank_invoice, embedded_lines, invoice_parent, shipping_cost
from refref.sandbox.prices import amount_of, terms_in
from refref.sandbox.refunds import Refunds
from refref.sandbox.store import Doc, acted, copy_of
from refref.sandbox.timeline import DAY


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
        currency: str | None = None,
        description: str | None = None,
        subscription: str | None = None,
        invoice: str | None = None,
        discountable: bool | None = None,
        tax_rates: Sequence[str] = (),
        period: tuple[int, int] | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A pending item for the customer's next invoice of that currency, or for the draft `invoice`."""
        self.customer(customer, "customer")
        found = None if price is None else self.find("price", price, "price")
        if found is None and amount is None:
            raise StripeError("Missing required param: amount.", code="parameter_missing", param="amount")
        money = (currency or (found["currency"] if found else "usd")).lower()
        start, end = period or (self.now, self.now)
        draft = LineDraft(
            amount=amount_of(found, quantity, money) if found else int(amount or 0) * quantity,
            description=description or (self.product_name(found) if found else ""),
            start=start,
            end=end,
            price=found,
            quantity=quantity,
            discountable=discountable if discountable is not None else found is not None or int(amount or 0) >= 0,
            subscription=subscription,
            unit=terms_in(found, money)["unit_amount_decimal"] if found else str(amount),
            rates=tuple(self.find("tax_rate", r, "tax_rates")["id"] for r in tax_rates),
            metadata=merged({}, metadata),
        )
        item = self.pend(customer, money, draft)
        if invoice is not None:
            self.put_on_draft(invoice, item)
        return item

    def put_on_draft(self, invoice: str, item: Doc) -> None:
        """Called for an item that names its draft; the drafts' layer puts it on."""

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
            "pricing": pricing_of(draft.price, unit_of(draft)) or None,
            "proration": draft.proration,
            "proration_details": {"discount_amounts": []},
            "quantity": draft.quantity,
            "quantity_decimal": str(draft.quantity),
            "tax_rates": [copy_of(self.find("tax_rate", r)) for r in draft.rates],
            "test_clock": self.find("customer", customer)["test_clock"],
            "_price": draft.price,
            "_unit": draft.unit,
            "_rates": list(draft.rates),
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
            found.append(draft_of_item(item))
        return found

    @acted("api")
    def create_invoice(
        self,
        /,
        customer: str,
        items: Sequence[Mapping[str, Any]] = (),
        *,
        currency: str | None = None,
        metadata: Metadata | None = None,
        tax_rate: str | None = None,
        coupon: str | None = None,
        promotion_code: str | None = None,
        collection_method: str = "send_invoice",
        shipping: int = 0,
        finalize: bool = True,
        description: str | None = None,
        pending_items: bool = True,
        days_until_due: int | None = None,
        subscription: str | None = None,
        **more: Any,
    ) -> Doc:
        """A manual invoice of these items and, unless `pending_items` is False, of the customer's pending ones.

        `subscription` bills what is pending for it. `more`: auto_advance, footer, custom_fields, due_date, number.
        """
        buyer = self.customer(customer, "customer")
        sub = None if subscription is None else self.find("subscription", subscription, "subscription")
        prices = [self.find("price", i["price"], "price") for i in items if "price" in i]
        money = (currency or (prices[0]["currency"] if prices else "usd")).lower()
        for item in items:
            self.add_invoice_item(customer, **{"currency": money, **item})
        discounts = []
        if coupon or promotion_code:
            discounts.append(self.give_discount(coupon=coupon, promotion_code=promotion_code, customer=customer))
        invoice = self.draft_invoice(
            buyer,
            self.pending_drafts(customer, money, subscription) if pending_items else [],
            currency=money,
            reason="manual",
            discounts=discounts,
            rates=[tax_rate] if tax_rate else (),
            metadata=metadata,
            collection_method=collection_method,
            shipping=shipping,
            description=description,
            days_until_due=days_until_due,
            subscription=sub,
            more={"auto_advance": False} | more,
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
        rates: Sequence[str] = (),
        metadata: Metadata | None = None,
        collection_method: str = "charge_automatically",
        shipping: int = 0,
        description: str | None = None,
        days_until_due: int | None = None,
        subscription: Doc | None = None,
        period: tuple[int, int] | None = None,
        invoice_id: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Doc:
        """A draft with finished lines and totals; emits invoice.created."""
        invoice_id = invoice_id or self.ids.make("invoice")
        lines = [self.put(line) for line in self.lines_for(invoice_id, currency, drafts, discounts, rates)]
        self.use_items(customer, [d.invoice_item for d in drafts if d.invoice_item is not None], invoice_id)
        start, end = period or (self.now, self.now)
        invoice = blank_invoice(invoice_id, customer, currency, reason, self.now) | totals_of(lines, shipping)
        invoice |= {
            "collection_method": collection_method,
            "description": description,
            "discounts": [d["id"] for d in discounts],
            "test_clock": customer.get("test_clock"),
            "default_tax_rates": [copy_of(self.find("tax_rate", r)) for r in rates],
            "due_date": self.now + (days_until_due or 30) * DAY if collection_method == "send_invoice" else None,
            "metadata": merged({}, metadata),
            "period_end": end,
            "period_start": start,
            "_discounts": copy_of(list(discounts)),
            "_lines": [line["id"] for line in lines],
            "_rates": list(rates),
            "_shipping": shipping,
            "lines": embedded_lines(lines, invoice_id),
        }
        invoice |= dict(more or {})
        if shipping:
            invoice["shipping_cost"] = shipping_cost(shipping)
        if subscription is not None:
            invoice["parent"] = invoice_parent(subscription)
        due = max(0, invoice["total"])
        invoice |= {"amount_due": due, "amount_remaining": due}
        self.put(invoice)
        self.emit("invoice.created", invoice)
        return invoice

    def lines_for(
        self, invoice: str, currency: str, drafts: Sequence[LineDraft], discounts: Sequence[Doc], rates: Sequence[str]
    ) -> list[Doc]:
        """The finished lines of an invoice, not kept yet; `rates` hold where a draft has none of its own."""
        found = []
        for draft, reduced in zip(drafts, reductions(drafts, discounts), strict=True):
            taxed_by = [self.find("tax_rate", rate, "tax_rate") for rate in draft.rates or rates]
            line_id = draft.line or self.ids.make("line_item")
            found.append(line_of(line_id, invoice, currency, draft, reduced, taxed_by))
        return found

    def use_items(self, customer: Doc, items: Sequence[str], invoice_id: str) -> None:
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
        starting = self.balance_in(customer, invoice["currency"]) if use_balance else 0
        due, ending = max(0, invoice["total"] + starting), min(0, invoice["total"] + starting)
        page = f"{self.public_url}/invoice/{scramble(invoice['id'], 24)}"
        self.alter(
            invoice,
            status="open",
            number=invoice["number"] or f"{customer['invoice_prefix']}-{sequence:04d}",
            starting_balance=starting,
            ending_balance=ending,
            amount_due=due,
            amount_remaining=due,
            auto_advance=False,
            automatically_finalizes_at=None,
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

    def invoice_paid(self, invoice: Doc) -> None:
        """Called when an invoice is settled; the subscriptions' layer moves its subscription on."""

    def invoice_processing(self, invoice: Doc) -> None:
        """Called when a bank debit is on its way."""

    def invoice_failed(self, invoice: Doc) -> None:
        """Called when a payment was declined; the subscriptions' layer moves its subscription on."""

    def lines_of(self, invoice: Doc) -> list[Doc]:
        """All lines of an invoice, also those a webhook does not embed."""
        return [self.find("line_item", line_id) for line_id in invoice["_lines"]]

    def product_name(self, price: Doc) -> str:
        """The name of a price's product."""
        return str(self.find("product", price["product"])["name"])
