"""/v1/participants with their codes, and /v1/balances."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.refusals import Refused
from refref.db import profiles, reports
from refref.db.pool import Connection
from refref.db.profiles import Profile
from refref.db.reports import ParticipantRow
from refref.flows import participants as participant_flows
from refref.flows import profiles as profile_flows
from refref.flows.ip_hashes import note_participant_ip
from refref.web.api.call import Call, Reading, Writing
from refref.web.api.models import CodeOut, ParticipantBalancesOut, ParticipantOut, ProfileOut, present_balance
from refref.web.api.paging import Cursor, Limit, PageOf, present_page
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["participants"], generate_unique_id_function=operation_id)


class NewParticipantIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    program_id: str
    kind: str = Field(default="affiliate", description="referrer or affiliate")
    name: str
    email: str
    refcode: str | None = Field(default=None, description="Made when left out.")
    created_at: AwareDatetime | None = Field(default=None, description="In the past, for an import.")
    groups: list[str] = Field(default_factory=list, description="Groups of yours, for overrides in the terms.")
    country: str = Field(default="", description="Two upper-case letters.")
    metadata: dict[str, str] = Field(default_factory=dict)
    ip: str | None = Field(
        default=None, description="The network address they signed up from, of which only a keyed hash is stored."
    )


class ProfileIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    groups: list[str] | None = Field(default=None, description="All of them; what is left out stays.")
    country: str | None = Field(default=None, description="Two upper-case letters; empty: unknown.")
    metadata: dict[str, str] | None = Field(default=None, description="All of it; what is left out stays.")
    since_at: AwareDatetime | None = Field(default=None, description="Now, unless given; in the past, for an import.")


class NewCodeIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: str = Field(description="A refcode, or the id of a Stripe promotion code (promo_…).")
    code_kind: str = Field(default="refcode", description="refcode or promotion_code")
    created_at: AwareDatetime | None = Field(default=None, description="In the past, for an import.")


@router.get("/participants")
async def list_participants(
    call: Reading,
    connection_id: str | None = None,
    program_id: str | None = None,
    status: Literal["active", "paused"] | None = None,
    search: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[ParticipantOut]:
    """Participants with their codes and balances. `search`: name, e-mail, id or code."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.participants_page(
            tx,
            *own,
            status=status,
            program_id=program_id,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, _present)


@router.post("/participants", status_code=201, response_model=ParticipantOut)
async def create_participant(call: Writing, body: NewParticipantIn) -> Response:
    """Add a participant with a refcode."""

    async def run(tx: Connection) -> ParticipantOut:
        made, _ = await participant_flows.create_participant(
            tx,
            call.organization_id,
            program_id=body.program_id,
            kind=body.kind,
            name=body.name,
            email=body.email,
            refcode=body.refcode,
            created_at=body.created_at,
            groups=body.groups,
            country=body.country,
            metadata=body.metadata,
            actor=call.actor,
            now=call.now,
        )
        if body.ip:
            await note_participant_ip(
                tx, call.context.vault, call.organization_id, made.participant_id, body.ip, now=call.now
            )
        return await _participant(tx, call, made.participant_id)

    return await call.write(201, run)


@router.get("/participants/{participant_id}")
async def get_participant(call: Reading, participant_id: str) -> ParticipantOut:
    """One participant with codes and balances."""
    async with call.transaction() as tx:
        return await _participant(tx, call, participant_id)


@router.get("/participants/{participant_id}/profiles")
async def list_profiles(call: Reading, participant_id: str) -> PageOf[ProfileOut]:
    """What was said of a participant (groups, country, metadata) and from when on, the latest first."""
    async with call.transaction() as tx:
        await _participant(tx, call, participant_id)
        rows = await profiles.profiles_of(tx, call.organization_id, [participant_id])
    return PageOf(data=[_present_profile(row) for row in reversed(rows)], next_cursor=None)


