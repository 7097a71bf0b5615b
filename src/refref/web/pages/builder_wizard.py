"""A new program from a template: its main values, and what three example customers would bring, as one types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from refref.core.examples import Example
from refref.core.refusals import Refused
from refref.core.templates import TEMPLATES, terms_of_template
from refref.core.terms import RewardRule, Terms
from refref.core.terms_check import faults_of
from refref.core.terms_words import sentences_of
from refref.flows.programs import create_program, create_program_draft
from refref.web.pages import builder_words
from refref.web.pages.builder import example_pairs
from refref.web.pages.builder_desk import FormView, given_view, go
from refref.web.pages.rendering import render
from refref.web.pages.terms_form import instant_of_form, read_struct, values_of
from refref.web.pages.viewer import Connected, OnConnection, form_of, one_of

router = APIRouter(include_in_schema=False)

_IDS = tuple(template.template_id for template in TEMPLATES)
_FIELDS = ("duration", "hold_days", "caps", "starts_at", "ends_at")


@router.get("/programs/new")
async def new_program(request: Request, viewer: OnConnection) -> Response:
    """The templates; with `template` the form of its main values."""
    template_id = one_of(request.query_params.get("template"), _IDS)
    if template_id is None:
        return render(request, "builder_templates.html", viewer, templates=TEMPLATES)
    terms = terms_of_template(template_id)
    today = viewer.now.date().isoformat()
    return _page(request, viewer, template_id, FormView({**values_of(terms), "effective_on": today}), terms)


@router.get("/programs/new/preview")
async def preview(request: Request, viewer: OnConnection) -> Response:
    """A part of a page: the terms in words and the example customers, for what the form says so far."""
    given = {name: value.strip() for name, value in request.query_params.items()}
    template_id = one_of(given.get("template"), _IDS) or _IDS[0]
    faults: dict[str, str] = {}
    terms = _terms(given, template_id, faults)
    is_wrong = bool(faults or faults_of(terms))
    return render(
        request,
        "builder_preview.html",
        viewer,
        shown=_shown(viewer, None if is_wrong else terms),
        builder_words=builder_words,
    )


@router.post("/programs/new")
async def create(request: Request, viewer: OnConnection) -> Response:
    """Make the program, with a draft or published at once; or only show the preview."""
    form = await form_of(request)
    template_id = one_of(form.get("template"), _IDS) or _IDS[0]
    faults: dict[str, str] = {}
    terms = _terms(form, template_id, faults)
    view = given_view(form, faults_of(terms), "terms")
    view = FormView(form, {**view.faults, **faults})
    if view.faults or form.get("then") == "preview":
        refused = Refused("invalid_terms", "See the fields marked below.") if view.faults else None
        return _page(request, viewer, template_id, view, None if view.faults else terms, refused)
    try:
        program_id = await _make(viewer, form, terms)
    except Refused as refused:
        wrong = FormView(form, {refused.field or "": refused.sentence})
        return _page(request, viewer, template_id, wrong, terms, refused)
    is_published = form.get("then") == "publish"
    return go(f"/programs/{program_id}" if is_published else f"/programs/{program_id}/draft")


async def _make(viewer: Connected, form: Mapping[str, str], terms: Terms) -> str:
    """The id of the new program."""
    name = form.get("name", "")
    texts = {key: form.get(key, "").replace("\r\n", "\n") for key in ("eligibility_text", "terms_text")}
    async with viewer.transaction() as tx:
        if form.get("then") == "publish":
            made, _ = await create_program(
                tx,
                viewer.organization_id,
                connection_id=viewer.connection_id,
                name=name,
                terms=terms,
                effective_at=instant_of_form(form) or viewer.now,
                actor=viewer.actor,
                now=viewer.real_now,
                **texts,
            )
        else:
            made, _ = await create_program_draft(
                tx,
                viewer.organization_id,
                connection_id=viewer.connection_id,
                name=name,
                terms=terms,
                actor=viewer.actor,
                now=viewer.real_now,
                **texts,
            )
    return made.program_id


def _terms(form: Mapping[str, str], template_id: str, faults: dict[str, str]) -> Terms:
    """The template's terms with the values of the form."""
    terms = terms_of_template(template_id)
    given = {**form, "duration.count": form.get("duration.count") or "12", "caps.0.on": "program"}
    given.setdefault("caps.0.period", "month")
    rules = tuple(
        read_struct(given, rule, faults, (_main_field(rule),), f"rules.{number}.")
        for number, rule in enumerate(terms.rules)
    )
    return structs.replace(read_struct(given, terms, faults, _FIELDS), rules=rules)


def _main_field(rule: RewardRule) -> str:
    return "rate_bps" if rule.kind == "percentage" else "amounts"


@dataclass(frozen=True, slots=True)
class Preview:
    """What the values of the form come to: sentences, and the example customers; both empty while they are wrong."""

    sentences: list[str]
    pairs: list[tuple[Example | None, Example]]


def _shown(viewer: Connected, terms: Terms | None) -> Preview:
    if terms is None:
        return Preview([], [])
    return Preview(sentences_of(terms), example_pairs(terms, None, viewer.now_s, False))


def _page(
    request: Request,
    viewer: Connected,
    template_id: str,
    form: FormView,
    terms: Terms | None,
    refused: Refused | None = None,
) -> Response:
    template = next(template for template in TEMPLATES if template.template_id == template_id)
    return render(
        request,
        "builder_wizard.html",
        viewer,
        status_code=422 if refused else 200,
        chosen=template,
        rules=[(rule, _main_field(rule)) for rule in terms_of_template(template_id).rules],
        form=form,
        refused=refused,
        shown=_shown(viewer, terms),
        builder_words=builder_words,
    )
