"""The only user of the CEL library: compiles a source for declared variables, runs it, and tells errors as values.

Knows nothing of RefRef's variables, limits or sentences for people.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from cel_expr_python import cel

from refref.core.criteria_syntax import Node, read_checked

Kind = Literal["int", "string", "bool", "timestamp", "strings", "map", "flags", "any"]
"""int: 64 bits; strings: a list of texts; map: text to text; flags: text to true or false; any: what JSON has."""

_TYPES = {
    "int": cel.Type.INT,
    "string": cel.Type.STRING,
    "bool": cel.Type.BOOL,
    "timestamp": cel.Type.TIMESTAMP,
    "strings": cel.Type.List(cel.Type.STRING),
    "map": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "flags": cel.Type.Map(cel.Type.STRING, cel.Type.BOOL),
    "any": cel.Type.DYN,
}
_ERROR = cel.Type.ERROR
_FIRST_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?=\n \| |\nERROR: | \[[A-Z_]+\]$|$)", re.DOTALL)


class SourceError(Exception):
    """The library refuses a source: its message and the place, 1-based, 0 where it names none."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True, slots=True)
class Trouble:
    """A run that came to no value: a missing key, a wrong kind, an overflow. `message` is the library's."""

    message: str


class _Type(Protocol):
    def name(self) -> str: ...


class _Value(Protocol):
    def type(self) -> _Type: ...
    def plain_value(self) -> object: ...
    def value(self) -> object: ...


class _Expression(Protocol):
    def eval(self, *, data: Mapping[str, object]) -> _Value: ...
    def return_type(self) -> _Type: ...
    def serialize(self) -> bytes: ...


class Program:
    """A compiled source."""

    def __init__(self, expression: _Expression) -> None:
        self._expression = expression

    @cached_property
    def tree(self) -> Node:
        """Its syntax tree."""
        return read_checked(self._expression.serialize())

    @property
    def result_kind(self) -> str:
        """The type the checker derives: `BOOL`, `DYN` and so on."""
        return self._expression.return_type().name()

    def run(self, data: Mapping[str, object]) -> object | Trouble:
        """The value for these variables; absent ones are trouble only where the outcome depends on them."""
        try:
            result = self._expression.eval(data=data)
        except RuntimeError as problem:  # what the library raises for a budget exceeded and for unreadable texts
            return Trouble(str(problem))
        if result.type() == _ERROR:
            return Trouble(str(result.value()))
        return result.plain_value()


class Engine:
    """Compiles sources over one set of variables."""

    def __init__(self, variables: Mapping[str, Kind]) -> None:
        self._env = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in variables.items()})

    def compile(self, source: str) -> Program:
        """Raises SourceError."""
        try:
            return Program(self._env.compile(source))
        except RuntimeError as problem:
            found = _FIRST_ERROR.search(str(problem))
            if found is None:
                raise SourceError(str(problem), 0, 0) from None
            raise SourceError(found[3], max(int(found[1]), 0), max(int(found[2]), 0)) from None
