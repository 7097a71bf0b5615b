"""What a step needs, and the gateway to a connection's account: with its own key, or with the platform's.

Turns failures of Stripe into refusals that a person can act on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from refref.core.refusals import Refused
from refref.db import connections
from refref.db import platform as accounts
from refref.db.connections import StripeConnection
from refref.db.pool import Connection, Database
from refref.flows.connections import open_secret
from refref.flows.stripe_keys import WHERE_KEYS
from refref.settings import StripePlatform
from refref.stripe.client import StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.oauth import PlatformAccess
from refref.vault import Vault, VaultError


@dataclass(frozen=True, slots=True)
class Desk:
    """Where steps are taken: the database, the vault, and the address of this RefRef."""

    database: Database
    vault: Vault
    base_url: str


@dataclass(frozen=True, slots=True)
class Acting:
    """Who takes a step, for which organization, and when."""

    organization_id: str
    actor: str
    now: datetime


class NoAccess(Exception):
    """A connection cannot call Stripe. `code`: no_key, key_unreadable, no_platform, access_ended,
    connection_disabled."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class Opened(NamedTuple):
    """A gateway, and whether its key may do everything: a secret key, or the platform's."""

    gateway: StripeGateway
    is_secret_key: bool


async def open_gateway(tx: Connection, vault: Vault, connection: StripeConnection) -> StripeGateway:
    """The gateway to a connection's account, to be closed by the caller. Raises NoAccess."""
    return (await open_access(tx, vault, connection)).gateway


async def open_access(tx: Connection, vault: Vault, connection: StripeConnection) -> Opened:
    """The same, with what kind of key it uses. Raises NoAccess."""
    if connection.status == "disabled":
        raise NoAccess("connection_disabled", "The connection was ended. Store a key, or connect the account again.")
    if connection.access == "platform":
        platform = vault.platform(connection.mode)
        if platform is None:
            raise NoAccess(
                "no_platform",
                f"The account is reached by a platform, but REFREF_STRIPE_PLATFORM_{connection.mode.upper()} is not "
                "set.",
            )
        if not await accounts.is_connected(tx, connection.organization_id, connection.connection_id):
            raise NoAccess("access_ended", "The merchant ended the platform's access: connect it with Stripe again.")
        api_base = platform.api_base or connection.api_base
        return Opened(
            StripeGateway(platform.api_key, api_base, stripe_account=connection.stripe_account_id), is_secret_key=True
        )
    where = (connection.organization_id, connection.connection_id)
    held = await connections.valid_secrets(tx, *where, "api_key", datetime.now(UTC))
    if not held:
        raise NoAccess("no_key", "The connection has no Stripe key: it only listens. Store a restricted key first.")
    try:
        key = open_secret(vault, held[0])
    except VaultError as error:
        raise NoAccess("key_unreadable", str(error)) from error
    return Opened(StripeGateway(key, connection.api_base), is_secret_key=key.startswith("sk_"))


def platform_access(platform: StripePlatform) -> PlatformAccess:
    """A Connect application, for the calls of OAuth."""
    return PlatformAccess(platform.client_id, platform.api_key, platform.api_base)


def refusal_of(failure: StripeFailure, field: str | None = None, *, access: str = "key") -> Refused:
    """What a person is told when Stripe did not do what was asked. `access`: key or platform, whose remedies differ."""
    match failure.failure:
        case FailureClass.AUTH if access == "platform" and failure.code == "account_invalid":
            sentence = "The account does not let this platform in any more: connect it with Stripe again."
            return Refused("stripe_key_refused", sentence, field)
        case FailureClass.AUTH if access == "platform":
            sentence = (
                "Stripe does not accept the platform's key: the operator of this RefRef must set a valid one in "
                "REFREF_STRIPE_PLATFORM_TEST or _LIVE."
            )
            return Refused("stripe_key_refused", sentence, field)
        case FailureClass.AUTH:
            sentence = (
                "Stripe does not accept the key: it was revoked, has expired or is mistyped. Make a new one "
                f"({WHERE_KEYS}) and store it here."
            )
            return Refused("stripe_key_refused", sentence, field)
        case FailureClass.PERMISSION if access == "platform":
            sentence = f"The merchant did not allow this. Stripe says: {failure.message}"
            return Refused("stripe_permission_missing", sentence, field)
        case FailureClass.PERMISSION:
            sentence = f"Add a permission to the key in Stripe. Stripe says: {failure.message}"
            return Refused("stripe_permission_missing", sentence, field)
        case FailureClass.TRANSIENT | FailureClass.RATE_LIMITED | FailureClass.UNKNOWN_OUTCOME:
            return Refused("stripe_unreachable", "Stripe could not be asked just now. Try again in a moment.", field)
        case _:
            return Refused("stripe_refused", f"Stripe refused: {failure.message}", field)
