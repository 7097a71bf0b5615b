"""Criteria: conditions of rules and of custom events, written in CEL. Compiled once, met or not, with the reason.

Pure; the library behind it is in `criteria_engine`. CEL has no decimals: amounts are whole minor units.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from refref.core.criteria_check import (
    CriteriaError,
    check_text,
    check_tree,
    error_of,
    is_dotted,
)
from refref.core.criteria_engine import Engine, Kind, Program, SourceError
from refref.core.criteria_explain import Part, Situation, because_of, part_of, values_seen
from refref.core.criteria_names import (
    CONDITION_VARIABLES,
    EVENT_VARIABLES,
    MISSING,
    Gatherer,
    Variables,
    flat_kinds,
    is_record,
    look_up,
    paths_in,
)
from refref.core.criteria_paths import Extracted, Extraction, compile_path
from refref.core.criteria_quick import quick_test
from refref.core.criteria_syntax import Name, Node, Select, walk

__all__ = [
    "CONDITION_VARIABLES",
    "EVENT_VARIABLES",
    "Criteria",
    "CriteriaError",
    "Extracted",
    "Extraction",
    "Outcome",
    "compile_criteria",
    "compile_path",
    "read_criteria",
]

Seen = tuple[tuple[type, object], ...]
_PLAIN = frozenset((int, str, bool))
_MOST_REASONS = 1024  # kept for each source: the same few values come again and again
Frozen = tuple[tuple[str, "Kind | tuple[tuple[str, Kind], ...]"], ...]


class Outcome:
    """Whether criteria were met; the reasons are worked out when asked for, from the values, which must not change."""

    __slots__ = ("_criteria", "_values", "matched")

    def __init__(self, criteria: Criteria, values: Mapping[str, object], matched: bool) -> None:
        self.matched = matched
        self._criteria = criteria
        self._values = values

    @property
    def because(self) -> str:
        """Where they were not met: the smallest parts that decided it, with the values seen; else empty."""
        return "" if self.matched else self._criteria.reason_against(self._values)

    @property
    def seen(self) -> tuple[tuple[str, str], ...]:
        """Each path of the source with its value as shown, in the order of the text."""
        return self._criteria.values_seen(self._values)


class Criteria:
    """A compiled source; equal to another of the same source and variables."""

    __slots__ = ("_gatherer", "_key", "_part", "_paths", "_program", "_quick", "_reasons", "_variables", "source")

    def __init__(self, source: str, frozen: Frozen, program: Program, tree: Node, engine: Engine) -> None:
        variables = _thawed(frozen)
        self.source = source
        self._key = (source, frozen)
        self._variables = variables
        self._program = program
        self._paths = tuple(paths_in(tree, variables))
        self._gatherer = Gatherer(list(self._paths), variables)
        self._quick = quick_test(tree, variables)
        self._part: Part = part_of(tree, variables, engine)
        self._reasons: dict[Seen, str] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Criteria) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"Criteria({self.source!r})"

    @property
    def names(self) -> frozenset[str]:
        """What it looks at: `sale.number`, or a whole variable."""
        return frozenset(path.text(2) for path in self._paths)

    def matches(self, values: Mapping[str, object]) -> bool:
        """Whether the values meet the criteria; missing values and wrong kinds do not. Raises nothing."""
        answer = self._quick(values)
        if answer is None:
            return self._program.run(self._gatherer.gather(values)) is True
        return answer is True

    def evaluate(self, values: Mapping[str, object]) -> Outcome:
        """`matches`, with the reason where they do not meet it and the values seen. Raises nothing."""
        return Outcome(self, values, self.matches(values))

    def reason_against(self, values: Mapping[str, object]) -> str:
        """Which smallest parts keep these values from meeting the criteria."""
        seen = self._seen(values)
        known = None if seen is None else self._reasons.get(seen)
        if known is None:
            known = because_of(self._part, Situation(values, self._gatherer))
            if seen is not None:
                if len(self._reasons) >= _MOST_REASONS:
                    self._reasons.clear()
                self._reasons[seen] = known
        return known

    def _seen(self, values: Mapping[str, object]) -> Seen | None:
        """What the paths lead to, each with its kind, as a key; None where something is no plain value."""
        seen: list[tuple[type, object]] = []
        for path in self._paths:
            value, count = look_up(values, path.steps, in_record=is_record(self._variables, str(path.steps[0])))
            kind = type(value)
            if value is MISSING:
                seen.append((kind, count))
            elif kind in _PLAIN:
                seen.append((kind, value))
            elif isinstance(value, list) and all(type(item) is str for item in value):
                seen.append((kind, tuple(value)))
            else:
                return None
        return tuple(seen)

    def values_seen(self, values: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
        """Each path of the source with its value as shown."""
        return values_seen(self._paths, self._variables, values)


def compile_criteria(source: str, *, variables: Variables) -> Criteria:
    """The criteria of a source over these variables; the same object for the same source.

    `variables`: a kind for each name, or kinds by field for a record. Raises CriteriaError.
    """
    return _compiled(source, _frozen(variables))


def read_criteria(source: str, *, variables: Variables) -> Node:
    """The syntax tree of a source that compiles. Raises CriteriaError."""
    return _read(source, variables)


@lru_cache(maxsize=4096)
def _compiled(source: str, frozen: Frozen) -> Criteria:
    variables = _thawed(frozen)
    tree = _read(source, variables)
    engine = _flat_engine(frozen)
    try:
        program = engine.compile(_with_flat_fields(source, tree, variables))
    except SourceError as problem:
        raise error_of(source, problem, variables) from None
    if program.result_kind not in ("BOOL", "DYN"):
        raise CriteriaError(
            "This is a value and not a condition.", "Compare it with something: it must come to true or false."
        )
    return Criteria(source, frozen, program, tree, engine)


def _read(source: str, variables: Variables) -> Node:
    check_text(source)
    try:
        tree = _named_engine(tuple(variables)).compile(source).tree
    except SourceError as problem:
        raise error_of(source, problem, variables) from None
    check_tree(source, tree, variables)
    return tree


def _with_flat_fields(source: str, tree: Node, variables: Variables) -> str:
    """The source with `sale.number` as `sale_number`, place for place, save within has(sale.number)."""
    text = list(source)
    for node in walk(tree):
        match node:
            case Select(operand=Name(name=name), name=field, position=dot) if is_record(variables, name):
                if is_dotted(source, node, name, field):  # within has(): the place is the bracket's
                    text[dot] = "_"
    return "".join(text)


@lru_cache(maxsize=64)
def _named_engine(names: tuple[str, ...]) -> Engine:
    return Engine(dict.fromkeys(names, "any"))


@lru_cache(maxsize=64)
def _flat_engine(frozen: Frozen) -> Engine:
    return Engine(flat_kinds(_thawed(frozen)))


def _frozen(variables: Variables) -> Frozen:
    return tuple((name, kind if isinstance(kind, str) else tuple(kind.items())) for name, kind in variables.items())


def _thawed(frozen: Frozen) -> Variables:
    return {name: kind if isinstance(kind, str) else dict(kind) for name, kind in frozen}
