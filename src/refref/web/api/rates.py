"""/v1/rates: what rates are known, looking one up, and taking files of rates in."""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.rate_files import UploadPlan
from refref.core.rates import LOOK_BACK_DAYS, Rate, decimal_text
from refref.core.refusals import Refused
from refref.db import rates as rate_rows
from refref.db.pool import Connection
from refref.db.rates import RateUpload
from refref.ecb_file import bundled_history
from refref.flows.rates import import_rates, look_up_rate, preview_rates
from refref.web.api.call import Reading, Writing
from refref.web.api.models import Out
from refref.web.api.paging import Cursor, Limit, PageOf, present_rows
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["rates"], generate_unique_id_function=operation_id)

_CURRENCY = {"max_length": 10, "examples": ["usd"]}


class OwnPairOut(Out):
    """A pair of which the organization gave rates of its own."""

    source: str
    target: str
    first_day: date
    last_day: date
    count: int


class RatesOut(Out):
    bundled_last_day: date = Field(
        description="Up to where the European Central Bank's history reaches that is installed."
    )
    ecb_last_day: date = Field(description="The same with the newer histories that were uploaded.")
    look_back_days: int = Field(description="How old a rate may be on a day without one.")
    own: list[OwnPairOut]


class RateOut(Out):
    source: str
    target: str
    rate: str = Field(description="Exact: a decimal or a quotient of two.", examples=["1.1172/0.8338"])
    rate_decimal: str = Field(description="The same to six significant digits, for people.", examples=["1.33989"])
    on: date | None = Field(description="The day of the rate.")
    origin: Literal["ecb", "csv", "stripe", "table", "same"]
    via: str | None = Field(description="The currency between, where the rate is a cross rate.")
    upload_no: int | None = Field(description="The upload that gave it; null for the installed history.")


class LookedUpOut(Out):
    """The rate that a conversion on the day takes, or why there is none."""

    rate: RateOut | None
    reason: Literal["no_rate", "rate_not_yet_known"] | None
    detail: str | None


class RateUploadOut(Out):
    upload_no: int
    source: Literal["bundled", "ecb", "csv"]
    file_name: str
    first_day: date
    last_day: date
    rate_count: int = Field(description="Rates that it added or changed.")
    changed_count: int = Field(description="Those of them that superseded another.")
    scope_count: int = Field(description="Customers whose sales were settled again because of it.")
    uploaded_by: str
    uploaded_at: datetime


class ChangedRateOut(Out):
    day: date
    source: str
    target: str
    before: str
    after: str


class TakenInOut(Out):
    """What a file did, or in a dry run would do. `upload` is null in a dry run and where all of it was known."""

    upload: RateUploadOut | None
    first_day: date
    last_day: date
    total_count: int = Field(description="Rates in the file.")
    new_count: int
    changed_count: int
    changed: list[ChangedRateOut] = Field(description="The first 20.")
    warnings: list[str]
    scope_count: int = Field(description="Customers whose sales are settled again.")


class RateFileIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: str = Field(description="csv: rates of your own, with the heading date,from,to,rate; ecb: a newer history.")
    file_name: str = Field(default="", max_length=300)
    content: str | None = Field(default=None, description="The text of the file.")
    content_base64: str | None = Field(default=None, description="Its bytes instead, such as eurofxref-hist.zip.")
    dry_run: bool = Field(default=False, description="Only tell what would change.")


@router.get("/rates")
async def get_rates(call: Reading) -> RatesOut:
    """Which exchange rates are known, and up to when."""
    async with call.transaction() as tx:
        book = await rate_rows.rate_book(tx, call.organization_id)
    own = [
        OwnPairOut(
            source=source,
            target=target,
            first_day=date.fromordinal(min(days)),
            last_day=date.fromordinal(max(days)),
            count=len(days),
        )
        for (source, target), days in sorted(book.given.items())
    ]
    return RatesOut(
        bundled_last_day=bundled_history().last_day,
        ecb_last_day=book.ecb.last_day,
        look_back_days=LOOK_BACK_DAYS,
        own=own,
    )


@router.get("/rates/lookup")
async def look_up(
    call: Reading,
    source: Annotated[str, Query(alias="from", **_CURRENCY)],
    target: Annotated[str, Query(alias="to", **_CURRENCY)],
    on: Annotated[date, Query(description="The day of the conversion, UTC.")],
) -> LookedUpOut:
    """The rate of a pair on a day, with its origin."""
    async with call.transaction() as tx:
        found = await look_up_rate(tx, call.organization_id, source, target, on)
    if isinstance(found, Rate):
        return LookedUpOut(rate=present_rate(found), reason=None, detail=None)
    return LookedUpOut(rate=None, reason=found.reason, detail=found.sentence)


@router.get("/rates/uploads")
async def list_rate_uploads(call: Reading, limit: Limit = 50, cursor: Cursor = None) -> PageOf[RateUploadOut]:
    """Every upload of rates; none is ever changed or removed."""
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise Refused("invalid_cursor", "This cursor is not valid. Start from the first page.", "cursor")
    before = None if cursor is None else int(cursor)
    async with call.transaction() as tx:
        rows = await rate_rows.uploads(tx, call.organization_id, before=before, limit=limit + 1)
    return present_rows(rows, limit, RateUploadOut.model_validate, lambda row: str(row.upload_no))


@router.post("/rates/uploads", response_model=TakenInOut)
async def upload_rates(call: Writing, body: RateFileIn) -> Response:
    """Take in a file of rates. What it touches is settled again; a file that says nothing new does nothing."""
    content = _content(body)

    async def run(tx: Connection) -> TakenInOut:
        if body.dry_run:
            preview = await preview_rates(tx, call.organization_id, source=body.source, content=content)
            return present_plan(preview.plan, None, preview.scope_count)
        taken = await import_rates(
            tx,
            call.organization_id,
            source=body.source,
            file_name=body.file_name,
            content=content,
            actor=call.actor,
            now=call.now,
        )
        return present_plan(taken.plan, taken.upload, taken.upload.scope_count if taken.upload else 0)

    return await call.write(200, run)


def present_rate(rate: Rate) -> RateOut:
    """A rate for programs."""
    return RateOut(
        source=rate.source,
        target=rate.target,
        rate=rate.rate,
        rate_decimal=decimal_text(rate),
        on=rate.on,
        origin=rate.origin,
        via=rate.via or None,
        upload_no=rate.upload_no or None,
    )


def present_plan(plan: UploadPlan, upload: RateUpload | None, scope_count: int) -> TakenInOut:
    """What a file did or would do."""
    return TakenInOut(
        upload=None if upload is None else RateUploadOut.model_validate(upload),
        first_day=plan.first_day,
        last_day=plan.last_day,
        total_count=plan.total_count,
        new_count=plan.new_count,
        changed_count=plan.changed_count,
        changed=[ChangedRateOut.model_validate(row) for row in plan.changed],
        warnings=list(plan.warnings),
        scope_count=scope_count,
    )


def _content(body: RateFileIn) -> bytes:
    if (body.content is None) == (body.content_base64 is None):
        raise Refused("invalid_rates", "Give the file as content (text) or as content_base64, one of them.", "content")
    if body.content is not None:
        return body.content.encode("utf-8", "replace")
    try:
        return base64.b64decode(body.content_base64 or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("invalid_rates", "content_base64 is not base64.", "content_base64") from error
