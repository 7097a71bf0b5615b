"""Bind by hand: who referred customers, as a person says with a reason; undone again; its money shown beforehand.

Writes told events, which come before all that Stripe tells. A preview writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from refref.core.attribution import CodeOwner
from refref.core.bonds_file import Bond, BondFault, refused_bonds
from refref.core.facts import Carrier, CarrierKind, Fact
from refref.core.money_preview import MoneyPreview, StillNothing, money_changes, money_totals
from refref.core.refusals import Refused
from refref.core.scopes import absorb
from refref.core.told_carriers import TOLD_KINDS, code_key, present_carriers
from refref.db import audit, bonds, books, facts, setup
from refref.db.pool import Connection, lock_books
from refref.db.why_not import standings_of
from refref.flows.settle import difference
from refref.flows.told_events import EARLIEST_CLICK, store_told, telling_instant
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

    Payments since the click, or since a day before now, are rewarded under the terms of their day. What was bound by
    hand before in the same program is replaced; saying the same again changes nothing. Raises Refused: invalid_bonds
    (naming line and column, or the field), reason_required.
    """
    reason = checked_reason(reason)
    there = now + await setup.clock_ahead_s(tx, organization_id, connection_id)
    await lock_books(tx, connection_id)  # nobody else binds or takes back meanwhile
    told = await _told(tx, organization_id, connection_id, given, reason, actor, there)
    await store_told(tx, organization_id, connection_id, told, there)
    await _note(tx, organization_id, connection_id, told, reason, actor, now)
    return len(given)


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
    await lock_books(tx, connection_id)
    told = await _undoings(tx, organization_id, connection_id, customer, code, reason, actor, there)
    await store_told(tx, organization_id, connection_id, told, there)
    await _note(tx, organization_id, connection_id, told[:1], reason, actor, now)


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
    tx: Connection, organization_id: str, connection_id: str, told: Sequence[Told], reason: str, actor: str, now: int
) -> None:
    entries = [
        (
            "referral.bound" if isinstance(item, ToldReferral) else "referral.undone",
            item.stripe_customer_id,
            {"code": item.code, "reason": reason, "connection_id": connection_id},
        )
        for item in told
    ]
    await audit.record_all(tx, organization_id, entries, at=datetime.fromtimestamp(now, UTC), actor=actor)


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
    named = await bonds.customers_named(tx, *scope, {_name(bond.customer) for bond in given if _is_text(bond.customer)})
    known = await bonds.customer_facts(tx, *scope, {found[0] for found in named.values()})
    by_hand = {customer_id: _by_hand(fact) for customer_id, fact in known.items()}
    keys = {code_key(CarrierKind.MANUAL, bond.code) for bond in given if _is_text(bond.code)}
    keys.update(code_key(carrier.kind, carrier.value) for own in by_hand.values() for carrier in own)
    owners = {
        key: owner for key, owner in (await setup.code_owners(tx, *scope, keys))[0].items()
        if not key.startswith("rfl_")  # it names whom the customer is bound to now
    }  # fmt: skip
    faults: list[BondFault] = []
    told: list[Told] = []
    for bond in given:
        found = list(_faults(bond, named, owners, there))
        if not found:
            customer_id = named[_name(bond.customer)][0]
            bound = _Bound(customer_id, known.get(customer_id), by_hand.get(customer_id, ()), owners)
            found = list(_tell(bond, bound, reason, actor, there, told))
        faults.extend(found)
    faults.extend(_doubles(given, named))
    if faults:
        raise refused_bonds(sorted(faults, key=lambda fault: fault.line))
    return told


@dataclass(frozen=True, slots=True)
class _Bound:
    """A customer as it stands: what is known of it, and what people bound by hand and did not take back."""

    stripe_customer_id: str
    fact: Fact | None
    by_hand: Sequence[Carrier]
    owners: Mapping[str, CodeOwner]


def _by_hand(fact: Fact) -> list[Carrier]:
    return [
        present.carrier
        for present in present_carriers(fact)
        if present.carrier.kind is CarrierKind.MANUAL and not present.is_undone
    ]


