"""Lists as CSV files: streamed page by page, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar

from starlette.responses import StreamingResponse

from refref.db.pool import Connection
from refref.db.reports import Page
from refref.db.reports.paging import MAX_LIMIT
from refref.web.pages.viewer import Viewer

T = TypeVar("T")
Fetch = Callable[[Connection, str | None, int], Awaitable[Page[T]]]
Cell = str | int | datetime | None


def csv_response(
    viewer: Viewer, name: str, header: Sequence[str], fetch: Fetch[T], cells: Callable[[T], Sequence[Cell]]
) -> StreamingResponse:
    """Every row that `fetch` (transaction, cursor, limit) gives, as the file `name`.csv."""

    async def lines() -> AsyncIterator[str]:
        yield _line(header)
        cursor: str | None = None
        while True:
            async with viewer.transaction() as tx:
                page = await fetch(tx, cursor, MAX_LIMIT)
            yield "".join(_line([cell_text(cell) for cell in cells(row)]) for row in page.rows)
            cursor = page.next_cursor
            if cursor is None:
                return

    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()


def cell_text(cell: Cell) -> str:
    """A cell as text; what a spreadsheet would run as a formula gets an apostrophe before it."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat()
    text = str(cell)
    is_number = text.lstrip("+-").replace(".", "", 1).isdigit()
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not is_number else text
