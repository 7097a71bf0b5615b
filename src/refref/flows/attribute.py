"""Attribute: somebody tells who referred a customer. Stored as an event of our own, then settled like any other."""

from __future__ import annotations

import re

from refref.core.attribution import code_key
from refref.core.facts import CarrierKind
from refref.core.refusals import Refused
from refref.db import bonds, setup
from refref.db.pool import Connection
from refref.flows.told_events import EARLIEST_CLICK, store_told, telling_instant
from refref.ids import new_id
from refref.told import ToldReferral

_CUSTOMER = re.compile(r"(cus|acct)_[A-Za-z0-9_]{1,250}")


async def attribute_customer(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    stripe_customer_id: str,
    code: str,
    clicked_at: int | None,
    kind: CarrierKind,
    campaign: str = "",
    ip_hash: str = "",
    reason: str = "",
    actor: str,
    now: int,
) -> None:
    """Book that `code` (a refcode or a participant's id) referred a customer, at `now` by the connection's clock.

    `kind` is signup (the merchant's application told it) or manual (a person bound it, which comes before all other
    evidence). `ip_hash`: of the customer's network address, see `ip_hashes`. Payments since the click, or since a day
    before now, are rewarded under the terms of their day.
    Raises Refused: invalid_customer, unknown_code, click_in_future, invalid_instant.
    """
    if not _CUSTOMER.fullmatch(stripe_customer_id):
        raise Refused("invalid_customer", "Give a Stripe customer id (cus_…).", "stripe_customer_id")
    owners, _ = await setup.code_owners(tx, organization_id, connection_id, [code_key(kind, code)])
    if not owners:
        raise Refused("unknown_code", "No participant of this connection has that code.", "code")
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    if clicked_at is not None and clicked_at > there:
        raise Refused("click_in_future", "The click cannot lie in the future.", "clicked_at")
    if clicked_at is not None and clicked_at < EARLIEST_CLICK:
        raise Refused("invalid_instant", "The click cannot lie before 2000.", "clicked_at")
    known = await bonds.customer_facts(tx, organization_id, connection_id, [stripe_customer_id])
    is_again, told_at = telling_instant(known.get(stripe_customer_id), kind, code, there)
    told = ToldReferral(
        id=new_id("told"),
        stripe_customer_id=stripe_customer_id,
        code=code,
        kind=kind,
        told_at=told_at,
        actor=actor,
        campaign=campaign,
        clicked_at=clicked_at,
        ip_hash=ip_hash,
        reason=reason,
        is_again=is_again,
    )
    await store_told(tx, organization_id, connection_id, [told], there)
