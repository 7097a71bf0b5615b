"""Changing what a subscription sells in the middle of a period: the credit for the old, the charge for the new."""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import merged
from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_lines import LineDraft
from refref.sandbox.prices import plan_of
from refref.sandbox.store import Doc, acted, copy_of
from refref.sandbox.subscription_shape import proration_amounts
from refref.sandbox.subscriptions import LIVE, Subscriptions, interval_of
from refref.sandbox.timeline import period_end

BEHAVIORS = ("create_prorations", "always_invoice", "none")


class Proration(Subscriptions):
    """Changes the items of a subscription."""

    def changeable(self, subscription: str) -> Doc:
        """The document of a subscription that may still change."""
        sub = self.find("subscription", subscription)
        if sub["status"] not in (*LIVE, "incomplete", "paused"):
            raise StripeError(f"The subscription is {sub['status']} and can no longer be updated.", param="id")
        return sub

    @acted("api")
    def change_items(
        self,
        subscription: str,
        changes: Sequence[Mapping[str, Any]],
        *,
        proration_behavior: str = "create_prorations",
        proration_date: int | None = None,
        before: Mapping[str, Any] | None = None,
    ) -> Doc:
        """Change several items at once: `{"id", "price", "quantity", "deleted", "metadata", "tax_rates"}`.

        One without `id` is new. `before`: what else has just changed and goes into the same event.
        """
        if proration_behavior not in BEHAVIORS:
            raise StripeError(f"Invalid proration_behavior: {proration_behavior}", param="proration_behavior")
        sub = self.changeable(subscription)
        was: Doc = {
            "billing_cycle_anchor": sub["billing_cycle_anchor"],
            "items": {"data": copy_of(sub["items"]["data"])},
            "plan": sub["plan"],
            "quantity": sub["quantity"],
        }
        moves = [move for change in changes if (move := self._item_changed(sub, change)) is not None]
        rows = sub["items"]["data"]
        if not rows:
            raise StripeError("A subscription must have at least one active item.", param="items")
        single = rows[0] if len(rows) == 1 else None
        sub["items"]["total_count"] = len(rows)
        self.alter(sub, plan=single and single["plan"], quantity=single and single["quantity"])
        altered = {k: v for k, v in was.items() if sub[k] != v} if moves else {}
        if "items" in altered and was["items"]["data"] == rows:
            del altered["items"]
        self.emit("customer.subscription.updated", sub, {**(before or {}), **altered})
        if sub["status"] not in ("trialing", "paused"):
            self._prorate(sub, moves, proration_behavior, proration_date or self.now)
        return sub

    def _item_changed(self, sub: Doc, change: Mapping[str, Any]) -> tuple[Doc | None, Doc | None] | None:
        """Apply one change; returns the item before and after, or None when price and quantity stayed."""
        rows = sub["items"]["data"]
        if not change.get("id"):
            added = self._new_row(sub, change)
            rows.append(added)
            return None, added
        found = next((r for r in rows if r["id"] == change["id"]), None)
        if found is None:
            raise StripeError(
                f"No such subscription item: '{change['id']}'", code="resource_missing", param="items[0][id]"
            )
        row: Doc = found
        if change.get("deleted"):
            rows.remove(row)
            return copy_of(row), None
        old = copy_of(row)
        if "metadata" in change:
            row["metadata"] = merged(row["metadata"], change["metadata"])
        if "tax_rates" in change:
            row["tax_rates"] = [copy_of(self.find("tax_rate", r, "items[0][tax_rates]")) for r in change["tax_rates"]]
        asks = change.get("price") or change.get("price_data")
        price = self.price_for(change, "items[0][price]") if asks else row["price"]
        quantity = row["quantity"] if change.get("quantity") is None else int(change["quantity"])
        if price["id"] == old["price"]["id"] and quantity == old["quantity"]:
            return None
        self._switch(sub, row, price, quantity)
        return old, row

    def _new_row(self, sub: Doc, change: Mapping[str, Any]) -> Doc:
        price = self.price_for(change, "items[0][price]")
        if price["recurring"] is None:
            raise StripeError("The price specified is set to `type=one_time`.", param="items[0][price]")
        like = sub["items"]["data"][0] if sub["items"]["data"] else None
        start, end = self.now, period_end(self.now, self.now, *interval_of(price))
        if like is not None and interval_of(like["price"]) == interval_of(price):
            start, end = like["current_period_start"], like["current_period_end"]
        else:
            self.plan(end, "renew", sub["id"])
        return self.item_of(sub["id"], price, int(change.get("quantity", 1)), end, change, start)

    def _switch(self, sub: Doc, row: Doc, price: Doc, quantity: int) -> None:
        """Put another price or quantity on an item; another interval starts a new period now."""
        if price["recurring"] is None:
            raise StripeError("The price specified is set to `type=one_time`.", param="items[0][price]")
        fresh = interval_of(price) != interval_of(row["price"])
        row.update(price=copy_of(price), plan=plan_of(price), quantity=quantity)
        if fresh and sub["status"] not in ("trialing", "paused") and self.now < row["current_period_end"]:
            self.start_period(sub, row)

    def start_period(self, sub: Doc, row: Doc) -> None:
        """A new period of an item begins now, and the billing cycle with it."""
        end = period_end(self.now, self.now, *interval_of(row["price"]))
        row.update(current_period_start=self.now, current_period_end=end)
        self.alter(sub, billing_cycle_anchor=self.now)
        self.plan(end, "renew", sub["id"])

    def _prorate(self, sub: Doc, moves: Sequence[tuple[Doc | None, Doc | None]], behavior: str, at: int) -> None:
        fresh = False
        since = self.now
        for old, new in moves:
            begun = old is not None and new is not None and new["current_period_start"] != old["current_period_start"]
            fresh = fresh or begun
            since = min(since, (old or new or {})["current_period_start"])
            self._prorate_item(sub, old, new, behavior, at, begun=begun)
        if fresh or (moves and behavior == "always_invoice"):
            drafts = self.pending_drafts(sub["customer"], sub["currency"], sub["id"])
            self.bill_lines(sub, drafts, "subscription_update", (since, self.now))

    def _prorate_item(self, sub: Doc, old: Doc | None, new: Doc | None, behavior: str, at: int, *, begun: bool) -> None:
        if behavior == "none" and not begun:
            return
        present = new or old or {}
        if present["current_period_end"] <= at:
            return  # a change at the very end of the period: the renewal bills the new price
        credit, charge = proration_amounts(sub, old or present, new or present, at)
        if old is not None and behavior != "none":
            text = f"Unused time on {self.product_name(old['price'])}"
            self._pend_proration(sub, old, credit, text, at, credits=True)
        if new is not None:
            self._pend_proration(sub, new, charge, f"Remaining time on {self.product_name(new['price'])}", at)

    def _pend_proration(self, sub: Doc, row: Doc, amount: int, text: str, at: int, *, credits: bool = False) -> None:
        draft = LineDraft(
            amount=amount,
            description=text,
            start=at,
            end=row["current_period_end"],
            price=row["price"],
            quantity=row["quantity"],
            discountable=False,
            proration=True,
            subscription=sub["id"],
            subscription_item=row["id"],
            credited=self._paid_line(row["id"]) if credits else None,
            rates=tuple(r["id"] for r in row["tax_rates"]),
        )
        self.pend(sub["customer"], sub["currency"], draft)

    def credit_rest(self, sub: Doc) -> None:
        """Pend the credit for the unused time of every item."""
        for row in sub["items"]["data"]:
            self._prorate_item(sub, row, None, "create_prorations", self.now, begun=False)

    def _paid_line(self, item: str) -> Doc | None:
        """The invoice line that last billed an item: what a credit refers to."""
        for line in reversed(self.live("line_item")):
            details = line["parent"]["subscription_item_details"]
            if details and details["subscription_item"] == item and line["amount"] >= 0:
                return {"invoice": line["invoice"], "invoice_line_items": [line["id"]]}
        return None
