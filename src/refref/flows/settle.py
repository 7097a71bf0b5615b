"""Settle: add facts, derive what should be booked for the scopes they touch, compare, post the difference.

One transaction, which must hold the connection's lock (db.pool.lock_books or inbox.claim_connection).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from refref.core.attribution import code_key
from refref.core.decisions import digest_of, encode_decision
from refref.core.derive import Config, Derived, DerivedCustomer, DerivedReferral, Program, derive, normal_email
from refref.core.facts import ChargeState, Fact
from refref.core.ledger import BookedReward, Entry, plan_rewards
from refref.core.scopes import Merged, absorb
from refref.db import books, facts, setup
from refref.db.books import DecisionRow, ScopeBooks
from refref.db.pool import Connection
from refref.ids import new_id


@dataclass(frozen=True, slots=True)
class Incoming:
    """Facts to add, with the event that told them (None: fetched from Stripe's API)."""

    facts: Sequence[Fact]
    event_seq: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling did, for logs and for looking at open needs: how many scopes and entries, the facts now, and the
    objects of which two unlike snapshots of one second came."""

    scopes: int
    entries: int
    facts: Mapping[str, Fact]
    ties: Collection[str] = ()


@dataclass(slots=True)
class Changes:
    """The difference between derived and booked, over all scopes of a batch."""

    added: list[tuple[BookedReward, str]] = field(default_factory=list)
    changed: list[tuple[BookedReward, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    referrals: list[tuple[str, DerivedReferral, str]] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    customers: list[tuple[DerivedCustomer, str]] = field(default_factory=list)
    unclaimed: list[tuple[str, str]] = field(default_factory=list)
    cards: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the books already said what was derived."""
        return not (
            self.added
            or self.changed
            or self.entries
            or self.decisions
            or self.dropped
            or self.referrals
            or self.undone
            or self.customers
        )


async def settle(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    incoming: Sequence[Incoming],
    now: int,
    *,
    scope_ids: Collection[str] = (),
) -> Settled:
    """Book everything that `incoming` facts, the listed scopes and the clock (`now`, seconds) call for.

    Adding facts that are already known books nothing. Raises asyncpg errors when the database refuses.
    """
    told = [fact for item in incoming for fact in item.facts]
    ids = {fact.stripe_id for fact in told}
    for fact in told:
        ids.update(fact.links)
    known = await facts.facts_of_scopes(tx, organization_id, connection_id, stripe_ids=ids, scope_ids=scope_ids)
    merged = absorb([(row.fact, row.scope_id) for row in known], told)
    if merged.moves:
        await facts.move_scopes(tx, organization_id, connection_id, dict(merged.moves))
    await _store(tx, organization_id, connection_id, merged, incoming)
    touched = {merged.moves.get(scope, scope) for scope in scope_ids} | merged.touched
    if not touched:
        return Settled(0, 0, merged.facts, merged.ties)
    changes = await difference(tx, organization_id, connection_id, merged, touched, now)
    await _apply(tx, organization_id, connection_id, changes)
    return Settled(len(touched), len(changes.entries), merged.facts, merged.ties)


async def _store(
    tx: Connection, organization_id: str, connection_id: str, merged: Merged, incoming: Sequence[Incoming]
) -> None:
    seqs: dict[str, int | None] = {}
    for item in incoming:
        for fact in item.facts:
            seqs[fact.stripe_id] = item.event_seq
    rows = [(merged.facts[i], merged.scopes[i], seqs.get(i)) for i in sorted(merged.changed)]
    await facts.store_facts(tx, organization_id, connection_id, rows)


async def difference(
    tx: Connection, organization_id: str, connection_id: str, merged: Merged, touched: Collection[str], now: int
) -> Changes:
    """What the books of the touched scopes lack (or have too much), writing nothing."""
    by_scope: dict[str, list[Fact]] = {scope: [] for scope in touched}
    for stripe_id, fact in merged.facts.items():
        own = by_scope.get(merged.scopes[stripe_id])
        if own is not None:
            own.append(fact)
    config, card_emails = await _config(tx, organization_id, connection_id, by_scope)
    booked = await books.books_of_scopes(tx, organization_id, connection_id, touched)
    changes = Changes()
    for scope, own in by_scope.items():
        own_config = config
        if card_emails:
            emails = frozenset(email for card in _cards(own) for email in card_emails.get(card, ()))
            own_config = Config(config.programs, config.codes, config.participant_emails, emails)
        _compare(scope, derive(own, own_config, now), booked[scope], changes)
    return changes


async def _config(
    tx: Connection, organization_id: str, connection_id: str, by_scope: Mapping[str, Sequence[Fact]]
) -> tuple[Config, dict[str, set[str]]]:
    keys = {
        code_key(carrier.kind, carrier.value)
        for own in by_scope.values()
        for fact in own
        if fact.carriers
        for carrier in fact.carriers
    }
    if not keys:
        return Config((), {}), {}
    programs: tuple[Program, ...] = await setup.programs_of(tx, organization_id, connection_id)
    owners, emails = await setup.code_owners(tx, organization_id, connection_id, keys)
    cards = {card for own in by_scope.values() if any(f.carriers for f in own) for card in _cards(own)}
    card_emails: dict[str, set[str]] = {}
    if cards:
        found = await facts.emails_of_cards(tx, organization_id, connection_id, cards)
        card_emails = {card: {normal_email(email) for email in addresses} for card, addresses in found.items()}
    return Config(programs, owners, emails), card_emails


def _cards(own: Sequence[Fact]) -> set[str]:
    return {f.state.card_fingerprint for f in own if isinstance(f.state, ChargeState) and f.state.card_fingerprint}


def _compare(scope: str, derived: Derived, booked: ScopeBooks, changes: Changes) -> None:
    plan = plan_rewards(booked.rewards, derived.rewards, _new_reward_id)
    changes.added.extend([(reward, scope) for reward in plan.added])
    changes.changed.extend([(reward, scope) for reward in plan.changed])
    changes.entries.extend(plan.entries)
    stale = dict(booked.decisions)
    for decision in derived.decisions:
        body = encode_decision(decision)
        digest = digest_of(body)
        if stale.pop((decision.payment_key, decision.program_id), None) != digest:
            changes.decisions.append((decision, scope, digest, body))
    changes.dropped.extend(stale)
    lost = dict(booked.referrals)
    for referral in derived.referrals:
        known = lost.pop((referral.program_id, referral.referee_id), None)
        if known is None or known[1] != referral:
            changes.referrals.append((known[0] if known else new_id("referral"), referral, scope))
    changes.undone.extend([referral_id for referral_id, r in lost.values() if r.status != "undone"])
    for customer in derived.customers:
        if booked.customers.get(customer.stripe_customer_id) != customer:
            changes.customers.append((customer, scope))
    changes.unclaimed.extend([(code, scope) for code in derived.unclaimed])
    changes.cards.extend([(card, scope) for card in derived.cards])


def _new_reward_id() -> str:
    return new_id("reward")


async def _apply(tx: Connection, organization_id: str, connection_id: str, changes: Changes) -> None:
    await books.store_customers(tx, organization_id, connection_id, changes.customers)
    await books.undo_referrals(tx, organization_id, changes.undone)
    await books.store_referrals(tx, organization_id, connection_id, changes.referrals)
    await books.drop_decisions(tx, organization_id, connection_id, changes.dropped)
    await books.store_decisions(tx, organization_id, connection_id, changes.decisions)
    await books.change_rewards(tx, organization_id, connection_id, changes.changed)
    await books.add_rewards(tx, organization_id, connection_id, changes.added)
    await books.post_entries(tx, organization_id, connection_id, changes.entries)
    await facts.note_unclaimed(tx, organization_id, connection_id, changes.unclaimed)
    told = {scope for _, scope in changes.customers}
    told.update(await facts.note_cards(tx, organization_id, connection_id, changes.cards))
    await facts.mark_card_sharers_dirty(tx, organization_id, connection_id, told)
