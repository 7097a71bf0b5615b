"""Conditions in plain words, where the form builder can say them; else as they are written."""

import pytest

from refref.core.criteria_form import FIELDS, OPERATORS, Form, Row, Value, cel_of_form
from refref.core.criteria_words import condition_words

NAMES = {"prod_1": "Pro", "ptc_1": "Sample partner"}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            'sale.currency == "usd" && sale.amount_minor >= 5000'
            ' || sale.currency == "jpy" && sale.amount_minor >= 7500',
            "the net amount of the sale is at least 50.00 USD or 7500 JPY",
        ),
        (
            'sale.country == "DE" && !sale.is_first',
            "the country of the sale is DE and it is not the customer's first payment",
        ),
        ('"prod_1" in sale.products', "the products sold include Pro"),
        ('participant.id in ["ptc_1", "ptc_2"]', "the participant is one of Sample partner or ptc_2"),
        ('customer.metadata.kyc == "yes"', "“kyc” in the customer's metadata is yes"),
        ("sale.amount_minor > 5000", "the net amount of the sale in minor units is more than 5000"),
        ("!has(customer.country)", "the country of the customer is not known"),
        ('sale.paid_at < timestamp("2026-01-31T00:00:00Z")', "the day of the payment is before 2026-01-31"),
        (
            'sale.currency == "eur" || sale.number > 2',
            "the currency of the sale is EUR or the number of the payment is more than 2",
        ),
        ("sale.number + 1 == 2", "sale.number + 1 == 2"),
    ],
)
def test_a_condition_in_words(source: str, words: str) -> None:
    assert condition_words(source, NAMES) == words


VALUES: dict[str, Value] = {
    "none": "",
    "amounts": (("usd", 1),),
    "number": 1,
    "text": "x",
    "texts": ("x",),
    "instant": "2026-01-31T09:30:00Z",
}


def test_everything_that_the_form_can_say_has_words() -> None:
    for field in FIELDS:
        for operator in OPERATORS[field.kind]:
            key = "k" if field.kind == "metadata" else ""
            source = cel_of_form(Form("all", (Row(field.name, operator.name, VALUES[operator.value], key),)))
            words = condition_words(source, {})
            assert words != source
            assert field.name not in words
