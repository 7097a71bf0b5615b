"""API keys: made (shown once), verified and revoked."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime

from refref.core.refusals import Refused
from refref.db import api_keys, audit
from refref.db.pool import Connection
from refref.flows.checks import check_choice, check_name
from refref.ids import new_id

KEY_START = "rrk_"
PREFIX_LENGTH = len(KEY_START) + 12
ROLES = ("admin", "viewer")


@dataclass(frozen=True, slots=True, repr=False)
class CreatedApiKey:
    """A new key; `secret` is shown once and stored nowhere."""

    key: api_keys.ApiKey
    secret: str


async def create_api_key(
    tx: Connection, organization_id: str, *, name: str, role: str, actor: str, now: datetime
) -> CreatedApiKey:
    """Make an API key with a role. Raises Refused: invalid_name, invalid_choice."""
    name = check_name(name, "name")
    check_choice(role, ROLES, "role")
    prefix = KEY_START + secrets.token_hex(6)
    secret = f"{prefix}_{secrets.token_urlsafe(32)}"
    key = api_keys.ApiKey(
        organization_id=organization_id,
        api_key_id=new_id("api_key"),
        prefix=prefix,
        name=name,
        role=role,
        created_at=now,
        revoked_at=None,
    )
    await api_keys.insert_api_key(tx, key, hash_key(secret))
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="api_key.create",
        subject=key.api_key_id,
        details={"role": role},
    )
    return CreatedApiKey(key, secret)


async def revoke_api_key(
    tx: Connection, organization_id: str, api_key_id: str, *, actor: str, now: datetime
) -> api_keys.ApiKey:
    """End a key at once; revoking it again changes nothing. Raises Refused: unknown_api_key."""
    if await api_keys.api_key_by_id(tx, organization_id, api_key_id) is None:
        raise Refused("unknown_api_key", "There is no API key with this id.", "api_key_id")
    await api_keys.revoke_api_key(tx, organization_id, api_key_id, now)
    await audit.record(tx, organization_id, at=now, actor=actor, action="api_key.revoke", subject=api_key_id)
    revoked = await api_keys.api_key_by_id(tx, organization_id, api_key_id)
    assert revoked is not None
    return revoked


def prefix_of(secret: str) -> str | None:
    """The public prefix of something that looks like one of our keys."""
    if not secret.startswith(KEY_START) or len(secret) < PREFIX_LENGTH + 20:
        return None
    return secret[:PREFIX_LENGTH]


def hash_key(secret: str) -> bytes:
    """What is stored of a key; its 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, known: api_keys.ApiKeyHash) -> bool:
    """Whether this is the key; takes the same time for every wrong one."""
    return hmac.compare_digest(hash_key(secret), known.key_hash)
