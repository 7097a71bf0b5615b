"""How a call to Stripe can fail, in one closed table. Unknown is never success. Imports nothing of the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import msgspec


class FailureClass(StrEnum):
    """What a failure means for the attempt that met it."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    AUTH = "auth"
    PERMISSION = "permission"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    ACCOUNT_NOT_READY = "account_not_ready"
    DECLINED = "declined"
    IDEMPOTENCY = "idempotency"
    UNKNOWN_OUTCOME = "unknown_outcome"


class Policy(msgspec.Struct, frozen=True):
    """`is_final`: Stripe refused, nothing happened, the attempt is closed. `is_repeatable`: the same call, with the
    same key, may be made again by itself. A failure with neither waits for somebody or something."""

    sentence: str
    is_final: bool
    is_repeatable: bool


POLICIES: Mapping[FailureClass, Policy] = MappingProxyType(
    {
        FailureClass.TRANSIENT: Policy("Stripe could not be read just now; it is tried again.", False, True),
        FailureClass.RATE_LIMITED: Policy("Stripe asks for fewer calls; it is tried again later.", False, True),
        FailureClass.BAD_REQUEST: Policy("Stripe refused the request as it is.", True, False),
        FailureClass.NOT_FOUND: Policy("Stripe has no such object (any more).", True, False),
        FailureClass.AUTH: Policy("Stripe does not accept the key: it was revoked or belongs elsewhere.", True, False),
        FailureClass.PERMISSION: Policy("The key lacks a permission for this call.", True, False),
        FailureClass.INSUFFICIENT_FUNDS: Policy("The Stripe balance is too low; it stays due.", True, False),
        FailureClass.ACCOUNT_NOT_READY: Policy("The receiving account cannot be paid at present.", True, False),
        FailureClass.DECLINED: Policy("The card or bank declined.", True, False),
        FailureClass.IDEMPOTENCY: Policy("The same key was used before with another request: stop.", False, False),
        FailureClass.UNKNOWN_OUTCOME: Policy(
            "Nobody knows whether Stripe did it; ask again with the same key, never with a new one.", False, True
        ),
    }
)

# Stripe's error codes that say more than the HTTP status. Source: docs.stripe.com/error-codes and the SDK.
_BY_CODE: Mapping[str, FailureClass] = MappingProxyType(
    {
        "balance_insufficient": FailureClass.INSUFFICIENT_FUNDS,
        "insufficient_funds": FailureClass.INSUFFICIENT_FUNDS,
        "resource_missing": FailureClass.NOT_FOUND,
        "rate_limit": FailureClass.RATE_LIMITED,
        "lock_timeout": FailureClass.RATE_LIMITED,
        "api_key_expired": FailureClass.AUTH,
        "platform_api_key_expired": FailureClass.AUTH,
        "account_invalid": FailureClass.AUTH,
        "insufficient_capabilities_for_transfer": FailureClass.ACCOUNT_NOT_READY,
        "transfers_not_allowed": FailureClass.ACCOUNT_NOT_READY,
        "payouts_not_allowed": FailureClass.ACCOUNT_NOT_READY,
        "capability_not_enabled": FailureClass.ACCOUNT_NOT_READY,
        "idempotency_key_in_use": FailureClass.UNKNOWN_OUTCOME,
    }
)
_BY_TYPE: Mapping[str, FailureClass] = MappingProxyType(
    {
        "idempotency_error": FailureClass.IDEMPOTENCY,
        "card_error": FailureClass.DECLINED,
        "insufficient_funds": FailureClass.INSUFFICIENT_FUNDS,
        "capability_not_enabled": FailureClass.ACCOUNT_NOT_READY,
        "feature_not_enabled": FailureClass.PERMISSION,
    }
)
_BY_STATUS: Mapping[int, FailureClass] = MappingProxyType(
    {
        400: FailureClass.BAD_REQUEST,
        401: FailureClass.AUTH,
        402: FailureClass.DECLINED,
        403: FailureClass.PERMISSION,
        404: FailureClass.NOT_FOUND,
        405: FailureClass.BAD_REQUEST,
        409: FailureClass.UNKNOWN_OUTCOME,
        424: FailureClass.UNKNOWN_OUTCOME,
        429: FailureClass.RATE_LIMITED,
    }
)


class StripeFailure(Exception):
    """A call to Stripe that failed: its class, Stripe's code and message, and the request id for their support.

    `retry_after_s`: how long Stripe asks to wait, where it does.
    """

    def __init__(
        self,
        failure: FailureClass,
        code: str | None,
        message: str,
        *,
        status: int | None,
        request_id: str | None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{failure}: {message}")
        self.failure = failure
        self.code = code
        self.message = message
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    @property
    def policy(self) -> Policy:
        """What the failure means for its attempt."""
        return POLICIES[self.failure]


def classify(status: int | None, error_type: str | None, code: str | None, *, is_read: bool) -> FailureClass:
    """The class of a failure: by type and code where Stripe answered with a refusal, else by HTTP status.

    `status` is None where no answer came. What is not in the table is an unknown outcome; for a read, where the outcome
    does not matter, it is transient.
    """
    found = FailureClass.UNKNOWN_OUTCOME
    if status is not None and 400 <= status < 500:
        by_type = _BY_TYPE.get(error_type or "")
        found = by_type or _BY_CODE.get(code or "") or _BY_STATUS.get(status, FailureClass.UNKNOWN_OUTCOME)
    if is_read and found is FailureClass.UNKNOWN_OUTCOME:
        return FailureClass.TRANSIENT
    return found
