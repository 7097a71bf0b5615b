"""The audit log: who did what to which subject. Append-only by its grants; never holds secrets or personal data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection
from refref.ids import new_id


@dataclass(frozen=True, slots=True)
class AuditEntry:
    audit_id: str
    at: datetime
    actor: str
    action: str
    subject: str
    details: str  # JSON


async def record_all(
    tx: Connection,
    organization_id: str,
    entries: Sequence[tuple[str, str, Mapping[str, str | int | bool | None]]],
    *,
    at: datetime,
    actor: str,
) -> None:
    """Add an entry for each (action, subject, details), as `record` does."""
    await tx.execute(
        "insert into audit_log (organization_id, audit_id, at, actor, action, subject, details)"
        " select $1, e.audit_id, $2, $3, e.action, e.subject, e.details::jsonb"
        " from unnest($4::text[], $5::text[], $6::text[], $7::text[]) as e (audit_id, action, subject, details)",
        organization_id,
        at,
        actor,
        [new_id("audit") for _ in entries],
        [action for action, _, _ in entries],
        [subject for _, subject, _ in entries],
        [json.dumps(details) for _, _, details in entries],
    )


async def record(
    tx: Connection,
    organization_id: str,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, str | int | bool | None] | None = None,
) -> None:
    """Add an entry: `actor` is user:usr_…, key:key_… or system; `action` noun.verb; `subject` an id."""
    await tx.execute(
        "insert into audit_log (organization_id, audit_id, at, actor, action, subject, details)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        organization_id,
        new_id("audit"),
        at,
        actor,
        action,
        subject,
        json.dumps(details or {}),
    )


async def entries_of(
    tx: Connection, organization_id: str, *, subject: str, actions: Sequence[str], limit: int
) -> list[AuditEntry]:
    """The newest entries on one subject of these actions."""
    rows = await tx.fetch(
        "select audit_id, at, actor, action, subject, details from audit_log"
        " where organization_id = $1 and subject = $2 and action = any ($3) order by audit_id desc limit $4",
        organization_id,
        subject,
        list(actions),
        limit,
    )
    return [AuditEntry(**row) for row in rows]
