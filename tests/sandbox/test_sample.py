"""The sample shop: the months before today, the traffic of today, and what is kept on disk."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from refref.sandbox import Sandbox
from refref.sandbox.sample import History, seed
from refref.sandbox.sample_cast import PROMOTERS, UNKNOWN_CODES, promoters_of
from refref.sandbox.sample_plan import plan_history
from refref.sandbox.sample_traffic import Traffic
from refref.sandbox.timeline import DAY, instant
from refref.sandbox.versions import render
from sandbox.judge import faults

START, END = "2025-09-01T00:00:00+00:00", "2026-11-01T00:00:00+00:00"
CUSTOMERS = 120


def history(path: Path | None = None) -> Sandbox:
    sb = Sandbox(clock_start=START, seed=5, path=path)
    seed(sb, 5, START, END, customers=CUSTOMERS)
    return sb


@pytest.fixture(scope="module")
def shop() -> Sandbox:
    return history()


def test_the_promoters_are_forty_in_three_programs_and_plainly_sample() -> None:
    assert Counter(p.program for p in PROMOTERS) == {"affiliates": 24, "friends": 10, "europe": 6}
    assert len({p.refcode for p in PROMOTERS}) == len({p.email for p in PROMOTERS}) == 40
    assert all(p.name.startswith("Sample ") and p.email.endswith("@example.com") for p in PROMOTERS)
    assert all(p.refcode.startswith("sample-") for p in PROMOTERS)
    assert {p.promotion_code for p in PROMOTERS} >= {"SAMPLE-BIRCH-10", "SAMPLE-ALPINE-10", None}


def test_the_plan_of_the_whole_history_has_600_customers_over_14_months() -> None:
    start, end = instant(START), instant(END)
    acts = plan_history(1, start, end, PROMOTERS)
    buys = [act for act in acts if act.verb == "buy"]
    assert 590 <= sum(1 for act in buys if not act.guest) <= 610
    assert 30 <= sum(1 for act in buys if act.guest) <= 40
    assert (acts[0].at - start) < 40 * DAY
    assert all(start <= act.at <= end for act in acts)
    assert acts == sorted(acts, key=lambda act: act.at)
    used = {act.refcode for act in buys} | {act.promotion_code for act in buys}
    assert all(p.refcode in used or p.promotion_code in used for p in PROMOTERS)
    assert set(UNKNOWN_CODES) <= used
    assert plan_history(2, start, end, PROMOTERS) != acts


def test_the_history_has_what_a_merchant_has(shop: Sandbox) -> None:
    types = Counter(event["type"] for event in shop.events)
    for wanted in (
        *("charge.refunded", "charge.dispute.created", "charge.dispute.funds_reinstated", "credit_note.created"),
        *("customer.subscription.deleted", "customer.subscription.trial_will_end", "invoice.payment_failed"),
        *("checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed"),
        "radar.early_fraud_warning.created",
    ):
        assert types[wanted] >= 1, wanted
    disputes = Counter(d["status"] for d in shop.all("dispute"))
    assert disputes == {"won": 1, "lost": 1, "needs_response": 1, "warning_needs_response": 1}
    assert {c["currency"] for c in shop.all("charge")} == {"usd", "eur", "jpy"}
    refunded = [c["amount_refunded"] * 100 // c["amount"] for c in shop.all("charge") if c["amount_refunded"]]
    assert 100 in refunded
    assert any(percent < 100 for percent in refunded)
    assert all(c["email"].endswith("@example.com") for c in shop.all("customer"))
    assert [f for e in shop.events[::31] for f in faults(render(e, "2026-10-28.endive"))] == []


def test_buyers_are_sent_by_promoters_by_nobody_or_by_a_code_that_nobody_has(shop: Sandbox) -> None:
    sessions = shop.all("checkout.session")
    known = {p.refcode for p in PROMOTERS}
    sent = [s for s in sessions if s["client_reference_id"] in known]
    assert 0.3 < len(sent) / len(sessions) < 0.7
    assert any(s["client_reference_id"] in UNKNOWN_CODES for s in sessions)
    assert any(s["client_reference_id"] is None and not s["discounts"] for s in sessions)
    owned = {p["id"] for p in shop.all("promotion_code") if p["code"] != "SAMPLE-LAUNCH"}
    assert any(d["promotion_code"] in owned for s in sessions for d in s["discounts"])
    assert any(s["customer"] is None for s in sessions)  # guests
    own = [s for s in sessions if s["customer_details"]["email"] == "partner4@example.com"]
    assert [s["client_reference_id"] for s in own] == ["sample-delta"]


def test_subscriptions_move_as_they_do_in_life(shop: Sandbox) -> None:
    subs = shop.all("subscription")
    assert {s["status"] for s in subs} >= {"active", "canceled"}
    assert any(s["trial_end"] and s["status"] == "active" for s in subs)  # a trial that converted
    ended = [s for s in subs if s["trial_end"] and s["status"] == "canceled" and s["ended_at"] <= s["trial_end"]]
    assert ended  # and one that did not
    by_customer = Counter(s["customer"] for s in subs)
    assert 2 in by_customer.values()  # ended, and started again
    invoices = shop.all("invoice")
    moved = [i for i in invoices if i["billing_reason"] == "subscription_update"]
    assert any(i["total"] > 0 for i in moved)
    assert any(i["total"] < 0 for i in moved)
    late = [i for i in invoices if i["attempt_count"] > 1 and i["status"] == "paid"]
    assert late  # declined at first, paid later


def test_a_renewal_falls_due_about_every_minute_after_the_end(shop: Sandbox) -> None:
    ends = [s["items"]["data"][0]["current_period_end"] - instant(END)
            for s in shop.all("subscription") if s["status"] == "active"]  # fmt: skip
    assert sum(1 for seconds in ends if 0 < seconds < 3600) >= 5


def test_the_same_seed_gives_the_same_history(shop: Sandbox) -> None:
    assert history().events == shop.events


def test_a_history_that_was_cut_goes_on_where_it_was(shop: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    first = Sandbox(clock_start=START, seed=5, path=path)
    begun = History.begun(first, 5, instant(START), instant(END), PROMOTERS, CUSTOMERS)
    steps = begun.steps()
    for _ in range(len(begun.acts) // 2):
        next(steps)
    first.flush()
    next(steps)  # not on disk any more: the process ends here
    again = Sandbox(path=path)
    rest = History.kept(again, PROMOTERS)
    assert rest is not None
    assert not rest.complete
    for _ in rest.steps():
        pass
    assert rest.complete
    assert [plain(e) for e in again.events] == [plain(e) for e in shop.events]


def test_codes_of_somebody_elses_choosing(tmp_path: Path) -> None:
    sb = Sandbox(clock_start=START, seed=5)
    seed(sb, 5, START, END, promoters_of(["amy", "bob"], ["AMY10"]), customers=20)
    codes = {s["client_reference_id"] for s in sb.all("checkout.session")} - {None, *UNKNOWN_CODES}
    assert codes == {"amy", "bob"}
    assert {p["code"] for p in sb.all("promotion_code")} == {"AMY10", "SAMPLE-LAUNCH"}


def test_live_traffic_is_of_many_kinds() -> None:
    sb = history()
    before = Counter(e["type"] for e in sb.events)
    traffic = Traffic(sb, PROMOTERS, 1)
    for _ in range(150):
        sb.advance(sb.now + 6)
        assert 3 <= traffic.tick() <= 12
    new = Counter(e["type"] for e in sb.events) - before
    assert new["checkout.session.completed"] > 80
    for kind in ("customer.subscription.updated", "customer.subscription.created", "refund.created"):
        assert new[kind] > 2, kind
    sb.update_promotion_code(sb.all("promotion_code")[-1]["id"], active=False)
    for _ in range(40):
        traffic.tick()


def test_a_sandbox_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "sandbox.db"
    first = history(path)
    first.delete_coupon("sample-10-percent")
    first.close()
    again = Sandbox(path=path)
    assert again.now == first.now
    assert [plain(e) for e in again.events] == [plain(e) for e in first.events]
    assert [c["id"] for c in again.all("coupon")] == ["sample-launch"]
    again.advance_by(months=1)
    first_ids = {e["id"] for e in first.events}
    renewed = [e for e in again.events_since(len(first_ids)) if e["type"] == "invoice.paid"]
    assert len(renewed) > 10
    assert not {e["id"] for e in again.events_since(len(first_ids))} & first_ids


def plain(event: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in event.items() if k != "pending_webhooks"}
