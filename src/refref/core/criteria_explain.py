"""Why criteria were or were not met: the smallest parts that decided it, with the values they saw.

Works on parts made ready once per source; decides nothing itself, each part's answer is the engine's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from refref.core.criteria_engine import Engine, Program, Trouble
from refref.core.criteria_names import MISSING, Gatherer, Path, Variables, is_record, look_up, paths_in, with_flat_names
from refref.core.criteria_quick import TROUBLE, quick_test
from refref.core.criteria_syntax import Call, Macro, Node, chain, write

MAX_SHOWN = 80
MAX_BECAUSE = 600
Verdict = bool | Trouble


class Situation:
    """The values one explanation looks at, and what the engine is given of them, gathered at the first need."""

    def __init__(self, values: Mapping[str, object], gatherer: Gatherer) -> None:
        self.values = values
        self._gatherer = gatherer
        self._data: dict[str, object] | None = None

    @property
    def data(self) -> dict[str, object]:
        if self._data is None:
            self._data = self._gatherer.gather(self.values)
        return self._data


class Leaf:
    """A part without `&&`, `||`, `!` and `? :`."""

    def __init__(self, node: Node, variables: Variables, engine: Engine) -> None:
        self._node, self._variables, self._engine = node, variables, engine
        self._quick = quick_test(node, variables)
        self._program: Program | None = None
        self._text = write(node)
        self._is_asking = isinstance(node, Macro) and node.name == "has"
        self._paths = tuple({path.text(): path for path in paths_in(node, variables)}.items())

    def verdict(self, situation: Situation) -> Verdict:
        answer = self._quick(situation.values)
        if answer == TROUBLE:
            return Trouble("a value is missing")
        if answer is not None:
            return answer
        if self._program is None:
            self._program = self._engine.compile(write(with_flat_names(self._node, self._variables)))
        found = self._program.run(situation.data)
        if isinstance(found, (bool, Trouble)):
            return found
        return Trouble(f"it is {show(found)}, not true or false")

    def reasons(self, situation: Situation) -> list[str]:
        verdict = self.verdict(situation)
        saw = []
        for text, path in self._paths:
            value, count = look_up(
                situation.values, path.steps, in_record=is_record(self._variables, str(path.steps[0]))
            )
            if value is MISSING:
                missing = path.text(count + 1)
                if isinstance(verdict, Trouble):
                    return [f"{missing} is missing"]
                saw.append(f"{missing} is missing")
            elif text != self._text and not self._is_asking:
                saw.append(f"{text} is {show(value)}")
        if isinstance(verdict, Trouble):
            told = f"{self._text} cannot be decided: " + "; ".join([*saw, trouble_in_words(verdict.message)])
        else:
            told = f"{self._text} is {'true' if verdict else 'false'}" + (f": {'; '.join(saw)}" if saw else "")
        return [told]


class Not:
    """`!inner`."""

    def __init__(self, inner: Part) -> None:
        self._inner = inner

    def verdict(self, situation: Situation) -> Verdict:
        found = self._inner.verdict(situation)
        return found if isinstance(found, Trouble) else not found

    def reasons(self, situation: Situation) -> list[str]:
        return self._inner.reasons(situation)


class Joined:
    """A run of `&&` (False decides) or of `||` (True decides): one part that decides is enough, in any order."""

    def __init__(self, parts: list[Part], decides: bool) -> None:
        self._parts, self._decides = parts, decides

    def verdict(self, situation: Situation) -> Verdict:
        trouble: Trouble | None = None
        for part in self._parts:
            found = part.verdict(situation)
            if found is self._decides:
                return self._decides
            if trouble is None and isinstance(found, Trouble):
                trouble = found
        return not self._decides if trouble is None else trouble

    def reasons(self, situation: Situation) -> list[str]:
        found = [(part, part.verdict(situation)) for part in self._parts]
        for part, verdict in found:
            if verdict is self._decides:
                return part.reasons(situation)
        troubled = [part for part, verdict in found if isinstance(verdict, Trouble)]
        if troubled:
            return troubled[0].reasons(situation)
        return [reason for part in self._parts for reason in part.reasons(situation)]


class Choice:
    """`condition ? one : other`."""

    def __init__(self, condition: Part, one: Part, other: Part) -> None:
        self._condition, self._one, self._other = condition, one, other

    def verdict(self, situation: Situation) -> Verdict:
        found = self._condition.verdict(situation)
        if isinstance(found, Trouble):
            return found
        return (self._one if found else self._other).verdict(situation)

    def reasons(self, situation: Situation) -> list[str]:
        found = self._condition.verdict(situation)
        told = self._condition.reasons(situation)
        return told if isinstance(found, Trouble) else told + (self._one if found else self._other).reasons(situation)


Part = Leaf | Not | Joined | Choice


def part_of(node: Node, variables: Variables, engine: Engine) -> Part:
    """The tree made ready for explanations."""

    def inner(below: Node) -> Part:
        return part_of(below, variables, engine)

    if isinstance(node, Call):
        if node.function in ("_&&_", "_||_"):
            return Joined([inner(item) for item in chain(node, node.function)], node.function == "_||_")
        if node.function == "!_":
            return Not(inner(node.args[0]))
        if node.function == "_?_:_":
            return Choice(inner(node.args[0]), inner(node.args[1]), inner(node.args[2]))
    return Leaf(node, variables, engine)


def because_of(part: Part, situation: Situation) -> str:
    """One sentence: the deciding parts with their values, at most MAX_BECAUSE characters."""
    told = "; ".join(dict.fromkeys(part.reasons(situation)))
    return told if len(told) <= MAX_BECAUSE else told[: MAX_BECAUSE - 1] + "…"


def values_seen(
    paths: tuple[Path, ...], variables: Variables, values: Mapping[str, object]
) -> tuple[tuple[str, str], ...]:
    """Each path of a source with the value it has, as shown, in the order of the text."""
    seen: dict[str, str] = {}
    for path in paths:
        value, _ = look_up(values, path.steps, in_record=is_record(variables, str(path.steps[0])))
        seen[path.text()] = "missing" if value is MISSING else show(value)
    return tuple(seen.items())


def show(value: object) -> str:
    """A value as a person writes it in CEL, at most MAX_SHOWN characters."""
    if type(value) is int:
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    told = json.dumps(value, ensure_ascii=False, default=str).encode(errors="backslashreplace").decode()
    return told if len(told) <= MAX_SHOWN else told[: MAX_SHOWN - 1] + "…"


def trouble_in_words(message: str) -> str:
    """The library's trouble, without its codes."""
    code, _, told = message.partition(": ")
    told = told if code.isupper() else message
    if told.startswith("No matching overloads found"):
        return "the kinds of the values do not fit"
    if told.startswith("Key not found in map"):
        return f"{told.partition(': ')[2].strip() or told.partition('map')[2].strip(' :')} is missing"
    if "Iteration budget" in told:
        return "it takes too many steps"
    if told.startswith(("No value with name", "Unexpected value type", "Non-CEL value type")):
        return "a value is of another kind than declared"
    if any(sign in told for sign in ("out of range", "overflow", "too big")):
        return "a number is too large"
    if "basic_string" in told:
        return "a text cannot be read"
    return told
