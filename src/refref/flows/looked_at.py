"""What of a sale terms look at and only Stripe's API tells: which questions are asked, which sleep until they matter.

Called by flows, in their transaction; opens none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from refref.core.compiled import compiled
from refref.core.terms import Terms, TermsVersion
from refref.stripe.reading import NeedKind

DISCOUNTS = (NeedKind.INVOICE_DISCOUNTS, NeedKind.SESSION_DISCOUNTS, NeedKind.SUBSCRIPTION_DISCOUNTS)
BY_TERMS = frozenset({*DISCOUNTS, NeedKind.SESSION_COUPONS, NeedKind.SESSION_LINES, NeedKind.INVOICE_OFF_STRIPE})
_OF_LINES = (
    "products",
    "prices",
    "quantity",
    "subscription_plan",
    "billing_interval",
)  # fields of `sale` in conditions


def kinds_looked_at(versions: Iterable[TermsVersion]) -> frozenset[NeedKind]:
    """The kinds of BY_TERMS that matter under these terms. Discounts also matter where a participant has a promotion
    code, whatever the terms are."""
    found: set[NeedKind] = set()
    for version in versions:
        if _looks_at_coupons(version.terms):
            found.update((*DISCOUNTS, NeedKind.SESSION_COUPONS))
        if compiled(version).needs_lines or _asks_for(version.terms, _OF_LINES):
            found.add(NeedKind.SESSION_LINES)
        if not version.terms.counts_out_of_band:
            found.add(NeedKind.INVOICE_OFF_STRIPE)
    return frozenset(found)


def _looks_at_coupons(terms: Terms) -> bool:
    """Whether it matters which coupons are on a sale."""
    named = terms.excluded_coupons or any(event.excluded_coupons for event in terms.events)
    return bool(named) or _asks_for(terms, ("coupons",))


def _asks_for(terms: Terms, fields: Sequence[str]) -> bool:
    """Whether a condition names one of these fields of the sale."""
    conditions = [*(event.condition for event in terms.events), *(rule.condition for rule in terms.rules)]
    return any(f"sale.{field}" in condition for condition in conditions for field in fields)
