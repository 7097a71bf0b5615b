"""Criteria: what is met, the reason where not, what is refused and where, and the limits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from refref.core.criteria import CONDITION_VARIABLES, EVENT_VARIABLES, Criteria, CriteriaError, compile_criteria

PAID = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
VALUES: Mapping[str, Mapping[str, object]] = {
    "customer": {
        "email_domain": "example.com",
        "currency": "eur",
        "country": None,
        "created_at": datetime(2026, 1, 14, 9, 0, tzinfo=UTC),
        "metadata": {"kyc": "verified"},
        "is_new": True,
    },
    "participant": {"id": "par_1", "kind": "referrer", "groups": ["gold"], "metadata": {}, "joined_at": PAID},
    "sale": {
        "amount_minor": 15_000,
        "currency": "eur",
        "products": ["prod_basic", "prod_extra"],
        "prices": ["price_1"],
        "quantity": 3,
        "country": "DE",
        "coupons": [],
        "is_first": True,
        "number": 1,
        "metadata": {"channel": "newsletter", "a-b": "x"},
        "paid_at": PAID,
    },
}
EVENT: Mapping[str, object] = {
    "event": {
        "type": "customer.updated",
        "created": 1_768_471_200,
        "data": {
            "object": {
                "id": "cus_1",
                "amount": 500,
                "ratio": 0.5,
                "note": None,
                "metadata": {},
                "lines": {"data": [{"amount": 300}, {"amount": 200}]},
            },
            "previous_attributes": {"metadata": {"kyc": "pending"}},
        },
    }
}


def condition(source: str) -> Criteria:
    return compile_criteria(source, variables=CONDITION_VARIABLES)


@pytest.mark.parametrize(
    "source",
    [
        "sale.amount_minor >= 15000",
        "15000 <= sale.amount_minor",
        'sale.country in ["AT", "DE"] && customer.metadata.kyc == "verified"',
        '"prod_basic" in sale.products',
        'sale.products.exists(p, p.startsWith("prod_e"))',
        "sale.products.all(p, size(p) > 5)",
        "size(sale.products) == 2 && size(sale.coupons) == 0",
        'sale.metadata["a-b"] == "x" && sale.metadata.channel.contains("news")',
        "has(sale.country) && !has(customer.country) && has(customer.metadata.kyc)",
        "sale.is_first && customer.is_new",
        'sale.paid_at >= timestamp("2026-01-15T10:00:00Z")',
        'sale.paid_at - customer.created_at > duration("24h")',
        "sale.paid_at.getFullYear() == 2026",
        'customer.email_domain.matches("^exam.*[.]com$")',
        'sale.is_first ? sale.amount_minor > 100 : sale.country == "FR"',
        'string(sale.number) == "1" && int("3") == sale.quantity',
        '"gold" in participant.groups',
        # One side that decides is enough, whatever is missing on the other, in either order.
        'customer.country == "DE" || sale.number == 1',
        'sale.number == 1 || customer.country == "DE"',
        '!(customer.country == "DE" && sale.number == 2)',
        '!(sale.number == 2 && customer.country == "DE")',
    ],
)
def test_met(source: str) -> None:
    outcome = condition(source).evaluate(VALUES)
    assert outcome.matched
    assert outcome.because == ""


@pytest.mark.parametrize(
    ("source", "because"),
    [
        ("sale.amount_minor > 15000", "sale.amount_minor > 15000 is false: sale.amount_minor is 15000"),
        ('sale.is_first && sale.country == "FR"', 'sale.country == "FR" is false: sale.country is "DE"'),
        (
            'sale.country == "FR" || sale.number == 2',
            'sale.country == "FR" is false: sale.country is "DE"; sale.number == 2 is false: sale.number is 1',
        ),
        ('customer.country == "DE"', "customer.country is missing"),
        ('!(customer.country == "DE")', "customer.country is missing"),
        ('customer.metadata.tier == "a" && sale.number == 1', "customer.metadata.tier is missing"),
        ('customer.country == "DE" && sale.number == 2', "sale.number == 2 is false: sale.number is 1"),
        ('sale.number == 2 || customer.country == "DE"', "customer.country is missing"),
        ("has(customer.country)", "has(customer.country) is false: customer.country is missing"),
        ('!(sale.country in ["DE"])', 'sale.country in ["DE"] is true: sale.country is "DE"'),
        ("!sale.is_first", "sale.is_first is true"),
        (
            "sale.is_first ? sale.number == 2 : true",
            "sale.is_first is true; sale.number == 2 is false: sale.number is 1",
        ),
        (
            '"prod_x" in sale.products',
            '"prod_x" in sale.products is false: sale.products is ["prod_basic", "prod_extra"]',
        ),
        (
            'sale.paid_at < timestamp("2026-01-01T00:00:00Z")',
            'sale.paid_at < timestamp("2026-01-01T00:00:00Z") is false: sale.paid_at is 2026-01-15T10:00:00Z',
        ),
        (
            "sale.amount_minor * 9223372036854775807 > 5",
            "sale.amount_minor * 9223372036854775807 > 5 cannot be decided: sale.amount_minor is 15000; "
            "a number is too large",
        ),
        ("sale.amount_minor / (sale.number - 1) > 5", None),
    ],
)
def test_not_met(source: str, because: str | None) -> None:
    outcome = condition(source).evaluate(VALUES)
    assert not outcome.matched
    assert outcome.because == because if because else "divide by zero" in outcome.because


@pytest.mark.parametrize(
    ("source", "because"),
    [
        ('event.data.object.metadata.kyc == "ok"', "event.data.object.metadata.kyc is missing"),
        ("event.data.nothing.at.all == 1", "event.data.nothing is missing"),
        ("event.data.object.lines.data[5].amount == 1", "event.data.object.lines.data[5] is missing"),
        ("event.data.object.note == 1", "event.data.object.note == 1 is false: event.data.object.note is null"),
        (
            'event.data.object.amount > "a"',
            'event.data.object.amount > "a" cannot be decided: event.data.object.amount is 500; '
            "the kinds of the values do not fit",
        ),
        (
            "event.data.object.amount",
            "event.data.object.amount cannot be decided: it is 500, not true or false",
        ),
        (
            "event.data.object.ratio > 0.5",
            "event.data.object.ratio > 0.5 is false: event.data.object.ratio is 0.5",
        ),
        ("event.data.object.lines.data.exists(l, l.missing == 1)", None),
    ],
)
def test_events_not_met(source: str, because: str | None) -> None:
    outcome = compile_criteria(source, variables=EVENT_VARIABLES).evaluate(EVENT)
    assert not outcome.matched
    assert outcome.because == because if because else '"missing" is missing' in outcome.because


def test_events_met() -> None:
    for source in (
        'event.data.previous_attributes.metadata.kyc == "pending" && event.type == "customer.updated"',
        "event.data.object.lines.data.map(l, l.amount) == [300, 200]",
        "event.data.object.lines.data[1].amount == 200 && event.data.object.note == null",
        "has(event.data.object.note) && !has(event.data.object.metadata.kyc)",
    ):
        assert compile_criteria(source, variables=EVENT_VARIABLES).matches(EVENT), source


def test_nothing_given() -> None:
    nothing: tuple[dict[str, object], ...] = ({}, {"sale": None}, {"sale": 5}, {"sale": {}})
    for values in nothing:
        outcome = condition("sale.number == 1").evaluate(values)
        assert not outcome.matched
        assert outcome.because.endswith("is missing"), values


def test_values_of_wrong_kinds_are_no_match() -> None:
    for number in ("1", 1.5, [], {}, True, 2**70, object(), "\ud800"):
        outcome = condition("sale.number == 1").evaluate({"sale": {"number": number}})
        assert not outcome.matched
        assert outcome.because


def test_seen() -> None:
    outcome = condition('sale.country == "DE" && (customer.country == "AT" || sale.number < 9)').evaluate(VALUES)
    assert outcome.seen == (("sale.country", '"DE"'), ("customer.country", "missing"), ("sale.number", "1"))


def test_long_values_are_cut() -> None:
    outcome = condition('"x" in sale.products').evaluate({"sale": {"products": ["p" * 30] * 1000}})
    assert len(outcome.because) < 250


@pytest.mark.parametrize(
    ("source", "line", "column", "told"),
    [
        ("", 1, 1, "nothing here"),
        ("sale.number ==", 1, 15, "unexpected end"),
        ('sale.number == 1 &&\n  sale.country = "DE"', 2, 16, "Write == to compare"),
        ("sale.number == 1 and sale.is_first", 1, 18, "Write && for and"),
        ("(sale.number == 1", 1, 18, "missing ')'"),
        ("sales.number == 1", 1, 6, "Did you mean `sale`?"),
        ("sale.nmuber == 1", 1, 5, "Did you mean `number`?"),
        ("has(sale.nmuber)", 1, 4, "Did you mean `number`?"),
        ("sale.number == 1 && sale.country == 5", 1, 34, "a text and a whole number"),
        ('sale.country == "é😀" && sale.number == "1"', 1, 37, "a whole number and a text"),
        ("sale.metadata.a == 1", 1, 17, "a text and a whole number"),
        ("sale.number", 1, 1, "not a condition"),
        ("sale.country.lowerAscii() == 'de'", 1, 24, "no function `lowerAscii`"),
        ('sale["number"] == 1', 1, 5, "Write sale.number"),
        ("sale . number == 1", 1, 6, "Write sale.number"),
        ("sale == sale", 1, 1, "has fields"),
        ("sale_number == 1", 1, 1, "no `sale_number`"),
        ("sale.products.exists(sale, true)", 1, 21, "taken already"),
        ("sale.products.exists(sale_number, sale.number == 1)", 1, 21, "taken already"),
        ("sale.country.matches('(')", 1, 22, "not a regular expression"),
        ("sale.country.matches(sale.campaign)", 1, 21, "not a text"),
        ("sale.country.matches('" + "a" * 201 + "')", 1, 22, "more than 200 characters"),
        ("sale.paid_at > timestamp('yesterday')", 1, 26, "2026-01-31T00:00:00Z"),
        ("sale.paid_at - sale.paid_at < duration('1d')", 1, 40, "a day is 24h"),
        ("google.protobuf.Timestamp{} < sale.paid_at", 1, 1, "cannot be made"),
        ("[1].exists(a, [1].exists(b, [1].exists(c, true)))", 1, 39, "more than 2 deep"),
        ("(" * 100, 1, 1, "nested too deeply"),
        ("true" + " && true" * 300, 1, 2001, "2,000 are the most"),
        ("[" + "1," * 600 + "1] == []", 1, 1, "500 are the most"),
        ("sale.number == 1\x00", 1, 17, "U+0000"),
    ],
)
def test_refused(source: str, line: int, column: int, told: str) -> None:
    with pytest.raises(CriteriaError) as refused:
        condition(source)
    problem = refused.value
    assert told in problem.sentence
    assert (problem.line, problem.column) == (line, column)
    assert problem.code == "invalid_criteria"
    assert problem.remedy


def test_same_source_same_criteria() -> None:
    one, other = condition("sale.number == 1"), condition("sale.number == 1")
    assert one is other
    assert len({one, other, condition("sale.number == 2")}) == 2
    assert compile_criteria("true", variables=EVENT_VARIABLES) != condition("true")


def test_costly_criteria_end_soon() -> None:
    event = {"event": {"list": list(range(2_000)), "text": "a" * 200_000}}
    for source in (
        "event.list.all(a, event.list.all(b, a + b >= 0))",
        'event.text.matches("(a+)+$b")',
        'event.text.matches("((a{1,30}){1,30})+b")',
    ):
        criteria = compile_criteria(source, variables=EVENT_VARIABLES)
        started = time.process_time()
        assert not criteria.evaluate(event).matched
        assert time.process_time() - started < 5  # seconds: minutes or hours where it explodes


def test_too_many_steps_are_told() -> None:
    criteria = compile_criteria("event.list.all(a, event.list.all(b, true))", variables=EVENT_VARIABLES)
    assert "takes too many steps" in criteria.evaluate({"event": {"list": [1] * 1_000}}).because
