"""Subscriptions: starting, changing with proration, pausing, ending. Renewals are in the next layer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.credit_notes import CreditNotes
from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_lines import LineDraft
from refref.sandbox.payment_shape import method_id
from refref.sandbox.prices import amount_of, plan_of
from refref.sandbox.store import NOBODY, Doc, acted, copy_of
from refref.sandbox.subscription_shape import blank_subscription, proration_amounts, public
from refref.sandbox.timeline import DAY, period_end

LIVE = ("trialing", "active", "past_due", "unpaid")
EXPIRES_AFTER = 23 * 3600


class Subscriptions(CreditNotes):
    """Sells prices again and again."""

    def plan(self, at: int, what: str, object_id: str) -> None:
        """Remember to do something at an instant; the clock's layer keeps the agenda."""

    @acted("api")
    def subscribe(
        self,
        customer: str,
        *,
        price: str | None = None,
        items: Sequence[Mapping[str, Any]] | None = None,
        quantity: int = 1,
        trial_days: int | None = None,
        coupon: str | None = None,
        promotion_code: str | None = None,
        tax_rate: str | None = None,
        metadata: Metadata | None = None,
        collection_method: str = "charge_automatically",
        card: str | None = None,
    ) -> Doc:
        """Subscribe a customer without Checkout; the first invoice is paid at once or left open."""
        buyer = self.customer(customer, "customer")
        wanted = list(items) if items else [{"price": price, "quantity": quantity}]
        paying = card or self.card_of(customer)
        status = "incomplete" if paying == "declined" and collection_method == "charge_automatically" else "active"
        return self.start_subscription(
            buyer, wanted, status, paying, trial_days=trial_days, coupon=coupon, promotion_code=promotion_code,
            rates=[tax_rate] if tax_rate else (), metadata=metadata, collection_method=collection_method,
        )  # fmt: skip

    def start_subscription(
        self,
        customer: Doc,
        wanted: Sequence[Mapping[str, Any]],
        status: str,
        card: str,
        *,
        trial_days: int | None = None,
        coupon: str | None = None,
        promotion_code: str | None = None,
        rates: Sequence[str] = (),
        metadata: Metadata | None = None,
        collection_method: str = "charge_automatically",
    ) -> Doc:
        """A new subscription and its first invoice; emits what the table in the package says."""
        prices = [self.find("price", str(w["price"]), "items[0][price]") for w in wanted]
        if any(p["recurring"] is None for p in prices):
            raise StripeError("The price specified is set to `type=one_time`.", param="items[0][price]")
        recurring = prices[0]["recurring"]
        trial_end = None if not trial_days else self.now + trial_days * DAY
        anchor = trial_end or self.now
        own = None if card == self.card_of(customer["id"]) else card
        end = trial_end or period_end(self.now, self.now, recurring["interval"], recurring["interval_count"])
        sub_id, invoice_id = self.ids.make("subscription"), self.ids.make("invoice")
        rows = [self._item(sub_id, p, int(w.get("quantity", 1)), end) for p, w in zip(prices, wanted, strict=True)]
        sub = blank_subscription(sub_id, customer["id"], prices[0]["currency"], rows, self.now)
        sub |= {
            "billing_cycle_anchor": anchor,
            "collection_method": collection_method,
            "days_until_due": 30 if collection_method == "send_invoice" else None,
            "default_payment_method": None if own is None else method_id(own),
            "latest_invoice": invoice_id,
            "metadata": merged({}, metadata),
            "status": "trialing" if trial_end else status,
            "trial_end": trial_end,
            "trial_start": self.now if trial_end else None,
            "_card": own,
            "default_tax_rates": [copy_of(self.find("tax_rate", r, "default_tax_rates")) for r in rates],
            "_rates": list(rates),
        }
        self.put(sub)
        if coupon or promotion_code:
            self._attach_discount(sub, coupon, promotion_code)
        self.emit("customer.subscription.created", sub)
        if trial_end and trial_end - 3 * DAY > self.now:
            self.plan(trial_end - 3 * DAY, "trial_will_end", sub_id)
        elif trial_end:
            self.emit("customer.subscription.trial_will_end", sub)
        self.plan(end, "renew", sub_id)
        self.plan(self.now + EXPIRES_AFTER, "expire", sub_id)
        self.bill(sub, "subscription_create", (self.now, self.now), invoice_id)
        return sub

    def _item(self, subscription: str, price: Doc, quantity: int, end: int) -> Doc:
        return {
            "id": self.ids.make("subscription_item"),
            "object": "subscription_item",
            "billing_thresholds": None,
            "created": self.now,
            "current_period_end": end,
            "current_period_start": self.now,
            "discounts": [],
            "metadata": {},
            "plan": plan_of(price),
            "price": copy_of(price),
            "quantity": quantity,
            "subscription": subscription,
            "tax_rates": [],
        }

    def bill(self, sub: Doc, reason: str, period: tuple[int, int], invoice_id: str | None = None) -> Doc:
        """Invoice the present period of every item and what is pending, then collect."""
        drafts = [self._period_draft(sub, item) for item in sub["items"]["data"]]
        drafts += self.pending_drafts(sub["customer"], sub["currency"], sub["id"])
        return self._invoice(sub, drafts, reason, period, invoice_id)

    def _invoice(
        self, sub: Doc, drafts: Sequence[LineDraft], reason: str, period: tuple[int, int], invoice_id: str | None = None
    ) -> Doc:
        invoice = self.draft_invoice(
            self.find("customer", sub["customer"]),
            drafts,
            currency=sub["currency"],
            reason=reason,
            discounts=sub["_discounts"],
            rates=sub["_rates"],
            collection_method=sub["collection_method"],
            subscription=sub,
            period=period,
            invoice_id=invoice_id,
        )
        self.alter(sub, latest_invoice=invoice["id"])
        pause = sub["pause_collection"]
        if pause and pause["behavior"] == "keep_as_draft":
            return invoice
        self.finalize(invoice)
        if invoice["subtotal"] > 0:
            self.drop_discounts(sub, lambda d: d["_coupon"]["duration"] == "once")
        if invoice["status"] == "open" and pause:
            end = self.void_invoice if pause["behavior"] == "void" else self.mark_uncollectible
            end(invoice["id"])
        elif invoice["status"] == "open" and sub["collection_method"] == "charge_automatically":
            text = "Subscription creation" if reason == "subscription_create" else "Subscription update"
            self.collect(invoice, sub["_card"] or self.card_of(sub["customer"]), description=text)
        return invoice

    def _period_draft(self, sub: Doc, item: Doc) -> LineDraft:
        name = self.product_name(item["price"])
        trial = sub["status"] == "trialing"
        return LineDraft(
            amount=0 if trial else amount_of(item["price"], item["quantity"], sub["currency"]),
            description=f"Free trial for {item['quantity']} × {name}" if trial else f"{item['quantity']} × {name}",
            start=item["current_period_start"],
            end=item["current_period_end"],
            price=item["price"],
            quantity=item["quantity"],
            subscription=sub["id"],
            subscription_item=item["id"],
        )

    # discounts

    def _attach_discount(self, sub: Doc, coupon: str | None, promotion_code: str | None) -> None:
        discount = self.give_discount(
            coupon=coupon, promotion_code=promotion_code, customer=sub["customer"], subscription=sub["id"]
        )
        self.alter(sub, discounts=[discount["id"]], _discounts=[copy_of(discount)])
        self.emit("customer.discount.created", discount)

    def drop_discounts(self, sub: Doc, spent: Callable[[Doc], bool]) -> None:
        """Take discounts off a subscription; emits customer.discount.deleted for each."""
        for discount in [d for d in sub["_discounts"] if spent(d)]:
            kept = [d for d in sub["_discounts"] if d["id"] != discount["id"]]
            self.alter(sub, discounts=[d["id"] for d in kept], _discounts=kept)
            self.emit("customer.discount.deleted", discount)

    @acted("api")
    def set_discount(self, subscription: str, *, coupon: str | None = None, promotion_code: str | None = None) -> Doc:
        """Replace the discounts of a subscription; with neither argument, remove them."""
        sub = self.find("subscription", subscription)
        before = {"discounts": list(sub["discounts"])}
        self.drop_discounts(sub, lambda d: True)
        if coupon or promotion_code:
            self._attach_discount(sub, coupon, promotion_code)
        self.emit("customer.subscription.updated", sub, before)
        return sub

    # changes

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
        sub = self._live(subscription)
        if scheduled:
            self.request = NOBODY
        row = next((r for r in sub["items"]["data"] if item in (None, r["id"])), None)
        if row is None:
            raise StripeError(f"No such subscription item: '{item}'", code="resource_missing", param="items[0][id]")
        old = copy_of(row)
        before = public(self.alter(sub, metadata=merged(sub["metadata"], metadata)))
        new = self.find("price", price, "items[0][price]") if price else row["price"]
        amount = row["quantity"] if quantity is None else quantity
        moved = new["id"] != old["price"]["id"] or amount != old["quantity"]
        if moved:
            before |= self._switch(sub, row, new, amount)
        self.emit("customer.subscription.updated", sub, before)
        if moved and sub["status"] != "trialing":
            self._prorate(sub, row, old, proration_behavior)
        return sub

    def _live(self, subscription: str) -> Doc:
        sub = self.find("subscription", subscription)
        if sub["status"] not in (*LIVE, "incomplete"):
            raise StripeError(f"The subscription is {sub['status']} and can no longer be updated.", param="id")
        return sub

    def _switch(self, sub: Doc, row: Doc, price: Doc, quantity: int) -> Doc:
        """Put another price or quantity on an item; another interval starts a new period now."""
        before = {"items": {"data": copy_of(sub["items"]["data"])}, "plan": sub["plan"], "quantity": sub["quantity"]}
        fresh = interval_of(price) != interval_of(row["price"]) and sub["status"] != "trialing"
        row.update(price=copy_of(price), plan=plan_of(price), quantity=quantity)
        if fresh:
            end = period_end(self.now, self.now, *interval_of(price))
            row.update(current_period_start=self.now, current_period_end=end)
            before["billing_cycle_anchor"] = sub["billing_cycle_anchor"]
            self.alter(sub, billing_cycle_anchor=self.now)
            self.plan(end, "renew", sub["id"])
        items = sub["items"]["data"]
        single = len(items) == 1
        self.alter(sub, plan=row["plan"] if single else None, quantity=quantity if single else None)
        return {k: v for k, v in before.items() if sub.get(k) != v}

    def _prorate(self, sub: Doc, row: Doc, old: Doc, behavior: str) -> None:
        fresh = row["current_period_start"] != old["current_period_start"]
        credit, charge = proration_amounts(sub, old, row, self.now)
        name = self.product_name(row["price"])
        if behavior != "none":
            self._pend_proration(sub, row, old, credit, f"Unused time on {self.product_name(old['price'])}")
        if behavior != "none" or fresh:
            self._pend_proration(sub, row, row, charge, f"Remaining time on {name}")
        if fresh or behavior == "always_invoice":
            drafts = self.pending_drafts(sub["customer"], sub["currency"], sub["id"])
            self._invoice(sub, drafts, "subscription_update", (old["current_period_start"], self.now))

    def _pend_proration(self, sub: Doc, row: Doc, priced: Doc, amount: int, text: str) -> None:
        credited = None
        if amount < 0 or priced is not row:
            credited = self._paid_line(row["id"])
        draft = LineDraft(
            amount=amount,
            description=text,
            start=self.now,
            end=priced["current_period_end"],
            price=priced["price"],
            quantity=priced["quantity"],
            discountable=False,
            proration=True,
            subscription=sub["id"],
            subscription_item=row["id"],
            credited=credited,
        )
        self.pend(sub["customer"], sub["currency"], draft)

    def _paid_line(self, item: str) -> Doc | None:
        """The invoice line that last billed an item: what a credit refers to."""
        for line in reversed(self.live("line_item")):
            details = line["parent"]["subscription_item_details"]
            if details and details["subscription_item"] == item and line["amount"] >= 0:
                return {"invoice": line["invoice"], "invoice_line_items": [line["id"]]}
        return None

    @acted("api")
    def pause_subscription(self, subscription: str, *, behavior: str = "void") -> Doc:
        """Stop collecting: void, keep_as_draft or mark_uncollectible."""
        sub = self._live(subscription)
        before = self.alter(sub, pause_collection={"behavior": behavior, "resumes_at": None})
        self.emit("customer.subscription.updated", sub, before)
        return sub

    @acted("api")
    def resume_subscription(self, subscription: str) -> Doc:
        """Collect again."""
        sub = self._live(subscription)
        self.emit("customer.subscription.updated", sub, self.alter(sub, pause_collection=None))
        return sub

    @acted("api")
    def change_card(self, subscription: str, card: str) -> Doc:
        """Renewals are paid with another card from now on."""
        sub = self._live(subscription)
        before = self.alter(sub, default_payment_method=method_id(card), _card=card)
        self.emit("customer.subscription.updated", sub, public(before))
        return sub

    @acted("api")
    def cancel_subscription(self, subscription: str, *, at_period_end: bool = False) -> Doc:
        """End a subscription now or at the end of its period."""
        sub = self._live(subscription)
        details = {"comment": None, "feedback": None, "reason": "cancellation_requested"}
        if at_period_end:
            end = sub["items"]["data"][0]["current_period_end"]
            before = self.alter(
                sub, cancel_at_period_end=True, cancel_at=end, canceled_at=self.now, cancellation_details=details
            )
            self.emit("customer.subscription.updated", sub, before)
        else:
            self.alter(sub, canceled_at=self.now, cancellation_details=details)
            self.end_subscription(sub)
        return sub

    @acted("api")
    def keep_subscription(self, subscription: str) -> Doc:
        """Take back a cancellation at period end."""
        blank = {"comment": None, "feedback": None, "reason": None}
        sub = self._live(subscription)
        before = self.alter(
            sub, cancel_at_period_end=False, cancel_at=None, canceled_at=None, cancellation_details=blank
        )
        self.emit("customer.subscription.updated", sub, before)
        return sub

    def end_subscription(self, sub: Doc) -> None:
        """It is over; emits customer.subscription.deleted."""
        self.alter(sub, status="canceled", ended_at=self.now, canceled_at=sub["canceled_at"] or self.now)
        self.emit("customer.subscription.deleted", sub)

    def end_subscriptions(self, customer: str) -> None:
        """End all live subscriptions of a customer who is being deleted."""
        for sub in self.live("subscription"):
            if sub["customer"] == customer and sub["status"] in (*LIVE, "incomplete"):
                self.end_subscription(sub)


def interval_of(price: Doc) -> tuple[str, int]:
    """How long a period of a recurring price is."""
    return price["recurring"]["interval"], price["recurring"]["interval_count"]
