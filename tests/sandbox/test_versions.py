"""One truth in every API version: where each fact of a sale is found, from 2020-08-27 to endive."""

import json
from typing import Any

import pytest

from refref.sandbox.versions import VERSIONS, known, render
from sandbox.everything import everything

SB = everything()
OLD = [v for v in VERSIONS if v < "2025-03-31"]
ACACIA = [v for v in VERSIONS if v.endswith("acacia")]
NEW = [v for v in VERSIONS if v >= "2025-03-31"]


def first(kind: str, **having: Any) -> dict[str, Any]:
    return next(d for d in SB.all(kind) if all(d.get(k) == v for k, v in having.items()))


def of_subscription() -> dict[str, Any]:
    return next(i for i in SB.all("invoice") if i["parent"] and i["_discounts"] and i["total"])


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_private_is_shown(version: str) -> None:
    for event in [e for account in SB.accounts.members for e in account.events]:
        shown = render(event, version)
        assert '"_' not in json.dumps(shown)
        assert (shown["id"], shown["api_version"]) == (event["id"], version)


@pytest.mark.parametrize("version", OLD)
def test_old_invoices(version: str) -> None:
    canonical = of_subscription()
    invoice = render(canonical, version)
    assert invoice["subscription"] == canonical["parent"]["subscription_details"]["subscription"]
    assert (invoice["charge"], invoice["payment_intent"]) == (canonical["_charge"], canonical["_payment_intent"])
    assert (invoice["paid"], invoice["paid_out_of_band"]) == (True, False)
    assert invoice["discount"]["coupon"]["object"] == "coupon"
    assert invoice["discounts"] == [invoice["discount"]["id"]]
    line = invoice["lines"]["data"][0]
    assert (line["type"], line["proration"], line["price"]["object"], line["plan"]["object"]) == (
        "subscription",
        False,
        "price",
        "plan",
    )
    assert ("parent" in invoice, "pricing" in line, "total_taxes" in invoice) == ((version in ACACIA),) * 3


@pytest.mark.parametrize("version", NEW)
def test_new_invoices(version: str) -> None:
    invoice = render(of_subscription(), version)
    assert {"subscription", "charge", "payment_intent", "paid", "paid_out_of_band", "discount", "tax"} & set(
        invoice
    ) == set()
    assert invoice["parent"]["subscription_details"]["subscription"].startswith("sub_")
    line = invoice["lines"]["data"][0]
    assert {"price", "plan", "type", "proration", "tax_amounts"} & set(line) == set()
    assert line["pricing"]["price_details"]["price"].startswith("price_")
    assert ("subtotal" in line) == (version >= "2026-03-25")


def test_out_of_band_money_was_not_amount_paid_before_basil() -> None:
    cash = next(i for i in SB.all("invoice") if i["amount_paid_off_stripe"])
    for version in OLD:
        old = render(cash, version)
        assert (old["paid"], old["paid_out_of_band"], old["amount_paid"]) == (True, True, 0)
    for version in NEW:
        assert render(cash, version)["amount_paid"] == cash["amount_paid"] > 0


@pytest.mark.parametrize("version", VERSIONS)
def test_tax(version: str) -> None:
    invoice = render(next(i for i in SB.all("invoice") if i["total_taxes"]), version)
    if version in OLD:
        amounts = [(t["amount"], t["inclusive"]) for t in invoice["total_tax_amounts"]]
        assert invoice["tax"] == sum(a for a, _ in amounts)
    else:
        amounts = [(t["amount"], t["tax_behavior"] == "inclusive") for t in invoice["total_taxes"]]
    assert amounts == [(250, True)]


@pytest.mark.parametrize("version", VERSIONS)
def test_payments(version: str) -> None:
    canonical = next(c for c in SB.all("charge") if c["_invoice"] and c["_refunds"])
    charge = render(canonical, version)
    intent = render(SB.get(canonical["payment_intent"]), version)
    assert charge.get("invoice") == intent.get("invoice") == (canonical["_invoice"] if version in OLD else None)
    ancient = version < "2022-11-15"
    assert [r["id"] for r in charge["refunds"]["data"]] == [r["id"] for r in canonical["_refunds"]] if ancient else True
    assert ("refunds" in charge, "charges" in intent, "latest_charge" not in intent) == (ancient,) * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_subscriptions(version: str) -> None:
    canonical = first("subscription", status="active")
    sub = render(canonical, version)
    item = canonical["items"]["data"][0]
    holder = sub if version in OLD else sub["items"]["data"][0]
    other = sub["items"]["data"][0] if version in OLD else sub
    assert (holder["current_period_start"], holder["current_period_end"]) == (
        item["current_period_start"],
        item["current_period_end"],
    )
    assert "current_period_end" not in other
    assert ("discount" in sub, "discounts" in sub) == (version in OLD, version >= "2024-04-10")


def test_a_renewal_says_what_the_period_was() -> None:
    renewal = next(
        e
        for e in SB.events
        if e["type"] == "customer.subscription.updated" and "items" in e["data"]["previous_attributes"]
    )
    before = renewal["data"]["previous_attributes"]["items"]["data"][0]
    old = render(renewal, "2024-06-20")["data"]["previous_attributes"]
    assert old["current_period_end"] == before["current_period_end"]


@pytest.mark.parametrize("version", VERSIONS)
def test_discounts_and_codes(version: str) -> None:
    discount = render(next(d for d in SB.all("discount") if d["promotion_code"]), version)
    code = render(SB.all("promotion_code")[0], version)
    if version < "2025-09-30":
        assert discount["coupon"]["percent_off"] == code["coupon"]["percent_off"] == 50
        assert ("source" in discount, "promotion" in code) == (False, False)
    else:
        assert discount["source"] == {"coupon": code["promotion"]["coupon"], "type": "coupon"}
        assert ("coupon" in discount, "coupon" in code) == (False, False)
    assert discount["promotion_code"] == code["id"]


@pytest.mark.parametrize("version", VERSIONS)
def test_credit_notes(version: str) -> None:
    canonical = next(n for n in SB.all("credit_note") if n["refunds"])
    note = render(canonical, version)
    refund = canonical["refunds"][0]["refund"]
    assert (note["refund"] if version in OLD else note["refunds"][0]["refund"]) == refund
    assert ("refunds" in note) == (version in NEW)


@pytest.mark.parametrize("version", VERSIONS)
def test_adaptive_pricing(version: str) -> None:
    canonical = next(s for s in SB.all("checkout.session") if "presentment_details" in s)
    session = render(canonical, version)
    if version in OLD:
        assert (session["currency"], session["amount_total"]) == ("gbp", 1380)
        assert session["currency_conversion"]["amount_total"] == 1500
    else:
        assert (session["currency"], session["amount_total"]) == ("eur", 1500)
        assert session["presentment_details"]["presentment_amount"] == 1380


def test_invoice_payments_are_for_versions_that_know_them() -> None:
    assert [v for v in VERSIONS if known("invoice_payment.paid", v)] == NEW
    assert all(known("invoice.paid", v) for v in VERSIONS)
