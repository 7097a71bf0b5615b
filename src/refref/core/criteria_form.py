"""The form builder's view of conditions: rows of field, operator and value, to CEL and back.

FIELDS and OPERATORS are what pages show; a condition that is richer than the form stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal as OneOf

from refref.core.criteria import compile_criteria, read_criteria
from refref.core.criteria_amounts import Amounts, Compared, amounts_among, are_amounts, node_of_amounts
from refref.core.criteria_check import CriteriaError
from refref.core.criteria_names import CONDITION_VARIABLES, EVENT_VARIABLES, steps_of
from refref.core.criteria_syntax import (
    Call,
    ListOf,
    Literal,
    Macro,
    Name,
    Node,
    Select,
    chain,
    is_plain_name,
    walk,
    write,
)

__all__ = [
    "CONDITION_VARIABLES",
    "EVENT_VARIABLES",
    "FIELDS",
    "OPERATORS",
    "Field",
    "Form",
    "Operator",
    "Row",
    "cel_of_form",
    "form_of_cel",
]

FieldKind = OneOf["amounts", "number", "text", "flag", "list", "instant", "metadata"]
ValueKind = OneOf["none", "amounts", "number", "text", "texts", "instant"]
Value = int | str | tuple[str, ...] | Amounts
MAX_ROWS = 20
MAX_TEXT = 200
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that a row may name; `metadata` rows name a key besides."""

    name: str
    label: str
    kind: FieldKind


@dataclass(frozen=True, slots=True)
class Operator:
    """What a row may ask of a field; `value` tells which input the page shows."""

    name: str
    label: str
    value: ValueKind


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the form.

    `value`: a whole number, a text, an instant as `2026-01-31T00:00:00Z`, texts, or minor units by currency; "" where
    the operator takes none.
    """

    field: str
    operator: str
    value: Value = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Rows of which all, or any, must hold; no rows: always."""

    joined: OneOf["all", "any"] = "all"
    rows: tuple[Row, ...] = ()


AMOUNT = "sale.amount"  # of the form alone: in CEL it is sale.currency with sale.amount_minor
FIELDS: tuple[Field, ...] = (
    Field(AMOUNT, "Net amount of the sale", "amounts"),
    Field("sale.currency", "Currency of the sale", "text"),
    Field("sale.products", "Products sold", "list"),
    Field("sale.prices", "Prices sold", "list"),
    Field("sale.quantity", "Quantity sold", "number"),
    Field("sale.country", "Country of the sale", "text"),
    Field("sale.campaign", "Campaign of the sale", "text"),
    Field("sale.coupons", "Coupons and promotion codes used", "list"),
    Field("sale.billing_interval", "Billing interval (day, week, month or year)", "text"),
    Field("sale.is_first", "The customer's first payment", "flag"),
    Field("sale.number", "Number of the payment, the first being 1", "number"),
    Field("sale.months_subscribed", "Whole months since the first payment", "number"),
    Field("sale.subscription_plan", "Plan of the subscription", "text"),
    Field("sale.metadata", "Metadata of the sale", "metadata"),
    Field("sale.paid_at", "Paid at", "instant"),
    Field("sale.amount_minor", "Net amount of the sale in minor units, whatever the currency", "number"),
    Field("customer.email_domain", "Domain of the customer's e-mail address", "text"),
    Field("customer.country", "Country of the customer", "text"),
    Field("customer.currency", "Currency of the customer", "text"),
    Field("customer.created_at", "Customer since", "instant"),
    Field("customer.metadata", "Metadata of the customer", "metadata"),
    Field("customer.is_new", "New customer", "flag"),
    Field("participant.id", "Participant", "text"),
    Field("participant.kind", "Kind of participant (referrer or affiliate)", "text"),
    Field("participant.country", "Country of the participant", "text"),
    Field("participant.groups", "Groups of the participant", "list"),
    Field("participant.metadata", "Metadata of the participant", "metadata"),
    Field("participant.joined_at", "Participant since", "instant"),
    Field("participant.code", "Code that was used", "text"),
)

