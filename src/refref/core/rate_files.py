"""A merchant's own rates as CSV (`date,from,to,rate`), and what an upload of rates would change. Reads no files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Literal

import msgspec

from refref.core.ecb import EURO, EcbHistory
from refref.core.rates import DECIMAL, LOOK_BACK_DAYS, Given, Rate, RateBook, decimal_text, ratio
from refref.core.refusals import Refused

Source = Literal["csv", "ecb"]
COLUMNS = ("date", "from", "to", "rate")
MAX_LINES = 100_000
SHOWN = 20
_FAR_OFF_PERCENT = 10
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class RateRow(msgspec.Struct, frozen=True):
    """One rate of a file: what one whole unit of `source` costs in `target` on a day, an exact decimal."""

    day: date
    source: str
    target: str
    rate: str
    line: int = 0


class Fault(msgspec.Struct, frozen=True):
    """What is wrong in a file, and where."""

    line: int
    column: str
    sentence: str

    def __str__(self) -> str:
        return f"Line {self.line}, column {self.column}: {self.sentence}"


class ChangedRate(msgspec.Struct, frozen=True):
    """A rate that an upload supersedes."""

    day: date
    source: str
    target: str
    before: str
    after: str


class UploadPlan(msgspec.Struct, frozen=True):
    """What an upload would do. `rows` are those to store, new and changed; `last_day` is up to where the file reaches.

    `first_touched` and `last_touched` bound the days whose answers can change; None where none can. `changed` and
    `warnings` are the first SHOWN of them.
    """

    source: Source
    rows: tuple[RateRow, ...]
    first_day: date
    last_day: date
    total_count: int
    new_count: int
    changed_count: int
    changed: tuple[ChangedRate, ...]
    warnings: tuple[str, ...]
    pairs: tuple[str, ...]
    first_touched: date | None
    last_touched: date | None

    @property
    def is_empty(self) -> bool:
        """Whether all of it is known already."""
        return self.first_touched is None


def read_csv(text: str) -> tuple[RateRow, ...]:
    """The rates of a merchant's file. Raises Refused("invalid_rates") naming line and column of the first faults."""
    rows, faults = check_csv(text)
    if faults:
        more = f" There are {len(faults) - 3} more faults." if len(faults) > 3 else ""
        raise Refused("invalid_rates", " ".join(str(fault) for fault in faults[:3]) + more, "file")
    if not rows:
        raise Refused(
            "invalid_rates", "The file has a heading and no rates. Give a line such as 2026-01-05,eur,usd,1.1.", "file"
        )
    return tuple(rows)


def check_csv(text: str) -> tuple[list[RateRow], list[Fault]]:
    """Every rate that can be read and every fault, in order of lines."""
    lines = text.removeprefix("\ufeff").splitlines()
    if len(lines) > MAX_LINES:
        return [], [Fault(MAX_LINES, "date", f"A file has at most {MAX_LINES} lines: split it.")]
    reader = csv.reader(lines)
    rows: list[RateRow] = []
    faults: list[Fault] = []
    first: dict[tuple[date, str, str], RateRow] = {}
    for number, cells in _numbered(reader, faults):
        cells = [cell.strip() for cell in cells]
        if number == 1:
            if tuple(cell.lower() for cell in cells) != COLUMNS:
                sentence = f"the first line must be the heading {','.join(COLUMNS)}."
                return [], [Fault(1, "date", sentence)]
            continue
        if not any(cells):
            continue
        row, found = _row(number, cells)
        faults.extend(found)
        if row is None:
            continue
        known = first.setdefault((row.day, row.source, row.target), row)
        if known is row:
            rows.append(row)
        elif ratio(known.rate) != ratio(row.rate):
            sentence = f"line {known.line} gives {known.rate} for the same day and currencies. Keep one of them."
            faults.append(Fault(number, "rate", sentence))
    if not lines:
        faults.append(Fault(1, "date", f"the file is empty; begin with the heading {','.join(COLUMNS)}."))
    return rows, faults


def _numbered(reader: Iterator[list[str]], faults: list[Fault]) -> Iterator[tuple[int, list[str]]]:
    number = 0
    while True:
        number += 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.append(Fault(number, "date", f"this is not CSV ({error})."))
            return


def _row(line: int, cells: Sequence[str]) -> tuple[RateRow | None, list[Fault]]:
    if len(cells) != len(COLUMNS):
        return None, [Fault(line, "rate", f"{len(cells)} columns instead of {len(COLUMNS)}; decimals take a point.")]
    faults: list[Fault] = []
    try:
        day = date.fromisoformat(cells[0])
    except ValueError:
        day = None
    if day is None or not _DAY.fullmatch(cells[0]):  # other forms of ISO 8601 are read too
        faults.append(Fault(line, "date", f"{_quoted(cells[0])} is no date; write 2026-01-31."))
    source, target = cells[1].lower(), cells[2].lower()
    for name, currency in (("from", source), ("to", target)):
        if not is_currency(currency):
            faults.append(Fault(line, name, f"{_quoted(currency)} is no currency; write three letters such as usd."))
    if source == target:
        faults.append(Fault(line, "to", "the two currencies are the same."))
    if not DECIMAL.fullmatch(cells[3]) or not cells[3].strip("0."):
        remedy = "write a number above 0 with a point and at most 12 decimals, such as 1.0842."
        faults.append(Fault(line, "rate", f"{_quoted(cells[3])} is no rate; {remedy}"))
    if faults or day is None:
        return None, faults
    return RateRow(day, source, target, cells[3], line), []


