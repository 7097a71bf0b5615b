"""Checks that look at a participant's other referrals, at the very step of each limit; whom they concern, whom not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from core.samples import DAY, T0, config, customer, invoice, line, refund
from refref.core.derive import derive, derive_all
from refref.core.facts import Carrier, CarrierKind, Fact
from refref.core.program import Config
from refref.core.terms import FraudCheck, FraudRule, QualifyingEvent, RewardRule, Terms

NOW = T0 + 400 * DAY


def buyer(number: int, *, at: int, payments: int = 1, is_undone: bool = False, code: str = "") -> list[Fact]:
    """A customer of their own whom ana referred, who paid 10.00 a month, or came by the promotion code `code`."""
    customer_id = f"cus_{number:03}"
    carriers = (Carrier(CarrierKind.PROMOTION_CODE, code, at),) if code else ()
    own = [customer(customer_id, None if code else "ana", at=at)]
    for count in range(payments):
        serial = number * 100 + count
        paid_at = at + count * 30 * DAY
        own.append(invoice(serial, [line(1, 1_000)], paid_at=paid_at, customer=customer_id, carriers=carriers))
    if is_undone:
        own.append(refund(f"{number}", number * 100, 1_000, at=at + DAY))
    return own


def terms(check: FraudCheck, action: str, limit: int = 0) -> Terms:
    return Terms(fraud=(FraudRule(check, action, limit),))  # type: ignore[arg-type]  # one of the actions


def flags(scopes: Sequence[list[Fact]], conf: Config) -> list[tuple[str, ...]]:
    """What was found on each payment, customer by customer."""
    derived = derive_all([(str(place), facts) for place, facts in enumerate(scopes)], conf, NOW)
    return [decision.flags for one in derived.values() for decision in one.decisions]


@pytest.mark.parametrize(
    ("seconds_apart", "limit", "found"),
    [
        (60, 2, [False, False, True]),  # the third within 24 hours is more than two
        (60, 3, [False, False, False]),
        (DAY // 2 - 1, 2, [False, False, True]),
        (DAY // 2, 2, [False, False, False]),  # the first is 24 hours old: outside
    ],
)
def test_velocity(seconds_apart: int, limit: int, found: list[bool]) -> None:
    scopes = [buyer(number, at=T0 + number * seconds_apart) for number in range(3)]
    assert [bool(one) for one in flags(scopes, config(terms("velocity", "flag", limit)))] == found


@pytest.mark.parametrize(
    ("before", "undone", "limit", "found"),
    [
        (9, 9, 30, False),  # fewer than ten say nothing
        (10, 3, 30, False),  # 30 % is not more than 30 %
        (10, 4, 30, True),
        (100, 30, 30, False),
        (100, 31, 30, True),
        (100, 30, 29, True),
    ],
)
def test_refund_rate(before: int, undone: int, limit: int, found: bool) -> None:
    scopes = [buyer(number, at=T0 + number * DAY // 8, is_undone=number < undone) for number in range(before)]
    scopes.append(buyer(before, at=T0 + 30 * DAY))
    assert flags(scopes, config(terms("refund_rate", "flag", limit)))[-1] == (("refund_rate",) if found else ())


def test_renewals_are_no_further_referrals() -> None:
    scopes = [buyer(number, at=T0 + number * DAY // 8, payments=2, is_undone=True) for number in range(6)]
    scopes.append(buyer(6, at=T0 + 60 * DAY))
    assert flags(scopes, config(terms("refund_rate", "flag", 30)))[-1] == ()  # six, though twelve payments


@pytest.mark.parametrize(
    ("by_code", "by_link", "found"),
    [
        (4, 0, False),  # fewer than five say nothing
        (5, 0, True),
        (3, 3, False),  # half is not most
        (4, 3, True),
        (4, 4, False),
    ],
)
def test_coupon_site(by_code: int, by_link: int, found: bool) -> None:
    codes = ["promo_a"] * by_code + [""] * by_link + ["promo_a"]
    scopes = [buyer(number, at=T0 + number * DAY, code=code) for number, code in enumerate(codes)]
    told = flags(scopes, config(terms("coupon_site", "flag"), promo_a="ana"))[-1]
    assert told == (("coupon_site",) if found else ())


def outcomes(scopes: Mapping[str, list[Fact]], conf: Config) -> dict[str, list[str]]:
    """Each customer's payments: why not, else where the reward is."""
    derived = derive_all(list(scopes.items()), conf, NOW)
    return {
        name: [d.reason for d in one.decisions if d.reason] + [reward.location for reward in one.rewards]
        for name, one in derived.items()
    }


# The second and the third referral of one day, of at most one; the first goes on paying long after.
DAY_OF_THREE = {
    "first": buyer(1, at=T0, payments=3),
    "second": buyer(2, at=T0 + 60, payments=2),
    "third": buyer(3, at=T0 + 120),
}


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("deny", {"first": ["payable"] * 3, "second": ["fraud_denied"] * 2, "third": ["fraud_denied"]}),
        ("hold", {"first": ["payable"] * 3, "second": ["held"] * 2, "third": ["held"]}),
        ("flag", {"first": ["payable"] * 3, "second": ["payable"] * 2, "third": ["payable"]}),
    ],
)
def test_a_verdict_holds_for_all_payments_of_that_referral_and_for_no_other(
    action: str, expected: dict[str, list[str]]
) -> None:
    assert outcomes(DAY_OF_THREE, config(terms("velocity", action, 1))) == expected


@pytest.mark.parametrize("action", ["deny", "hold"])
def test_a_person_who_approved_the_referral_is_not_overruled(action: str) -> None:
    conf = msgspec.structs.replace(config(terms("velocity", action, 1)), reviews={("prg_1", "", "cus_002"): "approved"})
    told = outcomes(DAY_OF_THREE, conf)
    assert told["second"] == ["payable"] * 2
    assert told["third"] != ["payable"]


SIGN_UP = QualifyingEvent(event_id="joined", kind="signup")
FIVE = RewardRule(rule_id="joined", event="joined", kind="fixed", amounts={"eur": 500})
SALE = RewardRule(rule_id="sale", kind="fixed", amounts={"usd": 100})  # of the program, but not of a sign-up
SELF = msgspec.structs.replace(
    config(Terms(rules=(SALE, FIVE), events=(SIGN_UP,))), participant_emails={"ptc_ana": "a@x.example"}
)


@pytest.mark.parametrize(
    ("email", "verdict", "expected"),
    [
        ("a@x.example", "", ("self_referral", 0, "usd")),
        ("a@x.example", "approved", ("", 500, "eur")),
        ("b@y.example", "", ("", 500, "eur")),
    ],
)
def test_a_person_may_approve_the_signup_of_a_self_referral(
    email: str, verdict: str, expected: tuple[str, int, str]
) -> None:
    conf = msgspec.structs.replace(SELF, reviews={("prg_1", "", "cus_1/signup"): verdict} if verdict else {})
    (decision,) = derive([customer(email=email)], conf, NOW).decisions
    assert (decision.reason, decision.earned, decision.currency) == expected


@pytest.mark.parametrize(("action", "expected"), [("flag", ("self_domain",)), ("off", ())])
def test_a_check_that_is_off_says_nothing(action: str, expected: tuple[str, ...]) -> None:
    conf = msgspec.structs.replace(config(terms("self_domain", action)), participant_emails={"ptc_ana": "a@x.example"})
    (decision,) = derive([customer(email="b@x.example"), invoice(1, [line(1, 1_000)])], conf, NOW).decisions
    assert decision.flags == expected
