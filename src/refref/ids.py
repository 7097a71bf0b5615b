"""Our identifiers: a prefix that tells the noun and 20 time-ordered characters (48 bits of milliseconds, 52 random)."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32

PREFIXES = {
    "organization": "org",
    "user": "usr",
    "api_key": "key",
    "connection": "con",
    "secret": "sec",
    "program": "prg",
    "participant": "ptc",
    "referral": "rfl",
    "reward": "rwd",
    "audit": "aud",
    "told": "tld",
    "backtest": "btt",
    "review": "rev",
    "payout": "pyt",
    "reading": "rdg",
}


def new_id(noun: str, at_ms: int | None = None) -> str:
    """A new id such as `rwd_01k8x3…`; later ids sort after earlier ones (to the millisecond)."""
    number = ((time.time_ns() // 1_000_000 if at_ms is None else at_ms) << 52) | secrets.randbits(52)
    characters = []
    for _ in range(20):
        characters.append(_ALPHABET[number & 31])
        number >>= 5
    return f"{PREFIXES[noun]}_{''.join(reversed(characters))}"
