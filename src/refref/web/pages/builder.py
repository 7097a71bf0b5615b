"""The draft of a program's terms: its overview in words, publishing and discarding it, and what its fields offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from msgspec import structs
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from refref.core.criteria import CriteriaError
from refref.core.examples import Example, examples_of
from refref.core.faults import Fault
from refref.core.placed_file import DocumentRefused, PlacedFault
from refref.core.refusals import Refused
from refref.core.terms import Terms
from refref.core.terms_document import read_terms
from refref.core.terms_words import differences, sentences_of
from refref.db import catalog
from refref.db.pool import Connection
from refref.flows.drafts import discard_draft, publish_draft, require_draft, save_draft
from refref.web.pages import condition_form
from refref.web.pages.builder_desk import (
    Desk,
    builder_page,
    change_draft,
    go,
    open_desk,
    require_program_in_view,
    revision_of,
)
from refref.web.pages.fault_words import in_plain_words
from refref.web.pages.rendering import render
from refref.web.pages.terms_form import instant_of_form
from refref.web.pages.viewer import Connected, OnConnection, form_of, one_of

router = APIRouter(include_in_schema=False)

EXISTING: tuple[Literal["follow"], Literal["keep"]] = ("follow", "keep")
MOST_CHOICES = 40


@dataclass(frozen=True, slots=True)
class FaultLink:
    """A fault with the address of the page that mends it."""

    title: str
    sentence: str
    address: str


@router.get("/programs/{program_id}/draft")
async def draft_page(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """What holds now, what the draft changes, its faults, and what three example customers would bring."""
    return await _overview(request, viewer, program_id)


@router.post("/programs/{program_id}/draft/publish")
async def publish(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Make the draft the next version, from now or a day on; existing referrals follow it or keep what they had."""
    form = await form_of(request)
    try:
        effective_at = instant_of_form(form)
        async with viewer.transaction() as tx:
            await require_program_in_view(tx, viewer, program_id)
            revision = await _choose_existing(tx, viewer, program_id, form)
            await publish_draft(
                tx,
                viewer.organization_id,
                program_id,
                effective_at=effective_at,
                revision=revision,
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _overview(request, viewer, program_id, refused)
    return go(f"/programs/{program_id}")


@router.post("/programs/{program_id}/draft/discard")
async def discard(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Throw the draft away."""
    try:
        async with viewer.transaction() as tx:
            await require_program_in_view(tx, viewer, program_id)
            await discard_draft(tx, viewer.organization_id, program_id, actor=viewer.actor, now=viewer.real_now)
    except Refused as refused:
        return await _overview(request, viewer, program_id, refused)
    return go(f"/programs/{program_id}")


@router.post("/programs/{program_id}/draft/rebase")
async def rebase(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Go on with a draft although a version was published meanwhile: its author has seen what differs."""
    form = await form_of(request)
    try:
        async with viewer.transaction() as tx:
            await require_program_in_view(tx, viewer, program_id)
            draft = await require_draft(tx, viewer.organization_id, program_id)
            seen = form.get("seen_version", "")
            await save_draft(
                tx,
                viewer.organization_id,
                program_id,
                terms=draft.terms,
                based_on_version=int(seen) if seen.isascii() and seen.isdigit() and len(seen) <= 9 else 0,
                revision=revision_of(form),
                actor=viewer.actor,
                now=viewer.real_now,
            )
    except Refused as refused:
        return await _overview(request, viewer, program_id, refused)
    return go(f"/programs/{program_id}/draft")


@router.post("/programs/{program_id}/draft/file")
async def take_file(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Make the terms of a file the draft, as `refref terms apply --draft` does; name and texts stay."""
    form = await form_of(request)
    sent = (await request.form()).get("file")
    content = b""
    if isinstance(sent, UploadFile):
        content = await sent.read()
        await sent.close()
    try:
        terms = read_terms(content.decode("utf-8"))
        await change_draft(viewer, program_id, form, lambda _: terms)
    except UnicodeDecodeError:
        return await _overview(request, viewer, program_id, Refused("invalid_terms", "The file is not UTF-8.", "file"))
    except DocumentRefused as wrong:
        refused = Refused("invalid_terms", "Nothing was saved: the file has the faults below.", "file")
        return await _overview(request, viewer, program_id, refused, wrong.faults)
    except Refused as refused:
        return await _overview(request, viewer, program_id, refused)
    return go(f"/programs/{program_id}/draft")


@router.get("/condition")
async def condition_in_words(request: Request, viewer: OnConnection) -> Response:
    """A part of a page: the expression that the inputs of a condition make, or what is wrong and where."""
    given = {name: value.strip() for name, value in request.query_params.items()}
    try:
        source, wrong = condition_form.cel_of_inputs(given, given.get("name", "")), ""
    except CriteriaError as error:
        source, wrong = "", error.sentence
    return render(request, "builder_condition.html", viewer, source=source, wrong=wrong)


@router.get("/catalog/choices")
async def choices(request: Request, viewer: OnConnection) -> Response:
    """A part of a page: what Stripe sells, or its coupons, by a search, as buttons that fill a field."""
    given = request.query_params
    async with viewer.transaction() as tx:
        found = await catalog.search_catalog(
            tx, viewer.organization_id, viewer.connection_id, given.get("search", "")[:200], limit=MOST_CHOICES
        )
    return render(request, "builder_choices.html", viewer, found=found, kind=given.get("kind", "products"), only="")


async def _choose_existing(tx: Connection, viewer: Connected, program_id: str, form: Mapping[str, str]) -> int | None:
    """Store in the draft what becomes of existing referrals, and return the revision to publish."""
    revision, wanted = revision_of(form), one_of(form.get("existing_referrals"), EXISTING)
    draft = await require_draft(tx, viewer.organization_id, program_id)
    if wanted is None or draft.terms.existing_referrals == wanted:
        return revision
    saved = await save_draft(
        tx,
        viewer.organization_id,
        program_id,
        terms=structs.replace(draft.terms, existing_referrals=wanted),
        revision=revision,
        actor=viewer.actor,
        now=viewer.real_now,
    )
    return saved.revision


async def _overview(
    request: Request,
    viewer: Connected,
    program_id: str,
    refused: Refused | None = None,
    file_faults: Sequence[PlacedFault] = (),
) -> Response:
    desk = await open_desk(viewer, program_id)
    published = desk.newest.terms if desk.newest else None
    return builder_page(
        request,
        "builder_overview.html",
        viewer,
        desk,
        section="overview",
        refused=refused,
        file_faults=file_faults,
        changes=None if published is None else differences(published, desk.terms, desk.names),
        sentences=sentences_of(desk.terms, desk.names),
        fault_links=[_fault_link(desk, fault) for fault in desk.faults],
        pairs=example_pairs(desk.terms, published, viewer.now_s, bool(desk.faults)),
        has_custom=any(event.custom is not None for event in desk.terms.events),
    )


def example_pairs(
    terms: Terms, before: Terms | None, now_s: int, has_faults: bool
) -> list[tuple[Example | None, Example]]:
    """The example customers under the terms now in force (None: there are none) and under these."""
    if has_faults:
        return []
    after = examples_of(terms, now_s)
    if before is None:
        return [(None, example) for example in after]
    return list(zip(examples_of(before, now_s, like=terms), after, strict=True))


def _fault_link(desk: Desk, fault: Fault) -> FaultLink:
    """Where a fault is mended: `terms.rules.2.amounts` on the page of the third rule."""
    parts = fault.field.split(".")[1:]
    part = parts[0] if parts else ""
    sentence = in_plain_words(fault)
    if part in ("rules", "events") and len(parts) > 1 and parts[1].isdigit():
        number = int(parts[1])
        address = f"{desk.path}/{part}/{number + 1}"
        if part == "rules":
            rule = desk.terms.rules[number]
            return FaultLink(f"Rule “{rule.name or rule.rule_id}”", sentence, address)
        event = desk.terms.events[number]
        return FaultLink(f"Event “{event.name or event.event_id}”", sentence, address)
    title, page = _PAGES.get(part, ("Settings", "settings"))
    return FaultLink(title, sentence, f"{desk.path}/{page}")


_PAGES = {
    "rules": ("Reward rules", "rules"),
    "events": ("Qualifying events", "events"),
    "caps": ("Limits", "limits"),
    "currency": ("Currencies", "currencies"),
    "fraud": ("Fraud checks", "fraud"),
}
