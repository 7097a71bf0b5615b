"""What the judges would find wrong and is right all the same: each row with its reason and an example of the fault.

`tests/judges/test_judges.py` shows each example to the bare judges: a row whose fault is no longer found must go.
"""

import re
from dataclasses import dataclass
from functools import cache

from stripe.entitlements import ActiveEntitlementSummary


@dataclass(frozen=True, slots=True)
class Excused:
    """A fault (a regular expression that its sentence matches from the beginning) that is none, and why.

    `before`: only in API versions before that day.
    """

    fault: str
    reason: str
    example: tuple[str, str, str, str]  # a request: method, path, form, version
    before: str = "9999"


# Values that Stripe added after the specification at hand: (schema, property) and the values.
NEWER_VALUES = {("dispute", "status"): ["appeal_needs_response", "appeal_under_review"]}

# Objects that only stand in events and that no schema describes: the SDK's classes say which properties they have.
ONLY_IN_THE_SDK = {"entitlements.active_entitlement_summary": ActiveEntitlementSummary}

EXCUSED: tuple[Excused, ...] = (
    Excused(
        r"GET /v1/payment_pages/\S+: ",
        "A private call of Stripe's payment page, which its command-line tool makes to pay a session.",
        ("GET", "/v1/payment_pages/cs_test_1", "", "2026-03-25.dahlia"),
    ),
    Excused(
        r"POST /v1/payment_pages/\S+/confirm: ",
        "A private call of Stripe's payment page, which its command-line tool makes to pay a session.",
        ("POST", "/v1/payment_pages/cs_test_1/confirm", "payment_method=pm_1", "2026-03-25.dahlia"),
    ),
    Excused(
        r"POST /v1/promotion_codes \[(promotion\]: required and absent|coupon\]: unknown name)",
        "Before clover a promotion code named its coupon directly; the specification has today's parameters only.",
        ("POST", "/v1/promotion_codes", "coupon=half", "2025-08-27.basil"),
        before="2025-09-30",
    ),
    Excused(
        r"POST /v1/subscription_schedules \[phases\]\[\d+\]\[iterations\]: unknown name",
        "Before clover a phase could be so many periods long; the specification has today's parameters only.",
        (
            "POST",
            "/v1/subscription_schedules",
            "customer=cus_1&phases[0][items][0][price]=price_1&phases[0][iterations]=2",
            "2025-08-27.basil",
        ),
        before="2025-09-30",
    ),
)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(row.fault), row.before) for row in EXCUSED)


def excused(fault: str, version: str) -> bool:
    """Whether the table says that a fault, found in an API version, is none."""
    return any(pattern.match(fault) and version[:10] < before for pattern, before in _patterns())
