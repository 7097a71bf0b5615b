"""A sandbox, and a shop that serves it."""

from collections.abc import Iterator

import pytest

from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app
from sandbox.shop import CLOCK_START, KEY, Shop, sdk
from serving import serve


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
