"""Invoices before they are final: changing their lines, sending, deleting, and the hour until they finalise."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from refref.sandbox.catalog import merged
from refref.sandbox.dunning import Dunning
from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_lines import LineDraft, draft_of_item, draft_of_line, totals_of
from refref.sandbox.invoice_shape import embedded_lines, shipping_cost
from refref.sandbox.prices import amount_of, terms_in
from refref.sandbox.store import Doc, acted, copy_of

DRAFT_SECONDS = 3600
# What may change of an invoice that is final.
ALWAYS = {"metadata", "description", "footer", "custom_fields", "auto_advance", "default_payment_method"}


class InvoiceDrafts(Dunning):
    """Works on drafts."""

    def draft(self, invoice: str) -> Doc:
        """The document of an invoice that is still a draft."""
        doc = self.find("invoice", invoice)
        if doc["status"] != "draft":
            raise StripeError(
                "Only draft invoices can be changed; this one is finalized. Void it or write a credit note.",
                code="invoice_not_editable",
                param="invoice",
            )
        return doc

    def relined(self, invoice: Doc, drafts: Sequence[LineDraft]) -> None:
        """Put these lines on a draft instead of those it has, and work out its totals."""
        lines = self.lines_for(invoice["id"], invoice["currency"], drafts, invoice["_discounts"], invoice["_rates"])
        for old in invoice["_lines"]:
            self.remove(self.find("line_item", old))
        for line in lines:
            self.put(line)
        totals = totals_of(lines, invoice["_shipping"])
        due = max(0, totals["total"])
        before = self.alter(
            invoice,
            **totals,
            amount_due=due,
            amount_remaining=due,
            _lines=[line["id"] for line in lines],
            lines=embedded_lines(lines, invoice["id"]),
        )
        self.emit("invoice.updated", invoice, {k: v for k, v in before.items() if k[0] != "_" and k != "lines"})

    def put_on_draft(self, invoice: str, item: Doc) -> None:
        """An invoice item that names its invoice."""
        doc = self.draft(invoice)
        if doc["customer"] != item["customer"]:
            raise StripeError("The invoice belongs to another customer.", param="invoice")
        if doc["currency"] != item["currency"]:
            raise StripeError(f"The invoice is in {doc['currency']}.", param="currency")
        self.use_items(self.find("customer", doc["customer"]), [item["id"]], invoice)
        self.relined(doc, [*self._drafts_of(doc), draft_of_item(item)])

    def _drafts_of(self, invoice: Doc) -> list[LineDraft]:
        return [draft_of_line(line) for line in self.lines_of(invoice)]

    @acted("api")
    def add_lines(self, invoice: str, lines: Sequence[Mapping[str, Any]]) -> Doc:
        """Add lines to a draft: `{"amount", "description", "quantity"}`, `{"price": id}` or `{"invoice_item": id}`."""
        doc = self.draft(invoice)
        drafts = [self._draft_from(doc, line) for line in lines]
        new = [
            d if d.invoice_item else replace(d, invoice_item=self.pend(doc["customer"], doc["currency"], d)["id"])
            for d in drafts
        ]
        items = [d.invoice_item for d in new if d.invoice_item is not None]
        self.use_items(self.find("customer", doc["customer"]), items, invoice)
        self.relined(doc, [*self._drafts_of(doc), *new])
        return doc

    def _draft_from(self, invoice: Doc, line: Mapping[str, Any]) -> LineDraft:
        if "invoice_item" in line:
            return draft_of_item(self.find("invoiceitem", str(line["invoice_item"]), "lines[0][invoice_item]"))
        price = None if line.get("price") is None else self.find("price", str(line["price"]), "lines[0][pricing]")
        quantity = int(line.get("quantity", 1))
        if price is None and line.get("amount") is None:
            raise StripeError("A line needs an amount, a price or an invoice_item.", param="lines[0][amount]")
        money = invoice["currency"]
        return LineDraft(
            amount=amount_of(price, quantity, money) if price else int(line["amount"]),
            description=str(line.get("description") or (self.product_name(price) if price else "")),
            start=self.now,
            end=self.now,
            price=price,
            quantity=quantity,
            discountable=bool(line.get("discountable", True)),
            unit=terms_in(price, money)["unit_amount_decimal"] if price else None,
            rates=tuple(line.get("tax_rates", ())),
            metadata=merged({}, line.get("metadata")),
        )

    @acted("api")
    def update_lines(self, invoice: str, changes: Mapping[str, Mapping[str, Any]]) -> Doc:
        """Change lines of a draft by their ids: amount, description, quantity, tax_rates, metadata."""
        doc = self.draft(invoice)
        if unknown := set(changes) - set(doc["_lines"]):
            raise StripeError(f"No such line on this invoice: '{min(unknown)}'", param="lines[0][id]")
        self.relined(doc, [self._changed(d, changes.get(str(d.line), {})) for d in self._drafts_of(doc)])
        return doc

    def _changed(self, draft: LineDraft, change: Mapping[str, Any]) -> LineDraft:
        wanted: dict[str, Any] = {k: change[k] for k in ("amount", "description", "quantity") if k in change}
        if "quantity" in wanted and draft.price is not None and "amount" not in wanted:
            wanted["amount"] = amount_of(draft.price, wanted["quantity"])
        if "amount" in wanted and draft.price is None:
            wanted["unit"] = None
        if "tax_rates" in change:
            wanted["rates"] = tuple(change["tax_rates"])
        if "metadata" in change:
            wanted["metadata"] = merged(draft.metadata, change["metadata"])
        return replace(draft, **wanted)

    @acted("api")
    def remove_lines(self, invoice: str, lines: Sequence[str], *, delete_items: bool = True) -> Doc:
        """Take lines off a draft; their invoice items go too, or with `delete_items` False are pending again."""
        doc = self.draft(invoice)
        if unknown := set(lines) - set(doc["_lines"]):
            raise StripeError(f"No such line on this invoice: '{min(unknown)}'", param="lines[0][id]")
        drafts = self._drafts_of(doc)
        freed = [d.invoice_item for d in drafts if d.line in lines and d.invoice_item is not None]
        self._free_items(doc, freed, delete=delete_items)
        self.relined(doc, [d for d in drafts if d.line not in lines])
        return doc

    def _free_items(self, invoice: Doc, items: Sequence[str], *, delete: bool) -> None:
        customer = self.find("customer", invoice["customer"])
        for item_id in items:
            item = self.find("invoiceitem", item_id)
            if delete:
                self.remove(item)
                self.emit("invoiceitem.deleted", item)
            else:
                self.alter(item, invoice=None)
                self.alter(customer, _pending=[*customer["_pending"], item_id])

    @acted("api")
    def delete_invoice_item(self, item: str) -> Doc:
        """Delete an item that no final invoice has."""
        doc = self.find("invoiceitem", item)
        customer = self.find("customer", doc["customer"])
        self.alter(customer, _pending=[i for i in customer["_pending"] if i != item])
        if doc["invoice"] is not None:
            invoice = self.draft(doc["invoice"])
            self.relined(invoice, [d for d in self._drafts_of(invoice) if d.invoice_item != item])
        self.remove(doc)
        self.emit("invoiceitem.deleted", doc)
        return {"id": item, "object": "invoiceitem", "deleted": True}

    @acted("api")
    def update_invoice_item(self, /, item: str, **changes: Any) -> Doc:
        """Change amount, description, discountable, quantity or metadata of an item that is still open."""
        doc = self.find("invoiceitem", item)
        if "metadata" in changes:
            changes["metadata"] = merged(doc["metadata"], changes["metadata"])
        if "amount" in changes or "quantity" in changes:
            quantity = int(changes["quantity"] if "quantity" in changes else doc["quantity"])
            price = doc["_price"]
            amount = amount_of(price, quantity, doc["currency"]) if price else changes.get("amount", doc["amount"])
            changes |= {"amount": amount, "net_amount": amount, "quantity_decimal": str(quantity)}
            changes["_unit"] = doc["_unit"] if price else str(amount)
        self.alter(doc, **changes)
        if doc["invoice"] is not None:
            invoice = self.draft(doc["invoice"])
            drafts = self._drafts_of(invoice)
            new = draft_of_item(doc)
            self.relined(invoice, [replace(new, line=d.line) if d.invoice_item == item else d for d in drafts])
        return doc

    @acted("api")
    def update_invoice(self, /, invoice: str, **changes: Any) -> Doc:
        """Change an invoice: of a final one only description, metadata, footer, custom_fields and the like.

        Of a draft also: collection_method, days_until_due, due_date, number, shipping (amount), discounts
        (`[{"coupon": id}]`), default_tax_rates (ids), default_payment_method.
        """
        doc = self.find("invoice", invoice)
        if set(changes) - ALWAYS:
            self.draft(invoice)
        if "metadata" in changes:
            changes["metadata"] = merged(doc["metadata"], changes["metadata"])
        relined = {"shipping", "discounts", "default_tax_rates"} & set(changes)
        if "shipping" in changes:
            amount = changes.pop("shipping")
            changes |= {"_shipping": amount, "shipping_cost": shipping_cost(amount) if amount else None}
        if "default_tax_rates" in changes:
            rates = [self.find("tax_rate", r, "default_tax_rates") for r in changes["default_tax_rates"]]
            changes |= {"default_tax_rates": copy_of(rates), "_rates": [r["id"] for r in rates]}
        if "discounts" in changes:
            given = [
                self.give_discount(
                    coupon=d.get("coupon"), promotion_code=d.get("promotion_code"), customer=doc["customer"],
                    invoice=invoice,
                )
                for d in changes["discounts"]
            ]  # fmt: skip
            changes |= {"discounts": [d["id"] for d in given], "_discounts": copy_of(given)}
        days = changes.pop("days_until_due", None)
        if days is not None:
            changes["due_date"] = self.now + days * 86_400
        before = self.alter(doc, **changes)
        if changes.get("auto_advance") and doc["status"] == "draft":
            self.finalize_later(doc)
        if relined:
            self.relined(doc, self._drafts_of(doc))
        else:
            self.emit("invoice.updated", doc, {k: v for k, v in before.items() if k[0] != "_"})
        return doc

    @acted("api")
    def delete_invoice(self, invoice: str) -> Doc:
        """Delete a draft that no subscription made; its items go with it."""
        doc = self.draft(invoice)
        if doc["billing_reason"] != "manual":
            raise StripeError("You can only delete draft invoices that no subscription made.", param="invoice")
        items = [d.invoice_item for d in self._drafts_of(doc) if d.invoice_item is not None]
        self._free_items(doc, items, delete=True)
        for line in doc["_lines"]:
            self.remove(self.find("line_item", line))
        self.remove(doc)
        self.emit("invoice.deleted", doc)
        return {"id": invoice, "object": "invoice", "deleted": True}

    @acted("api")
    def send_invoice(self, invoice: str) -> Doc:
        """Send an invoice by e-mail (a draft is finalised first); emits invoice.sent."""
        doc = self.find("invoice", invoice)
        if doc["status"] == "draft":
            self.finalize(doc)
        if doc["status"] not in ("open", "uncollectible", "paid"):
            raise StripeError(f"You cannot send an invoice that is {doc['status']}.", param="invoice")
        self.emit("invoice.sent", doc)
        return doc

    def finalize_later(self, invoice: Doc) -> None:
        """A draft that advances by itself is finalised and collected after an hour."""
        at = self.now + (self.billing()["draft_seconds"] or DRAFT_SECONDS)
        self.alter(invoice, auto_advance=True, automatically_finalizes_at=at)
        self.plan(at, "finalize", invoice["id"])

    def finalize_due(self, invoice: str) -> None:
        """The hour of a draft is over: finalise it and collect."""
        if not self.has("invoice", invoice):
            return
        doc = self.find("invoice", invoice)
        if doc["status"] == "draft" and doc["auto_advance"]:
            self.finalize(doc)
            self.collect_final(doc)

    def collect_final(self, invoice: Doc) -> None:
        """Take the money for a final invoice, if that is how it is collected."""
        if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
            first = invoice["billing_reason"] == "subscription_create"
            text = ("Subscription creation" if first else "Subscription update") if invoice["parent"] else None
            self.collect(invoice, self.card_for(invoice), description=text)
