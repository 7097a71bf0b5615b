"""What a merchant pastes when connecting Stripe: checks that say what is wrong with it and where to find the right one.

Key prefixes: https://docs.stripe.com/keys. Pure; the flows of connections use it.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from refref.core.refusals import Refused

STRIPE_API = "https://api.stripe.com"
MODES = ("test", "live")
_API_KEY = re.compile(r"(?:sk|rk)_(test|live)_[A-Za-z0-9_]{6,250}")
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,250}")
_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{4,60}")
WHERE_KEYS = "Dashboard > Developers > API keys > Create restricted key"


def check_api_key(text: str) -> str:
    """A secret or restricted key; raises Refused("invalid_api_key")."""
    text = text.strip()
    if text.startswith("pk_"):
        sentence = f"This is a publishable key. Give a restricted key, rk_…: {WHERE_KEYS}."
    elif text.startswith("whsec_"):
        sentence = "This is a webhook signing secret. It belongs into the field for that."
    else:
        sentence = f"A Stripe key begins with rk_test_, rk_live_, sk_test_ or sk_live_: {WHERE_KEYS}."
    if not _API_KEY.fullmatch(text):
        raise Refused("invalid_api_key", sentence, "api_key")
    return text


def check_webhook_secret(text: str) -> str:
    """A signing secret; raises Refused("invalid_webhook_secret")."""
    text = text.strip()
    if not _WEBHOOK_SECRET.fullmatch(text):
        raise Refused(
            "invalid_webhook_secret",
            "A signing secret begins with whsec_: Dashboard > Developers > Webhooks > your endpoint > Signing secret.",
            "webhook_secret",
        )
    return text


def check_mode(mode: str | None, api_key: str | None) -> str:
    """`test` or `live`, told by the key where there is one; raises Refused: mode_required, mode_mismatch."""
    if mode is not None and mode not in MODES:
        raise Refused("invalid_choice", "The mode is test or live.", "mode")
    match = _API_KEY.fullmatch(api_key) if api_key else None
    if match is None:
        if mode is None:
            raise Refused("mode_required", "Without a Stripe key, say whether this is test or live mode.", "mode")
        return mode
    told = match.group(1)
    if mode is not None and mode != told:
        raise Refused("mode_mismatch", f"The key is of {told} mode, but the connection is of {mode} mode.", "api_key")
    return told


def check_account_id(text: str | None) -> str | None:
    """A Stripe account id or nothing; raises Refused("invalid_account_id")."""
    text = (text or "").strip()
    if text and not _ACCOUNT.fullmatch(text):
        raise Refused(
            "invalid_account_id",
            "An account id begins with acct_: Dashboard > Settings > Business > Your account. It may be left out.",
            "stripe_account_id",
        )
    return text or None


def check_api_base(text: str | None, mode: str) -> str | None:
    """Where the Stripe API is reached: Stripe (None), or in test mode a loopback address, which is a sandbox.

    Nothing else is ever called, so that no one can make this server call into its own network. Raises
    Refused("invalid_api_base").
    """
    text = (text or "").strip().rstrip("/")
    if not text or text == STRIPE_API:
        return None
    if mode == "test" and _is_loopback_origin(text):
        return text
    raise Refused(
        "invalid_api_base",
        f"Leave it out, or give {STRIPE_API}. In test mode a sandbox on this machine, such as http://127.0.0.1:8420.",
        "api_base",
    )


def _is_loopback_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        return False
    shown = f"[{host}]" if ":" in host else host
    if text != f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else ""):  # no user, path or query
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
