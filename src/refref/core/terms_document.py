"""A program and its terms as a file, in YAML or JSON: read with the line of every fault, written with comments.

YAML as in its version 1.2: only `true` and `false` are booleans (`on` and `NO` are texts), and instants are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import yaml

from refref.core.faults import Fault, text_faults
from refref.core.money import format_amount
from refref.core.terms import Duration, QualifyingEvent, RewardRule, Strict, Terms, Tiers
from refref.core.terms_check import faults_of
from refref.core.terms_shape import shape_fault
from refref.core.words import percent

MAX_CHARACTERS = 500_000
MAX_TEXT = 20_000  # of eligibility and terms text
_MERGED = "Anchors, aliases and merge keys are not used here: write the value where it is needed."
# Fields that are written even where they hold the default, because a reader looks for them.
_ALWAYS: Mapping[type, frozenset[str]] = {
    Terms: frozenset(("rules", "duration", "hold_days", "attribution_window_days", "customers")),
    RewardRule: frozenset(("to", "reward", "kind")),
    QualifyingEvent: frozenset(("kind",)),
    Duration: frozenset(("unit", "count")),
    Tiers: frozenset(("period",)),
}
_AMOUNTS = frozenset(("amounts", "min_net", "amount_off"))


class ProgramPart(Strict, frozen=True):
    """What the file says of the program. Without `program_id` it is found by its name, or made."""

    name: str
    program_id: str = ""
    eligibility_text: str = ""
    terms_text: str = ""


class TermsDocument(Strict, frozen=True):
    """The whole file."""

    program: ProgramPart
    terms: Terms


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


def read_document(text: str) -> TermsDocument:
    """The document of a file's text, checked. Raises DocumentRefused with every fault (of a wrong shape: the first)."""
    given, lines = _parsed(text)
    fault = shape_fault(given, TermsDocument, "")
    if fault is not None:
        raise DocumentRefused(_placed([Fault(fault.field.removeprefix("."), fault.sentence)], lines))
    found = msgspec.convert(given, TermsDocument)
    faults = [*_program_faults(found.program), *faults_of(found.terms)]
    if faults:
        raise DocumentRefused(_placed(faults, lines))
    return found


def read_terms(text: str) -> Terms:
    """The terms of a file that holds a document, or terms alone. Raises DocumentRefused."""
    given, lines = _parsed(text)
    if isinstance(given, dict) and "terms" in given:
        return read_document(text).terms
    fault = shape_fault(given, Terms, "terms")
    below = {f"terms.{path}": line for path, line in lines.items()}
    if fault is not None:
        raise DocumentRefused(_placed([fault], below))
    found = msgspec.convert(given, Terms)
    if faults := faults_of(found):
        raise DocumentRefused(_placed(faults, below))
    return found


def document_to_json(document: TermsDocument) -> str:
    """The file as JSON, without what is as by default."""
    return msgspec.json.format(msgspec.json.encode(_shown(document)), indent=2).decode() + "\n"


def document_to_yaml(document: TermsDocument, head: str = "") -> str:
    """The file as YAML, without what is as by default; comments say rates and amounts in words. `head`: first lines."""
    body = yaml.dump(_shown(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    comments = dict(_comments(yaml.compose(body, Loader=_Loader), "", {}))
    lines = [
        f"{line}  # {comments[number]}" if number in comments else line for number, line in enumerate(body.splitlines())
    ]
    return "".join(f"# {line}\n" for line in head.splitlines()) + "\n".join(lines) + "\n"


def document_schema() -> dict[str, object]:
    """The JSON Schema of the file (docs/terms.schema.json)."""
    schema = msgspec.json.schema(TermsDocument)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "RefRef terms", **schema}


def _program_faults(program: ProgramPart) -> Iterator[Fault]:
    if not program.name.strip():
        yield Fault("program.name", "Give the program a name.")
    yield from text_faults("program.name", program.name)
    for name in ("eligibility_text", "terms_text"):
        if len(getattr(program, name)) > MAX_TEXT:
            yield Fault(f"program.{name}", f"Give at most {MAX_TEXT} characters.")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: the implicit resolvers are added below."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?", "-0123456789"),
    ("null", r"null|~|", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})\\Z"), list(first))


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if not text.replace("\n", "").isprintable():
        style = '"'  # other line breaks and control characters, which only escapes bring back
    elif "\n" in text and not re.search(r"[^\S\n ]|[ ]\n", text):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _parsed(text: str) -> tuple[object, Mapping[str, int]]:
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
        node = yaml.compose(text, Loader=_Loader)
        lines = dict(_lines(node, ""))
        return values if is_json else yaml.load(text, Loader=_Loader), lines  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        if is_json:  # JSON that YAML cannot read, such as tabs between values: without lines
            return values, {}
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise DocumentRefused((PlacedFault(line, "", _sentence(error.problem or "this is no YAML")),)) from error
    except (yaml.YAMLError, RecursionError) as error:
        if is_json:
            return values, {}
        raise DocumentRefused((PlacedFault(1, "", f"This is no YAML: {error}."),)) from error


def _refuse_anchors(text: str) -> None:
    """An alias can make a small file enormous, and a merged value has no line of its own."""
    for token in yaml.scan(text, Loader=_Loader):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise yaml.MarkedYAMLError(problem=_MERGED, problem_mark=token.start_mark)


def _sentence(problem: str) -> str:
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


def _placed(faults: list[Fault] | tuple[Fault, ...], lines: Mapping[str, int]) -> tuple[PlacedFault, ...]:
    """Faults with the line of their field, or of the nearest thing around it that is written."""

    def line_of(field: str) -> int:
        while field and field not in lines:
            field = field.rpartition(".")[0]
        return lines.get(field, 1)

    placed = [PlacedFault(line_of(fault.field), fault.field, fault.sentence) for fault in faults]
    return tuple(sorted(placed, key=lambda fault: fault.line))


def _shown(value: object) -> object:
    """A struct as plain values, without fields that hold their default."""
    if isinstance(value, msgspec.Struct):
        always = _ALWAYS.get(type(value), frozenset())
        return {
            field.name: _shown(given)
            for field in msgspec.structs.fields(value)
            if (given := getattr(value, field.name)) != _default(field) or field.name in always
        }
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    return msgspec.to_builtins(value)


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _comments(node: yaml.Node | None, name: str, around: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Line numbers from 0, with what the number on that line means. `around`: the texts beside the node's parent."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _comments(item, name, around)
    if not isinstance(node, yaml.MappingNode):
        return
    texts = {key.value: value.value for key, value in node.value if isinstance(value, yaml.ScalarNode)}
    for key, value in node.value:
        if not isinstance(value, yaml.ScalarNode):
            yield from _comments(value, key.value, texts)
        elif not re.fullmatch(r"\d{1,18}", value.value):
            continue
        elif key.value.endswith("_bps"):
            yield value.end_mark.line, percent(int(value.value))
        elif name in _AMOUNTS:
            yield value.end_mark.line, format_amount(int(value.value), key.value)
        elif key.value == "at_least" and around.get("currency"):
            yield value.end_mark.line, format_amount(int(value.value), around["currency"])
