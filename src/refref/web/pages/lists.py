"""What every list page has: filters from the address, the links of paging and of the CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

from refref.db.programs import Program
from refref.web.pages.rendering import with_query


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a filter."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Select:
    """A filter with a fixed set of options; the first one, empty, is `any_label`."""

    name: str
    label: str
    any_label: str
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class Listing:
    """The filters of a list page and the links that keep them."""

    path: str
    values: Mapping[str, str]
    selects: Sequence[Select]
    search_label: str
    cursor: str | None
    next_cursor: str | None = None
    count: int = 0
    has_csv: bool = True
    hidden: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_filtered(self) -> bool:
        return any(self.values.values())

    @property
    def next_link(self) -> str | None:
        return with_query(self.path, {**self.values, "cursor": self.next_cursor}) if self.next_cursor else None

    @property
    def first_link(self) -> str:
        return with_query(self.path, self.values)

    @property
    def csv_link(self) -> str:
        return with_query(f"{self.path}.csv", self.values)


def asked(request: Request, *names: str) -> dict[str, str]:
    """The filters of a request by name, empty where nothing was chosen."""
    return {name: request.query_params.get(name, "").strip() for name in names}


def select_of_programs(known: Sequence[Program], values: Mapping[str, str]) -> list[Select]:
    """The filter by program; none where there is nothing to choose."""
    if len(known) < 2 and not values["program"]:
        return []
    choices = [Choice(program.program_id, program.name) for program in known]
    return [Select("program", "Program", "Any program", choices)]
