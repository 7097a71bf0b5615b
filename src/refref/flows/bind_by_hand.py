"""Bind by hand: who referred customers, as a person says with a reason; undone again; its money shown beforehand.

Writes told events, which come before all that Stripe tells. A preview writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

from refref.core.bonds_file import Bond, BondFault, refused_bonds
from refref.core.facts import CarrierKind, Fact
from refref.core.money_preview import MoneyPreview, StillNothing, money_changes, money_totals
from refref.core.refusals import Refused
from refref.core.scopes import absorb
from refref.core.told_carriers import TOLD_KINDS, code_key, present_carriers
from refref.db import audit, bonds, books, facts, setup
from refref.db.pool import Connection
from refref.flows.settle import difference
from refref.flows.told_events import store_told, telling_instant
from refref.ids import new_id
from refref.told import Told, ToldReferral, ToldUndoing, fact_of

MAX_REASON_LENGTH = 500


async def bind_customers(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    given: Sequence[Bond],
    *,
    reason: str,
    actor: str,
    now: int,
) -> int:
    """Bind each customer to whoever owns its code, or none of them; returns how many.

    Payments since the click, or since a day before now, are rewarded under the terms of their day. Raises Refused:
    invalid_bonds (naming line and column, or the field), reason_required.
    """
    reason = checked_reason(reason)
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    told = await _told(tx, organization_id, connection_id, given, reason, actor, there)
    await store_told(tx, organization_id, connection_id, told, there)
    for item in told:
        details = {"code": item.code, "reason": reason, "connection_id": connection_id}
        await _note(tx, organization_id, "referral.bound", item.stripe_customer_id, details, actor, now)
    return len(told)


async def preview_binding(
    tx: Connection, organization_id: str, connection_id: str, given: Sequence[Bond], *, now: int
) -> MoneyPreview:
    """What binding these customers would do to rewards. Raises Refused as `bind_customers` does."""
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    told = await _told(tx, organization_id, connection_id, given, "", "", there)
    return await _preview(tx, organization_id, connection_id, told, there)


async def undo_binding(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    customer: str,
    code: str,
    reason: str,
    actor: str,
    now: int,
) -> None:
    """Take back what was told of a customer (by hand, or by the merchant's application) with this code.

    What Stripe told counts again, and what was earned by the bond alone is taken back. Raises Refused: invalid_bonds,
    not_told, reason_required.
    """
    reason = checked_reason(reason)
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    told = await _undoings(tx, organization_id, connection_id, customer, code, reason, actor, there)
    await store_told(tx, organization_id, connection_id, told, there)
    details = {"code": code, "reason": reason, "connection_id": connection_id}
    await _note(tx, organization_id, "referral.undone", told[0].stripe_customer_id, details, actor, now)


async def preview_undoing(
    tx: Connection, organization_id: str, connection_id: str, *, customer: str, code: str, now: int
) -> MoneyPreview:
    """What `undo_binding` would do to rewards."""
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    told = await _undoings(tx, organization_id, connection_id, customer, code, "", "", there)
    return await _preview(tx, organization_id, connection_id, told, there)


def checked_reason(reason: str) -> str:
    """The reason without blanks around it. Raises Refused("reason_required")."""
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON_LENGTH:
        raise Refused(
            "reason_required",
            f"Say why, in at most {MAX_REASON_LENGTH} characters: it stays in the audit log.",
            "reason",
        )
    return reason


async def _note(
    tx: Connection, organization_id: str, action: str, subject: str, details: dict[str, str], actor: str, now: int
) -> None:
    at = datetime.fromtimestamp(now, UTC)
    await audit.record(tx, organization_id, at=at, actor=actor, action=action, subject=subject, details=details)


async def _told(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    given: Sequence[Bond],
    reason: str,
    actor: str,
    there: int,
) -> list[Told]:
    scope = (organization_id, connection_id)
    named = await bonds.customers_named(tx, *scope, {_name(bond.customer) for bond in given})
    keys = {code_key(CarrierKind.MANUAL, bond.code) for bond in given}
    owners, _ = await setup.code_owners(tx, *scope, keys)
    faults = [fault for bond in given for fault in _faults(bond, named, owners.keys(), there)]
    faults.extend(_doubles(given, named))
    if faults:
        raise refused_bonds(sorted(faults, key=lambda fault: fault.line))
    ids = {bond: named[_name(bond.customer)][0] for bond in given}
    known = await bonds.customer_facts(tx, *scope, set(ids.values()))
    told: list[Told] = []
    for bond, customer_id in ids.items():
        is_again, told_at = telling_instant(known.get(customer_id), CarrierKind.MANUAL, bond.code, there)
        told.append(
            ToldReferral(
                id=new_id("told"),
                stripe_customer_id=customer_id,
                code=bond.code,
                kind=CarrierKind.MANUAL,
                told_at=told_at,
                actor=actor,
                clicked_at=bond.clicked_at,
                reason=reason,
                is_again=is_again,
            )
        )
    return told


def _name(customer: str) -> str:
    return customer.lower() if "@" in customer else customer


def _faults(bond: Bond, named: dict[str, list[str]], codes: Collection[str], there: int) -> Iterator[BondFault]:
    found = named.get(_name(bond.customer), [])
    if not found:
        sentence = "this connection knows no such customer. Give the Stripe id (cus_…) or the e-mail of one it knows."
        yield BondFault(bond.line, "customer", sentence)
    elif len(found) > 1:
        sentence = f"{len(found)} customers have this address: name one by its id ({', '.join(found[:3])})."
        yield BondFault(bond.line, "customer", sentence)
    if code_key(CarrierKind.MANUAL, bond.code) not in codes:
        yield BondFault(bond.line, "code", "no participant of this connection has that code.")
    if bond.clicked_at is not None and bond.clicked_at > there:
        yield BondFault(bond.line, "clicked_at", "the click cannot lie in the future.")


def _doubles(given: Sequence[Bond], named: dict[str, list[str]]) -> Iterator[BondFault]:
    first: dict[str, int] = {}
    for bond in given:
        for customer_id in named.get(_name(bond.customer), [])[:1]:
            if first.setdefault(customer_id, bond.line) != bond.line:
                sentence = f"line {first[customer_id]} names the same customer by another name. Keep one of them."
                yield BondFault(bond.line, "customer", sentence)


async def _undoings(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    customer: str,
    code: str,
    reason: str,
    actor: str,
    there: int,
) -> list[Told]:
    scope = (organization_id, connection_id)
    found = (await bonds.customers_named(tx, *scope, [_name(customer)])).get(_name(customer), [])
    if len(found) != 1:
        sentence = "Several customers have this address: name one by its id." if found else "There is no such customer."
        raise refused_bonds([BondFault(0, "customer", sentence)])
    known = (await bonds.customer_facts(tx, *scope, found)).get(found[0])
    carriers = [] if known is None else _told_carriers(known, code)
    if not carriers:
        raise Refused("not_told", "Nobody told this code of this customer, or it was taken back already.", "code")
    return [
        ToldUndoing(
            id=new_id("told"),
            stripe_customer_id=found[0],
            code=code,
            kind=kind,
            told_at=max(there, seen_at),
            actor=actor,
            reason=reason,
        )
        for kind, seen_at in carriers
    ]


def _told_carriers(customer: Fact, code: str) -> list[tuple[CarrierKind, int]]:
    latest: dict[CarrierKind, int] = {}
    for present in present_carriers(customer):
        carrier = present.carrier
        is_it = carrier.kind in TOLD_KINDS and code_key(carrier.kind, carrier.value) == code_key(carrier.kind, code)
        if is_it and not present.is_undone:
            latest[carrier.kind] = max(carrier.seen_at, latest.get(carrier.kind, 0))
    return sorted(latest.items())


async def _preview(
    tx: Connection, organization_id: str, connection_id: str, told: Sequence[Told], there: int
) -> MoneyPreview:
    incoming = [fact_of(item) for item in told]
    ids = {fact.stripe_id for fact in incoming}
    known = await facts.facts_of_scopes(tx, organization_id, connection_id, stripe_ids=ids)
    merged = absorb([(row.fact, row.scope_id) for row in known], incoming)
    booked = await books.books_of_scopes(tx, organization_id, connection_id, merged.touched)
    changes = await difference(tx, organization_id, connection_id, merged, merged.touched, there)
    old = [reward for own in booked.values() for reward in own.rewards]
    moved = money_changes(old, [reward for reward, _ in (*changes.added, *changes.changed)])
    refused = [
        StillNothing(
            payment_key=decision.payment_key,
            occurred_at=decision.occurred_at,
            program_id=decision.program_id,
            reason=decision.reason,
        )
        for decision, *_ in changes.decisions
        if decision.outcome != "rewarded" and decision.program_id
    ]
    return MoneyPreview(
        changes=moved,
        totals=money_totals(moved),
        still_nothing=tuple(sorted(refused, key=lambda row: (row.occurred_at, row.payment_key))),
        others_concerned=bool(changes.stale),
    )
