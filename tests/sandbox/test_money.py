"""The money of one sale agrees wherever it shows: lines, invoice, payments, charge, refunds, balance."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from refref.sandbox.amounts import inclusive_tax, share, split
from sandbox.everything import everything

SB = everything()


def total(rows: list[dict[str, Any]], key: str = "amount") -> int:
    return sum(r[key] for r in rows)


def test_invoices_add_up() -> None:
    lines = SB.all("line_item")
    for invoice in SB.all("invoice"):
        own = [line for line in lines if line["invoice"] == invoice["id"]]
        exclusive = [t for t in invoice["total_taxes"] if t["tax_behavior"] == "exclusive"]
        assert invoice["subtotal"] == total(own)
        assert total(invoice["total_discount_amounts"]) == total([d for x in own for d in x["discount_amounts"]])
        assert total(invoice["total_taxes"]) == total([t for x in own for t in x["taxes"]])
        assert invoice["total"] == (
            invoice["subtotal"]
            - total(invoice["total_discount_amounts"])
            + total(exclusive)
            + invoice["amount_shipping"]
        )
        assert invoice["total_excluding_tax"] == invoice["total"] - total(invoice["total_taxes"])


def test_what_is_due_is_paid_once() -> None:
    links = SB.all("invoice_payment")
    for invoice in SB.all("invoice"):
        paid = [p for p in links if p["invoice"] == invoice["id"] and p["status"] == "paid"]
        assert invoice["amount_paid"] == total(paid, "amount_paid") + invoice["amount_paid_off_stripe"]
        assert invoice["amount_remaining"] == max(0, invoice["amount_due"] - invoice["amount_paid"])
        assert invoice["amount_overpaid"] == max(0, invoice["amount_paid"] - invoice["amount_due"])
        if invoice["status"] == "paid":
            assert invoice["amount_remaining"] == 0
        if invoice["ending_balance"] is not None:
            moved = invoice["ending_balance"] - invoice["starting_balance"]
            assert invoice["amount_due"] == invoice["total"] - moved - invoice["pre_payment_credit_notes_amount"]


def test_payments_agree() -> None:
    charges = {c["id"]: c for c in SB.all("charge")}
    intents = {i["id"]: i for i in SB.all("payment_intent")}
    for intent in intents.values():
        charge = charges[intent["latest_charge"]]
        assert charge["payment_intent"] == intent["id"]
        assert charge["amount"] == intent["amount"]
        assert intent["amount_received"] == (charge["amount"] if charge["status"] == "succeeded" else 0)
    for link in SB.all("invoice_payment"):
        assert link["amount_requested"] == intents[link["payment"]["payment_intent"]]["amount"]
    for session in SB.all("checkout.session"):
        if session["payment_intent"]:
            assert session["amount_total"] == intents[session["payment_intent"]]["amount"]
        if session["invoice"]:
            assert session["amount_total"] == SB.get(session["invoice"])["total"]
        if session["mode"] != "setup":
            details = session["total_details"]
            assert (
                total(session["_items"], "amount_total") * bool(session["amount_total"]) + details["amount_shipping"]
                == (session["amount_total"])
            )


def test_refunds_and_balances_agree() -> None:
    refunds = [r for r in SB.all("refund") if r["status"] in ("succeeded", "pending")]
    for charge in SB.all("charge"):
        assert charge["amount_refunded"] == total([r for r in refunds if r["charge"] == charge["id"]])
        assert charge["refunded"] == (charge["amount_refunded"] == charge["amount"])
    moves = SB.all("customer_balance_transaction")
    for customer in SB.all("customer"):
        for currency in {m["currency"] for m in moves}:
            own = [m for m in moves if m["customer"] == customer["id"] and m["currency"] == currency]
            if not customer.get("deleted") and customer["currency"] == currency:
                assert customer["balance"] == total(own)
            assert [m["ending_balance"] for m in own] == [total(own[: i + 1]) for i in range(len(own))]
    for note in SB.all("credit_note"):
        assert note["amount"] == note["pre_payment_amount"] + note["post_payment_amount"]


def test_the_same_run_gives_the_same_events() -> None:
    assert everything().events == SB.events


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_splits_lose_nothing(amount: int, weights: list[int]) -> None:
    parts = split(amount, weights)
    assert sum(parts) == (amount if sum(weights) else 0)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**4))
def test_shares_round_half_away_from_zero(amount: int, rate_bps: int) -> None:
    part = share(amount, rate_bps, 10_000)
    assert abs(part * 10_000 - amount * rate_bps) <= 5_000
    assert share(-amount, rate_bps, 10_000) == -part
    if amount >= 0:
        assert 0 <= inclusive_tax(amount, rate_bps) <= amount
