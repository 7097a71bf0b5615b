"""A file of bonds: which customer was referred by which code, a line each. Reads and judges; stores nothing."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from refref.core.refusals import Refused

COLUMNS = ("customer", "code", "clicked_at")
MAX_LINES = 5_000
_SHOWN = 5
_CUSTOMER = re.compile(r"(cus|acct)_[A-Za-z0-9_]{1,250}|[^@\s\x00]{1,120}@[^@\s\x00]{1,120}")


@dataclass(frozen=True, slots=True)
class Bond:
    """A customer (Stripe id or e-mail address) and the code that referred it; `clicked_at` in seconds since 1970.

    `line`: where it stands in its file, from 1; 0 for one that was not given in a file.
    """

    customer: str
    code: str
    clicked_at: int | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class BondFault:
    """What is wrong in one cell; line 0: it was not given in a file, and `column` is the field."""

    line: int
    column: str
    sentence: str

    def __str__(self) -> str:
        if self.line:
            return f"Line {self.line}, {self.column}: {self.sentence}"
        return self.sentence[:1].upper() + self.sentence[1:]


def refused_bonds(faults: Sequence[BondFault]) -> Refused:
    """The refusal that names line and column of the first faults."""
    more = f" There are {len(faults) - _SHOWN} more faults." if len(faults) > _SHOWN else ""
    sentence = " ".join(str(fault) for fault in faults[:_SHOWN]) + more
    return Refused("invalid_bonds", sentence, "file" if faults[0].line else faults[0].column)


def read_bonds(content: bytes) -> tuple[Bond, ...]:
    """The bonds of a CSV file in UTF-8 with the heading `customer,code` or `customer,code,clicked_at`; semicolons or
    tabs between the cells will do, too, as spreadsheets write them.

    Raises Refused("invalid_bonds") naming line and column of the first faults.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused("invalid_bonds", "The file is not in UTF-8. Save it as CSV in UTF-8.", "file") from error
    faults: list[BondFault] = []
    try:
        bonds = _read(text, faults)
    except csv.Error as error:
        sentence = "The file cannot be read as CSV: a quotation mark is not closed, or a cell is far too long."
        raise Refused("invalid_bonds", sentence, "file") from error
    if faults:
        raise refused_bonds(faults)
    if not bonds:
        sentence = "The file names no customer. Give the heading customer,code,clicked_at and a line for each."
        raise Refused("invalid_bonds", sentence, "file")
    return tuple(bonds)


def _read(text: str, faults: list[BondFault]) -> list[Bond]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) > MAX_LINES:
        faults.append(BondFault(MAX_LINES, "customer", f"a file has at most {MAX_LINES} lines: split it."))
        return []
    if not lines:
        return []
    reader = csv.reader(lines, delimiter=next((mark for mark in ";\t" if mark in lines[0]), ","))
    heading = tuple(cell.strip().lower() for cell in next(reader))
    if heading not in (COLUMNS, COLUMNS[:2]):
        sentence = f"the first line must be the heading {','.join(COLUMNS)}; the last column may be left out."
        faults.append(BondFault(1, "customer", sentence))
        return []
    bonds: list[Bond] = []
    first: dict[str, int] = {}
    for row in reader:
        number, cells = reader.line_num, [cell.strip() for cell in row]
        if not any(cells):
            continue
        found = list(_faults(number, cells, heading, first))
        faults.extend(found)
        if not found:
            clicked_at = _instant(cells[2]) if len(cells) > 2 and cells[2] else None
            bonds.append(Bond(cells[0], cells[1], clicked_at, number))
    return bonds


def _faults(line: int, cells: Sequence[str], heading: Sequence[str], first: dict[str, int]) -> Iterator[BondFault]:
    if len(cells) > len(heading) or len(cells) < 2:
        yield BondFault(line, heading[-1], f"there are {len(cells)} cells; give {', '.join(heading)}.")
        return
    if not _CUSTOMER.fullmatch(cells[0]):
        yield BondFault(line, "customer", f"“{cells[0][:60]}” is neither a Stripe customer id (cus_…) nor an e-mail.")
    elif first.setdefault(cells[0].lower(), line) != line:
        yield BondFault(line, "customer", f"line {first[cells[0].lower()]} names the same customer. Keep one of them.")
    if not cells[1] or len(cells[1]) > 64 or not cells[1].isprintable():
        yield BondFault(line, "code", "give a refcode, a promotion code's id or a participant's id.")
    if len(cells) > 2 and cells[2] and _instant(cells[2]) is None:
        yield BondFault(line, "clicked_at", f"“{cells[2][:40]}” is no instant; give one such as 2026-01-31T00:00:00Z.")


def _instant(text: str) -> int | None:
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None
