"""Signed deliveries of events to webhook endpoints, tried again in Stripe's manner, through the weather one asks for.

The pure parts (`sign`, `render_event_bytes`) need neither a network nor an event loop. What is on its way is noted in
the store, so a restart goes on with it.
"""

import asyncio
import hashlib
import heapq
import hmac
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from refref.sandbox.errors import StripeError, missing
from refref.sandbox.state import Sandbox
from refref.sandbox.store import API_VERSION, Doc, wants
from refref.sandbox.versions import known, render
from refref.sandbox.weather import MANNERS, Forecast, Weather

NOTE = "_delivery"
LOOK_SECONDS = 0.05  # how often a waiting delivery looks whether the sandbox's clock was moved

# Posts a body with headers to a URL and returns the status; raises OSError or EOFError when there is no answer.
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """The Stripe-Signature header of a raw body at an instant (unix seconds)."""
    mac = hmac.new(secret.encode(), b"%d.%s" % (timestamp, payload), hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def render_event_bytes(event: Doc, api_version: str = API_VERSION) -> bytes:
    """The body of a delivery: pretty-printed JSON in the shape of that version."""
    return msgspec.json.format(msgspec.json.encode(render(event, api_version)), indent=2)


def wanted(event: Mapping[str, Any], endpoint: Doc, *, connected: bool = False) -> bool:
    """Whether an endpoint asked for that type of event, of its own account or of connected ones, and can receive it."""
    version = endpoint["api_version"] or event["api_version"]
    return wants(endpoint, event["type"], connected=connected) and known(event["type"], version)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint; `attempt` counts from 1, `due_at` is an instant of the sandbox's clock.

    `key` is that of its note. `is_first`: the event's `pending_webhooks` counts it; copies and resent ones it does not.
    An endpoint hears of its own account, or of accounts that are connected to it: then the body names the account.
    """

    key: str
    event: Doc
    endpoint: str
    is_first: bool
    attempt: int = 1
    due_at: int = 0


class Deliveries:
    """Posts the sandbox's events to its endpoints while `run` runs."""

    def __init__(
        self,
        sandbox: Sandbox,
        post: Post,
        *,
        concurrency: int = 32,
        first_wait_seconds: float = 1.0,
        look_seconds: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.sandbox = sandbox
        self._send_body = post
        self.forecast = Forecast(sandbox.ids.seed)
        self.waits = tuple(wait * first_wait_seconds for wait in MANNERS["quick"])
        self.delivered = 0
        self.failed = 0
        self._clock = clock
        self._look_seconds = look_seconds
        self._free = asyncio.Semaphore(concurrency)
        self._queue: list[Delivery] = []
        self._later: list[tuple[float, int, Delivery]] = []  # real (monotonic) instant, order, delivery
        self._numbers = itertools.count()
        self._stirred = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._resumed: set[tuple[str, str]] = set()
        self._resume()
        sandbox.listeners.append(self.enqueue)

    @property
    def waiting(self) -> int:
        """Deliveries not yet settled."""
        return self._open

    @property
    def weather(self) -> Weather:
        """What happens to deliveries of types that have no weather of their own."""
        return self.forecast.general

    def set_weather(self, *, types: tuple[str, ...] = (), **changes: Any) -> Weather:
        """Change what happens to deliveries from now on, or to those of some types (`invoice.*`) only."""
        return self.forecast.change(changes, types)

    def retry_like(self, manner: str) -> None:
        """Try again as Stripe does in `live` or `test` mode, or `quick`: within two minutes, for demos and tests.

        A wait is over when so much time has passed in reality or on the sandbox's clock, whichever is first.
        """
        if manner not in MANNERS:
            raise StripeError(f"Unknown manner '{manner}': one of {', '.join(MANNERS)}.", param="retry")
        self.waits = MANNERS[manner]

    def enqueue(self, event: Doc) -> None:
        """Send an event to every endpoint that wants it."""
        asking = self._asking(event)
        event["pending_webhooks"] = len(asking)
        for endpoint in asking:
            self._send(event, endpoint, is_first=True)

    def _asking(self, event: Doc) -> list[Doc]:
        """The endpoints of the event's account and of its platforms that want it."""
        accounts = self.sandbox.accounts
        account_id = event.get("_account", self.sandbox.account_id)
        own = accounts.of(account_id).live("webhook_endpoint")
        above = [e for p in accounts.platforms_of(account_id) for e in p.live("webhook_endpoint")]
        return [e for e in own if wanted(event, e)] + [e for e in above if wanted(event, e, connected=True)]

    def _endpoint(self, endpoint: str) -> Doc | None:
        """An endpoint of any account; None when it was deleted."""
        for account in self.sandbox.accounts.members:
            if account.has("webhook_endpoint", endpoint):
                return account.find("webhook_endpoint", endpoint)
        return None

    def send(self, event: Doc, endpoint: Doc) -> int:
        """Send an event (again) to one endpoint if it wants it; returns how many deliveries that makes.

        What a restart found on its way and was not yet delivered is not sent a second time.
        """
        if (event["id"], endpoint["id"]) in self._resumed or endpoint not in self._asking(event):
            return 0
        return self._send(event, endpoint, is_first=False)

    def deliver_all(self, endpoint: str) -> int:
        """Send the whole history, oldest first, to one endpoint; returns the number of deliveries."""
        doc = self._known_endpoint(endpoint)
        events = [event for account in self.sandbox.accounts.members for event in account.events]
        events.sort(key=lambda event: int(event["created"]))  # stable: of one second in the order they were made
        return sum(self.send(event, doc) for event in events)

    def resend(self, event: str, endpoint: str | None = None) -> int:
        """Send one event again, to one endpoint or to all that want it; returns the number of deliveries."""
        for account in self.sandbox.accounts.members:
            if account.has("event", event):
                doc = account.find("event", event)
                asking = self._asking(doc) if endpoint is None else [self._known_endpoint(endpoint)]
                return sum(self.send(doc, each) for each in asking)
        raise missing("event", event)

    def _known_endpoint(self, endpoint: str) -> Doc:
        found = self._endpoint(endpoint)
        if found is None:
            raise missing("webhook endpoint", endpoint)
        return found

    def _send(self, event: Doc, endpoint: Doc, *, is_first: bool) -> int:
        weather = self.forecast.of(event["type"])
        first = Delivery(self._key(), event, endpoint["id"], is_first)
        if self.forecast.strikes(weather.drop_percent):
            if is_first:
                self._note(first, is_lost=True)
            return 0
        copies = 1 + weather.duplicate + self.forecast.strikes(weather.duplicate_percent)
        wait = weather.delay_seconds + (weather.late_seconds if self.forecast.strikes(weather.late_percent) else 0)
        self._open += copies
        self._settled.clear()
        for number in range(copies):
            delivery = replace(first, key=self._key(), is_first=False) if number else first
            if wait:
                self._put_off(delivery, wait)
            else:
                self._note(delivery)
                self._queue.append(delivery)
        self._stirred.set()
        return copies

    # what is on its way, in the store

    def _key(self) -> str:
        counts = self.sandbox.ids.counts
        counts["delivery"] = counts.get("delivery", 0) + 1
        return str(counts["delivery"])

    def _note(self, delivery: Delivery, *, is_lost: bool = False) -> None:
        body = {"event": delivery.event["id"], "endpoint": delivery.endpoint, "attempt": delivery.attempt}
        more = {"due_at": delivery.due_at, "first": delivery.is_first, "lost": is_lost}
        more["account"] = delivery.event.get("_account", self.sandbox.account_id)
        self.sandbox.note(NOTE, delivery.key, body | more)

    def _resume(self) -> None:
        """Go on with what was on its way when the process ended; `pending_webhooks` is counted anew."""
        pending: Counter[str] = Counter()
        for key, note in list(self.sandbox.notes(NOTE).items()):
            pending[note["event"]] += note["first"]
            if note["lost"]:
                continue
            if not self.sandbox.accounts.has(note["account"]):  # deleted in the meantime, with its events
                self.sandbox.note(NOTE, key, None)
                continue
            event = self.sandbox.accounts.of(note["account"]).find("event", note["event"])
            delivery = Delivery(key, event, note["endpoint"], note["first"], note["attempt"], note["due_at"])
            self._resumed.add((note["event"], note["endpoint"]))
            self._open += 1
            self._settled.clear()
            self._put_off(delivery, max(0, note["due_at"] - self.sandbox.now), is_noted=True)
        for account in self.sandbox.accounts.members:
            for event in account.events:
                event["pending_webhooks"] = pending[event["id"]]

    def _put_off(self, delivery: Delivery, seconds: float, *, is_noted: bool = False) -> None:
        """Let a delivery start when `seconds` have passed, in reality or on the sandbox's clock."""
        if not is_noted:
            # A wait below a second is for tests: no instant of the sandbox's clock says when it is over.
            delivery = replace(delivery, due_at=self.sandbox.now + max(1, int(seconds)))
            self._note(delivery)
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), delivery))
        self._stirred.set()

    def _fall_due(self) -> float | None:
        """Queue what need not wait longer; returns the seconds until it pays to look again (None: nothing waits)."""
        now, rest = time.monotonic(), []
        for due, number, delivery in self._later:
            if due <= now or delivery.due_at <= self.sandbox.now:
                self._queue.append(delivery)
            else:
                rest.append((due, number, delivery))
        if len(rest) < len(self._later):
            heapq.heapify(rest)
            self._later = rest
        return min(self._look_seconds, self._later[0][0] - now) if self._later else None

    # the work

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            look = self._fall_due()
            if not self._queue:
                try:
                    async with asyncio.timeout(look):
                        await self._stirred.wait()
                except TimeoutError:
                    continue
                self._stirred.clear()
                continue
            self.sandbox.flush()  # nobody is told of what a crash could undo
            for delivery in self._batch():
                await self._free.acquire()
                task = asyncio.create_task(self._attempt(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _batch(self) -> list[Delivery]:
        batch, self._queue = self._queue, []
        if self.forecast.general.shuffle:
            self.forecast.rng.shuffle(batch)
        last = [self.forecast.strikes(self.forecast.of(d.event["type"]).reorder_percent) for d in batch]
        behind = [delivery for delivery, is_last in zip(batch, last, strict=True) if is_last]
        return [delivery for delivery, is_last in zip(batch, last, strict=True) if not is_last] + behind[::-1]

    async def drained(self, timeout_seconds: float = 30) -> None:
        """Wait until nothing is on its way."""
        async with asyncio.timeout(timeout_seconds):
            await self._settled.wait()

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            is_settled = await self._post(delivery)
        finally:
            self._free.release()
        if not is_settled and delivery.attempt <= len(self.waits):
            self._put_off(replace(delivery, attempt=delivery.attempt + 1), self.waits[delivery.attempt - 1])
            return
        self._resumed.discard((delivery.event["id"], delivery.endpoint))
        if is_settled:
            self.sandbox.note(NOTE, delivery.key, None)
            # In memory only: a restart counts anew, and the event itself need not be written again.
            delivery.event["pending_webhooks"] -= delivery.is_first and delivery.event["pending_webhooks"] > 0
        else:
            self._note(delivery, is_lost=True)  # kept, so that the event is still known as not delivered
        self.delivered += is_settled
        self.failed += not is_settled
        self._open -= 1
        if self._open == 0:
            self._settled.set()

    async def _post(self, delivery: Delivery) -> bool:
        """One signed POST; True when it was answered with 2xx or the endpoint is gone or was switched off."""
        endpoint = self._endpoint(delivery.endpoint)
        if endpoint is None or endpoint["status"] != "enabled":
            return True
        event = delivery.event
        if endpoint.get("_connect") and "_account" in event:
            event = event | {"account": event["_account"]}
        body = render_event_bytes(event, endpoint["api_version"] or event["api_version"])
        signed_at = int(self._clock()) + self.forecast.of(event["type"]).skew_seconds
        headers = {
            "content-type": "application/json; charset=utf-8",
            "stripe-signature": sign(body, endpoint["_secret"], signed_at),
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            status = await self._send_body(endpoint["url"], body, headers)
        except (OSError, EOFError):  # a TimeoutError is an OSError
            return False
        return 200 <= status < 300
