"""The stories, by part of the acceptance list; importing this package registers them."""

from stories.tellings import (
    amounts,
    attribution,
    changes,
    counting,
    currencies,
    custom_events,
    delivery,
    disputes,
    happenings,
    invoices,
    payouts,
    people,
    reversals,
    rules,
    shapes,
)

__all__ = [
    "amounts",
    "attribution",
    "changes",
    "counting",
    "currencies",
    "custom_events",
    "delivery",
    "disputes",
    "happenings",
    "invoices",
    "payouts",
    "people",
    "reversals",
    "rules",
    "shapes",
]
