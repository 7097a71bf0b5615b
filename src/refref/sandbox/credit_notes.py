"""Credit notes: less to pay before payment; refund, balance or cash after it."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.amounts import share
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_drafts import InvoiceDrafts
from refref.sandbox.invoice_lines import added
from refref.sandbox.store import Doc, acted, listed

# What a credit note starts without.
UNSET = ("customer_account", "customer_balance_transaction", "shipping_cost", "voided_at")


def note_amounts(rows: Sequence[Doc]) -> Doc:
    """The sums of a note's lines: reductions and taxes in proportion to what is credited."""
    discount = sum(r["discount_amount"] for r in rows)
    taxes = added([t for r in rows for t in r["taxes"]], "tax_rate_details")
    exclusive = sum(t["amount"] for t in taxes if t["tax_behavior"] == "exclusive")
    inclusive = sum(t["amount"] for t in taxes if t["tax_behavior"] == "inclusive")
    subtotal = sum(r["amount"] for r in rows)
    return {
        "discount_amount": discount,
        "discount_amounts": added([d for r in rows for d in r["discount_amounts"]], "discount"),
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": subtotal - discount + exclusive,
        "total_excluding_tax": subtotal - discount - inclusive,
        "total_taxes": taxes,
    }


class CreditNotes(InvoiceDrafts):
    """Corrects invoices that are already finalised."""

    @acted("api")
    def credit_note(
        self,
        invoice: str,
        *,
        amount: int | None = None,
        lines: Sequence[Mapping[str, Any]] | None = None,
        refund_amount: int | None = None,
        credit_amount: int | None = None,
        out_of_band_amount: int | None = None,
        reason: str | None = None,
        memo: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """Correct an invoice by an amount (with tax) or by lines (without exclusive tax)."""
        doc = self.find("invoice", invoice, "invoice")
        if doc["status"] not in ("open", "paid"):
            raise StripeError(f"You cannot credit an invoice that is {doc['status']}.", param="invoice")
        rows = [self._line(line) for line in lines] if lines else [self._custom_line(amount or 0)]
        amounts = note_amounts(rows)
        total = amounts["total"]
        pre = min(total, doc["amount_remaining"])
        post = total - pre
        self._check_room(doc, total, post)
        split = self._post_split(doc, post, refund_amount, credit_amount, out_of_band_amount)
        note_id = self.ids.make("credit_note")
        earlier = sum(1 for n in self.live("credit_note") if n["invoice"] == invoice)
        note = dict.fromkeys(UNSET) | amounts
        note |= {
            "id": note_id,
            "object": "credit_note",
            "amount": total,
            "amount_shipping": 0,
            "created": self.now,
            "currency": doc["currency"],
            "customer": doc["customer"],
            "effective_at": self.now,
            "invoice": invoice,
            "lines": listed(rows, f"/v1/credit_notes/{note_id}/lines", total=False),
            "livemode": False,
            "memo": memo,
            "metadata": merged({}, metadata),
            "number": f"{doc['number']}-CN-{earlier + 1:02d}",
            "out_of_band_amount": split["out_of_band"] or None,
            "pdf": f"{self.public_url}/credit_note/{note_id}/pdf",
            "post_payment_amount": post,
            "pre_payment_amount": pre,
            "pretax_credit_amounts": [],
            "reason": reason,
            "refunds": [],
            "status": "issued",
            "type": "mixed" if pre and post else "post_payment" if post else "pre_payment",
        }
        self.put(note)
        self._pay_back(note, doc, split)
        self.emit("credit_note.created", note)
        self._lower(doc, pre, post)
        return note

    def _check_room(self, invoice: Doc, total: int, post: int) -> None:
        if total <= 0:
            raise StripeError("The credit note needs an amount or lines.", code="parameter_missing", param="amount")
        room = invoice["amount_paid"] - invoice["post_payment_credit_notes_amount"]
        if post > room:
            raise StripeError("The credit note is larger than what the invoice has left.", param="amount")

    def _post_split(
        self, invoice: Doc, post: int, refund: int | None, credit: int | None, out_of_band: int | None
    ) -> dict[str, int]:
        """How the part after payment goes back; all by refund when nothing is said and there was a charge."""
        if refund is None and credit is None and out_of_band is None:
            return {
                "refund": post if invoice["_charge"] else 0,
                "credit": 0 if invoice["_charge"] else post,
                "out_of_band": 0,
            }
        parts = {"refund": refund or 0, "credit": credit or 0, "out_of_band": out_of_band or 0}
        if sum(parts.values()) != post:
            raise StripeError(
                f"The sum of credit amount, refund amount and out of band amount ({sum(parts.values())}) "
                f"must equal the post payment amount ({post}).",
                param="refund_amount",
            )
        return parts

    def _pay_back(self, note: Doc, invoice: Doc, split: Mapping[str, int]) -> None:
        if split["refund"]:
            refund = self.refund_charge(self.charge_of(invoice["id"]), split["refund"], None, "succeeded")
            row = {
                "amount_refunded": split["refund"],
                "payment_record_refund": None,
                "refund": refund["id"],
                "type": "refund",
            }
            self.alter(note, refunds=[row])
        if split["credit"]:
            customer = self.customer(invoice["customer"], "customer")
            entry = self.move_balance(
                customer,
                -split["credit"],
                "credit_note",
                currency=note["currency"],
                invoice=invoice["id"],
                credit_note=note["id"],
            )
            self.alter(note, customer_balance_transaction=entry["id"])

    def _lower(self, invoice: Doc, pre: int, post: int) -> None:
        """What the note leaves of the invoice; emits invoice.updated, and invoice.paid when nothing is left."""
        before = self.alter(
            invoice,
            amount_due=invoice["amount_due"] - pre,
            amount_remaining=invoice["amount_remaining"] - pre,
            pre_payment_credit_notes_amount=invoice["pre_payment_credit_notes_amount"] + pre,
            post_payment_credit_notes_amount=invoice["post_payment_credit_notes_amount"] + post,
        )
        self.emit("invoice.updated", invoice, before)
        if invoice["status"] == "open" and invoice["amount_remaining"] == 0:
            self.settle(invoice)
            self.invoice_paid(invoice)

    def _line(self, given: Mapping[str, Any]) -> Doc:
        """One invoice line credited by amount or quantity, discounts and taxes in proportion; or a free amount."""
        if "invoice_line_item" not in given:
            return self._custom_line(int(given["unit_amount"]) * int(given.get("quantity", 1)))
        source = self.find("line_item", str(given["invoice_line_item"]), "lines[invoice_line_item]")
        quantity = given.get("quantity")
        if quantity is not None:
            amount = share(source["amount"], int(quantity), source["quantity"])
        else:
            amount = int(given.get("amount", source["amount"]))
        if not 0 < amount <= source["amount"]:
            raise StripeError("The amount is not within the invoice line.", param="lines[amount]")
        discounts = [d | {"amount": share(d["amount"], amount, source["amount"])} for d in source["discount_amounts"]]
        taxes = [
            t | {k: share(t[k], amount, source["amount"]) for k in ("amount", "taxable_amount")}
            for t in source["taxes"]
        ]
        row = self._custom_line(amount)
        return row | {
            "description": source["description"],
            "discount_amount": sum(d["amount"] for d in discounts),
            "discount_amounts": discounts,
            "invoice_line_item": source["id"],
            "quantity": quantity,
            "taxes": taxes,
            "type": "invoice_line_item",
        }

    def _custom_line(self, amount: int) -> Doc:
        return {
            "id": self.ids.make("credit_note_line_item"),
            "object": "credit_note_line_item",
            "amount": amount,
            "description": "Credit",
            "discount_amount": 0,
            "discount_amounts": [],
            "livemode": False,
            "metadata": {},
            "pretax_credit_amounts": [],
            "quantity": 1,
            "tax_rates": [],
            "taxes": [],
            "type": "custom_line_item",
            "unit_amount": None,
            "unit_amount_decimal": None,
        }

    @acted("api")
    def void_credit_note(self, credit_note: str) -> Doc:
        """Take back a note made before payment; the amount is due again while the invoice is open."""
        note = self.find("credit_note", credit_note)
        invoice = self.find("invoice", note["invoice"])
        if note["status"] != "issued" or note["post_payment_amount"] or invoice["status"] != "open":
            raise StripeError("You can only void a pre-payment credit note of an open invoice.", param="id")
        self.alter(note, status="void", voided_at=self.now)
        self.emit("credit_note.voided", note)
        self._lower(invoice, -note["pre_payment_amount"], 0)
        return note