def is_currency(text: str) -> bool:
    """Whether a text has the form of a currency: three lower-case letters."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.islower()


def _quoted(text: str) -> str:
    return f"“{text[:40]}”" if text else "nothing"


def plan_csv(book: RateBook, rows: Sequence[RateRow]) -> UploadPlan:
    """What a merchant's file would change in the organization's book."""
    kept: list[RateRow] = []
    changed: list[ChangedRate] = []
    warnings: list[str] = []
    new_count = 0
    for row in rows:
        known = book.given.get((row.source, row.target), {}).get(row.day.toordinal())
        if known is not None and ratio(known[0]) == ratio(row.rate):
            continue
        kept.append(row)
        if known is None:
            new_count += 1
        else:
            changed.append(ChangedRate(row.day, row.source, row.target, known[0], row.rate))
        warnings.extend(_doubt(book, row) if len(warnings) < SHOWN else ())
    pairs = sorted({f"{row.source}/{row.target}" for row in rows})
    days = [row.day for row in kept]
    return _plan("csv", kept, [row.day for row in rows], new_count, changed, warnings, pairs, days)


def plan_ecb(book: RateBook, given: EcbHistory) -> UploadPlan:
    """What a newer history of the bank's would change."""
    kept: list[RateRow] = []
    changed: list[ChangedRate] = []
    total_count = new_count = 0
    same_columns = given.columns == book.ecb.columns
    for day in sorted(given.lines):
        if same_columns and day not in book.ecb.later and given.lines[day] == book.ecb.lines.get(day):
            total_count += given.lines[day].rstrip(",").count(",") - given.lines[day].count("N/A")
            continue
        known = book.ecb.prices(day)
        for currency, price in sorted(given.prices(day).items()):
            total_count += 1
            before = known.get(currency)
            if before is not None and ratio(before) == ratio(price):
                continue
            kept.append(RateRow(date.fromordinal(day), EURO, currency, price))
            if before is None:
                new_count += 1
            else:
                changed.append(ChangedRate(date.fromordinal(day), EURO, currency, before, price))
    days = [row.day for row in kept]
    if given.last_day > book.ecb.last_day:
        days += [book.ecb.last_day, given.last_day]
    pairs = sorted({f"{EURO}/{row.target}" for row in kept})
    everything = [date.fromordinal(day) for day in given.lines]
    plan = _plan("ecb", kept, everything, new_count, changed, [], pairs, days)
    return msgspec.structs.replace(plan, total_count=total_count)


def _plan(
    source: Source,
    kept: list[RateRow],
    everything: list[date],
    new_count: int,
    changed: list[ChangedRate],
    warnings: list[str],
    pairs: list[str],
    touched: list[date],
) -> UploadPlan:
    return UploadPlan(
        source,
        tuple(kept),
        min(everything),
        max(everything),
        len(everything),
        new_count,
        len(changed),
        tuple(changed[:SHOWN]),
        tuple(warnings),
        tuple(pairs),
        min(touched, default=None),
        date.fromordinal(min(max(touched).toordinal() + LOOK_BACK_DAYS, date.max.toordinal())) if touched else None,
    )


def _doubt(book: RateBook, row: RateRow) -> list[str]:
    """Says so where a merchant's rate is far from the bank's: most often the two currencies are swapped."""
    bank = RateBook(book.ecb).latest(row.source, row.target, row.day)
    if not isinstance(bank, Rate):
        return []
    (given_n, given_d), (bank_n, bank_d) = ratio(row.rate), ratio(bank.rate)
    off_by = abs(given_n * bank_d - bank_n * given_d) * 100
    if off_by <= _FAR_OFF_PERCENT * bank_n * given_d:
        return []
    return [
        f"Line {row.line}: {row.rate} {row.target.upper()} for one {row.source.upper()} is more than "
        f"{_FAR_OFF_PERCENT} % off the European Central Bank's {decimal_text(bank)} of {bank.on}. Is it turned around?"
    ]


def ecb_rows_by_day(rows: Sequence[tuple[RateRow, int]]) -> Mapping[int, Mapping[str, Given]]:
    """Stored rows of later histories, in order of upload, as EcbHistory layers them: a later upload wins."""
    found: dict[int, dict[str, Given]] = {}
    for row, upload_no in rows:
        found.setdefault(row.day.toordinal(), {})[row.target] = (row.rate, upload_no)
    return found


def own_rows_by_pair(rows: Sequence[tuple[RateRow, int]]) -> Mapping[tuple[str, str], Mapping[int, Given]]:
    """Stored rows of a merchant's own, in order of upload, as RateBook takes them: a later upload wins."""
    found: dict[tuple[str, str], dict[int, Given]] = {}
    for row, upload_no in rows:
        found.setdefault((row.source, row.target), {})[row.day.toordinal()] = (row.rate, upload_no)
    return found
