"""The form builder's view of conditions: rows to CEL and back, and what is richer than the form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import quick
from refref.core.criteria import CONDITION_VARIABLES, CriteriaError, compile_criteria
from refref.core.criteria_form import AMOUNT, FIELDS, MAX_ROWS, OPERATORS, Form, Row, Value, cel_of_form, form_of_cel

KINDS = {
    "number": "int",
    "text": "string",
    "flag": "bool",
    "list": "strings",
    "instant": "timestamp",
    "metadata": "map",
}


@pytest.mark.parametrize(
    ("row", "cel"),
    [
        (Row("sale.amount_minor", "at_least", 5_000), "sale.amount_minor >= 5000"),
        (Row(AMOUNT, "at_least", (("usd", 5_000),)), 'sale.currency == "usd" && sale.amount_minor >= 5000'),
        (
            Row(AMOUNT, "less_than", (("usd", 5_000), ("jpy", 7_500))),
            'sale.currency == "usd" && sale.amount_minor < 5000 || sale.currency == "jpy" && sale.amount_minor < 7500',
        ),
        (Row("sale.number", "is_not", -1), "sale.number != -1"),
        (Row("sale.country", "is", "DE"), 'sale.country == "DE"'),
        (Row("sale.country", "one_of", ("DE", "AT")), 'sale.country in ["DE", "AT"]'),
        (Row("sale.country", "none_of", ("DE",)), '!(sale.country in ["DE"])'),
        (Row("sale.campaign", "starts_with", 'a"b'), 'sale.campaign.startsWith("a\\"b")'),
        (Row("customer.country", "missing"), "!has(customer.country)"),
        (Row("customer.is_new", "is_true"), "customer.is_new"),
        (Row("sale.is_first", "is_false"), "!sale.is_first"),
        (Row("sale.products", "includes", "prod_1"), '"prod_1" in sale.products'),
        (Row("sale.products", "excludes", "prod_1"), '!("prod_1" in sale.products)'),
        (Row("sale.coupons", "includes_any", ("A", "B")), 'sale.coupons.exists(item, item in ["A", "B"])'),
        (Row("sale.paid_at", "before", "2026-01-31T00:00:00Z"), 'sale.paid_at < timestamp("2026-01-31T00:00:00Z")'),
        (Row("customer.metadata", "is", "yes", "kyc"), 'customer.metadata.kyc == "yes"'),
        (Row("customer.metadata", "contains", "yes", "my key"), 'customer.metadata["my key"].contains("yes")'),
        (Row("customer.metadata", "present", "", "in"), '"in" in customer.metadata'),
    ],
)
def test_rows(row: Row, cel: str) -> None:
    assert cel_of_form(Form("all", (row,))) == cel
    assert form_of_cel(cel) == Form("all", (row,))


def test_joined() -> None:
    rows = (Row("sale.is_first", "is_true"), Row("sale.number", "is", 1), Row("sale.number", "is", 2))
    assert cel_of_form(Form("all", rows)) == "sale.is_first && sale.number == 1 && sale.number == 2"
    assert cel_of_form(Form("any", rows)) == "sale.is_first || sale.number == 1 || sale.number == 2"
    assert form_of_cel("sale.is_first||(sale.number==1||sale.number==2)") == Form("any", rows)
    assert cel_of_form(Form()) == ""
    assert form_of_cel("  ") == Form()


DOLLARS, EUROS = (("usd", 5_000),), (("eur", 4_500),)


@pytest.mark.parametrize(
    ("form", "cel"),
    [
        (
            Form("all", (Row("sale.is_first", "is_true"), Row(AMOUNT, "is", (*DOLLARS, *EUROS)))),
            'sale.is_first && (sale.currency == "usd" && sale.amount_minor == 5000'
            ' || sale.currency == "eur" && sale.amount_minor == 4500)',
        ),
        (
            Form("all", (Row(AMOUNT, "at_least", DOLLARS), Row(AMOUNT, "less_than", (("usd", 9_000),)))),
            'sale.currency == "usd" && sale.amount_minor >= 5000 && sale.currency == "usd" && sale.amount_minor < 9000',
        ),
        (
            Form("all", (Row("sale.currency", "is", "usd"), Row("sale.number", "is", 2))),
            'sale.currency == "usd" && sale.number == 2',
        ),
        (
            Form("any", (Row(AMOUNT, "at_least", DOLLARS), Row("sale.is_first", "is_true"))),
            'sale.currency == "usd" && sale.amount_minor >= 5000 || sale.is_first',
        ),
        (
            Form("any", (Row(AMOUNT, "at_least", DOLLARS), Row(AMOUNT, "at_most", EUROS))),
            'sale.currency == "usd" && sale.amount_minor >= 5000'
            ' || sale.currency == "eur" && sale.amount_minor <= 4500',
        ),
        (
            Form("all", (Row("sale.currency", "is", "USD"), Row("sale.amount_minor", "at_least", 5_000))),
            'sale.currency == "USD" && sale.amount_minor >= 5000',
        ),
    ],
)
def test_amounts_among_other_rows(form: Form, cel: str) -> None:
    assert cel_of_form(form) == cel
    assert form_of_cel(cel) == form


@pytest.mark.parametrize(
    "values", [(), (("usd", -1),), (("xxx", 5),), (("usd", 5), ("usd", 6)), ("usd",), "50.00 USD", 5_000]
)
def test_amounts_that_are_none(values: Value) -> None:
    with pytest.raises(CriteriaError, match="Give amounts such as"):
        cel_of_form(Form("all", (Row(AMOUNT, "at_least", values),)))


@pytest.mark.parametrize(
    "source",
    [
        "sale.number + 1 == 2",
        'sale.is_first || sale.currency == "usd" && sale.amount_minor >= 5000 && sale.number == 1',
        "sale.is_first || sale.number == 1 && sale.number == 2",
        "sale.number == sale.quantity",
        "!(sale.number == 1)",
        "size(sale.products) == 1",
        'sale.paid_at < timestamp("2026-01-31T00:00:00+02:00")',
        "sale.number ==",
        "sale.number == 1" + " && sale.number == 1" * MAX_ROWS,
    ],
)
def test_richer_than_the_form(source: str) -> None:
    assert form_of_cel(source) is None


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (Row("sale.nothing", "is", "x"), "rows.0.field"),
        (Row("sale.number", "starts_with", "x"), "rows.0.operator"),
        (Row("sale.number", "is", "1"), "rows.0.value"),
        (Row("sale.number", "is", 2**63), "rows.0.value"),
        (Row("sale.country", "is", ""), "rows.0.value"),
        (Row("sale.country", "one_of", ()), "rows.0.value"),
        (Row("sale.country", "is", "\ud800"), "rows.0.value"),
        (Row("sale.is_first", "is_true", "x"), "rows.0.value"),
        (Row("sale.paid_at", "from", "2026-02-30T00:00:00Z"), "rows.0.value"),
        (Row("sale.metadata", "is", "x"), "rows.0.key"),
        (Row("sale.country", "is", "x", "key"), "rows.0.key"),
    ],
)
def test_refused(row: Row, field: str) -> None:
    with pytest.raises(CriteriaError) as refused:
        cel_of_form(Form("all", (row,)))
    assert refused.value.field == field
    assert refused.value.remedy


def test_too_many_rows() -> None:
    with pytest.raises(CriteriaError, match="more than 20 rows"):
        cel_of_form(Form("any", (Row("sale.is_first", "is_true"),) * (MAX_ROWS + 1)))


def test_fields_are_those_of_conditions() -> None:
    declared = {
        f"{name}.{field}": kind
        for name, fields in CONDITION_VARIABLES.items()
        if not isinstance(fields, str)
        for field, kind in fields.items()
    }
    assert {field.name: KINDS[field.kind] for field in FIELDS if field.name != AMOUNT} == declared
    assert len({field.label for field in FIELDS}) == len(FIELDS)


def test_every_variable_is_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "terms.md").read_text()
    told = page.partition("## Conditions")[2].partition("\n## ")[0]
    missing = [field.name for field in FIELDS if field.name != AMOUNT and f"`{field.name}`" not in told]
    assert not missing


_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_instants = st.integers(0, 4_000_000_000).map(
    lambda seconds: (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )  # a text is made
)
_values: dict[str, st.SearchStrategy[Value]] = {
    "none": st.just(""),
    "amounts": st.dictionaries(st.sampled_from(["usd", "jpy", "kwd", "isk"]), st.integers(0, 10**12), min_size=1).map(
        lambda amounts: tuple(amounts.items())
    ),
    "number": st.integers(-(2**63) + 1, 2**63 - 1),
    "text": _texts,
    "texts": st.lists(_texts, min_size=1, max_size=3).map(tuple),
    "instant": _instants,
}


@st.composite
def rows(draw: st.DrawFn) -> Row:
    field = draw(st.sampled_from(FIELDS))
    operator = draw(st.sampled_from(OPERATORS[field.kind]))
    key = draw(_texts) if field.kind == "metadata" else ""
    return Row(field.name, operator.name, draw(_values[operator.value]), key)


@quick
@given(st.sampled_from(["all", "any"]), st.lists(rows(), min_size=2, max_size=5))
def test_there_and_back(joined: str, drawn: list[Row]) -> None:
    form = Form("any" if joined == "any" else "all", tuple(drawn))
    source = cel_of_form(form)
    back = form_of_cel(source)
    assert back is not None
    assert cel_of_form(back) == source
    if AMOUNT not in [row.field for row in drawn]:  # amounts that any may meet are one row or several
        assert back == form
    assert compile_criteria(source, variables=CONDITION_VARIABLES).source == source


@quick
@given(st.text(max_size=30))
def test_any_text(source: str) -> None:
    form = form_of_cel(source)
    assert form is None or form_of_cel(cel_of_form(form)) == form
