"""What the clock and payments do to subscriptions: renewal, end of trial, past_due and back, the end."""

from refref.sandbox.cards import card_named
from refref.sandbox.store import Doc, copy_of
from refref.sandbox.subscription_changes import SubscriptionChanges
from refref.sandbox.subscriptions import LIVE, interval_of
from refref.sandbox.timeline import period_end


class Renewals(SubscriptionChanges):
    """Moves subscriptions on."""

    def _of(self, invoice: Doc) -> Doc | None:
        parent = invoice["parent"]
        return None if parent is None else self.find("subscription", parent["subscription_details"]["subscription"])

    def invoice_paid(self, invoice: Doc) -> None:
        """A settled invoice makes its incomplete, past_due or unpaid subscription active."""
        sub = self._of(invoice)
        if sub is not None and sub["status"] in ("incomplete", "past_due", "unpaid"):
            self.emit("customer.subscription.updated", sub, self.alter(sub, status="active"))

    def invoice_processing(self, invoice: Doc) -> None:
        """A bank debit is trusted: the subscription is active while it is on its way."""
        super().invoice_processing(invoice)
        sub = self._of(invoice)
        if sub is not None and sub["status"] == "incomplete":
            self.emit("customer.subscription.updated", sub, self.alter(sub, status="active"))

    def invoice_failed(self, invoice: Doc) -> None:
        """A declined renewal makes its subscription past_due; after the last attempt it is what the merchant chose."""
        sub = self._of(invoice)
        if sub is None or sub["status"] not in ("active", "past_due"):
            return
        outcome = self.billing()["after_retries"] if self.gave_up(invoice) else "past_due"
        if outcome == "canceled":
            self.alter(sub, cancellation_details={"comment": None, "feedback": None, "reason": "payment_failed"})
            self.end_subscription(sub)
        elif sub["status"] != outcome:
            self.emit("customer.subscription.updated", sub, self.alter(sub, status=outcome))

    def renew(self, subscription: str, at: int) -> None:
        """A period ended at `at`: end as asked, or start the next period of what ended and invoice it."""
        sub = self.find("subscription", subscription)
        items = sub["items"]["data"]
        due = [item for item in items if item["current_period_end"] == at]
        if sub["status"] not in LIVE or not due:
            return
        if sub["cancel_at_period_end"]:
            self.end_subscription(sub)
            return
        if sub["status"] == "trialing" and self._without_method(sub):
            return
        before = {"items": {"data": copy_of(items)}}
        period = due[0]["current_period_start"], at
        for item in due:
            end = period_end(sub["billing_cycle_anchor"], at, *interval_of(item["price"]))
            item.update(current_period_start=at, current_period_end=end)
            self.plan(end, "renew", subscription)
        if sub["status"] == "trialing":
            before |= self.alter(sub, status="active")
        self.drop_discounts(sub, lambda d: d["end"] is not None and d["end"] <= at)
        self.alter(sub)
        self.emit("customer.subscription.updated", sub, before)
        drafts = [draft for item in due for draft in self.period_drafts(sub, item)]
        drafts += self.pending_drafts(sub["customer"], sub["currency"], sub["id"])
        self.bill_lines(sub, drafts, "subscription_cycle", period)

    def _without_method(self, sub: Doc) -> bool:
        """A trial ends and there is nothing to pay with: cancel or pause when the merchant said so."""
        behavior = sub["trial_settings"]["end_behavior"]["missing_payment_method"]
        card = sub["_card"] or self.card_of(sub["customer"])
        if card_named(card).present or behavior == "create_invoice":
            return False
        if behavior == "cancel":
            self.end_subscription(sub)
            return True
        before = self.alter(sub, status="paused")
        self.emit("customer.subscription.updated", sub, before)
        self.emit("customer.subscription.paused", sub)
        return True

    def cancel_due(self, subscription: str, at: int) -> None:
        """The instant of `cancel_at` is here."""
        sub = self.find("subscription", subscription)
        if sub["cancel_at"] == at and sub["status"] in (*LIVE, "paused"):
            self.end_subscription(sub)

    def resume_due(self, subscription: str, at: int) -> None:
        """The instant of `pause_collection[resumes_at]` is here."""
        sub = self.find("subscription", subscription)
        pause = sub["pause_collection"]
        if pause and pause["resumes_at"] == at and sub["status"] in LIVE:
            self.emit("customer.subscription.updated", sub, self.alter(sub, pause_collection=None))

    def trial_will_end(self, subscription: str) -> None:
        """Three days before the end of a trial."""
        sub = self.find("subscription", subscription)
        if sub["status"] == "trialing":
            self.emit("customer.subscription.trial_will_end", sub)

    def expire_incomplete(self, subscription: str) -> None:
        """The first payment never came: the subscription and its invoice end."""
        sub = self.find("subscription", subscription)
        if sub["status"] == "incomplete":
            self.emit(
                "customer.subscription.updated", sub, self.alter(sub, status="incomplete_expired", ended_at=self.now)
            )
            self.void_invoice(sub["latest_invoice"])
