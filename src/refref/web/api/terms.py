"""/v1/programs/{id}/terms and …/draft: versions and the draft of the next, checked, compared in words, published."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.faults import Fault
from refref.core.refusals import Refused
from refref.core.terms import Terms
from refref.core.terms_check import faults_of, terms_from_data
from refref.core.terms_document import document_schema
from refref.core.terms_words import differences, sentences_of
from refref.db import programs
from refref.db.drafts import TermsDraft
from refref.db.pool import Connection
from refref.db.programs import StoredTerms
from refref.flows import drafts as draft_flows
from refref.flows import programs as program_flows
from refref.flows.terms_names import names_in
from refref.web.api.call import Call, Reading, Writing
from refref.web.api.models import TERMS_SCHEMA, DraftOut, FaultOut, TermsVersionOut
from refref.web.api.paging import PageOf
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["terms"], generate_unique_id_function=operation_id)

GivenTerms = Annotated[dict[str, Any], Field(json_schema_extra=TERMS_SCHEMA)]
EffectiveAt = Annotated[
    AwareDatetime | None, Field(description="Now, unless given; not before the last version's instant.")
]
Number = Annotated[int, Field(ge=0, le=2**31 - 1)]
BasedOn = Annotated[
    Number | None, Field(description="The newest version that you know of; refused when there is a newer one.")
]
Revision = Annotated[Number | None, Field(description="Of the draft that you saw; refused when it was saved since.")]


class TermsIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    terms: GivenTerms


class NewTermsIn(TermsIn):
    effective_at: EffectiveAt = None
    based_on_version: BasedOn = None


class DraftIn(TermsIn):
    based_on_version: BasedOn = None
    revision: Revision = None


class PublishIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    effective_at: EffectiveAt = None
    revision: Revision = None


class CheckedOut(BaseModel):
    faults: list[FaultOut] = Field(description="Empty: it can be published.")
    sentences: list[str] = Field(description="The terms in plain words.")


class PlanOut(CheckedOut):
    based_on_version: int = Field(description="The newest version, with which the terms were compared; 0: none.")
    differences: list[str] = Field(description="What publishing would change, in plain words; empty: nothing.")


class DiffOut(BaseModel):
    differences: list[str] = Field(description="What changes, in plain words; empty: nothing.")


@router.get("/terms.schema.json")
async def get_terms_schema(call: Reading) -> dict[str, Any]:
    """The JSON Schema of a program with its terms as a file."""
    return document_schema()


@router.get("/programs/{program_id}/terms")
async def list_terms(call: Reading, program_id: str) -> PageOf[TermsVersionOut]:
    """Every version of a program's terms, the newest first."""
    async with call.transaction() as tx:
        await require_program(tx, call.organization_id, program_id)
        versions = await programs.terms_versions(tx, call.organization_id, program_id)
    return PageOf(data=[present_terms(version) for version in versions], next_cursor=None)


@router.post("/programs/{program_id}/terms", status_code=201, response_model=TermsVersionOut)
async def publish_terms(call: Writing, program_id: str, body: NewTermsIn) -> Response:
    """Publish a new version of a program's terms. Versions are never changed."""
    terms = terms_from_data(body.terms)

    async def run(tx: Connection) -> TermsVersionOut:
        made = await program_flows.publish_terms(
            tx,
            call.organization_id,
            program_id,
            terms=terms,
            effective_at=body.effective_at,
            based_on_version=body.based_on_version,
            actor=call.actor,
            now=call.now,
        )
        return present_terms(made)

    return await call.write(201, run)


@router.post("/programs/{program_id}/terms/validate")
async def validate_terms(call: Reading, program_id: str, body: TermsIn) -> CheckedOut:
    """Every fault of terms, and what they say. Changes nothing."""
    terms = terms_from_data(body.terms)
    async with call.transaction() as tx:
        program = await require_program(tx, call.organization_id, program_id)
        names = await names_in(tx, call.organization_id, program.connection_id, [terms])
    return CheckedOut(faults=present_faults(faults_of(terms)), sentences=sentences_of(terms, names))


@router.post("/programs/{program_id}/terms/plan")
async def plan_terms(call: Reading, program_id: str, body: TermsIn) -> PlanOut:
    """What publishing these terms would change. Changes nothing."""
    terms = terms_from_data(body.terms)
    async with call.transaction() as tx:
        program = await require_program(tx, call.organization_id, program_id)
        newest = await programs.latest_terms(tx, call.organization_id, program_id)
        shown = [terms, *([newest.terms] if newest else [])]
        names = await names_in(tx, call.organization_id, program.connection_id, shown)
    sentences = sentences_of(terms, names)
    return PlanOut(
        faults=present_faults(faults_of(terms)),
        sentences=sentences,
        based_on_version=0 if newest is None else newest.version,
        differences=sentences if newest is None else differences(newest.terms, terms, names),
    )


