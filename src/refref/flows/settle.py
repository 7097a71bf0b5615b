"""Settle: add facts, derive what should be booked for the scopes they touch, compare, post the difference.

One transaction, which must hold the connection's lock (db.pool.lock_books or inbox.claim_connection).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from refref.core.attribution import code_key
from refref.core.complete import Completed
from refref.core.decisions import digest_of, encode_decision
from refref.core.derive import (
    DerivedCustomer,
    DerivedReferral,
    DerivedReward,
    Draft,
    draft,
    finish,
    normal_email,
    reward_of,
)
from refref.core.facts import ChargeState, EventState, Fact
from refref.core.ledger import REVERSED, BookedReward, Entry, kept_reward, plan_rewards
from refref.core.paid import draft_digest
from refref.core.program import Config, Program
from refref.core.scopes import Merged, absorb
from refref.core.shared import Found, Stale, complete_planned, plan, sum_of
from refref.core.totals import Tally
from refref.db import books, facts, setup, tallies
from refref.db.books import DecisionRow, ScopeBooks
from refref.db.pool import Connection
from refref.db.rates import rate_book
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
    replaced: set[tuple[str, str]] = field(default_factory=set)  # conversions whose contributions are written anew
    tallies: list[tuple[Tally, str]] = field(default_factory=list)
    stale: list[Stale] = field(default_factory=list)
    drafts: dict[tuple[str, str], bytes] = field(default_factory=dict)
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
    tx: Connection,
    organization_id: str,
    connection_id: str,
    merged: Merged,
    touched: Collection[str],
    now: int,
    *,
    judged: Mapping[str, Sequence[Completed]] | None = None,
) -> Changes:
    """What the books of the touched scopes lack (or have too much), writing nothing.

    `judged`: the outcome of every conversion by scope, where somebody derived all of the connection's scopes at once.
    """
    by_scope: dict[str, list[Fact]] = {scope: [] for scope in touched}
    for stripe_id, fact in merged.facts.items():
        own = by_scope.get(merged.scopes[stripe_id])
        if own is not None:
            own.append(fact)
    drafts, config = await drafts_of(tx, organization_id, connection_id, by_scope)
    booked = await books.books_of_scopes(tx, organization_id, connection_id, touched)
    changes = Changes()
    completed: Mapping[str, Sequence[Completed | None]]
    if judged is not None:
        completed = judged
    elif any(program.is_shared for program in config.programs):
        completed = await _complete_where_others_matter(
            tx, organization_id, connection_id, drafts, config, booked, changes
        )
    else:
        completed = finish(drafts, config)
    shared = {program.program_id for program in config.programs if program.is_shared}
    for scope, drafted in drafts:
        _compare(scope, drafted, completed[scope], booked[scope], shared, now, changes)
    return changes


async def drafts_of(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    by_scope: Mapping[str, Sequence[Fact]],
    *,
    programs: tuple[Program, ...] | None = None,
    explains: bool = True,
) -> tuple[list[tuple[str, Draft]], Config]:
    """The first stage of scopes, each with what the set-up says of it; under `programs`, else the connection's own."""
    config, card_emails = await _config(tx, organization_id, connection_id, by_scope, programs)
    if not explains:
        config = msgspec.structs.replace(config, explains=False)
    drafts: list[tuple[str, Draft]] = []
    for scope, own in by_scope.items():
        own_config = config
        if card_emails:
            emails = frozenset(email for card in _cards(own) for email in card_emails.get(card, ()))
            own_config = msgspec.structs.replace(config, card_emails=emails)
        drafts.append((scope, draft(own, own_config)))
    return drafts, config


async def _complete_where_others_matter(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    drafts: Sequence[tuple[str, Draft]],
    config: Config,
    booked: Mapping[str, ScopeBooks],
    changes: Changes,
) -> Mapping[str, Sequence[Completed | None]]:
    programs = {program.program_id: program for program in config.programs}
    own = await tallies.tallies_of_scopes(tx, organization_id, connection_id, list(booked))
    candidates = [(scope, drafted.candidates) for scope, drafted in drafts]
    look = plan(candidates, {scope: known.decisions for scope, known in booked.items()}, own, programs)
    found = Found((), (), {})
    if look.since:
        windows = [window for program in config.programs for window in program.outline.windows]
        wanted = {found_sum for window in windows if (found_sum := sum_of(window)) is not None}
        found.prefixes = await tallies.sums_before(tx, organization_id, look.since, wanted)
        found.later = await tallies.contributions_since(tx, organization_id, look.since, look.replaced)
        if any(program.outline.judges_referrals for program in config.programs):
            found.firsts = await tallies.first_payments_before(tx, organization_id, look.since)
    if kept := look.paid & look.replaced:
        paid = await books.paid_decisions(tx, organization_id, connection_id, kept)
        found.paid = {key: item.decision for key, item in paid.items()}
    outcome = complete_planned(candidates, look, found, own, programs)
    changes.replaced = look.replaced
    changes.tallies = outcome.tallies
    changes.stale = outcome.stale
    changes.drafts = look.digests
    return outcome.completed


