"""What people told, took back and told again: the outcome is the same in whatever order it is learnt."""

from functools import reduce
from itertools import permutations

import pytest

from refref.core.attribution import CodeOwner, Found, bind
from refref.core.facts import Carrier, CarrierKind, Fact, merge
from refref.core.told_carriers import present_carriers
from refref.told import Told, ToldReferral, ToldUndoing, fact_of

BY_HAND = CarrierKind.MANUAL


def told(at: int, code: str = "ana", *, again: bool = False, clicked_at: int | None = None) -> ToldReferral:
    return ToldReferral(
        id=f"tld_{at}",
        stripe_customer_id="cus_1",
        code=code,
        kind=BY_HAND,
        told_at=at,
        actor="system",
        clicked_at=clicked_at,
        is_again=again,
    )


def undone(at: int, code: str = "ana") -> ToldUndoing:
    return ToldUndoing(id=f"tld_{at}", stripe_customer_id="cus_1", code=code, kind=BY_HAND, told_at=at, actor="system")


# What was told, and the carriers that stand then: code, since when, the click.
HISTORIES: list[tuple[list[Told], list[tuple[str, int, int | None]]]] = [
    ([told(10)], [("ana", 10, None)]),
    ([told(10), undone(20)], []),
    ([told(10), undone(10)], []),
    ([told(10), undone(20), told(21, again=True)], [("ana", 21, None)]),
    ([told(10), undone(20), told(21, again=True, clicked_at=5)], [("ana", 21, 5)]),
    ([told(10), undone(20), told(21, again=True), undone(30)], []),
    ([told(10), undone(20), told(21, again=True), undone(30), told(31, again=True)], [("ana", 31, None)]),
    ([told(10), told(15, "bea"), undone(20)], [("bea", 15, None)]),
    ([told(10, "Ana"), undone(20, "ana")], []),
    ([told(10), undone(20, "bea")], [("ana", 10, None)]),
]


@pytest.mark.parametrize(("history", "standing"), HISTORIES)
def test_the_latest_word_stands_in_whatever_order_it_is_learnt(
    history: list[Told], standing: list[tuple[str, int, int | None]]
) -> None:
    facts = [fact_of(item) for item in history]
    for order in permutations([*facts, facts[0]]):  # the first twice
        joined = reduce(merge, order)
        found = [p.carrier for p in present_carriers(joined) if not p.is_undone]
        assert [(c.value, c.seen_at, c.clicked_at) for c in found] == standing


def test_what_stripe_told_cannot_be_taken_back() -> None:
    carrier = Carrier(CarrierKind.CLIENT_REFERENCE, "ana", 10)
    fact = merge(Fact("cus_1", fact_of(told(5)).kind, carriers=(carrier,)), fact_of(undone(20)))
    assert [p.is_undone for p in present_carriers(fact)] == [False]


def test_a_bond_that_was_taken_back_is_evidence_and_decides_nothing() -> None:
    by_hand = Found(Carrier(BY_HAND, "ana", 5), "cus_1", "cus_1", "", is_undone=True)
    clicked = Found(Carrier(CarrierKind.CLIENT_REFERENCE, "bea", 10), "cs_1", "cs_1", "cs_1")
    owners = {"ana": CodeOwner("ptc_a", "prg_1"), "bea": CodeOwner("ptc_b", "prg_1")}
    binding, evidence = bind([by_hand, clicked], owners, "prg_1")
    assert binding is not None
    assert binding.participant_id == "ptc_b"
    assert [(item.value, item.verdict) for item in evidence] == [("bea", "used"), ("ana", "undone")]
