"""/v1/programs and the versions of their terms."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.core.terms import Terms
from refref.core.terms_check import terms_from_json
from refref.db import programs
from refref.db.pool import Connection
from refref.db.programs import Program, StoredTerms
from refref.flows import programs as program_flows
from refref.web.api.call import Reading, Writing
from refref.web.api.models import TERMS_SCHEMA, ProgramDetailOut, ProgramOut, TermsVersionOut
from refref.web.api.paging import Cursor, Limit, PageOf, before_id, present_rows
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["programs"], generate_unique_id_function=operation_id)


class NewProgramIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    connection_id: str | None = Field(default=None, description="May be left out when there is only one.")
    terms: dict[str, Any] = Field(default_factory=dict, json_schema_extra=TERMS_SCHEMA)
    effective_at: AwareDatetime | None = Field(default=None, description="Since ever, unless given.")


class NewTermsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    terms: dict[str, Any] = Field(json_schema_extra=TERMS_SCHEMA)
    effective_at: AwareDatetime | None = Field(
        default=None, description="Now, unless given; not before the last one's."
    )


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
    """Make a program with the first version of its terms."""
    terms = _terms(body.terms)

    async def run(tx: Connection) -> ProgramDetailOut:
        connection = await call.connection(tx, body.connection_id)
        program, first = await program_flows.create_program(
            tx,
            call.organization_id,
            connection_id=connection.connection_id,
            name=body.name,
            terms=terms,
            effective_at=body.effective_at,
            actor=call.actor,
            now=call.now,
        )
        return _detail(program, first)

    return await call.write(201, run)


@router.get("/programs/{program_id}")
async def get_program(call: Reading, program_id: str) -> ProgramDetailOut:
    """One program with the newest version of its terms."""
    async with call.transaction() as tx:
        program = await _require_program(tx, call.organization_id, program_id)
        newest = await programs.latest_terms(tx, call.organization_id, program_id)
    assert newest is not None
    return _detail(program, newest)


@router.get("/programs/{program_id}/terms")
async def list_terms(call: Reading, program_id: str) -> PageOf[TermsVersionOut]:
    """Every version of a program's terms, the newest first."""
    async with call.transaction() as tx:
        await _require_program(tx, call.organization_id, program_id)
        versions = await programs.terms_versions(tx, call.organization_id, program_id)
    return PageOf(data=[_present_terms(version) for version in versions], next_cursor=None)


@router.post("/programs/{program_id}/terms", status_code=201, response_model=TermsVersionOut)
async def publish_terms(call: Writing, program_id: str, body: NewTermsIn) -> Response:
    """Publish a new version of a program's terms. Versions are never changed."""
    terms = _terms(body.terms)

    async def run(tx: Connection) -> TermsVersionOut:
        made = await program_flows.publish_terms(
            tx,
            call.organization_id,
            program_id,
            terms=terms,
            effective_at=body.effective_at,
            actor=call.actor,
            now=call.now,
        )
        return _present_terms(made)

    return await call.write(201, run)


def _terms(given: dict[str, Any]) -> Terms:
    return terms_from_json(json.dumps(given))


async def _require_program(tx: Connection, organization_id: str, program_id: str) -> Program:
    found = await programs.program_by_id(tx, organization_id, program_id)
    if found is None:
        raise Refused("unknown_program", "There is no program with this id.", "program_id")
    return found


def _present_terms(row: StoredTerms) -> TermsVersionOut:
    return TermsVersionOut(
        version=row.version,
        effective_at=row.effective_at,
        created_at=row.created_at,
        terms=msgspec.json.decode(row.body),
    )


def _detail(program: Program, newest: StoredTerms) -> ProgramDetailOut:
    return ProgramDetailOut(terms=_present_terms(newest), **ProgramOut.model_validate(program).model_dump())