async def _config(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    by_scope: Mapping[str, Sequence[Fact]],
    programs: tuple[Program, ...] | None = None,
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
    if programs is None:
        programs = await setup.programs_of(tx, organization_id, connection_id)
    owners, emails = await setup.code_owners(tx, organization_id, connection_id, keys)
    cards = {card for own in by_scope.values() if any(f.carriers for f in own) for card in _cards(own)}
    card_emails: dict[str, set[str]] = {}
    if cards:
        found = await facts.emails_of_cards(tx, organization_id, connection_id, cards)
        card_emails = {card: {normal_email(email) for email in addresses} for card, addresses in found.items()}
    config = Config(
        programs,
        owners,
        emails,
        participants=await setup.participants_of(tx, organization_id, {o.participant_id for o in owners.values()}),
        rates=await rate_book(tx, organization_id) if any(program.outline.converts for program in programs) else None,
    )
    if await setup.has_reviews(tx, organization_id, connection_id):
        all_facts = [fact for own in by_scope.values() for fact in own]
        ids = {*by_scope, *(fact.stripe_id for fact in all_facts)}
        ids.update(fact.state.object_id for fact in all_facts if isinstance(fact.state, EventState))
        reviews = await setup.reviews_of(tx, organization_id, connection_id, ids)
        config = msgspec.structs.replace(config, reviews=reviews)
    return config, card_emails


def _cards(own: Sequence[Fact]) -> set[str]:
    return {f.state.card_fingerprint for f in own if isinstance(f.state, ChargeState) and f.state.card_fingerprint}


def _compare(
    scope: str,
    drafted: Draft,
    completed: Sequence[Completed | None],
    booked: ScopeBooks,
    shared: Collection[str],
    now: int,
    changes: Changes,
) -> None:
    stale = dict(booked.decisions)
    targets: list[DerivedReward] = []
    kept: set[tuple[str, str]] = set()
    for candidate, item in zip(drafted.candidates, completed, strict=True):
        key = (candidate.decision.payment_key, candidate.decision.program_id)
        known = stale.pop(key, None)
        if item is None:
            kept.add(key)
            continue
        targets.extend([reward_of(item.decision, given, now) for given in item.given])
        body = encode_decision(item.decision)
        digest = digest_of(body)
        of_draft = (changes.drafts.get(key) or draft_digest(candidate)) if key[1] in shared else None
        is_known = known is not None and known.digest == digest and known.draft == of_draft and not known.is_stale
        if not is_known:
            changes.decisions.append((item.decision, scope, digest, body, of_draft))
    targets.extend(
        [kept_reward(r, now) for r in booked.rewards if (r.payment_key, r.program_id) in kept and not _is_withdrawn(r)]
    )
    difference_ = plan_rewards(booked.rewards, targets, _new_reward_id)
    changes.added.extend([(reward, scope) for reward in difference_.added])
    changes.changed.extend([(reward, scope) for reward in difference_.changed])
    changes.entries.extend(difference_.entries)
    changes.dropped.extend(stale)
    _compare_people(scope, drafted, booked, changes)


def _compare_people(scope: str, drafted: Draft, booked: ScopeBooks, changes: Changes) -> None:
    lost = dict(booked.referrals)
    for referral in drafted.referrals:
        known = lost.pop((referral.program_id, referral.referee_id), None)
        if known is None or known[1] != referral:
            changes.referrals.append((known[0] if known else new_id("referral"), referral, scope))
    changes.undone.extend([referral_id for referral_id, r in lost.values() if r.status != "undone"])
    for customer in drafted.customers:
        if booked.customers.get(customer.stripe_customer_id) != customer:
            changes.customers.append((customer, scope))
    changes.unclaimed.extend([(code, scope) for code in drafted.unclaimed])
    changes.cards.extend([(card, scope) for card in drafted.cards])


def _is_withdrawn(reward: BookedReward) -> bool:
    """Whether a discount or feature was taken back: it has no amount that would say so."""
    return reward.status == REVERSED and not reward.amount


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
    await tallies.remove(tx, organization_id, connection_id, changes.replaced)
    await tallies.add(tx, organization_id, connection_id, changes.tallies)
    await tallies.mark_stale(tx, organization_id, connection_id, changes.stale, changes.replaced)
    await facts.note_unclaimed(tx, organization_id, connection_id, changes.unclaimed)
    told = {scope for _, scope in changes.customers}
    told.update(await facts.note_cards(tx, organization_id, connection_id, changes.cards))
    await facts.mark_card_sharers_dirty(tx, organization_id, connection_id, told)
