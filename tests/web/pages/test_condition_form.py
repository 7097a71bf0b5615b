"""Conditions as people type them: amounts in the units of their currency, to CEL in minor units and back, exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.samples import quick
from refref.core.money import wire_exponent
from refref.web.money_format import decimal_text
from refref.web.pages import condition_form


def row(field: str, operator: str, value: str, key: str = "") -> dict[str, str]:
    place = "condition.rows.0"
    return {
        "condition.how": "rows",
        "condition.joined": "all",
        f"{place}.field": field,
        f"{place}.operator": operator,
        f"{place}.value": value,
        f"{place}.key": key,
    }


@pytest.mark.parametrize(
    ("typed", "cel", "shown"),
    [
        ("50 USD", 'sale.currency == "usd" && sale.amount_minor >= 5000', "50.00 USD"),
        ("7500 jpy", 'sale.currency == "jpy" && sale.amount_minor >= 7500', "7500 JPY"),
        ("KWD 1.23", 'sale.currency == "kwd" && sale.amount_minor >= 1230', "1.230 KWD"),
        ("500 ISK", 'sale.currency == "isk" && sale.amount_minor >= 50000', "500.00 ISK"),
        (
            "50.00 USD, 45 EUR",
            'sale.currency == "usd" && sale.amount_minor >= 5000'
            ' || sale.currency == "eur" && sale.amount_minor >= 4500',
            "50.00 USD, 45.00 EUR",
        ),
    ],
)
def test_amounts_are_typed_in_the_units_of_their_currency(typed: str, cel: str, shown: str) -> None:
    faults: dict[str, str] = {}
    assert condition_form.read(row("sale.amount", "at_least", typed), "condition", faults) == cel
    assert not faults
    values = condition_form.values_of("condition", cel)
    assert (values["condition.how"], values["condition.joined"]) == ("rows", "all")
    assert (values["condition.rows.0.field"], values["condition.rows.0.value"]) == ("sale.amount", shown)


@pytest.mark.parametrize("typed", ["", "50", "50.005 USD", "1.5 JPY", "50 ZZZ", "50 USD, 60 USD", "-5 USD"])
def test_what_is_no_amount_is_said_beside_its_input(typed: str) -> None:
    faults: dict[str, str] = {}
    condition_form.read(row("sale.amount", "at_least", typed), "condition", faults)
    assert list(faults) == ["condition.rows.0.value"]
    assert "such as 50.00 USD, 45.00 EUR" in faults["condition.rows.0.value"]


@quick
@given(
    st.dictionaries(st.sampled_from(["usd", "eur", "jpy", "kwd", "isk", "huf"]), st.integers(0, 10**12), min_size=1),
    st.sampled_from(["at_least", "more_than", "at_most", "less_than", "is"]),
)
def test_no_unit_is_lost(amounts: dict[str, int], operator: str) -> None:
    typed = ", ".join(f"{decimal_text(amount, code)} {code.upper()}" for code, amount in amounts.items())
    faults: dict[str, str] = {}
    source = condition_form.read(row("sale.amount", operator, typed), "condition", faults)
    assert not faults
    for code, amount in amounts.items():
        assert f'"{code}" && sale.amount_minor ' in source
        assert str(amount) in source
        assert decimal_text(amount, code).replace(".", "").lstrip("0") == str(amount).lstrip("0"), wire_exponent(code)
    values = condition_form.values_of("condition", source)
    assert values["condition.rows.0.value"] == typed
    assert condition_form.read(values, "condition", faults) == source


def test_minor_units_of_any_currency_stay_what_they_were() -> None:
    source = "sale.amount_minor >= 5000 && sale.number < 3"
    values = condition_form.values_of("condition", source)
    assert (values["condition.rows.0.field"], values["condition.rows.0.value"]) == ("sale.amount_minor", "5000")
    assert condition_form.read(values, "condition", {}) == source


@pytest.mark.parametrize(
    ("field", "typed", "cel"),
    [
        ("sale.currency", "USD", 'sale.currency == "usd"'),
        ("customer.country", "de", 'customer.country == "DE"'),
        ("customer.email_domain", "Example.com", 'customer.email_domain == "example.com"'),
        ("sale.campaign", "Spring", 'sale.campaign == "Spring"'),
    ],
)
def test_codes_are_compared_as_stripe_writes_them(field: str, typed: str, cel: str) -> None:
    assert condition_form.read(row(field, "is", typed), "condition", {}) == cel
