"""Stripe's form bodies: `a[b][0][c]=x` to nested data, and typed access to it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from refref.sandbox.errors import StripeError


def parse(text: str) -> dict[str, Any]:
    """Nested dicts and lists of strings from a query string or form body."""
    found: dict[str, Any] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        head, *rest = key.replace("]", "").split("[")
        node = found
        path = [head, *rest]
        for step in path[:-1]:
            inner = node.setdefault(step, {})
            if not isinstance(inner, dict):
                raise StripeError(f"Invalid parameter {key}", code="parameter_invalid", param=head)
            node = inner
        last = path[-1] or str(len(node))
        node[last] = value
    return {k: _listed(v) for k, v in found.items()}


def _listed(node: Any) -> Any:
    """Dicts whose keys are all numbers become lists."""
    if not isinstance(node, dict):
        return node
    inner = {k: _listed(v) for k, v in node.items()}
    if inner and all(k.isdigit() for k in inner):
        return [inner[k] for k in sorted(inner, key=int)]
    return inner


class Params:
    """The parameters of one request; what is absent or blank is None."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data

    def text(self, name: str) -> str | None:
        """A string."""
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise StripeError(f"Invalid string: {value}", param=name)
        return value

    def required(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            raise StripeError(f"Missing required param: {name}.", code="parameter_missing", param=name)
        return value

    def integer(self, name: str) -> int | None:
        """A whole number."""
        value = self.text(name)
        return None if value is None else as_integer(value, name)

    def flag(self, name: str) -> bool | None:
        """true or false."""
        value = self.text(name)
        if value not in (None, "true", "false"):
            raise StripeError(f"Invalid boolean: {value}", code="parameter_invalid_boolean", param=name)
        return None if value is None else value == "true"

    def mapping(self, name: str) -> dict[str, Any]:
        """A nested object; empty when absent."""
        value = self.data.get(name, {})
        if value == "":
            return {}
        if not isinstance(value, dict):
            raise StripeError(f"Invalid object: {name}", param=name)
        return value

    def nested(self, name: str) -> "Params":
        """A nested object with typed access."""
        return Params(self.mapping(name))

    def rows(self, name: str) -> list[Any]:
        """A list; empty when absent or blank."""
        value = self.data.get(name, [])
        if value == "":
            return []
        if not isinstance(value, list):
            raise StripeError("Invalid array", code="parameter_invalid", param=name)
        return value

    def given(self, *names: str) -> dict[str, str | None]:
        """The strings among these names that were sent; blank means unset."""
        return {name: self.text(name) for name in names if name in self.data}


def as_integer(value: str, name: str) -> int:
    """A whole number, or Stripe's complaint."""
    try:
        return int(value)
    except ValueError:
        raise StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name) from None
