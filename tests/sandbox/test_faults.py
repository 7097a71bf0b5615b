"""Faults on demand, each as the real Stripe SDK meets it; what was done and what was not stands beside each."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.control import Control, control_routes
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.errors import StripeError
from refref.sandbox.rate_limits import RateLimit
from refref.sandbox.wire import create_app
from sandbox.shop import CLOCK_START, KEY, Shop, sdk
from serving import serve

CUSTOMERS = "/v1/customers"
DAY_HOURS = 24


def patient(url: str, retries: int = 0, timeout_s: float = 60) -> stripe.StripeClient:
    """The SDK with a timeout of its own and as many retries as asked for."""
    return stripe.StripeClient(
        KEY,
        base_addresses={"api": url},
        http_client=stripe.RequestsClient(timeout=timeout_s),
        max_network_retries=retries,
    )


# Kind, more, what the SDK raises, and how many customers there are afterwards.
TABLE = [
    ("error", {"status": 500}, stripe.APIError, 0),
    ("error", {"status": 500, "executed": True}, stripe.APIError, 1),
    ("error", {"status": 409, "code": "resource_already_exists"}, stripe.APIError, 0),
    ("unavailable", {}, stripe.APIError, 0),
    ("rate_limit", {}, stripe.RateLimitError, 0),
    ("lock_timeout", {}, stripe.RateLimitError, 0),
    ("reset", {}, stripe.APIConnectionError, 0),
    ("lost", {}, stripe.APIConnectionError, 1),
    ("truncated", {}, stripe.APIConnectionError, 1),
    ("timeout", {}, stripe.APIConnectionError, 0),
    ("timeout", {"executed": True}, stripe.APIConnectionError, 1),
    ("slow", {"seconds": 1}, stripe.APIConnectionError, 1),
    ("slow", {"seconds": 1, "executed": False}, stripe.APIConnectionError, 1),
]


@pytest.mark.parametrize(("kind", "how", "raised", "made"), TABLE, ids=lambda value: str(value)[:40])
def test_each_kind_as_the_sdk_meets_it(
    shop: Shop, kind: str, how: dict[str, object], raised: type[Exception], made: int
) -> None:
    shop.sb.fail_next(kind=kind, **how)  # type: ignore[arg-type]  # a table of mixed arguments
    timeout_s = 0.4 if kind in ("timeout", "slow") else 60  # what answers at all may take its time
    with pytest.raises(raised):
        patient(shop.url, timeout_s=timeout_s).v1.customers.create({"name": "A"})
    while shop.sb.faults or len(shop.sb.all("customer")) < made:
        time.sleep(0.02)  # it is struck, or carried out, although the client may have gone
    assert len(shop.sb.all("customer")) == made
    assert patient(shop.url).v1.customers.create({"name": "B"}).name == "B"


@pytest.mark.parametrize("kind", ["error", "unavailable", "lock_timeout", "reset", "lost"])
def test_the_sdk_tries_again_with_the_same_key_and_it_is_done_once(shop: Shop, kind: str) -> None:
    shop.sb.fail_next(kind=kind, count=2)
    assert patient(shop.url, retries=3).v1.customers.create({"name": "A"}).name == "A"
    assert len(shop.sb.all("customer")) == 1


def test_a_truncated_answer_is_not_tried_again_by_itself_and_its_key_still_has_it(shop: Shop) -> None:
    shop.sb.fail_next(kind="truncated")
    create = patient(shop.url, retries=3).v1.customers.create
    with pytest.raises(stripe.APIConnectionError):
        create({"name": "A"}, {"idempotency_key": "k"})
    assert create({"name": "A"}, {"idempotency_key": "k"}).id == shop.sb.all("customer")[0]["id"]


def test_a_rate_limit_is_not_tried_again_by_itself(shop: Shop) -> None:
    shop.sb.fail_next(kind="rate_limit")
    with pytest.raises(stripe.RateLimitError) as refused:
        patient(shop.url, retries=3).v1.customers.create({"name": "A"})
    assert refused.value.error is not None
    assert (refused.value.error.code, refused.value.http_status) == ("rate_limit", 429)
    assert refused.value.headers["stripe-rate-limited-reason"] == "global-rate"
    shop.sb.fail_next(kind="lock_timeout")
    with pytest.raises(stripe.RateLimitError) as locked:
        patient(shop.url).v1.customers.create({"name": "A"})
    assert locked.value.error is not None
    assert (locked.value.error.code, locked.value.headers["stripe-should-retry"]) == ("lock_timeout", "true")


def test_a_key_keeps_the_good_answer_or_as_stripe_after_a_500_the_error(shop: Shop) -> None:
    create = patient(shop.url).v1.customers.create
    shop.sb.fail_next(kind="lost")
    with pytest.raises(stripe.APIConnectionError):
        create({"name": "A"}, {"idempotency_key": "k1"})
    assert create({"name": "A"}, {"idempotency_key": "k1"}).id == shop.sb.all("customer")[0]["id"]
    shop.sb.fail_next(status=500, executed=True, remembered=True)
    for _ in range(3):
        with pytest.raises(stripe.APIError) as failed:
            create({"name": "B"}, {"idempotency_key": "k2"})
    assert failed.value.headers["idempotent-replayed"] == "true"
    assert [c["name"] for c in shop.sb.all("customer")] == ["A", "B"]


def test_faults_by_path_method_and_chance(shop: Shop) -> None:
    v1 = patient(shop.url).v1
    shop.sb.fail_next(path="/v1/refunds", method="POST", count=None)
    v1.refunds.list()
    v1.customers.create({"name": "A"})
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            v1.refunds.create({"charge": "ch_1"})
    shop.sb.faults.clear()

    def failures(seed: int) -> list[bool]:
        shop.sb.faults.clear()
        shop.sb.faults.reseed(seed)
        shop.sb.fail_next(kind="unavailable", percent=50, count=None)
        with httpx.Client(base_url=shop.url, auth=(KEY, "")) as client:
            return [client.get(CUSTOMERS).status_code == 503 for _ in range(40)]

    assert failures(1) == failures(1) != failures(2)
    assert 8 < sum(failures(1)) < 32
    with pytest.raises(StripeError, match="one of error"):
        shop.sb.fail_next(kind="flood")
    with pytest.raises(StripeError, match="between 0 and 100"):
        shop.sb.fail_next(percent=101)


def test_two_at_once_with_one_key(shop: Shop) -> None:
    shop.sb.fail_next(kind="slow", seconds=2)
    create = patient(shop.url).v1.customers.create
    with ThreadPoolExecutor() as pool:
        first = pool.submit(create, {"name": "A"}, {"idempotency_key": "k"})
        while shop.sb.faults and not first.done():
            time.sleep(0.005)  # until the first one is being worked on
        with pytest.raises(stripe.StripeError) as refused:
            create({"name": "A"}, {"idempotency_key": "k"})
        assert refused.value.error is not None
        assert (refused.value.http_status, refused.value.error.code) == (409, "idempotency_key_in_use")
        made = first.result()
    again = create({"name": "A"}, {"idempotency_key": "k"})
    assert (again.id, len(shop.sb.all("customer"))) == (made.id, 1)


def test_a_key_is_forgotten_after_a_day(shop: Shop) -> None:
    create = shop.client.v1.customers.create
    first = create({"name": "A"}, {"idempotency_key": "k"})
    shop.sb.advance_by(hours=DAY_HOURS - 1)
    again = create({"name": "A"}, {"idempotency_key": "k"})
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert again.last_response.headers["original-request"] == first.last_response.request_id
    assert again.last_response.request_id != first.last_response.request_id
    shop.sb.advance_by(hours=1)
    assert create({"name": "B"}, {"idempotency_key": "k"}).name == "B"


def test_a_key_survives_a_restart(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        sb = Sandbox(clock_start=CLOCK_START, path=tmp_path / "sandbox.db")
        url, stop = serve(create_app(sb))
        answers.append(sdk(url).v1.customers.create({"name": "A"}, {"idempotency_key": "k"}).id)
        stop()
        sb.close()
    assert answers[0] == answers[1]
    assert len(sb.all("customer")) == 1


def test_what_is_refused_for_its_form_is_not_kept(shop: Shop) -> None:
    create = shop.client.v1.payment_intents.create
    with pytest.raises(stripe.InvalidRequestError):
        create({"amount": "many", "currency": "usd"}, {"idempotency_key": "k"})  # type: ignore[typeddict-item]  # meant so
    assert create({"amount": 500, "currency": "usd"}, {"idempotency_key": "k"}).amount == 500
    bodies = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            create(
                {"amount": 500, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True},
                {"idempotency_key": "d"},
            )
        bodies.append(declined.value.json_body)
    assert bodies[0] == bodies[1]


def test_rate_limits_count_reads_and_writes_apart(shop: Shop) -> None:
    shop.sb.rate_limit = RateLimit(25, 25, clock=lambda: 0.0)  # as limit_rates(25), in a second that does not pass
    statuses = [httpx.get(shop.url + CUSTOMERS, auth=(KEY, "")).status_code for _ in range(30)]
    assert statuses == [200] * 25 + [429] * 5
    assert httpx.post(shop.url + CUSTOMERS, auth=(KEY, "")).status_code == 200
    shop.sb.limit_rates(0)
    body = httpx.get(shop.url + CUSTOMERS, auth=(KEY, "")).json()["error"]
    assert (body["code"], body["type"]) == ("rate_limit", "invalid_request_error")
    shop.sb.limit_rates(None)
    assert httpx.get(shop.url + CUSTOMERS, auth=(KEY, "")).status_code == 200


def test_a_bucket_refills_evenly() -> None:
    now = 100.0
    limit = RateLimit(100, 25, clock=lambda: now)
    assert sum(limit.allows("GET") for _ in range(300)) == 100
    assert sum(limit.allows("POST") for _ in range(300)) == 25
    now += 0.5
    assert (sum(limit.allows("GET") for _ in range(300)), sum(limit.allows("POST") for _ in range(300))) == (50, 12)


@pytest.fixture
def controlled() -> Iterator[tuple[Sandbox, str]]:
    """A sandbox with its control routes."""
    sb = Sandbox(clock_start=CLOCK_START, seed=7)

    async def nowhere(*_: object) -> int:
        await asyncio.sleep(0)
        return 200

    routes = control_routes(Control(sb, Deliveries(sb, nowhere)), lambda _: True)
    url, stop = serve(create_app(sb, extra=routes))
    yield sb, url
    stop()


def test_faults_over_the_control_route(controlled: tuple[Sandbox, str]) -> None:
    sb, url = controlled
    faults = f"{url}/_sandbox/faults"
    assert httpx.post(faults, json={"kind": "unavailable", "count": 2, "path": CUSTOMERS}).status_code == 200
    assert [httpx.get(url + CUSTOMERS, auth=(KEY, "")).status_code for _ in range(3)] == [503, 503, 200]
    assert "Unknown field 'sort'" in httpx.post(faults, json={"sort": "lost"}).json()["error"]
    httpx.post(faults, json={"kind": "error", "count": None})
    assert httpx.post(faults, json={"clear": True, "seed": 3}).json()["object"] == {"faults": 0}
    assert httpx.get(url + CUSTOMERS, auth=(KEY, "")).status_code == 200
    assert sb.all("customer") == []


def test_weather_resending_and_rate_limits_over_the_control_routes(controlled: tuple[Sandbox, str]) -> None:
    sb, url = controlled
    endpoint = sb.create_webhook_endpoint("http://shop.test/hook")["id"]
    sb.create_customer(email="a@example.com")

    def do(what: str, **fields: object) -> httpx.Response:
        return httpx.post(f"{url}/_sandbox/{what}", json=fields)

    changed = do("deliveries", late_percent=10, late_seconds=30, skew_seconds=-400, seed=3).json()["object"]
    assert (changed["late_percent"], changed["late_seconds"], changed["skew_seconds"]) == (10, 30, -400)
    assert do("deliveries", types=["invoice.*"], drop_percent=50).json()["object"]["drop_percent"] == 50
    assert do("deliveries").json()["object"]["drop_percent"] == 0
    assert do("deliveries", clear=True, retry="live").json()["object"]["late_percent"] == 0
    assert "one of quick" in do("deliveries", retry="never").json()["error"]
    assert "between 0 and 100" in do("deliveries", drop_percent=101).json()["error"]
    do("deliveries", endpoint=endpoint, api_version="2020-08-27")
    assert sb.get(endpoint)["api_version"] == "2020-08-27"
    assert do("resend", event=sb.events[0]["id"]).json()["object"] == {"deliveries": 1}
    assert do("resend", event="evt_nobody").json()["code"] == "resource_missing"
    do("rate_limit", reads=0, writes=5)
    assert httpx.get(url + CUSTOMERS, auth=(KEY, "")).status_code == 429
    assert httpx.post(url + CUSTOMERS, auth=(KEY, "")).status_code == 200
    do("rate_limit")
    assert httpx.get(url + CUSTOMERS, auth=(KEY, "")).status_code == 200


def test_a_silent_connection_ends_when_it_was_told_to(shop: Shop) -> None:
    shop.sb.fail_next(kind="timeout", seconds=0.3)
    started = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):  # no ReadTimeout: not the client ended it
        httpx.get(shop.url + CUSTOMERS, auth=(KEY, ""), timeout=60)
    assert time.monotonic() - started > 0.2
    assert threading.active_count() < 20
