"""`Sandbox`: all the layers, the agenda of what is due, and the clock that only `advance` moves."""

import heapq
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from refref.sandbox.accounts import Accounts
from refref.sandbox.catalog import Metadata, merged
from refref.sandbox.checkout import Checkout
from refref.sandbox.errors import StripeError
from refref.sandbox.oauth import OAuth
from refref.sandbox.store import API_VERSION, HOME_ACCOUNT, Doc, acted
from refref.sandbox.subscriptions import EXPIRES_AFTER, LIVE
from refref.sandbox.timeline import DAY, instant, months_after

MONEY_DUE: dict[str, Callable[[OAuth, str], None]] = {
    "release_funds": OAuth.release_funds,
    "payout_leaves": OAuth.payout_leaves,
    "payout_arrives": OAuth.payout_arrives,
    "automatic_payout": OAuth.automatic_payout,
}


class Sandbox(OAuth, Checkout):
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
        self._agenda: list[tuple[int, int, str, str]] = []
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
        for sub in self.live("subscription"):
            self._plan_again(sub)
        for session in self.live("checkout.session"):
            if session["status"] == "open":
                self.plan(session["expires_at"], "expire_session", session["id"])

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

    def _plan_again(self, sub: Doc) -> None:
        """Put a kept subscription back on the agenda."""
        if sub["status"] in LIVE:
            self.plan(sub["items"]["data"][0]["current_period_end"], "renew", sub["id"])
        if sub["status"] == "trialing" and sub["trial_end"] - 3 * DAY > self.now:
            self.plan(sub["trial_end"] - 3 * DAY, "trial_will_end", sub["id"])
        if sub["status"] == "incomplete":
            self.plan(sub["created"] + EXPIRES_AFTER, "expire", sub["id"])

    def plan(self, at: int, what: str, object_id: str) -> None:
        """Do `what` with an object when the clock reaches `at`."""
        self._planned += 1
        heapq.heappush(self._agenda, (at, self._planned, what, object_id))

    @acted("nobody")
    def advance(self, to: int | str | datetime) -> Doc:
        """Move the clock and do everything that falls due, in order of time; returns how many events came of it."""
        target = instant(to)
        if self.accounts.home is not self:
            return self.accounts.home.advance(target)
        if target < self.now:
            raise ValueError("the clock only moves forward")
        before = sum(len(each.events) for each in self.accounts.members)
        self._pass_time(target)
        for other in self.accounts.members[1:]:
            other._pass_time(target)
        return {"now": target, "events": sum(len(each.events) for each in self.accounts.members) - before}

    def _pass_time(self, target: int) -> None:
        while self._agenda and self._agenda[0][0] <= target:
            at, _, what, object_id = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            self._due(at, what, object_id)
        self.now = target

    def advance_by(self, *, days: int = 0, hours: int = 0, months: int = 0) -> Doc:
        """`advance` by calendar months, then days and hours."""
        return self.advance(months_after(self.now, months) + days * DAY + hours * 3600)

    def _due(self, at: int, what: str, object_id: str) -> None:
        if what == "renew":
            self.renew(object_id, at)
        elif what == "trial_will_end":
            self.trial_will_end(object_id)
        elif what in MONEY_DUE:
            MONEY_DUE[what](self, object_id)
        elif what == "expire":
            self.expire_incomplete(object_id)
        elif self.find("checkout.session", object_id)["status"] == "open":
            self.expire_session(object_id)

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
        api_version: str | None = None,
        description: str | None = None,
        metadata: Metadata | None = None,
    ) -> Doc:
        """A new endpoint; `secret` is in this answer only."""
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
