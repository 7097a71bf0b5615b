"""What is wrong with a source, in sentences with line and column: limits, unknown names, wrong kinds, bad constants.

Compiles nothing itself save constants; `criteria` asks it before and after the engine.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from refref.core.criteria_engine import Engine, SourceError, Trouble
from refref.core.criteria_names import Variables, flat_kinds, is_record, paths_in, steps_of
from refref.core.criteria_syntax import Call, Literal, Macro, MapOf, Name, Node, parts, walk, write
from refref.core.refusals import Refused

MAX_SOURCE = 2_000
MAX_NODES = 500
MAX_LOOP_DEPTH = 2
MAX_PATTERN = 200

_UNKNOWN = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '(.*)'", re.DOTALL)
_SYNTAX = re.compile(r"Syntax error: (.*?)(?: expecting .*)?\Z", re.DOTALL)
_KINDS = {
    "int": "a whole number",
    "uint": "an unsigned number",
    "double": "a decimal number",
    "string": "a text",
    "bool": "true or false",
    "null_type": "null",
    "timestamp": "an instant",
    "google.protobuf.Timestamp": "an instant",
    "google.protobuf.Duration": "a duration",
    "dyn": "a value of any kind",
}
_SLIPS = {
    "'and'": "Write && for and.",
    "'or'": "Write || for or.",
    "'not'": "Write ! for not.",
    "'= ": "Write == to compare.",
    "'=\"": "Write == to compare.",
}
FUNCTIONS = (
    "has", "size", "startsWith", "endsWith", "contains", "matches", "exists", "exists_one", "all", "map", "filter",
    "timestamp", "duration", "int", "uint", "double", "string", "bool", "type", "dyn", "getFullYear", "getMonth",
    "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds",
    "getMilliseconds",
)  # fmt: skip
_CONSTANT_REMEDIES = {
    "timestamp": 'Write an instant like timestamp("2026-01-31T00:00:00Z").',
    "duration": 'Write a duration like duration("36h") or duration("90m"); a day is 24h.',
    "int": "Give a whole number or a text of digits.",
    "uint": "Give a whole number that is not negative.",
    "double": "Give a number.",
}


class CriteriaError(Refused):
    """A source that cannot be used: `message`, the place (1-based line and column; 0: none) and the `remedy`."""

    def __init__(self, message: str, remedy: str, *, line: int = 1, column: int = 1, field: str | None = None) -> None:
        place = f"Line {line}, column {column}: " if line else ""
        super().__init__("invalid_criteria", f"{place}{message} {remedy}", field)
        self.message, self.remedy = message, remedy
        self.line, self.column = line, column


def error_at(source: str, position: int, message: str, remedy: str) -> CriteriaError:
    """The error at a place of the source, counted in characters from 0."""
    before = source[:position]
    line = before.count("\n") + 1
    return CriteriaError(message, remedy, line=line, column=position - (before.rfind("\n") + 1) + 1)


def check_text(source: str) -> None:
    """Refuse what the parser need not even see."""
    if not source.strip():
        raise CriteriaError("There is nothing here.", "Write a condition such as sale.amount_minor >= 5000.")
    if len(source) > MAX_SOURCE:
        message = f"The text has {len(source):,} characters; {MAX_SOURCE:,} are the most."
        raise error_at(source, MAX_SOURCE, message, "Shorten it, or make two rules of it.")
    for position, character in enumerate(source):
        if (character < " " and character not in "\t\n\r") or "\ud800" <= character <= "\udfff":
            message = f"There is a character that cannot be used here (U+{ord(character):04X})."
            raise error_at(source, position, message, "Delete it.")


def error_of(source: str, problem: SourceError, variables: Variables) -> CriteriaError:
    """The library's refusal of the source in our words."""
    line, column = max(problem.line, 1), max(problem.column, 1)
    message, remedy = problem.message.strip(), "See docs/terms.md for what conditions may say."
    if "recursion" in message:
        message, remedy = "This is nested too deeply.", "Use fewer brackets, or make two rules of it."
    elif found := _UNKNOWN.search(message):
        if _is_call(source, line, column):
            message, remedy = f"There is no function `{found[1]}`.", _known(found[1], FUNCTIONS)
        else:
            message, remedy = f"There is no `{found[1]}` here.", _known(found[1].partition(".")[0], list(variables))
    elif found := _OVERLOAD.search(message):
        sign = found[1].strip("_@").replace("[_]", "[]").replace("?_:", "? :")
        kinds = " and ".join(_KINDS.get(kind.strip(), kind.strip()) for kind in _split_kinds(found[2]))
        message, remedy = f"`{sign}` does not take {kinds}.", "Compare values of one kind; texts stand in quotes."
    elif found := _SYNTAX.match(message):
        told = found[1].replace("mismatched input '<EOF>'", "unexpected end").replace("at '<EOF>'", "at the end")
        told = told.replace("mismatched input", "unexpected").replace("extraneous input", "unexpected")
        message, remedy = f"This cannot be read: {told}.", "Check brackets, quotes and signs around here."
        for sign, instead in _SLIPS.items():
            if sign in told.lower():
                remedy = instead
    return CriteriaError(message, remedy, line=line, column=column)


