"""Test clocks: customers whose time a merchant's test moves on its own, and what falls due in billing.

Owns what each entry of the agenda means for subscriptions, invoices and sessions; the agenda itself is in `state`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from refref.sandbox.errors import StripeError
from refref.sandbox.previews import Previews
from refref.sandbox.store import NOBODY, Doc, acted
from refref.sandbox.subscriptions import EXPIRES_AFTER, LIVE
from refref.sandbox.timeline import DAY, instant

CLOCK = "test_helpers.test_clock"
DELETED_AFTER = 30 * DAY
# Where a customer is found that tells whose time an id is in.
OWNED = ("subscription", "invoice", "checkout.session", "payment_intent", "charge", "subscription_schedule",
         "invoiceitem", "credit_note", "setup_intent", "payment_method")  # fmt: skip


class Clocks(Previews):
    """Moves time for some customers only."""

    clock = ""

    @contextmanager
    def on_clock(self, clock: str | None) -> Iterator[None]:
        """What happens inside happens at the time of a test clock; None or blank: at the common time."""
        if not clock or clock == self.clock:
            yield
            return
        outer, common = self.clock, self.now
        self.clock, self.now = clock, self.find(CLOCK, clock)["frozen_time"]
        try:
            yield
        finally:
            self.clock, self.now = outer, common

    def clock_of(self, values: tuple[object, ...], named: Mapping[str, object]) -> str | None:
        """The test clock of the customer that the arguments of a call are about."""
        if not self.live(CLOCK):
            return None
        for value in (*values, *named.values()):
            if isinstance(value, str) and (found := self._clock_behind(value)):
                return found
        return None

    def _clock_behind(self, object_id: str) -> str | None:
        if self.has(CLOCK, object_id):
            return object_id
        for kind in OWNED:
            if self.has(kind, object_id):
                object_id = self.find(kind, object_id).get("customer") or ""
                break
        if self.has("customer", object_id):
            return self.find("customer", object_id).get("test_clock")
        return None

    @acted("api")
    def create_test_clock(self, frozen_at: int | str | datetime, *, name: str | None = None) -> Doc:
        """A new test clock that stands at `frozen_at`; customers made with `test_clock=` follow it only."""
        clock: Doc = {
            "id": self.ids.make(CLOCK),
            "object": CLOCK,
            "created": self.now,
            "deletes_after": self.now + DELETED_AFTER,
            "frozen_time": instant(frozen_at),
            "livemode": False,
            "name": name,
            "status": "ready",
            "status_details": {},
        }
        self.put(clock)
        self.plan(clock["deletes_after"], "delete_clock", clock["id"])
        self.emit("test_helpers.test_clock.created", clock)
        return clock

    @acted("api")
    def advance_test_clock(self, test_clock: str, to: int | str | datetime) -> Doc:
        """Move a test clock and do everything that falls due for its customers; returns it while it advances."""
        clock = self.find(CLOCK, test_clock)
        target = instant(to)
        if target <= clock["frozen_time"]:
            raise StripeError("The clock can only be advanced forward in time.", param="frozen_time")
        details = {"advancing": {"target_frozen_time": target}}
        before = self.alter(clock, status="advancing", status_details=details)
        self.emit("test_helpers.test_clock.advancing", clock, before)
        shown = dict(clock)
        asked, self.request = self.request, NOBODY
        try:
            with self.on_clock(test_clock):
                self.pass_time(target)
        finally:
            self.request = asked
        before = self.alter(clock, status="ready", status_details={}, frozen_time=target)
        self.emit("test_helpers.test_clock.ready", clock, before)
        return shown

    def pass_time(self, target: int) -> None:
        """Do what is due on the present clock until `target`; the layer with the agenda does."""

    @acted("api")
    def delete_test_clock(self, test_clock: str) -> Doc:
        """Delete a test clock and its customers."""
        clock = self.find(CLOCK, test_clock)
        for customer in self.live("customer"):
            if customer.get("test_clock") == test_clock:
                with self.on_clock(test_clock):
                    self.delete_customer(customer["id"])
        self.remove(clock)
        self.emit("test_helpers.test_clock.deleted", clock)
        return {"id": test_clock, "object": CLOCK, "deleted": True}

    # the agenda

    def billing_due(self, at: int, what: str, object_id: str) -> None:
        """Do one entry of the agenda."""
        timed: dict[str, Callable[[str, int], None]] = {
            "renew": self.renew,
            "cancel": self.cancel_due,
            "resume": self.resume_due,
            "phase": self.phase_due,
            "retry": self.retry_due,
        }
        plain: dict[str, Callable[[str], Any]] = {
            "trial_will_end": self.trial_will_end,
            "expire": self.expire_incomplete,
            "finalize": self.finalize_due,
            "settle": self.settle_due,
            "expire_session": self._expire_session_due,
            "delete_clock": self._delete_clock_due,
        }
        if what in timed:
            timed[what](object_id, at)
        else:
            plain[what](object_id)

    def _expire_session_due(self, session: str) -> None:
        if self.find("checkout.session", session)["status"] == "open":
            self.expire_session(session)

    def _delete_clock_due(self, clock: str) -> None:
        if self.has(CLOCK, clock):
            self.delete_test_clock(clock)

    def plan_billing_again(self) -> None:
        """Put what a file kept back on the agenda, each on its clock."""
        for clock in self.live(CLOCK):
            self.plan(clock["deletes_after"], "delete_clock", clock["id"])
        for sub in self.live("subscription"):
            with self.on_clock(sub["test_clock"]):
                self._plan_subscription(sub)
        for session in self.live("checkout.session"):
            if session["status"] == "open":
                with self.on_clock(self._clock_behind(session["id"])):
                    self.plan(session["expires_at"], "expire_session", session["id"])
        for invoice in self.live("invoice"):
            with self.on_clock(self._clock_behind(invoice["id"])):
                if invoice["automatically_finalizes_at"] is not None:
                    self.plan(invoice["automatically_finalizes_at"], "finalize", invoice["id"])
                if invoice["status"] == "open" and invoice["next_payment_attempt"] and self.billing()["retry_days"]:
                    self.plan(invoice["next_payment_attempt"], "retry", invoice["id"])
        for schedule in self.live("subscription_schedule"):
            with self.on_clock(schedule["test_clock"]):
                if schedule["status"] == "not_started":
                    self.plan(schedule["phases"][0]["start_date"], "phase", schedule["id"])
                elif schedule["status"] == "active":
                    self.plan(schedule["current_phase"]["end_date"], "phase", schedule["id"])

    def _plan_subscription(self, sub: Doc) -> None:
        if sub["status"] in LIVE:
            for end in {item["current_period_end"] for item in sub["items"]["data"]}:
                self.plan(end, "renew", sub["id"])
        if sub["status"] == "trialing" and sub["trial_end"] - 3 * DAY > self.now:
            self.plan(sub["trial_end"] - 3 * DAY, "trial_will_end", sub["id"])
        if sub["status"] == "incomplete":
            self.plan(sub["created"] + EXPIRES_AFTER, "expire", sub["id"])
        if sub["cancel_at"] is not None and not sub["cancel_at_period_end"]:
            self.plan(sub["cancel_at"], "cancel", sub["id"])
        if sub["pause_collection"] and sub["pause_collection"]["resumes_at"]:
            self.plan(sub["pause_collection"]["resumes_at"], "resume", sub["id"])
