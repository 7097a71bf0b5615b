"""A program and its terms as a file, in YAML or JSON: read with the line of every fault, written with comments.

YAML as in its version 1.2: only `true` and `false` are booleans (`on` and `NO` are texts), and instants are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec
import yaml

from refref.core.faults import Fault, text_faults
from refref.core.money import format_amount
from refref.core.placed_file import DocumentRefused, Yaml12Loader, parsed_file, placed_faults
from refref.core.terms import Duration, QualifyingEvent, RewardRule, Strict, Terms, Tiers
from refref.core.terms_check import faults_of
from refref.core.terms_shape import shape_fault
from refref.core.words import percent

MAX_TEXT = 20_000  # of eligibility and terms text
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


def read_document(text: str) -> TermsDocument:
    """The document of a file's text, checked. Raises DocumentRefused with every fault (of a wrong shape: the first)."""
    given, lines = parsed_file(text)
    fault = shape_fault(given, TermsDocument, "")
    if fault is not None:
        raise DocumentRefused(placed_faults([Fault(fault.field.removeprefix("."), fault.sentence)], lines))
    found = msgspec.convert(given, TermsDocument)
    faults = [*_program_faults(found.program), *faults_of(found.terms)]
    if faults:
        raise DocumentRefused(placed_faults(faults, lines))
    return found


def read_terms(text: str) -> Terms:
    """The terms of a file that holds a document, or terms alone. Raises DocumentRefused."""
    given, lines = parsed_file(text)
    if isinstance(given, dict) and "terms" in given:
        return read_document(text).terms
    fault = shape_fault(given, Terms, "terms")
    below = {f"terms.{path}": line for path, line in lines.items()}
    if fault is not None:
        raise DocumentRefused(placed_faults([fault], below))
    found = msgspec.convert(given, Terms)
    if faults := faults_of(found):
        raise DocumentRefused(placed_faults(faults, below))
    return found


def document_to_json(document: TermsDocument) -> str:
    """The file as JSON, without what is as by default."""
    return msgspec.json.format(msgspec.json.encode(_shown(document)), indent=2).decode() + "\n"


def document_to_yaml(document: TermsDocument, head: str = "") -> str:
    """The file as YAML, without what is as by default; comments say rates and amounts in words. `head`: first lines."""
    body = yaml.dump(_shown(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    comments = dict(_comments(yaml.compose(body, Loader=Yaml12Loader), "", {}))
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


class _Dumper(yaml.SafeDumper):
    """Lists are indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if not text.replace("\n", "").isprintable():
        style = '"'  # other line breaks and control characters, which only escapes bring back
    elif "\n" in text and not re.search(r"[^\S\n ]|[ ]\n", text):
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


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
