"""/v1/overview: sums per currency, the daily trend, and all currencies together as an estimate."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from refref.db import reports
from refref.db.reports import CurrencyTotals
from refref.flows.estimate_totals import Together, estimate_totals
from refref.web.api.call import Reading
from refref.web.api.models import Amount, Out, amount, amounts_of
from refref.web.api.rates import RateOut, present_rate
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["books"], generate_unique_id_function=operation_id)


class TotalsOut(Out):
    """Money of one currency: flows of the period, and what the ledger holds now."""

    currency: str
    referred: Amount
    referred_refunded: Amount
    unattributed: Amount
    earned: Amount = Field(description="Commissions and credits in this currency, whatever the payment's was.")
    reversed: Amount = Field(description="What was taken back of them.")
    pending: Amount
    payable: Amount
    held: Amount


class DayOut(Out):
    day: date
    referred: Amount
    earned: Amount


class EstimateOut(Out):
    """All currencies together, an estimate in one of them: nobody is paid by it."""

    currency: str = Field(description="The display currency of a program, or else the first of `totals`.")
    referred: Amount
    earned: Amount
    pending: Amount
    payable: Amount
    held: Amount
    rates: list[RateOut] = Field(description="The newest that are known.")
    left_out: list[str] = Field(description="Currencies of which no rate is known.")


class OverviewOut(Out):
    since: datetime
    totals: list[TotalsOut]
    estimate: EstimateOut | None = Field(description="Null where there are not several currencies.")
    trend: list[DayOut]
    payment_count: int
    referred_payment_count: int
    referral_count: int
    customer_count: int
    participant_count: int
    events_parked: int
    events_quarantined: int
    events_pending: int
    last_event_at: datetime | None


@router.get("/overview")
async def get_overview(
    call: Reading,
    connection_id: str | None = None,
    days: Annotated[int, Query(ge=1, le=3660, description="The period, up to the connection's now.")] = 30,
) -> OverviewOut:
    """Totals per currency, the daily trend and counts."""
    async with call.transaction() as tx:
        connection = await call.connection(tx, connection_id)
        where = (call.organization_id, connection.connection_id)
        there = call.now + timedelta(seconds=connection.clock_ahead_s)
        since = there - timedelta(days=days)
        totals = await reports.overview_totals(tx, *where, since)
        trend = await reports.daily_trend(tx, *where, since)
        together = await estimate_totals(tx, *where, totals.currencies, there.date())
    counts = OverviewOut.model_fields.keys() - {"since", "totals", "trend", "estimate"}
    return OverviewOut(
        since=since,
        totals=[present_totals(row) for row in totals.currencies],
        estimate=None if together is None else present_estimate(together),
        trend=[
            DayOut(
                day=row.day,
                referred=amount(row.referred_minor, row.currency),
                earned=amount(row.earned_minor, row.currency),
            )
            for row in trend
        ],
        **{name: getattr(totals, name) for name in counts},
    )


def present_totals(row: CurrencyTotals) -> TotalsOut:
    names = tuple(name for name in TotalsOut.model_fields if name != "currency")
    return TotalsOut(currency=row.currency, **amounts_of(row, row.currency, names))


def present_estimate(together: Together) -> EstimateOut:
    return EstimateOut(
        currency=together.currency,
        rates=[present_rate(rate) for rate in together.rates],
        left_out=list(together.left_out),
        **{name: amount(estimate.amount_minor, together.currency) for name, estimate in together.sums.items()},
    )
