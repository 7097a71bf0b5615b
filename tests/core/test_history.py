"""What of a reading is news, how far a reading is, and in which class of the statement a payment is."""

from __future__ import annotations

import msgspec
import pytest

from refref.core.facts import Carrier, CarrierKind, ChargeState, Fact, InvoiceState, Kind, Line, PaymentIntentState
from refref.core.history import Stretch, covered_until, news_of, progress_bps, seconds_left
from refref.core.sales import Sale, SaleStatus
from refref.core.statement import Decided, PaymentClass, charged_minor, class_of, explained_bps, is_of_payments

INVOICE = Fact(
    "in_1",
    Kind.INVOICE,
    4,
    100,
    0,
    InvoiceState("paid", "usd", 2_000, 2_000, 2_000, lines=(Line("il_1", 2_000),)),
    ("cus_1", "pi_1"),
)
CHARGE = Fact("ch_1", Kind.CHARGE, 1, 100, 0, ChargeState("succeeded", "usd", 2_000, 500), ("pi_1",))


def later(fact: Fact, **changes: object) -> Fact:
    """The object as it is read an hour later."""
    return msgspec.structs.replace(fact, seen_at=fact.seen_at + 3600, **changes)


def charge(amount_refunded: int) -> ChargeState:
    return ChargeState("succeeded", "usd", 2_000, amount_refunded)


@pytest.mark.parametrize(
    ("known", "fresh", "news"),
    [
        ([], INVOICE, "missing"),
        ([Fact("in_1", Kind.REF)], INVOICE, "missing"),
        ([Fact("in_1", Kind.INVOICE, links=("cus_1", "pi_1"))], INVOICE, "missing"),
        ([INVOICE], later(INVOICE), ""),
        ([INVOICE], later(INVOICE, state=msgspec.structs.replace(INVOICE.state, lines=(), has_all_lines=False)), ""),
        ([INVOICE], later(INVOICE, state=msgspec.structs.replace(INVOICE.state, number="A-1")), "outdated: number"),
        ([CHARGE], later(CHARGE, state=charge(2_000)), "outdated: amount_refunded"),
        ([CHARGE], later(CHARGE, state=charge(0)), ""),  # a refund failed, which the refund tells
        ([later(CHARGE, state=charge(700))], CHARGE, ""),  # read before the event that is known
        ([CHARGE], later(CHARGE, links=("pi_1", "dp_1")), "a link is missing"),
        ([CHARGE, Fact("dp_1", Kind.DISPUTE, links=("ch_1",))], later(CHARGE, links=("pi_1", "dp_1")), ""),
        (
            [INVOICE],
            later(INVOICE, carriers=(Carrier(CarrierKind.INVOICE_METADATA, "ana", 100),)),
            "a referral identifier is missing",
        ),
        ([INVOICE], later(INVOICE, marks=(("coupon:c", 100),)), "a mark is missing"),
        ([later(INVOICE, marks=(("coupon:c", 5),))], later(INVOICE, marks=(("coupon:c", 100),)), ""),
    ],
)
def test_news(known: list[Fact], fresh: Fact, news: str) -> None:
    assert news_of({fact.stripe_id: fact for fact in known}, fresh) == news


@pytest.mark.parametrize(
    ("parts", "bps"),
    [
        ([], 0),
        ([Stretch()], 0),
        ([Stretch(1000, 0, 1000)], 0),
        ([Stretch(1000, 0, 250)], 7_500),
        ([Stretch(1000, 0, 250), Stretch(is_done=True)], 8_750),
        ([Stretch(1000, 1000, 1000)], 0),
        ([Stretch(1000, 0, -50)], 10_000),
        ([Stretch(is_done=True), Stretch(is_done=True)], 10_000),
    ],
)
def test_progress(parts: list[Stretch], bps: int) -> None:
    assert progress_bps(parts) == bps


@pytest.mark.parametrize(
    ("spans", "until"),
    [
        ([], None),
        ([(None, 100)], 100),
        ([(50, 100)], 100),  # before the first reading nobody promised anything
        ([(None, 100), (90, 200)], 200),
        ([(None, 100), (100, 200)], 200),  # spans are half-open
        ([(None, 100), (150, 200)], 100),  # somebody compared one day: what lies between was not read
        ([(None, 100), (150, 200), (80, 300)], 300),
        ([(None, 100), (20, 90)], 100),
        ([(None, 100), (150, 200), (None, 250)], 250),
    ],
)
def test_what_was_read_without_a_gap(spans: list[tuple[int | None, int]], until: int | None) -> None:
    assert covered_until(spans) == until


