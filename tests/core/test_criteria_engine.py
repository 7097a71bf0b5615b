"""Criteria against the CEL library itself, on random expressions and values; random texts; the tree and its text."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from cel_expr_python import cel
from hypothesis import given, settings
from hypothesis import strategies as st

from core.samples import quick
from refref.core.criteria import CONDITION_VARIABLES, EVENT_VARIABLES, CriteriaError, compile_criteria, read_criteria
from refref.core.criteria_paths import compile_path
from refref.core.criteria_syntax import Call, Node, chain, parts, write

broad = settings(max_examples=4 * int(os.environ.get("HYPOTHESIS_EXAMPLES", "50")), deadline=None)

_TEXTS = st.sampled_from(["DE", "AT", "", "é😀", 'a"b\\', "prod_1"])
_NUMBERS = st.sampled_from([0, 1, 2, -1, 15_000, 2**63 - 1, -(2**63)])
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.sampled_from([0.5, 1.0]) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def event_paths(draw: st.DrawFn) -> str:
    steps = draw(st.lists(st.sampled_from([".a", ".b", ".c", '["a"]', "[0]", "[1]"]), min_size=1, max_size=3))
    return "event" + "".join(steps)


def _constants() -> st.SearchStrategy[str]:
    texts = _TEXTS.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return texts | _NUMBERS.map(str) | st.sampled_from(["true", "false", "null", "1.0", "0.5"])


@st.composite
def event_leaves(draw: st.DrawFn) -> str:
    path, constant, other = draw(event_paths()), draw(_constants()), draw(event_paths())
    sign = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
    return draw(
        st.sampled_from(
            [
                f"dyn({constant}) {sign} {path}",
                f"{path} {sign} {constant}",
                f"{path} {sign} {other}",
                f'{path} in ["DE", "AT"]',
                f"{path} in [1, 2]",
                f'"a" in {path}',
                f"{constant} in {path}",
                f'{path}.startsWith("D")',
                f'{path}.endsWith("T")',
                f'{path}.contains("")',
                f'{path}.matches("^[A-D]E$")',
                f"size({path}) == 2",
                f"has({path}.a)",
                f"{path}.exists(x, x == {constant})",
                f"{path}.all(x, x.a == {constant} || x == event.b)",
                f"{path} + {other} == {constant}",
                path,
            ]
        )
    )


def _combined(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds("({} && {})".format, inner, inner),
            st.builds("({} || {})".format, inner, inner),
            st.builds("!({})".format, inner),
            st.builds("({} ? {} : {})".format, inner, inner, inner),
        ),
        max_leaves=5,
    )


_LIBRARY = cel.NewEnv(variables={"event": cel.Type.DYN, "sale": cel.Type.DYN, "customer": cel.Type.DYN})


def by_library(source: str, values: Mapping[str, object]) -> bool:
    """What the library alone says of all the values."""
    result = _LIBRARY.compile(source).eval(data=values)
    return result.type() == cel.Type.BOOL and result.value() is True


@broad
@given(_combined(event_leaves()), st.dictionaries(st.sampled_from("abc"), _JSON, max_size=3))
def test_events_as_the_library(source: str, event: dict[str, object]) -> None:
    values = {"event": event}
    try:
        criteria = compile_criteria(source, variables=EVENT_VARIABLES)
    except CriteriaError:
        return  # kinds that never fit, such as "a" < 1
    outcome = criteria.evaluate(values)
    assert outcome.matched == by_library(source, values), (source, event)
    assert bool(outcome.because) == (not outcome.matched)


@st.composite
def condition_leaves(draw: st.DrawFn) -> str:
    number = draw(_NUMBERS)
    text = draw(st.sampled_from(["DE", "AT", "k", ""]))
    sign = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
    return draw(
        st.sampled_from(
            [
                f"sale.number {sign} {number}",
                f"{number} {sign} sale.number",
                f'sale.country {sign} "{text}"',
                f'sale.country in ["{text}", "FR"]',
                f'"{text}" in sale.products',
                f'"{text}" in customer.metadata',
                f'sale.products.exists(p, p == "{text}")',
                f'customer.metadata.k == "{text}"',
                f'customer.metadata["k"] {sign} "{text}"',
                "sale.is_first",
                "has(sale.country)",
                "has(customer.metadata)",
                "has(customer.metadata.k)",
                "sale.number * 2 > sale.quantity",
                f'sale.country.startsWith("{text}")',
            ]
        )
    )


_RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "sale": st.fixed_dictionaries(
            {},
            optional={
                "number": _NUMBERS,
                "quantity": _NUMBERS,
                "country": _TEXTS,
                "is_first": st.booleans(),
                "products": st.lists(_TEXTS, max_size=2),
            },
        ),
        "customer": st.fixed_dictionaries(
            {}, optional={"metadata": st.dictionaries(st.sampled_from(["k", "DE"]), _TEXTS, max_size=2)}
        ),
    },
)


@broad
@given(_combined(condition_leaves()), _RECORDS)
def test_conditions_as_the_library(source: str, values: dict[str, object]) -> None:
    outcome = compile_criteria(source, variables=CONDITION_VARIABLES).evaluate(values)
    assert outcome.matched == by_library(source, values), (source, values)
    assert bool(outcome.because) == (not outcome.matched)


@pytest.mark.parametrize("number", [4, 5, 6])
@pytest.mark.parametrize("country", ["AT", "DE", "FR"])
def test_comparisons_from_both_sides(number: int, country: str) -> None:
    values = {"sale": {"number": number, "country": country}}
    for sign, compare in (
        ("<", operator.lt),
        ("<=", operator.le),
        (">", operator.gt),
        (">=", operator.ge),
        ("==", operator.eq),
        ("!=", operator.ne),
    ):
        for source, expected in (
            (f"sale.number {sign} 5", compare(number, 5)),
            (f"5 {sign} sale.number", compare(5, number)),
            (f'sale.country {sign} "DE"', compare(country, "DE")),
            (f'"DE" {sign} sale.country', compare("DE", country)),
        ):
            assert compile_criteria(source, variables=CONDITION_VARIABLES).matches(values) == expected, source


@quick
@given(st.integers(-5, 5), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_instants(seconds: int, sign: str) -> None:
    at = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
    paid = at + timedelta(seconds=seconds)
    values = {"sale": {"paid_at": paid}}
    quickly = f'sale.paid_at {sign} timestamp("2026-01-15T10:00:00Z")'
    by_engine = f'sale.paid_at {sign} timestamp("2026-01-15T12:00:00+02:00")'
    expected = {"<": paid < at, "<=": paid <= at, ">": paid > at, ">=": paid >= at, "==": paid == at, "!=": paid != at}
    for source in (quickly, by_engine):
        assert compile_criteria(source, variables=CONDITION_VARIABLES).matches(values) == expected[sign]


_WORDS = (
    "sale", "event", "customer", ".", "number", "country", "metadata", "has(", "exists(", "map(", "x", ",", "(", ")",
    "[", "]", "{", "}", "?", ":", "&&", "||", "!", "==", "<", "in", "+", "-", "*", "/", "%", "1", "0x1", "1u", "1.5",
    "'a'", '"b"', "true", "null", "\n", "//", "matches(", "timestamp(", "size(", "`", "\\", "=", "é",
)  # fmt: skip
_CEL_WORDS = st.lists(st.sampled_from(_WORDS), max_size=14).map(" ".join)


@broad
@given(st.text(max_size=60) | _CEL_WORDS | _CEL_WORDS.map(lambda words: words.replace(" ", "")))
def test_any_text_is_refused_or_runs(source: str) -> None:
    for variables in (CONDITION_VARIABLES, EVENT_VARIABLES):
        criteria, refused = None, None
        try:
            criteria = compile_criteria(source, variables=variables)
        except CriteriaError as problem:
            refused = problem
        if criteria is not None:
            outcome = criteria.evaluate({"event": {"number": 1}, "sale": {"number": 1}})
            assert bool(outcome.because) == (not outcome.matched)
        else:
            assert refused is not None
            assert min(refused.line, refused.column) >= 1
            assert refused.remedy


@broad
@given(st.text(max_size=40) | st.text(alphabet="ab.[]01\"' ", max_size=12), _JSON)
def test_any_path_is_refused_or_reads(source: str, event: object) -> None:
    try:
        path = compile_path(source)
    except CriteriaError:
        return
    found = path(event if isinstance(event, dict) else {})
    assert (found.value is None) == bool(found.reason)
    assert (found.amount_minor is None) == bool(found.amount_reason)


def shape(node: Node) -> object:
    """The tree with each run of && or || as one, since the parser nests them as it likes."""
    if isinstance(node, Call) and node.function in ("_&&_", "_||_"):
        return node.function, tuple(shape(item) for item in chain(node, node.function))
    own = {name: getattr(node, name, None) for name in ("function", "name", "bound", "message", "kind", "value")}
    return type(node).__name__, tuple(own.items()), tuple(shape(part) for part in parts(node))


@broad
@given(_combined(event_leaves()))
def test_written_trees_read_the_same(source: str) -> None:
    try:
        tree = read_criteria(source, variables=EVENT_VARIABLES)
    except CriteriaError:
        return
    assert shape(read_criteria(write(tree), variables=EVENT_VARIABLES)) == shape(tree)


def test_written_in_one_spelling() -> None:
    for source, written in (
        ("1+2*3==7&&!(true||false)", "1 + 2 * 3 == 7 && !(true || false)"),
        ("1-(2-3)== - (2)", "1 - (2 - 3) == -(2)"),
        ("true?false:true?true:false", "true ? false : true ? true : false"),
        ("(true?false:true)?true:false", "(true ? false : true) ? true : false"),
        ("[1,2].map(x,x>1,x*2)==[4]", "[1, 2].map(x, x > 1, x * 2) == [4]"),
        ("[1].filter(x,x>0).exists_one(y,y==1)", "[1].filter(x, x > 0).exists_one(y, y == 1)"),
        ("{'a':1u}['a']==1u", '{"a": 1u}["a"] == 1u'),
        ("event.`a-b`.c==b'x'", 'event.`a-b`.c == b"\\x78"'),
        ("1e3==-1.5||1e999>2.0", "1000.0 == -1.5 || 1e999 > 2.0"),
    ):
        assert write(read_criteria(source, variables=EVENT_VARIABLES)) == written
