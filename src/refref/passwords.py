"""Passwords: the rule they obey and their argon2id hashes, computed in a thread. Knows no user and no table."""

from __future__ import annotations

import asyncio
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING

from refref.core.refusals import Refused

if TYPE_CHECKING:
    from pwdlib import PasswordHash

MIN_LENGTH = 10
MAX_LENGTH = 200  # hashing takes what it gets: a limit keeps it from being used to waste our time

# Each check takes some 64 MiB and a core for a moment: never more than two at once.
_slots = asyncio.Semaphore(2)


async def hash_password(password: str) -> str:
    """The argon2id hash to store; raises Refused("weak_password") for one that is too short or too long."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Refused("weak_password", f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.", "password")
    async with _slots:
        return await asyncio.to_thread(_hasher().hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether the password has this hash; without a hash it takes as long and is False."""
    known = password_hash is not None and len(password) <= MAX_LENGTH
    async with _slots:
        matches = await asyncio.to_thread(_verify, password[:MAX_LENGTH], password_hash if known else None)
    return matches and known


def _verify(password: str, password_hash: str | None) -> bool:
    return _hasher().verify(password, _decoy_hash() if password_hash is None else password_hash)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHash:
    from pwdlib import PasswordHash

    return PasswordHash.recommended()


@lru_cache(maxsize=1)
def _decoy_hash() -> str:
    """The hash of a password that nobody knows: an unknown e-mail costs as much time as a known one."""
    return _hasher().hash(secrets.token_urlsafe(32))
