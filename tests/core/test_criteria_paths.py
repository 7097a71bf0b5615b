"""Paths of custom events: what they read, which amounts are whole minor units, and what is told of the rest."""

from __future__ import annotations

import pytest

from refref.core.criteria import CriteriaError, compile_path

EVENT: dict[str, object] = {
    "type": "invoice.paid",
    "data": {
        "object": {
            "amount_total": 5_000,
            "text": "1250",
            "decimal": 12.5,
            "written": "12.50",
            "yes": True,
            "none": None,
            "huge": 10**18,
            "metadata": {"order-value": "700", "a.b": "x"},
            "lines": {"data": [{"amount": 300}, {"amount": -200}]},
        }
    },
}


@pytest.mark.parametrize(
    ("path", "value", "amount_minor"),
    [
        ("data.object.amount_total", 5_000, 5_000),
        ("event.data.object.amount_total", 5_000, 5_000),
        ("data.object.text", "1250", 1_250),
        ("data.object.metadata.order-value", "700", 700),
        ('data.object.metadata["a.b"]', "x", None),
        ("data.object.lines.data[0].amount", 300, 300),
        ("data.object.lines.data.1.amount", -200, -200),
        ("data.object.decimal", 12.5, None),
        ("data.object.written", "12.50", None),
        ("data.object.yes", True, None),
        ("data.object.huge", 10**18, None),
        ("type", "invoice.paid", None),
    ],
)
def test_read(path: str, value: object, amount_minor: int | None) -> None:
    found = compile_path(path)(EVENT)
    assert (found.value, found.reason) == (value, "")
    assert found.amount_minor == amount_minor
    assert ("not a whole number of minor units" in found.amount_reason) == (amount_minor is None)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("data.object.nothing", "event.data.object.nothing is missing"),
        ("data.nothing.at.all", "event.data.nothing is missing"),
        ("data.object.lines.data[2].amount", "event.data.object.lines.data[2] is missing"),
        ("data.object.text.deeper", "event.data.object.text.deeper is missing"),
        ("data.object.none", "event.data.object.none is null"),
    ],
)
def test_missing(path: str, reason: str) -> None:
    found = compile_path(path)(EVENT)
    assert (found.value, found.reason) == (None, reason)
    assert (found.amount_minor, found.amount_reason) == (None, reason)


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("", 1),
        ("  ", 1),
        ("a..b", 2),
        (".a", 1),
        ("a.", 2),
        ("a b", 2),
        ("a[b]", 2),
        ("[0]", 1),
        ("event", 1),
        ("a" * 201, 201),
    ],
)
def test_refused(path: str, column: int) -> None:
    with pytest.raises(CriteriaError) as refused:
        compile_path(path)
    assert refused.value.column == column
    assert "data.object.amount_total" in refused.value.remedy or len(path) > 200
