"""Exchange rates as uploads with their rows, and the organization's book made of them. Nothing here is ever changed.

The bank's history that comes with RefRef is a file and has no rows; a book layers the uploads over it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from refref.core.rate_files import RateRow, ecb_rows_by_day, own_rows_by_pair
from refref.core.rates import RateBook
from refref.db.pool import Connection
from refref.ecb_file import bundled_history

UploadSource = Literal["bundled", "ecb", "csv"]
_COLUMNS = (
    "upload_no, source, file_name, first_day, last_day, rate_count, changed_count, scope_count, uploaded_by,"
    " uploaded_at"
)
_BOOKS_KEPT = 32


@dataclass(frozen=True, slots=True)
class RateUpload:
    """One upload. `rate_count`: rates stored; `changed_count`: those of them that superseded another; `scope_count`:
    scopes that were settled again because of it."""

    upload_no: int
    source: UploadSource
    file_name: str
    first_day: date
    last_day: date
    rate_count: int
    changed_count: int
    scope_count: int
    uploaded_by: str
    uploaded_at: datetime


_books: OrderedDict[tuple[str, int, datetime | None], RateBook] = OrderedDict()


async def rate_book(tx: Connection, organization_id: str) -> RateBook:
    """The rates of an organization as they are now; one query, and the same book again until somebody uploads."""
    newest = await tx.fetchrow(
        "select upload_no, uploaded_at from rate_upload where organization_id = $1 order by upload_no desc limit 1",
        organization_id,
    )
    key = (organization_id, 0, None) if newest is None else (organization_id, newest[0], newest[1])
    book = _books.get(key)
    if book is None:
        book = _books[key] = await _read_book(tx, organization_id)
        while len(_books) > _BOOKS_KEPT:
            _books.popitem(last=False)
    _books.move_to_end(key)
    return book


async def _read_book(tx: Connection, organization_id: str) -> RateBook:
    rows = await tx.fetch(
        """
        select u.source, r.day, r.source_currency, r.target_currency, r.rate, r.upload_no
        from exchange_rate r
        join rate_upload u on u.organization_id = r.organization_id and u.upload_no = r.upload_no
        where r.organization_id = $1 order by r.upload_no
        """,
        organization_id,
    )
    last_day = await last_day_of(tx, organization_id, "ecb")
    of_bank = [(RateRow(*row[1:5]), row[5]) for row in rows if row[0] == "ecb"]
    own = [(RateRow(*row[1:5]), row[5]) for row in rows if row[0] == "csv"]
    history = bundled_history()
    if last_day is not None:
        history = history.with_later(ecb_rows_by_day(of_bank), last_day)
    return RateBook(history, own_rows_by_pair(own))


async def lock_uploads(tx: Connection, organization_id: str) -> int:
    """Wait for the right to upload, held until the transaction ends; returns the number of the next upload."""
    await tx.execute("select pg_advisory_xact_lock(hashtextextended('rates ' || $1, 0))", organization_id)
    number: int = await tx.fetchval(
        "select coalesce(max(upload_no), 0) + 1 from rate_upload where organization_id = $1", organization_id
    )
    return number


async def insert_upload(
    tx: Connection, organization_id: str, upload: RateUpload, file_digest: bytes | None, rows: Sequence[RateRow]
) -> None:
    """Add an upload with its rates."""
    await tx.execute(
        f"insert into rate_upload (organization_id, file_digest, {_COLUMNS})"  # noqa: S608 - a constant
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        organization_id,
        file_digest,
        upload.upload_no,
        upload.source,
        upload.file_name,
        upload.first_day,
        upload.last_day,
        upload.rate_count,
        upload.changed_count,
        upload.scope_count,
        upload.uploaded_by,
        upload.uploaded_at,
    )
    if rows:
        await tx.execute(
            """
            insert into exchange_rate (organization_id, upload_no, day, source_currency, target_currency, rate)
            select $1, $2, r.* from unnest($3::date[], $4::text[], $5::text[], $6::text[]) r
            """,
            organization_id,
            upload.upload_no,
            [row.day for row in rows],
            [row.source for row in rows],
            [row.target for row in rows],
            [row.rate for row in rows],
        )


async def uploads(
    tx: Connection, organization_id: str, *, before: int | None = None, limit: int = 50
) -> list[RateUpload]:
    """The newest uploads first, those with numbers below `before`."""
    rows = await tx.fetch(
        f"select {_COLUMNS} from rate_upload where organization_id = $1 and ($2::int is null or upload_no < $2)"  # noqa: S608 - a constant
        " order by upload_no desc limit $3",
        organization_id,
        before,
        limit,
    )
    return [RateUpload(**row) for row in rows]


async def last_day_of(tx: Connection, organization_id: str, source: UploadSource) -> date | None:
    """Up to where the uploads of a source reach; `bundled`: what the books know of the history RefRef comes with."""
    day: date | None = await tx.fetchval(
        "select max(last_day) from rate_upload where organization_id = $1 and source = $2", organization_id, source
    )
    return day


async def count_scopes_of_days(tx: Connection, organization_id: str, first_day: date, last_day: date) -> int:
    """How many scopes have a conversion on one of the days (UTC, both included)."""
    count: int = await tx.fetchval(
        """
        select count(*) from (
          select distinct connection_id, scope_id from decision
          where organization_id = $1 and occurred_at >= $2::date and occurred_at < $3::date + 1
        ) touched
        """,
        organization_id,
        first_day,
        last_day,
    )
    return count


async def mark_days_dirty(tx: Connection, organization_id: str, first_day: date, last_day: date) -> int:
    """Ask for the scopes with a conversion on one of the days to be settled again; returns how many there are."""
    count = await count_scopes_of_days(tx, organization_id, first_day, last_day)
    await tx.execute(
        """
        insert into dirty_scope (organization_id, connection_id, scope_id)
        select distinct $1, connection_id, scope_id from decision
        where organization_id = $1 and occurred_at >= $2::date and occurred_at < $3::date + 1
        on conflict do nothing
        """,
        organization_id,
        first_day,
        last_day,
    )
    return count
