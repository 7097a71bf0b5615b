"""The process: its pages and control routes as a browser and a script use them, and how it ends."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving import reserved_ports

KEY = "sk_test_process"


@contextmanager
def running(folder: Path, *flags: str, ends: signal.Signals = signal.SIGTERM) -> Iterator[httpx.Client]:
    """The sandbox as a process on a free port; ended by SIGTERM, which must succeed, or by another signal."""
    own = ("--data", str(folder), "--key", KEY, *flags)
    with reserved_ports() as port:
        process = subprocess.Popen([sys.executable, "-m", "refref.sandbox", "--port", str(port), *own])
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                wait_until_it_answers(client, process)
                yield client
        finally:
            process.send_signal(ends)
            ended = process.wait(60)
    assert ended == (0 if ends == signal.SIGTERM else -ends)


def wait_until_it_answers(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            client.get("/_sandbox/state")
        except httpx.ConnectError:
            assert process.poll() is None, "the sandbox ended while it started"
            time.sleep(0.05)
        else:
            return


def until_delivered(client: httpx.Client) -> None:
    """Go on once every delivery was answered, or given up."""
    while client.get("/_sandbox/state").json()["deliveries"]["waiting"]:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    small = ("--seed", "3", "--customers", "60")
    with running(tmp_path_factory.mktemp("sandbox"), *small, "--refcodes", "amy,bob") as client:
        yield client


def do(client: httpx.Client, what: str, **fields: object) -> httpx.Response:
    return client.post(f"/_sandbox/{what}", json=fields)


def token(client: httpx.Client) -> str:
    found = re.search(r'name="token" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]


def test_control_routes(shop: httpx.Client) -> None:
    sold = do(shop, "buy", price="price_sample_template_usd", email="x@example.com", refcode="amy").json()["object"]
    assert (sold["client_reference_id"], sold["amount_total"]) == ("amy", 4900)
    refund = do(shop, "refund", payment=sold["id"], amount=1000).json()["object"]
    assert (refund["object"], refund["amount"]) == ("refund", 1000)
    dispute = do(shop, "dispute", payment=sold["id"]).json()["object"]
    assert do(shop, "dispute", dispute=dispute["id"], status="lost").json()["object"]["status"] == "lost"
    session = do(shop, "subscribe", price="price_sample_monthly_eur", email="y@example.com").json()["object"]
    moved = do(shop, "upgrade", subscription=session["subscription"], price="price_sample_annual_eur")
    assert moved.json()["object"]["plan"]["interval"] == "year"
    assert do(shop, "cancel", subscription=session["subscription"]).json()["object"]["status"] == "canceled"
    assert do(shop, "advance", days=1).json()["object"]["events"] >= 0
    assert do(shop, "deliveries", duplicate=1).json()["object"]["duplicate"] == 1
    assert do(shop, "live", refcodes=["amy"]).json()["object"] == {"live": False}
    state = shop.get("/_sandbox/state").json()
    assert (state["refcodes"], state["deliveries"]["waiting"]) == (["amy"], 0)


def test_control_routes_refuse_what_they_cannot_do(shop: httpx.Client) -> None:
    assert do(shop, "buy").json()["code"] == "parameter_missing"
    assert do(shop, "fly").status_code == 404
    assert do(shop, "advance", to="yesterday").status_code == 400
    assert do(shop, "refund", payment="ch_nobody").json()["code"] == "resource_missing"
    assert shop.post("/_sandbox/buy", content=b"[").status_code == 403
    as_form = shop.post("/_sandbox/advance", data={"days": "1"})
    assert as_form.status_code == 403


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}], ids=str
)
def test_other_origins_are_refused(shop: httpx.Client, headers: dict[str, str]) -> None:
    before = shop.get("/_sandbox/state").json()["now"]
    form = {"token": token(shop), "months": "1"}
    assert shop.post("/_page/advance", data=form, headers=headers).status_code == 403
    assert shop.post("/_sandbox/advance", json={"months": 1}, headers=headers).status_code == 403
    assert shop.get("/_sandbox/state").json()["now"] - before < 60


def test_pages(shop: httpx.Client) -> None:
    assert shop.post("/_page/advance", data={"days": "1"}).status_code == 403
    ours = {"token": token(shop)}
    fields = {"price": "price_sample_template_usd", "email": "<b>@example.com", "refcode": "amy"}
    answer = shop.post("/_page/buy", data=ours | fields)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/?said=Sold+Sample+Template.&done=cs_test_")
    page = shop.get(answer.headers["location"]).text
    assert "Sold Sample Template." in page
    assert "&lt;b&gt;@example.com" in page
    assert "<b>@example.com" not in page
    payment = re.search(r'name="payment" value="(ch_\w+)"', page)
    assert payment is not None
    assert (
        "Refunded"
        in shop.post("/_page/refund", data=ours | {"payment": payment[1], "amount": "12.5"}).headers["location"]
    )
    assert shop.get("/?q=%3Cb%3E").text.count("refunded 12.50 USD") == 1
    wrong = shop.post("/_page/refund", data=ours | {"payment": payment[1], "amount": "1.234"}).headers["location"]
    assert "not+an+amount" in wrong


def test_the_hosted_payment_page(shop: httpx.Client) -> None:
    form = {
        "mode": "payment",
        "line_items[0][price]": "price_sample_template_usd",
        "success_url": "https://shop.example/done?s={CHECKOUT_SESSION_ID}",
    }
    auth = {"authorization": f"Bearer {KEY}"}
    session = shop.post("/v1/checkout/sessions", data=form, headers=auth).json()
    path = httpx.URL(session["url"]).path
    assert "49.00 USD" in shop.get(path).text
    buyer = {"token": token(shop), "email": "z@example.com"}
    declined = shop.post(path, data=buyer | {"card": "declined"})
    assert (declined.status_code, "Your card was declined." in declined.text) == (402, True)
    paid = shop.post(path, data=buyer | {"card": "visa"})
    assert paid.headers["location"] == f"https://shop.example/done?s={session['id']}"
    assert "You have paid" in shop.get(path).text
    assert shop.post(path, data={"card": "visa"}).status_code == 403
    assert shop.get("/pay/cs_test_nothing").status_code == 404


def test_the_whole_history_goes_to_a_new_endpoint_and_everything_survives(tmp_path: Path) -> None:
    from sandbox.test_deliveries import Listener
    from serving import serve

    listener = Listener()
    url, stop = serve(listener.app)
    auth = {"authorization": f"Bearer {KEY}"}
    with running(tmp_path, "--seed", "3", "--customers", "60") as client:
        do(client, "advance", hours=0)  # answered when the history is written
        events = client.get("/_sandbox/state").json()["events"]
        fields = {"url": f"{url}/hook", "enabled_events[0]": "*", "api_version": "2024-06-20"}
        endpoint = client.post("/v1/webhook_endpoints", data=fields, headers=auth).json()
        count = do(client, "deliver_all", endpoint=endpoint["id"]).json()["object"]["deliveries"]
        while client.get("/_sandbox/state").json()["deliveries"]["delivered"] < count:
            time.sleep(0.05)
    stop()
    assert len(set(listener.ids)) == count
    assert count == sum(1 for _ in listener.ids)
    assert events > count > 1000  # this version does not know invoice_payment.paid
    assert {json.loads(b)["api_version"] for b in listener.bodies} == {"2024-06-20"}
    with running(tmp_path, "--seed", "3", "--customers", "60") as client:
        assert client.get("/_sandbox/state").json()["events"] >= events
        assert client.get("/_sandbox/state").json()["endpoints"][0]["id"] == endpoint["id"]


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    auth = {"authorization": f"Bearer {KEY}"}
    with running(tmp_path, ends=signal.SIGKILL) as client:
        made = client.post("/v1/customers", data={"name": "A"}, headers=auth).json()["id"]
    with running(tmp_path) as client:
        assert client.get(f"/v1/customers/{made}", headers=auth).json()["name"] == "A"
        assert client.post("/v1/customers", data={"name": "B"}, headers=auth).json()["id"] != made
