"""What the clock does to bills: drafts that become final, failed payments that are tried again, and giving up.

Owns the merchant's billing settings. Moves no subscription itself: the subscriptions' layers are told.
"""

from collections.abc import Sequence

from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_payments import InvoicePayments
from refref.sandbox.store import Doc, acted
from refref.sandbox.timeline import DAY

SETTINGS = "_billing"
USUAL: Doc = {"draft_seconds": 0, "retry_days": [], "after_retries": "past_due", "settle_days": None}


class Dunning(InvoicePayments):
    """Tries again, and gives up."""

    def billing(self) -> Doc:
        """The merchant's billing settings."""
        return USUAL | self.notes(SETTINGS).get("settings", {})

    @acted("nobody")
    def set_billing(
        self,
        *,
        draft_seconds: int | None = None,
        retry_days: Sequence[int] | None = None,
        after_retries: str | None = None,
        settle_days: int | None = None,
    ) -> Doc:
        """Change the billing settings that are named; the others stay.

        draft_seconds: how long a renewal's invoice stays a draft (Stripe: 3600; 0: final at once). retry_days: days
        between attempts of a failed payment (Stripe's usual: 3, 5, 7). after_retries: what becomes of the
        subscription: past_due, unpaid or canceled. settle_days: days until a bank debit is settled (None: by hand).
        """
        if after_retries not in (None, "past_due", "unpaid", "canceled"):
            raise StripeError("Invalid after_retries: past_due, unpaid or canceled", param="after_retries")
        given = {
            "draft_seconds": draft_seconds,
            "retry_days": None if retry_days is None else list(retry_days),
            "after_retries": after_retries,
            "settle_days": settle_days,
        }
        found = self.billing() | {k: v for k, v in given.items() if v is not None}
        self.note(SETTINGS, "settings", found)
        return found

    def plan(self, at: int, what: str, object_id: str) -> None:
        """Remember to do something at an instant; the clock's layer keeps the agenda."""

    def next_attempt(self, invoice: Doc) -> int | None:
        """When a failed invoice is tried again: the clock does it if the merchant has a schedule."""
        days = self.billing()["retry_days"]
        if not days:
            return super().next_attempt(invoice)
        tried = invoice["attempt_count"]
        if invoice["collection_method"] != "charge_automatically" or tried > len(days):
            return None
        at = int(self.now + days[tried - 1] * DAY)
        self.plan(at, "retry", invoice["id"])
        return at

    def retry_due(self, invoice: str, at: int) -> None:
        """The next attempt of a failed invoice."""
        doc = self.find("invoice", invoice)
        if doc["status"] == "open" and doc["next_payment_attempt"] == at:
            self.collect(doc, self.card_for(doc))

    def invoice_processing(self, invoice: Doc) -> None:
        """A bank debit is on its way; with settle_days the clock settles it."""
        days = self.billing()["settle_days"]
        if days is not None:
            self.plan(self.now + days * DAY, "settle", str(invoice["_payment_intent"]))

    def settle_due(self, payment_intent: str) -> None:
        """A bank debit arrives."""
        if self.find("payment_intent", payment_intent)["status"] == "processing":
            self.settle_payment(payment_intent)

    def gave_up(self, invoice: Doc) -> bool:
        """Whether the last attempt of the merchant's schedule has failed."""
        return bool(self.billing()["retry_days"]) and invoice["next_payment_attempt"] is None
