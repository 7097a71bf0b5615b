"""A file in YAML or JSON as plain values, with the line of each path, so that every fault can be told where it stands.

YAML as in its version 1.2: only `true` and `false` are booleans (`on` and `NO` are texts), and instants are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import yaml

from refref.core.faults import Fault

MAX_CHARACTERS = 500_000
_MERGED = "Anchors, aliases and merge keys are not used here: write the value where it is needed."


@dataclass(frozen=True, slots=True)
class PlacedFault:
    """A fault with its line in the file, from 1."""

    line: int
    field: str
    sentence: str


class DocumentRefused(Exception):
    """A file that cannot be used: every fault that was found, in the order of the lines."""

    def __init__(self, faults: tuple[PlacedFault, ...]) -> None:
        super().__init__("; ".join(f"line {fault.line}: {fault.field}: {fault.sentence}" for fault in faults))
        self.faults = faults


class Yaml12Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: the implicit resolvers are added below."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?", "-0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    Yaml12Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})\\Z"), list(first))


def parsed_file(text: str) -> tuple[object, Mapping[str, int]]:
    """The values of a file, and the line of each path (`terms.rules.0.rate_bps`). Raises DocumentRefused."""
    if len(text) > MAX_CHARACTERS:
        raise DocumentRefused((PlacedFault(1, "", f"A file has at most {MAX_CHARACTERS} characters."),))
    is_json = text.lstrip().startswith("{")
    try:
        values: object = msgspec.json.decode(text) if is_json else None
    except msgspec.DecodeError as error:
        raise DocumentRefused((PlacedFault(_line_of(text, str(error)), "", f"This is no JSON: {error}."),)) from error
    try:
        _refuse_anchors(text)
        node = yaml.compose(text, Loader=Yaml12Loader)
        lines = dict(_lines(node, ""))
        return values if is_json else yaml.load(text, Loader=Yaml12Loader), lines  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        if is_json:  # JSON that YAML cannot read, such as tabs between values: without lines
            return values, {}
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise DocumentRefused((PlacedFault(line, "", _as_sentence(error.problem or "this is no YAML")),)) from error
    except (yaml.YAMLError, RecursionError) as error:
        if is_json:
            return values, {}
        raise DocumentRefused((PlacedFault(1, "", f"This is no YAML: {error}."),)) from error


def _refuse_anchors(text: str) -> None:
    """An alias can make a small file enormous, and a merged value has no line of its own."""
    for token in yaml.scan(text, Loader=Yaml12Loader):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise yaml.MarkedYAMLError(problem=_MERGED, problem_mark=token.start_mark)


def _as_sentence(problem: str) -> str:
    return problem[:1].upper() + problem[1:].removesuffix(".") + "."


def _line_of(text: str, message: str) -> int:
    """The line of a byte position in a message of the JSON reader."""
    position = re.search(r"byte (\d+)", message)
    return text.encode()[: int(position[1])].count(b"\n") + 1 if position else 1


def _lines(node: yaml.Node | None, path: str) -> Iterator[tuple[str, int]]:
    """Every path below a node with its line, from 1; a key that stands twice is refused."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            where = f"{path}.{name}".removeprefix(".")
            if name in seen:
                raise DocumentRefused((PlacedFault(key.start_mark.line + 1, where, "This stands here twice."),))
            seen.add(name)
            yield where, key.start_mark.line + 1
            yield from _lines(value, where)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield f"{path}.{number}", item.start_mark.line + 1
            yield from _lines(item, f"{path}.{number}")


def placed_faults(faults: Sequence[Fault], lines: Mapping[str, int]) -> tuple[PlacedFault, ...]:
    """Faults with the line of their field, or of the nearest thing around it that is written."""

    def line_of(field: str) -> int:
        while field and field not in lines:
            field = field.rpartition(".")[0]
        return lines.get(field, 1)

    placed = [PlacedFault(line_of(fault.field), fault.field, fault.sentence) for fault in faults]
    return tuple(sorted(placed, key=lambda fault: fault.line))
