"""Approvals: what waits for a person, deciding on several at once, and what was decided, with a way back."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.refusals import Refused
from refref.db import programs, reports
from refref.db import reviews as review_rows
from refref.db.pool import Connection
from refref.db.reports import Page, ReviewRow, RewardRow
from refref.flows import reviews as flows
from refref.web.money_format import decimal_text
from refref.web.pages import words
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Choice, Listing, Select, asked, select_of_programs
from refref.web.pages.rendering import render, with_query
from refref.web.pages.viewer import Connected, OnConnection, form_of, one_of

router = APIRouter(include_in_schema=False)

_FILTERS = ("q", "hold", "program", "participant")
_HEADER = (
    *("reward_id", "why", "flags", "currency", "amount", "participant_id", "participant", "program", "customer"),
    *("customer_email", "conversion", "rule", "occurred_at"),
)
_DECIDED_HEADER = ("review_id", "at", "verdict", "reason", "by", "program", "rule", "subject", "holds_now")
_BUTTONS = {"approve": "approved", "reject": "rejected"}


@router.get("/approvals")
async def approvals(request: Request, viewer: OnConnection) -> Response:
    """What waits, filtered by reason, program, participant and search."""
    return await _approvals_page(request, viewer, asked(request, *_FILTERS))


@router.get("/approvals.csv")
async def approvals_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, *_FILTERS)
    return csv_response(
        viewer, "approvals", _HEADER, lambda tx, cursor, limit: _fetch(tx, viewer, values, cursor, limit), _cells
    )


@router.post("/approvals")
async def decide(request: Request, viewer: OnConnection) -> Response:
    """Approve or reject those that were ticked, or all that fit the filters."""
    form = await request.form()
    values = {name: _text(form, name) for name in _FILTERS}
    verdict, reason = _BUTTONS.get(_text(form, "decision"), ""), _text(form, "reason")
    own = (viewer.organization_id, viewer.connection_id)
    actor, now = viewer.actor, viewer.real_now
    try:
        async with viewer.transaction() as tx:
            if _text(form, "all"):
                if values["q"]:
                    raise Refused("invalid_choice", "Clear the search first: it does not narrow “all of them”.", "all")
                reviewed, _ = await flows.review_waiting(
                    tx,
                    *own,
                    program_id=values["program"],
                    participant_id=values["participant"],
                    hold=values["hold"],
                    verdict=verdict,
                    reason=reason,
                    actor=actor,
                    now=now,
                )
            else:
                ids = [value for value in form.getlist("reward_id") if isinstance(value, str)]
                if not ids:
                    raise Refused("unknown_reward", "Tick at least one reward, or “all of them”.", "reward_id")
                reviewed = await flows.review_rewards(
                    tx, *own, ids, verdict=verdict, reason=reason, actor=actor, now=now
                )
    except Refused as refused:
        return await _approvals_page(request, viewer, values, refused, reason)
    done = {**values, "done": str(reviewed), "verdict": verdict}
    return RedirectResponse(with_query("/approvals", done), status_code=303)


@router.get("/approvals/decided")
async def decided(request: Request, viewer: OnConnection) -> Response:
    """What people decided, the latest first."""
    return await _decided_page(request, viewer)


@router.get("/approvals/decided.csv")
async def decided_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, "q", "verdict", "program")
    return csv_response(
        viewer,
        "decided",
        _DECIDED_HEADER,
        lambda tx, cursor, limit: _fetch_decided(tx, viewer, values, cursor, limit),
        _decided_cells,
    )


@router.post("/approvals/{review_id}/withdraw")
async def withdraw(request: Request, viewer: OnConnection, review_id: str) -> Response:
    """Take a verdict back."""
    reason = (await form_of(request)).get("reason", "")
    own = (viewer.organization_id, viewer.connection_id)
    try:
        async with viewer.transaction() as tx:
            await flows.withdraw_review(tx, *own, review_id, reason=reason, actor=viewer.actor, now=viewer.real_now)
    except Refused as refused:
        return await _decided_page(request, viewer, refused)
    return RedirectResponse("/approvals/decided", status_code=303)


@router.post("/referrals/{referral_id}/review")
async def review_referral(request: Request, viewer: OnConnection, referral_id: str) -> Response:
    """Approve or reject a whole referral, or take that back."""
    form = await form_of(request)
    async with viewer.transaction() as tx:
        await flows.review_referral(
            tx,
            viewer.organization_id,
            referral_id,
            verdict={**_BUTTONS, "withdraw": "withdrawn"}.get(form.get("decision", ""), ""),
            reason=form.get("reason", ""),
            actor=viewer.actor,
            now=viewer.real_now,
        )
    return RedirectResponse(f"/customers/{quote(form.get('referee_id', ''), safe='')}", status_code=303)


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


async def _approvals_page(
    request: Request, viewer: Connected, values: dict[str, str], refused: Refused | None = None, reason: str = ""
) -> Response:
    cursor = request.query_params.get("cursor")
    own = (viewer.organization_id, viewer.connection_id)
    async with viewer.transaction() as tx:
        page = await _fetch(tx, viewer, values, cursor, 50)
        known = await programs.programs(tx, viewer.organization_id, connection_id=viewer.connection_id)
        count = await review_rows.count_waiting(
            tx,
            *own,
            program_id=values["program"] or None,
            participant_id=values["participant"] or None,
            hold=one_of(values["hold"], flows.HOLDS),
        )
    selects = [
        Select("hold", "Why", "Any reason", [Choice(hold, title) for hold, title in words.HOLD_TITLES.items()]),
        *select_of_programs(known, values),
    ]
    listing = Listing(
        path="/approvals",
        values=values,
        selects=selects,
        search_label="Participant, customer, payment or reward",
        cursor=cursor,
        next_cursor=page.next_cursor,
        count=count,
        hidden={name: values[name] for name in ("participant",) if values[name]},
    )
    done = request.query_params.get("done", "")
    return render(
        request,
        "approvals.html",
        viewer,
        status_code=422 if refused else 200,
        page=page,
        listing=listing,
        refused=refused,
        reason=reason,
        done=int(done) if done.isdecimal() else 0,
        done_verdict=request.query_params.get("verdict", ""),
    )


async def _decided_page(request: Request, viewer: Connected, refused: Refused | None = None) -> Response:
    values, cursor = asked(request, "q", "verdict", "program"), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch_decided(tx, viewer, values, cursor, 50)
        known = await programs.programs(tx, viewer.organization_id, connection_id=viewer.connection_id)
    verdicts = [Choice(verdict, words.verdict_status(verdict).word) for verdict in flows.VERDICTS]
    listing = Listing(
        path="/approvals/decided",
        values=values,
        selects=[Select("verdict", "Verdict", "Any verdict", verdicts), *select_of_programs(known, values)],
        search_label="Payment, customer or reason",
        cursor=cursor,
        next_cursor=page.next_cursor,
    )
    status_code = 422 if refused else 200
    return render(
        request, "approvals_decided.html", viewer, status_code=status_code, page=page, listing=listing, refused=refused
    )


async def _fetch(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[RewardRow]:
    return await reports.rewards_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        is_waiting=True,
        hold=one_of(values["hold"], flows.HOLDS),
        program_id=values["program"],
        participant_id=values["participant"],
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


async def _fetch_decided(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[ReviewRow]:
    return await reports.reviews_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        program_id=values["program"],
        verdict=one_of(values["verdict"], flows.VERDICTS),
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _cells(row: RewardRow) -> list[Cell]:
    return [
        row.reward_id,
        " ".join(row.holds),
        " ".join(row.flags),
        row.currency.upper(),
        decimal_text(row.amount_minor, row.currency),
        row.participant_id,
        row.participant_name,
        row.program_name,
        row.referee_id,
        row.referee_email,
        row.payment_key,
        row.rule_id,
        row.occurred_at,
    ]


def _decided_cells(row: ReviewRow) -> list[Cell]:
    by = row.actor_name or row.actor
    holds = "yes" if row.is_current else "no"
    return [row.review_id, row.at, row.verdict, row.reason, by, row.program_name, row.rule_id, row.stripe_id, holds]
