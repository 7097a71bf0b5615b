"""What can be wrong with a connection to Stripe, and what an answer of Stripe's says about it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """A row of the table. `stops_calls`: Stripe cannot be asked until it is mended; webhooks are taken anyway."""

    title: str
    remedy: str
    stops_calls: bool


PROBLEMS: Mapping[str, ProblemKind] = MappingProxyType(
    {
        "key_refused": ProblemKind(
            "Stripe refuses the key",
            "It was revoked, rolled or has expired. Make a new restricted key and store it here.",
            stops_calls=True,
        ),
        "key_unreadable": ProblemKind(
            "The stored key cannot be decrypted",
            "Put the master key that encrypted it back into REFREF_MASTER_KEY, or store the Stripe key again.",
            stops_calls=True,
        ),
        "access_lost": ProblemKind(
            "The account does not let this platform in any more",
            "The merchant ended the access, or the account is gone. Connect it with Stripe again.",
            stops_calls=True,
        ),
        "platform_refused": ProblemKind(
            "Stripe refuses the platform's key",
            "The operator of this RefRef must set a valid key in REFREF_STRIPE_PLATFORM_TEST or _LIVE.",
            stops_calls=True,
        ),
        "account_closed": ProblemKind(
            "The Stripe account is closed",
            "Stripe has rejected or closed the account; ask Stripe's support. What was booked stays.",
            stops_calls=True,
        ),
        "permission_missing": ProblemKind(
            "The key lacks a permission",
            "Add it to the key in Stripe, or store another key; then check the permissions here.",
            stops_calls=False,
        ),
        "endpoint_faulty": ProblemKind(
            "The webhook endpoint at Stripe has a fault",
            "Open the connection and repair the endpoint with one click.",
            stops_calls=False,
        ),
        "version_changed": ProblemKind(
            "Stripe sends another API version than before",
            "RefRef reads it. Look over the latest events, then press “Check now”.",
            stops_calls=False,
        ),
    }
)
# What one successful call proves to be over.
DISPROVED_BY_AN_ANSWER = ("key_refused", "key_unreadable", "access_lost", "platform_refused")
# What is over when the connection gets another key or access.
ENDED_BY_NEW_ACCESS = (*DISPROVED_BY_AN_ANSWER, "account_closed", "permission_missing")


@dataclass(frozen=True, slots=True)
class Health:
    """Problems that were found (code: detail), and the codes that were looked for: those not found are over."""

    found: Mapping[str, str]
    looked_for: frozenset[str]


UNKNOWN = Health({}, frozenset())  # Stripe could not be asked: nothing is known to have changed


def judge_refusal(access: str, code: str | None) -> Health:
    """What it means that Stripe does not accept the caller (401, or 403 for an account that is not connected).

    `access`: key or platform; `code`: Stripe's, such as api_key_expired or account_invalid.
    """
    if access == "platform":
        problem = "access_lost" if code == "account_invalid" else "platform_refused"
    else:
        problem = "key_refused"
    return Health({problem: code or "no code"}, frozenset(DISPROVED_BY_AN_ANSWER))


def judge_account(account: Mapping[str, object] | None) -> Health:
    """What the account says of itself; None where the key may not read it, which also proves that it is accepted."""
    if account is None:
        return Health({}, frozenset(DISPROVED_BY_AN_ANSWER))
    requirements = account.get("requirements")
    reason = requirements.get("disabled_reason") if isinstance(requirements, Mapping) else None
    is_closed = isinstance(reason, str) and reason.startswith("rejected.")
    found = {"account_closed": str(reason)} if is_closed else {}
    return Health(found, frozenset((*DISPROVED_BY_AN_ANSWER, "account_closed")))


def status_of(status: str, open_codes: Collection[str]) -> str:
    """A connection's status by its open problems; one that was disabled stays so."""
    if status == "disabled":
        return status
    return "degraded" if any(PROBLEMS[code].stops_calls for code in open_codes if code in PROBLEMS) else "active"
