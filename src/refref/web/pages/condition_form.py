"""A condition as inputs: rows of field, operator and value where core's form can say it, else its CEL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from refref.core.criteria import CONDITION_VARIABLES, CriteriaError, compile_criteria
from refref.core.criteria_form import FIELDS, OPERATORS, Form, Operator, Row, Value, cel_of_form, form_of_cel
from refref.web.pages.typed_amounts import amounts_of, amounts_text

MAX_ROWS = 20
_KINDS = {field.name: field.kind for field in FIELDS}
# As Stripe writes them; a condition compares letter by letter.
_WRITTEN: dict[str, Callable[[str], str]] = {
    "sale.currency": str.lower,
    "customer.currency": str.lower,
    "customer.email_domain": str.lower,
    "sale.country": str.upper,
    "customer.country": str.upper,
    "participant.country": str.upper,
}
# Every operator once, in the order of the kinds, with the kinds of field it goes with.
CHOICES: dict[str, tuple[Operator, str]] = {}
for _kind, _operators in OPERATORS.items():
    for _operator in _operators:
        _known = CHOICES.get(_operator.name)
        CHOICES[_operator.name] = (_operator, f"{_known[1]} {_kind}" if _known else _kind)


def values_of(name: str, source: str) -> dict[str, str]:
    """The inputs for a condition; `how` says whether the rows or the CEL count."""
    form = form_of_cel(source)
    found = {f"{name}.how": "rows" if form is not None else "cel", f"{name}.cel": source}
    if form is None:
        return {**found, f"{name}.joined": "all"}
    found[f"{name}.joined"] = form.joined
    for number, row in enumerate(form.rows):
        place = f"{name}.rows.{number}"
        value = _typed(row.value)
        found |= {
            f"{place}.field": row.field,
            f"{place}.key": row.key,
            f"{place}.operator": row.operator,
            f"{place}.value": value.removesuffix(":00Z") if _KINDS.get(row.field) == "instant" else value,
        }
    return found


def read(form: Mapping[str, str], name: str, faults: dict[str, str]) -> str:
    """The CEL of the inputs, "" for none; adds a sentence to `faults`, by input, where it cannot be used."""
    try:
        return cel_of_inputs(form, name)
    except CriteriaError as error:
        if form.get(f"{name}.how") == "cel":
            faults.setdefault(f"{name}.cel", error.sentence)
        else:
            faults.setdefault(f"{name}.{error.field}" if error.field else name, error.sentence)
        return ""


def cel_of_inputs(form: Mapping[str, str], name: str) -> str:
    """The same, raising CriteriaError; `field` names the row's input (`rows.0.value`)."""
    if form.get(f"{name}.how") == "cel":
        source = form.get(f"{name}.cel", "").replace("\r\n", "\n").strip()
        if source:
            compile_criteria(source, variables=CONDITION_VARIABLES)
        return source
    numbers = _row_numbers(form, name)
    rows = tuple(_row(form, f"{name}.rows.{number}") for number in numbers)
    try:
        made = cel_of_form(Form("any" if form.get(f"{name}.joined") == "any" else "all", rows))
        before = form.get(f"{name}.cel", "").replace("\r\n", "\n").strip()
        # Rows that nobody changed leave the text as its author wrote it.
        return before if before and form_of_cel(before) == form_of_cel(made) else made
    except CriteriaError as error:
        place = re.fullmatch(r"rows\.(\d+)(\..+)", error.field or "")
        if place is not None:  # counted without the rows that are empty
            error.field = f"rows.{numbers[int(place[1])]}{place[2]}"
        raise


def _row_numbers(form: Mapping[str, str], name: str) -> list[int]:
    pattern = re.compile(re.escape(name) + r"\.rows\.(\d{1,3})\.field")
    found = [int(match[1]) for key in form if (match := pattern.fullmatch(key)) and form[key]]
    return sorted(found)


def _row(form: Mapping[str, str], place: str) -> Row:
    field, operator = form.get(f"{place}.field", ""), form.get(f"{place}.operator", "")
    text = _WRITTEN.get(field, str)(form.get(f"{place}.value", "").strip())
    key = form.get(f"{place}.key", "").strip() if _KINDS.get(field) == "metadata" else ""
    wanted = next((known.value for known in OPERATORS.get(_KINDS.get(field, "text"), ()) if known.name == operator), "")
    if wanted == "none":
        return Row(field, operator, "", key)
    if wanted == "number" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return Row(field, operator, int(text), key)
    if wanted == "amounts":
        amounts = amounts_of(text)
        return Row(field, operator, text if amounts is None else tuple(amounts.items()), key)
    if wanted == "texts":
        return Row(field, operator, tuple(part.strip() for part in text.split(",") if part.strip()), key)
    if wanted == "instant":
        return Row(field, operator, _instant(text), key)
    return Row(field, operator, text, key)


def _typed(value: Value) -> str:
    """A value as it is typed: amounts in major units, texts with commas."""
    if not isinstance(value, tuple):
        return str(value)
    amounts = {one[0]: one[1] for one in value if isinstance(one, tuple)}
    return amounts_text(amounts) if amounts else ", ".join(one for one in value if isinstance(one, str))


def _instant(text: str) -> str:
    """What a browser's input for a day, or a day and time, gives, as CEL wants it: UTC with seconds."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"{text}T00:00:00Z"
    return f"{text}:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text) else text
