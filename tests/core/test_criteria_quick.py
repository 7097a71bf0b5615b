"""The quick tests of criteria against the engine: whatever they answer, the engine would have."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from refref.core.criteria import CONDITION_VARIABLES, compile_criteria, read_criteria
from refref.core.criteria_engine import Engine
from refref.core.criteria_names import Gatherer, flat_kinds, paths_in, with_flat_names
from refref.core.criteria_quick import TROUBLE, quick_test
from refref.core.criteria_syntax import write

ENGINE = Engine(flat_kinds(CONDITION_VARIABLES))
PLAIN = (
    "sale.number > 2",
    "3 <= sale.number",
    'sale.currency == "usd"',
    'customer.country in ["DE", "FR"]',
    '"gold" in participant.groups',
    '"tier" in customer.metadata',
    'customer.metadata.tier == "a"',
    'customer.email_domain.endsWith(".example")',
    "customer.is_new",
    "has(customer.country)",
    "has(customer.metadata.tier)",
    'sale.paid_at >= timestamp("2026-01-01T00:00:00Z")',
)
PLAINEST = st.sampled_from(PLAIN)


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(inner, st.sampled_from(("&&", "||")), inner).map(lambda item: f"({' '.join(item)})")
    return pairs | inner.map(lambda text: f"!({text})")


SOURCES = st.recursive(PLAINEST, joined, max_leaves=5)
TEXTS = st.sampled_from(("usd", "DE", "a", "x.example"))
METADATA = st.dictionaries(st.sampled_from(("tier", "other")), TEXTS, max_size=2)
ODD = st.sampled_from((True, "3", 3, ["gold"]))  # of another kind than declared, mostly
VALUES = st.fixed_dictionaries(
    {
        "customer": st.fixed_dictionaries(
            {},
            optional={
                "country": TEXTS | ODD,
                "email_domain": TEXTS,
                "is_new": st.booleans() | ODD,
                "metadata": METADATA,
            },
        ),
        "participant": st.fixed_dictionaries({}, optional={"groups": st.lists(st.sampled_from(("gold", "tin")))}),
        "sale": st.fixed_dictionaries({}, optional={"number": st.integers(0, 5) | ODD, "currency": TEXTS | ODD}),
    }
)


@settings(max_examples=300, deadline=None)
@given(SOURCES, VALUES)
def test_the_engine_says_the_same(source: str, values: dict[str, dict[str, object]]) -> None:
    tree = read_criteria(source, variables=CONDITION_VARIABLES)
    program = ENGINE.compile(write(with_flat_names(tree, CONDITION_VARIABLES)))
    gathered = Gatherer(list(paths_in(tree, CONDITION_VARIABLES)), CONDITION_VARIABLES).gather(values)
    by_engine = program.run(gathered)
    quick = quick_test(tree, CONDITION_VARIABLES)(values)
    if quick == TROUBLE:
        assert not isinstance(by_engine, bool)
    elif quick is not None:
        assert by_engine is quick
    assert compile_criteria(source, variables=CONDITION_VARIABLES).matches(values) is (by_engine is True)


def test_reasons_that_were_told_before_are_told_of_these_values_alone() -> None:
    criteria = compile_criteria('sale.number > 2 && "gold" in participant.groups', variables=CONDITION_VARIABLES)

    def reason(number: object, *groups: str) -> str:
        return criteria.reason_against({"sale": {"number": number}, "participant": {"groups": list(groups)}})

    for _ in range(2):
        assert reason(1, "gold") == "sale.number > 2 is false: sale.number is 1"
        assert reason(2, "gold") == "sale.number > 2 is false: sale.number is 2"
        assert reason(3, "tin").startswith('"gold" in participant.groups is false: participant.groups is ["tin"]')
        assert "cannot be decided" in reason(True, "gold")
        assert criteria.reason_against({"sale": {}, "participant": {"groups": ["gold"]}}) == "sale.number is missing"
