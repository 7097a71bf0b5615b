"""What a Stripe key must, should and need not be able to do, and the judgement of one that was tried. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Need = Literal["required", "recommended", "unused"]


class Trial(StrEnum):
    """How one harmless call ended."""

    WORKS = "works"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # Stripe could not be asked


@dataclass(frozen=True, slots=True)
class PermissionRow:
    """One permission as the Dashboard names it; `resource` as Stripe's refusals do (rak_<resource>_read). `reads` are
    lists that only this permission opens; `writes` is a place to POST to, whose object cannot exist."""

    name: str
    resource: str
    read: Need
    write: Need
    reads: tuple[str, ...]
    writes: str
    purpose: str


# Sources: docs.stripe.com/keys#limit-access; what each is needed for is decided by the readers of the facts.
PERMISSIONS: tuple[PermissionRow, ...] = (
    PermissionRow("Customers", "customer", "required", "unused", ("/v1/customers",), "/v1/customers",
                  "E-mail and metadata of customers, where an event leaves them out."),
    PermissionRow("Charges and Refunds", "charge", "required", "unused", ("/v1/charges", "/v1/refunds"), "/v1/charges",
                  "Refunds and payments that no webhook brought."),
    PermissionRow("PaymentIntents", "payment_intent", "required", "unused", ("/v1/payment_intents",),
                  "/v1/payment_intents", "One-off payments that no webhook brought."),
    PermissionRow("Invoices", "invoice", "required", "unused", ("/v1/invoices", "/v1/invoice_payments"), "/v1/invoices",
                  "All lines of long invoices, and whose a payment is: refunds find their reward by it."),
    PermissionRow("Subscriptions", "subscription", "required", "unused", ("/v1/subscriptions",), "/v1/subscriptions",
                  "The state of subscriptions, and their promotion codes."),
    PermissionRow("Checkout Sessions", "checkout_session", "required", "unused", ("/v1/checkout/sessions",),
                  "/v1/checkout/sessions", "What was bought; no webhook carries the items of a checkout."),
    PermissionRow("Events", "event", "required", "unused", ("/v1/events",), "",
                  "What we missed: events of the last 30 days are compared and fetched."),
    PermissionRow("Webhook Endpoints", "webhook", "recommended", "recommended", ("/v1/webhook_endpoints",),
                  "/v1/webhook_endpoints", "RefRef makes, reviews and repairs its own webhook endpoint."),
    PermissionRow("Products", "product", "recommended", "unused", ("/v1/products",), "/v1/products",
                  "Names of products, to choose from in terms."),
    PermissionRow("Prices", "plan", "recommended", "unused", ("/v1/prices",), "/v1/prices",
                  "Names of prices, to choose from in terms."),
    PermissionRow("Coupons", "coupon", "recommended", "unused", ("/v1/coupons",), "/v1/coupons",
                  "Coupons behind promotion codes, and those that terms exclude."),
    PermissionRow("Promotion Codes", "promotion_code", "recommended", "unused", ("/v1/promotion_codes",),
                  "/v1/promotion_codes", "Promotion codes of participants, which attribute like a link."),
    PermissionRow("Credit notes", "credit_note", "recommended", "unused", ("/v1/credit_notes",), "/v1/credit_notes",
                  "All lines of long credit notes."),
    PermissionRow("Disputes", "dispute", "recommended", "unused", ("/v1/disputes",), "/v1/disputes",
                  "Disputes that no webhook brought."),
    PermissionRow("Balance transactions", "balance_transaction_source", "recommended", "unused",
                  ("/v1/balance_transactions",), "", "Stripe's own exchange rates, and statements."),
    PermissionRow("Payouts", "payout", "unused", "unused", (), "/v1/payouts", "Not needed: this key moves no money."),
    PermissionRow("Transfers", "transfer", "unused", "unused", (), "/v1/transfers", "Not needed by this connection."),
)  # fmt: skip

# What a connection that only listens cannot do, honestly.
WITHOUT_KEY: tuple[str, ...] = (
    "A refund or dispute may not find the invoice that was paid: then its reward is not taken back by itself.",
    "Products and prices of a checkout are not known: rules that name products find only what invoices tell.",
    "Invoices with more than ten lines count by the lines that the webhook carries.",
    "Payments in other currencies use RefRef's rates, never Stripe's own.",
    "Events that were missed are not noticed and not fetched; no history is read; no statement ties to the balance.",
    "The webhook endpoint is yours to make, review and repair.",
)


@dataclass(frozen=True, slots=True)
class PermissionState:
    """A row as it was found. `state`: works, missing (it is needed), not_needed, too_much (it can be taken away),
    unknown (Stripe could not be asked). `missing` names what to add: read, write, or both."""

    name: str
    need: Need
    state: str
    missing: tuple[str, ...]
    surplus: bool
    purpose: str


def judge_permission(row: PermissionRow, trials: Mapping[str, Trial]) -> PermissionState:
    """The state of a row by how its calls ended: `trials` by `read` and `write`; one that was not tried is absent."""
    needs = {"read": row.read, "write": row.write}
    missing = tuple(kind for kind, need in needs.items() if need != "unused" and trials.get(kind) is Trial.REFUSED)
    surplus = any(need == "unused" and trials.get(kind) is Trial.WORKS for kind, need in needs.items())
    need: Need = "required" if "required" in needs.values() else row.read
    if missing:
        state = "missing"
    elif any(needs[kind] != "unused" and trial is Trial.UNKNOWN for kind, trial in trials.items()):
        state = "unknown"
    elif surplus:
        state = "too_much"
    else:
        state = "not_needed" if need == "unused" else "works"
    return PermissionState(row.name, need, state, missing, surplus, row.purpose)


def permission_warnings(states: tuple[PermissionState, ...], *, is_secret_key: bool, mode: str) -> tuple[str, ...]:
    """What to tell somebody about the key as a whole: that it can do more than it needs."""
    warnings = []
    if is_secret_key:
        warnings.append(
            f"This is a secret key: it may do everything in the {mode} account. A restricted key, rk_{mode}_…, that "
            "may read what is listed here and write Webhook Endpoints is enough."
        )
    surplus = [row.name for row in states if row.surplus]
    if surplus and not is_secret_key:
        warnings.append(f"The key may change what RefRef only reads, or reads nothing of: {', '.join(surplus)}.")
    return tuple(warnings)