def _tell(bond: Bond, bound: _Bound, reason: str, actor: str, there: int, told: list[Told]) -> Iterator[BondFault]:
    """Add what is to be told of one customer, nothing where it was told already; else the fault."""
    key = code_key(CarrierKind.MANUAL, bond.code)
    owner = bound.owners[key]
    replaced = [
        carrier
        for carrier in bound.by_hand
        if (own := bound.owners.get(code_key(carrier.kind, carrier.value))) and own.program_id == owner.program_id
    ]
    if any(
        code_key(carrier.kind, carrier.value) == key and bond.clicked_at in (None, carrier.clicked_at)
        for carrier in replaced
    ):
        return
    if owner.deactivated_at is not None and owner.deactivated_at <= there:
        sentence = "that code was ended or its participant is paused, so it binds nobody. Give another, or resume them."
        yield BondFault(bond.line, "code", sentence)
        return
    customer_id = bound.stripe_customer_id
    undone = [_undoing(customer_id, carrier, reason, actor, there) for carrier in replaced]
    told.extend(undone)
    is_again, told_at = telling_instant(bound.fact, CarrierKind.MANUAL, bond.code, there)
    told_at = max([told_at, *(item.told_at + 1 for item in undone)])
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
            is_again=is_again or any(code_key(item.kind, item.code) == key for item in undone),
        )
    )


def _undoing(customer_id: str, carrier: Carrier, reason: str, actor: str, there: int) -> ToldUndoing:
    return ToldUndoing(
        id=new_id("told"),
        stripe_customer_id=customer_id,
        code=carrier.value,
        kind=carrier.kind,
        told_at=max(there, carrier.seen_at),
        actor=actor,
        reason=reason,
    )


def _is_text(given: str) -> bool:
    """Whether it can be looked for: neither a null nor half a character is in it."""
    return given.isprintable()


def _name(customer: str) -> str:
    return customer.lower() if "@" in customer else customer


def _faults(
    bond: Bond, named: Mapping[str, list[str]], owners: Mapping[str, CodeOwner], there: int
) -> Iterator[BondFault]:
    found = named.get(_name(bond.customer), [])
    if not found:
        sentence = "this connection knows no such customer. Give the Stripe id (cus_…) or the e-mail of one it knows."
        yield BondFault(bond.line, "customer", sentence)
    elif len(found) > 1:
        sentence = f"{len(found)} customers have this address: name one by its id ({', '.join(found[:3])})."
        yield BondFault(bond.line, "customer", sentence)
    if code_key(CarrierKind.MANUAL, bond.code) not in owners:
        yield BondFault(bond.line, "code", "no participant of this connection has that code.")
    if bond.clicked_at is not None and bond.clicked_at > there:
        yield BondFault(bond.line, "clicked_at", "the click cannot lie in the future.")
    if bond.clicked_at is not None and bond.clicked_at < EARLIEST_CLICK:
        yield BondFault(bond.line, "clicked_at", "the click cannot lie before 2000.")


def _doubles(given: Sequence[Bond], named: Mapping[str, list[str]]) -> Iterator[BondFault]:
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
    names = [_name(customer)] if _is_text(customer) else []
    found = (await bonds.customers_named(tx, *scope, names)).get(_name(customer), [])
    if len(found) != 1:
        sentence = "Several customers have this address: name one by its id." if found else "There is no such customer."
        raise refused_bonds([BondFault(0, "customer", sentence)])
    known = (await bonds.customer_facts(tx, *scope, found)).get(found[0])
    carriers = [] if known is None else _told_carriers(known, code)
    if not carriers:
        raise Refused("not_told", "Nobody told this code of this customer, or it was taken back already.", "code")
    return [_undoing(found[0], carrier, reason, actor, there) for carrier in carriers]


def _told_carriers(customer: Fact, code: str) -> list[Carrier]:
    latest: dict[CarrierKind, Carrier] = {}
    for present in present_carriers(customer):
        carrier = present.carrier
        is_it = carrier.kind in TOLD_KINDS and code_key(carrier.kind, carrier.value) == code_key(carrier.kind, code)
        if is_it and not present.is_undone and carrier.seen_at >= latest.get(carrier.kind, carrier).seen_at:
            latest[carrier.kind] = carrier
    return [latest[kind] for kind in sorted(latest)]


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
        without_terms=await _without_terms(tx, organization_id, connection_id, told),
    )


async def _without_terms(
    tx: Connection, organization_id: str, connection_id: str, told: Sequence[Told]
) -> tuple[str, ...]:
    """The names of the programs that customers would be bound in, but that have no terms yet."""
    keys = {code_key(item.kind, item.code) for item in told if isinstance(item, ToldReferral)}
    standings = await standings_of(tx, organization_id, connection_id, keys)
    return tuple(sorted({own.program_name for own in standings.values() if not (own.has_terms or own.elsewhere)}))
