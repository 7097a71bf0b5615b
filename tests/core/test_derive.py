"""Derive: the same answer whatever the order of facts, and tables of who is bound and why not."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.samples import DAY, T0, charge, config, customer, dispute, invoice, line, quick, refund
from refref.core.attribution import bind, carriers_by_referee
from refref.core.derive import derive
from refref.core.facts import Carrier, CarrierKind, ChargeState, Fact, Kind, SessionState
from refref.core.program import Config
from refref.core.sales import sales_of
from refref.core.terms import Duration, RewardRule, Terms

NOW = T0 + 400 * DAY


def session(number: int, *carriers: Carrier, at: int = T0, customer_id: str | None = "cus_1") -> Fact:
    state = SessionState("payment", "complete", "paid", "usd", 5_000, created_at=at)
    links = tuple(sorted(link for link in (customer_id, f"pi_{number}") if link))
    return Fact(f"cs_{number}", Kind.SESSION, 4, at, 1, state, links, carriers)


def carrier(kind: CarrierKind, value: str, at: int = T0, clicked_at: int | None = None) -> Carrier:
    return Carrier(kind, value, at, "", clicked_at)


REFERENCE, PROMO, META = CarrierKind.CLIENT_REFERENCE, CarrierKind.PROMOTION_CODE, CarrierKind.SESSION_METADATA
CUSTOMER, SIGNUP, MANUAL = CarrierKind.CUSTOMER_METADATA, CarrierKind.SIGNUP, CarrierKind.MANUAL


def owner(facts: Sequence[Fact], **codes: str) -> str | None:
    derived = derive(facts, config(None, **codes), NOW)
    owners = {referral.participant_id.removeprefix("ptc_") for referral in derived.referrals}
    assert len(owners) <= 1
    return owners.pop() if owners else None


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([session(1)], None),
        ([session(1, carrier(REFERENCE, "nobody"))], None),
        ([session(1, carrier(REFERENCE, "ana"))], "ana"),
        ([session(1, carrier(REFERENCE, "ANA"))], "ana"),
        ([session(1, carrier(REFERENCE, "ana"), carrier(META, "bea"))], "ana"),
        ([session(1, carrier(REFERENCE, "ana"), carrier(PROMO, "promo_b"))], "bea"),
        ([session(1, carrier(REFERENCE, "ana")), customer(code="bea", at=T0 - DAY)], "ana"),
        ([session(1, carrier(PROMO, "promo_b")), customer(code="ana", at=T0 - 90 * DAY)], "bea"),
        # The second sale's carriers change nothing.
        ([session(1, carrier(REFERENCE, "ana")), session(2, carrier(PROMO, "promo_b"), at=T0 + DAY)], "ana"),
        # What was told of the customer long after the first sale comes later than the second sale.
        ([session(1), session(2, carrier(REFERENCE, "ana"), at=T0 + DAY), customer(code="bea", at=T0 + 9 * DAY)],
         "ana"),
        ([session(1, carrier(REFERENCE, "ana")),
          Fact("cus_1", Kind.CUSTOMER, carriers=(carrier(MANUAL, "bea", T0 + 99 * DAY),))], "bea"),
        ([session(1, carrier(REFERENCE, "nobody")), customer(code="ana", at=T0 + 50 * DAY)], "ana"),
        # A code that is put on a running subscription later does not belong to its first sale.
        ([invoice(1, [line(1, 1_000)], subscription="sub_1"), session(1, carrier(REFERENCE, "ana")),
          Fact("sub_1", Kind.SUBSCRIPTION, links=("cus_1",), carriers=(carrier(PROMO, "promo_b", T0 + 40 * DAY),))],
         "ana"),
        ([invoice(1, [line(1, 1_000)], subscription="sub_1"), session(1, carrier(REFERENCE, "ana")),
          Fact("sub_1", Kind.SUBSCRIPTION, links=("cus_1",), carriers=(carrier(PROMO, "promo_b", T0 + 60),))], "bea"),
    ],
)  # fmt: skip
def test_who_is_bound(facts: list[Fact], expected: str | None) -> None:
    for _ in range(4):
        assert owner(facts, promo_b="bea") == expected
        random.shuffle(facts)


@quick
@given(
    st.lists(
        st.tuples(
            st.sampled_from([REFERENCE, PROMO, META, CUSTOMER, SIGNUP]), st.sampled_from(["ana", "bea", "nobody"]),
            st.integers(T0 - 3 * DAY, T0 + 9 * DAY), st.integers(1, 3), st.booleans(),
        ),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_binding_does_not_depend_on_order(
    rows: list[tuple[CarrierKind, str, int, int, bool]], rng: random.Random
) -> None:
    by_session: dict[int, list[Carrier]] = {1: [], 2: [], 3: []}
    of_customer: list[Carrier] = []
    for kind, value, at, number, has_click in rows:
        place = of_customer if kind in (CUSTOMER, SIGNUP) else by_session[number]
        if all((known.kind, known.value) != (kind, value) for known in place):  # as merging leaves them
            place.append(carrier(kind, value, at, at - 60 if has_click else None))
    facts = [session(n, *carriers, at=T0 + n * DAY) for n, carriers in by_session.items()]
    facts.append(Fact("cus_1", Kind.CUSTOMER, carriers=tuple(of_customer)))
    codes = config().codes
    expected = bind(carriers_by_referee(facts, sales_of(facts)).get("cus_1", []), codes, "prg_1")
    rng.shuffle(facts)
    shuffled = [
        msgspec.structs.replace(fact, carriers=tuple(rng.sample(fact.carriers, len(fact.carriers)))) for fact in facts
    ]
    assert bind(carriers_by_referee(shuffled, sales_of(shuffled)).get("cus_1", []), codes, "prg_1") == expected


def reasons(facts: Sequence[Fact], terms: Terms | None = None, conf: Config | None = None) -> list[str]:
    derived = derive(facts, conf or config(terms), NOW)
    return [decision.reason or str(decision.earned) for decision in derived.decisions]


def monthly(count: int, *, start: int = T0, subscription: str = "sub_1", first: int = 1) -> list[Fact]:
    return [
        invoice(first + n, [line(1, 1_000)], paid_at=start + n * 30 * DAY, subscription=subscription)
        for n in range(count)
    ]


TEN = RewardRule(rule_id="ten", kind="fixed", amounts={"usd": 10})


@pytest.mark.parametrize(
    ("facts", "terms", "expected"),
    [
        ([customer(), *monthly(3)], Terms(), ["200"] * 3),
        ([customer(), *monthly(3)], Terms(duration=Duration("payments", 2)), ["200", "200", "duration_over"]),
        ([customer(), *monthly(4)], Terms(duration=Duration("months", 2)), ["200"] * 2 + ["duration_over"] * 2),
        ([customer(), *monthly(40)], Terms(duration=Duration("forever")), ["200"] * 40),
        ([customer(), *monthly(2)], Terms(rules=(RewardRule(rule_id="f", on="first", rate_bps=100),)),
         ["10", "no_rule_applies"]),
        ([customer(), *monthly(2)], Terms(rules=(RewardRule(rule_id="r", on="recurring", rate_bps=100),)),
         ["no_rule_applies", "10"]),
        ([customer(), *monthly(1)], Terms(rules=(RewardRule(rule_id="e", kind="fixed", amounts={"eur": 10}),)),
         ["no_amount_for_currency"]),
        ([customer(), *monthly(1)], Terms(rules=(TEN, RewardRule(rule_id="p", rate_bps=100))), ["20"]),
        ([customer(at=T0 + DAY), *monthly(1)], Terms(), ["200"]),
        ([customer(at=T0 + DAY + 1), *monthly(1)], Terms(), ["before_referral"]),
        ([customer(at=T0 - 61 * DAY + 1), *monthly(1)], Terms(), ["200"]),
        ([customer(at=T0 - 61 * DAY), *monthly(2)], Terms(), ["outside_window"] * 2),
        ([customer(), invoice(1, [line(1, 1_000)], paid=0)], Terms(), ["nothing_paid"]),
        ([customer(), invoice(1, [line(1, 2)])], Terms(), ["rounds_to_zero"]),
        ([customer(), invoice(1, [line(1, 1_000)], status="open", paid=0)], Terms(), []),
        ([customer(), charge(1, 1_000)], Terms(), ["bare_charge"]),
        ([customer(), charge(1, 1_000)], Terms(counts_bare_charges=True), ["200"]),
        ([customer(code="nobody"), *monthly(1)], Terms(), ["unknown_code"]),
        ([customer(code=None), *monthly(1)], Terms(), ["not_attributed"]),
        ([customer(), *monthly(2), *monthly(2, start=T0 + 70 * DAY, subscription="sub_2", first=5)],
         Terms(duration=Duration("payments", 3)), ["200"] * 3 + ["duration_over"]),
        ([customer(), *monthly(2), *monthly(2, start=T0 + 70 * DAY, subscription="sub_2", first=5)],
         Terms(duration=Duration("payments", 1), restart="new_cycle"), ["200", "duration_over"] * 2),
    ],
)  # fmt: skip
def test_decisions(facts: list[Fact], terms: Terms, expected: list[str]) -> None:
    assert reasons(facts, terms) == expected


@pytest.mark.parametrize(
    ("address", "participant", "is_self"),
    [
        ("ana@p.example", "ana@p.example", True),
        ("Ana+x@P.example", "ana@p.example", True),
        ("bob@p.example", "ana@p.example", False),
        ("ana@q.example", "ana@p.example", False),
        (None, "ana@p.example", False),
    ],
)
def test_self_referral_by_address(address: str | None, participant: str, is_self: bool) -> None:
    conf = msgspec.structs.replace(config(), participant_emails={"ptc_ana": participant})
    assert reasons([customer(email=address), *monthly(1)], conf=conf) == (["self_referral"] if is_self else ["200"])


def world(rng: random.Random) -> list[Fact]:
    facts = [customer(email="c@x.example"), *monthly(rng.randint(1, 6)), session(77, carrier(REFERENCE, "bea", T0 - 9))]
    for number in range(1, 5):
        if rng.random() < 0.5:
            facts.append(charge(number, 1_000, refunded=rng.choice([0, 300, 1_000]), at=T0 + number))
        if rng.random() < 0.5:
            facts.append(refund(str(number), number, rng.randint(1, 1_000), status=rng.choice(["succeeded", "failed"])))
        if rng.random() < 0.3:
            facts.append(dispute(str(number), number, 1_000, rng.choice(["lost", "won", "needs_response"])))
    return facts


@quick
@given(st.randoms(use_true_random=False))
def test_derive_does_not_depend_on_the_order_of_facts(rng: random.Random) -> None:
    facts = world(rng)
    expected = derive(facts, config(), NOW)
    assert expected.decisions
    for _ in range(3):
        rng.shuffle(facts)
        again = derive(facts, config(), NOW)
        assert set(again.decisions) == set(expected.decisions)
        assert sorted(again.rewards, key=str) == sorted(expected.rewards, key=str)
        assert (again.referrals, again.unclaimed, again.cards) == (
            expected.referrals,
            expected.unclaimed,
            expected.cards,
        )


def test_a_payment_that_nobody_names_is_the_invoices_of_the_same_customer_money_and_hour() -> None:
    unnamed = [replace(invoice(n, [line(n, 5_000)], paid_at=T0 + n * DAY), links=("cus_1",)) for n in (1, 2)]

    def keys(*facts: Fact) -> list[tuple[str, bool]]:
        return [(sale.key, "ch_9" in sale.ids) for sale in sales_of([*unnamed, *facts])]

    def paying(amount: int, at: int, *links: str) -> Fact:
        return Fact("ch_9", Kind.CHARGE, 1, at, 0, ChargeState("succeeded", "usd", amount, 0, at), links)

    day = T0 + DAY
    assert keys(paying(5_000, day - 5, "cus_1", "pi_9")) == [("in_1", True), ("in_2", False)]
    # Another customer, other money, another day, or an invoice that names it: nothing is taken for something else.
    for other in (
        paying(5_000, day - 5, "cus_2"),
        paying(4_999, day - 5, "cus_1"),
        paying(5_000, day - 7_200, "cus_1"),
    ):
        assert sorted(keys(other)) == [("ch_9", True), ("in_1", False), ("in_2", False)]
    named = replace(unnamed[0], links=("cus_1", "pi_1"))
    assert [sale.key for sale in sales_of([named, paying(5_000, day - 5, "cus_1", "pi_9")])] == ["ch_9", "in_1"]
