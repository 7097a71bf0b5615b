"""/v1/connections/{id}: whether it works, its permissions and its webhook endpoint at Stripe, and its end."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from refref.connecting.access import Acting, Desk
from refref.connecting.endpoints import ReviewedEndpoint, end_connection, repair_webhooks, review_webhooks
from refref.connecting.keys import KeyReport, check_permissions
from refref.connecting.watch import check_connection
from refref.core.connection_health import PROBLEMS
from refref.core.permission_table import WITHOUT_KEY
from refref.db import connection_health
from refref.db.connection_health import ConnectionProblem
from refref.flows.connections import require_connection
from refref.web.api.call import Call, Reading
from refref.web.api.models import CreatedConnectionOut, SecretOut
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1/connections", tags=["connections"], generate_unique_id_function=operation_id)


class ProblemOut(BaseModel):
    """One thing that is or was wrong with a connection."""

    code: str
    title: str
    remedy: str
    stops_calls: bool = Field(description="Nothing can be asked of Stripe until it is mended.")
    detail: str
    began_at: datetime
    ended_at: datetime | None


class HealthOut(BaseModel):
    """Whether a connection works."""

    connection_id: str
    status: str = Field(description="active, degraded (calls are refused, webhooks are taken) or disabled")
    access: str = Field(description="key, or platform: by OAuth")
    oauth_scope: str | None
    problems: list[ProblemOut] = Field(description="What is wrong now.")


class PermissionOut(BaseModel):
    name: str
    need: str = Field(description="required, recommended or unused")
    state: str = Field(description="works, missing, not_needed, too_much or unknown")
    missing: list[str] = Field(description="read, write")
    purpose: str


class PermissionsOut(BaseModel):
    """What a connection's key can do, tried just now."""

    stripe_account_id: str | None
    warnings: list[str]
    permissions: list[PermissionOut]


class ConnectedOut(CreatedConnectionOut):
    """A new connection, with what its key can do; without a key, `warnings` says what is missing then."""

    permissions: list[PermissionOut]


class StoredKeyOut(SecretOut):
    """The key that is used from now on, with what it can do."""

    warnings: list[str]
    permissions: list[PermissionOut]


class FindingOut(BaseModel):
    code: str
    is_error: bool = Field(description="Money can be missed.")
    sentence: str
    names: list[str]


class EndpointOut(BaseModel):
    """The webhook endpoint at Stripe, looked at just now."""

    url: str
    is_public: bool = Field(description="Stripe can reach the address.")
    stripe_endpoint_id: str | None
    is_enabled: bool
    is_managed: bool = Field(description="RefRef made or adopted it.")
    api_version: str | None
    event_count: int
    findings: list[FindingOut]


class RepairIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    roll_secret: bool = Field(default=False, description="Also exchange the signing secret; both hold for a day.")


class EndedOut(BaseModel):
    connection_id: str
    status: str
    left_to_do: str | None = Field(description="What could not be undone at Stripe.")


def desk_of(call: Call) -> Desk:
    """Where the steps of connecting are taken."""
    return Desk(call.context.database, call.context.vault, call.context.settings.base_url)


def acting_of(call: Call) -> Acting:
    """Who takes them."""
    return Acting(call.organization_id, call.actor, call.now)


@router.get("/{connection_id}/health")
async def get_connection_health(call: Reading, connection_id: str) -> HealthOut:
    """Whether the connection works, and what is wrong with it."""
    return await _health(call, connection_id)


@router.post("/{connection_id}/check")
async def check_connection_now(call: Reading, connection_id: str) -> HealthOut:
    """Ask Stripe now whether the connection works."""
    await check_connection(desk_of(call), acting_of(call), connection_id)
    return await _health(call, connection_id)


@router.post("/{connection_id}/permissions")
async def try_connection_permissions(call: Reading, connection_id: str) -> PermissionsOut:
    """Try each permission of the key with a call that changes nothing."""
    return _present_permissions(await check_permissions(desk_of(call), acting_of(call), connection_id))


@router.post("/{connection_id}/endpoint/review")
async def review_connection_endpoint(call: Reading, connection_id: str) -> EndpointOut:
    """Look at the webhook endpoint at Stripe."""
    return _present_endpoint(await review_webhooks(desk_of(call), acting_of(call), connection_id))


@router.post("/{connection_id}/endpoint/repair")
async def repair_connection_endpoint(call: Reading, connection_id: str, body: RepairIn) -> EndpointOut:
    """Make the webhook endpoint, or mend what a review finds. Doing it again changes nothing."""
    found = await repair_webhooks(desk_of(call), acting_of(call), connection_id, roll_secret=body.roll_secret)
    return _present_endpoint(found)


@router.post("/{connection_id}/disconnect")
async def end_one_connection(call: Reading, connection_id: str) -> EndedOut:
    """End the connection: the endpoint goes, the secrets end, a platform's access is given back. The books stay."""
    ended, left = await end_connection(desk_of(call), acting_of(call), connection_id)
    return EndedOut(connection_id=ended.connection_id, status=ended.status, left_to_do=left)


async def _health(call: Call, connection_id: str) -> HealthOut:
    async with call.transaction() as tx:
        connection = await require_connection(tx, call.organization_id, connection_id)
        problems = await connection_health.open_problems(tx, call.organization_id, connection_id)
    return HealthOut(
        connection_id=connection_id,
        status=connection.status,
        access=connection.access,
        oauth_scope=connection.oauth_scope,
        problems=[_present_problem(problem) for problem in problems],
    )


def _present_problem(problem: ConnectionProblem) -> ProblemOut:
    kind = PROBLEMS[problem.code]
    return ProblemOut(
        code=problem.code,
        title=kind.title,
        remedy=kind.remedy,
        stops_calls=kind.stops_calls,
        detail=problem.detail,
        began_at=problem.began_at,
        ended_at=problem.ended_at,
    )


def present_warnings(report: KeyReport | None) -> list[str]:
    """What to tell whoever gave a key, or none."""
    if report is None:
        return list(WITHOUT_KEY)
    lacking = f"Add to the key what it needs: {', '.join(report.missing)}." if report.missing else None
    return [*report.warnings, *([lacking] if lacking else [])]


def present_permission_rows(report: KeyReport | None) -> list[PermissionOut]:
    """The table of permissions."""
    return [
        PermissionOut(name=row.name, need=row.need, state=row.state, missing=list(row.missing), purpose=row.purpose)
        for row in (() if report is None else report.permissions)
    ]


def _present_permissions(report: KeyReport) -> PermissionsOut:
    return PermissionsOut(
        stripe_account_id=report.stripe_account_id,
        warnings=list(report.warnings),
        permissions=present_permission_rows(report),
    )


def _present_endpoint(found: ReviewedEndpoint) -> EndpointOut:
    return EndpointOut.model_validate(found.present())
