"""/v1/programs and /v1/program_templates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Protocol

import msgspec
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.core.templates import TEMPLATES, terms_of_template
from refref.core.terms import Terms
from refref.core.terms_check import terms_from_data
from refref.core.terms_words import sentences_of
from refref.db import drafts, programs
from refref.db.pool import Connection
from refref.db.programs import Program
from refref.flows import programs as program_flows
from refref.flows.program_budgets import Budget, program_budgets, terms_in_force
from refref.web.api.call import Call, Reading, WriteCall, Writing
from refref.web.api.models import (
    TERMS_SCHEMA,
    Amount,
    Out,
    ProgramDetailOut,
    ProgramOut,
    StatusChangeOut,
    TemplateOut,
    amount,
)
from refref.web.api.paging import Cursor, Limit, PageOf, before_id, present_rows
from refref.web.api.schema import operation_id
from refref.web.api.terms import present_terms, require_program

router = APIRouter(prefix="/v1", tags=["programs"], generate_unique_id_function=operation_id)


class StatusFlow(Protocol):
    """A flow that changes the status of a program."""

    async def __call__(
        self, tx: Connection, organization_id: str, program_id: str, *, actor: str, now: datetime
    ) -> Program: ...


class NewProgramIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    connection_id: str | None = Field(default=None, description="May be left out when there is only one.")
    terms: dict[str, Any] | None = Field(default=None, json_schema_extra=TERMS_SCHEMA)
    template: str | None = Field(default=None, description="Instead of terms: the id of a template.")
    currency: str = Field(default="usd", description="Of the template's amounts.")
    as_draft: bool = Field(default=False, description="The terms are a draft: nothing is earned until it is published.")
    effective_at: AwareDatetime | None = Field(
        default=None,
        description="From when the terms are in force. Since ever, unless given: earlier payments that carry a "
        "participant's code earn, too.",
    )
    eligibility_text: str = Field(default="", description="Who may take part, for people to read.")
    terms_text: str = Field(default="", description="The small print, for people to read.")


class ProgramIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    eligibility_text: str | None = None
    terms_text: str | None = None


class DuplicateIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, description="Copy of …, unless given.")


class BudgetOut(Out):
    """A cap on the whole program in one currency."""

    period: Literal["month", "quarter", "year", "ever"]
    rules: list[str] = Field(description="Those whose rewards count; empty: all.")
    cap: Amount
    given: Amount = Field(description="In the present period, less what was taken back.")


@router.get("/program_templates")
async def list_templates(
    call: Reading, currency: Annotated[str, Query(description="Of the amounts.")] = "usd"
) -> PageOf[TemplateOut]:
    """Terms to begin a program with."""
    found = []
    for template in TEMPLATES:
        terms = terms_of_template(template.template_id, currency)
        found.append(
            TemplateOut(
                template_id=template.template_id,
                name=template.name,
                for_whom=template.for_whom,
                participant_kind=template.participant_kind,
                terms=msgspec.to_builtins(terms),
                sentences=sentences_of(terms),
            )
        )
    return PageOf(data=found, next_cursor=None)


@router.get("/programs")
async def list_programs(
    call: Reading, connection_id: str | None = None, limit: Limit = 50, cursor: Cursor = None
) -> PageOf[ProgramOut]:
    """Programs of the organization."""
    before = before_id(cursor, "prg")
    async with call.transaction() as tx:
        rows = await programs.programs(
            tx, call.organization_id, connection_id=connection_id, before=before, limit=limit + 1
        )
    return present_rows(rows, limit, ProgramOut.model_validate, lambda row: row.program_id)


@router.post("/programs", status_code=201, response_model=ProgramDetailOut)
async def create_program(call: Writing, body: NewProgramIn) -> Response:
    """Make a program with the first version of its terms, or with a draft of it."""
    terms = _first_terms(body)

    async def run(tx: Connection) -> ProgramDetailOut:
        connection = await call.connection(tx, body.connection_id)
        if body.as_draft:
            program, _ = await program_flows.create_program_draft(
                tx,
                call.organization_id,
                connection_id=connection.connection_id,
                name=body.name,
                terms=terms,
                eligibility_text=body.eligibility_text,
                terms_text=body.terms_text,
                actor=call.actor,
                now=call.now,
            )
        else:
            program, _ = await program_flows.create_program(
                tx,
                call.organization_id,
                connection_id=connection.connection_id,
                name=body.name,
                terms=terms,
                effective_at=body.effective_at,
                eligibility_text=body.eligibility_text,
                terms_text=body.terms_text,
                actor=call.actor,
                now=call.now,
            )
        return await _detail(tx, call, program)

    return await call.write(201, run)


@router.get("/programs/{program_id}")
async def get_program(call: Reading, program_id: str) -> ProgramDetailOut:
    """One program with the newest version of its terms."""
    async with call.transaction() as tx:
        return await _detail(tx, call, await require_program(tx, call.organization_id, program_id))


@router.patch("/programs/{program_id}", response_model=ProgramDetailOut)
async def update_program(call: Writing, program_id: str, body: ProgramIn) -> Response:
    """Change the name or the texts of a program; what is left out stays."""

    async def run(tx: Connection) -> ProgramDetailOut:
        changed = await program_flows.update_program(
            tx,
            call.organization_id,
            program_id,
            name=body.name,
            eligibility_text=body.eligibility_text,
            terms_text=body.terms_text,
            actor=call.actor,
            now=call.now,
        )
        return await _detail(tx, call, changed)

    return await call.write(200, run)


@router.post("/programs/{program_id}/pause", response_model=ProgramDetailOut)
async def pause_program(call: Writing, program_id: str) -> Response:
    """Take no new referees for now. Who is bound goes on earning."""
    return await _change(call, program_id, program_flows.pause_program)


@router.post("/programs/{program_id}/resume", response_model=ProgramDetailOut)
async def resume_program(call: Writing, program_id: str) -> Response:
    """Take new referees again from now on."""
    return await _change(call, program_id, program_flows.resume_program)


@router.post("/programs/{program_id}/archive", response_model=ProgramDetailOut)
async def archive_program(call: Writing, program_id: str) -> Response:
    """End a program for good: what comes from now on earns nothing. What was earned stays."""
    return await _change(call, program_id, program_flows.archive_program)


@router.post("/programs/{program_id}/duplicate", status_code=201, response_model=ProgramDetailOut)
async def duplicate_program(call: Writing, program_id: str, body: DuplicateIn) -> Response:
    """Make a program with the texts of another and, as a draft, its terms."""

    async def run(tx: Connection) -> ProgramDetailOut:
        made, _ = await program_flows.duplicate_program(
            tx, call.organization_id, program_id, name=body.name, actor=call.actor, now=call.now
        )
        return await _detail(tx, call, made)

    return await call.write(201, run)


@router.get("/programs/{program_id}/statuses")
async def list_statuses(call: Reading, program_id: str) -> PageOf[StatusChangeOut]:
    """When a program was made, paused, resumed and archived, the latest first."""
    async with call.transaction() as tx:
        await require_program(tx, call.organization_id, program_id)
        changes = await programs.status_changes(tx, call.organization_id, program_id)
    return PageOf(data=[StatusChangeOut.model_validate(change) for change in reversed(changes)], next_cursor=None)


@router.get("/programs/{program_id}/budgets")
async def list_budgets(call: Reading, program_id: str) -> PageOf[BudgetOut]:
    """The caps on the whole program under the terms in force, with what was given of each in its present period."""
    async with call.transaction() as tx:
        program = await require_program(tx, call.organization_id, program_id)
        connection = await call.connection(tx, program.connection_id)
        now = call.now + timedelta(seconds=connection.clock_ahead_s)
        version = await terms_in_force(tx, call.organization_id, program_id, now)
        found = await program_budgets(tx, call.organization_id, program_id, version, now)
    return PageOf(data=[present_budget(budget) for budget in found], next_cursor=None)


def present_budget(budget: Budget) -> BudgetOut:
    """A budget for the API."""
    return BudgetOut(
        period=budget.period,
        rules=list(budget.rules),
        cap=amount(budget.cap_minor, budget.currency),
        given=amount(budget.given_minor, budget.currency),
    )


def _first_terms(body: NewProgramIn) -> Terms:
    if body.template is not None:
        if body.terms is not None:
            raise Refused("invalid_request", "Give terms or a template, not both.", "template")
        return terms_of_template(body.template, body.currency)
    return terms_from_data(body.terms or {})


async def _change(call: WriteCall, program_id: str, flow: StatusFlow) -> Response:
    async def run(tx: Connection) -> ProgramDetailOut:
        changed = await flow(tx, call.organization_id, program_id, actor=call.actor, now=call.now)
        return await _detail(tx, call, changed)

    return await call.write(200, run)


async def _detail(tx: Connection, call: Call, program: Program) -> ProgramDetailOut:
    newest = await programs.latest_terms(tx, call.organization_id, program.program_id)
    draft = await drafts.draft_of(tx, call.organization_id, program.program_id)
    return ProgramDetailOut(
        terms=None if newest is None else present_terms(newest),
        has_draft=draft is not None,
        **ProgramOut.model_validate(program).model_dump(),
    )
