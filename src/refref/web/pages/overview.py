"""The overview: sums per currency, the trend, what needs attention, and the latest sales, which arrive live."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.db import programs, reports
from refref.db.pool import Connection
from refref.db.reports import DecisionRow, Page
from refref.flows.estimate_totals import estimate_totals
from refref.web.pages.chart import trend_chart
from refref.web.pages.rendering import render
from refref.web.pages.sandbox_history import history_arriving
from refref.web.pages.viewer import Connected, OnConnection, one_of

router = APIRouter(include_in_schema=False)

PERIODS = ("7", "30", "90", "365")
LATEST = 8


@router.get("/")
async def overview(request: Request, viewer: OnConnection) -> Response:
    """Sums and trend of a period (`days`) and, for the chart, one currency."""
    period = one_of(request.query_params.get("days"), PERIODS) or "30"
    today = viewer.now.date()
    first = today - timedelta(days=int(period) - 1)
    since = datetime.combine(first, time(), viewer.now.tzinfo)
    async with viewer.transaction() as tx:
        sums = await reports.overview_totals(tx, viewer.organization_id, viewer.connection_id, since)
        trend = await reports.daily_trend(tx, viewer.organization_id, viewer.connection_id, since)
        latest = await _latest(tx, viewer)
        together = await estimate_totals(
            tx, viewer.organization_id, viewer.connection_id, sums.currencies, viewer.now.date()
        )
        has_program = bool(
            await programs.programs(tx, viewer.organization_id, connection_id=viewer.connection_id, limit=1)
        )
    currencies = tuple(total.currency for total in sums.currencies)
    currency = one_of(request.query_params.get("currency"), currencies) or next(iter(currencies), None)
    chart = trend_chart(trend, currency, first, today) if currency else None
    return render(
        request,
        "overview.html",
        viewer,
        sums=sums,
        chart=chart,
        period=period,
        periods=PERIODS,
        latest=latest,
        arriving=await history_arriving(viewer.connection.api_base),
        together=together,
        has_program=has_program,
    )


@router.get("/overview/latest")
async def latest_sales(request: Request, viewer: OnConnection) -> Response:
    """The rows of the latest sales alone, for the page that refreshes itself."""
    async with viewer.transaction() as tx:
        latest = await _latest(tx, viewer)
    arriving = await history_arriving(viewer.connection.api_base)
    return render(request, "_latest_sales.html", viewer, latest=latest, arriving=arriving)


async def _latest(tx: Connection, viewer: Connected) -> Page[DecisionRow]:
    month = viewer.now - timedelta(days=31)
    return await reports.decisions_page(tx, viewer.organization_id, viewer.connection_id, since=month, limit=LATEST)
