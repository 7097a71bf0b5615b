"""What Stripe refuses for its form is refused in Stripe's words, at every depth; the forms are the specification's."""

import importlib.util
import json
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

import stripe
from judges.requests import form_of
from refref.sandbox.errors import StripeError
from refref.sandbox.form import parse
from refref.sandbox.request_form import check_form, forms
from refref.sandbox.wire import all_calls
from sandbox.shop import KEY, Shop

ROOT = Path(__file__).parents[2]
ENDIVE = "2026-10-28.endive"

# Call, parameters, and what Stripe says to them: code, parameter, beginning of the sentence.
REFUSED = [
    ("POST /v1/customers", {"nonsense": 1}, "parameter_unknown", "nonsense", "Received unknown parameter: nonsense"),
    (
        "POST /v1/subscriptions",
        {"customer": "cus_1", "items": [{"price": "price_1", "colour": "red"}]},
        *("parameter_unknown", "items[0][colour]", "Received unknown parameter: items[0][colour]"),
    ),
    ("POST /v1/payment_intents", {"currency": "usd"}, "parameter_missing", "amount", "Missing required param: amount."),
    (
        "POST /v1/promotion_codes",
        {"promotion": {"coupon": "half"}},
        *("parameter_missing", "promotion[type]", "Missing required param: promotion[type]."),
    ),
    (
        "POST /v1/payment_intents",
        {"amount": "5.00", "currency": "usd"},
        *("parameter_invalid_integer", "amount", "Invalid integer: 5.00"),
    ),
    (
        "POST /v1/payment_intents",
        {"amount": "", "currency": "usd"},
        *("parameter_invalid_empty", "amount", "You passed an empty string for 'amount'."),
    ),
    (
        "POST /v1/subscriptions/{id}",
        {"cancel_at_period_end": "maybe"},
        *("parameter_invalid_boolean", "cancel_at_period_end", "Invalid boolean: maybe"),
    ),
    ("POST /v1/coupons", {"percent_off": "ten"}, None, "percent_off", "Invalid decimal: ten"),
    (
        "POST /v1/coupons",
        {"duration": "sometimes"},
        *(None, "duration", "Invalid duration: must be one of forever, once, or repeating"),
    ),
    (
        "POST /v1/webhook_endpoints",
        {"url": "x", "enabled_events": "invoice.paid"},
        "parameter_invalid",
        "enabled_events",
        "",
    ),
    ("POST /v1/invoices", {"customer": "cus_1", "automatic_tax": "yes"}, None, "automatic_tax", "Invalid object"),
    ("GET /v1/charges", {"created": {"gte": "today"}}, "parameter_invalid_integer", "created[gte]", "Invalid integer"),
    ("POST /v1/customers", {"metadata": {"k": "v" * 501}}, None, "metadata[k]", "Metadata values can have up to 500"),
    ("POST /v1/customers", {"metadata": {"k" * 41: "v"}}, None, "metadata", "Metadata keys can have up to 40"),
    (
        "POST /v1/customers",
        {"metadata": {f"k{n}": "v" for n in range(51)}},
        None,
        "metadata",
        "Metadata can have at most",
    ),
    ("POST /v1/coupons", {"name": "n" * 41}, "parameter_invalid_string_length", "name", "Invalid string: nnnn"),
]


@pytest.mark.parametrize(("call", "data", "code", "param", "sentence"), REFUSED, ids=lambda v: str(v)[:30])
def test_refusals(call: str, data: dict[str, object], code: str | None, param: str, sentence: str) -> None:
    with pytest.raises(StripeError) as refused:
        check_form(call, parse(urlencode(form_of(data))), ENDIVE)
    assert (refused.value.status, refused.value.kind) == (400, "invalid_request_error")
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.message.startswith(sentence)


def test_what_is_unset_or_in_one_of_several_forms_passes() -> None:
    for call, data in (
        ("POST /v1/subscriptions/{id}", {"pause_collection": "", "trial_end": "now", "metadata": ""}),
        ("POST /v1/subscriptions/{id}", {"trial_end": 1790000000, "pause_collection": {"behavior": "void"}}),
        ("POST /v1/subscriptions/{id}", {"billing_cycle_anchor": {"type": "now"}}),
        ("GET /v1/charges", {"created": 1790000000, "expand": ["data.customer"]}),
        ("POST /v1/customers", {"metadata": {"1": "one", "2": "two"}}),
        ("POST /v1/webhook_endpoints", {"url": "x", "enabled_events": ["*"], "api_version": ENDIVE}),
    ):
        check_form(call, parse(urlencode(form_of(data))), ENDIVE)


def test_calls_of_older_versions_are_checked_by_their_outermost_names_only() -> None:
    data = {"customer": "cus_1", "phases": [{"items": [{"price": "price_1"}], "iterations": 2}]}
    asked = parse(urlencode(form_of(data)))
    check_form("POST /v1/subscription_schedules", asked, "2025-08-27.basil")
    with pytest.raises(StripeError):
        check_form("POST /v1/subscription_schedules", asked, ENDIVE)
    with pytest.raises(StripeError):
        check_form("POST /v1/subscription_schedules", {**asked, "iterations": "2"}, "2025-08-27.basil")


def test_the_real_sdk_meets_them(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.coupons.create({"duration": "sometimes"})  # type: ignore[typeddict-item]  # meant so
    assert (refused.value.param, refused.value.http_status) == ("duration", 400)
    answer = httpx.post(f"{shop.url}/v1/coupons", data={"percent_off": "10"}, auth=(KEY, ""))
    assert answer.json()["percent_off"] == 10


def test_an_older_coupon_of_a_promotion_code(shop: Shop) -> None:
    coupon = shop.sb.create_coupon(percent_off=50)["id"]

    def ask(version: str) -> httpx.Response:
        headers = {"stripe-version": version}
        return httpx.post(f"{shop.url}/v1/promotion_codes", data={"coupon": coupon}, auth=(KEY, ""), headers=headers)

    assert ask("2025-08-27.basil").json()["coupon"]["id"] == coupon
    assert ask(ENDIVE).json()["error"]["param"] == "coupon"


def test_the_forms_are_the_specification_s() -> None:
    spec = importlib.util.spec_from_file_location("build", ROOT / "tools" / "build_request_schemas.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert json.dumps(tool.request_schemas(), sort_keys=True) == json.dumps(forms(), sort_keys=True), (
        "run: .venv/bin/python tools/build_request_schemas.py"
    )
    assert {f"{method} {path}" for method, path, _ in all_calls()} == set(forms())
