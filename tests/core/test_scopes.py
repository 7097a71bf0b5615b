"""Filing facts: any grouping and order of reports gives the same facts in the same scopes."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import T0, quick
from refref.core.facts import Carrier, CarrierKind, ChargeState, Fact, Kind, merge
from refref.core.scopes import absorb

KINDS = {"cus": Kind.CUSTOMER, "in": Kind.INVOICE, "pi": Kind.PAYMENT_INTENT, "ch": Kind.CHARGE, "re": Kind.REFUND}
ids = st.sampled_from([f"{prefix}_{n}" for prefix in KINDS for n in (1, 2, 3)])
carriers = st.lists(
    st.builds(
        Carrier, st.sampled_from(list(CarrierKind)), st.sampled_from(["ana", "bea"]), st.integers(T0, T0 + 3),
        st.sampled_from(["", "spring"]), st.one_of(st.none(), st.integers(T0 - 3, T0)),
    ),
    max_size=2, unique_by=lambda carrier: (carrier.kind, carrier.value),
).map(lambda found: tuple(sorted(found, key=lambda carrier: (carrier.kind.value, carrier.value))))  # fmt: skip
states = st.one_of(st.none(), st.builds(ChargeState, st.just("succeeded"), st.just("usd"), st.integers(0, 3)))


@st.composite
def a_fact(draw: st.DrawFn) -> Fact:
    stripe_id = draw(ids)
    links = tuple(sorted(draw(st.sets(ids, max_size=2)) - {stripe_id}))
    marks = tuple(sorted(draw(st.dictionaries(st.sampled_from(["deleted", "won"]), st.integers(T0, T0 + 2))).items()))
    return Fact(
        stripe_id, KINDS[stripe_id.split("_")[0]], draw(st.integers(0, 1)), draw(st.integers(T0, T0 + 1)),
        draw(st.integers(0, 1)), draw(states), links, draw(carriers), marks,
    )  # fmt: skip


def store(reports: list[Fact], rng: random.Random, largest: int) -> tuple[dict[str, Fact], dict[str, str]]:
    """File reports in batches, loading only the scopes that a batch touches, as settle does."""
    facts: dict[str, Fact] = {}
    scopes: dict[str, str] = {}
    rest = list(reports)
    while rest:
        size = rng.randint(1, largest)
        batch, rest = rest[:size], rest[size:]
        touched = {stripe_id for fact in batch for stripe_id in (fact.stripe_id, *fact.links)}
        wanted = {scopes[stripe_id] for stripe_id in touched if stripe_id in scopes}
        known = [(facts[stripe_id], scope) for stripe_id, scope in scopes.items() if scope in wanted]
        merged = absorb(known, batch)
        scopes = {stripe_id: merged.moves.get(scope, scope) for stripe_id, scope in scopes.items()}
        for stripe_id in merged.changed:
            facts[stripe_id] = merged.facts[stripe_id]
            scopes[stripe_id] = merged.scopes[stripe_id]
    return facts, scopes


@quick
@given(st.lists(a_fact(), min_size=1, max_size=14), st.randoms(use_true_random=False))
def test_any_order_and_grouping(reports: list[Fact], rng: random.Random) -> None:
    expected = store(reports, rng, len(reports))
    shuffled = [*reports, *rng.sample(reports, len(reports) // 2)]
    rng.shuffle(shuffled)
    assert store(shuffled, rng, 3) == expected


@quick
@given(a_fact(), a_fact(), a_fact())
def test_merge_is_a_join(a: Fact, b: Fact, c: Fact) -> None:
    b, c = [msgspec.structs.replace(fact, stripe_id=a.stripe_id, kind=a.kind) for fact in (b, c)]
    ab, abc = merge(a, b), merge(merge(a, b), c)
    assert ab == merge(b, a)
    assert abc == merge(a, merge(b, c)) == merge(c, merge(b, a))
    assert merge(ab, a) == merge(ab, b) == merge(ab, ab)


def test_facts_of_two_objects_do_not_merge() -> None:
    with pytest.raises(ValueError, match="cannot merge"):
        merge(Fact("a", Kind.CHARGE), Fact("b", Kind.CHARGE))


def test_a_scope_is_named_after_its_customer() -> None:
    first = absorb([], [Fact("pi_1", Kind.PAYMENT_INTENT, links=("ch_1",))])
    assert set(first.scopes.values()) == {"ch_1"}
    known = [(first.facts[stripe_id], scope) for stripe_id, scope in first.scopes.items()]
    second = absorb(known, [Fact("ch_1", Kind.CHARGE, links=("cus_9",))])
    assert set(second.scopes.values()) == {"cus_9"}
    assert second.moves == {"ch_1": "cus_9"}
    assert second.touched == {"cus_9"}
