"""Reading a story's file: every fault with its line, field and remedy. Judges the file, plays nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from refref.core.faults import Fault
from refref.core.placed_file import DocumentRefused, PlacedFault, parsed_file, placed_faults
from refref.core.terms import Terms
from refref.core.terms_check import faults_of
from refref.core.terms_shape import shape_fault
from refref.simulator.checks import story_faults
from refref.simulator.story import (
    Catalogue,
    Coupon,
    Customer,
    Expectations,
    Participant,
    Product,
    PromotionCode,
    Step,
    Story,
    TaxRate,
)

_LISTS: Mapping[str, type[msgspec.Struct]] = {"participants": Participant, "customers": Customer, "happens": Step}
_CATALOGUE: Mapping[str, type[msgspec.Struct]] = {
    "products": Product,
    "coupons": Coupon,
    "promotion_codes": PromotionCode,
    "tax_rates": TaxRate,
}
_PARTS: Mapping[str, type[msgspec.Struct]] = {"terms": Terms, "catalogue": Catalogue, "expect": Expectations}
_BY_THEMSELVES = ("terms", "expect")  # the rest can be judged without them
# How a text is written that people take for a number.
_WRITTEN = {"amount": "12.00 USD", "taken_back": "2.00 USD", "off": "10 %", "rate": "20 %", "shipping": "5.00 USD"}


class ReadStory(msgspec.Struct, frozen=True):
    """A story with the line of each of its fields (`happens.3.buys`)."""

    story: Story
    lines: Mapping[str, int]

    def line_of(self, field: str) -> int:
        """The line of a field, or of the nearest thing around it that is written."""
        return self.refusal([Fault(field, "")]).faults[0].line

    def refusal(self, faults: list[Fault]) -> DocumentRefused:
        """These faults, each with its line."""
        return DocumentRefused(placed_faults(faults, self.lines))


def read_story(text: str) -> ReadStory:
    """The story of a file's text, checked. Raises DocumentRefused with every fault that was found."""
    given, lines = parsed_file(text)
    faults = list(_shape_faults(given))
    if any(fault.field.partition(".")[0] not in _BY_THEMSELVES for fault in faults):
        raise DocumentRefused(placed_faults(faults, lines))
    assert isinstance(given, dict)  # or it had a fault
    broken = {fault.field.partition(".")[0] for fault in faults}
    story = msgspec.convert({name: part for name, part in given.items() if name not in broken}, Story)
    faults += [*(faults_of(story.terms) if story.terms is not None else ()), *story_faults(story)]
    if faults:
        raise DocumentRefused(placed_faults(faults, lines))
    return ReadStory(story, lines)


def fault_lines(faults: tuple[PlacedFault, ...], name: str) -> list[str]:
    """Faults as `file:line: field: sentence`."""
    return [
        f"{name}:{fault.line}: {fault.field}: {fault.sentence}"
        if fault.field
        else f"{name}:{fault.line}: {fault.sentence}"
        for fault in faults
    ]


def _shape_faults(given: object) -> Iterator[Fault]:
    """What has a wrong shape: of each entry of a list the first, so that several are told at once."""
    if not isinstance(given, dict):
        yield Fault("", "A story has fields with values: title, starts, terms, participants, customers, happens.")
        return
    whole = dict(given)
    catalogue = whole.get("catalogue")
    if isinstance(catalogue, dict):
        catalogue = whole["catalogue"] = dict(catalogue)
        yield from _faults_of_lists(catalogue, _CATALOGUE, "catalogue.")
    yield from _faults_of_lists(whole, _LISTS, "")
    for name, wanted in _PARTS.items():
        if whole.get(name) is not None:
            fault = shape_fault(whole[name], wanted, name)
            if fault is not None:
                yield _in_words(fault)
                whole.pop(name)
    fault = shape_fault(whole, Story, "")
    if fault is not None:
        yield _in_words(Fault(fault.field.removeprefix("."), fault.sentence))


def _faults_of_lists(
    holder: dict[str, object], wanted: Mapping[str, type[msgspec.Struct]], where: str
) -> Iterator[Fault]:
    """The faults of entries; a list with one is taken out of the holder, which is checked afterwards."""
    for name, kind in wanted.items():
        entries = holder.get(name)
        if not isinstance(entries, list):
            continue
        faults = [shape_fault(entry, kind, f"{where}{name}.{number}") for number, entry in enumerate(entries)]
        found = [_in_words(fault) for fault in faults if fault is not None]
        yield from found
        if found:
            holder.pop(name)


def _in_words(fault: Fault) -> Fault:
    """A number where a text was meant gets the text as the remedy."""
    example = _WRITTEN.get(fault.field.rpartition(".")[2])
    if example is None or not fault.sentence.startswith("Give a text, not"):
        return fault
    return Fault(fault.field, f"Write it as people do, such as {example}.")