_TEXT_OPERATORS = (
    Operator("is", "is", "text"),
    Operator("is_not", "is not", "text"),
    Operator("one_of", "is one of", "texts"),
    Operator("none_of", "is none of", "texts"),
    Operator("starts_with", "starts with", "text"),
    Operator("ends_with", "ends with", "text"),
    Operator("contains", "contains", "text"),
    Operator("present", "is known", "none"),
    Operator("missing", "is not known", "none"),
)
OPERATORS: dict[FieldKind, tuple[Operator, ...]] = {
    "amounts": (
        Operator("at_least", "is at least", "amounts"),
        Operator("more_than", "is more than", "amounts"),
        Operator("at_most", "is at most", "amounts"),
        Operator("less_than", "is less than", "amounts"),
        Operator("is", "is", "amounts"),
    ),
    "number": (
        Operator("is", "is", "number"),
        Operator("is_not", "is not", "number"),
        Operator("at_least", "is at least", "number"),
        Operator("more_than", "is more than", "number"),
        Operator("at_most", "is at most", "number"),
        Operator("less_than", "is less than", "number"),
    ),
    "text": _TEXT_OPERATORS,
    "metadata": _TEXT_OPERATORS,
    "flag": (Operator("is_true", "yes", "none"), Operator("is_false", "no", "none")),
    "list": (
        Operator("includes", "include", "text"),
        Operator("excludes", "do not include", "text"),
        Operator("includes_any", "include one of", "texts"),
    ),
    "instant": (Operator("from", "is at or after", "instant"), Operator("before", "is before", "instant")),
}
_FIELDS = {field.name: field for field in FIELDS}
_COMPARISONS = {
    "is": "_==_", "is_not": "_!=_", "at_least": "_>=_", "more_than": "_>_", "at_most": "_<=_", "less_than": "_<_",
    "from": "_>=_", "before": "_<_",
}  # fmt: skip
_TEXT_CALLS = {"starts_with": "startsWith", "ends_with": "endsWith", "contains": "contains"}


def cel_of_form(form: Form) -> str:
    """The CEL of a form, "" without rows. Raises CriteriaError; `field` names the row's input (`rows.0.value`)."""
    if len(form.rows) > MAX_ROWS:
        raise CriteriaError(f"There are more than {MAX_ROWS} rows.", "Make two rules of it.", line=0, field="rows")
    if not form.rows:
        return ""
    nodes = []
    for place, row in enumerate(form.rows):
        _check_row(row, f"rows.{place}")
        nodes.append(_node_of(row))
    whole = nodes[0]
    for node in nodes[1:]:
        whole = Call("_&&_" if form.joined == "all" else "_||_", None, (whole, node))
    source = write(whole)
    compile_criteria(source, variables=CONDITION_VARIABLES)
    return source


def form_of_cel(source: str) -> Form | None:
    """The form that says what a source says; None where the source is richer than the form, or is wrong."""
    if not source.strip():
        return Form()
    try:
        tree = read_criteria(source, variables=CONDITION_VARIABLES)
    except CriteriaError:
        return None
    operator = "_||_" if isinstance(tree, Call) and tree.function == "_||_" else "_&&_"
    items = chain(tree, operator)
    rows: list[Row] = []
    while items:
        compared, width = amounts_among(items, operator)
        row = _row_of(items[0]) if compared is None else _row_of_amounts(compared)
        if row is None or len(rows) == MAX_ROWS:
            return None
        rows.append(row)
        items = items[width or 1 :]
    return Form("any" if operator == "_||_" and len(rows) > 1 else "all", tuple(rows))


def _check_row(row: Row, place: str) -> None:
    field = _FIELDS.get(row.field)
    if field is None:
        raise _wrong(f"There is no field `{row.field}`.", "Choose one of the list.", f"{place}.field")
    operator = next((known for known in OPERATORS[field.kind] if known.name == row.operator), None)
    if operator is None:
        names = ", ".join(known.name for known in OPERATORS[field.kind])
        raise _wrong(f"`{row.operator}` does not go with {row.field}.", f"Choose one of: {names}.", f"{place}.operator")
    if field.kind == "metadata" and not _is_text(row.key):
        raise _wrong("The metadata has no key.", "Give the key's name.", f"{place}.key")
    if field.kind != "metadata" and row.key:
        raise _wrong(f"{row.field} has no keys.", "Leave the key empty.", f"{place}.key")
    remedies = {
        "none": "Leave the value empty.",
        "amounts": "Give amounts such as 50.00 USD, 45.00 EUR, each currency once.",
        "number": "Give a whole number.",
        "text": f"Give a text of 1 to {MAX_TEXT} characters.",
        "texts": f"Give one or more texts of 1 to {MAX_TEXT} characters.",
        "instant": "Give an instant in UTC such as 2026-01-31T00:00:00Z.",
    }
    if not _fits(row.value, operator.value):
        raise _wrong(f"The value of {row.field} does not fit.", remedies[operator.value], f"{place}.value")


