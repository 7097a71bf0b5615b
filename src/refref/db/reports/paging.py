"""Keyset paging and optional filters of the read queries: no offsets, every value a bound parameter."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import asyncpg
import msgspec

from refref.core.refusals import Refused
from refref.db.pool import Connection

T = TypeVar("T")

MAX_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and where the next ones start (None: there are no more)."""

    rows: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Amount:
    """Whole minor units of one currency (lower case)."""

    currency: str
    amount_minor: int


class Filter:
    """Collects conditions with `?` for each value and numbers them for PostgreSQL."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._conditions: list[str] = []
        self._values: list[object] = []

    def add(self, condition: str, *values: object) -> None:
        """Require a condition; each `?` in it stands for the next value."""
        for value in values:
            self._values.append(value)
            condition = condition.replace("?", f"${len(self._values)}", 1)
        self._conditions.append(condition)

    def add_given(self, condition: str, value: object) -> None:
        """Require the condition unless `value` is None or empty (a filter nobody chose)."""
        if value not in (None, ""):
            self.add(condition, value)

    def add_search(self, columns: Sequence[str], text: str | None) -> None:
        """Require that one of the columns contains `text`, whatever its case."""
        if text and text.strip():
            pattern = "%" + text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            self.add("(" + " or ".join(f"{column} ilike ?" for column in columns) + ")", *[pattern] * len(columns))

    def copy(self) -> Filter:
        """One that can be narrowed further without changing this one."""
        other = Filter(self._sql)
        other._conditions, other._values = [*self._conditions], [*self._values]
        return other

    def query(self, limit: int) -> tuple[str, list[object]]:
        """The statement, `{where}` and `{limit}` filled in, and its values; asks for one row more than `limit`."""
        where = " and ".join(self._conditions) or "true"
        values = [*self._values, limit + 1]
        return self._sql.replace("{where}", where).replace("{limit}", f"${len(values)}"), values


async def fetch_recent_first(
    tx: Connection, wanted: Filter, limit: int, instant_column: str, before: datetime | None
) -> list[asyncpg.Record]:
    """The newest `limit` + 1 rows, looked for in one month first (up to now, or to `before`), then everywhere.

    The tables are large and their instants have block-range indexes only: a month is cheap, all of time is a scan.
    """
    month = wanted.copy()
    if before is None:
        month.add(f"{instant_column} >= now() - interval '31 days'")
    else:
        month.add(f"{instant_column} >= ?", before - timedelta(days=31))
    sql, values = month.query(limit)
    rows: list[asyncpg.Record] = await tx.fetch(sql, *values)
    if len(rows) <= limit:
        sql, values = wanted.query(limit)
        rows = await tx.fetch(sql, *values)
    return rows


def page_of(
    records: Sequence[asyncpg.Record], limit: int, make: Callable[[asyncpg.Record], T], key: Sequence[str]
) -> Page[T]:
    """The page of `limit` + 1 fetched records; `key` names the columns that the list is ordered by."""
    shown = records[:limit]
    cursor = encode_cursor([shown[-1][name] for name in key]) if len(records) > limit else None
    return Page(tuple(make(record) for record in shown), cursor)


def clamp_limit(limit: int) -> int:
    """Between 1 and MAX_LIMIT rows."""
    return max(1, min(limit, MAX_LIMIT))


def encode_cursor(key: Sequence[object]) -> str:
    """An opaque string for the last row's sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(key))).decode().rstrip("=")


def decode_instant_and_id(cursor: str) -> tuple[datetime, str]:
    """The (instant, id) of a cursor; raises Refused on anything that we did not hand out."""
    return _decode(cursor, tuple[datetime, str])


def decode_number(cursor: str) -> int:
    """The number of a cursor; raises Refused on anything that we did not hand out."""
    return _decode(cursor, tuple[int])[0]


def decode_id(cursor: str) -> str:
    """The id of a cursor; raises Refused on anything that we did not hand out."""
    return _decode(cursor, tuple[str])[0]


def _decode(cursor: str, shape: type[T]) -> T:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=shape)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise Refused("invalid_cursor", "This page link is not valid. Start from the first page.", "cursor") from error