@router.get("/programs/{program_id}/terms/diff")
async def diff_terms(
    call: Reading,
    program_id: str,
    old: Annotated[str, Query(alias="from", description="A version's number, or draft.")],
    new: Annotated[str, Query(alias="to", description="A version's number, or draft.")],
) -> DiffOut:
    """What changes from one version, or the draft, to another."""
    async with call.transaction() as tx:
        program = await require_program(tx, call.organization_id, program_id)
        before = await _terms_named(tx, call, program_id, old, "from")
        after = await _terms_named(tx, call, program_id, new, "to")
        names = await names_in(tx, call.organization_id, program.connection_id, [before, after])
    return DiffOut(differences=differences(before, after, names))


@router.get("/programs/{program_id}/draft")
async def get_draft(call: Reading, program_id: str) -> DraftOut:
    """The draft of a program's next terms, with its faults and what it would change."""
    async with call.transaction() as tx:
        await require_program(tx, call.organization_id, program_id)
        found = await draft_flows.require_draft(tx, call.organization_id, program_id)
        return await _present_draft(tx, call, found)


@router.put("/programs/{program_id}/draft", response_model=DraftOut)
async def save_draft(call: Writing, program_id: str, body: DraftIn) -> Response:
    """Save the draft of a program's next terms. It may have faults; publishing then is refused."""
    terms = terms_from_data(body.terms)

    async def run(tx: Connection) -> DraftOut:
        saved = await draft_flows.save_draft(
            tx,
            call.organization_id,
            program_id,
            terms=terms,
            based_on_version=body.based_on_version,
            revision=body.revision,
            actor=call.actor,
            now=call.now,
        )
        return await _present_draft(tx, call, saved)

    return await call.write(200, run)


@router.delete("/programs/{program_id}/draft", response_model=DraftOut)
async def discard_draft(call: Writing, program_id: str) -> Response:
    """Throw the draft away. The answer is what it was."""

    async def run(tx: Connection) -> DraftOut:
        gone = await draft_flows.discard_draft(tx, call.organization_id, program_id, actor=call.actor, now=call.now)
        return await _present_draft(tx, call, gone)

    return await call.write(200, run)


@router.post("/programs/{program_id}/draft/publish", status_code=201, response_model=TermsVersionOut)
async def publish_draft(call: Writing, program_id: str, body: PublishIn) -> Response:
    """Make the draft the next version of the terms."""

    async def run(tx: Connection) -> TermsVersionOut:
        made = await draft_flows.publish_draft(
            tx,
            call.organization_id,
            program_id,
            effective_at=body.effective_at,
            revision=body.revision,
            actor=call.actor,
            now=call.now,
        )
        return present_terms(made)

    return await call.write(201, run)


def present_terms(row: StoredTerms) -> TermsVersionOut:
    """One version."""
    return TermsVersionOut(
        version=row.version,
        effective_at=row.effective_at,
        created_at=row.created_at,
        terms=msgspec.to_builtins(row.terms),
    )


def present_faults(faults: tuple[Fault, ...]) -> list[FaultOut]:
    """Faults with their fields."""
    return [FaultOut(field=fault.field, detail=fault.sentence) for fault in faults]


async def require_program(tx: Connection, organization_id: str, program_id: str) -> programs.Program:
    """The program of a route. Raises Refused("unknown_program")."""
    found = await programs.program_by_id(tx, organization_id, program_id)
    if found is None:
        raise Refused("unknown_program", "There is no program with this id.", "program_id")
    return found


async def _present_draft(tx: Connection, call: Call, draft: TermsDraft) -> DraftOut:
    newest = await programs.latest_terms(tx, call.organization_id, draft.program_id)
    terms = draft.terms
    program = await require_program(tx, call.organization_id, draft.program_id)
    shown = [terms, *([newest.terms] if newest else [])]
    names = await names_in(tx, call.organization_id, program.connection_id, shown)
    sentences = sentences_of(terms, names)
    return DraftOut(
        program_id=draft.program_id,
        terms=msgspec.to_builtins(terms),
        based_on_version=draft.based_on_version,
        newest_version=0 if newest is None else newest.version,
        revision=draft.revision,
        edited_by=draft.edited_by,
        edited_at=draft.edited_at,
        faults=present_faults(faults_of(terms)),
        sentences=sentences,
        differences=sentences if newest is None else differences(newest.terms, terms, names),
    )


async def _terms_named(tx: Connection, call: Call, program_id: str, name: str, field: Literal["from", "to"]) -> Terms:
    """The terms of a version's number, or of the draft."""
    if name == "draft":
        return (await draft_flows.require_draft(tx, call.organization_id, program_id)).terms
    is_number = name.isascii() and name.isdigit() and len(name) <= 9
    found = await programs.terms_version(tx, call.organization_id, program_id, int(name)) if is_number else None
    if found is None:
        raise Refused("unknown_version", "There is no such version: give its number, or draft.", field)
    return found.terms
