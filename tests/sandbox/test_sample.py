"""The sample merchant's history and live traffic, and what is kept on disk."""

import random
from collections import Counter
from pathlib import Path

from refref.sandbox import Sandbox
from refref.sandbox.sample import seed, tick
from refref.sandbox.versions import render
from sandbox.judge import faults

START, END = "2026-05-01T00:00:00+00:00", "2026-11-01T00:00:00+00:00"


def history(path: Path | None = None) -> Sandbox:
    sb = Sandbox(clock_start=START, seed=5, path=path)
    seed(sb, 5, START, END, ["amy", "bob"], ["AMY10"])
    return sb


def test_the_history_has_what_a_merchant_has() -> None:
    sb = history()
    types = Counter(e["type"] for e in sb.events)
    assert 1000 < len(sb.events) < 3000
    for wanted in (
        "charge.refunded",
        "charge.dispute.created",
        "customer.subscription.deleted",
        "invoice.payment_failed",
    ):
        assert types[wanted] >= 1
    assert types["customer.created"] == 60
    referred = [s for s in sb.all("checkout.session") if s["client_reference_id"]]
    assert (len(referred), {s["client_reference_id"] for s in referred}) == (25, {"amy", "bob"})
    assert any(s["discounts"] for s in referred)
    assert {c["currency"] for c in sb.all("charge")} == {"usd", "eur"}
    assert any(i["billing_reason"] == "subscription_update" for i in sb.all("invoice"))
    assert any(s["trial_end"] for s in sb.all("subscription"))
    assert sum(1 for c in sb.all("charge") if 0 < c["amount_refunded"] < c["amount"]) >= 1
    assert all(c["email"].endswith("@example.com") and c["name"].startswith("Sample") for c in sb.all("customer"))
    assert [f for e in sb.events[::7] for f in faults(render(e, "2026-10-28.endive"))] == []


def test_the_same_seed_gives_the_same_history() -> None:
    assert history().events == history().events


def test_live_traffic_sells() -> None:
    sb = history()
    before = len(sb.all("charge"))
    rng = random.Random(1)  # noqa: S311 - sample traffic, no secret
    for _ in range(60):
        assert 5 <= tick(sb, rng, now=sb.now + 30, refcodes=["amy"], promotion_codes=["AMY10"]) < 60
    assert len(sb.all("charge")) - before > 30
    sb.update_promotion_code(sb.all("promotion_code")[0]["id"], active=False)
    for _ in range(60):
        tick(sb, rng, now=sb.now + 30, promotion_codes=["AMY10"])


def test_a_sandbox_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "sandbox.db"
    first = history(path)
    first.delete_coupon("sample-10-percent")
    first.close()
    again = Sandbox(path=path)
    assert (again.now, again.events) == (first.now, first.events)
    assert again.all("coupon") == []
    again.advance_by(months=1)
    first_ids = {e["id"] for e in first.events}
    renewed = [e for e in again.events_since(len(first_ids)) if e["type"] == "invoice.paid"]
    assert len(renewed) > 10
    assert not {e["id"] for e in again.events_since(len(first_ids))} & first_ids
