"""How far along its life an object is: the ranks and tie-breakers that order snapshots. Tables only.

A greater rank always wins, whatever the instants say, so ranks hold only what cannot be undone. Within one rank the
later event wins, within one second the greater weight. An unknown status has the lowest rank.
"""

INVOICE_RANK = {"draft": 0, "open": 1, "uncollectible": 2, "void": 3, "paid": 4}

INVOICE_PAYMENT_RANK = {"open": 0, "canceled": 1, "paid": 2}

PAYMENT_INTENT_RANK = {"succeeded": 1}

CHARGE_RANK = {"pending": 0, "failed": 0, "succeeded": 1}

# "" is a refund that only a credit note named. A refund can fail after it succeeded, never the other way round.
REFUND_RANK = {"": 0, "pending": 1, "requires_action": 1, "succeeded": 2, "failed": 3, "canceled": 3}
REFUND_UNKNOWN_RANK = 1

CREDIT_NOTE_RANK = {"issued": 0, "void": 1}

SUBSCRIPTION_RANK = {"canceled": 1, "incomplete_expired": 1}

# Two updates in one second: where the subscription usually goes. The pump refetches when it must know.
SUBSCRIPTION_WEIGHT = {"incomplete": 0, "trialing": 1, "active": 2, "past_due": 3, "unpaid": 4, "paused": 5}
SUBSCRIPTION_EVENT_WEIGHT = {"customer.subscription.created": 0}
SUBSCRIPTION_UPDATED_WEIGHT = 10
SUBSCRIPTION_REFETCHED_WEIGHT = 100

# An appeal (2026-10-28) follows a loss and may be lost again: both share a rank, so the later event decides.
DISPUTE_RANK = {
    "warning_needs_response": 0,
    "warning_under_review": 0,
    "needs_response": 0,
    "under_review": 0,
    "lost": 1,
    "appeal_needs_response": 1,
    "appeal_under_review": 1,
    "warning_closed": 2,
    "charge_refunded": 2,
    "prevented": 2,
    "won": 2,
}
DISPUTE_WEIGHT = {
    "warning_needs_response": 0,
    "warning_under_review": 1,
    "needs_response": 2,
    "under_review": 3,
    "lost": 0,
    "appeal_needs_response": 1,
    "appeal_under_review": 2,
}


SETTLED = 4


def session_rank(status: str, payment_status: str, has_async_failure: bool) -> int:
    """Rank of a Checkout Session: open 0, expired 1, complete and unpaid 2, async failure 3, settled 4."""
    if status == "complete":
        if payment_status in ("paid", "no_payment_required"):
            return SETTLED
        return 3 if has_async_failure else 2
    return 1 if status == "expired" else 0