def test_the_estimate_follows_the_pace() -> None:
    assert seconds_left(50, 60) is None  # too early to say
    assert seconds_left(2_500, 60) == 180
    assert seconds_left(10_000, 60) == 0


def rewarded(*, taken_back: bool = False, refunded: int = 0) -> Decided:
    return Decided("rewarded", "", 1_000, refunded, taken_back)


def refused(reason: str) -> Decided:
    return Decided("refused", reason, 1_000, 0)


WAITS = Decided("waiting", "payment_pending", 0, 0)


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([rewarded()], (PaymentClass.REWARDED, "")),
        ([rewarded(refunded=400)], (PaymentClass.REWARDED, "")),
        ([rewarded(taken_back=True, refunded=1_000)], (PaymentClass.REVERSED, "")),
        ([rewarded(taken_back=True)], (PaymentClass.REVERSED, "")),  # a lost dispute
        ([rewarded(refunded=1_000)], (PaymentClass.REVERSED, "")),  # a discount or a feature
        ([refused("not_attributed")], (PaymentClass.NOT_ATTRIBUTED, "not_attributed")),
        ([refused("unknown_code")], (PaymentClass.NOT_ATTRIBUTED, "unknown_code")),
        ([refused("self_referral")], (PaymentClass.EXCLUDED, "self_referral")),
        ([WAITS], (PaymentClass.WAITING, "payment_pending")),
        ([refused("not_attributed"), rewarded()], (PaymentClass.REWARDED, "")),
        ([refused("not_attributed"), refused("duration_over")], (PaymentClass.EXCLUDED, "duration_over")),
        ([rewarded(taken_back=True), WAITS], (PaymentClass.WAITING, "payment_pending")),
    ],
)
def test_every_payment_is_in_one_class(decisions: list[Decided], expected: tuple[PaymentClass, str]) -> None:
    assert class_of(decisions) == expected
    assert class_of(decisions[::-1]) == expected


def test_explained_money_is_rounded_down() -> None:
    assert explained_bps(99_999, 100_000) == 9_999
    assert explained_bps(5, 5) == 10_000
    assert explained_bps(0, 0) == 10_000


def sale(*facts: Fact, currency: str = "usd") -> Sale:
    return Sale(
        "in_1", (), Kind.INVOICE, SaleStatus.PAID, "cus_1", None, 100, currency, 2_000, 2_000, 0, 0, 0, 2_000, None,
        False, facts,
    )  # fmt: skip


def intent(status: str = "succeeded", received: int = 1_500) -> Fact:
    return Fact("pi_1", Kind.PAYMENT_INTENT, 1, 100, 0, PaymentIntentState(status, "usd", received))


@pytest.mark.parametrize(
    ("facts", "charged"),
    [
        ((CHARGE,), 2_000),
        ((CHARGE, msgspec.structs.replace(CHARGE, stripe_id="ch_2")), 4_000),  # one invoice charged twice
        ((CHARGE, intent()), 2_000),
        ((intent(),), 1_500),
        ((intent("canceled"),), None),
        ((later(CHARGE, state=ChargeState("failed", "usd", 2_000)),), None),
        ((), None),  # only the invoice is known
    ],
)
def test_what_the_charges_of_a_payment_took(facts: tuple[Fact, ...], charged: int | None) -> None:
    assert charged_minor(sale(*facts)) == charged


def test_charges_of_another_currency_are_not_compared() -> None:
    assert charged_minor(sale(CHARGE, currency="eur")) is None


@pytest.mark.parametrize(
    ("movement_type", "category", "source", "expected"),
    [
        ("charge", "charge", "ch_1", True),
        ("payment", "charge", "py_1", True),
        ("refund", "refund", "re_1", True),
        ("refund", "partial_capture_reversal", "re_1", True),
        ("refund_failure", "refund_failure", "re_1", True),
        ("adjustment", "dispute", "du_1", True),
        ("adjustment", "dispute_reversal", "du_1", True),
        ("adjustment", "", "dp_1", True),  # an old report
        ("adjustment", "other_adjustment", "", False),
        ("adjustment", "", "", False),  # nothing stands behind it
        ("payout", "payout", "po_1", False),
        ("transfer", "transfer", "tr_1", False),
        ("application_fee", "platform_earning", "fee_1", False),
        ("stripe_fee", "fee", "", False),
        ("topup", "topup", "tu_1", False),
        ("reserve_transaction", "risk_reserved_funds", "", False),
    ],
)
def test_what_is_money_of_payments(movement_type: str, category: str, source: str, expected: bool) -> None:
    assert is_of_payments(movement_type, category, source) is expected
