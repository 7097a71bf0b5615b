"""Customers and referrals: the lists, their CSV files, a customer's page, and the form that binds one by hand."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from refref.db import reports
from refref.db.pool import Connection
from refref.db.reports import CustomerRow, Page, ReferralRow, ReferralStatus
from refref.web.money_format import decimal_text
from refref.web.pages import words
from refref.web.pages.exports import Cell, csv_response
from refref.web.pages.lists import Choice, Listing, Select, asked
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, one_of

router = APIRouter(include_in_schema=False)

REFERRED = ("yes", "no")
REFERRAL_STATUSES: tuple[ReferralStatus, ...] = ("active", "flagged", "undone")
_CUSTOMER_HEADER = ("customer", "email", "name", "since", "referred_by", "payments", "paid")
_REFERRAL_HEADER = (
    "referral_id",
    "status",
    "bound_at",
    "customer",
    "customer_email",
    "participant_id",
    "participant",
    "program",
    "found_in",
    "code",
    "campaign",
)


@router.get("/customers")
async def customers(request: Request, viewer: OnConnection) -> Response:
    """The list, filtered by whether somebody referred the customer, and search."""
    values, cursor = asked(request, "q", "referred"), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch_customers(tx, viewer, values, cursor, 50)
    listing = Listing(
        path="/customers",
        values=values,
        selects=[Select("referred", "Referred", "Everyone", [Choice("yes", "Referred"), Choice("no", "Not referred")])],
        search_label="E-mail, name or Stripe id",
        cursor=cursor,
        next_cursor=page.next_cursor,
    )
    return render(request, "customers.html", viewer, page=page, listing=listing)


@router.get("/customers.csv")
async def customers_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, "q", "referred")
    return csv_response(
        viewer,
        "customers",
        _CUSTOMER_HEADER,
        lambda tx, cursor, limit: _fetch_customers(tx, viewer, values, cursor, limit),
        _customer_cells,
    )


@router.get("/customers/{customer_id}")
async def customer(request: Request, viewer: OnConnection, customer_id: str) -> Response:
    """One customer (or the scope of a guest): payments, decisions, and who referred them."""
    async with viewer.transaction() as tx:
        scope = (viewer.organization_id, viewer.connection_id)
        found = await reports.customer_by_id(tx, *scope, customer_id)
        decisions = await reports.decisions_page(tx, *scope, referee_id=customer_id)
        bonds = await reports.referrals_page(tx, *scope, referee_id=customer_id)
        rewards = await reports.rewards_page(tx, *scope, referee_id=customer_id)
    if found is None and not decisions.rows:
        raise PageNotFound("customer")
    return render(
        request,
        "customer.html",
        viewer,
        customer_id=customer_id,
        customer=found,
        decisions=decisions,
        referrals=bonds,
        rewards=rewards,
    )


@router.get("/referrals")
async def referrals(request: Request, viewer: OnConnection) -> Response:
    """The list, filtered by status, participant and search."""
    values, cursor = asked(request, "q", "status", "participant"), request.query_params.get("cursor")
    async with viewer.transaction() as tx:
        page = await _fetch_referrals(tx, viewer, values, cursor, 50)
    choices = [Choice(status, words.referral_status(status).word) for status in REFERRAL_STATUSES]
    listing = Listing(
        path="/referrals",
        values=values,
        selects=[Select("status", "Status", "Any status", choices)],
        search_label="Customer, participant, code or campaign",
        cursor=cursor,
        next_cursor=page.next_cursor,
        hidden={"participant": values["participant"]} if values["participant"] else {},
    )
    return render(request, "referrals.html", viewer, page=page, listing=listing)


@router.get("/referrals.csv")
async def referrals_csv(request: Request, viewer: OnConnection) -> Response:
    """The same list, whole, as a file."""
    values = asked(request, "q", "status", "participant")
    return csv_response(
        viewer,
        "referrals",
        _REFERRAL_HEADER,
        lambda tx, cursor, limit: _fetch_referrals(tx, viewer, values, cursor, limit),
        _referral_cells,
    )


async def _fetch_customers(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[CustomerRow]:
    referred = one_of(values["referred"], REFERRED)
    return await reports.customers_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        is_referred=None if referred is None else referred == "yes",
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


async def _fetch_referrals(
    tx: Connection, viewer: Connected, values: dict[str, str], cursor: str | None, limit: int
) -> Page[ReferralRow]:
    return await reports.referrals_page(
        tx,
        viewer.organization_id,
        viewer.connection_id,
        status=one_of(values["status"], REFERRAL_STATUSES),
        participant_id=values["participant"],
        search=values["q"],
        cursor=cursor,
        limit=limit,
    )


def _customer_cells(row: CustomerRow) -> list[Cell]:
    paid = "; ".join(f"{decimal_text(a.amount_minor, a.currency)} {a.currency.upper()}" for a in row.paid)
    return [
        row.stripe_customer_id,
        row.email,
        row.name,
        row.created_at,
        row.participant_name,
        row.payment_count,
        paid,
    ]


def _referral_cells(row: ReferralRow) -> list[Cell]:
    return [
        row.referral_id,
        row.status,
        row.bound_at,
        row.referee_id,
        row.referee_email,
        row.participant_id,
        row.participant_name,
        row.program_name,
        row.carrier_kind,
        row.carrier_value,
        row.campaign,
    ]
