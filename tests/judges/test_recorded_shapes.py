"""Versions older than the specification: the sandbox's objects have the keys of recorded ones of the same version.

Skips where the recordings are not at hand. A difference that is none stands in `DIFFERS` with its reason.
"""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from refref.sandbox.versions import render
from sandbox.everything import everything
from sandbox.shop import KEY, Shop

RECORDED = Path(__file__).parents[2].parent / "shared" / "stripe" / "recorded"
VERSION = "2020-08-27"

# Where an object differs from a recorded one (a regular expression), and why that is right.
DIFFERS = {
    r"charge\.refunds: there only": "It was asked for with expand.",
    r"charge\.payment_method_details\.(card: there|sepa_debit: here) only": "Paid in another way.",
    r"checkout\.session\.branding_settings: there only": "What the page looks like; the sandbox's has one look.",
    r"checkout\.session\.payment_method_options\.\w+: there only": "Other ways to pay are switched on there.",
    r"subscription\.(items\.data\[\]\.)?(plan|price\.recurring)\.(aggregate_usage: there|meter: here) only": (
        "Usage moved to meters in every version at once."
    ),
    r"subscription\.items\.data\[\]\.price\.(custom_unit_amount|tax_behavior): here only": (
        "Added to every version after the recording was made (2022)."
    ),
    r"subscription\.(application|billing_cycle_anchor_config|description|on_behalf_of|test_clock|automatic_tax"
    r"|cancellation_details|currency|invoice_settings|payment_settings|trial_settings): here only": (
        "Added to every version after the recording was made (2022)."
    ),
}
SB = everything()


def recordings(kind: str = "response") -> list[Path]:
    found = []
    for path in sorted(RECORDED.glob("*.json")):
        body = json.loads(path.read_text())
        if "response" in body and ("error" in body["response"]) == (kind == "error"):
            found.append(path)
    return found


def kind_of(value: object) -> str:
    names = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "text", list: "list"}
    return names.get(type(value), "object")


def differences(there: Any, here: Any, where: str) -> list[str]:
    """Keys that only one of the two has, and values of another kind; null and an id stand for anything."""
    kinds = kind_of(there), kind_of(here)
    if "null" in kinds or kinds in (("object", "text"), ("text", "object")):
        return []
    if kinds[0] != kinds[1]:
        return [f"{where}: {kinds[0]} there, {kinds[1]} here"]
    if kinds[0] == "list":
        return differences(there[0], here[0], f"{where}[]") if there and here else []
    if kinds[0] != "object" or where.endswith("metadata"):
        return []
    found = [f"{where}.{key}: there only" for key in there if key not in here]
    found += [f"{where}.{key}: here only" for key in here if key not in there]
    return found + [
        each for key in there if key in here for each in differences(there[key], here[key], f"{where}.{key}")
    ]


def compared(path: Path) -> list[str] | None:
    """The differences to the most similar object of the sandbox; None: the sandbox has none of that kind."""
    recorded = json.loads(path.read_text())
    there = recorded["response"]
    there = there["data"][0] if there["object"] == "list" else there
    kind, version = there["object"], recorded["stripe_version"]
    all_found = [differences(there, render(d, version), kind) for d in SB.all(kind) if not d.get("deleted")]
    return min(all_found, key=len, default=None)


def of_kinds(*kinds: str) -> list[Path]:
    paths = recordings()
    return [p for p in paths if any(p.name.startswith(kind) for kind in kinds)]


SHOWN = of_kinds("charge", "checkout", "invoice", "refund", "subscription")


@pytest.mark.skipif(not SHOWN, reason="the recorded Stripe objects (shared/stripe/recorded) are not here")
def test_objects_have_the_keys_of_recorded_ones_of_their_version() -> None:
    excused, used = [re.compile(pattern) for pattern in DIFFERS], set()
    for path in SHOWN:
        found = compared(path)
        assert found is not None, f"{path.name}: the sandbox has no such object"
        for each in found:
            matching = [pattern.pattern for pattern in excused if pattern.fullmatch(each)]
            assert matching, f"{path.name}: {each}"
            used.update(matching)
    assert set(DIFFERS) - used == set(), "these differences are gone: take the rows out"
    versions = {json.loads(path.read_text())["stripe_version"] for path in SHOWN}
    assert {VERSION, "2024-06-20", "2025-02-24.acacia", "2025-10-29.clover", "2026-03-25.dahlia"} <= versions


@pytest.mark.parametrize(
    ("there", "here", "count"),
    [
        ({"a": 1}, {"a": 2}, 0),
        ({"a": 1}, {}, 1),
        ({"a": 1}, {"a": 1, "b": None}, 1),
        ({"a": 1}, {"a": "1"}, 1),
        ({"a": None}, {"a": "1"}, 0),
        ({"a": "cus_1"}, {"a": {"id": "cus_1"}}, 0),
        ({"a": [{"b": 1}]}, {"a": [{"c": 1}]}, 2),
        ({"metadata": {"k": "v"}}, {"metadata": {}}, 0),
    ],
)
def test_the_comparison_itself(there: Any, here: Any, count: int) -> None:
    assert len(differences(there, here, "x")) == count


@pytest.mark.skipif(not recordings("error"), reason="the recorded Stripe errors (shared/stripe/recorded) are not here")
def test_refusals_read_as_the_recorded_ones(shop: Shop) -> None:
    customer = shop.sb.create_customer(email="a@example.com")["id"]
    for path in recordings("error"):
        recorded = json.loads(path.read_text())
        there, asked = recorded["response"]["error"], recorded["request"]
        body = re.sub(r"cus_\w+", customer, asked["body"]) or None
        answer = httpx.request(
            asked["method"],
            shop.url + asked["url"],
            content=body,
            headers={"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"},
        )
        here = answer.json()["error"]
        same = {k: v for k, v in there.items() if k not in ("request_log_url", "param") or v}
        assert answer.status_code == recorded["status"]
        assert here | {"request_log_url": ""} == same | {"request_log_url": ""}, path.name
