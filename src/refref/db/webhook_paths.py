"""Whose webhook path it is: the organization, the mode and the sealed signing secrets behind a connection id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.db.pool import Connection


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """One signing secret at rest; `expires_at` is set once it is being rolled."""

    secret_id: str
    key_id: str
    nonce: bytes
    ciphertext: bytes
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class WebhookPath:
    organization_id: str
    connection_id: str
    mode: str
    stripe_account_id: str | None
    secrets: tuple[SealedSecret, ...]


async def find_webhook_path(connection: Connection, connection_id: str) -> WebhookPath | None:
    """The path of a connection with the secrets that are valid now; None when there is no such connection."""
    rows = await connection.fetch("select * from webhook_secrets($1)", connection_id)
    if not rows:
        return None
    first = rows[0]
    return WebhookPath(
        first["organization_id"],
        connection_id,
        first["mode"],
        first["stripe_account_id"],
        tuple(
            SealedSecret(row["secret_id"], row["key_id"], row["nonce"], row["ciphertext"], row["expires_at"])
            for row in rows
            if row["secret_id"] is not None
        ),
    )
