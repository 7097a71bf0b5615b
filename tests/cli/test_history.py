"""refref backfill, reconcile, statement, intake: in the foreground, against a sandbox on a port of its own."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from refref.cli import app
from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app
from serving import serve

Run = Callable[..., Result]


@pytest.fixture
def stripe() -> Iterator[tuple[Sandbox, str]]:
    """Give a sandbox with three sales, and its address."""
    sb = Sandbox(clock_start=int(time.time()) - 120, seed=5)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 4_000)["id"]
    for number in range(3):
        sb.sell(price=price, email=f"c{number}@customers.example")
    url, stop = serve(create_app(sb))
    yield sb, url
    stop()


@pytest.fixture
def refref(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stripe: tuple[Sandbox, str]) -> Run:
    """Give a function that runs a command on an organization that is connected to the sandbox."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REFREF_DATA_DIR", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result

    run("user", "create", "--email", "a@example.com", "--new-organization", "Sample Shop")
    key = ("--api-key", "rk_test_sample000000000000", "--api-base", stripe[1])
    run("connection", "create", "--name", "Sandbox", *key)
    return run


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_the_history_is_read_compared_and_stated(refref: Run, stripe: tuple[Sandbox, str]) -> None:
    sb, _ = stripe
    told = refref("backfill").stdout
    assert "backfill rdg_" in told
    assert ": done" in told
    found = said(refref("backfill", "--status", "--json"))
    assert {part["part"]: part["stored_count"] for part in found["parts"]}["charges"] == 3
    assert found["done_bps"] == 10_000

    compared = said(refref("reconcile", "--from", "2020-01-01", "--json"))
    # Nobody pumps here: the events are missing, and what the inbox holds of objects is not, though nothing is settled.
    assert compared["run"]["status"] == "done"
    assert {gap["part"] for gap in compared["gaps"]} == {"events"}

    month = time.strftime("%Y-%m", time.gmtime(sb.now))
    stated = refref("statement", month).stdout
    assert f"Statement of {month}" in stated
    assert "Explained money: 0 %" in stated


def test_wrong_use_is_told(refref: Run) -> None:
    assert "Give a month such as 2026-03." in refref("statement", "march", code=1).stderr
    assert "There is no backfill yet" in refref("backfill", "--status", code=1).stderr
    assert "is no instant" in refref("reconcile", "--from", "yesterday", code=2).stderr
    assert "say polling or webhooks" in refref("intake", "pigeon", code=2).stderr


def test_intake(refref: Run) -> None:
    assert "Events arrive by webhooks." in refref("intake").stdout
    assert "by polling the events list" in refref("intake", "polling").stdout
    assert said(refref("intake", "webhooks", "--json"))["is_intake"] is False


def test_a_reading_can_be_left_to_the_worker_and_cancelled(refref: Run) -> None:
    asked = said(refref("backfill", "--worker", "--json"))
    assert asked["run"]["status"] == "waiting"
    assert said(refref("backfill", "--cancel", "--json"))["run"]["status"] == "cancelled"
    assert said(refref("backfill", "--resume", "--json"))["run"]["status"] == "done"
