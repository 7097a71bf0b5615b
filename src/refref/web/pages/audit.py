"""The audit log: who did what to which subject, with links to what has a page; the list and its CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.core.audit_words import ACTIONS, present_action, present_actor, present_details
from refref.db import api_keys, reports, users
from refref.db.api_keys import ApiKey
from refref.db.pool import Connection
from refref.db.reports import AuditRow, Page
from refref.db.users import Member
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Choice, Listing, Select, asked
from refref.web.pages.rendering import render, with_query
from refref.web.pages.viewer import SignedIn, Viewer

router = APIRouter(include_in_schema=False)

_PATH = "/settings/audit-log"
_MOST_KEYS = 1000  # in the filter by actor
_HEADER = ("at", "actor", "name", "action", "subject", "subject_name", "program", "connection_id", "details")
_PAGES: dict[str, str] = {
    "prg": "/programs/{subject}",
    "ptc": "/participants/{subject}",
    "pyt": "/payouts/{subject}",
    "rdg": "/history/{subject}",
    "btt": "/programs/{program}/backtests/{subject}",
    "con": "/integrations/stripe/{subject}",
}
_SECTIONS: dict[str, str] = {"key": "/settings#keys", "usr": "/settings#people"}


@router.get(_PATH)
async def audit_log(request: Request, viewer: SignedIn) -> Response:
    """The list, filtered by action, actor and subject."""
    values, cursor = _asked(request), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch(tx, viewer, values, cursor, 50)
        people = await users.members(tx, viewer.organization_id)
        keys = await api_keys.api_keys(tx, viewer.organization_id, before=None, limit=_MOST_KEYS)
    listing = Listing(
        path=_PATH,
        values=values,
        selects=[
            Select("action", "Action", "Any action", [Choice(code, name) for code, name in ACTIONS.items()]),
            Select("actor", "Who", "Anybody", _actors(people, keys)),
        ],
        search_label="What it was done to: a name or an id",
        cursor=cursor,
        next_cursor=page.next_cursor,
    )
    return render(
        request,
        "audit.html",
        viewer,
        page=page,
        listing=listing,
        connection_names={one.connection_id: one.name for one in viewer.connections},
        present_action=present_action,
        present_actor=present_actor,
        present_details=present_details,
        link_of=lambda row: _link_of(row, viewer),
    )


@router.get(f"{_PATH}.csv")
async def audit_log_csv(request: Request, viewer: SignedIn) -> Response:
    """The same list, whole, as a file."""
    values = _asked(request)
    return csv_response(
        viewer, "audit-log", _HEADER, lambda tx, cursor, limit: _fetch(tx, viewer, values, cursor, limit), _cells
    )


def _asked(request: Request) -> dict[str, str]:
    return asked(request, "q", "action", "actor")


async def _fetch(
    tx: Connection, viewer: Viewer, values: dict[str, str], cursor: str | None, limit: int
) -> Page[AuditRow]:
    return await reports.audit_page(
        tx,
        viewer.organization_id,
        action=values["action"],
        actor=values["actor"],
        subject=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _actors(people: Sequence[Member], keys: Sequence[ApiKey]) -> list[Choice]:
    return [
        *(Choice(f"user:{one.user_id}", one.name or one.email) for one in people),
        *(Choice(f"key:{key.api_key_id}", present_actor(f"key:{key.api_key_id}", key.name)) for key in keys),
        Choice("system", present_actor("system", None)),
    ]


def _link_of(row: AuditRow, viewer: Viewer) -> str | None:
    """The page of an entry's subject; one on another connection than that in view is shown there. None: it has none."""
    prefix, subject = row.subject.partition("_")[0], quote(row.subject, safe="")
    if row.is_there and prefix in _SECTIONS:
        return _SECTIONS[prefix]
    if row.is_there and prefix in _PAGES:
        path = _PAGES[prefix].format(subject=subject, program=quote(row.program_id or "", safe=""))
    elif prefix == "cus":
        path = f"/customers/{subject}"
    elif row.action == "rates.upload":
        return "/settings/currencies"
    elif row.action.startswith("review."):
        path = with_query("/why", {"id": row.subject.split("/")[0]})
    else:
        return None
    if row.connection_id in (None, viewer.connection.connection_id if viewer.connection else None):
        return path
    return f"{path}{'&' if '?' in path else '?'}connection={quote(row.connection_id or '')}"


def _cells(row: AuditRow) -> list[Cell]:
    told = "; ".join(f"{label}: {value}" for label, value in present_details(row.details))
    return [
        row.at,
        row.actor,
        row.actor_name,
        row.action,
        row.subject,
        row.subject_name,
        row.program_name,
        row.connection_id,
        told,
    ]
