"""What the clock and payments do to subscriptions: renewal, end of trial, past_due and back, the end."""

from refref.sandbox.store import Doc, copy_of
from refref.sandbox.subscriptions import LIVE, Subscriptions, interval_of
from refref.sandbox.timeline import period_end


class Renewals(Subscriptions):
    """Moves subscriptions on."""

    def _of(self, invoice: Doc) -> Doc | None:
        parent = invoice["parent"]
        return None if parent is None else self.find("subscription", parent["subscription_details"]["subscription"])

    def invoice_paid(self, invoice: Doc) -> None:
        """A settled invoice makes its incomplete or past_due subscription active."""
        sub = self._of(invoice)
        if sub is not None and sub["status"] in ("incomplete", "past_due", "unpaid"):
            self.emit("customer.subscription.updated", sub, self.alter(sub, status="active"))

    def invoice_failed(self, invoice: Doc) -> None:
        """A declined renewal makes its subscription past_due."""
        sub = self._of(invoice)
        if sub is not None and sub["status"] == "active":
            self.emit("customer.subscription.updated", sub, self.alter(sub, status="past_due"))

    def renew(self, subscription: str, at: int) -> None:
        """The period ended at `at`: end as asked, or start the next period and invoice it."""
        sub = self.find("subscription", subscription)
        items = sub["items"]["data"]
        if sub["status"] not in LIVE or items[0]["current_period_end"] != at:
            return
        if sub["cancel_at_period_end"]:
            self.end_subscription(sub)
            return
        before = {"items": {"data": copy_of(items)}}
        period = items[0]["current_period_start"], at
        for item in items:
            end = period_end(sub["billing_cycle_anchor"], at, *interval_of(item["price"]))
            item.update(current_period_start=at, current_period_end=end)
        if sub["status"] == "trialing":
            before |= self.alter(sub, status="active")
        self.drop_discounts(sub, lambda d: d["end"] is not None and d["end"] <= at)
        self.alter(sub)
        self.emit("customer.subscription.updated", sub, before)
        self.plan(items[0]["current_period_end"], "renew", subscription)
        self.bill(sub, "subscription_cycle", period)

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
