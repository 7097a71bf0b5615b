"""Connect with Stripe: a person is sent to Stripe and comes back with a code, which becomes a connection."""

from __future__ import annotations

from refref.connecting.access import Acting, Desk, platform_access, refusal_of
from refref.core.refusals import Refused
from refref.db.connections import StripeConnection
from refref.flows.connect_oauth import SCOPES, ConnectedAccount, begin_oauth, connect_account, use_state
from refref.settings import StripePlatform
from refref.stripe.errors import StripeFailure
from refref.stripe.oauth import authorize_url, exchange_code
from refref.stripe.readers import READ_TYPES

CALLBACK = "/integrations/stripe/callback"


async def send_to_stripe(
    desk: Desk, acting: Acting, *, user_id: str, session_hash: bytes, mode: str, scope: str
) -> str:
    """Begin an attempt; returns the address at Stripe to send the browser to. Raises Refused."""
    platform = _platform(desk, mode)
    async with desk.database.tenant(acting.organization_id) as tx:
        state = await begin_oauth(
            tx,
            acting.organization_id,
            user_id=user_id,
            session_hash=session_hash,
            mode=mode,
            scope=scope,
            now=acting.now,
        )
    return authorize_url(platform_access(platform), scope=scope, state=state, redirect_uri=f"{desk.base_url}{CALLBACK}")


async def take_back(
    desk: Desk, acting: Acting, *, session_hash: bytes, state: str, code: str, error: str
) -> StripeConnection:
    """The person is back: use the state up, trade the code once, make the connection. Raises Refused."""
    async with desk.database.tenant(acting.organization_id) as tx:
        attempt = await use_state(tx, acting.organization_id, state, session_hash=session_hash, now=acting.now)
    if error or not code:
        sentence = "Nothing was connected: the access was not given."
        if error != "access_denied":
            sentence = "Stripe gave no access. Check the platform's OAuth settings and its redirect address."
        raise Refused("authorization_denied", sentence)
    platform = _platform(desk, attempt.mode)
    try:
        told = await exchange_code(platform_access(platform), code)
    except StripeFailure as failure:
        if failure.code == "invalid_grant":
            raise Refused("invalid_code", "Stripe's code is used up or too old. Connect again from here.") from failure
        raise refusal_of(failure, access="platform") from failure
    if told.scope not in SCOPES:
        raise Refused("stripe_refused", f"Stripe answered with the scope {told.scope!r}, which RefRef does not know.")
    if told.is_live != (attempt.mode == "live"):
        raise Refused("mode_mismatch", f"Stripe answered for the other mode than {attempt.mode}. Connect again.")
    account = ConnectedAccount(told.stripe_account_id, attempt.mode, told.scope, platform.api_base)
    async with desk.database.tenant(acting.organization_id) as tx:
        return await connect_account(
            tx,
            acting.organization_id,
            account,
            name=f"Stripe {told.stripe_account_id}",
            stored_types=READ_TYPES,
            actor=acting.actor,
            now=acting.now,
        )


def _platform(desk: Desk, mode: str) -> StripePlatform:
    platform = desk.vault.platform(mode)
    if platform is None:
        sentence = f"This RefRef is no Stripe platform in {mode} mode; see docs/connecting.md for its operator."
        raise Refused("no_platform", sentence, "mode")
    return platform
