"""What a draft says of the whole program: limits, currencies, checks against fraud, and the general settings."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from fastapi import APIRouter
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.core.terms import FraudRule, Terms
from refref.web.pages.builder_desk import (
    NOT_READ,
    Desk,
    FormView,
    builder_page,
    change_draft,
    given_view,
    go,
    open_desk,
)
from refref.web.pages.builder_words import ACTIONS, CHECKS
from refref.web.pages.fault_words import in_plain_words
from refref.web.pages.terms_form import read_struct, values_of
from refref.web.pages.viewer import Connected, OnConnection, PageNotFound, form_of

router = APIRouter(include_in_schema=False)

# What each page shows of the terms.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "limits": ("caps",),
    "currencies": ("currency",),
    "fraud": ("fraud",),
    "settings": (
        "duration",
        "hold_days",
        "attribution_window_days",
        "signup_window_days",
        "customers",
        "products",
        "excluded_products",
        "excluded_coupons",
        "excluded_email_domains",
        "includes_tax",
        "includes_shipping",
        "counts_out_of_band",
        "counts_bare_charges",
        "restart",
        "approval",
        "starts_at",
        "ends_at",
    ),
}


@router.get("/programs/{program_id}/draft/{section}")
async def section_page(request: Request, viewer: OnConnection, program_id: str, section: str) -> Response:
    """The form of one section."""
    desk = await open_desk(viewer, program_id)
    names = _fields_of(section)
    if section == "fraud":
        return _page(request, viewer, desk, section, _fraud_view(desk))
    faults = [fault for name in names for fault in desk.faults_below(f"terms.{name}")]
    return _page(request, viewer, desk, section, given_view(values_of(desk.terms), faults, "terms"))


@router.post("/programs/{program_id}/draft/{section}")
async def save_section(request: Request, viewer: OnConnection, program_id: str, section: str) -> Response:
    """Save one section in the draft."""
    names = _fields_of(section)
    form = await form_of(request)
    faults: dict[str, str] = {}

    def change(terms: Terms) -> Terms:
        if section == "fraud":
            made = structs.replace(terms, fraud=_fraud_of(form, faults))
        else:
            made = read_struct(_relevant(form), terms, faults, names)
        if faults:
            raise NOT_READ
        return made

    try:
        await change_draft(viewer, program_id, form, change)
    except Refused as refused:
        desk = await open_desk(viewer, program_id)
        return _page(request, viewer, desk, section, FormView(form, faults), refused)
    desk = await open_desk(viewer, program_id)
    is_faulty = any(desk.faults_below(f"terms.{name}") for name in names)
    return go(f"{desk.path}/{section}" if is_faulty else desk.path)


def _fields_of(section: str) -> tuple[str, ...]:
    found = SECTIONS.get(section)
    if found is None:
        raise PageNotFound("section")
    return found


def _relevant(form: Mapping[str, str]) -> dict[str, str]:
    kept = dict(form)
    if kept.get("duration.unit") == "forever":
        kept["duration.count"] = "12"
    if kept.get("currency.conversion") != "table":
        kept["currency.table"] = ""
    for name in [name for name in kept if name.startswith("caps.") and name.endswith(".on")]:
        if kept[name] == "reward":  # one reward has no period
            kept[f"{name.removesuffix('on')}period"] = "ever"
    return kept


def _fraud_view(desk: Desk) -> FormView:
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for number, rule in enumerate(desk.terms.fraud):
        values |= {f"fraud.{rule.check}.action": rule.action, f"fraud.{rule.check}.limit": str(rule.limit or "")}
        for fault in desk.faults_below(f"terms.fraud.{number}"):
            faults[f"fraud.{rule.check}.{'limit' if fault.field.endswith('limit') else 'action'}"] = in_plain_words(
                fault
            )
    return FormView(values, faults)


def _fraud_of(form: Mapping[str, str], faults: dict[str, str]) -> tuple[FraudRule, ...]:
    """The checks whose action was chosen; the others are as they always are."""
    actions = [action for action, _ in ACTIONS]
    found: list[dict[str, object]] = []
    for check, words in CHECKS.items():
        name = f"fraud.{check}"
        action, limit = form.get(f"{name}.action", ""), form.get(f"{name}.limit", "")
        if not action:
            continue
        if action not in actions:
            faults[f"{name}.action"] = "Choose one of the list."
        elif limit and not (limit.isascii() and limit.isdigit() and len(limit) <= 9):
            faults[f"{name}.limit"] = "Give a whole number."
        else:
            found.append({"check": check, "action": action, "limit": int(limit) if limit and words.limit else 0})
    return msgspec.convert(found, tuple[FraudRule, ...])


def _page(
    request: Request, viewer: Connected, desk: Desk, section: str, form: FormView, refused: Refused | None = None
) -> Response:
    return builder_page(
        request,
        f"builder_{section}.html",
        viewer,
        desk,
        section=section,
        form=form,
        refused=refused,
        rule_names={rule.rule_id: rule.name for rule in desk.terms.rules},
    )
