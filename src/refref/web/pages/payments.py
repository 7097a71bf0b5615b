"""Payments: every one of them, with what was decided and why."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.db import reports
from refref.db.pool import Connection
from refref.db.reports import DecisionRow, Outcome, Page
from refref.web.money_format import decimal_text
from refref.web.pages import words
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Choice, Listing, Select, asked
from refref.web.pages.rendering import render
from refref.web.pages.typed_amounts import amounts_text
from refref.web.pages.viewer import Connected, OnConnection, one_of

router = APIRouter(include_in_schema=False)

OUTCOMES: tuple[Outcome, ...] = ("rewarded", "refused", "waiting")
_HEADER = (
    "payment",
    "paid_at",
    "customer",
    "customer_email",
    "program",
    "participant",
    "outcome",
    "reason",
    "currency",
    "paid",
    "base",
    "refunded",
    "earned",
    "reversed",
    "earned_in_other_currencies",
    "reversed_in_other_currencies",
    "grants",
)


@router.get("/payments")
async def payments(request: Request, viewer: OnConnection) -> Response:
    """The list, filtered by outcome, reason and search."""
    values, cursor = asked(request, "q", "referred", "outcome", "reason"), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch(tx, viewer, values, cursor, 50)
        reasons = await reports.decision_reasons(tx, viewer.organization_id, viewer.connection_id)
    listing = Listing(
        path="/payments",
        values=values,
        selects=[
            Select(
                "referred",
                "Referred",
                "Everyone",
                [Choice("yes", "Referred"), Choice("no", "Not referred")],
            ),
            Select(
                "outcome",
                "Outcome",
                "Any outcome",
                [Choice(outcome, words.outcome_status(outcome).word) for outcome in OUTCOMES],
            ),
            Select(
                "reason",
                "Reason",
                "Any reason",
                [Choice(code, words.REASON_TITLES.get(code, code)) for code in reasons],
            ),
        ],
        search_label="Customer, e-mail, participant or Stripe id",
        cursor=cursor,
        next_cursor=page.next_cursor,
    )
    return render(request, "payments.html", viewer, page=page, listing=listing)


@router.get("/payments.csv")
async def payments_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, "q", "referred", "outcome", "reason")
    return csv_response(
        viewer, "payments", _HEADER, lambda tx, cursor, limit: _fetch(tx, viewer, values, cursor, limit), _cells
    )


async def _fetch(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[DecisionRow]:
    return await reports.decisions_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        outcome=one_of(values["outcome"], OUTCOMES),
        reason=values["reason"],
        is_referred={"yes": True, "no": False}.get(values["referred"]),
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _cells(row: DecisionRow) -> list[Cell]:
    own = row.earned_in(row.currency)
    others = [one for one in row.earned if one.currency != row.currency]
    amounts = (row.paid_minor, row.base_minor, row.refunded_minor, own.earned_minor, own.reversed_minor)
    return [
        row.payment_key,
        row.occurred_at,
        row.referee_id,
        row.referee_email,
        row.program_name,
        row.participant_name,
        row.outcome,
        row.reason,
        row.currency.upper(),
        *(decimal_text(amount, row.currency) for amount in amounts),
        amounts_text({one.currency: one.earned_minor for one in others}),
        amounts_text({one.currency: one.reversed_minor for one in others if one.reversed_minor}),
        " ".join(row.grants),
    ]
