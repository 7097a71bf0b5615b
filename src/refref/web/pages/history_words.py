"""The words of the history pages: what lists, states and classes are called. Plain words, no HTML."""

from __future__ import annotations

from refref.core.statement import PaymentClass
from refref.web.pages.words import Status

PARTS: dict[str, str] = {
    "events": "Events",
    "customers": "Customers",
    "subscriptions": "Subscriptions",
    "invoices": "Invoices",
    "sessions": "Checkout Sessions",
    "payment_intents": "Payment intents",
    "charges": "Charges",
    "refunds": "Refunds",
    "disputes": "Disputes",
    "credit_notes": "Credit notes",
    "fraud_warnings": "Fraud warnings",
    "products": "Products",
    "prices": "Prices",
    "coupons": "Coupons",
    "promotion_codes": "Promotion codes",
    "payments": "Payments in the books",
    "movements": "Balance transactions",
}
STATES: dict[str, Status] = {
    "waiting": Status("Waiting", "wait", "The worker takes it next."),
    "running": Status("Reading", "info", "It goes on by itself."),
    "done": Status("Done", "good", ""),
    "failed": Status("Failed", "bad", "Resume it when the cause is gone."),
    "cancelled": Status("Cancelled", "off", "It can be resumed where it was."),
}
SYNC_STATES: dict[str, Status] = {
    "running": Status("Reading", "info", "It goes on by itself."),
    "done": Status("Read", "good", "Events keep it since."),
    "failed": Status("Failed", "bad", "Read it again when the cause is gone."),
}
CLASSES: dict[str, str] = {
    PaymentClass.REWARDED: "Rewarded",
    PaymentClass.REVERSED: "Reversed",
    PaymentClass.WAITING: "Waiting",
    PaymentClass.EXCLUDED: "Excluded",
    PaymentClass.NOT_ATTRIBUTED: "Not attributed",
}


def part_title(part: str) -> str:
    """What a list is called."""
    return PARTS.get(part, part)


def span_words(seconds: int) -> str:
    """A length of time, roughly: `40 seconds`, `12 minutes`, `3 hours`."""
    if seconds < 100:
        return f"{seconds} {'second' if seconds == 1 else 'seconds'}"
    minutes = (seconds + 30) // 60
    return f"{minutes} minutes" if minutes < 100 else f"{(minutes + 30) // 60} hours"
