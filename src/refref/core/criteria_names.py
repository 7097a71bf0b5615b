"""What criteria may name: the variables of rule conditions and of custom events, and the paths a source uses.

Gathers from plain values what the engine is given: fields of records under flat names, of an event the parts used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from refref.core.criteria_engine import Kind
from refref.core.criteria_syntax import Call, ListOf, Literal, Macro, MapOf, Name, Node, Select, parts

Variables = Mapping[str, "Kind | Mapping[str, Kind]"]
Steps = tuple["str | int", ...]

CONDITION_VARIABLES: Variables = {
    "customer": {
        "email_domain": "string",
        "country": "string",
        "currency": "string",
        "created_at": "timestamp",
        "metadata": "map",
        "is_new": "bool",
    },
    "participant": {
        "id": "string",
        "kind": "string",
        "country": "string",
        "groups": "strings",
        "metadata": "map",
        "joined_at": "timestamp",
        "code": "string",
    },
    "sale": {
        "amount_minor": "int",
        "currency": "string",
        "products": "strings",
        "prices": "strings",
        "quantity": "int",
        "country": "string",
        "campaign": "string",
        "coupons": "strings",
        "billing_interval": "string",
        "is_first": "bool",
        "number": "int",
        "months_subscribed": "int",
        "subscription_plan": "string",
        "metadata": "map",
        "paid_at": "timestamp",
    },
}
EVENT_VARIABLES: Variables = {"event": "any"}

MISSING = object()
# Exactly these, since the engine would take true for 1.
_TYPES: Mapping[Kind, type] = {
    "int": int,
    "string": str,
    "bool": bool,
    "timestamp": datetime,
    "strings": list,
    "map": dict,
    "flags": dict,
    "any": object,
}


@dataclass(frozen=True, slots=True)
class Path:
    """A path as it stands in the source, from a variable down: `event.data.object.lines.data[0].amount`."""

    steps: Steps
    node: Node
    only_asked: bool = False  # by has(): it may be missing

    def text(self, length: int | None = None) -> str:
        """The path, or its first `length` steps, as CEL."""
        head, *rest = self.steps[:length]
        return str(head) + "".join(f".{step}" if isinstance(step, str) else f"[{step}]" for step in rest)


def steps_of(node: Node, variables: Variables) -> Steps | None:
    """The steps of a path that starts at a variable and is known without running; None for anything else."""
    if isinstance(node, Name):
        return (node.name,) if node.name in variables else None
    if isinstance(node, Select):
        upper = steps_of(node.operand, variables)
        return None if upper is None else (*upper, node.name)
    if isinstance(node, Call) and node.function == "_[_]":
        upper, index = steps_of(node.args[0], variables), node.args[1]
        if upper is not None and isinstance(index, Literal) and isinstance(index.value, (str, int)):
            return (*upper, index.value)
    return None


def paths_in(node: Node, variables: Variables) -> Iterator[Path]:
    """The longest paths in a tree, from left to right, repeated where the source repeats them."""
    asked = isinstance(node, Macro) and node.name == "has"
    for part in parts(node) if asked else (node,):
        steps = steps_of(part, variables)
        if steps is not None:
            yield Path(steps, part, asked)
            continue
        for inner in parts(part):
            yield from paths_in(inner, variables)


def look_up(values: Mapping[str, object], steps: Steps, *, in_record: bool) -> tuple[object, int]:
    """What stands at the end of the steps and how many of them were found; MISSING when not all were.

    A record's field that is None counts as missing; elsewhere None is JSON's null.
    """
    found: object = values
    for count, step in enumerate(steps):
        if not (type(found) is dict and step in found):  # else the slower question
            here = isinstance(found, list) and isinstance(step, int) and 0 <= step < len(found)
            if not here and not (isinstance(found, Mapping) and step in found):
                return MISSING, count
        found = found[step]  # type: ignore[index]  # a list or a map that has it, as just seen
        if found is None and in_record and count < 2:
            return MISSING, count
    return found, len(steps)


def is_record(variables: Variables, name: str) -> bool:
    """Whether the variable is one of several declared fields."""
    kind = variables.get(name)
    return type(kind) is dict or isinstance(kind, Mapping)


def flat_kinds(variables: Variables) -> dict[str, Kind]:
    """What the engine declares: `sale_amount_minor` for each field, and `sale` for has(sale.amount_minor)."""
    kinds: dict[str, Kind] = {}
    for name, kind in variables.items():
        if isinstance(kind, str):
            kinds[name] = kind
            continue
        kinds[name] = "flags"
        kinds.update({f"{name}_{field}": inner for field, inner in kind.items()})
    return kinds


def with_flat_names(node: Node, variables: Variables) -> Node:
    """The tree with the fields of records under their flat names, save where has() asks for the field itself."""

    def flat(part: Node) -> Node:
        return with_flat_names(part, variables)

    match node:
        case Select(operand=Name(name=name), name=field) if is_record(variables, name):
            return Name(f"{name}_{field}", node.position)
        case Macro(name="has", args=(Select(operand=Name(name=name)),)) if is_record(variables, name):
            return node
        case Macro(name="has", args=(Select(operand=operand) as asked,)):
            return replace(node, args=(replace(asked, operand=flat(operand)),))
        case Select(operand=operand):
            return replace(node, operand=flat(operand))
        case Call(target=target, args=args) | Macro(target=target, args=args):
            return replace(node, target=None if target is None else flat(target), args=tuple(map(flat, args)))
        case ListOf(elements=elements):
            return replace(node, elements=tuple(map(flat, elements)))
        case MapOf(entries=entries):
            return replace(node, entries=tuple((flat(key), flat(value)) for key, value in entries))
        case _:
            return node


class Gatherer:
    """Takes out of plain values what one source needs, under the engine's names."""

    def __init__(self, paths: list[Path], variables: Variables) -> None:
        self._fields: dict[str, dict[str, tuple[str, type]]] = {}
        self._asked: dict[str, list[str]] = {}
        self._parts: list[Steps] = []
        for path in paths:
            root, *rest = path.steps
            assert isinstance(root, str)
            if is_record(variables, root):
                assert isinstance(rest[0], str)
                if path.only_asked and len(rest) == 1:
                    self._asked.setdefault(root, []).append(rest[0])
                else:
                    kinds = variables[root]
                    assert isinstance(kinds, Mapping)
                    self._fields.setdefault(root, {})[rest[0]] = (f"{root}_{rest[0]}", _TYPES[kinds[rest[0]]])
            else:
                self._parts.append(_keys_only(path.steps))
        self._parts = sorted(set(self._parts), key=len)

    def gather(self, values: Mapping[str, object]) -> dict[str, object]:
        """The variables for the engine; what is missing, or of another kind than declared, is left out."""
        data: dict[str, object] = {}
        for root, fields in self._fields.items():
            record = values.get(root)
            if isinstance(record, Mapping):
                for field, (flat, kind) in fields.items():
                    value = record.get(field)
                    if isinstance(value, datetime) and value.tzinfo is None:
                        continue  # the engine would take it for the machine's time
                    if type(value) is kind or (kind is object and value is not None):
                        data[flat] = value
        for root, asked in self._asked.items():
            record = values.get(root)
            if isinstance(record, Mapping):
                data[root] = {field: True for field in asked if record.get(field) is not None}
        for steps in self._parts:
            _copy_part(values, data, steps)
        return data


def _keys_only(steps: Steps) -> Steps:
    """The steps up to the first index: lists are taken whole."""
    for count, step in enumerate(steps):
        if not isinstance(step, str):
            return steps[:count]
    return steps


def _copy_part(source: Mapping[str, object], target: dict[str, object], steps: Steps) -> None:
    """Copy what the steps lead to, with the maps on the way there but without their other keys."""
    for count, step in enumerate(steps):
        assert isinstance(step, str)
        if step not in source:
            return
        below = source[step]
        if count == len(steps) - 1 or not isinstance(below, Mapping):
            target[step] = below
            return
        if target.get(step) is below:
            return  # a shorter path took it whole
        source, made = below, target.setdefault(step, {})
        assert isinstance(made, dict)
        target = made
