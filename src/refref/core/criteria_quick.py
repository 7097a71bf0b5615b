"""Tests of the plain kinds of criteria in Python, for speed: comparisons of a path with constants, joined.

Answers only what is beyond doubt, by the exact type of the value; None means: ask the engine. Never differs from it
for values of the declared kinds. What looks at a missing value is TROUBLE, as it is to the engine.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from typing import Literal as OneOf

from refref.core.criteria_names import MISSING, Steps, Variables, is_record, look_up, steps_of
from refref.core.criteria_syntax import Call, ListOf, Literal, Macro, Node

TROUBLE: Final = "trouble"
Answer = bool | OneOf["trouble"] | None
Test = Callable[[Mapping[str, object]], Answer]
Read = Callable[[Mapping[str, object]], object]
Compare = Callable[[object, object], bool]

_COMPARISONS: dict[str, Compare] = {
    "_==_": operator.eq,
    "_!=_": operator.ne,
    "_<_": operator.lt,  # type: ignore[dict-item]  # only used on two values of one type
    "_<=_": operator.le,  # type: ignore[dict-item]  # as above
    "_>_": operator.gt,  # type: ignore[dict-item]  # as above
    "_>=_": operator.ge,  # type: ignore[dict-item]  # as above
}
_TURNED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_", "_==_": "_==_", "_!=_": "_!=_"}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}
_PLAIN_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
_LEAST, _MOST = -(2**63), 2**63 - 1


def quick_test(node: Node, variables: Variables) -> Test:
    """A function of the values: True, False, TROUBLE, or None where the engine must be asked. Raises nothing."""
    if isinstance(node, Macro) and node.name == "has":
        return _asked(node, variables)
    if isinstance(node, Call):
        args = node.args
        if node.function in ("_&&_", "_||_"):
            return _joined(quick_test(args[0], variables), quick_test(args[1], variables), node.function == "_||_")
        if node.function == "!_":
            return _negated(quick_test(args[0], variables))
        if node.function in _COMPARISONS:
            return _comparison(node, variables)
        if node.function == "@in":
            return _membership(args[0], args[1], variables)
        if node.function in _TEXT_TESTS and node.target is not None:
            return _text_test(node, variables)
        return unclear
    read = _reader(node, variables)
    return unclear if read is None else _flag(read)


def unclear(values: Mapping[str, object]) -> Answer:
    """The test of what is not plain."""
    return None


def _reader(node: Node, variables: Variables) -> Read | None:
    """Takes the value at a path; MISSING where there is none. None for anything but a path of names."""
    steps = steps_of(node, variables)
    if steps is None or not all(isinstance(step, str) for step in steps):
        return None
    if len(steps) == 2:
        first, second = steps

        def read_field(values: Mapping[str, object]) -> object:
            try:
                return values[first][second]  # type: ignore[index]  # what is no map raises, and is caught
            except (KeyError, TypeError, IndexError):
                return MISSING

        return read_field
    return _deep_reader(steps, is_record(variables, str(steps[0])))


def _deep_reader(steps: Steps, in_record: bool) -> Read:
    def read(values: Mapping[str, object]) -> object:
        return look_up(values, steps, in_record=in_record)[0]

    return read


def _constant(node: Node) -> object:
    """The whole number, text, truth or plain instant that a node is, else MISSING."""
    if isinstance(node, Literal) and node.kind in ("int", "string", "bool"):
        return node.value
    if isinstance(node, Call) and node.function == "timestamp" and len(node.args) == 1:
        given = node.args[0]
        if isinstance(given, Literal) and isinstance(given.value, str) and _PLAIN_INSTANT.match(given.value):
            try:
                return datetime.fromisoformat(given.value)
            except ValueError:  # 24:00:00 and the like: the engine says what it is
                return MISSING
    return MISSING


def _comparison(node: Call, variables: Variables) -> Test:
    function, (left, right) = node.function, node.args
    if _constant(right) is MISSING:
        function, left, right = _TURNED[function], right, left
    read, wanted, compare = _reader(left, variables), _constant(right), _COMPARISONS[function]
    if read is None or wanted is MISSING:
        return unclear
    kind = type(wanted)
    if kind is int:
        return _number_comparison(read, wanted, compare)

    def test(values: Mapping[str, object]) -> Answer:
        value = read(values)
        if type(value) is not kind or (isinstance(value, datetime) and value.tzinfo is None):
            return TROUBLE if value is MISSING else None
        return compare(value, wanted)

    return test


def _number_comparison(read: Read, wanted: object, compare: Compare) -> Test:
    def test(values: Mapping[str, object]) -> Answer:
        value = read(values)
        if type(value) is int and _LEAST <= value <= _MOST:
            return compare(value, wanted)
        return TROUBLE if value is MISSING else None

    return test


def _membership(item: Node, group: Node, variables: Variables) -> Test:
    read = _reader(item, variables)
    if read is not None and isinstance(group, ListOf):
        constants = [_constant(element) for element in group.elements]
        if constants and all(type(constant) is str for constant in constants):
            return _one_of(read, frozenset(constants))
    read, wanted = _reader(group, variables), _constant(item)
    if read is None or type(wanted) is not str:
        return unclear
    steps = steps_of(group, variables) or ()
    kind = variables[str(steps[0])]
    declared = kind[str(steps[1])] if isinstance(kind, Mapping) and len(steps) == 2 else "any"
    return _includes(read, wanted, {"strings": (list,), "map": (dict,)}.get(declared, (list, dict)))


def _one_of(read: Read, texts: frozenset[object]) -> Test:
    def test(values: Mapping[str, object]) -> Answer:
        value = read(values)
        return value in texts if type(value) is str else TROUBLE if value is MISSING else None

    return test


def _includes(read: Read, text: str, kinds: tuple[type, ...]) -> Test:
    def test(values: Mapping[str, object]) -> Answer:
        value = read(values)
        if isinstance(value, (list, dict)) and type(value) in kinds:
            return text in value
        return TROUBLE if value is MISSING else None

    return test


def _text_test(node: Call, variables: Variables) -> Test:
    assert node.target is not None
    read, wanted, test_text = _reader(node.target, variables), _constant(node.args[0]), _TEXT_TESTS[node.function]
    if read is None or not isinstance(wanted, str):
        return unclear

    def test(values: Mapping[str, object]) -> Answer:
        value = read(values)
        return test_text(value, wanted) if type(value) is str else TROUBLE if value is MISSING else None

    return test


def _asked(node: Macro, variables: Variables) -> Test:
    """has(a.b.c): false only where a.b is a map without c; what is missing before that is the engine's."""
    steps = steps_of(node.args[0], variables)
    if steps is None:
        return unclear
    in_record = is_record(variables, str(steps[0]))

    def test(values: Mapping[str, object]) -> Answer:
        found, _ = look_up(values, steps, in_record=in_record)
        if found is not MISSING:
            return True if isinstance(steps[-1], str) else None
        upper, _ = look_up(values, steps[:-1], in_record=in_record)
        return False if isinstance(upper, Mapping) else None

    return test


def _flag(read: Read) -> Test:
    def test(values: Mapping[str, object]) -> Answer:
        value = read(values)
        if value is True or value is False:
            return value
        return TROUBLE if value is MISSING else None

    return test


def _negated(inner: Test) -> Test:
    def test(values: Mapping[str, object]) -> Answer:
        answer = inner(values)
        return not answer if answer is True or answer is False else answer

    return test


def _joined(left: Test, right: Test, decides: bool) -> Test:
    """`||` (True decides) or `&&` (False decides): one side that decides is enough, whatever the other is."""

    def test(values: Mapping[str, object]) -> Answer:
        first = left(values)
        if first is decides:
            return decides
        second = right(values)
        if second is decides:
            return decides
        if first is None or second is None:
            return None
        return TROUBLE if first is TROUBLE or second is TROUBLE else not decides

    return test
