"""API keys: whose they are, what a restricted one may do, and that one has been revoked.

Owns the words of Stripe's refusals. A key nobody made belongs to the server's own account (the wire decides on it).
"""

from collections.abc import Mapping
from typing import Literal

from refref.sandbox.errors import StripeError
from refref.sandbox.ids import scramble
from refref.sandbox.store import Doc, Store

NOTE = "_key"
Right = Literal["read", "write"]

# The part of the API that a permission covers, where it is not the last noun of the path in the singular.
RESOURCES = {
    "account": "accounts_kyc_basic",
    "accounts": "connected_account",
    "account_links": "account_link",
    "balance_settings": "balance",
    "balance_transactions": "balance_transaction_source",
    "billing/credit_grants": "credit_grant",
    "checkout/sessions": "checkout_session",
    "entitlements/active_entitlements": "entitlement",
    "entitlements/features": "entitlement",
    "invoice_payments": "invoice",
    "invoiceitems": "invoice",
    "prices": "plan",
    "radar/early_fraud_warnings": "radar_early_fraud_warning",
    "refunds": "charge",
    "subscription_items": "subscription",
    "subscription_schedules": "subscription",
    "test_helpers/test_clocks": "test_clock",
    "topups": "top_up",
    "webhook_endpoints": "webhook",
}


def shown(value: str) -> str:
    """A key as Stripe's messages show it: its kind, stars, and its last four characters."""
    kind = "_".join(value.split("_")[:2])
    return f"{kind}_{'*' * max(0, len(value) - len(kind) - 5)}{value[-4:]}"


def resource_of(path: str) -> str:
    """The resource of a permission for a path: `/v1/payment_intents/pi_1` gives `payment_intent`."""
    steps = path.split("/")[2:] or [""]
    two = "/".join(steps[:2])
    return RESOURCES.get(two) or RESOURCES.get(steps[0]) or steps[0].removesuffix("s")


class Keys:
    """The keys that were made, restricted or revoked; kept as notes of the server's own account."""

    def __init__(self, home: Store) -> None:
        self._home = home

    def make(
        self,
        account_id: str,
        permissions: Mapping[str, Right] | None = None,
        *,
        scope: str = "",
        client_id: str | None = None,
    ) -> Doc:
        """A new secret key, or with `permissions` (resource: read or write) a restricted one."""
        number = self._home.ids.counts["key"] = self._home.ids.counts.get("key", 0) + 1
        kind = "sk_test_" if permissions is None else "rk_test_"
        value = kind + scramble(f"{self._home.ids.seed}:key:{number}", 24)
        return self._note(value, account_id, permissions, scope=scope, client_id=client_id)

    def restrict(self, value: str, permissions: Mapping[str, Right]) -> Doc:
        """Change what a key may do; of a key nobody made, the server's own account is the owner."""
        return self._note(value, self.owner(value) or self._home.account_id, permissions)

    def revoke(self, value: str) -> Doc:
        """From now on a key is refused as expired (401)."""
        return self._note(value, self.owner(value) or self._home.account_id, None, expired=True)

    def revoke_tokens(self, client_id: str, account_id: str) -> None:
        """Every access token that an application has for an account is refused from now on."""
        for value, note in list(self._home.notes(NOTE).items()):
            if (note["client_id"], note["account"]) == (client_id, account_id):
                self.revoke(value)

    def _note(
        self,
        value: str,
        account_id: str,
        permissions: Mapping[str, Right] | None,
        *,
        scope: str = "",
        client_id: str | None = None,
        expired: bool = False,
    ) -> Doc:
        for name, right in (permissions or {}).items():
            if right not in ("read", "write"):
                raise StripeError(f"Invalid permission for {name}: {right}; it is read or write.", param=name)
        allowed = None if permissions is None else dict(permissions)
        made: Doc = {
            "key": value,
            "account": account_id,
            "permissions": allowed,
            "scope": scope,
            "client_id": client_id,
            "expired": expired,
        }
        self._home.note(NOTE, value, made)
        return made

    def owner(self, value: str) -> str | None:
        """The account of a key; None when nobody made it."""
        note = self._home.notes(NOTE).get(value)
        return None if note is None else str(note["account"])

    def check(self, value: str, account_id: str, method: str, path: str) -> None:
        """Refuse a revoked key (401) and a call that a restricted key may not make on that account (403)."""
        note = self._home.notes(NOTE).get(value)
        if note is None:
            return
        if note["expired"]:
            raise StripeError(f"Expired API Key provided: {shown(value)}", status=401, code="api_key_expired")
        asked = "read" if method == "GET" else "write"
        if note["scope"] == "read_only" and asked == "write":
            raise read_only(value, account_id)
        if note["permissions"] is None:
            return
        resource = resource_of(path)
        if note["permissions"].get(resource) not in (asked, "write"):
            raise StripeError(
                f"The provided key '{shown(value)}' does not have the required permissions for this endpoint on "
                f"account '{account_id}'. Having the 'rak_{resource}_{asked}' permission would allow this request to "
                "continue.",
                status=403,
                code="more_permissions_required",
            )


def read_only(value: str, account_id: str) -> StripeError:
    """The merchant let the application read only (403)."""
    return StripeError(
        f"The provided key '{shown(value)}' may only read on account '{account_id}': it was authorized with the scope "
        "read_only.",
        status=403,
        code="more_permissions_required",
    )


def no_access(value: str | None, account_id: str) -> StripeError:
    """The account is not connected to the owner of the key, if it exists at all (403)."""
    named = "" if value is None else f" '{shown(value)}'"
    return StripeError(
        f"The provided key{named} does not have access to account '{account_id}' (or that account does not "
        "exist). Application access may have been revoked.",
        status=403,
        code="account_invalid",
    )
