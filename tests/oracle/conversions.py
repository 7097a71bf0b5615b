"""All conversions of a world in the order of decisions: payments, and what happens without a sale's money."""

from __future__ import annotations

from oracle.cases import Conversion
from oracle.referrals import Bond, bond_of, covers, signed_up_at
from oracle.worlds import Customer, World
from refref.core.terms import TermsVersion


def conversions_of(world: World) -> list[Conversion]:
    """Of every bound referee, ordered by instant and natural key."""
    found = []
    for customer in world.customers:
        bond = bond_of(world, customer)
        if bond is not None:
            found += _of_referee(world, customer, bond)
    return sorted(found, key=lambda conversion: conversion.order)


def _of_referee(world: World, customer: Customer, bond: Bond) -> list[Conversion]:
    found = [
        Conversion(payment.key, payment.paid_at, "payment", customer, bond, payment) for payment in customer.payments
    ]
    for item in customer.subscriptions:
        name = item.subscription_id
        if item.trial_start_at is not None:
            key = f"{name}/trial_started"
            found.append(Conversion(key, item.trial_start_at, "trial_started", customer, bond, subscription=item))
        for kind, at in item.changes:
            found.append(Conversion(f"{name}/{kind}/{at}", at, kind, customer, bond, subscription=item))
    signed_up = signed_up_at(customer)
    if signed_up is not None and covers(bond, signed_up, None):
        found.append(Conversion(f"{customer.referee_id}/signup", signed_up, "signup", customer, bond))
    return found + _custom(world, customer, bond)


def _custom(world: World, customer: Customer, bond: Bond) -> list[Conversion]:
    """Stored events that meet a custom event of the terms in force at their instant: once per customer, or each."""
    found: list[Conversion] = []
    done: set[str] = set()
    for happened in sorted(customer.events, key=lambda event: event.at):
        version = _version_at(world, bond, happened.at)
        for event in () if version is None else version.terms.events:
            if event.custom is None or "customer.updated" not in event.custom.stripe_types:
                continue
            word = "passed" if "passed" in event.custom.criteria else None
            if word is not None and happened.word != word:
                continue
            if event.custom.per_customer == "once":
                if event.event_id in done:
                    continue
                done.add(event.event_id)
                key = f"{customer.referee_id}/custom/{event.event_id}"
            else:
                key = f"{customer.customer_id}/custom/{event.event_id}/{happened.at}"
            found.append(
                Conversion(key, happened.at, "custom", customer, bond, stripe_event=happened, event_id=event.event_id)
            )
    return found


def _version_at(world: World, bond: Bond, at: int) -> TermsVersion | None:
    applying = [
        version
        for version in world.versions
        if version.effective_at <= at
        and not (version.terms.existing_referrals == "keep" and bond.start < version.effective_at)
    ]
    return max(applying, key=lambda version: version.version, default=None)
