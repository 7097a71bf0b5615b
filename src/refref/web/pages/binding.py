"""Binding by hand: the form of one customer, the upload of a file, taking it back; each shows the money first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from refref.core.bonds_file import Bond, read_bonds
from refref.core.decisions import REASONS
from refref.core.money_preview import MoneyPreview
from refref.core.refusals import Refused
from refref.db import reports
from refref.db.explain import names_of
from refref.db.pool import Connection
from refref.flows import bind_by_hand as flow
from refref.web.pages.rendering import render
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """A preview with the names of those whom it is about; `count`: how many customers a file binds."""

    money: MoneyPreview
    names: dict[str, str]
    count: int = 1


@router.get("/customers/{customer_id}/referral")
async def form(request: Request, viewer: OnConnection, customer_id: str) -> Response:
    """The form that says who referred a customer."""
    return await _customer_page(request, viewer, customer_id, {})


@router.post("/customers/{customer_id}/referral/preview")
async def preview(request: Request, viewer: OnConnection, customer_id: str) -> Response:
    """The same form with what it would do to rewards."""
    values = await form_of(request)
    try:
        bonds = [_bond(customer_id, values)]
        async with viewer.transaction() as tx:
            money = await flow.preview_binding(
                tx, viewer.organization_id, viewer.connection_id, bonds, now=_now(viewer)
            )
            shown = Shown(money, await _names(tx, viewer, money))
    except Refused as refused:
        return await _customer_page(request, viewer, customer_id, values, refused=refused)
    return await _customer_page(request, viewer, customer_id, values, shown=shown)


@router.post("/customers/{customer_id}/referral")
async def bind(request: Request, viewer: OnConnection, customer_id: str) -> Response:
    """Bind the customer."""
    values = await form_of(request)
    try:
        bonds = [_bond(customer_id, values)]
        async with viewer.transaction() as tx:
            await flow.bind_customers(
                tx,
                viewer.organization_id,
                viewer.connection_id,
                bonds,
                reason=values.get("reason", ""),
                actor=viewer.actor,
                now=_now(viewer),
            )
    except Refused as refused:
        return await _customer_page(request, viewer, customer_id, values, refused=refused)
    return RedirectResponse(request.url.path.removesuffix("/referral"), status_code=303)


@router.get("/customers/{customer_id}/referral/undo")
async def undo_form(request: Request, viewer: OnConnection, customer_id: str) -> Response:
    """What taking back the code of the address would do, and the form that does it."""
    return await _undo_page(request, viewer, customer_id, request.query_params.get("code", ""))


@router.post("/customers/{customer_id}/referral/undo")
async def undo(request: Request, viewer: OnConnection, customer_id: str) -> Response:
    """Take back what was told of the customer."""
    values = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            await flow.undo_binding(
                tx,
                viewer.organization_id,
                viewer.connection_id,
                customer=customer_id,
                code=values.get("code", ""),
                reason=values.get("reason", ""),
                actor=viewer.actor,
                now=_now(viewer),
            )
    except Refused as refused:
        return await _undo_page(request, viewer, customer_id, values.get("code", ""), refused)
    return RedirectResponse(request.url.path.removesuffix("/referral/undo"), status_code=303)


@router.get("/referrals/upload")
async def upload_form(request: Request, viewer: OnConnection) -> Response:
    """The form that takes a file."""
    return _upload_page(request, viewer, "")


@router.post("/referrals/upload/preview")
async def preview_file(request: Request, viewer: OnConnection) -> Response:
    """What a file would do; nothing is stored."""
    reason, content = "", b""
    try:
        reason, content = await _given_file(request)
        bonds = read_bonds(content)
        async with viewer.transaction() as tx:
            money = await flow.preview_binding(
                tx, viewer.organization_id, viewer.connection_id, bonds, now=_now(viewer)
            )
            shown = Shown(money, await _names(tx, viewer, money), len(bonds))
    except Refused as refused:
        return _upload_page(request, viewer, reason, refused=refused)
    return _upload_page(request, viewer, reason, content=content, shown=shown)


@router.post("/referrals/upload")
async def upload_file(request: Request, viewer: OnConnection) -> Response:
    """Bind everybody whom the previewed file names, or nobody."""
    reason = ""
    try:
        reason, content = await _given_file(request)
        async with viewer.transaction() as tx:
            count = await flow.bind_customers(
                tx,
                viewer.organization_id,
                viewer.connection_id,
                read_bonds(content),
                reason=reason,
                actor=viewer.actor,
                now=_now(viewer),
            )
    except Refused as refused:
        return _upload_page(request, viewer, reason, refused=refused)
    return _upload_page(request, viewer, "", bound=count)


def _upload_page(
    request: Request,
    viewer: Connected,
    reason: str,
    *,
    content: bytes = b"",
    shown: Shown | None = None,
    refused: Refused | None = None,
    bound: int | None = None,
) -> Response:
    return render(
        request,
        "binding_upload.html",
        viewer,
        status_code=422 if refused else 200,
        refused=refused,
        shown=shown,
        content=base64.b64encode(content).decode(),
        reason=reason,
        reasons=REASONS,
        bound=bound,
    )


async def _customer_page(
    request: Request,
    viewer: Connected,
    customer_id: str,
    values: Mapping[str, str],
    *,
    refused: Refused | None = None,
    shown: Shown | None = None,
) -> Response:
    async with viewer.transaction() as tx:
        customer = await reports.customer_by_id(tx, viewer.organization_id, viewer.connection_id, customer_id)
    if customer is None:
        raise PageNotFound("customer")
    return render(
        request,
        "binding.html",
        viewer,
        status_code=422 if refused else 200,
        customer=customer,
        values=values,
        refused=refused,
        shown=shown,
        reasons=REASONS,
    )


async def _undo_page(
    request: Request, viewer: Connected, customer_id: str, code: str, refused: Refused | None = None
) -> Response:
    async with viewer.transaction() as tx:
        scope = (viewer.organization_id, viewer.connection_id)
        customer = await reports.customer_by_id(tx, *scope, customer_id)
        if customer is None:
            raise PageNotFound("customer")
        money = await flow.preview_undoing(tx, *scope, customer=customer_id, code=code, now=_now(viewer))
        shown = Shown(money, await _names(tx, viewer, money))
    return render(
        request,
        "binding_undo.html",
        viewer,
        status_code=422 if refused else 200,
        customer=customer,
        code=code,
        refused=refused,
        shown=shown,
        reasons=REASONS,
    )


async def _names(tx: Connection, viewer: Connected, money: MoneyPreview) -> dict[str, str]:
    ids = {row.beneficiary_id for row in money.changes} | {row.program_id for row in money.changes}
    return await names_of(tx, viewer.organization_id, sorted(ids | {row.program_id for row in money.still_nothing}))


async def _given_file(request: Request) -> tuple[str, bytes]:
    """The reason and the file of the form: chosen just now, or the one that was previewed."""
    values = await form_of(request)
    sent = (await request.form()).get("file")
    if isinstance(sent, UploadFile):
        content = await sent.read()
        await sent.close()
        return values.get("reason", ""), content
    try:
        return values.get("reason", ""), base64.b64decode(values.get("content", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("invalid_bonds", "Choose the file again.", "file") from error


def _bond(customer_id: str, values: Mapping[str, str]) -> Bond:
    code, day = values.get("code", ""), values.get("clicked_on", "")
    if not code:
        raise Refused("invalid_bonds", "Give the code of a participant.", "code")
    try:
        clicked_at = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) if day else None
    except ValueError as error:
        raise Refused("invalid_instant", "Give a day such as 2026-01-31.", "clicked_on") from error
    return Bond(customer_id, code, clicked_at)


def _now(viewer: Connected) -> int:
    return int(viewer.real_now.timestamp())
