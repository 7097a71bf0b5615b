"""Deliveries in all weathers: retries in Stripe's manner, chance and its seed, restarts, and what the events say."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.errors import StripeError
from refref.sandbox.weather import HOUR, MANNERS, MINUTE
from refref.sandbox.wire import create_app
from sandbox.shop import CLOCK_START, KEY, sdk
from serving import serve

NOW = 1_790_000_000
URL = "http://shop.test/hook"


@dataclass
class Taker:
    """A receiver that refuses while `is_down`; keeps type, id and signature of what came, refused or not."""

    is_down: bool = False
    came: list[tuple[str, str, str]] = field(default_factory=list)

    async def __call__(self, _: str, body: bytes, headers: Mapping[str, str]) -> int:
        await asyncio.sleep(0)
        event = json.loads(body)
        self.came.append((event["type"], event["id"], headers["stripe-signature"]))
        return 500 if self.is_down else 200

    @property
    def types(self) -> list[str]:
        return [kind for kind, _, _ in self.came]


def through(sb: Sandbox, taker: Taker, act: Callable[[Deliveries], Awaitable[None]]) -> Deliveries:
    async def run() -> Deliveries:
        deliveries = Deliveries(sb, taker, first_wait_seconds=0.001, look_seconds=0.005, clock=lambda: NOW)
        task = asyncio.create_task(deliveries.run())
        await act(deliveries)
        task.cancel()
        sb.listeners.remove(deliveries.enqueue)
        return deliveries

    return asyncio.run(run())


@pytest.fixture
def endpoint(sb: Sandbox) -> str:
    return str(sb.create_webhook_endpoint(URL)["id"])


async def came(taker: Taker, count: int) -> None:
    async with asyncio.timeout(60):
        while len(taker.came) < count:  # noqa: ASYNC110 - the taker is the deliveries' own, it has no event to wait for
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("manner", "attempts", "longest_hours"), [("test", 3, 12), ("live", 10, 72), ("quick", 8, 1)], ids=str
)
def test_how_often_and_how_long_it_is_tried(
    sb: Sandbox, endpoint: str, manner: str, attempts: int, longest_hours: int
) -> None:
    taker = Taker(is_down=True)
    started = sb.now

    async def act(deliveries: Deliveries) -> None:
        deliveries.retry_like(manner)
        sb.create_customer(email="a@example.com")
        while deliveries.waiting:
            seen = len(taker.came)
            sb.advance(sb.now + 30 * MINUTE)  # the sandbox's clock jumps; nobody waits in reality
            await asyncio.sleep(0.02)
            assert len(taker.came) - seen <= 2

    done = through(sb, taker, act)
    assert (len(taker.came), done.failed, done.delivered) == (attempts, 1, 0)
    assert sum(MANNERS[manner]) <= longest_hours * HOUR
    assert sb.now - started >= sum(MANNERS[manner])
    assert len({signature for _, _, signature in taker.came}) == 1  # same second, same body


def test_a_retry_waits_for_its_time(sb: Sandbox, endpoint: str) -> None:
    taker = Taker(is_down=True)

    async def act(deliveries: Deliveries) -> None:
        deliveries.retry_like("test")
        sb.create_customer(email="a@example.com")
        await came(taker, 1)
        sb.advance(sb.now + HOUR - 1)
        await asyncio.sleep(0.2)
        assert len(taker.came) == 1
        taker.is_down = False
        sb.advance(sb.now + 1)
        await deliveries.drained()

    assert through(sb, taker, act).delivered == 1
    assert len(taker.came) == 2


def test_an_event_says_how_many_endpoints_still_wait_for_it(sb: Sandbox, endpoint: str) -> None:
    sb.create_webhook_endpoint(URL, enabled_events=["invoice.paid"])
    url, stop = serve(create_app(sb, keys=[KEY]))
    events = sdk(url).v1.events
    taker = Taker(is_down=True)

    async def act(deliveries: Deliveries) -> None:
        deliveries.waits = ()
        sb.create_customer(email="a@example.com")
        await deliveries.drained()
        taker.is_down = False
        sb.create_product("Plan")
        await deliveries.drained()

    through(sb, taker, act)
    assert [(e.type, e.pending_webhooks) for e in events.list().data] == [
        ("product.created", 0),
        ("customer.created", 1),
    ]
    assert [e.type for e in events.list({"delivery_success": False}).data] == ["customer.created"]
    assert [e.type for e in events.list({"delivery_success": True}).data] == ["product.created"]
    both = events.list({"types": ["customer.created", "product.created"], "delivery_success": False})
    assert [e.type for e in both.data] == ["customer.created"]
    with pytest.raises(stripe.InvalidRequestError, match="up to 20"):
        events.list({"types": ["invoice.paid"] * 21})
    stop()


def test_resent_by_hand(sb: Sandbox, endpoint: str) -> None:
    taker = Taker()

    async def act(deliveries: Deliveries) -> None:
        sb.create_customer(email="a@example.com")
        await deliveries.drained()
        assert deliveries.resend(sb.events[0]["id"]) == 1
        assert deliveries.resend(sb.events[0]["id"], endpoint) == 1
        await deliveries.drained()
        with pytest.raises(StripeError):
            deliveries.resend("evt_nobody")

    through(sb, taker, act)
    assert [event for _, event, _ in taker.came] == [sb.events[0]["id"]] * 3
    assert sb.events[0]["pending_webhooks"] == 0


def restarted(path: Path) -> Iterator[Sandbox]:
    """The same sandbox, as process after process opens it."""
    while True:
        sb = Sandbox(clock_start=CLOCK_START, seed=7, path=path)
        yield sb
        sb.close()


def test_what_was_on_its_way_survives_a_restart_and_what_had_arrived_does_not_come_again(tmp_path: Path) -> None:
    processes = restarted(tmp_path / "sandbox.db")
    sb, taker = next(processes), Taker()
    endpoint = sb.create_webhook_endpoint(URL)["id"]

    async def first(deliveries: Deliveries) -> None:
        sb.create_customer(email="arrived@example.com")
        await deliveries.drained()
        taker.is_down = True
        deliveries.retry_like("live")
        sb.create_customer(email="failing@example.com")
        await came(taker, 2)
        await asyncio.sleep(0.05)

    through(sb, taker, first)
    ids = [event["id"] for event in sb.events]
    sb, after = next(processes), Taker()

    async def second(deliveries: Deliveries) -> None:
        assert (deliveries.waiting, [e["pending_webhooks"] for e in sb.events]) == (1, [0, 1])
        assert deliveries.send(sb.events[1], sb.find("webhook_endpoint", endpoint)) == 0  # it is on its way already
        await asyncio.sleep(0.1)
        assert after.came == []  # not before its time
        sb.advance_by(hours=1)
        await deliveries.drained()

    through(sb, after, second)
    assert [event for _, event, _ in after.came] == [ids[1]]
    sb = next(processes)
    assert Deliveries(sb, after).waiting == 0


def storm(seed: int, **weather: object) -> tuple[list[str], Deliveries]:
    """What arrives of twenty sales in some weather."""
    sb, taker = Sandbox(clock_start=CLOCK_START, seed=7), Taker()
    sb.create_webhook_endpoint(URL)
    price = sb.create_price(sb.create_product("Plan")["id"], "usd", 2500)["id"]

    async def act(deliveries: Deliveries) -> None:
        deliveries.forecast.rng.seed(seed)
        deliveries.set_weather(**weather)
        for number in range(20):
            sb.sell(price=price, email=f"buyer{number}@example.com")
        while deliveries.waiting:
            sb.advance(sb.now + HOUR)
            await asyncio.sleep(0.01)

    done = through(sb, taker, act)
    return [event for _, event, _ in taker.came], done


def test_chance_has_a_seed() -> None:
    fair, _ = storm(1)
    assert fair == sorted(fair, key=fair.index)
    assert len(set(fair)) == len(fair) == 100
    for weather in ({"drop_percent": 30}, {"duplicate_percent": 30}, {"late_percent": 30}, {"reorder_percent": 30}):
        one, again, other = storm(1, **weather)[0], storm(1, **weather)[0], storm(2, **weather)[0]
        assert one == again != other, weather
        assert one != fair, weather


def test_what_each_weather_does() -> None:
    fair = storm(1)[0]
    dropped, lost = storm(1, drop_percent=30)
    assert set(dropped) < set(fair)
    assert 15 < len(fair) - len(dropped) < 50
    doubled = Counter(storm(1, duplicate_percent=30)[0])
    assert set(doubled) == set(fair)
    assert 15 < sum(count == 2 for count in doubled.values()) < 50
    for weather in ({"late_percent": 30}, {"reorder_percent": 30}, {"shuffle": True}):
        assert sorted(storm(1, **weather)[0]) == sorted(fair), weather
    assert lost.waiting == 0


def test_weather_by_type_and_clocks_that_are_wrong(sb: Sandbox, endpoint: str) -> None:
    taker = Taker()

    async def act(deliveries: Deliveries) -> None:
        deliveries.set_weather(types=("charge.*", "payment_intent.succeeded"), drop_percent=100)
        deliveries.set_weather(types=("product.*",), duplicate=2)
        deliveries.set_weather(types=("price.*",), skew_seconds=-400)
        deliveries.set_weather(types=("customer.*",), skew_seconds=900)
        sb.create_price(sb.create_product("Plan")["id"], "usd", 500)
        sb.create_payment_intent(500, "usd", customer=sb.create_customer(email="a@example.com")["id"])
        await deliveries.drained()
        deliveries.forecast.clear()
        sb.create_charge(500, "usd")
        await deliveries.drained()

    through(sb, taker, act)
    count = Counter(taker.types)
    assert (count["product.created"], count["payment_intent.created"], count["payment_intent.succeeded"]) == (3, 1, 0)
    assert count["charge.succeeded"] == 1
    signed = {kind: int(signature.partition(",")[0][2:]) - NOW for kind, _, signature in taker.came}
    assert (signed["price.created"], signed["customer.created"], signed["product.created"]) == (-400, 900, 0)
    with pytest.raises(StripeError, match="one of duplicate"):
        Deliveries(sb, taker).set_weather(hail=True)
    with pytest.raises(StripeError, match="between 0 and 100"):
        Deliveries(sb, taker).set_weather(late_percent=101)
    with pytest.raises(StripeError, match="one of quick"):
        Deliveries(sb, taker).retry_like("never")


@pytest.mark.parametrize(
    "version",
    ["2020-08-27", "2024-06-20", "2024-12-18.acacia", "2025-03-31.basil", "2025-10-29.clover", "2026-03-25.dahlia"],
)
def test_an_endpoint_is_pinned_over_the_api(sb: Sandbox, version: str) -> None:
    url, stop = serve(create_app(sb, keys=[KEY]))
    made = sdk(url).v1.webhook_endpoints.create(
        {"url": URL, "enabled_events": ["customer.created"], "api_version": version}  # type: ignore[typeddict-item]  # any text
    )
    stop()
    bodies: list[bytes] = []

    async def post(_: str, body: bytes, headers: Mapping[str, str]) -> int:
        await asyncio.sleep(0)
        bodies.append(body)
        stripe.WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], str(made.secret), 10**9)
        return 200

    async def run() -> None:
        deliveries = Deliveries(sb, post)
        task = asyncio.create_task(deliveries.run())
        sb.create_customer(email="a@example.com")
        await deliveries.drained()
        task.cancel()

    asyncio.run(run())
    assert [json.loads(body)["api_version"] for body in bodies] == [version]
