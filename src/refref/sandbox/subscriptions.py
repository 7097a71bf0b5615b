"""Subscriptions: starting and billing. Changes, renewals and schedules are in the next layers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refref.sandbox.amounts import share
from refref.sandbox.cards import card_named, methodless
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.credit_notes import CreditNotes
from refref.sandbox.errors import StripeError
from refref.sandbox.invoice_lines import LineDraft
from refref.sandbox.prices import amount_of, parts_of, plan_of, terms_in
from refref.sandbox.store import Doc, acted, copy_of
from refref.sandbox.subscription_shape import blank_subscription
from refref.sandbox.timeline import DAY, period_end

LIVE = ("trialing", "active", "past_due", "unpaid")
EXPIRES_AFTER = 23 * 3600


@dataclass(frozen=True, slots=True)
class Terms:
    """How a subscription starts; instants in unix seconds, `rates` and `discounts` as ids."""

    trial_days: int | None = None
    trial_end: int | None = None
    coupon: str | None = None
    promotion_code: str | None = None
    discounts: Sequence[Mapping[str, Any]] = ()
    rates: Sequence[str] = ()
    metadata: Metadata | None = None
    collection_method: str = "charge_automatically"
    days_until_due: int | None = None
    currency: str | None = None
    billing_cycle_anchor: int | None = None
    proration_behavior: str = "create_prorations"
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    missing_payment_method: str = "create_invoice"
    payment_behavior: str = "allow_incomplete"
    description: str | None = None
    schedule: str | None = None
    add_invoice_items: Sequence[Mapping[str, Any]] = ()


class Subscriptions(CreditNotes):
    """Sells prices again and again."""

    @acted("api")
    def subscribe(
        self,
        /,
        customer: str,
        *,
        price: str | None = None,
        items: Sequence[Mapping[str, Any]] | None = None,
        quantity: int = 1,
        tax_rate: str | None = None,
        card: str | None = None,
        **terms: Any,
    ) -> Doc:
        """Subscribe a customer without Checkout; the first invoice is paid at once or left open. `terms`: `Terms`."""
        buyer = self.customer(customer, "customer")
        wanted = list(items) if items else [{"price": price, "quantity": quantity}]
        paying = card or self.card_of(customer)
        asked = Terms(rates=terms.pop("rates", None) or ([tax_rate] if tax_rate else ()), **terms)
        kind = card_named(paying)
        status = "active"
        if asked.collection_method == "charge_automatically":
            waits = asked.payment_behavior == "default_incomplete"
            if not kind.present and not waits and not (asked.trial_days or asked.trial_end):
                raise methodless()
            if kind.code is not None or kind.action or not kind.present or waits:
                status = "incomplete"
        return self.start_subscription(buyer, wanted, status, paying, asked)

    def start_subscription(
        self, customer: Doc, wanted: Sequence[Mapping[str, Any]], status: str, card: str, terms: Terms
    ) -> Doc:
        """A new subscription and its first invoice; emits what the table in the package says."""
        prices = [self.price_for(w, "items[0][price]") for w in wanted]
        if any(p["recurring"] is None for p in prices):
            raise StripeError("The price specified is set to `type=one_time`.", param="items[0][price]")
        currency = (terms.currency or prices[0]["currency"]).lower()
        for price in prices:
            terms_in(price, currency)  # refuses a currency the price is not sold in, before anything is made
        trial_end = terms.trial_end or (self.now + terms.trial_days * DAY if terms.trial_days else None)
        if trial_end is not None and trial_end <= self.now:
            raise StripeError("The trial end must be in the future.", param="trial_end")
        anchor = trial_end or terms.billing_cycle_anchor or self.now
        if anchor < self.now:
            raise StripeError("The billing cycle anchor must be in the future.", param="billing_cycle_anchor")
        own = None if card == self.card_of(customer["id"]) else card
        sub_id, invoice_id = self.ids.make("subscription"), self.ids.make("invoice")
        rows = []
        for price, given in zip(prices, wanted, strict=True):
            usual = period_end(self.now, self.now, *interval_of(price))
            if terms.billing_cycle_anchor and not trial_end and anchor > usual:
                raise StripeError("billing_cycle_anchor cannot be later than one period.", param="billing_cycle_anchor")
            end = usual if anchor == self.now else anchor
            rows.append(self.item_of(sub_id, price, int(given.get("quantity", 1)), end, given))
        sub = blank_subscription(sub_id, customer["id"], currency, rows, self.now)
        sub |= self._fields_of(terms, customer, status, trial_end, own)
        sub |= {"billing_cycle_anchor": anchor, "latest_invoice": invoice_id}
        self.put(sub)
        for given in self._discounts_of(terms):
            self.attach_discount(sub, given.get("coupon"), given.get("promotion_code"))
        self.emit("customer.subscription.created", sub)
        self._plan_life(sub)
        for extra in terms.add_invoice_items:
            self.add_invoice_item(customer["id"], subscription=sub_id, **{"currency": currency, **extra})
        self.bill(sub, "subscription_create", (self.now, self.now), invoice_id)
        return sub

    def _fields_of(self, terms: Terms, customer: Doc, status: str, trial_end: int | None, own: str | None) -> Doc:
        sends = terms.collection_method == "send_invoice"
        end_behavior = {"missing_payment_method": terms.missing_payment_method}
        return {
            "cancel_at": terms.cancel_at,
            "cancel_at_period_end": terms.cancel_at_period_end,
            "collection_method": terms.collection_method,
            "days_until_due": (terms.days_until_due or 30) if sends else None,
            "default_payment_method": None if own is None else self.method_for(customer["id"], own),
            "default_tax_rates": [copy_of(self.find("tax_rate", r, "default_tax_rates")) for r in terms.rates],
            "description": terms.description,
            "metadata": merged({}, terms.metadata),
            "schedule": terms.schedule,
            "status": "trialing" if trial_end else status,
            "test_clock": customer["test_clock"],
            "trial_end": trial_end,
            "trial_settings": {"end_behavior": end_behavior},
            "trial_start": self.now if trial_end else None,
            "_behavior": terms.proration_behavior,
            "_card": own,
            "_rates": list(terms.rates),
            "_waits": terms.payment_behavior == "default_incomplete",
        }

    def _discounts_of(self, terms: Terms) -> list[Mapping[str, Any]]:
        one = {"coupon": terms.coupon, "promotion_code": terms.promotion_code}
        return [one] if terms.coupon or terms.promotion_code else list(terms.discounts)

    def _plan_life(self, sub: Doc) -> None:
        """Put what a new subscription has ahead on the agenda; emits .trial_will_end of a short trial."""
        if sub["trial_end"] and sub["trial_end"] - 3 * DAY > self.now:
            self.plan(sub["trial_end"] - 3 * DAY, "trial_will_end", sub["id"])
        elif sub["trial_end"]:
            self.emit("customer.subscription.trial_will_end", sub)
        for end in {item["current_period_end"] for item in sub["items"]["data"]}:
            self.plan(end, "renew", sub["id"])
        if sub["cancel_at"] is not None:
            self.plan(sub["cancel_at"], "cancel", sub["id"])
        self.plan(self.now + EXPIRES_AFTER, "expire", sub["id"])

    def item_of(
        self, subscription: str, price: Doc, quantity: int, end: int, given: Mapping[str, Any], start: int | None = None
    ) -> Doc:
        """A subscription item whose period ends at `end`."""
        rates = [copy_of(self.find("tax_rate", r, "items[0][tax_rates]")) for r in given.get("tax_rates", ())]
        return {
            "id": self.ids.make("subscription_item"),
            "object": "subscription_item",
            "billing_thresholds": None,
            "created": self.now,
            "current_period_end": end,
            "current_period_start": self.now if start is None else start,
            "discounts": [],
            "metadata": merged({}, given.get("metadata")),
            "plan": plan_of(price),
            "price": copy_of(price),
            "quantity": quantity,
            "subscription": subscription,
            "tax_rates": rates,
        }

    def bill(self, sub: Doc, reason: str, period: tuple[int, int], invoice_id: str | None = None) -> Doc:
        """Invoice the present period of every item and what is pending, then collect."""
        drafts = [draft for item in sub["items"]["data"] for draft in self.period_drafts(sub, item)]
        drafts += self.pending_drafts(sub["customer"], sub["currency"], sub["id"])
        return self.bill_lines(sub, drafts, reason, period, invoice_id)

    def bill_lines(
        self, sub: Doc, drafts: Sequence[LineDraft], reason: str, period: tuple[int, int], invoice_id: str | None = None
    ) -> Doc:
        """Invoice these lines of a subscription and collect."""
        invoice = self.draft_invoice(
            self.find("customer", sub["customer"]),
            drafts,
            currency=sub["currency"],
            reason=reason,
            discounts=sub["_discounts"],
            rates=sub["_rates"],
            collection_method=sub["collection_method"],
            days_until_due=sub["days_until_due"],
            subscription=sub,
            period=period,
            invoice_id=invoice_id,
        )
        self.alter(sub, latest_invoice=invoice["id"])
        pause = sub["pause_collection"]
        if sub["status"] == "unpaid" or (pause and pause["behavior"] == "keep_as_draft"):
            self.alter(invoice, auto_advance=False)
        elif reason == "subscription_cycle" and self.billing()["draft_seconds"] and not pause:
            self.finalize_later(invoice)
        else:
            self._finalize(sub, invoice)
        return invoice

    def _finalize(self, sub: Doc, invoice: Doc) -> None:
        self.finalize(invoice)
        pause = sub["pause_collection"]
        if invoice["status"] == "open" and pause:
            end = self.void_invoice if pause["behavior"] == "void" else self.mark_uncollectible
            end(invoice["id"])
        elif invoice["status"] == "open" and sub["_waits"] and invoice["billing_reason"] == "subscription_create":
            self.await_payment(invoice, "Subscription creation")
        else:
            self.collect_final(invoice)

    def finalize(self, invoice: Doc, *, use_balance: bool = True) -> None:
        """A final invoice of a subscription uses up the discounts that hold once."""
        super().finalize(invoice, use_balance=use_balance)
        details = (invoice["parent"] or {}).get("subscription_details")
        if details is not None and invoice["subtotal"] > 0:
            self.drop_discounts(
                self.find("subscription", details["subscription"]), lambda d: d["_coupon"]["duration"] == "once"
            )

    def period_drafts(self, sub: Doc, item: Doc) -> list[LineDraft]:
        """The lines of an item's present period: one for each tier its price reaches."""
        name = self.product_name(item["price"])
        start, end = item["current_period_start"], item["current_period_end"]
        known: dict[str, Any] = {
            "start": start,
            "end": end,
            "price": item["price"],
            "subscription": sub["id"],
            "subscription_item": item["id"],
            "rates": tuple(r["id"] for r in item["tax_rates"]),
        }
        quantity = item["quantity"]
        if sub["status"] == "trialing":
            return [LineDraft(amount=0, description=f"Free trial for {quantity} × {name}", quantity=quantity, **known)]
        whole = period_end(start, start, *interval_of(item["price"]))
        if end < whole and sub["billing_cycle_anchor"] == end:  # the short time until the anchor
            full = amount_of(item["price"], quantity, sub["currency"]) if sub["_behavior"] != "none" else 0
            amount = share(full, end - start, whole - start)
            text = f"Time on {name} until the billing cycle anchor"
            return [LineDraft(amount=amount, description=text, quantity=quantity, proration=True, **known)]
        found = []
        for part in parts_of(item["price"], quantity, sub["currency"]):
            tier = f" ({part.tier})" if part.tier else ""
            count = part.quantity if part.tier else quantity
            text = f"{count} × {name}{tier}" if count else f"{name}{tier}"
            unit = part.unit if part.tier or item["price"] is not terms_in(item["price"], sub["currency"]) else None
            found.append(LineDraft(amount=part.amount, description=text, quantity=count, unit=unit, **known))
        return found

    # discounts

    def attach_discount(self, sub: Doc, coupon: str | None, promotion_code: str | None) -> None:
        """One more discount on a subscription; emits customer.discount.created."""
        discount = self.give_discount(
            coupon=coupon, promotion_code=promotion_code, customer=sub["customer"], subscription=sub["id"]
        )
        kept = [*sub["_discounts"], copy_of(discount)]
        self.alter(sub, discounts=[d["id"] for d in kept], _discounts=kept)
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
        given = {"coupon": coupon, "promotion_code": promotion_code}
        return self.set_discounts(subscription, [given] if coupon or promotion_code else [])

    @acted("api")
    def set_discounts(self, subscription: str, discounts: Sequence[Mapping[str, Any]]) -> Doc:
        """Replace the discounts: `{"discount": id}` keeps one, `{"coupon": id}` or `{"promotion_code": id}` is new."""
        sub = self.find("subscription", subscription)
        before = {"discounts": list(sub["discounts"])}
        kept = {d["discount"] for d in discounts if d.get("discount")}
        if unknown := kept - set(sub["discounts"]):
            raise StripeError(f"No such discount: '{min(unknown)}'", code="resource_missing", param="discounts")
        self.drop_discounts(sub, lambda d: d["id"] not in kept)
        for given in discounts:
            if not given.get("discount"):
                self.attach_discount(sub, given.get("coupon"), given.get("promotion_code"))
        self.emit("customer.subscription.updated", sub, before)
        return sub


def interval_of(price: Doc) -> tuple[str, int]:
    """How long a period of a recurring price is."""
    return price["recurring"]["interval"], price["recurring"]["interval_count"]
