"""Playing the steps of a story: each is what a customer, the merchant or a bank does, as calls of the sandbox.

Changes the sandbox alone; what comes of it for the books is for the runner.
"""

from __future__ import annotations

from refref.sandbox.errors import StripeError
from refref.sandbox.store import Doc
from refref.simulator.sales import Sales, Unknown, customer_id
from refref.simulator.stage import Stage
from refref.simulator.story import (
    CreditNote,
    Dispute,
    Ending,
    Invoice,
    Payment,
    PlanChange,
    Purchase,
    Refund,
    Setting,
    Step,
    Subscribing,
)
from refref.simulator.written import DAYS, money, span
from refref.stripe.readers.carriers import CAMPAIGN_KEY

_SETTLES = {"now": "always_invoice", "later": "create_prorations", "never": "none"}


class Unplayable(Exception):
    """A step that cannot happen; the message says why, in words for people."""


class Player:
    """Plays steps on a stage."""

    def __init__(self, stage: Stage, sales: Sales) -> None:
        self.stage = stage
        self.sandbox = stage.sandbox
        self.sales = sales

    def play(self, step: Step) -> None:
        """Let the step happen now. Raises Unplayable."""
        try:
            self._play(step)
        except StripeError as refused:
            raise Unplayable(f"Stripe refuses this: {refused.message}") from refused
        except Unknown as unknown:
            raise Unplayable(str(unknown)) from unknown

    def _play(self, step: Step) -> None:
        who = step.customer
        if step.buys is not None:
            self._buy(who, Purchase(price=step.buys) if isinstance(step.buys, str) else step.buys)
        elif step.subscribes is not None:
            given = step.subscribes
            self._subscribe(who, Subscribing(price=given) if isinstance(given, str) else given)
        elif step.changes is not None:
            self._change(who, step.changes)
        elif step.cancels is not None:
            self._cancel(who, step.cancels)
        elif step.restarts is not False:
            self._restart(who, step.restarts)
        elif step.sets is not None:
            self._set(who, step.sets)
        elif step.invoices is not None:
            self._invoice(who, step.invoices)
        else:
            self._play_money(step)

    def _play_money(self, step: Step) -> None:
        if step.pays is not None:
            self._pay(Payment(step.pays) if isinstance(step.pays, str) else step.pays)
        elif step.refunds is not None:
            self._refund(Refund(step.refunds) if isinstance(step.refunds, str) else step.refunds)
        elif step.credits is not None:
            self._credit(CreditNote(step.credits) if isinstance(step.credits, str) else step.credits)
        elif step.disputes is not None:
            given = Dispute(step.disputes) if isinstance(step.disputes, str) else step.disputes
            amount = self._part(given.sale, given.amount)
            self.sandbox.dispute(self._paid(given.sale), amount=amount, inquiry=given.inquiry)
        elif step.wins_dispute is not None:
            self._close(step.wins_dispute, "won")
        elif step.loses_dispute is not None:
            self._close(step.loses_dispute, "lost")

    # Checkouts --------------------------------------------------------------------------------------------------------

    def _buy(self, who: str, given: Purchase) -> None:
        items = [{"price": i.price, "quantity": i.quantity} for i in given.items]
        items = items or [{"price": given.price, "quantity": given.quantity}]
        more: Doc = self._checkout(given)
        if given.shipping:
            more["shipping"] = money(given.shipping).amount_minor
        if given.invoice:
            more["invoice_creation"] = {"enabled": True}
        session = self.sandbox.checkout(mode="payment", line_items=items, customer=customer_id(who), **more)
        paid = self._complete(session["id"], who, given.card)
        if paid is not None and given.name:
            self.sales.named[given.name] = str(paid["invoice"] or paid["id"])

    def _subscribe(self, who: str, given: Subscribing) -> None:
        more: Doc = self._checkout(given)
        data: Doc = {}
        trial = given.trial or self.stage.prices[given.price].trial
        if trial and trial != "none":
            length = span(trial)
            data["trial_period_days"] = length.number * DAYS[length.unit]
        if data:
            more["subscription_data"] = data
        items = [{"price": given.price, "quantity": given.quantity}]
        session = self.sandbox.checkout(mode="subscription", line_items=items, customer=customer_id(who), **more)
        paid = self._complete(session["id"], who, given.card)
        if paid is not None and given.name:
            self.sales.subscriptions[given.name] = str(paid["subscription"])

    def _checkout(self, given: Purchase | Subscribing) -> Doc:
        """What both kinds of checkout have in common."""
        more: Doc = {}
        if given.link:
            more["client_reference_id"] = self.stage.refcodes.get(given.link, given.link)
            if given.campaign:
                more["metadata"] = {CAMPAIGN_KEY: given.campaign}
        if given.promotion_code:
            more["discounts"] = [{"promotion_code": self.stage.promotion_codes[given.promotion_code]}]
        elif given.coupon:
            more["discounts"] = [{"coupon": given.coupon}]
        if given.tax:
            more["tax_rate"] = self.stage.tax_rates[given.tax]
        if given.currency:
            more["currency"] = given.currency.lower()
        return more

    def _complete(self, session: str, who: str, card: str) -> Doc | None:
        """The buyer pays; None where the card is declined, and the checkout stays open."""
        try:
            return self.sandbox.pay_session(session, card=card or self.sandbox.card_of(customer_id(who)))
        except StripeError as refused:
            if refused.status != 402:
                raise
            return None

    # Subscriptions ----------------------------------------------------------------------------------------------------

    def _subscription(self, who: str, name: str) -> str:
        """A subscription by its name, else the newest of a customer."""
        if name:
            if name not in self.sales.subscriptions:
                raise Unplayable(f"The subscription “{name}” does not exist by then.")
            return self.sales.subscriptions[name]
        own = [sub["id"] for sub in self.sandbox.live("subscription") if sub["customer"] == customer_id(who)]
        if not own:
            raise Unplayable(f"{who} has no subscription by then.")
        return str(own[-1])

    def _change(self, who: str, given: PlanChange) -> None:
        self.sandbox.change_subscription(
            self._subscription(who, given.subscription),
            price=given.price or None,
            quantity=given.quantity,
            proration_behavior=_SETTLES[given.settles],
        )

    def _cancel(self, who: str, given: Ending) -> None:
        self.sandbox.cancel_subscription(
            self._subscription(who, given.subscription),
            at_period_end=given.when == "period_end",
            prorate=given.credits_rest,
            invoice_now=given.credits_rest,
        )

    def _restart(self, who: str, which: bool | str) -> None:
        """Take back a cancellation that is to come; after the end, subscribe to the same anew."""
        name = which if isinstance(which, str) else ""
        sub = self.sandbox.find("subscription", self._subscription(who, name))
        if sub["status"] != "canceled":
            self.sandbox.keep_subscription(sub["id"])
            return
        row = sub["items"]["data"][0]
        made = self.sandbox.subscribe(sub["customer"], price=row["price"]["id"], quantity=row["quantity"])
        if name:
            self.sales.subscriptions[name] = str(made["id"])

    def _set(self, who: str, given: Setting) -> None:
        if given.subscription:
            self.sandbox.update_subscription(self._subscription(who, given.subscription), metadata=given.metadata)
            return
        changes: Doc = {
            name: getattr(given, name)
            for name in ("email", "name", "country", "card", "metadata")
            if getattr(given, name)
        }
        self.sandbox.update_customer(customer_id(who), **changes)

    # Invoices and money -----------------------------------------------------------------------------------------------

    def _invoice(self, who: str, given: Invoice) -> None:
        rows: list[Doc] = []
        currencies: set[str] = set()
        for line in given.lines:
            if line.price:
                rows.append({"price": line.price, "quantity": line.quantity})
                currencies.add(money(self.stage.prices[line.price].amount).currency)
            else:
                amount = money(line.amount)
                rows.append({"amount": amount.amount_minor, "description": line.text or "Work"})
                currencies.add(amount.currency)
        if len(currencies) > 1:
            raise Unplayable("An invoice has one currency: write another one for the other lines.")
        made = self.sandbox.create_invoice(
            customer_id(who),
            rows,
            currency=currencies.pop(),
            tax_rate=self.stage.tax_rates[given.tax] if given.tax else None,
            coupon=given.coupon or None,
        )
        if given.name:
            self.sales.named[given.name] = str(made["id"])
        if given.paid != "later":
            self.sandbox.pay_invoice(made["id"], out_of_band=given.paid == "outside")

    def _pay(self, given: Payment) -> None:
        amount = self._part(given.sale, given.amount)
        self.sandbox.pay_invoice(self._invoice_of(given.sale), amount=amount, out_of_band=given.outside)

    def _refund(self, given: Refund) -> None:
        if given.price:
            amount = self._part(given.sale, given.amount)
            self._credit_line(given.sale, given.price, amount, "refund")
            return
        status = "succeeded" if not given.fails else "pending"
        made = self.sandbox.refund(self._paid(given.sale), amount=self._part(given.sale, given.amount), status=status)
        if given.fails:
            self.sandbox.fail_refund(made["id"])

    def _credit(self, given: CreditNote) -> None:
        amount = self._part(given.sale, given.amount)
        if given.price:
            self._credit_line(given.sale, given.price, amount, given.gives)
            return
        self.sandbox.credit_note(
            self._invoice_of(given.sale), amount=amount, **self._gives(given.sale, amount, given.gives)
        )

    def _credit_line(self, sale: str, price: str, amount: int | None, gives: str) -> None:
        invoice = self.sandbox.find("invoice", self._invoice_of(sale))
        line = next((one for one in self.sandbox.lines_of(invoice) if _price_of(one) == price), None)
        if line is None:
            raise Unplayable(f"{sale} has no line of the price {price}.")
        off = sum(part["amount"] for part in line["discount_amounts"] or ())
        credited = line["amount"] - off if amount is None else amount
        row = {"invoice_line_item": line["id"], "amount": credited}
        self.sandbox.credit_note(invoice["id"], lines=[row], **self._gives(sale, credited, gives))

    def _gives(self, sale: str, amount: int | None, gives: str) -> Doc:
        """Where the money of a credit note goes; an open invoice is only made smaller."""
        invoice = self.sandbox.find("invoice", self._invoice_of(sale))
        if invoice["status"] == "open" or gives == "refund":
            return {}
        return {"credit_amount" if gives == "credit" else "out_of_band_amount": amount}

    def _close(self, sale: str, status: str) -> None:
        charge = self.sandbox.charge_of(self._paid(sale))
        if not charge.get("dispute"):
            raise Unplayable(f"{sale} is not disputed.")
        is_inquiry = self.sandbox.find("dispute", charge["dispute"])["status"].startswith("warning")
        self.sandbox.close_dispute(charge["dispute"], "warning_closed" if is_inquiry and status == "won" else status)

    def _part(self, sale: str, text: str) -> int | None:
        """An amount of a sale, in the sale's currency; None where none is given."""
        if not text:
            return None
        given = money(text)
        stripe_id = self.sales.sale(sale)
        kind = "invoice" if stripe_id.startswith("in_") else "checkout.session"
        currency = self.sandbox.find(kind, stripe_id)["currency"]
        if currency != given.currency:
            raise Unplayable(f"{sale} is in {currency.upper()}, not in {given.currency.upper()}.")
        return given.amount_minor

    def _paid(self, sale: str) -> str:
        """The Stripe id of a sale that was paid by card."""
        stripe_id = self.sales.sale(sale)
        if stripe_id.startswith("in_") and not self.sandbox.find("invoice", stripe_id)["_charge"]:
            raise Unplayable(f"No card has paid {sale}, so no money can go back through Stripe.")
        return stripe_id

    def _invoice_of(self, sale: str) -> str:
        stripe_id = self.sales.sale(sale)
        if not stripe_id.startswith("in_"):
            raise Unplayable(f"{sale} has no invoice: refund an amount, or sell it with `invoice: true`.")
        return stripe_id


def _price_of(line: Doc) -> str | None:
    details = (line["pricing"] or {}).get("price_details") or {}
    found = details.get("price")
    return None if found is None else str(found)
