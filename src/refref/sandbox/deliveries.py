"""Signed deliveries of events to webhook endpoints: retried, and on request duplicated, shuffled, delayed or lost.

The pure parts (`sign`, `render_event_bytes`) need neither a network nor an event loop.
"""

import asyncio
import hashlib
import hmac
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from refref.sandbox.state import Sandbox
from refref.sandbox.store import API_VERSION, Doc
from refref.sandbox.versions import known, render

ATTEMPTS = 8
LONGEST_WAIT_SECONDS = 60

# Posts a body with headers to a URL and returns the status; raises OSError or EOFError when there is no answer.
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """The Stripe-Signature header of a raw body at an instant (unix seconds)."""
    mac = hmac.new(secret.encode(), b"%d.%s" % (timestamp, payload), hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def render_event_bytes(event: Doc, api_version: str = API_VERSION) -> bytes:
    """The body of a delivery: pretty-printed JSON in the shape of that version."""
    return msgspec.json.format(msgspec.json.encode(render(event, api_version)), indent=2)


def wanted(event: Mapping[str, Any], endpoint: Mapping[str, Any]) -> bool:
    """Whether an endpoint asked for that type of event and its version knows it."""
    version = endpoint["api_version"] or event["api_version"]
    if endpoint["status"] != "enabled" or not known(event["type"], version):
        return False
    return event["type"] in endpoint["enabled_events"] or "*" in endpoint["enabled_events"]


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to deliveries: extra copies, random order, seconds of delay, percent lost for good."""

    duplicate: int = 0
    shuffle: bool = False
    delay_seconds: int = 0
    drop_percent: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint; `attempt` counts from 1."""

    event: Doc
    endpoint: str
    attempt: int = 1


class Deliveries:
    """Posts the sandbox's events to its endpoints while `run` runs."""

    def __init__(
        self,
        sandbox: Sandbox,
        post: Post,
        *,
        concurrency: int = 32,
        first_wait_seconds: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.sandbox = sandbox
        self._send_body = post
        self.weather = Weather()
        self.delivered = 0
        self.failed = 0
        self.first_wait_seconds = first_wait_seconds
        self._clock = clock
        self._rng = random.Random(sandbox.ids.seed)  # noqa: S311 - order of deliveries, no secret
        self._free = asyncio.Semaphore(concurrency)
        self._queue: list[Delivery] = []
        self._stirred = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        sandbox.listeners.append(self.enqueue)

    @property
    def waiting(self) -> int:
        """Deliveries not yet settled."""
        return self._open

    def set_weather(self, **changes: Any) -> Weather:
        """Change what happens to deliveries from now on."""
        self.weather = replace(self.weather, **changes)
        return self.weather

    def enqueue(self, event: Doc) -> None:
        """Send an event to every endpoint that wants it."""
        for endpoint in self.sandbox.live("webhook_endpoint"):
            self.send(event, endpoint)

    def send(self, event: Doc, endpoint: Doc) -> int:
        """Send an event to one endpoint if it wants it; returns how many deliveries that makes."""
        if not wanted(event, endpoint) or self._rng.randrange(100) < self.weather.drop_percent:
            return 0
        copies = 1 + self.weather.duplicate
        self._open += copies
        self._settled.clear()
        self._queue += [Delivery(event, endpoint["id"])] * copies
        self._stirred.set()
        return copies

    def deliver_all(self, endpoint: str) -> int:
        """Send the whole history, oldest first, to one endpoint; returns the number of deliveries."""
        doc = self.sandbox.find("webhook_endpoint", endpoint)
        return sum(self.send(event, doc) for event in self.sandbox.events)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            self.sandbox.flush()  # nobody is told of what a crash could undo
            batch, self._queue = self._queue, []
            if self.weather.shuffle:
                self._rng.shuffle(batch)
            if self.weather.delay_seconds:
                await asyncio.sleep(self.weather.delay_seconds)
            for delivery in batch:
                await self._free.acquire()
                task = asyncio.create_task(self._attempt(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def drained(self, timeout_seconds: float = 30) -> None:
        """Wait until nothing is on its way."""
        async with asyncio.timeout(timeout_seconds):
            await self._settled.wait()

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            settled = await self._post(delivery)
        finally:
            self._free.release()
        if not settled and delivery.attempt < ATTEMPTS:
            wait = min(self.first_wait_seconds * 2 ** (delivery.attempt - 1), LONGEST_WAIT_SECONDS)
            asyncio.get_running_loop().call_later(wait, self._again, replace(delivery, attempt=delivery.attempt + 1))
            return
        self.delivered += settled
        self.failed += not settled
        self._open -= 1
        if self._open == 0:
            self._settled.set()

    def _again(self, delivery: Delivery) -> None:
        self._queue.append(delivery)
        self._stirred.set()

    async def _post(self, delivery: Delivery) -> bool:
        """One signed POST; True when it was answered with 2xx or the endpoint is gone."""
        if not self.sandbox.has("webhook_endpoint", delivery.endpoint):
            return True
        endpoint = self.sandbox.find("webhook_endpoint", delivery.endpoint)
        body = render_event_bytes(delivery.event, endpoint["api_version"] or delivery.event["api_version"])
        headers = {
            "content-type": "application/json; charset=utf-8",
            "stripe-signature": sign(body, endpoint["_secret"], int(self._clock())),
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            status = await self._send_body(endpoint["url"], body, headers)
        except (OSError, EOFError):  # a TimeoutError is an OSError
            return False
        return 200 <= status < 300
