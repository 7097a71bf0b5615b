"""The sandbox on a loopback port, driven by the real Stripe SDK."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.types import ASGIApp

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app

KEY = "sk_test_sandbox"
CLOCK_START = "2026-01-31T00:00:00+00:00"


@dataclass(frozen=True)
class Shop:
    """A sandbox, its prices (minor units in the names) and an SDK client that talks to it."""

    sb: Sandbox
    url: str
    client: stripe.StripeClient
    monthly: str  # USD 25.00 a month
    yearly: str  # USD 250.00 a year
    once: str  # EUR 15.00


def serve(app: ASGIApp) -> tuple[str, Callable[[], None]]:
    """Serve an application on a free loopback port in a thread; returns its address and how to stop it."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return f"http://127.0.0.1:{port}", stop


def sdk(url: str, key: str = KEY, version: str | None = None) -> stripe.StripeClient:
    """The real SDK, told to talk to the sandbox."""
    return stripe.StripeClient(key, base_addresses={"api": url, "connect": url}, stripe_version=version)


@pytest.fixture
def sb() -> Sandbox:
    return Sandbox(clock_start=CLOCK_START, seed=7)


@pytest.fixture
def shop(sb: Sandbox) -> Iterator[Shop]:
    product = sb.create_product("Plan")["id"]
    monthly = sb.create_price(product, "usd", 2500, interval="month")["id"]
    yearly = sb.create_price(product, "usd", 25000, interval="year")["id"]
    once = sb.create_price(product, "eur", 1500)["id"]
    url, stop = serve(create_app(sb, keys=[KEY]))
    yield Shop(sb, url, sdk(url), monthly, yearly, once)
    stop()
