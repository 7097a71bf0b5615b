"""The finishing of the OpenAPI document: the bearer key, the one error body, and the terms with their rules."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi.routing import APIRoute

from refref.core.terms import Terms
from refref.web.problems import MEDIA_TYPE, Problem

_REFERENCE = "#/components/schemas/{name}"
_METHODS = ("get", "post", "put", "patch", "delete")


def operation_id(route: APIRoute) -> str:
    """The name of an operation: that of its function, such as `create_participant`."""
    return route.name


def finish_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete what FastAPI derives from the routes."""
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    (_, _), ours = msgspec.json.schema_components([Terms, Problem], ref_template=_REFERENCE)
    schemas.update(ours)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"api_key": {"type": "http", "scheme": "bearer", "description": "rrk_…"}}
    schema["security"] = [{"api_key": []}]
    problem = {
        "description": "An error; `code` is stable (docs/errors.md).",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(name="Problem")}}},
    }
    for path in schema["paths"].values():
        for method in _METHODS:
            if method in path:
                responses = path[method]["responses"]
                responses.pop("422", None)
                responses["default"] = problem
    _put_references(schemas)
    return schema


def _put_references(node: Any) -> None:
    """Replace what a model marked with `x-schema` by a reference to one of our own schemas."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        if isinstance(child, dict) and "x-schema" in child:
            name = child["x-schema"]
            child.clear()
            child["$ref"] = _REFERENCE.format(name=name)
        _put_references(child)
