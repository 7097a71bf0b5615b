"""The gateway to a connection's Stripe account for the worker, which goes on with the others where there is none."""

from __future__ import annotations

import structlog

from refref.connecting.access import NoAccess, open_gateway
from refref.db import connections
from refref.db.pool import Connection
from refref.stripe.client import StripeGateway
from refref.vault import Vault

NO_KEY = "There is no Stripe key that opens; connect the account again."

log = structlog.get_logger("refref.worker")


async def gateway_of(tx: Connection, vault: Vault, organization_id: str, connection_id: str) -> StripeGateway | None:
    """A gateway, to be closed by the caller; None where there is no key or it cannot be opened."""
    connection = await connections.connection_by_id(tx, organization_id, connection_id)
    if connection is None:
        return None
    try:
        return await open_gateway(tx, vault, connection)
    except NoAccess as none:
        if none.code == "key_unreadable":
            log.error("a Stripe key cannot be read", connection_id=connection_id, reason=none.sentence)
        return None
