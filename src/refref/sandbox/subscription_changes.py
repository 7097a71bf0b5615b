"""Changing, pausing and ending subscriptions. What sells and for how much is prorated in the layer below."""

from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.proration import Proration
from refref.sandbox.store import NOBODY, Doc, acted, copy_of
from refref.sandbox.subscription_shape import public
from refref.sandbox.subscriptions import LIVE
from refref.sandbox.timeline import DAY

PAUSES = ("void", "keep_as_draft", "mark_uncollectible")
NO_REASON = {"comment": None, "feedback": None, "reason": None}


class SubscriptionChanges(Proration):
    """What merchants and buyers do to running subscriptions."""

    @acted("api")
    def change_subscription(
        self,
        subscription: str,
        *,
        price: str | None = None,
        quantity: int | None = None,
        item: str | None = None,
        proration_behavior: str = "create_prorations",
        scheduled: bool = False,
        metadata: Metadata | None = None,
    ) -> Doc:
        """Move to another price or quantity; the unused time is credited and the rest of the period charged."""
        sub = self.changeable(subscription)
        if scheduled:
            self.request = NOBODY
        before = public(self.alter(sub, metadata=merged(sub["metadata"], metadata)))
        change = {"id": item or sub["items"]["data"][0]["id"], "price": price, "quantity": quantity}
        return self.change_items(subscription, [change], proration_behavior=proration_behavior, before=before)

    @acted("api")
    def update_subscription(self, /, subscription: str, **changes: Any) -> Doc:
        """Change what is not sold: metadata, description, collection_method, days_until_due, default_tax_rates (ids),
        cancel_at (an instant or None), missing_payment_method, card (the default payment method), trial_settings.

        One event tells all of it.
        """
        sub = self.changeable(subscription)
        self.emit("customer.subscription.updated", sub, public(self.apply(sub, changes)))
        return sub

    def apply(self, sub: Doc, changes: dict[str, Any]) -> Doc:
        """Put these changes on a subscription without an event; returns the previous values."""
        wanted = dict(changes)
        if "metadata" in wanted:
            wanted["metadata"] = merged(sub["metadata"], wanted["metadata"])
        if "card" in wanted:
            card = wanted.pop("card")
            own = None if card is None else self.method_for(sub["customer"], card)
            wanted |= {"_card": card, "default_payment_method": own}
        if "default_tax_rates" in wanted:
            rates = [self.find("tax_rate", r, "default_tax_rates") for r in wanted["default_tax_rates"]]
            wanted |= {"default_tax_rates": copy_of(rates), "_rates": [r["id"] for r in rates]}
        if "missing_payment_method" in wanted:
            end = {"missing_payment_method": wanted.pop("missing_payment_method")}
            wanted["trial_settings"] = {"end_behavior": end}
        if wanted.get("collection_method") == "send_invoice" and not wanted.get("days_until_due"):
            wanted["days_until_due"] = sub["days_until_due"] or 30
        if "cancel_at" in wanted:
            wanted |= self._cancel_at(sub, wanted["cancel_at"])
        return self.alter(sub, **wanted)

    def _cancel_at(self, sub: Doc, at: int | None) -> Doc:
        if at is None:
            return {"canceled_at": None, "cancellation_details": dict(NO_REASON), "cancel_at_period_end": False}
        if at <= self.now:
            raise StripeError("cancel_at must be in the future.", param="cancel_at")
        self.plan(at, "cancel", sub["id"])
        return {"canceled_at": self.now, "cancellation_details": NO_REASON | {"reason": "cancellation_requested"}}

    @acted("api")
    def change_trial(self, subscription: str, trial_end: int | None) -> Doc:
        """Let the trial end at another instant, or start one; None ends it now and bills."""
        sub = self.changeable(subscription)
        rows = sub["items"]["data"]
        before: Doc = {"items": {"data": copy_of(rows)}}
        trialing = sub["status"] == "trialing"
        if trial_end is not None and trial_end <= self.now:
            raise StripeError("The trial end must be in the future; use `now` to end it.", param="trial_end")
        if trial_end is None:
            if not trialing:
                return sub
            since = rows[0]["current_period_start"]
            before |= self.alter(sub, status="active", trial_end=self.now)
            for row in rows:
                self.start_period(sub, row)
            self.emit("customer.subscription.updated", sub, before)
            self.bill(sub, "subscription_update", (since, self.now))
            return sub
        if not trialing:
            self.credit_rest(sub)
        for row in rows:
            row.update(current_period_start=self.now, current_period_end=trial_end)
        start = sub["trial_start"] if trialing else self.now
        before |= self.alter(
            sub, status="trialing", trial_end=trial_end, trial_start=start, billing_cycle_anchor=trial_end
        )
        self.emit("customer.subscription.updated", sub, before)
        if trial_end - 3 * DAY > self.now:
            self.plan(trial_end - 3 * DAY, "trial_will_end", subscription)
        self.plan(trial_end, "renew", subscription)
        return sub

    @acted("api")
    def restart_cycle(self, subscription: str, *, proration_behavior: str = "create_prorations") -> Doc:
        """`billing_cycle_anchor=now`: a new period begins now and is billed; the unused time is credited."""
        sub = self.changeable(subscription)
        rows = sub["items"]["data"]
        before = {"items": {"data": copy_of(rows)}, "billing_cycle_anchor": sub["billing_cycle_anchor"]}
        since = rows[0]["current_period_start"]
        if proration_behavior != "none":
            self.credit_rest(sub)
        for row in rows:
            self.start_period(sub, row)
        self.emit("customer.subscription.updated", sub, before)
        self.bill(sub, "subscription_update", (since, self.now))
        return sub

    @acted("api")
    def pause_subscription(self, subscription: str, *, behavior: str = "void", resumes_at: int | None = None) -> Doc:
        """Stop collecting: void, keep_as_draft or mark_uncollectible; `resumes_at`: the clock collects again."""
        if behavior not in PAUSES:
            raise StripeError(f"Invalid pause_collection[behavior]: {behavior}", param="pause_collection[behavior]")
        sub = self.changeable(subscription)
        before = self.alter(sub, pause_collection={"behavior": behavior, "resumes_at": resumes_at})
        if resumes_at is not None:
            self.plan(resumes_at, "resume", subscription)
        self.emit("customer.subscription.updated", sub, before)
        return sub

    @acted("api")
    def resume_subscription(self, subscription: str) -> Doc:
        """Collect again; a subscription that is `paused` starts a new period, bills it and is active once paid."""
        sub = self.changeable(subscription)
        if sub["status"] != "paused":
            self.emit("customer.subscription.updated", sub, self.alter(sub, pause_collection=None))
            return sub
        rows = sub["items"]["data"]
        before: Doc = {"items": {"data": copy_of(rows)}, "status": "paused"}
        since = rows[0]["current_period_start"]
        for row in rows:
            self.start_period(sub, row)
        self.alter(sub, status="active")
        self.emit("customer.subscription.updated", sub, before)
        self.emit("customer.subscription.resumed", sub)
        self.bill(sub, "subscription_update", (since, self.now))
        return sub

    @acted("api")
    def change_card(self, subscription: str, card: str) -> Doc:
        """Renewals are paid with another card from now on."""
        return self.update_subscription(subscription, card=card)

    @acted("api")
    def cancel_subscription(
        self, subscription: str, *, at_period_end: bool = False, prorate: bool = False, invoice_now: bool = False
    ) -> Doc:
        """End a subscription now or at the end of its period.

        `prorate`: credit the unused time. `invoice_now`: bill what is pending at once.
        """
        sub = self.changeable(subscription)
        details = NO_REASON | {"reason": "cancellation_requested"}
        if at_period_end:
            end = sub["items"]["data"][0]["current_period_end"]
            before = self.alter(
                sub, cancel_at_period_end=True, cancel_at=end, canceled_at=self.now, cancellation_details=details
            )
            self.emit("customer.subscription.updated", sub, before)
            return sub
        if prorate and sub["status"] != "trialing":
            self.credit_rest(sub)
        self.alter(sub, canceled_at=self.now, cancellation_details=details)
        self.end_subscription(sub)
        if invoice_now:
            drafts = self.pending_drafts(sub["customer"], sub["currency"], sub["id"])
            if drafts:
                since = sub["items"]["data"][0]["current_period_start"]
                self.bill_lines(sub, drafts, "subscription_update", (since, self.now))
        return sub

    @acted("api")
    def keep_subscription(self, subscription: str) -> Doc:
        """Take back a cancellation at period end."""
        return self.update_subscription(subscription, cancel_at=None)

    def end_subscription(self, sub: Doc) -> None:
        """It is over; emits customer.subscription.deleted."""
        self.alter(sub, status="canceled", ended_at=self.now, canceled_at=sub["canceled_at"] or self.now)
        self.emit("customer.subscription.deleted", sub)

    def end_subscriptions(self, customer: str) -> None:
        """End all live subscriptions of a customer who is being deleted."""
        for sub in self.live("subscription"):
            if sub["customer"] == customer and sub["status"] in (*LIVE, "incomplete", "paused"):
                self.end_subscription(sub)
