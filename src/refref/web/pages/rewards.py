"""Rewards: the list, its CSV file, and the page of one reward with its explanation."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.db import programs, reports
from refref.db.pool import Connection
from refref.db.reports import Page, RewardRow, RewardStatus
from refref.flows.explain import explain
from refref.web.money_format import decimal_text
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Choice, Listing, Select, asked, select_of_programs
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, one_of

router = APIRouter(include_in_schema=False)

STATUSES: tuple[RewardStatus, ...] = ("pending", "payable", "held", "reversed", "expired", "paid")
_HEADER = (
    "reward_id",
    "status",
    "currency",
    "amount",
    "reversed",
    "net",
    "paid_out",
    "participant_id",
    "participant",
    "program",
    "customer",
    "customer_email",
    "payment",
    "rule",
    "terms_version",
    "paid_at",
    "hold_until",
    "kind",
    "beneficiary_id",
)


@router.get("/rewards")
async def rewards(request: Request, viewer: OnConnection) -> Response:
    """The list, filtered by status, program, participant, currency and search."""
    values, cursor = _asked(request), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch(tx, viewer, values, cursor, 50)
        known = await programs.programs(tx, viewer.organization_id, connection_id=viewer.connection_id)
    statuses = [Choice(status, status.capitalize()) for status in STATUSES]
    listing = Listing(
        path="/rewards",
        values=values,
        selects=[Select("status", "Status", "Any status", statuses), *select_of_programs(known, values)],
        search_label="Participant, customer, payment or reward",
        cursor=cursor,
        next_cursor=page.next_cursor,
        hidden={name: values[name] for name in ("participant", "currency") if values[name]},
    )
    return render(request, "rewards.html", viewer, page=page, listing=listing)


@router.get("/rewards.csv")
async def rewards_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = _asked(request)
    return csv_response(
        viewer, "rewards", _HEADER, lambda tx, cursor, limit: _fetch(tx, viewer, values, cursor, limit), _cells
    )


@router.get("/rewards/{reward_id}")
async def reward(request: Request, viewer: OnConnection, reward_id: str) -> Response:
    """One reward: its state, when that changes, and every number behind it."""
    async with viewer.transaction() as tx:
        found = await reports.reward_by_id(tx, viewer.organization_id, reward_id, connection_id=viewer.connection_id)
        if found is None:
            raise PageNotFound("reward")
        explanation = await explain(tx, viewer.organization_id, viewer.connection_id, reward_id, viewer.now_s)
    return render(request, "reward.html", viewer, reward=found, explanation=explanation)


def _asked(request: Request) -> dict[str, str]:
    return asked(request, "q", "status", "program", "participant", "currency")


async def _fetch(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[RewardRow]:
    return await reports.rewards_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        status=one_of(values["status"], STATUSES),
        program_id=values["program"],
        participant_id=values["participant"],
        currency=values["currency"],
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _cells(row: RewardRow) -> list[Cell]:
    return [
        row.reward_id,
        row.status,
        row.currency.upper(),
        decimal_text(row.amount_minor, row.currency),
        decimal_text(row.reversed_minor, row.currency),
        decimal_text(row.net_minor, row.currency),
        decimal_text(row.paid_minor, row.currency),
        row.participant_id,
        row.participant_name,
        row.program_name,
        row.referee_id,
        row.referee_email,
        row.payment_key,
        row.rule_id,
        row.terms_version,
        row.occurred_at,
        row.hold_until,
        row.kind,
        row.beneficiary_id,
    ]
