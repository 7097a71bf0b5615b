"""The European Central Bank's reference rates: its history file read to exact decimals, layered with later files.

Prices are of one EUR, as published. Knows no files, only their text; finding the rate of a pair is `rates`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from refref.core.refusals import Refused

EURO = "eur"
_SATURDAY = 5
_NEWEST_DAYS = 7
_HEADER = re.compile(r"Date(,[A-Z]{3})+,?")
_LINE = re.compile(r"(\d{4}-\d\d-\d\d)((?:,(?:N/A|(?=[0.]*[1-9])\d{1,12}(?:\.\d{1,12})?)?)+)", re.ASCII)
_REMEDY = "Upload eurofxref-hist.zip, or the eurofxref-hist.csv inside it, as the European Central Bank publishes it."


@dataclass(frozen=True, slots=True)
class EcbHistory:
    """Prices of one EUR by day and currency.

    `lines`: day (ordinal) -> the file's line; `columns`: currency -> its place there; `later`: day -> currency -> the
    price that a later file gave, with the number of the upload. `last_day`: up to where the files reach.
    """

    columns: Mapping[str, int]
    lines: Mapping[int, str]
    last_day: date
    later: Mapping[int, Mapping[str, tuple[str, int]]] = field(default_factory=dict)

    def price(self, currency: str, day: int) -> tuple[str, int] | None:
        """How many of `currency` one EUR cost on a day (ordinal), with the upload that said so (0: none); or None."""
        if currency == EURO:
            return ("1", 0) if day in self.lines or day in self.later else None
        later = self.later.get(day)
        if later is not None and currency in later:
            return later[currency]
        line = self.lines.get(day)
        column = self.columns.get(currency)
        if line is None or column is None:
            return None
        price = line.split(",")[column]
        return (price, 0) if price not in ("", "N/A") else None

    def prices(self, day: int) -> dict[str, str]:
        """Every price of a day (ordinal); empty on a day without rates."""
        line = self.lines.get(day)
        cells = line.split(",") if line is not None else []
        found = {c: cells[at] for c, at in self.columns.items() if cells and cells[at] not in ("", "N/A")}
        found.update({currency: price for currency, (price, _) in self.later.get(day, {}).items()})
        return found

    def has_currency(self, currency: str) -> bool:
        """Whether the newest days have the currency; the bank gave up some, such as HRK and RUB."""
        last = self.last_day.toordinal()
        return any(self.price(currency, day) is not None for day in range(last, last - _NEWEST_DAYS, -1))

    def is_known(self, day: int) -> bool:
        """Whether a day's rates, or that it has none, are known for good. On Saturdays and Sundays there are none."""
        last = self.last_day.toordinal()
        return all(date.fromordinal(between).weekday() >= _SATURDAY for between in range(last + 1, day + 1))

    def with_later(self, later: Mapping[int, Mapping[str, tuple[str, int]]], last_day: date) -> EcbHistory:
        """The same with what later files added and corrected."""
        return EcbHistory(self.columns, self.lines, max(self.last_day, last_day), later)


def parse_ecb(text: str) -> EcbHistory:
    """The history of the bank's CSV text. Raises Refused("invalid_rates") naming the line."""
    rows = text.splitlines()
    header = rows[0].replace(" ", "") if rows else ""
    if not _HEADER.fullmatch(header):
        raise Refused("invalid_rates", f"Line 1 is not the heading Date,USD,JPY,… {_REMEDY}", "file")
    names = [name.lower() for name in header.rstrip(",").split(",")]
    columns = {name: at for at, name in enumerate(names) if at}
    if len(columns) != len(names) - 1 or EURO in columns:
        raise Refused("invalid_rates", f"Line 1 names a currency twice, or the euro. {_REMEDY}", "file")
    lines: dict[int, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        day = _day_of(row)
        if day is None or row.count(",") < len(columns):
            raise Refused(
                "invalid_rates", f"Line {number} is not a day with a rate for each currency. {_REMEDY}", "file"
            )
        lines[day] = row
    if not lines:
        raise Refused("invalid_rates", f"The file has no days. {_REMEDY}", "file")
    return EcbHistory(columns, lines, date.fromordinal(max(lines)))


def _day_of(row: str) -> int | None:
    found = _LINE.fullmatch(row)
    if found is None:
        return None
    try:
        return date.fromisoformat(found[1]).toordinal()
    except ValueError:
        return None
