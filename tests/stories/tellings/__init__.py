"""The stories, by part of the acceptance list; importing this package registers them."""

from stories.tellings import (
    amounts,
    attribution,
    changes,
    counting,
    currencies,
    delivery,
    disputes,
    invoices,
    reversals,
    shapes,
)

__all__ = [
    "amounts",
    "attribution",
    "changes",
    "counting",
    "currencies",
    "delivery",
    "disputes",
    "invoices",
    "reversals",
    "shapes",
]
