"""A condition in plain words, where the form builder can say it; else as it is written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from refref.core.criteria_form import AMOUNT, FIELDS, OPERATORS, Form, Row, form_of_cel
from refref.core.money import format_amount

_KINDS = {field.name: field.kind for field in FIELDS}
# What is looked at, as it stands in a sentence.
_SUBJECTS: dict[str, str] = {
    AMOUNT: "the net amount of the sale",
    "sale.amount_minor": "the net amount of the sale in minor units",
    "sale.currency": "the currency of the sale",
    "sale.products": "the products sold",
    "sale.prices": "the prices sold",
    "sale.quantity": "the quantity sold",
    "sale.country": "the country of the sale",
    "sale.campaign": "the campaign",
    "sale.coupons": "the coupons and codes used",
    "sale.billing_interval": "the billing interval",
    "sale.number": "the number of the payment",
    "sale.months_subscribed": "the number of months since the first payment",
    "sale.subscription_plan": "the plan",
    "sale.metadata": "in the sale's metadata",
    "sale.paid_at": "the day of the payment",
    "customer.email_domain": "the domain of the customer's e-mail address",
    "customer.country": "the country of the customer",
    "customer.currency": "the currency of the customer",
    "customer.created_at": "the customer's first day",
    "customer.metadata": "in the customer's metadata",
    "participant.id": "the participant",
    "participant.kind": "the kind of participant",
    "participant.country": "the country of the participant",
    "participant.groups": "the groups of the participant",
    "participant.metadata": "in the participant's metadata",
    "participant.joined_at": "the participant's first day",
    "participant.code": "the code that was used",
}
_FLAGS = {
    "sale.is_first": ("it is the customer's first payment", "it is not the customer's first payment"),
    "customer.is_new": ("the customer is new", "the customer is not new"),
}


def condition_words(source: str, names: Mapping[str, str]) -> str:
    """`the country of the customer is DE and the net amount of the sale is at least 50.00 USD`.

    `names`: what people call the ids of participants, products and prices; what is not in it stays an id.
    """
    form = _form(source)
    if form is None or not form.rows:
        return source
    return f" {'and' if form.joined == 'all' else 'or'} ".join(_row_words(row, names) for row in form.rows)


@lru_cache(maxsize=1024)
def _form(source: str) -> Form | None:
    return form_of_cel(source)


def _row_words(row: Row, names: Mapping[str, str]) -> str:
    if row.field in _FLAGS:
        return _FLAGS[row.field][row.operator == "is_false"]
    operator = next(known.label for known in OPERATORS[_KINDS[row.field]] if known.name == row.operator)
    subject = f"“{row.key}” {_SUBJECTS[row.field]}" if row.key else _SUBJECTS[row.field]
    value = _value_words(row, names)
    return f"{subject} {operator} {value}".rstrip()


def _value_words(row: Row, names: Mapping[str, str]) -> str:
    value = row.value
    if isinstance(value, tuple):
        parts = [names.get(one, one) if isinstance(one, str) else format_amount(one[1], one[0]) for one in value]
        return f"{', '.join(parts[:-1])} or {parts[-1]}" if len(parts) > 1 else parts[0]
    text = str(value)
    if _KINDS[row.field] == "instant":
        return f"{text[:10]}{'' if text[11:] == '00:00:00Z' else f' {text[11:19]} UTC'}"
    return text.upper() if row.field.endswith(".currency") else names.get(text, text)
