"""`Sandbox`: all the layers, the agenda of what is due, and the clock that only `advance` moves."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from refref.sandbox.account_links import AccountLinks
from refref.sandbox.accounts import Accounts
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.clocks import CLOCK, Clocks
from refref.sandbox.credit_grants import CreditGrants
from refref.sandbox.entitlements import Entitlements
from refref.sandbox.errors import StripeError
from refref.sandbox.oauth import OAuth
from refref.sandbox.store import API_VERSION, HOME_ACCOUNT, Doc, acted
from refref.sandbox.timeline import DAY, instant, months_after

MONEY_DUE: dict[str, Callable[[OAuth, str], None]] = {
    "release_funds": OAuth.release_funds,
    "payout_leaves": OAuth.payout_leaves,
    "payout_arrives": OAuth.payout_arrives,
    "automatic_payout": OAuth.automatic_payout,
}


class Sandbox(AccountLinks, CreditGrants, Entitlements, Clocks):
    """A stateful Stripe account in test mode; see the package for what each method emits."""

    def __init__(
        self,
        *,
        clock_start: int | str | datetime = "2026-01-01T00:00:00+00:00",
        seed: int = 0,
        path: Path | str | None = None,
        public_url: str = "http://127.0.0.1:8420",
        api_version: str = API_VERSION,
        home: "Sandbox | None" = None,
        account_id: str = HOME_ACCOUNT,
    ) -> None:
        self._agendas: dict[str, list[tuple[int, int, int, str, str]]] = {}  # by test clock; blank: the common time
        self._planned = 0
        super().__init__(
            clock_start=clock_start,
            seed=seed,
            path=path,
            public_url=public_url,
            api_version=api_version,
            home=home,
            account_id=account_id,
        )
        self.accounts = Accounts(self) if home is None else home.accounts
        self._plan_money_again()
        self.plan_billing_again()

    def _plan_money_again(self) -> None:
        """Put money that is on its way back on the agenda, and open the accounts that were kept."""
        for entry in self.live("balance_transaction"):
            if entry["status"] == "pending":
                self.plan(entry["available_on"], "release_funds", entry["id"])
            self.booked(entry)
        for payout in self.live("payout"):
            if payout["status"] == "pending" and payout["method"] == "standard":
                self.plan(payout["created"] + DAY, "payout_leaves", payout["id"])
            if payout["status"] in ("pending", "in_transit"):
                self.plan(payout["arrival_date"], "payout_arrives", payout["id"])
        if self.accounts.home is self:
            self.accounts.open_kept()

    def plan(self, at: int, what: str, object_id: str) -> None:
        """Do `what` with an object when its clock reaches `at`; a rehearsal plans nothing."""
        if self.rehearsing:
            return
        self._planned += 1
        # A schedule moves on before the renewal of the same instant bills.
        order = 0 if what == "phase" else 1
        heapq.heappush(self._agendas.setdefault(self.clock, []), (at, order, self._planned, what, object_id))

    @acted("nobody")
    def advance(self, to: int | str | datetime) -> Doc:
        """Move the clock and do everything that falls due, in order of time; returns how many events came of it."""
        target = instant(to)
        if self.accounts.home is not self:
            return self.accounts.home.advance(target)
        if target < self.now:
            raise ValueError("the clock only moves forward")
        before = sum(len(each.events) for each in self.accounts.members)
        self.pass_time(target)
        for other in self.accounts.members[1:]:
            other.pass_time(target)
        return {"now": target, "events": sum(len(each.events) for each in self.accounts.members) - before}

    def pass_time(self, target: int) -> None:
        """Do what is due on the present clock until `target`, in order of time."""
        agenda = self._agendas.setdefault(self.clock, [])
        while agenda and agenda[0][0] <= target:
            at, _, _, what, object_id = heapq.heappop(agenda)
            self.now = max(self.now, at)
            if self.clock:
                self.alter(self.find(CLOCK, self.clock), frozen_time=self.now)
            self._due(at, what, object_id)
        self.now = target

    def advance_by(self, *, days: int = 0, hours: int = 0, months: int = 0) -> Doc:
        """`advance` by calendar months, then days and hours."""
        return self.advance(months_after(self.now, months) + days * DAY + hours * 3600)

    def _due(self, at: int, what: str, object_id: str) -> None:
        if what in MONEY_DUE:
            MONEY_DUE[what](self, object_id)
        else:
            self.billing_due(at, what, object_id)

    @acted("nobody")
    def sell(
        self,
        /,
        *,
        price: str,
        quantity: int = 1,
        customer: str | None = None,
        card: str | None = None,
        email: str | None = None,
        name: str | None = None,
        promotion_code: str | None = None,
        **more: Any,
    ) -> Doc:
        """Open a Checkout Session for one price and complete it."""
        mode = "subscription" if self.find("price", price, "price")["recurring"] else "payment"
        items = [{"price": price, "quantity": quantity}]
        session = self.checkout(mode=mode, line_items=items, customer=customer, **more)
        paying = card or self.card_of(customer)
        return self.pay_session(session["id"], card=paying, email=email, name=name, promotion_code=promotion_code)

    # webhook endpoints

    @acted("api")
    def create_webhook_endpoint(
        self,
        url: str,
        *,
        enabled_events: Sequence[str] = ("*",),
        connect: bool = False,
        api_version: str | None = None,
        description: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new endpoint; `secret` is in this answer only. `connect`: for the events of connected accounts only."""
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise StripeError("Invalid URL: An explicit scheme (such as https) must be provided.", param="url")
        if len([e for e in self.live("webhook_endpoint") if e["status"] == "enabled"]) >= 16:
            raise StripeError("You have reached the maximum of 16 test webhook endpoints.", param="url")
        endpoint = {
            "id": self.ids.make("webhook_endpoint"),
            "object": "webhook_endpoint",
            "api_version": api_version,
            "application": None,
            "created": self.now,
            "description": description,
            "enabled_events": list(enabled_events),
            "livemode": False,
            "metadata": merged({}, metadata),
            "status": "enabled",
            "url": url,
            "_connect": connect,
            "_secret": self.ids.make("webhook_secret"),
        }
        self.put(endpoint)
        return {**endpoint, "secret": endpoint["_secret"]}

    @acted("api")
    def update_webhook_endpoint(self, endpoint: str, changes: Mapping[str, Any]) -> Doc:
        """Change url, enabled_events, description, metadata or status (`disabled`)."""
        doc = self.find("webhook_endpoint", endpoint)
        wanted = {k: merged(doc["metadata"], v) if k == "metadata" else v for k, v in changes.items()}
        self.alter(doc, **wanted)
        return doc

    @acted("api")
    def delete_webhook_endpoint(self, endpoint: str) -> Doc:
        """Remove an endpoint."""
        self.remove(self.find("webhook_endpoint", endpoint))
        return {"id": endpoint, "object": "webhook_endpoint", "deleted": True}
