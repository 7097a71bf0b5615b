"""Stripe's OAuth for platforms: where to send a merchant, the trade of a code, and the end. Keeps no state.

After the trade the platform acts with its own key and the account's id; the tokens that Stripe gives are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from refref.stripe.client import Document, StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure

STRIPE_CONNECT = "https://connect.stripe.com"


@dataclass(frozen=True, slots=True, repr=False)
class PlatformAccess:
    """A platform in one mode: its application's client id and secret key, and where Stripe is (None: Stripe itself)."""

    client_id: str
    api_key: str
    api_base: str | None


@dataclass(frozen=True, slots=True)
class Authorized:
    """Whose account a code was for, in which mode, and how far the platform may go."""

    stripe_account_id: str
    is_live: bool
    scope: str


def authorize_url(platform: PlatformAccess, *, scope: str, state: str, redirect_uri: str) -> str:
    """Where the merchant approves; Stripe sends the browser back to `redirect_uri` with `code` and `state`."""
    asked = {
        "response_type": "code",
        "client_id": platform.client_id,
        "scope": scope,
        "state": state,
        "redirect_uri": redirect_uri,
    }
    return f"{platform.api_base or STRIPE_CONNECT}/oauth/authorize?{urlencode(asked)}"


async def exchange_code(platform: PlatformAccess, code: str) -> Authorized:
    """Trade a code, which is good once. Raises StripeFailure; `code` invalid_grant where it was used or is too old."""
    answer = await _post(platform, "/oauth/token", {"grant_type": "authorization_code", "code": code})
    account, is_live, scope = (answer.get(name) for name in ("stripe_user_id", "livemode", "scope"))
    if not isinstance(account, str) or not isinstance(is_live, bool) or not isinstance(scope, str):
        raise StripeFailure(
            FailureClass.UNKNOWN_OUTCOME, None, "Stripe's answer names no account.", status=None, request_id=None
        )
    return Authorized(account, is_live, scope)


async def deauthorize(platform: PlatformAccess, stripe_account_id: str) -> None:
    """Let a merchant's account go; one that is not connected any more is as good. Raises StripeFailure."""
    params = {"client_id": platform.client_id, "stripe_user_id": stripe_account_id}
    try:
        await _post(platform, "/oauth/deauthorize", params)
    except StripeFailure as failure:
        if failure.code != "invalid_client" or "not connected" not in failure.message:
            raise


async def _post(platform: PlatformAccess, path: str, params: Mapping[str, object]) -> Document:
    gateway = StripeGateway(platform.api_key, platform.api_base)
    try:
        return await gateway.write("post", path, {**params, "base": "connect"}, None)
    finally:
        await gateway.close()
