"""The gateway to a connection's Stripe account, with its key opened."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from refref.db import connections
from refref.db.pool import Connection
from refref.stripe.client import StripeGateway
from refref.vault import Place, Sealed, Vault, VaultError

log = structlog.get_logger("refref.worker")


async def gateway_of(tx: Connection, vault: Vault, organization_id: str, connection_id: str) -> StripeGateway | None:
    """A gateway, to be closed by the caller; None where there is no key or it cannot be opened."""
    secrets = await connections.valid_secrets(tx, organization_id, connection_id, "api_key", datetime.now(UTC))
    connection = await connections.connection_by_id(tx, organization_id, connection_id)
    if not secrets or connection is None:
        return None
    secret = secrets[0]
    place = Place(organization_id, connection_id, secret.secret_id)
    try:
        api_key = vault.open(Sealed(secret.key_id, secret.nonce, secret.ciphertext), place).decode()
    except VaultError as error:  # other connections' keys may open
        log.error("a Stripe key cannot be read", connection_id=connection_id, reason=str(error))
        return None
    return StripeGateway(api_key, connection.api_base)
