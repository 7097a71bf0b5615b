"""Reward rules of a draft: the list in order of precedence, one added, changed, moved, or taken out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter
from msgspec import structs
from starlette.requests import Request
from starlette.responses import Response

from refref.core.criteria_form import FIELDS
from refref.core.refusals import Refused
from refref.core.rule_words import rule_sentence
from refref.core.terms import RewardRule, Terms
from refref.web.pages.builder_desk import (
    NOT_READ,
    Desk,
    FormView,
    builder_page,
    change_draft,
    form_view,
    go,
    id_from,
    numbered,
    open_desk,
)
from refref.web.pages.builder_words import KINDS
from refref.web.pages.condition_form import CHOICES
from refref.web.pages.terms_form import read_struct, values_of
from refref.web.pages.viewer import Connected, OnConnection, form_of

router = APIRouter(include_in_schema=False)

_FIELDS = tuple(name for name in RewardRule.__struct_fields__ if name != "rule_id")
_IN_KIND = ("discount", "feature")


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in the list. `is_alternative`: it shares its group with an earlier rule, so it gets what that one left."""

    number: int
    rule: RewardRule
    sentence: str
    is_alternative: bool
    fault_count: int


@router.get("/programs/{program_id}/draft/rules")
async def rules(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Every rule, the first first."""
    return _list(request, viewer, await open_desk(viewer, program_id))


@router.get("/programs/{program_id}/draft/rules/new")
async def new_rule(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """The form of a new rule; with `event` for that event."""
    desk = await open_desk(viewer, program_id)
    event = request.query_params.get("event", "")
    values = {**_values(RewardRule(rule_id="new", rate_bps=2_000)), "event": event}
    return _form(request, viewer, desk, FormView(values), None)


@router.post("/programs/{program_id}/draft/rules/new")
async def add_rule(request: Request, viewer: OnConnection, program_id: str) -> Response:
    """Add a rule to the draft, after the others."""
    return await _save(request, viewer, program_id, None)


@router.get("/programs/{program_id}/draft/rules/{number}")
async def rule(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """The form of one rule."""
    desk = await open_desk(viewer, program_id)
    place = numbered(desk.terms.rules, number, "rule")
    path = f"terms.rules.{place}"
    found = desk.terms.rules[place]
    view = form_view(found, desk.faults_below(path), path)
    return _form(request, viewer, desk, FormView(_values(found), view.faults), number)


@router.post("/programs/{program_id}/draft/rules/{number}")
async def change_rule(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """Change a rule of the draft."""
    return await _save(request, viewer, program_id, number)


@router.post("/programs/{program_id}/draft/rules/{number}/move")
async def move_rule(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """Let a rule come one place earlier (`up`) or later (`down`)."""
    form = await form_of(request)

    def moved(terms: Terms) -> Terms:
        place = numbered(terms.rules, number, "rule")
        other = place - 1 if form.get("direction") == "up" else place + 1
        if not 0 <= other < len(terms.rules):
            return terms
        ordered = list(terms.rules)
        ordered[place], ordered[other] = ordered[other], ordered[place]
        return structs.replace(terms, rules=tuple(ordered))

    return await _change_list(request, viewer, program_id, form, moved)


@router.post("/programs/{program_id}/draft/rules/{number}/remove")
async def remove_rule(request: Request, viewer: OnConnection, program_id: str, number: int) -> Response:
    """Take a rule out."""

    def without(terms: Terms) -> Terms:
        place = numbered(terms.rules, number, "rule")
        return structs.replace(terms, rules=terms.rules[:place] + terms.rules[place + 1 :])

    return await _change_list(request, viewer, program_id, await form_of(request), without)


async def _change_list(
    request: Request, viewer: Connected, program_id: str, form: Mapping[str, str], change: Callable[[Terms], Terms]
) -> Response:
    try:
        await change_draft(viewer, program_id, form, change)
    except Refused as refused:
        return _list(request, viewer, await open_desk(viewer, program_id), refused)
    return go(f"/programs/{program_id}/draft/rules")


async def _save(request: Request, viewer: Connected, program_id: str, number: int | None) -> Response:
    form = await form_of(request)
    faults: dict[str, str] = {}

    def put(terms: Terms) -> Terms:
        if number is None:
            taken = [rule.rule_id for rule in terms.rules]
            before = RewardRule(rule_id=id_from(form.get("name", ""), taken, form.get("reward", "") or "rule"))
        else:
            before = terms.rules[numbered(terms.rules, number, "rule")]
        made = read_struct(_relevant(form), before, faults, _FIELDS)
        if faults:
            raise NOT_READ
        if number is None:
            return structs.replace(terms, rules=(*terms.rules, made))
        return structs.replace(terms, rules=(*terms.rules[: number - 1], made, *terms.rules[number:]))

    try:
        terms = await change_draft(viewer, program_id, form, put)
    except Refused as refused:
        desk = await open_desk(viewer, program_id)
        return _form(request, viewer, desk, FormView(form, faults), number, refused)
    desk = await open_desk(viewer, program_id)
    place = len(terms.rules) - 1 if number is None else number - 1
    if desk.faults_below(f"terms.rules.{place}"):
        return go(f"{desk.path}/rules/{place + 1}")
    return go(f"{desk.path}/rules")


def _values(rule: RewardRule) -> dict[str, str]:
    by = "bands" if rule.bands else "tiers" if rule.tiers else "flat"
    values = values_of(rule)
    if rule.tiers is None:
        values |= {"tiers.by": "referrals", "tiers.period": "ever", "tiers.applies": "onward"}
    return {**values, "value_by": by}


def _relevant(form: Mapping[str, str]) -> dict[str, str]:
    """The inputs that matter for what was chosen; without JavaScript the others are shown, too."""
    kept = dict(form)
    reward, by = kept.get("reward", ""), kept.get("value_by", "flat")
    if reward in _IN_KIND:
        by = "flat"
        kept |= {"benefit.is_set": "on", "kind": "percentage", "rate_bps": "", "amounts": "", "fixed_per": "sale"}
        kept |= _of_benefit(kept, reward)
        kept = _without(kept, "overrides.")
    else:
        kept = _without(kept, "benefit.")
        if kept.get("kind") == "percentage":
            kept |= {"amounts": "", "fixed_per": "sale"}
        elif kept.get("kind") == "fixed":
            kept["rate_bps"] = ""
    if by != "bands":
        kept = _without(kept, "bands.")
    if by != "tiers":
        kept = _without(kept, "tiers.")
    else:
        kept |= _of_tiers(kept)
    if kept.get("to") != "split":
        kept = _without(kept, "split.")
    if kept.get("event"):
        kept["on"] = "every"
    if kept.get("duration.unit") == "forever":
        kept["duration.count"] = "12"
    return kept


def _of_benefit(form: Mapping[str, str], reward: str) -> dict[str, str]:
    if reward == "feature":
        off = dict.fromkeys(("benefit.percent_off_bps", "benefit.amount_off", "benefit.duration_in_months"), "")
        return {**off, "benefit.duration": "once"}
    months = form.get("benefit.duration_in_months", "") if form.get("benefit.duration") == "repeating" else ""
    return {"benefit.feature": "", "benefit.duration_in_months": months}


def _of_tiers(form: Mapping[str, str]) -> dict[str, str]:
    by = form.get("tiers.by", "")
    unused = ".at_least" if by == "plan" else ".plan"
    kept = {name: "" for name in form if name.startswith("tiers.steps.") and name.endswith(unused)}
    if by == "plan":
        kept |= {"tiers.period": "ever", "tiers.applies": "onward"}
    if by != "revenue":
        kept["tiers.currency"] = ""
    return kept


def _without(form: Mapping[str, str], start: str) -> dict[str, str]:
    return {name: value for name, value in form.items() if not name.startswith(start)}


def _list(request: Request, viewer: Connected, desk: Desk, refused: Refused | None = None) -> Response:
    events = {event.event_id: event for event in desk.terms.events}
    rows = [
        RuleRow(
            place + 1,
            rule,
            rule_sentence(structs.replace(rule, name="", group=""), events.get(rule.event), desk.names),
            bool(rule.group) and any(rule.group == earlier.group for earlier in desk.terms.rules[:place]),
            len(desk.faults_below(f"terms.rules.{place}")),
        )
        for place, rule in enumerate(desk.terms.rules)
    ]
    return builder_page(request, "builder_rules.html", viewer, desk, section="rules", refused=refused, rows=rows)


def _form(
    request: Request,
    viewer: Connected,
    desk: Desk,
    form: FormView,
    number: int | None,
    refused: Refused | None = None,
) -> Response:
    rule = None if number is None else desk.terms.rules[numbered(desk.terms.rules, number, "rule")]
    known = [(event.event_id, event.name or KINDS[event.kind].label) for event in desk.terms.events]
    chosen = form.value("event")
    if chosen and chosen not in dict(known):
        known.append((chosen, f"{chosen} (taken out)"))
    return builder_page(
        request,
        "builder_rule.html",
        viewer,
        desk,
        section="rules",
        form=form,
        refused=refused,
        number=number,
        rule=rule,
        event_choices=[("", "Payments, without an event"), *known],
        condition_choices=CHOICES,
        condition_fields=FIELDS,
    )
