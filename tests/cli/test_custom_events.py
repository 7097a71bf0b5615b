"""refref custom-events and refref catalog: text for people, JSON for programs, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from refref.cli import app
from refref.cli.catalog import coupon_words, price_words
from refref.core.catalog import Coupon, Price

Run = Callable[..., Result]
TERMS = """
events:
  - event_id: kyc
    kind: custom
    custom:
      stripe_types: [customer.updated]
      criteria: event.data.object.metadata.kyc == "passed"
rules:
  - {rule_id: kyc, event: kyc, kind: fixed, amounts: {usd: 500}}
"""


@pytest.fixture
def refref(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that runs a command on a fresh database with one organization and connection."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REFREF_DATA_DIR", str(tmp_path))

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, (arguments, result.output, result.exception)
        return result

    run("user", "create", "--email", "a@example.com", "--new-organization", "Sample Shop")
    return run


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_custom_event_is_tried(refref: Run, tmp_path: Path) -> None:
    terms = tmp_path / "terms.yaml"
    terms.write_text(TERMS)
    asked = ("custom-events", "try", "--definition", str(terms))
    matched = refref(*asked, "--sample", "customer.updated").stdout
    assert '(customer.updated): match\n  event.data.object.metadata.kyc is "passed"' in matched
    assert "rule kyc: 5.00 USD commission to the referrer" in matched
    assert said(refref(*asked, "--sample", "customer.updated", "--json"))[0]["rewards"][0]["amount_minor"] == 500
    told = refref("custom-events", "samples", "customer.updated").stdout
    file = tmp_path / "event.json"
    file.write_text(told.replace('"passed"', '"pending"'))
    assert 'is "pending"' in refref(*asked, "--event", str(file), code=1).stdout
    file.write_text("{}")
    assert "event: " in refref(*asked, "--event", str(file), code=1).stderr
    assert "no sample" in refref(*asked, "--sample", "some.thing", code=1).stderr
    terms.write_text(TERMS.replace("==", "="))
    assert "terms.yaml:7: terms.events.0.custom.criteria: Line 1" in refref(*asked, "--sample", "x", code=1).stderr


def test_samples_and_progress(refref: Run) -> None:
    assert "customer.updated" in refref("custom-events", "samples").stdout.splitlines()
    refref("connection", "create", "--name", "Test", "--mode", "test")
    assert refref("custom-events", "progress").stdout == "No published terms hold a custom event.\n"


def test_the_catalogue(refref: Run) -> None:
    refref("connection", "create", "--name", "Test", "--mode", "test")
    assert "refref catalog sync" in refref("catalog", "list").stdout
    assert "never read" in refref("catalog", "status").stdout
    assert "api_key_required" in refref("catalog", "sync", code=1).stderr


def test_words() -> None:
    price = Price("price_1", "prod_1", "usd", 0, unit_amount_minor=2_900, interval="month", interval_count=3)
    assert price_words(price) == "29.00 USD every 3 months"
    assert price_words(Price("price_1", "prod_1", "jpy", 0, unit_amount_minor=500)) == "500 JPY once"
    assert price_words(Price("price_1", "prod_1", "usd", 0, billing_scheme="tiered")) == "in tiers, USD once"
    assert coupon_words(Coupon("TEN", "", 0, percent_off_bps=1_250)) == "12.5 % off, once"
    assert coupon_words(Coupon("FIVE", "", 0, amount_off_minor=500, currency="eur")) == "5.00 EUR off, once"
