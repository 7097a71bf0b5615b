"""The demo, as a newcomer meets it: one command, sign in, see a sale, understand its reward, refund it, watch.

Also the two interfaces that programs rely on: the line of JSON, and a clean end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

import stripe
from looks import follow, opened_browser
from serving import reserved_ports

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 120  # of one wait: nothing here takes as long, however busy the machine is
FIELDS = {
    "url", "email", "password", "api_key", "connection_id", "webhook_url", "webhook_secret", "sandbox_url",
    "sandbox_key",
}  # fmt: skip


@dataclass
class Demo:
    told: dict[str, str]
    process: subprocess.Popen[str]
    folder: Path

    def api(self, path: str, **params: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.told['api_key']}"}
        answer = httpx.get(f"{self.told['url']}/v1/{path}", params=params, headers=headers, timeout=LIMIT_S)
        answer.raise_for_status()
        return answer.json()

    def sandbox(self, what: str, **fields: Any) -> Any:
        # It waits until the sample history is written, for some seconds.
        answer = httpx.post(f"{self.told['sandbox_url']}/_sandbox/{what}", json=fields, timeout=LIMIT_S)
        answer.raise_for_status()
        return answer.json()

    def sandbox_state(self) -> Any:
        return httpx.get(f"{self.told['sandbox_url']}/_sandbox/state", timeout=LIMIT_S).json()

    def monthly_price(self) -> Any:
        """The sandbox's price in US dollars that recurs monthly."""
        headers = {"Authorization": f"Bearer {self.told['sandbox_key']}"}
        found = httpx.get(f"{self.told['sandbox_url']}/v1/prices", headers=headers, timeout=LIMIT_S).json()["data"]
        every_month = (one for one in found if one["recurring"] and one["recurring"]["interval"] == "month")
        return next(one for one in every_month if one["currency"] == "usd")

    def refref(self, *arguments: str) -> Any:
        environment = os.environ | {"REFREF_DATA_DIR": str(self.folder)}
        command = [str(ROOT / "run"), "refref", *arguments, "--json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo") / "data"
    with reserved_ports(2) as port:  # the sandbox takes the next one
        process = subprocess.Popen(
            [str(ROOT / "run"), "demo", "--port", str(port), "--data", str(folder), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            made = Demo(told, process, folder)
            wait_for(lambda: made.api("events", state="done", limit=1)["data"], "the history to be settled")
            yield made
        finally:
            stop(process, signal.SIGTERM)


def stop(process: subprocess.Popen[str], number: int) -> int:
    """End a demo as a person would (Ctrl-C, kill), and return its exit code."""
    if process.poll() is None:
        process.send_signal(number)
    code = process.wait(LIMIT_S)
    if process.stdout is not None:
        process.stdout.close()
    return code


def wait_for(look: Any, what: str) -> Any:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {LIMIT_S} s for {what}")


def test_the_line_of_json(demo: Demo) -> None:
    assert set(demo.told) == FIELDS
    assert demo.told["webhook_url"] == f"{demo.told['url']}/stripe/webhooks/{demo.told['connection_id']}"


def test_the_history_arrives_by_webhook_and_is_what_was_promised(demo: Demo) -> None:
    """600 customers and 40 participants in three programs, in three currencies, none of it lost on the way."""

    def arrived() -> bool:
        state = demo.sandbox_state()
        return state["history"]["of_months"] == 0 and state["deliveries"]["waiting"] == 0

    wait_for(arrived, "the history to be delivered")
    wait_for(lambda: not demo.api("events", state="pending", limit=1)["data"], "the inbox to be empty")
    state = demo.sandbox_state()
    assert state["counts"]["customer"] >= 595
    assert state["deliveries"]["failed"] == 0
    assert len(demo.api("programs")["data"]) == 3
    assert len(demo.api("participants", limit=100)["data"]) == 40
    rewards = demo.api("rewards", limit=100)["data"]
    assert {r["amount"]["currency"] for r in rewards} >= {"usd", "eur"}


def test_the_two_pages_link_to_each_other(demo: Demo) -> None:
    page = httpx.get(demo.told["sandbox_url"], timeout=LIMIT_S).text
    assert f'href="{demo.told["url"]}/">Back to RefRef</a>' in page


def test_the_real_sdk_talks_to_its_stripe(demo: Demo) -> None:
    client = stripe.StripeClient(demo.told["sandbox_key"], base_addresses={"api": demo.told["sandbox_url"]})
    sessions = client.v1.checkout.sessions.list({"limit": 3})
    assert len(sessions.data) == 3
    assert any(event.type == "invoice.paid" for event in client.v1.events.list({"limit": 100}).auto_paging_iter())


def test_a_sale_and_its_refund_before_a_persons_eyes(demo: Demo) -> None:
    monthly = demo.monthly_price()
    refcode = demo.api("participants", limit=1)["data"][0]["codes"][0]
    bought = demo.sandbox("subscribe", price=monthly["id"], email="newcomer@example.com", refcode=refcode)
    session = bought["object"]
    reward = wait_for(lambda: reward_of(demo, session["invoice"]), "the sale to be booked")
    assert reward["amount"]["amount_minor"] * 5 == monthly["unit_amount"]
    with opened_browser() as browser:
        page = browser.new_page()
        page.goto(demo.told["url"])
        page.fill("input[name=email]", demo.told["email"])
        page.fill("input[name=password]", demo.told["password"])
        follow(page.locator("input[name=password]"), by_key=True)
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        expect(page.get_by_text("newcomer@example.com")).to_be_visible()
        page.goto(f"{demo.told['url']}/rewards/{reward['reward_id']}")
        for part in ("What was sold", "What counts", "Who referred, and how we know", "The rule", "In the books"):
            expect(page.get_by_text(part, exact=False).first).to_be_visible()
        expect(page.get_by_text("× 20 % =", exact=False).first).to_be_visible()
        expect(page.get_by_text(refcode, exact=False).first).to_be_visible()
        demo.sandbox("refund", payment=session["invoice"], amount=monthly["unit_amount"] // 2)
        # The page changes by itself: nobody reloads it.
        expect(page.get_by_text("Refunded to the customer", exact=False).first).to_be_visible()
        expect(page.get_by_text("was taken back", exact=False).first).to_be_visible()
    after = reward_of(demo, session["invoice"])
    assert after["reversed"]["amount_minor"] * 2 == after["amount"]["amount_minor"]


def reward_of(demo: Demo, invoice: str) -> Any:
    found = demo.api("rewards", payment_key=invoice)["data"]
    return found[0] if found else None


def test_the_books_stand_up_to_scrutiny(demo: Demo) -> None:
    wait_for(lambda: not demo.api("events", state="pending", limit=1)["data"], "the inbox to be empty")
    assert not demo.api("events", state="parked", limit=1)["data"]
    assert demo.refref("doctor")["ok"]
    rebuilt = demo.refref("rebuild", "--verify")
    assert rebuilt["ok"], rebuilt


def test_it_ends_cleanly_and_comes_back_with_the_same_sign_in(demo: Demo) -> None:
    assert stop(demo.process, signal.SIGTERM) == 0
    port = demo.told["url"].rpartition(":")[2]
    again = subprocess.Popen(
        [str(ROOT / "run"), "demo", "--port", port, "--data", str(demo.folder), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert again.stdout is not None
        told = json.loads(again.stdout.readline())
        assert (told["email"], told["password"], told["api_key"]) == (
            demo.told["email"], demo.told["password"], demo.told["api_key"],
        )  # fmt: skip
    finally:
        assert stop(again, signal.SIGINT) == 0