@router.put("/participants/{participant_id}/profile", response_model=ProfileOut)
async def set_profile(call: Writing, participant_id: str, body: ProfileIn) -> Response:
    """Say which groups, country and metadata a participant has from now on. Earlier conversions keep what held."""

    async def run(tx: Connection) -> ProfileOut:
        made = await profile_flows.set_profile(
            tx,
            call.organization_id,
            participant_id,
            groups=body.groups,
            country=body.country,
            metadata=body.metadata,
            since_at=body.since_at,
            actor=call.actor,
            now=call.now,
        )
        return _present_profile(made)

    return await call.write(200, run)


@router.get("/participants/{participant_id}/codes")
async def list_codes(call: Reading, participant_id: str) -> PageOf[CodeOut]:
    """A participant's codes, the active ones first."""
    async with call.transaction() as tx:
        await _participant(tx, call, participant_id)
        rows = await reports.codes_of(tx, call.organization_id, participant_id)
    return PageOf(data=[CodeOut.model_validate(row) for row in rows], next_cursor=None)


@router.post("/participants/{participant_id}/codes", status_code=201, response_model=CodeOut)
async def add_code(call: Writing, participant_id: str, body: NewCodeIn) -> Response:
    """Let one more refcode or promotion code attribute to a participant."""

    async def run(tx: Connection) -> CodeOut:
        made = await participant_flows.add_code(
            tx,
            call.organization_id,
            participant_id,
            code_kind=body.code_kind,
            code=body.code,
            created_at=body.created_at,
            actor=call.actor,
            now=call.now,
        )
        return CodeOut.model_validate(made)

    return await call.write(201, run)


@router.delete("/participants/{participant_id}/codes/{code}", response_model=CodeOut)
async def deactivate_code(call: Writing, participant_id: str, code: str) -> Response:
    """End a code. What it brought stays."""

    async def run(tx: Connection) -> CodeOut:
        ended = await participant_flows.deactivate_code(
            tx, call.organization_id, participant_id, code, actor=call.actor, now=call.now
        )
        return CodeOut.model_validate(ended)

    return await call.write(200, run)


@router.post("/participants/{participant_id}/pause", response_model=ParticipantOut)
async def pause_participant(call: Writing, participant_id: str) -> Response:
    """Let a participant's codes bind nobody new for now. Who is bound stays so."""

    async def run(tx: Connection) -> ParticipantOut:
        await participant_flows.pause_participant(
            tx, call.organization_id, participant_id, actor=call.actor, now=call.now
        )
        return await _participant(tx, call, participant_id)

    return await call.write(200, run)


@router.post("/participants/{participant_id}/resume", response_model=ParticipantOut)
async def resume_participant(call: Writing, participant_id: str) -> Response:
    """Undo a pause. What carried the codes meanwhile counts after all."""

    async def run(tx: Connection) -> ParticipantOut:
        await participant_flows.resume_participant(
            tx, call.organization_id, participant_id, actor=call.actor, now=call.now
        )
        return await _participant(tx, call, participant_id)

    return await call.write(200, run)


@router.get("/balances")
async def list_balances(
    call: Reading, connection_id: str | None = None, limit: Limit = 50, cursor: Cursor = None
) -> PageOf[ParticipantBalancesOut]:
    """What the ledger holds per participant and currency."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.participants_page(tx, *own, cursor=cursor, limit=limit)
    return present_page(page, _present_balances)


async def _participant(tx: Connection, call: Call, participant_id: str) -> ParticipantOut:
    found = await reports.participant_by_id(tx, call.organization_id, participant_id)
    if found is None:
        raise Refused("unknown_participant", "There is no participant with this id.", "participant_id")
    return _present(found)


def _present(row: ParticipantRow) -> ParticipantOut:
    names = ParticipantOut.model_fields.keys() - {"codes", "balances"}
    return ParticipantOut(
        codes=list(row.codes),
        balances=[present_balance(balance) for balance in row.balances],
        **{name: getattr(row, name) for name in names},
    )


def _present_balances(row: ParticipantRow) -> ParticipantBalancesOut:
    return ParticipantBalancesOut(
        participant_id=row.participant_id,
        name=row.name,
        balances=[present_balance(balance) for balance in row.balances],
    )


def _present_profile(row: Profile) -> ProfileOut:
    return ProfileOut(
        since_at=row.since_at, groups=list(row.group_names), country=row.country, metadata=dict(row.metadata)
    )
