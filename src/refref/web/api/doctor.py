"""/v1/doctor: what is wrong with a connection and the books, with evidence and fixes; and mending it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.diagnoses import Diagnosis
from refref.core.words import iso
from refref.db import connections
from refref.db.pool import Connection
from refref.flows.doctor import examine_connection
from refref.flows.doctor_repairs import repair_fault
from refref.flows.invariants import check_invariants
from refref.web.api.call import Reading, Writing
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["events"], generate_unique_id_function=operation_id)


class InvariantOut(BaseModel):
    name: str
    ok: bool
    detail: str


class FixOut(BaseModel):
    """`repair`: `POST /v1/doctor/repair` with the code does it; else a page, a command or a snippet."""

    sentence: str
    repair: bool
    page: str
    command: str
    snippet: str


class DiagnosisOut(BaseModel):
    """One fault. `evidence`: ids and details of the latest; instants by our own clock."""

    code: str
    connection_id: str
    area: str
    severity: Literal["error", "warning", "notice"]
    sentence: str
    count: int
    first_at: str | None
    last_at: str | None
    evidence: list[str]
    fix: FixOut


class DoctorOut(BaseModel):
    """`ok`: every invariant holds and nothing is an error. `findings`: the invariants."""

    ok: bool
    findings: list[InvariantOut]
    diagnoses: list[DiagnosisOut]
    examined_at: AwareDatetime


class RepairIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: str = Field(max_length=60, description="The code of a diagnosis whose fix has a repair.")
    connection_id: str | None = None


class RepairedOut(BaseModel):
    code: str
    repaired: int


@router.get("/doctor")
async def run_doctor(call: Reading, connection_id: str | None = None) -> DoctorOut:
    """Examine one connection, or all of them, and check the invariants of the organization's books now."""
    async with call.transaction() as tx:
        findings = await check_invariants(tx, call.organization_id)
        if connection_id is not None:
            rows = [await call.connection(tx, connection_id)]
        else:
            rows = await connections.connections(tx, call.organization_id, limit=1000)
        found: list[Diagnosis] = []
        for row in rows:
            examined = await examine_connection(tx, call.organization_id, row, call.context.vault, now=call.now)
            found.extend(examined.diagnoses)
    return DoctorOut(
        ok=all(finding.ok for finding in findings) and not any(row.severity == "error" for row in found),
        findings=[InvariantOut(name=row.name, ok=row.ok, detail=row.detail) for row in findings],
        diagnoses=[present_diagnosis(row) for row in found],
        examined_at=call.now,
    )


@router.post("/doctor/repair", response_model=RepairedOut)
async def repair(call: Writing, body: RepairIn) -> Response:
    """Mend a fault, where the doctor can; of traces of the past, say that their cause is mended."""

    async def run(tx: Connection) -> RepairedOut:
        own = await call.books(tx, body.connection_id)
        count = await repair_fault(tx, *own, body.code, actor=call.actor, now=call.now)
        return RepairedOut(code=body.code, repaired=count)

    return await call.write(200, run)


def present_diagnosis(row: Diagnosis) -> DiagnosisOut:
    """A diagnosis as the API tells it."""
    fix = FixOut(
        sentence=row.fix.sentence,
        repair=row.fix.repair is not None,
        page=row.fix.href,
        command=row.fix.command,
        snippet=row.fix.snippet,
    )
    return DiagnosisOut(
        code=row.code,
        connection_id=row.connection_id,
        area=row.area,
        severity=row.severity,
        sentence=row.sentence,
        count=row.count,
        first_at=None if row.first_at is None else iso(row.first_at),
        last_at=None if row.last_at is None else iso(row.last_at),
        evidence=list(row.evidence),
        fix=fix,
    )
