"""Signed deliveries: verified by the real SDK, retried, and disturbed on request."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.connections import Connections
from refref.sandbox.deliveries import Deliveries, render_event_bytes, sign
from refref.sandbox.sample import seed

NOW = 1_790_000_000


class Listener:
    """A webhook receiver: keeps bodies and signatures, and answers the first `failures` of each event with 500."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        self.seen: Counter[str] = Counter()
        self.app = Starlette(routes=[Route("/hook", self._hook, methods=["POST"])])

    async def _hook(self, request: Request) -> Response:
        body = await request.body()
        event = json.loads(body)["id"]
        self.seen[event] += 1
        if self.seen[event] <= self.failures:
            return Response(status_code=500)
        self.bodies.append(body)
        self.signatures.append(request.headers["stripe-signature"])
        return Response()

    @property
    def ids(self) -> list[str]:
        return [json.loads(b)["id"] for b in self.bodies]


def delivering(sb: Sandbox, listener: Listener, act: Callable[[Deliveries], Awaitable[None]]) -> Deliveries:
    """Run deliveries in process around `act`, until all have arrived."""

    async def run() -> Deliveries:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(listener.app)) as client:

            async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
                return (await client.post(url, content=body, headers=headers)).status_code

            deliveries = Deliveries(sb, post, first_wait_seconds=0.001, clock=lambda: NOW)
            task = asyncio.create_task(deliveries.run())
            await act(deliveries)
            await deliveries.drained(120)
            task.cancel()
            return deliveries

    return asyncio.run(run())


async def one_sale(sb: Sandbox) -> None:
    price = sb.create_price(sb.create_product("Plan")["id"], "usd", 2500, interval="month")["id"]
    sb.sell(price=price, email="a@example.com")


def test_the_sdk_accepts_the_signature_and_only_the_signed_body(sb: Sandbox) -> None:
    sb.create_customer(email="a@example.com", name="Zoë")
    body = render_event_bytes(sb.events[0], "2024-06-20")
    header = sign(body, "whsec_x", NOW)
    client = stripe.StripeClient("sk_test_x")
    event = stripe.Webhook.construct_event(body, header, "whsec_x", tolerance=10**9)
    assert (event.type, event.api_version) == ("customer.created", "2024-06-20")
    assert body.startswith(b'{\n  "id": "evt_')
    assert header == stripe.WebhookSignature.generate_signature_header(body.decode(), "whsec_x", NOW)
    for payload, secret in ((body + b" ", "whsec_x"), (body, "whsec_y")):
        with pytest.raises(stripe.SignatureVerificationError):
            client.construct_event(payload, header, secret, tolerance=10**9)


def test_each_endpoint_gets_what_it_asked_for_in_its_version(sb: Sandbox) -> None:
    listener = Listener()
    sb.create_webhook_endpoint("http://shop.test/hook", enabled_events=["invoice.paid"], api_version="2020-08-27")
    everything = sb.create_webhook_endpoint("http://shop.test/hook")
    old = sb.create_webhook_endpoint("http://shop.test/hook", enabled_events=["*"], api_version="2024-06-20")
    sb.update_webhook_endpoint(old["id"], {"status": "disabled"})

    async def act(_: Deliveries) -> None:
        await one_sale(sb)

    done = delivering(sb, listener, act)
    versions = Counter(json.loads(b)["api_version"] for b in listener.bodies)
    assert versions == {"2026-10-28.endive": len(sb.events), "2020-08-27": 1}
    assert (done.delivered, done.failed) == (len(sb.events) + 1, 0)
    for body, header in zip(listener.bodies, listener.signatures, strict=True):
        if json.loads(body)["api_version"].endswith("endive"):
            assert header == sign(body, everything["secret"], NOW)


def test_failures_are_retried_until_accepted(sb: Sandbox) -> None:
    listener = Listener(failures=2)
    sb.create_webhook_endpoint("http://shop.test/hook")

    async def act(_: Deliveries) -> None:
        await one_sale(sb)

    delivering(sb, listener, act)
    assert sorted(listener.ids) == sorted(e["id"] for e in sb.events)
    assert set(listener.seen.values()) == {3}


def test_a_delivery_is_given_up_after_the_last_attempt(sb: Sandbox) -> None:
    listener = Listener(failures=99)
    sb.create_webhook_endpoint("http://shop.test/hook")

    async def act(_: Deliveries) -> None:
        sb.create_customer(email="a@example.com")

    assert delivering(sb, listener, act).failed == 1
    assert list(listener.seen.values()) == [8]


def test_duplicates_shuffles_and_losses(sb: Sandbox) -> None:
    listener = Listener()
    endpoint = sb.create_webhook_endpoint("http://shop.test/hook")["id"]

    async def act(deliveries: Deliveries) -> None:
        deliveries.set_weather(duplicate=1, shuffle=True)
        await one_sale(sb)
        await deliveries.drained()
        assert Counter(listener.ids) == {e["id"]: 2 for e in sb.events}
        assert listener.ids != sorted(listener.ids, key=[e["id"] for e in sb.events].index)
        deliveries.set_weather(duplicate=0, drop_percent=100)
        assert deliveries.deliver_all(endpoint) == 0
        deliveries.set_weather(drop_percent=0)
        assert deliveries.deliver_all(endpoint) == len(sb.events)

    delivering(sb, listener, act)
    assert len(listener.bodies) == 3 * len(sb.events)


def test_a_history_is_streamed_whole(sb: Sandbox) -> None:
    seed(sb, 3, "2026-02-01T00:00:00+00:00", "2026-08-01T00:00:00+00:00", customers=60)
    listener = Listener()
    endpoint = sb.create_webhook_endpoint("http://shop.test/hook")["id"]

    async def act(deliveries: Deliveries) -> None:
        deliveries.deliver_all(endpoint)

    delivering(sb, listener, act)
    assert Counter(listener.ids) == {e["id"]: 1 for e in sb.events}
    assert len(listener.bodies) > 1000


def test_connections_are_kept_and_reopened() -> None:
    """Content-length, chunked and connection-close answers, a server that went away, and one that never was."""
    answers = {
        "/length": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "/chunks": b"HTTP/1.1 202 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "/nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
        "/close": b"HTTP/1.1 500 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        "/vanish": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    }
    opened = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split()[1]
                await reader.readexactly(4)
                writer.write(answers[path])
                if path in ("/close", "/vanish"):
                    return
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def run() -> list[int]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connections = Connections()
        paths = ["/length", "/chunks", "/nothing", "/vanish", "/length", "/close", "/length"]
        found = []
        for path in paths:
            found.append(await connections.post(f"http://127.0.0.1:{port}{path}", b"body", {"x": "y"}))
            await asyncio.sleep(0.01)
        connections.close()
        server.close()
        await server.wait_closed()
        with pytest.raises(OSError, match="Connect"):
            await connections.post(f"http://127.0.0.1:{port}/length", b"body", {})
        return found

    assert asyncio.run(run()) == [200, 202, 204, 200, 200, 500, 200]
    assert len(opened) == 3
