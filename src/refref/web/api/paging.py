"""Lists of the API: `limit`, `cursor` and `search` in, `data` and `next_cursor` out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from refref.core.refusals import Refused
from refref.db.reports import Page
from refref.db.reports.paging import MAX_LIMIT

T = TypeVar("T")
R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many rows at most.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.", max_length=500)]
Search = Annotated[str | None, Query(max_length=200)]


class PageOf(BaseModel, Generic[T]):
    """Some rows, the newest first. `next_cursor` is null on the last page."""

    data: list[T]
    next_cursor: str | None


def present_page(page: Page[R], present: Callable[[R], T]) -> PageOf[T]:
    """A page of a report, each row presented."""
    return PageOf(data=[present(row) for row in page.rows], next_cursor=page.next_cursor)


def present_rows(rows: Sequence[R], limit: int, present: Callable[[R], T], id_of: Callable[[R], str]) -> PageOf[T]:
    """A page of rows that were fetched newest first, one more than `limit`, ordered by an id of ours."""
    shown = rows[:limit]
    cursor = id_of(shown[-1]) if len(rows) > limit else None
    return PageOf(data=[present(row) for row in shown], next_cursor=cursor)


def before_id(cursor: str | None, prefix: str) -> str | None:
    """The id that a page starts before; raises Refused("invalid_cursor") on anything that we did not hand out."""
    if cursor is not None and not re.fullmatch(f"{prefix}_[0-9a-z]{{20}}", cursor):
        raise Refused("invalid_cursor", "This cursor is not valid. Start from the first page.", "cursor")
    return cursor