def _fits(value: Value, kind: ValueKind) -> bool:
    match kind:
        case "none":
            return value == ""
        case "amounts":
            return are_amounts(value)
        case "number":
            return type(value) is int and abs(value) < 2**63
        case "text":
            return isinstance(value, str) and _is_text(value)
        case "texts":
            return (
                isinstance(value, tuple)
                and len(value) > 0
                and all(isinstance(one, str) and _is_text(one) for one in value)
            )
        case "instant":
            return isinstance(value, str) and _is_instant(value)


def _is_text(text: str) -> bool:
    return 0 < len(text) <= MAX_TEXT and not any("\ud800" <= character <= "\udfff" for character in text)


def _is_instant(text: str) -> bool:
    if not _INSTANT.match(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _wrong(message: str, remedy: str, field: str) -> CriteriaError:
    return CriteriaError(message, remedy, line=0, field=field)


def _node_of(row: Row) -> Node:
    """The row as a tree. It is well formed: `_check_row` saw it, or its parts come from a tree."""
    kind, operator = _FIELDS[row.field].kind, row.operator
    amounts = _amounts_of(row.value)
    if amounts:
        return node_of_amounts(Compared(_COMPARISONS[operator], amounts))
    root, _, name = row.field.partition(".")
    whole: Node = Select(Name(root), name)
    value: Node = Literal(
        row.value if isinstance(row.value, (int, str)) else "", "int" if isinstance(row.value, int) else "string"
    )
    if isinstance(row.value, tuple):
        value = ListOf(tuple(Literal(text, "string") for text in row.value if isinstance(text, str)))
    if kind == "metadata" and operator in ("present", "missing"):
        return _unless(operator == "missing", Call("@in", None, (Literal(row.key, "string"), whole)))
    subject = whole
    if kind == "metadata":
        subject = _at_key(whole, row.key)
    if operator in ("present", "missing"):
        return _unless(operator == "missing", Macro("has", None, "", (subject,)))
    if operator in ("is_true", "is_false"):
        return _unless(operator == "is_false", subject)
    if operator in ("one_of", "none_of"):
        return _unless(operator == "none_of", Call("@in", None, (subject, value)))
    if operator in ("includes", "excludes"):
        return _unless(operator == "excludes", Call("@in", None, (value, subject)))
    if operator == "includes_any":
        return Macro("exists", subject, "item", (Call("@in", None, (Name("item"), value)),))
    if operator in _TEXT_CALLS:
        return Call(_TEXT_CALLS[operator], subject, (value,))
    if kind == "instant":
        value = Call("timestamp", None, (value,))
    return Call(_COMPARISONS[operator], None, (subject, value))


def _amounts_of(value: Value) -> Amounts:
    """The amounts of a value; none where it is another kind of value."""
    if not isinstance(value, tuple):
        return ()
    return tuple((one[0], one[1]) for one in value if isinstance(one, tuple))


def _row_of_amounts(found: Compared) -> Row:
    operator = next(known.name for known in OPERATORS["amounts"] if _COMPARISONS[known.name] == found.comparison)
    return Row(AMOUNT, operator, found.amounts)


def _unless(negated: bool, node: Node) -> Node:
    return Call("!_", None, (node,)) if negated else node


def _at_key(node: Node, key: str) -> Node:
    return Select(node, key) if is_plain_name(key) else Call("_[_]", None, (node, Literal(key, "string")))


def _row_of(node: Node) -> Row | None:
    """The row whose tree this is: every operator of its field is tried with the constants that stand in it."""
    for field, key in _fields_in(node):
        for operator in OPERATORS[field.kind]:
            for value in _values_in(node, operator.value):
                row = Row(field.name, operator.name, value, key)
                if _fits(value, operator.value) and _node_of(row) == node:
                    return row
    return None


def _fields_in(node: Node) -> Iterator[tuple[Field, str]]:
    for part in walk(node):
        steps = steps_of(part, CONDITION_VARIABLES)
        field = _FIELDS.get(".".join(map(str, steps[:2]))) if steps is not None else None
        if field is None or steps is None:
            continue
        if field.kind != "metadata":
            yield field, ""
        elif len(steps) == 3:
            yield field, str(steps[2])
        else:
            yield from ((field, text) for text in _texts_in(node)[:1])


def _texts_in(node: Node) -> tuple[str, ...]:
    return tuple(part.value for part in walk(node) if isinstance(part, Literal) and isinstance(part.value, str))


def _values_in(node: Node, kind: ValueKind) -> tuple[Value, ...]:
    match kind:
        case "none":
            return ("",)
        case "amounts":
            return ()
        case "number":
            return tuple(part.value for part in walk(node) if isinstance(part, Literal) and type(part.value) is int)
        case "text" | "instant":
            return _texts_in(node)
        case "texts":
            return tuple(_texts_in(part) for part in walk(node) if isinstance(part, ListOf))
