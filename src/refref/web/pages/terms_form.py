"""Terms as the inputs of a form and back: each struct of core.terms by the names of its fields, dotted.

Amounts are in major units (`10.00 USD, 9.00 EUR`), rates in per cent. Decides nothing: core says what may be published.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec import inspect

from refref.core.criteria import EVENT_VARIABLES, CriteriaError, compile_criteria
from refref.core.money import wire_exponent
from refref.core.refusals import Refused
from refref.core.terms import Strict
from refref.web.money_format import decimal_text
from refref.web.pages import condition_form
from refref.web.pages.typed_amounts import (
    AMOUNT_SENTENCE,
    MONEY,
    amounts_of,
    amounts_text,
    decimal_of,
    percent_of,
    percent_text,
)

T = TypeVar("T", bound=Strict)
Values = dict[str, str]

# A part that may be absent is there if the input beside it says so: `tiers.by` empty means no tiers.
MARKS: Mapping[str, str] = {"duration": "unit", "tiers": "by", "benefit": "is_set", "custom": "is_set"}
MAX_ROWS = 100
_COMMA_ONLY = frozenset(("groups",))  # names that may hold blanks
_INSTANT_SENTENCE = "Give a day and time such as 2026-01-31T00:00 (UTC)."


def values_of(given: Strict, prefix: str = "") -> Values:
    """The inputs for a struct; each name is its path below `prefix`, which ends with a dot or is empty."""
    found: Values = {}
    for field in _fields(type(given)):
        found |= _written(f"{prefix}{field.name}", field.type, getattr(given, field.name))
    if prefix.endswith("tiers.") and found[f"{prefix}by"] == "revenue":
        currency = found[f"{prefix}currency"]
        for name in [name for name in found if name.endswith(".at_least")]:
            found[name] = decimal_text(int(found[name]), currency)
    return found


def read_struct(
    form: Mapping[str, str], before: T, faults: dict[str, str], only: Iterable[str] = (), prefix: str = ""
) -> T:
    """The struct that a form describes; fields not in `only` (if given) stay as `before`.

    Adds a sentence to `faults`, by input, for whatever cannot be read; the result is of use only without any.
    """
    wanted = frozenset(only)
    read = {
        field.name: _read(form, f"{prefix}{field.name}", field, faults)
        for field in _fields(type(before))
        if not wanted or field.name in wanted
    }
    return msgspec.convert({**_builtins(before), **read}, type(before))


def instant_of_form(form: Mapping[str, str], name: str = "effective_on") -> datetime | None:
    """The day from which terms hold, at 00:00 UTC; None: from now. Raises Refused("invalid_instant")."""
    text = form.get(name, "")
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Refused("invalid_instant", "Give a day such as 2026-01-31.", name) from error


def row_numbers(form: Mapping[str, str], name: str) -> list[int]:
    """The numbers of the rows `name.0…`, `name.1…` of which some input came."""
    start = f"{name}."
    found = {key[len(start) :].partition(".")[0] for key in form if key.startswith(start)}
    return sorted(int(text) for text in found if text.isascii() and text.isdigit() and len(text) <= 3)[:MAX_ROWS]


@lru_cache(maxsize=32)
def _fields(kind: type[Strict]) -> Sequence[inspect.Field]:
    told = inspect.type_info(kind)
    assert isinstance(told, inspect.StructType)
    return told.fields


def _builtins(given: Strict) -> dict[str, object]:
    found = msgspec.to_builtins(given)
    assert isinstance(found, dict)
    return found


def _written(name: str, kind: inspect.Type, value: object) -> Values:
    last = name.rpartition(".")[2]
    inner = _without_none(kind)
    if last == "condition":
        return condition_form.values_of(name, str(value))
    if isinstance(inner, inspect.StructType) and last in MARKS:
        mark = f"{name}.{MARKS[last]}"
        if value is None:
            return {mark: ""}
        assert isinstance(value, Strict)
        return {mark: "on", **values_of(value, f"{name}.")}
    if isinstance(value, Strict):
        return values_of(value, f"{name}.")
    if isinstance(value, tuple) and isinstance(inner, inspect.VarTupleType):
        if isinstance(inner.item_type, inspect.StructType):
            rows: Values = {}
            for number, item in enumerate(value):
                rows |= values_of(item, f"{name}.{number}.")
            return rows
        return {name: ", ".join(value)}
    return {name: _text(last, inner, value)}


def _text(last: str, kind: inspect.Type, value: object) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "on"
    if isinstance(value, int):
        return percent_text(value) if last.endswith("_bps") else str(value)
    if isinstance(value, datetime):
        text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
        return text.removesuffix(":00")
    if isinstance(value, dict) and isinstance(kind, inspect.DictType):
        if isinstance(kind.value_type, inspect.IntType):
            return amounts_text(value)
        return ", ".join(f"{rate} {code.upper()}" for code, rate in value.items())
    return str(value)


def _without_none(kind: inspect.Type) -> inspect.Type:
    if not isinstance(kind, inspect.UnionType):
        return kind
    (inner,) = (part for part in kind.types if not isinstance(part, inspect.NoneType))
    return inner


def _read(form: Mapping[str, str], name: str, field: inspect.Field, faults: dict[str, str]) -> object:
    last, inner = field.name, _without_none(field.type)
    is_optional = inner is not field.type
    text = form.get(name, "").strip()
    if last == "condition":
        return condition_form.read(form, name, faults)
    if isinstance(inner, inspect.StructType):
        if last in MARKS and is_optional and not form.get(f"{name}.{MARKS[last]}"):
            return None
        return _read_part(form, inner.cls, f"{name}.", faults)
    if isinstance(inner, inspect.VarTupleType):
        if isinstance(inner.item_type, inspect.StructType):
            cls = inner.item_type.cls
            numbers = [number for number in row_numbers(form, name) if not _is_blank(form, cls, f"{name}.{number}.")]
            return [_read_part(form, cls, f"{name}.{number}.", faults) for number in numbers]
        return _listed(last, text)
    if isinstance(inner, inspect.BoolType):
        return bool(text)
    if is_optional and not text:
        return None
    return _read_leaf(form, name, field, inner, text, faults)


def _read_leaf(
    form: Mapping[str, str], name: str, field: inspect.Field, kind: inspect.Type, text: str, faults: dict[str, str]
) -> object:
    if isinstance(kind, inspect.LiteralType):
        return _choice(name, text, [str(value) for value in kind.values], faults)
    if isinstance(kind, inspect.DateTimeType):
        return _instant(name, text, faults)
    if isinstance(kind, inspect.DictType):
        return _read_dict(name, text, isinstance(kind.value_type, inspect.IntType), faults)
    if isinstance(kind, inspect.IntType):
        return _number(form, name, field, text, faults)
    if field.name in ("criteria",):
        _check_criteria(name, text, faults)
    return text.lower() if field.name in ("currency", "base", "display") else text


def _read_part(form: Mapping[str, str], cls: type, prefix: str, faults: dict[str, str]) -> dict[str, object]:
    return {field.name: _read(form, f"{prefix}{field.name}", field, faults) for field in _fields(cls)}


def _is_blank(form: Mapping[str, str], cls: type, prefix: str) -> bool:
    """Whether nothing was typed into a row; what is chosen from a list says nothing by itself."""
    return not any(
        form.get(f"{prefix}{field.name}", "").strip()
        for field in _fields(cls)
        if not isinstance(_without_none(field.type), inspect.LiteralType)
    )


def _listed(last: str, text: str) -> list[str]:
    parts = [part.strip() for part in re.split(r"[,;\n]" if last in _COMMA_ONLY else r"[,;\s]+", text)]
    found = list(dict.fromkeys(part for part in parts if part))
    if last == "countries":
        return [part.upper() for part in found]
    if last in ("currencies", "excluded_email_domains"):
        return [part.lower().removeprefix("@") for part in found]
    return found


def _choice(name: str, text: str, choices: Sequence[str], faults: dict[str, str]) -> str:
    if text not in choices:
        faults.setdefault(name, "Choose one of the list.")
        return choices[0]
    return text


def _instant(name: str, text: str, faults: dict[str, str]) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        faults.setdefault(name, _INSTANT_SENTENCE)
        return datetime(2000, 1, 1, tzinfo=UTC)


def _number(form: Mapping[str, str], name: str, field: inspect.Field, text: str, faults: dict[str, str]) -> int:
    if not text and field.default == 0:
        return 0
    if field.name.endswith("_bps"):
        rate = percent_of(text)
        if rate is None or rate > 1_000_000:
            faults.setdefault(name, "Give a number in per cent such as 12.5, with at most two decimals.")
        return rate or 0
    tiers = name.rpartition("steps.")[0]
    if field.name == "at_least" and form.get(f"{tiers}by") == "revenue":
        currency = form.get(f"{tiers}currency", "").lower()
        amount = decimal_of(text, wire_exponent(currency))
        if amount is None:
            faults.setdefault(name, f"Give an amount such as {decimal_text(100_000, currency or 'usd')}.")
        return amount or 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        faults.setdefault(name, "Give a whole number.")
        return 0
    return int(text)


def _read_dict(name: str, text: str, is_amounts: bool, faults: dict[str, str]) -> dict[str, int] | dict[str, str]:
    if is_amounts:
        amounts = amounts_of(text)
        if amounts is None:
            faults.setdefault(name, AMOUNT_SENTENCE)
        return amounts or {}
    table: dict[str, str] = {}
    for part in re.split(r"[,;\n]", text):
        match = MONEY.fullmatch(part.strip()) if part.strip() else None
        if match is not None:
            table[(match[1] or match[4]).lower()] = match[2] or match[3]
        elif part.strip():
            faults.setdefault(name, "Give the price of each currency in the base currency, such as 1.27 GBP, 1.08 EUR.")
    return table


def _check_criteria(name: str, text: str, faults: dict[str, str]) -> None:
    try:
        if text:
            compile_criteria(text, variables=EVENT_VARIABLES)
    except CriteriaError as error:
        faults.setdefault(name, error.sentence)
