"""The shape of parsed JSON or YAML: whether it fits a struct, and if not, at which field and with which remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from refref.core.faults import Fault

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(.+)`, got `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_WANTED = {
    "int": "a whole number, without quotes",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "fields with values",
    "datetime": "an instant with its time zone, such as 2026-01-31T00:00:00Z",
}
_GOT = {
    "int": "a whole number",
    "float": "a number with decimals",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "fields with values",
    "null": "nothing",
}

Node = Mapping[str, object]


def shape_fault(given: object, wanted: type[msgspec.Struct], where: str) -> Fault | None:
    """Why parsed data does not fit `wanted`, with the field below `where`; None when it fits."""
    try:
        msgspec.convert(given, wanted)
    except msgspec.ValidationError as error:
        return _fault_of(str(error), wanted, where)
    return None


def _fault_of(message: str, wanted: type[msgspec.Struct], where: str) -> Fault:
    """msgspec's message with its path as a field of ours, and the remedy."""
    found = _PLACE.match(message)
    assert found is not None
    steps = re.findall(r"\.([^.\[\]`]+)|\[(\d+)\]", found["path"] or "$")
    field = ".".join([where, *(name or number for name, number in steps)])
    node = _node_at(wanted, tuple(name for name, _ in steps if name))
    if unknown := _UNKNOWN.match(found["what"]):
        known = sorted(_properties(node))
        close = difflib.get_close_matches(unknown[1], known, n=1)
        remedy = f"do you mean {close[0]}?" if close else f"there are: {', '.join(known)}."
        return Fault(f"{field}.{unknown[1]}", f"There is no such field; {remedy}")
    if missing := _MISSING.match(found["what"]):
        return Fault(f"{field}.{missing[1]}", "This field must be given.")
    if "enum value" in found["what"]:
        return Fault(field, f"Give one of: {', '.join(_choices(node))}.")
    if "datetime" in found["what"]:
        return Fault(field, f"Give {_WANTED['datetime']}.")
    if expected := _EXPECTED.match(found["what"]):
        kinds = [_WANTED.get(kind, kind) for kind in expected[1].split(" | ") if kind != "null"]
        return Fault(field, f"Give {' or '.join(kinds)}, not {_GOT.get(expected[2], expected[2])}.")
    return Fault(field, f"{found['what'].replace('`', '')}.")


@lru_cache(maxsize=64)
def _node_at(wanted: type[msgspec.Struct], names: tuple[str, ...]) -> Node:
    """The part of the JSON Schema of `wanted` that a path of names leads to, looking through lists."""
    schema = msgspec.json.schema(wanted)
    definitions = schema["$defs"]

    def resolved(node: object) -> Node:
        """The one struct or list of choices that a node allows, through lists, null and references."""
        if not isinstance(node, Mapping):
            return {}
        if "$ref" in node:
            return resolved(definitions[node["$ref"].rpartition("/")[2]])
        if "properties" in node or "enum" in node:
            return node
        parts = (node.get("items"), *node.get("anyOf", ()))
        return next((found for part in parts if (found := resolved(part))), {})

    here = resolved(schema)
    for name in names:
        here = resolved(_properties(here).get(name))
    return here


def _properties(node: Node) -> Mapping[str, object]:
    found = node.get("properties")
    return found if isinstance(found, Mapping) else {}


def _choices(node: Node) -> list[str]:
    found = node.get("enum")
    return [str(choice) for choice in found] if isinstance(found, list) else []
