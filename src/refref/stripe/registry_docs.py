"""The page docs/events.md, written from the registry: `python -m refref.stripe.registry_docs > docs/events.md`."""

from __future__ import annotations

import sys

from refref.stripe.readers import REGISTRY, EventGroup

_TITLES = {
    EventGroup.SALES: "Sales",
    EventGroup.REVERSALS: "Refunds, disputes and credit notes",
    EventGroup.CUSTOMERS: "Customers and subscriptions",
    EventGroup.PROMOTION_CODES: "Promotion codes and coupons",
    EventGroup.CATALOG: "Products and prices",
    EventGroup.PAYOUTS: "Payouts through Stripe Connect",
    EventGroup.CONNECTION: "The connection itself",
}

_INTRODUCTION = """\
# Stripe events

RefRef reads these webhook events, in every API version from 2020-08-27 on; all others are answered with 200 and
ignored, unless a custom event of published terms names their type. An endpoint that RefRef makes asks for the first
five groups. `required`: without the event the books can be wrong or late until the next reconciliation.

This page is written from the program: `python -m refref.stripe.registry_docs > docs/events.md`.
"""


def events_page() -> str:
    """The whole page as Markdown, ending in a newline."""
    parts = [_INTRODUCTION]
    for group in EventGroup:
        parts.append(f"\n## {_TITLES[group]}\n\n| event | required | what for |\n|---|---|---|\n")
        for row in REGISTRY.values():
            if row.group is group:
                parts.append(f"| `{row.name}` | {'yes' if row.is_required else ''} | {row.purpose} |\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(events_page())