def _is_call(source: str, line: int, column: int) -> bool:
    """Whether a function's bracket stands there, which is where the library places what it says of a call."""
    lines = source.split("\n")
    return line <= len(lines) and lines[line - 1][column - 1 : column] == "("


def _split_kinds(told: str) -> list[str]:
    """`(int, map(string, string))` in its parts; a method's `target.(args)` too."""
    inner = told.replace(".(", ", ").strip("()")
    return [kind for kind in re.split(r",\s*(?![^()]*\))", inner) if kind]


def _known(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    guess = f"Did you mean `{near[0]}`? " if near else ""
    return f"{guess}Known: {', '.join(known)}."


def check_tree(source: str, tree: Node, variables: Variables) -> None:
    """Refuse what can be read and must not be used: unknown fields, shadowed names, costly or broken parts."""
    nodes = list(walk(tree))
    if len(nodes) > MAX_NODES:
        raise CriteriaError(f"This has {len(nodes)} parts; {MAX_NODES} are the most.", "Make two rules of it.")
    _check_fields(source, tree, variables)
    taken = flat_kinds(variables)
    for loop, depth in _loops(tree, 0):
        if loop.bound in taken:
            raise error_at(source, loop.position, f"`{loop.bound}` is taken already.", "Choose another name.")
        if depth > MAX_LOOP_DEPTH:
            message = f"Loops stand in each other more than {MAX_LOOP_DEPTH} deep."
            raise error_at(source, loop.position, message, "Use fewer of exists, all, map and filter.")
    for node in nodes:
        if isinstance(node, MapOf) and node.message:
            message = f"`{node.message}` cannot be made here."
            raise error_at(source, node.position, message, 'Use timestamp("...") or duration("...").')
        if isinstance(node, Call) and node.function == "matches":
            _check_pattern(source, node)
        elif isinstance(node, Call) and node.function in _CONSTANT_REMEDIES:
            _check_constant(source, node)


def _loops(node: Node, depth: int) -> Iterator[tuple[Macro, int]]:
    here = depth
    if isinstance(node, Macro) and node.bound:
        here = depth + 1
        yield node, here
    for part in parts(node):
        yield from _loops(part, here)


def _check_fields(source: str, tree: Node, variables: Variables) -> None:
    for path in paths_in(tree, variables):
        root = str(path.steps[0])
        if not is_record(variables, root):
            continue
        fields = variables[root]
        second = next((node for node in walk(path.node) if len(steps_of(node, variables) or ()) == 2), path.node)
        if len(path.steps) < 2:
            message = f"`{root}` has fields and is no value itself."
            raise error_at(source, path.node.position, message, f"Write one of them: {root}.{next(iter(fields))}.")
        step = path.steps[1]
        if step not in fields:
            message = f"`{root}` has no field `{step}`."
            raise error_at(source, second.position, message, _known(str(step), list(fields)))
        is_asked = path.only_asked and len(path.steps) == 2
        if not is_asked and not is_dotted(source, second, root, str(step)):
            message = f"The field `{step}` is not written as {root}.{step}."
            raise error_at(source, second.position, message, f"Write {root}.{step}, without spaces or brackets.")


def is_dotted(source: str, node: Node, root: str, field: str) -> bool:
    """Whether the source has the plain `root.field` around the node's dot."""
    dot = node.position
    return source[max(dot - len(root), 0) : dot + 1 + len(field)] == f"{root}.{field}"


def _check_pattern(source: str, call: Call) -> None:
    pattern = call.args[-1]
    if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
        raise error_at(source, call.position, "The pattern of matches() is not a text.", "Write it out in quotes.")
    if len(pattern.value) > MAX_PATTERN:
        message = f"The pattern has more than {MAX_PATTERN} characters."
        raise error_at(source, pattern.position, message, "Shorten it, or list the values with `in`.")
    outcome = _CONSTANTS.compile(f'"".matches({write(pattern)})').run({})
    if isinstance(outcome, Trouble):
        message = f"The pattern is not a regular expression: {outcome.message.partition('expression: ')[2]}."
        raise error_at(source, pattern.position, message, "Write it in RE2's syntax.")


def _check_constant(source: str, call: Call) -> None:
    if len(call.args) != 1 or not isinstance(call.args[0], (Literal, Name)):
        return
    given = call.args[0]
    if isinstance(given, Literal) and isinstance(_CONSTANTS.compile(write(call)).run({}), Trouble):
        message = f"{write(given)} is no {call.function}."
        raise error_at(source, given.position, message, _CONSTANT_REMEDIES[call.function])


_CONSTANTS = Engine({})
