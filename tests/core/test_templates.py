"""The templates of programs: each can be published as it is, in any currency."""

import pytest

from refref.core.currency_codes import CURRENCIES
from refref.core.refusals import Refused
from refref.core.templates import TEMPLATES, Template, terms_of_template
from refref.core.terms_check import faults_of
from refref.core.terms_words import sentences_of


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.template_id)
def test_a_template_can_be_published_as_it_is(template: Template) -> None:
    for currency in sorted(CURRENCIES):
        assert faults_of(template.build(currency)) == (), currency
    assert template.for_whom.startswith("For ")
    assert template.participant_kind in ("referrer", "affiliate")


FIRST_WORDS = [
    ("single-sided-referral", "usd", ["“Thank you”: 10.00 USD for the first payment, as a credit, to the referrer."]),
    (
        "two-sided-referral",
        "jpy",
        [
            "“Thank you”: 1000 JPY for the first payment, as a credit, to the referrer.",
            "“Welcome”: 1000 JPY for the first payment, as a credit, to the referee.",
        ],
    ),
    ("affiliate", "eur", ["“Commission”: 30 % of every payment."]),
    ("revenue-share", "eur", ["“Revenue share”: 20 % of every payment.", "A customer’s payments earn for ever."]),
    (
        "per-lead",
        "kwd",
        ["“Lead”: 10.000 KWD for a sign-up (“Approved lead”).", "“Approved lead”: a sign-up; after approval."],
    ),
]


@pytest.mark.parametrize(("template_id", "currency", "sentences"), FIRST_WORDS)
def test_what_a_template_says(template_id: str, currency: str, sentences: list[str]) -> None:
    assert sentences_of(terms_of_template(template_id, currency))[: len(sentences)] == sentences


@pytest.mark.parametrize(
    ("template_id", "currency", "code", "field"),
    [("lottery", "usd", "unknown_template", "template"), ("affiliate", "USD", "invalid_currency", "currency")],
)
def test_what_is_no_template(template_id: str, currency: str, code: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        terms_of_template(template_id, currency)
    assert (refused.value.code, refused.value.field) == (code, field)
