"""Refuses a request that has not the form Stripe asks for: unknown names, absent ones, wrong types, values, lengths.

The forms (`requests.json.zst`) are from Stripe's OpenAPI specification; `tools/build_request_schemas.py` writes them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import msgspec
import zstandard

from refref.sandbox.errors import StripeError

Schema = dict[str, Any]
# Before clover there were names that the specification no longer has: of such calls only the outermost are checked.
DEEP_SINCE = "2025-09-30"
# What is taken in more forms than the specification (of 2026-05-27) says: call and outermost name. The anchor is of
# endive; bank accounts may be given as they are.
MORE_FORMS = {
    ("POST /v1/subscriptions/{id}", "billing_cycle_anchor"),
    ("POST /v1/subscriptions/{id}/resume", "billing_cycle_anchor"),
    ("POST /v1/accounts", "external_account"),
    ("POST /v1/accounts/{id}", "external_account"),
    ("POST /v1/accounts/{id}/external_accounts", "external_account"),
}
INTEGER = re.compile(r"-?\d+")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


@cache
def forms() -> dict[str, Schema]:
    """The form of each call (`POST /v1/refunds`)."""
    packed = resources.files("refref.sandbox").joinpath("requests.json.zst").read_bytes()
    found: dict[str, Schema] = msgspec.json.decode(zstandard.decompress(packed))
    return found


def check_form(call: str, data: Mapping[str, Any], version: str) -> None:
    """Raise what Stripe answers to the first thing that is wrong with the parameters of a call."""
    form = forms().get(call)
    if form is None:
        return
    known: Schema = form["properties"]
    for name in data:
        if name not in known:
            raise _unknown(name)
    if version[:10] < DEEP_SINCE:
        return
    for name in form.get("required", ()):
        if name not in data:
            raise _absent(name)
    for name, value in data.items():
        if (call, name) not in MORE_FORMS:
            _check(value, known[name], name)


def _unknown(name: str) -> StripeError:
    return StripeError(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def _absent(name: str) -> StripeError:
    return StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)


def _check(value: Any, schema: Schema, name: str) -> None:
    if "anyOf" in schema:
        _check_any(value, list(_alternatives(schema)), name)
    elif schema.get("type") == "object":
        _check_object(value, schema, name)
    elif schema.get("type") == "array":
        if not isinstance(value, list):
            raise StripeError("Invalid array", code="parameter_invalid", param=name)
        for place, each in enumerate(value):
            _check(each, schema.get("items", {}), f"{name}[{place}]")
    else:
        _check_text(value, schema, name)


def _alternatives(schema: Schema) -> Iterator[Schema]:
    for each in schema["anyOf"]:
        yield from _alternatives(each) if "anyOf" in each else [each]


def _check_any(value: Any, alternatives: list[Schema], name: str) -> None:
    """One alternative must fit; the complaint is that of the one that is meant."""
    complaint: StripeError | None = None
    for each in alternatives:
        try:
            _check(value, each, name)
        except StripeError as error:
            if complaint is None or _is_meant(value, each):
                complaint = error
        else:
            return
    if complaint is not None:
        raise complaint


def _is_meant(value: Any, schema: Schema) -> bool:
    kind = schema.get("type")
    if isinstance(value, dict | list):
        return bool(kind == ("object" if isinstance(value, dict) else "array"))
    return kind not in ("object", "array") and schema.get("enum") != [""]


def _check_object(value: Any, schema: Schema, name: str) -> None:
    if isinstance(value, list) and "properties" not in schema:
        value = {str(place): each for place, each in enumerate(value)}  # a free object whose keys are numbers
    if not isinstance(value, dict):
        raise StripeError("Invalid object", param=name)
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key in schema.get("required", ()):
        if key not in value:
            raise _absent(f"{name}[{key}]")
    for key, each in value.items():
        if key in known:
            _check(each, known[key], f"{name}[{key}]")
        elif isinstance(others, dict):
            _check(each, others, f"{name}[{key}]")
        elif known or others is False:
            raise _unknown(f"{name}[{key}]")
    if name == "metadata" or name.endswith("[metadata]"):
        _check_metadata(value, name)


def _check_metadata(value: dict[str, Any], name: str) -> None:
    if len(value) > 50:
        raise StripeError("Metadata can have at most 50 keys.", param=name)
    for key, each in value.items():
        if len(key) > 40:
            said = f"Metadata keys can have up to 40 characters, but you passed in a key that is {len(key)} characters."
            raise StripeError(f"{said} Invalid key: {key}", param=name)
        if len(each) > 500:
            said = f"Metadata values can have up to 500 characters, but you passed in a value that is {len(each)}"
            raise StripeError(f"{said} characters. Invalid value: {each[:40]}…", param=f"{name}[{key}]")


def _check_text(value: Any, schema: Schema, name: str) -> None:
    kind = schema.get("type")
    if not isinstance(value, str):
        raise StripeError(f"Invalid {kind or 'string'}: {value}", param=name)
    if value == "" and kind in ("integer", "number", "boolean"):
        raise StripeError(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty "
            "value.",
            code="parameter_invalid_empty",
            param=name,
        )
    if kind == "integer" and not INTEGER.fullmatch(value):
        raise StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    if kind == "number" and not NUMBER.fullmatch(value):
        raise StripeError(f"Invalid decimal: {value}", param=name)
    if kind == "boolean" and value not in ("true", "false"):
        raise StripeError(f"Invalid boolean: {value}", code="parameter_invalid_boolean", param=name)
    if "enum" in schema and value not in schema["enum"]:
        known = [each for each in schema["enum"] if each]
        listed = ", ".join(known[:-1]) + f", or {known[-1]}" if len(known) > 1 else "".join(known)
        raise StripeError(f"Invalid {name}: must be {'one of ' if len(known) > 1 else ''}{listed}", param=name)
    longest = schema.get("maxLength")
    if longest is not None and len(value) > longest:
        raise StripeError(
            f"Invalid string: {value[:20]}…{value[-10:]}; must be at most {longest} characters",
            code="parameter_invalid_string_length",
            param=name,
        )
