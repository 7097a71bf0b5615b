"""What a step needs, and the gateway to a connection's account: with its own key, or with the platform's.

Turns failures of Stripe into refusals that a person can act on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from refref.core.refusals import Refused
from refref.db import connections
from refref.db.connections import StripeConnection
from refref.db.pool import Connection, Database
from refref.flows.connections import open_secret
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
    """A connection cannot call Stripe. `code`: no_key, key_unreadable, no_platform, connection_disabled."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


async def open_gateway(tx: Connection, vault: Vault, connection: StripeConnection) -> StripeGateway:
    """The gateway to a connection's account, to be closed by the caller. Raises NoAccess."""
    if connection.status == "disabled":
        raise NoAccess("connection_disabled", "The connection was ended. Connect the account again.")
    if connection.access == "platform":
        platform = vault.platform(connection.mode)
        if platform is None:
            raise NoAccess(
                "no_platform",
                f"The account is reached by a platform, but REFREF_STRIPE_PLATFORM_{connection.mode.upper()} is not "
                "set.",
            )
        return StripeGateway(
            platform.api_key, platform.api_base or connection.api_base, stripe_account=connection.stripe_account_id
        )
    where = (connection.organization_id, connection.connection_id)
    held = await connections.valid_secrets(tx, *where, "api_key", datetime.now(UTC))
    if not held:
        raise NoAccess("no_key", "The connection has no Stripe key: it only listens. Store a restricted key first.")
    try:
        return StripeGateway(open_secret(vault, held[0]), connection.api_base)
    except VaultError as error:
        raise NoAccess("key_unreadable", str(error)) from error


def platform_access(platform: StripePlatform) -> PlatformAccess:
    """A Connect application, for the calls of OAuth."""
    return PlatformAccess(platform.client_id, platform.api_key, platform.api_base)


def refusal_of(failure: StripeFailure, field: str | None = None) -> Refused:
    """What a person is told when Stripe did not do what was asked."""
    match failure.failure:
        case FailureClass.AUTH:
            sentence = "Stripe does not accept the key: it was revoked, is mistyped or is another account's."
            return Refused("stripe_key_refused", sentence, field)
        case FailureClass.PERMISSION:
            sentence = f"The key lacks a permission. Stripe says: {failure.message}"
            return Refused("stripe_permission_missing", sentence, field)
        case FailureClass.TRANSIENT | FailureClass.RATE_LIMITED | FailureClass.UNKNOWN_OUTCOME:
            return Refused("stripe_unreachable", "Stripe could not be asked just now. Try again in a moment.", field)
        case _:
            return Refused("stripe_refused", f"Stripe refused: {failure.message}", field)
