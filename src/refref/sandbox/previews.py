"""Previews of invoices: the change is really made, its invoice noted, and everything put back as it was."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from refref.sandbox.errors import StripeError
from refref.sandbox.payment_links import PaymentLinks
from refref.sandbox.store import Doc, acted, copy_of
from refref.sandbox.subscriptions import LIVE, interval_of
from refref.sandbox.timeline import period_end


class Previews(PaymentLinks):
    """Says what an invoice would be."""

    _undo: list[Callable[[], None]] | None = None

    def put(self, doc: Doc) -> Doc:
        """Add a document; in a rehearsal it goes again."""
        if self._undo is not None:
            self._undo.append(lambda: super(Previews, self).remove(doc))
        return super().put(doc)

    def remove(self, doc: Doc) -> None:
        """Forget a document; in a rehearsal it comes back."""
        if self._undo is not None:
            self._undo.append(lambda: self._restore(doc))
        super().remove(doc)

    def _restore(self, doc: Doc) -> None:
        super().put(doc)

    def alter(self, doc: Doc, **changes: Any) -> Doc:
        """Change a document; in a rehearsal it is changed back."""
        if self._undo is not None:
            was = copy_of(doc)
            self._undo.append(lambda: self._put_back(doc, was))
        return super().alter(doc, **changes)

    def _put_back(self, doc: Doc, was: Doc) -> None:
        doc.clear()
        super().alter(doc, **was)

    def emit(self, kind: str, doc: Doc, previous: Doc | None = None) -> Doc:
        """Record an event; a rehearsal has none."""
        return {} if self._undo is not None else super().emit(kind, doc, previous)

    @property
    def rehearsing(self) -> bool:
        """Whether what happens now will be undone."""
        return self._undo is not None

    @contextmanager
    def rehearsal(self, *changed: Doc) -> Iterator[None]:
        """Whatever happens inside is undone at the end; `changed` are documents that are changed in place."""
        self._undo = [functools.partial(self._put_back, doc, copy_of(doc)) for doc in changed]
        counts = dict(self.ids.counts)
        try:
            yield
        finally:
            steps, self._undo = self._undo, None
            for step in reversed(steps):
                step()
            self.ids.counts.clear()
            self.ids.counts.update(counts)

    @acted("api")
    def preview_invoice(
        self,
        /,
        customer: str | None = None,
        *,
        subscription: str | None = None,
        items: Sequence[Mapping[str, Any]] = (),
        invoice_items: Sequence[Mapping[str, Any]] = (),
        proration_behavior: str = "create_prorations",
        proration_date: int | None = None,
        cancel_now: bool = False,
        currency: str | None = None,
        discounts: Sequence[Mapping[str, Any]] | None = None,
        **terms: Any,
    ) -> Doc:
        """The next invoice of a subscription, also after a change; the first of a new one; or of pending items.

        `items`: as for `change_items`, or for a new subscription. `terms`: of a new subscription (`Terms`).
        """
        if subscription is not None:
            sub = self.changeable(subscription)
            with self.rehearsal(sub, self.find("customer", sub["customer"])):
                return self._of_running(
                    sub, items, invoice_items, discounts, cancel_now, proration_behavior, proration_date
                )
        if customer is None:
            raise StripeError("Pass a customer or a subscription.", code="parameter_missing", param="customer")
        buyer = self.customer(customer, "customer")
        with self.rehearsal(buyer):
            money = currency or buyer["currency"] or "usd"
            for item in invoice_items:
                self.add_invoice_item(customer, **{"currency": money, **item})
            if items:
                sub = self.subscribe(
                    customer, items=items, payment_behavior="default_incomplete", currency=currency,
                    discounts=discounts or (), **terms,
                )  # fmt: skip
                return self._as_preview(self.find("invoice", sub["latest_invoice"]))
            if not self.pending_drafts(customer, money, None):
                raise StripeError("No upcoming invoices for customer", code="invoice_upcoming_none", status=404)
            return self._as_preview(self.create_invoice(customer, currency=money, finalize=False))

    def _of_running(
        self,
        sub: Doc,
        items: Sequence[Mapping[str, Any]],
        extra: Sequence[Mapping[str, Any]],
        discounts: Sequence[Mapping[str, Any]] | None,
        cancel_now: bool,
        behavior: str,
        at: int | None,
    ) -> Doc:
        for item in extra:
            self.add_invoice_item(sub["customer"], subscription=sub["id"], **{"currency": sub["currency"], **item})
        if discounts is not None:
            self.set_discounts(sub["id"], discounts)
        if cancel_now:
            self.cancel_subscription(sub["id"], prorate=behavior != "none", invoice_now=True)
            return self._as_preview(self.find("invoice", sub["latest_invoice"]))
        known = sub["latest_invoice"]
        if items:
            self.change_items(sub["id"], items, proration_behavior=behavior, proration_date=at)
        if sub["latest_invoice"] != known:
            return self._as_preview(self.find("invoice", sub["latest_invoice"]))
        return self._as_preview(self._next(sub))

    def _next(self, sub: Doc) -> Doc:
        """The draft of the next renewal."""
        rows = sub["items"]["data"]
        if sub["status"] not in LIVE or sub["cancel_at_period_end"]:
            raise StripeError("No upcoming invoices for this subscription", code="invoice_upcoming_none", status=404)
        at = min(row["current_period_end"] for row in rows)
        period = rows[0]["current_period_start"], at
        self.alter(sub, status="active")
        due = [row for row in rows if row["current_period_end"] == at]
        for row in due:
            end = period_end(sub["billing_cycle_anchor"], at, *interval_of(row["price"]))
            row.update(current_period_start=at, current_period_end=end)
        drafts = [draft for row in due for draft in self.period_drafts(sub, row)]
        drafts += self.pending_drafts(sub["customer"], sub["currency"], sub["id"])
        return self.draft_invoice(
            self.find("customer", sub["customer"]),
            drafts,
            currency=sub["currency"],
            reason="upcoming",
            discounts=sub["_discounts"],
            rates=sub["_rates"],
            collection_method=sub["collection_method"],
            days_until_due=sub["days_until_due"],
            subscription=sub,
            period=period,
        )

    def _as_preview(self, invoice: Doc) -> Doc:
        """The invoice as a preview: a draft with the customer balance already used."""
        shown = copy_of(invoice)
        starting = self.balance_in(self.find("customer", invoice["customer"]), invoice["currency"])
        if invoice["status"] != "draft":
            starting = invoice["starting_balance"]
        total = invoice["total"] + starting
        name = f"upcoming_{invoice['id']}"
        transitions = dict.fromkeys(invoice["status_transitions"])
        lines = copy_of(self.lines_of(invoice))
        for line in lines:
            line["invoice"] = name
        return shown | {
            "id": name,
            "status": "draft",
            "amount_due": max(0, total),
            "amount_paid": 0,
            "amount_remaining": max(0, total),
            "attempted": False,
            "attempt_count": 0,
            "auto_advance": False,
            "effective_at": None,
            "ending_balance": min(0, total),
            "hosted_invoice_url": None,
            "invoice_pdf": None,
            "lines": shown["lines"] | {"data": lines, "has_more": False, "url": f"/v1/invoices/{name}/lines"},
            "next_payment_attempt": None,
            "number": None,
            "starting_balance": starting,
            "status_transitions": transitions,
            "webhooks_delivered_at": None,
        }
