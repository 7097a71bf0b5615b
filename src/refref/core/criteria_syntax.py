"""The syntax tree of a CEL expression: read from the parser's checked expression, walked, and written back as text.

Knows nothing of variables, values or errors of people: `criteria` compiles, `criteria_explain` explains.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

Message = dict[int, list["int | bytes"]]
LiteralKind = str  # one of LITERAL_KINDS' values


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; `kind` tells 1 from 1u and from 1.0, which Python does not."""

    value: object
    kind: LiteralKind
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, or the element that a macro binds."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.name`; `position` is the dot's."""

    operand: Node
    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function, a method (with `target`) or an operator (named `_==_` and so on)."""

    function: str
    target: Node | None
    args: tuple[Node, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of elements."""

    elements: tuple[Node, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map of keys and values; with `message`, the making of a protocol message."""

    entries: tuple[tuple[Node, Node], ...]
    message: str = ""
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Macro:
    """`has(args[0])`, or `target.exists(bound, args...)` and the other loops over a list or a map's keys."""

    name: str
    target: Node | None
    bound: str
    args: tuple[Node, ...]
    position: int = field(default=0, compare=False)


Node = Literal | Name | Select | Call | ListOf | MapOf | Macro

# Fields of cel.expr.Constant.
_LITERAL_KINDS = {1: "null", 2: "bool", 3: "int", 4: "uint", 5: "double", 6: "string", 7: "bytes"}
_OPERATORS: dict[str, tuple[str, int]] = {  # sign and how tightly it binds
    "_?_:_": ("?", 1), "_||_": ("||", 2), "_&&_": ("&&", 3),
    "_==_": ("==", 4), "_!=_": ("!=", 4), "_<_": ("<", 4), "_<=_": ("<=", 4), "_>_": (">", 4), "_>=_": (">=", 4),
    "@in": ("in", 4), "_+_": ("+", 5), "_-_": ("-", 5), "_*_": ("*", 6), "_/_": ("/", 6), "_%_": ("%", 6),
    "!_": ("!", 7), "-_": ("-", 7), "_[_]": ("[]", 8),
}  # fmt: skip
_TIGHTEST = 9
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset((
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
    "namespace", "null", "package", "return", "true", "var", "void", "while",
))  # fmt: skip


def is_plain_name(name: str) -> bool:
    """Whether a field of this name can stand after a dot without quotes."""
    return _IDENTIFIER.match(name) is not None and name not in _RESERVED


def read_checked(serialized: bytes) -> Node:
    """The tree of a serialized checked expression (an `Any` of cel.expr.CheckedExpr), loops told as their macros."""
    checked = _message(_bytes(_message(serialized), 2))
    positions: dict[int, int] = {}
    for entry in _message(_bytes(checked, 5)).get(4, []):
        assert isinstance(entry, bytes)
        pair = _message(entry)
        positions[_int(pair, 1)] = _int(pair, 2)
    return _Reader(positions).node(_bytes(checked, 4))


class _Reader:
    """Turns cel.expr.Expr messages into nodes; `positions` by expression id, in characters."""

    def __init__(self, positions: dict[int, int]) -> None:
        self.positions = positions

    def node(self, data: bytes) -> Node:
        expr = _message(data)
        at = self.positions.get(_int(expr, 2), 0)
        for kind, read in ((3, self._literal), (5, self._select), (6, self._call), (9, self._loop)):
            if kind in expr:
                return read(_message(_bytes(expr, kind)), at)
        if 4 in expr:
            return Name(_text(_message(_bytes(expr, 4)), 1), at)
        if 7 in expr:
            return ListOf(self._nodes(_message(_bytes(expr, 7)), 1), at)
        return self._map(_message(_bytes(expr, 8)), at)

    def _nodes(self, message: Message, number: int) -> tuple[Node, ...]:
        return tuple(self.node(item) for item in message.get(number, []) if isinstance(item, bytes))

    def _literal(self, constant: Message, at: int) -> Node:
        number = next(iter(constant))
        kind, raw = _LITERAL_KINDS[number], constant[number][0]
        value: object = raw
        if isinstance(raw, int):
            value = {"null": None, "bool": bool(raw), "int": raw - (raw >> 63 << 64)}.get(kind, raw)
        elif kind == "double":
            value = struct.unpack("<d", raw)[0]
        elif kind == "string":
            value = raw.decode()
        return Literal(value, kind, at)

    def _select(self, select: Message, at: int) -> Node:
        chosen = Select(self.node(_bytes(select, 1)), _text(select, 2), at)
        return Macro("has", None, "", (chosen,), at) if _int(select, 3) else chosen

    def _call(self, call: Message, at: int) -> Node:
        target = self.node(_bytes(call, 1)) if 1 in call else None
        return Call(_text(call, 2), target, self._nodes(call, 3), at)

    def _map(self, made: Message, at: int) -> Node:
        entries = []
        for item in made.get(2, []):
            assert isinstance(item, bytes)
            entry = _message(item)
            key = self.node(_bytes(entry, 3)) if 3 in entry else Literal(_text(entry, 2), "string")
            entries.append((key, self.node(_bytes(entry, 4))))
        return MapOf(tuple(entries), _text(made, 1), at)

    def _loop(self, loop: Message, at: int) -> Node:
        """The macro that the parser expanded: each has its own start value and step."""
        bound, target = _text(loop, 1), self.node(_bytes(loop, 2))
        start, step = self.node(_bytes(loop, 4)), self.node(_bytes(loop, 6))
        assert isinstance(step, Call)
        if isinstance(start, Literal) and start.kind == "bool":
            return Macro("all" if start.value else "exists", target, bound, (step.args[1],), at)
        if isinstance(start, Literal):
            return Macro("exists_one", target, bound, (step.args[0],), at)
        condition = step.args[:1] if step.function == "_?_:_" else ()
        added = step.args[1] if condition else step
        assert isinstance(added, Call)
        assert isinstance(added.args[1], ListOf)
        made = added.args[1].elements
        if condition and made == (Name(bound),):
            return Macro("filter", target, bound, condition, at)
        return Macro("map", target, bound, condition + made, at)


def _message(data: bytes) -> Message:
    """The fields of a protocol buffer message by number: whole numbers, or bytes."""
    fields: Message = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: int | bytes
        if tag & 7 == 0:
            value, at = _varint(data, at)
        else:
            length, at = (8, at) if tag & 7 == 1 else _varint(data, at)
            value, at = data[at : at + length], at + length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            return value, at + 1
        at, shift = at + 1, shift + 7


def _bytes(message: Message, number: int) -> bytes:
    value = message.get(number, [b""])[0]
    assert isinstance(value, bytes)
    return value


def _text(message: Message, number: int) -> str:
    return _bytes(message, number).decode()


def _int(message: Message, number: int) -> int:
    value = message.get(number, [0])[0]
    assert isinstance(value, int)
    return value


def parts(node: Node) -> tuple[Node, ...]:
    """The nodes directly under a node, in the order of the text."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Call(target=target, args=args) | Macro(target=target, args=args):
            return (target, *args) if target is not None else args
        case ListOf(elements=elements):
            return elements
        case MapOf(entries=entries):
            return tuple(item for entry in entries for item in entry)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything under it, from left to right."""
    yield node
    for part in parts(node):
        yield from walk(part)


def chain(node: Node, operator: str) -> tuple[Node, ...]:
    """The operands of a run of `&&` or `||`, from left to right, however the parser nested them."""
    if isinstance(node, Call) and node.function == operator:
        return tuple(item for arg in node.args for item in chain(arg, operator))
    return (node,)


def write(node: Node) -> str:
    """The node as CEL, in one spelling: reading it again gives the same tree, save how runs of && and || are nested."""
    return _write(node, 0)


def _write(node: Node, outer: int) -> str:
    match node:
        case Literal():
            return _write_literal(node, outer)
        case Name(name=name):
            return name
        case Select(operand=operand, name=name):
            quoted = name if is_plain_name(name) else f"`{name}`"
            return f"{_write(operand, _TIGHTEST)}.{quoted}"
        case ListOf(elements=elements):
            return f"[{', '.join(write(item) for item in elements)}]"
        case MapOf(entries=entries, message=message):
            inner = ", ".join(f"{write(key)}: {write(value)}" for key, value in entries)
            return f"{message}{{{inner}}}"
        case Macro(name=name, target=target, bound=bound, args=args):
            inner = ", ".join(([bound] if bound else []) + [write(item) for item in args])
            return f"{_write(target, _TIGHTEST)}.{name}({inner})" if target is not None else f"{name}({inner})"
        case Call():
            return _write_call(node, outer)


def _write_call(call: Call, outer: int) -> str:
    sign, level = _OPERATORS.get(call.function, ("", _TIGHTEST))
    args = call.args
    if not sign:
        inner = ", ".join(write(item) for item in args)
        before = f"{_write(call.target, _TIGHTEST)}." if call.target is not None else ""
        return f"{before}{call.function}({inner})"
    if sign == "[]":
        return f"{_write(args[0], _TIGHTEST)}[{write(args[1])}]"
    if sign == "?":
        text = f"{_write(args[0], 2)} ? {_write(args[1], 2)} : {_write(args[2], 1)}"
    elif len(args) == 1:
        # A bracket, since `--1` and `-1` read differently from the minus of a minus and of a number.
        text = sign + (_write(args[0], _TIGHTEST) if sign == "!" else f"({write(args[0])})")
    elif sign in ("&&", "||"):
        text = f" {sign} ".join(_write(item, level + 1) for item in chain(call, call.function))
    else:
        text = f"{_write(args[0], level)} {sign} {_write(args[1], level + 1)}"
    return f"({text})" if level < outer else text


def _write_literal(literal: Literal, outer: int) -> str:
    value, kind = literal.value, literal.kind
    if kind == "string":
        return json.dumps(value, ensure_ascii=False)
    if kind == "bytes":
        assert isinstance(value, bytes)
        return 'b"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
    if kind == "double":
        text = repr(value).replace("inf", "1e999")
        text = text if set(text) & set(".e") else text + ".0"
    else:
        text = {"null": "null", "bool": str(value).lower(), "uint": f"{value}u"}.get(kind, str(value))
    return f"({text})" if text.startswith("-") and outer == _TIGHTEST else text
