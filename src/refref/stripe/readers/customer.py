"""Customers, their discounts and subscriptions."""

from __future__ import annotations

from collections.abc import Sequence

from refref.core.facts import CarrierKind, CustomerState, Kind, SubscriptionState
from refref.stripe.readers.carriers import Discounts, metadata_carriers
from refref.stripe.readers.changes import change_marks
from refref.stripe.readers.lines import priced
from refref.stripe.readers.metadata import metadata_of
from refref.stripe.readers.payment import customer_of
from refref.stripe.readers.probe import (
    Payload,
    flag,
    identifier,
    label,
    rows,
    section,
    text_or_none,
    whole_or_none,
)
from refref.stripe.readers.ranks import (
    SUBSCRIPTION_EVENT_WEIGHT,
    SUBSCRIPTION_RANK,
    SUBSCRIPTION_UPDATED_WEIGHT,
    SUBSCRIPTION_WEIGHT,
)
from refref.stripe.readers.scene import Scene
from refref.stripe.reading import NeedKind


def read_customer(customer: Payload, scene: Scene) -> None:
    """A customer. A deleted one keeps what was known of it and gets the mark `deleted`; its payload may be a stub."""
    stripe_id = identifier(customer)
    discounts = Discounts(scene.seen_at)
    discounts.one(customer, "discount")
    carriers = discounts.carriers + metadata_carriers(customer, CarrierKind.CUSTOMER_METADATA, scene.seen_at)
    marks = discounts.marks
    if (scene.event_type == "customer.deleted" and not scene.is_nested) or customer.get("deleted") is True:
        scene.add(stripe_id, Kind.CUSTOMER, carriers=carriers, marks=(*marks, ("deleted", scene.seen_at)))
        return
    country = label(section(customer, "address"), "country")
    if country is None:
        country = label(section(section(customer, "shipping"), "address"), "country")
    currency = text_or_none(customer, "currency")
    scene.add(
        stripe_id,
        Kind.CUSTOMER,
        CustomerState(
            email=label(customer, "email"),
            name=label(customer, "name"),
            country=country,
            currency=None if currency is None else currency.lower(),
            created_at=whole_or_none(customer, "created"),
            metadata=metadata_of(customer),
        ),
        weight=0 if scene.event_type == "customer.created" else 1,
        carriers=carriers,
        marks=marks,
    )


def read_discount(discount: Payload, scene: Scene) -> None:
    """A discount of customer.discount.*: its codes are carried by the subscription it is on, or the customer.

    A discount that was taken off still tells who brought the customer, so `deleted` reads the same.
    """
    identifier(discount)
    found = Discounts(scene.seen_at)
    found.one({"discount": discount}, "discount")
    customer_id = customer_of(discount, scene)
    subscription_id = scene.follow(discount, "subscription", "subscription")
    if subscription_id is not None:
        scene.add(subscription_id, Kind.SUBSCRIPTION, links=(customer_id,), carriers=found.carriers, marks=found.marks)
    elif customer_id is not None and (found.carriers or found.marks):
        scene.add(customer_id, Kind.CUSTOMER, carriers=found.carriers, marks=found.marks)


def read_subscription(subscription: Payload, scene: Scene) -> None:
    """A subscription; the period stands on its items since basil (the latest end counts), on itself before.

    Without a status nothing is told of its state, only whom it belongs to and who brought it.
    """
    stripe_id = identifier(subscription)
    status = text_or_none(subscription, "status") or scene.told({"customer.subscription.deleted": "canceled"})
    items = rows(section(subscription, "items"), "data")
    discounts = Discounts(scene.seen_at)
    discounts.one(subscription, "discount")
    discounts.many(subscription, "discounts")
    for item in items:
        discounts.many(item, "discounts")
    if discounts.is_incomplete:
        scene.need(NeedKind.SUBSCRIPTION_DISCOUNTS, stripe_id)
    changes: tuple[tuple[str, int], ...] = ()
    if scene.event_type == "customer.subscription.updated" and scene.previous and not scene.is_nested:
        changes = change_marks(subscription, scene.previous, scene.seen_at)
    updated = SUBSCRIPTION_EVENT_WEIGHT.get(scene.event_type, SUBSCRIPTION_UPDATED_WEIGHT)
    scene.add(
        stripe_id,
        Kind.SUBSCRIPTION,
        _state(subscription, status, items or [subscription]) if status else None,
        rank=SUBSCRIPTION_RANK.get(status or "", 0),
        weight=updated + SUBSCRIPTION_WEIGHT.get(status or "", 0),
        links=(customer_of(subscription, scene), scene.follow(subscription, "latest_invoice", "invoice")),
        carriers=discounts.carriers + metadata_carriers(subscription, CarrierKind.SUBSCRIPTION_METADATA, scene.seen_at),
        marks=discounts.marks + changes,
    )


def _state(subscription: Payload, status: str, items: Sequence[Payload]) -> SubscriptionState:
    products: set[str] = set()
    prices: set[str] = set()
    quantities: list[int] = []
    ends: list[int] = []
    currency = text_or_none(subscription, "currency")
    for item in items:
        product, price = priced(item)
        if product is not None:
            products.add(product)
        if price is not None:
            prices.add(price)
        quantity = whole_or_none(item, "quantity")
        if quantity is not None:
            quantities.append(quantity)
        end = whole_or_none(item, "current_period_end")
        if end is not None:
            ends.append(end)
        currency = currency or _item_currency(item)
    return SubscriptionState(
        status=status,
        currency=None if currency is None else currency.lower(),
        products=tuple(sorted(products)),
        prices=tuple(sorted(prices)),
        quantity=sum(quantities) if quantities else None,
        created_at=whole_or_none(subscription, "created") or 0,
        trial_end_at=whole_or_none(subscription, "trial_end"),
        current_period_end_at=max(ends) if ends else whole_or_none(subscription, "current_period_end"),
        cancel_at_period_end=flag(subscription, "cancel_at_period_end"),
        canceled_at=whole_or_none(subscription, "canceled_at"),
        ended_at=whole_or_none(subscription, "ended_at"),
        trial_start_at=whole_or_none(subscription, "trial_start"),
        metadata=metadata_of(subscription),
    )


def _item_currency(item: Payload) -> str | None:
    for key in ("price", "plan"):
        value = item.get(key)
        if type(value) is dict:
            currency = text_or_none(value, "currency")
            if currency is not None:
                return currency
    return None
