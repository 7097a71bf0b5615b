"""/v1/organizations, /v1/api_keys, /v1/connections, /v1/audit_log."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.connecting.keys import store_new, store_other, try_new, try_other
from refref.core.refusals import Refused
from refref.db import api_keys as api_key_rows
from refref.db import connections, organizations, reports
from refref.db.api_keys import ApiKey
from refref.db.connections import StripeConnection
from refref.db.pool import Connection
from refref.flows import api_keys
from refref.flows import connections as connection_flows
from refref.flows.connections import NewConnection
from refref.web.api.call import Call, Reading, Writing
from refref.web.api.connections import (
    ConnectedOut,
    StoredKeyOut,
    acting_of,
    desk_of,
    present_permission_rows,
    present_warnings,
)
from refref.web.api.models import (
    ApiKeyOut,
    AuditEntryOut,
    ConnectionDetailOut,
    ConnectionOut,
    CreatedApiKeyOut,
    OrganizationOut,
    SecretOut,
)
from refref.web.api.paging import Cursor, Limit, PageOf, Search, before_id, present_page, present_rows
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["set-up"], generate_unique_id_function=operation_id)

Secret = Annotated[str, Field(min_length=1, max_length=300)]


class NewApiKeyIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    role: str = Field(default="admin", description="admin or viewer")


class NewConnectionIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    mode: str | None = Field(default=None, description="test or live; told by the key where there is one")
    api_key: Secret | None = None
    webhook_secret: Secret | None = None
    stripe_account_id: str | None = None
    api_base: str | None = Field(default=None, description="In test mode: a sandbox on this machine.")


class WebhookSecretIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    webhook_secret: Secret
    overlap_hours: int = Field(default=24, ge=0, le=168, description="How long the secret before stays valid.")


class StripeKeyIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    api_key: Secret


class TestClockIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    clock_ahead_s: int = Field(ge=0, le=connection_flows.MAX_CLOCK_AHEAD_S)


def webhook_url(call: Call, connection_id: str) -> str:
    """Where Stripe sends the events of a connection."""
    return f"{call.context.settings.base_url}/stripe/webhooks/{connection_id}"


def present_connection(call: Call, row: StripeConnection) -> ConnectionOut:
    names = ConnectionOut.model_fields.keys() - {"webhook_url"}
    return ConnectionOut(
        webhook_url=webhook_url(call, row.connection_id), **{name: getattr(row, name) for name in names}
    )


@router.get("/organizations/me")
async def get_organization(call: Reading) -> OrganizationOut:
    """The organization that the key belongs to."""
    async with call.transaction() as tx:
        found = await organizations.organization_by_id(tx, call.organization_id)
    assert found is not None
    return OrganizationOut(
        organization_id=found.organization_id, name=found.name, created_at=found.created_at, role=call.caller.role
    )


@router.get("/api_keys")
async def list_api_keys(call: Reading, limit: Limit = 50, cursor: Cursor = None) -> PageOf[ApiKeyOut]:
    """API keys, also revoked ones."""
    before = before_id(cursor, "key")
    async with call.transaction() as tx:
        rows = await api_key_rows.api_keys(tx, call.organization_id, before=before, limit=limit + 1)
    return present_rows(rows, limit, _present_api_key, lambda row: row.api_key_id)


@router.post("/api_keys", status_code=201, response_model=CreatedApiKeyOut)
async def create_api_key(call: Writing, body: NewApiKeyIn) -> Response:
    """Make an API key. The secret is shown in this answer only."""

    async def run(tx: Connection) -> CreatedApiKeyOut:
        made = await api_keys.create_api_key(
            tx, call.organization_id, name=body.name, role=body.role, actor=call.actor, now=call.now
        )
        return CreatedApiKeyOut(secret=made.secret, **_present_api_key(made.key).model_dump())

    return await call.write(201, run)


@router.delete("/api_keys/{api_key_id}", response_model=ApiKeyOut)
async def revoke_api_key(call: Writing, api_key_id: str) -> Response:
    """End an API key at once."""

    async def run(tx: Connection) -> ApiKeyOut:
        return _present_api_key(
            await api_keys.revoke_api_key(tx, call.organization_id, api_key_id, actor=call.actor, now=call.now)
        )

    return await call.write(200, run)


@router.get("/connections")
async def list_connections(call: Reading, limit: Limit = 50, cursor: Cursor = None) -> PageOf[ConnectionOut]:
    """Connections to Stripe accounts."""
    before = before_id(cursor, "con")
    async with call.transaction() as tx:
        rows = await connections.connections(tx, call.organization_id, before=before, limit=limit + 1)
    return present_rows(rows, limit, lambda row: present_connection(call, row), lambda row: row.connection_id)


@router.post("/connections", status_code=201, response_model=ConnectedOut)
async def create_connection(call: Writing, body: NewConnectionIn) -> Response:
    """Connect a Stripe account in one mode, with a restricted key, a webhook signing secret, or both.

    A key is tried first: one that Stripe does not accept, or that could not be tried, is not stored."""
    if (before := await call.answered()) is not None:
        return before
    given = NewConnection(**body.model_dump())
    report = await try_new(desk_of(call), given)

    async def run(tx: Connection) -> ConnectedOut:
        made = await store_new(tx, call.context.vault, acting_of(call), given, report)
        return ConnectedOut(
            warnings=present_warnings(report),
            permissions=present_permission_rows(report),
            **present_connection(call, made).model_dump(),
        )

    return await call.write(201, run)


@router.get("/connections/{connection_id}")
async def get_connection(call: Reading, connection_id: str) -> ConnectionDetailOut:
    """One connection with what is known of its secrets; the secrets themselves are never shown."""
    async with call.transaction() as tx:
        found = await connections.connection_by_id(tx, call.organization_id, connection_id)
        if found is None:
            raise Refused("unknown_connection", "There is no connection with this id.", "connection_id")
        secrets = [
            secret
            for kind in ("webhook", "api_key")
            for secret in await connections.valid_secrets(tx, call.organization_id, connection_id, kind, call.now)
        ]
    return ConnectionDetailOut(
        secrets=[SecretOut.model_validate(secret) for secret in secrets],
        **present_connection(call, found).model_dump(),
    )


@router.post("/connections/{connection_id}/webhook_secrets", status_code=201, response_model=SecretOut)
async def add_webhook_secret(call: Writing, connection_id: str, body: WebhookSecretIn) -> Response:
    """Add a signing secret, for a new endpoint or because Stripe rolled it; the one before stays valid for a while."""

    async def run(tx: Connection) -> SecretOut:
        made = await connection_flows.add_webhook_secret(
            tx,
            call.context.vault,
            call.organization_id,
            connection_id,
            webhook_secret=body.webhook_secret,
            overlap=timedelta(hours=body.overlap_hours),
            actor=call.actor,
            now=call.now,
        )
        return SecretOut.model_validate(made)

    return await call.write(201, run)


@router.post("/connections/{connection_id}/api_key", status_code=201, response_model=StoredKeyOut)
async def replace_stripe_key(call: Writing, connection_id: str, body: StripeKeyIn) -> Response:
    """Use another Stripe key of the same account and mode from now on. It is tried first."""
    if (before := await call.answered()) is not None:
        return before
    report = await try_other(desk_of(call), acting_of(call), connection_id, body.api_key)

    async def run(tx: Connection) -> StoredKeyOut:
        stored = await store_other(tx, call.context.vault, acting_of(call), connection_id, body.api_key, report)
        return StoredKeyOut(
            warnings=present_warnings(report),
            permissions=present_permission_rows(report),
            **SecretOut.model_validate(stored).model_dump(),
        )

    return await call.write(201, run)


@router.post("/connections/{connection_id}/test_clock", response_model=ConnectionOut)
async def set_test_clock(call: Writing, connection_id: str, body: TestClockIn) -> Response:
    """Let the clock of a connection in test mode run ahead; it never goes back."""

    async def run(tx: Connection) -> ConnectionOut:
        changed = await connection_flows.set_clock_ahead(
            tx, call.organization_id, connection_id, body.clock_ahead_s, actor=call.actor, now=call.now
        )
        return present_connection(call, changed)

    return await call.write(200, run)


@router.get("/audit_log")
async def list_audit_log(
    call: Reading,
    action: str | None = None,
    actor: str | None = None,
    subject: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[AuditEntryOut]:
    """Who did what, the newest first. `action` and `actor` are exact; `subject` is looked for in ids and names."""
    async with call.transaction() as tx:
        page = await reports.audit_page(
            tx, call.organization_id, action=action, actor=actor, subject=subject, cursor=cursor, limit=limit
        )
    return present_page(page, AuditEntryOut.model_validate)


def _present_api_key(row: ApiKey) -> ApiKeyOut:
    return ApiKeyOut.model_validate(row)
