"""Subscription schedules: phases that move a subscription to other prices at set instants.

What the clock does carries no request id, as at Stripe.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.errors import StripeError
from refref.sandbox.renewals import Renewals
from refref.sandbox.store import Doc, acted, copy_of
from refref.sandbox.subscriptions import LIVE, Terms, interval_of
from refref.sandbox.timeline import period_end

PHASE_UNSET = ("application_fee_percent", "billing_cycle_anchor", "billing_thresholds", "collection_method",
               "default_payment_method", "description", "invoice_settings", "on_behalf_of", "transfer_data",
               "trial_end")  # fmt: skip
UNSET = ("application", "canceled_at", "completed_at", "current_phase", "customer_account", "released_at",
         "released_subscription", "subscription", "test_clock")  # fmt: skip
ENDS = ("release", "cancel")


class Schedules(Renewals):
    """Plans what becomes of subscriptions."""

    @acted("api")
    def create_schedule(
        self,
        customer: str | None = None,
        phases: Sequence[Mapping[str, Any]] = (),
        *,
        start_at: int | None = None,
        end_behavior: str = "release",
        from_subscription: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new schedule that starts now or at `start_at`, or that takes over a running subscription.

        A phase: `{"items": [{"price", "quantity"}], "end_date"}`, or instead of end_date `"iterations"` (periods) or
        `"duration": {"interval", "interval_count"}`; also discounts, trial, trial_end, proration_behavior, metadata.
        """
        if end_behavior not in ENDS:
            raise StripeError("Invalid end_behavior: release or cancel", param="end_behavior")
        if from_subscription is not None:
            return self._taking_over(from_subscription, end_behavior, metadata)
        if customer is None or not phases:
            name = "customer" if customer is None else "phases"
            raise StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)
        buyer = self.customer(customer, "customer")
        at = self.now if start_at is None else start_at
        schedule = self._blank(buyer, end_behavior, metadata)
        self.alter(schedule, phases=self._phases(phases, at))
        self.emit("subscription_schedule.created", schedule)
        if at <= self.now:
            self._begin(schedule)
        else:
            self.plan(at, "phase", schedule["id"])
        return schedule

    def _taking_over(self, subscription: str, end_behavior: str, metadata: Metadata | None) -> Doc:
        sub = self.find("subscription", subscription, "from_subscription")
        if sub["schedule"] is not None:
            raise StripeError("The subscription is already managed by a schedule.", param="from_subscription")
        if sub["status"] not in LIVE:
            raise StripeError(f"The subscription is {sub['status']}.", param="from_subscription")
        schedule = self._blank(self.find("customer", sub["customer"]), end_behavior, metadata)
        rows = sub["items"]["data"]
        items = [{"price": r["price"]["id"], "quantity": r["quantity"]} for r in rows]
        start, end = rows[0]["current_period_start"], rows[0]["current_period_end"]
        phases = self._phases([{"items": items, "end_date": end, "metadata": sub["metadata"]}], start)
        self.alter(schedule, phases=phases, subscription=subscription)
        self._enter(schedule, phases[0])
        self.alter(sub, schedule=schedule["id"])
        self.emit("subscription_schedule.created", schedule)
        return schedule

    def _blank(self, customer: Doc, end_behavior: str, metadata: Metadata | None) -> Doc:
        tax = {"disabled_reason": None, "enabled": False, "liability": None}
        settings = {
            "application_fee_percent": None,
            "automatic_tax": tax,
            "billing_cycle_anchor": "automatic",
            "billing_thresholds": None,
            "collection_method": "charge_automatically",
            "default_payment_method": None,
            "description": None,
            "invoice_settings": {"account_tax_ids": None, "days_until_due": None, "issuer": {"type": "self"}},
            "on_behalf_of": None,
            "transfer_data": None,
        }
        flexible = {"proration_discounts": "included"}
        schedule: Doc = dict.fromkeys(UNSET)
        schedule |= {
            "id": self.ids.make("subscription_schedule"),
            "object": "subscription_schedule",
            "billing_mode": {"flexible": flexible, "type": "flexible", "updated_at": self.now},
            "created": self.now,
            "customer": customer["id"],
            "default_settings": settings,
            "end_behavior": end_behavior,
            "livemode": False,
            "metadata": merged({}, metadata),
            "phases": [],
            "status": "not_started",
            "test_clock": customer["test_clock"],
        }
        return self.put(schedule)

    def _phases(self, given: Sequence[Mapping[str, Any]], at: int) -> list[Doc]:
        found: list[Doc] = []
        for number, phase in enumerate(given):
            found.append(self._phase(phase, at, number))
            at = found[-1]["end_date"]
        return found

    def _phase(self, given: Mapping[str, Any], at: int, number: int) -> Doc:
        where = f"phases[{number}]"
        if not given.get("items"):
            raise StripeError(f"Missing required param: {where}[items].", code="parameter_missing", param=where)
        prices = [self.price_for(item, f"{where}[items][0][price]") for item in given["items"]]
        if any(p["recurring"] is None for p in prices):
            raise StripeError("The price specified is set to `type=one_time`.", param=f"{where}[items][0][price]")
        end = self._end_of(given, at, prices[0])
        if end <= at:
            raise StripeError(f"The end of {where} must be after its start.", param=f"{where}[end_date]")
        trial_end = end if given.get("trial") else given.get("trial_end")
        phase: Doc = dict.fromkeys(PHASE_UNSET)
        phase |= {
            "add_invoice_items": [],
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "currency": str(given.get("currency") or prices[0]["currency"]).lower(),
            "default_tax_rates": [],
            "discounts": [
                {k: d.get(k) for k in ("coupon", "discount", "promotion_code")} for d in given.get("discounts", ())
            ],
            "end_date": end,
            "items": [
                {
                    "billing_thresholds": None,
                    "discounts": [],
                    "metadata": dict(item.get("metadata", {})),
                    "plan": price["id"],
                    "price": price["id"],
                    "quantity": int(item.get("quantity", 1)),
                    "tax_rates": [],
                }
                for item, price in zip(given["items"], prices, strict=True)
            ],
            "metadata": dict(given.get("metadata", {})),
            "proration_behavior": given.get("proration_behavior") or "create_prorations",
            "start_date": at,
            "trial_end": None if trial_end is None else int(trial_end),
        }
        return phase

    def _end_of(self, given: Mapping[str, Any], at: int, price: Doc) -> int:
        if given.get("end_date") is not None:
            return int(given["end_date"])
        duration = given.get("duration")
        unit, count = interval_of(price)
        if duration:
            unit, count = duration["interval"], int(duration.get("interval_count", 1))
        end = at
        for _ in range(1 if duration else int(given.get("iterations") or 1)):
            end = period_end(at, end, unit, count)
        return end

    def _begin(self, schedule: Doc) -> None:
        """The first phase starts its subscription."""
        phase = schedule["phases"][0]
        customer = self.find("customer", schedule["customer"])
        terms = Terms(
            trial_end=phase["trial_end"],
            discounts=phase["discounts"],
            metadata=phase["metadata"],
            currency=phase["currency"],
            schedule=schedule["id"],
        )
        self._enter(schedule, phase)
        sub = self.start_subscription(customer, phase["items"], "active", self.card_of(customer["id"]), terms)
        self.alter(schedule, subscription=sub["id"])

    def _enter(self, schedule: Doc, phase: Doc) -> Doc:
        self.plan(phase["end_date"], "phase", schedule["id"])
        now = {"end_date": phase["end_date"], "start_date": phase["start_date"]}
        return self.alter(schedule, status="active", current_phase=now)

    def phase_due(self, schedule: str, at: int) -> None:
        """A phase begins or ends at `at`."""
        doc = self.find("subscription_schedule", schedule)
        if doc["status"] == "not_started" and doc["phases"][0]["start_date"] == at:
            self._begin(doc)
            self.emit("subscription_schedule.updated", doc, {"status": "not_started", "current_phase": None})
        elif doc["status"] == "active" and doc["current_phase"]["end_date"] == at:
            following = next((p for p in doc["phases"] if p["start_date"] == at), None)
            if following is None:
                self._finish(doc)
            else:
                self._move_on(doc, following)

    def _move_on(self, schedule: Doc, phase: Doc) -> None:
        sub = self.find("subscription", schedule["subscription"])
        before = self._enter(schedule, phase)
        if sub["status"] in (*LIVE, "incomplete"):
            self.change_items(
                sub["id"],
                self._item_changes(sub, phase),
                proration_behavior=phase["proration_behavior"],
                before=self.apply(sub, {"metadata": phase["metadata"]}) if phase["metadata"] else None,
            )
            if phase["discounts"]:
                self.set_discounts(sub["id"], [{k: v for k, v in d.items() if v} for d in phase["discounts"]])
            if phase["trial_end"]:
                self.change_trial(sub["id"], phase["trial_end"])
        self.emit("subscription_schedule.updated", schedule, before)

    def _item_changes(self, sub: Doc, phase: Doc) -> list[Doc]:
        """What makes the items of a subscription those of a phase: one after the other, the rest added or deleted."""
        rows, wanted = sub["items"]["data"], phase["items"]
        changes: list[Doc] = []
        for i, item in enumerate(wanted):
            row = {"id": rows[i]["id"]} if i < len(rows) else {}
            changes.append({**row, "price": item["price"], "quantity": item["quantity"]})
        return changes + [{"id": row["id"], "deleted": True} for row in rows[len(wanted) :]]

    def _finish(self, schedule: Doc) -> None:
        sub = self.find("subscription", schedule["subscription"])
        if schedule["end_behavior"] == "release":
            self._release(schedule, sub)
            return
        self.alter(schedule, status="completed", completed_at=self.now, current_phase=None)
        self.emit("subscription_schedule.completed", schedule)
        if sub["status"] in (*LIVE, "incomplete", "paused"):
            self.end_subscription(sub)

    def _release(self, schedule: Doc, sub: Doc | None) -> None:
        self.alter(
            schedule,
            status="released",
            released_at=self.now,
            released_subscription=sub and sub["id"],
            subscription=None,
            current_phase=None,
        )
        if sub is not None:
            self.alter(sub, schedule=None)
        self.emit("subscription_schedule.released", schedule)

    def _open_schedule(self, schedule: str) -> Doc:
        doc = self.find("subscription_schedule", schedule)
        if doc["status"] not in ("not_started", "active"):
            raise StripeError(
                f"You cannot change a subscription schedule that is in the `{doc['status']}` status.", param="schedule"
            )
        return doc

    @acted("api")
    def update_schedule(
        self,
        schedule: str,
        *,
        phases: Sequence[Mapping[str, Any]] | None = None,
        end_behavior: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """Change the phases (the current one first), what happens at the end, or the metadata."""
        doc = self._open_schedule(schedule)
        changes: Doc = {"metadata": merged(doc["metadata"], metadata)}
        if end_behavior is not None:
            if end_behavior not in ENDS:
                raise StripeError("Invalid end_behavior: release or cancel", param="end_behavior")
            changes["end_behavior"] = end_behavior
        if phases:
            start = (doc["current_phase"] or doc["phases"][0])["start_date"]
            changes["phases"] = self._phases(phases, start)
        before = self.alter(doc, **changes)
        if phases and doc["status"] == "active":
            present = next((p for p in doc["phases"] if p["start_date"] <= self.now < p["end_date"]), None)
            if present is None:
                raise StripeError("One of the phases must hold now.", param="phases")
            before |= self._enter(doc, present)
            sub = self.find("subscription", doc["subscription"])
            self.change_items(
                sub["id"],
                self._item_changes(sub, present),
                proration_behavior=present["proration_behavior"],
            )
        elif phases:
            self.plan(doc["phases"][0]["start_date"], "phase", schedule)
        self.emit("subscription_schedule.updated", doc, copy_of(before))
        return doc

    @acted("api")
    def release_schedule(self, schedule: str) -> Doc:
        """The subscription goes on as it is, without the schedule."""
        doc = self._open_schedule(schedule)
        self._release(doc, None if doc["subscription"] is None else self.find("subscription", doc["subscription"]))
        return doc

    @acted("api")
    def cancel_schedule(self, schedule: str) -> Doc:
        """End the schedule, and its subscription at once."""
        doc = self._open_schedule(schedule)
        self.alter(doc, status="canceled", canceled_at=self.now, current_phase=None)
        if doc["subscription"] is not None:
            sub = self.find("subscription", doc["subscription"])
            if sub["status"] in (*LIVE, "incomplete", "paused"):
                self.end_subscription(sub)
        self.emit("subscription_schedule.canceled", doc)
        return doc
