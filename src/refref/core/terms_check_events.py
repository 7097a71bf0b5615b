"""What can be wrong with a qualifying event of terms. Yields faults; owns no rule of its own beyond docs/terms.md."""

from __future__ import annotations

import re

from refref.core.criteria import (
    CONDITION_VARIABLES,
    EVENT_VARIABLES,
    CriteriaError,
    compile_criteria,
    compile_path,
)
from refref.core.faults import (
    Fault,
    Faults,
    amount_faults,
    currency_faults,
    domain_faults,
    either_or_faults,
    list_faults,
    outside,
    text_faults,
)
from refref.core.terms import MONEY_KINDS, CustomEvent, QualifyingEvent

MAX_DAYS = 3650
_COUNTRY = re.compile(r"[A-Z]{2}")
_STRIPE_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


def carries_money(event: QualifyingEvent) -> bool:
    """Whether a conversion of this event has an amount that a percentage can be taken of."""
    return event.kind in MONEY_KINDS or (event.custom is not None and bool(event.custom.amount_path))


def condition_faults(field: str, condition: str) -> Faults:
    """A condition over customer, participant and sale that does not compile; its sentence tells line and column."""
    try:
        if condition:
            compile_criteria(condition, variables=CONDITION_VARIABLES)
    except CriteriaError as error:
        yield Fault(field, error.sentence)


def event_faults(event: QualifyingEvent, field: str) -> Faults:
    """What is wrong with one event; its id is checked with the others'."""
    yield from text_faults(f"{field}.name", event.name)
    yield from list_faults(f"{field}.products", event.products)
    yield from list_faults(f"{field}.excluded_products", event.excluded_products)
    yield from either_or_faults(f"{field}.products", event.products, event.excluded_products, "products")
    yield from list_faults(f"{field}.excluded_coupons", event.excluded_coupons)
    yield from domain_faults(f"{field}.excluded_email_domains", event.excluded_email_domains)
    for number, country in enumerate(event.countries):
        if not _COUNTRY.fullmatch(country):
            yield Fault(f"{field}.countries.{number}", "A country is two upper-case letters, such as DE.")
    for number, currency in enumerate(event.currencies):
        yield from currency_faults(f"{field}.currencies.{number}", currency)
    yield from amount_faults(f"{field}.min_net", event.min_net)
    yield from outside(f"{field}.min_payments", event.min_payments, 1, 1000, "The number of the first payment to earn")
    for name in ("attribution_window_days", "signup_window_days"):
        yield from outside(f"{field}.{name}", getattr(event, name), 1, MAX_DAYS, "A window in days")
    yield from condition_faults(f"{field}.condition", event.condition)
    yield from _kind_faults(event, field)


def _kind_faults(event: QualifyingEvent, field: str) -> Faults:
    if event.kind != "custom":
        if event.custom is not None:
            yield Fault(f"{field}.custom", f"Only kind custom has this, not {event.kind}: leave it out.")
    elif event.custom is None:
        yield Fault(f"{field}.custom", "A custom event needs to say which Stripe events it looks at (stripe_types).")
    else:
        yield from _custom_faults(event.custom, f"{field}.custom")
    if event.kind in MONEY_KINDS or event.kind == "custom":
        return
    if event.min_net:
        yield Fault(f"{field}.min_net", f"A {event.kind} carries no money of its own: leave it out.")
    for name in ("products", "excluded_products"):
        if event.kind == "signup" and getattr(event, name):
            yield Fault(f"{field}.{name}", "A sign-up has no products: leave them out.")
    if event.min_payments != 1:
        yield Fault(f"{field}.min_payments", f"A {event.kind} is no payment and has no number: leave it out.")


def _custom_faults(custom: CustomEvent, field: str) -> Faults:
    if not custom.stripe_types:
        yield Fault(f"{field}.stripe_types", "Name at least one type of Stripe event, such as customer.updated.")
    for number, name in enumerate(custom.stripe_types):
        if not _STRIPE_TYPE.fullmatch(name):
            yield Fault(f"{field}.stripe_types.{number}", "Give a type of Stripe event, such as customer.updated.")
    for name in ("amount_path", "currency_path", "customer_path"):
        path: str = getattr(custom, name)
        try:
            if path:
                compile_path(path)
        except CriteriaError as error:
            yield Fault(f"{field}.{name}", error.sentence)
    try:
        if custom.criteria:
            compile_criteria(custom.criteria, variables=EVENT_VARIABLES)
    except CriteriaError as error:
        yield Fault(f"{field}.criteria", error.sentence)
    if custom.currency_path and not custom.amount_path:
        yield Fault(f"{field}.currency_path", "A currency without amount_path is not used: give both or none.")
