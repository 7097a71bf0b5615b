"""Refunds, disputes and fraud warnings: how money goes back."""

from collections.abc import Mapping

from refref.sandbox.cards import card_named
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.payments import Payments
from refref.sandbox.store import Doc, acted, copy_of
from refref.sandbox.timeline import DAY

# From which state a dispute may move to which.
DISPUTE_STATES = {
    "warning_needs_response": {"warning_under_review", "warning_closed", "needs_response", "prevented"},
    "warning_under_review": {"warning_needs_response", "warning_closed", "needs_response", "prevented"},
    "needs_response": {"under_review", "won", "lost", "prevented"},
    "under_review": {"needs_response", "won", "lost", "prevented"},
    "warning_closed": set[str](),
    "won": set[str](),
    "prevented": set[str](),
    "lost": {"appeal_needs_response", "appeal_under_review", "won"},
    "appeal_needs_response": {"appeal_under_review", "won", "lost"},
    "appeal_under_review": {"won", "lost"},
}
EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


class Refunds(Payments):
    """Refunds and disputes of charges."""

    def _book(self, charge: Doc) -> None:
        """A charge of a card that is made for it is disputed as soon as it is paid."""
        super()._book(charge)
        card = card_named(charge["_card"])
        if card.dispute is not None:
            self.dispute(charge["id"], reason=card.dispute, inquiry=card.inquiry)

    @acted("api")
    def refund(
        self,
        payment: str,
        *,
        amount: int | None = None,
        reason: str | None = None,
        status: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """Refund a payment, wholly when no amount is given; the status depends on the card unless it is given."""
        charge = self.charge_of(payment)
        usual = card_named(charge["_card"]).refund
        made = self.refund_charge(
            charge, amount, reason, status or ("succeeded" if usual == "failed" else usual), metadata
        )
        if status is None and usual == "failed":
            self.fail_refund(made["id"])
        return made

    def refund_charge(
        self, charge: Doc, amount: int | None, reason: str | None, status: str, metadata: Metadata | None = None
    ) -> Doc:
        """Refund a charge; emits refund.created and charge.refunded."""
        left = charge["amount"] - charge["amount_refunded"]
        if not charge["captured"]:
            raise StripeError(f"Charge {charge['id']} has not been paid.", param="charge")
        if left == 0:
            raise StripeError(
                f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded", param="charge"
            )
        if amount is not None and not 0 < amount <= left:
            raise StripeError(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
            )
        reference = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
        refund = {
            "id": self.ids.make("refund"),
            "object": "refund",
            "amount": left if amount is None else amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "created": self.now,
            "currency": charge["currency"],
            "destination_details": {"card": reference, "type": "card"},
            "metadata": merged({}, metadata),
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": status,
            "transfer_reversal": None,
        }
        self.put(refund)
        if status == "pending":
            refund["pending_reason"] = "processing"
        refund["balance_transaction"] = self.balance_entry(-refund["amount"], refund, "refund")["id"]
        self.emit("refund.created", refund)
        self.emit("charge.refunded", charge, self._refunded(charge, refund["amount"]))
        return refund

    def _refunded(self, charge: Doc, amount: int) -> Doc:
        """Bring the charge's totals and its old-style list of refunds up to date; returns the previous values."""
        total = charge["amount_refunded"] + amount
        held = [copy_of(r) for r in self.live("refund") if r["charge"] == charge["id"]][::-1]
        before = self.change_charge(charge, amount_refunded=total, refunded=total == charge["amount"], _refunds=held)
        return {k: v for k, v in before.items() if not k.startswith("_")}

    @acted("nobody")
    def settle_refund(self, refund: str) -> Doc:
        """A pending refund reached the buyer."""
        doc = self.find("refund", refund)
        if doc["status"] != "pending":
            raise StripeError(f"Refund {refund} is not pending.")
        before = self.alter(doc, status="succeeded")
        doc.pop("pending_reason", None)
        self.emit("refund.updated", doc, before)
        self.emit("charge.refund.updated", doc, before)
        return doc

    @acted("nobody")
    def fail_refund(self, refund: str) -> Doc:
        """The buyer's bank sent a refund back: the money returns to the merchant."""
        doc = self.find("refund", refund)
        if doc["status"] not in ("pending", "succeeded"):
            raise StripeError(f"Refund {refund} cannot fail any more.")
        before = self.alter(doc, status="failed", failure_reason="lost_or_stolen_card")
        doc.pop("pending_reason", None)
        doc["failure_balance_transaction"] = self.balance_entry(doc["amount"], doc, "refund_failure")["id"]
        self.emit("refund.updated", doc, before)
        self.emit("refund.failed", doc)
        self.emit("charge.refund.updated", doc, before)
        charge = self.find("charge", doc["charge"])
        self.emit("charge.updated", charge, self._refunded(charge, -doc["amount"]))
        return doc

    @acted("api")
    def update_refund(self, refund: str, metadata: Metadata | None) -> Doc:
        """Change a refund's metadata."""
        doc = self.find("refund", refund)
        before = self.alter(doc, metadata=merged(doc["metadata"], metadata))
        self.emit("refund.updated", doc, before)
        self.emit("charge.refund.updated", doc, before)
        return doc

    @acted("api")
    def cancel_refund(self, refund: str) -> Doc:
        """Cancel a pending refund."""
        doc = self.find("refund", refund)
        if doc["status"] != "pending":
            raise StripeError("Only a pending refund can be canceled.", param="refund")
        before = self.alter(doc, status="canceled")
        doc.pop("pending_reason", None)
        self.emit("refund.updated", doc, before)
        charge = self.find("charge", doc["charge"])
        self.emit("charge.updated", charge, self._refunded(charge, -doc["amount"]))
        return doc

    @acted("nobody")
    def dispute(
        self, payment: str, *, amount: int | None = None, reason: str = "fraudulent", inquiry: bool = False
    ) -> Doc:
        """The buyer disputes a charge; an inquiry moves no money."""
        charge = self.charge_of(payment)
        dispute = {
            "id": self.ids.make("dispute"),
            "object": "dispute",
            "amount": charge["amount"] if amount is None else amount,
            "balance_transaction": None,
            "balance_transactions": [],
            "charge": charge["id"],
            "created": self.now,
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": dict.fromkeys(EVIDENCE) | {"enhanced_evidence": {}},
            "evidence_details": {"due_by": self.now + 7 * DAY, "enhanced_eligibility": {}, "has_evidence": False,
                                 "past_due": False, "submission_count": 0},
            "is_charge_refundable": inquiry,
            "livemode": False,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "status": "warning_needs_response" if inquiry else "needs_response",
        }  # fmt: skip
        self.put(dispute)
        self.change_charge(charge, disputed=True, dispute=dispute["id"])
        self.emit("charge.dispute.created", dispute)
        if not inquiry:
            self._withdraw(dispute)
        return dispute

    def _withdraw(self, dispute: Doc) -> None:
        entry = self.balance_entry(-dispute["amount"], dispute, "adjustment", fee=1500, category="dispute")
        before = self.alter(
            dispute,
            balance_transactions=[*dispute["balance_transactions"], copy_of(entry)],
            balance_transaction=entry["id"],
        )
        self.emit("charge.dispute.funds_withdrawn", dispute, before)

    @acted("nobody")
    def update_dispute(self, dispute: str, status: str) -> Doc:
        """Move a dispute on; from an inquiry to needs_response the money is withdrawn."""
        doc = self.find("dispute", dispute)
        inquiry = doc["status"].startswith("warning_")
        before = self._move(doc, status)
        self.emit("charge.dispute.updated", doc, before)
        if inquiry and status == "needs_response":
            self._withdraw(doc)
        return doc

    @acted("api")
    def submit_evidence(
        self, dispute: str, evidence: Mapping[str, str], *, submit: bool = True, metadata: Metadata | None = None
    ) -> Doc:
        """Keep evidence for a dispute, and with `submit` send it to the bank: the dispute is under review.

        The text `winning_evidence` (or `losing_evidence`) as uncategorized_text decides it at once, as at Stripe.
        """
        doc = self.find("dispute", dispute)
        if doc["status"] not in ("needs_response", "warning_needs_response"):
            raise StripeError("This dispute is already closed or under review.", param="dispute")
        if unknown := set(evidence) - set(EVIDENCE):
            raise StripeError(f"Received unknown parameter: evidence[{min(unknown)}]", param="evidence")
        details = doc["evidence_details"] | {"has_evidence": bool(evidence)}
        changes: Doc = {
            "evidence": doc["evidence"] | dict(evidence),
            "evidence_details": details | {"submission_count": details["submission_count"] + int(submit)},
            "metadata": merged(doc["metadata"], metadata),
        }
        inquiry = doc["status"].startswith("warning_")
        if submit:
            changes["status"] = "warning_under_review" if inquiry else "under_review"
        self.emit("charge.dispute.updated", doc, self.alter(doc, **changes))
        decisive = evidence.get("uncategorized_text") if submit else None
        if decisive in ("winning_evidence", "losing_evidence"):
            won = decisive == "winning_evidence"
            self.close_dispute(dispute, "warning_closed" if inquiry else "won" if won else "lost")
        return doc

    @acted("nobody")
    def close_dispute(self, dispute: str, status: str) -> Doc:
        """End a dispute: won, lost, warning_closed or prevented; what was withdrawn returns unless it is lost."""
        if status not in ("won", "lost", "warning_closed", "prevented"):
            raise StripeError("A dispute closes as won, lost, warning_closed or prevented.", param="status")
        doc = self.find("dispute", dispute)
        self._move(doc, status)
        self.emit("charge.dispute.closed", doc)
        if status in ("won", "prevented") and sum(e["amount"] for e in doc["balance_transactions"]) < 0:
            entry = self.balance_entry(doc["amount"], doc, "adjustment", fee=0, category="dispute_reversal")
            before = self.alter(doc, balance_transactions=[*doc["balance_transactions"], copy_of(entry)])
            self.emit("charge.dispute.funds_reinstated", doc, before)
        return doc

    def _move(self, dispute: Doc, status: str) -> Doc:
        if status not in DISPUTE_STATES[dispute["status"]]:
            raise StripeError(f"A dispute that is {dispute['status']} cannot become {status}.", param="status")
        return self.alter(dispute, status=status)

    @acted("nobody")
    def fraud_warning(self, payment: str) -> Doc:
        """The card issuer suspects fraud."""
        charge = self.charge_of(payment)
        warning = {
            "id": self.ids.make("radar.early_fraud_warning"),
            "object": "radar.early_fraud_warning",
            "actionable": not charge["refunded"],
            "charge": charge["id"],
            "created": self.now,
            "fraud_type": "unauthorized_use_of_card",
            "livemode": False,
            "payment_intent": charge["payment_intent"],
        }
        self.put(warning)
        if warning["payment_intent"] is None:
            del warning["payment_intent"]
        self.emit("radar.early_fraud_warning.created", warning)
        return warning
