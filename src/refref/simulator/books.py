"""A merchant's books in memory: facts as they come, the decisions and rewards the engine derives, and the entries.

The same pure functions as the product's, without its database. One program, one connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from refref.core.attribution import CodeOwner
from refref.core.complete import Completed
from refref.core.decisions import Decision, digest_of, encode_decision
from refref.core.derive import DerivedReferral, Draft, derived_of, draft, finish, normal_email, scope_emails
from refref.core.facts import ChargeState, Fact
from refref.core.ledger import BookedReward, Entry, plan_rewards
from refref.core.program import Config, Participant, Profile, Program
from refref.core.rates import RateBook
from refref.core.scopes import absorb
from refref.core.terms import Terms, TermsVersion
from refref.ecb_file import bundled_history
from refref.simulator import story
from refref.simulator.names import participant_id

PROGRAM_ID = "story"


class Settled(msgspec.Struct, frozen=True):
    """What one instant brought: the decisions that are new or changed, and the entries that were posted."""

    decisions: tuple[Decision, ...]
    entries: tuple[Entry, ...]


class Books:
    """Everything that is known and booked. `codes` may grow while the story is played; the rest is set at the start."""

    def __init__(self, terms: Terms, participants: Sequence[story.Participant]) -> None:
        self.program = Program(PROGRAM_ID, (TermsVersion(1, 0, terms),))
        self.codes: dict[str, CodeOwner] = {}
        self.emails: dict[str, str] = {}
        self.participants: dict[str, Participant] = {}
        self.reviews: dict[tuple[str, str, str], str] = {}
        self.rewards: dict[str, BookedReward] = {}
        self.decisions: dict[str, Decision] = {}
        self.referrals: dict[str, DerivedReferral] = {}
        self.entries: list[Entry] = []
        self._facts: dict[str, list[Fact]] = {}  # by scope
        self._scope_of: dict[str, str] = {}
        self._drafts: dict[str, Draft] = {}
        self._completed: dict[str, list[Completed]] = {}
        self._judged: set[str] = set()  # scopes whose decisions may have changed since they were booked
        self._cards: dict[str, CardUse] = {}
        self._card_emails: dict[str, frozenset[str]] = {}
        self._made = 0
        self._digests: dict[str, bytes] = {}
        self._rates = RateBook(bundled_history()) if self.program.outline.converts else None
        for given in participants:
            self._add(given)

    def _add(self, given: story.Participant) -> None:
        own = participant_id(given)
        owner = CodeOwner(own, PROGRAM_ID)
        self.codes[given.code.lower()] = owner
        if own.startswith("ptc_"):
            self.codes[own] = owner
        if given.email:
            self.emails[own] = normal_email(given.email)
        profile = Profile(0, given.groups, given.country, tuple(sorted(given.metadata.items())))
        email = self.emails.get(own, "")
        self.participants[own] = Participant(own, given.kind, email, profiles=(profile,))

    def own_code(self, code: str, owner: str) -> None:
        """Let one more code (a Stripe promotion code's id) stand for a participant."""
        self.codes[code] = CodeOwner(owner, PROGRAM_ID)

    def take(self, facts: Sequence[Fact]) -> None:
        """Add facts to what is known, and judge the customers anew whom they concern."""
        ids = {stripe_id for fact in facts for stripe_id in (fact.stripe_id, *fact.links)}
        scopes = {self._scope_of[stripe_id] for stripe_id in ids if stripe_id in self._scope_of}
        known = [(fact, scope) for scope in scopes for fact in self._facts[scope]]
        merged = absorb(known, facts)
        for scope in scopes:
            del self._facts[scope]
        for stripe_id, fact in merged.facts.items():
            self._scope_of[stripe_id] = merged.scopes[stripe_id]
            self._facts.setdefault(merged.scopes[stripe_id], []).append(fact)
        for gone in merged.moves:
            self._drafts.pop(gone, None)
            self._completed.pop(gone, None)
            self._cards.pop(gone, None)
        self._judge(set(merged.touched))

    def review(self, stripe_ids: Sequence[str], verdict: str) -> None:
        """A person's verdict (approved, rejected) on a conversion under all of its ids."""
        self.reviews.update({(PROGRAM_ID, "", stripe_id): verdict for stripe_id in stripe_ids})
        self._judge(set(self._drafts))

    def next_change(self, after: int, until: int) -> int | None:
        """The next instant after `after`, up to `until`, at which a reward changes by the clock alone."""
        instants = (
            instant
            for reward in self.rewards.values()
            for instant in (reward.hold_until, reward.expires_at)
            if instant is not None and after < instant <= until
        )
        return min(instants, default=None)

    def settle(self, now: int) -> Settled:
        """Book what is derived at `now`."""
        derived = [derived_of(drafted, self._completed[scope], now) for scope, drafted in self._drafts.items()]
        targets = [reward for one in derived for reward in one.rewards]
        plan = plan_rewards(list(self.rewards.values()), targets, self._new_reward_id)
        for reward in (*plan.added, *plan.changed):
            self.rewards[reward.reward_id] = reward
        self.entries.extend(plan.entries)
        self.referrals = {referral.referee_id: referral for one in derived for referral in one.referrals}
        changed = self._changed() if self._judged else ()
        return Settled(changed, plan.entries)

    def rewards_of(self, beneficiary: str) -> list[BookedReward]:
        """What somebody earned, in order; without what was taken back whole because it lost its ground."""
        own = [reward for reward in self.rewards.values() if reward.beneficiary_id == beneficiary]
        own.sort(key=lambda reward: (reward.occurred_at, reward.payment_key, reward.rule_id))
        return [reward for reward in own if reward.status != "reversed" or self._has_ground(reward)]

    def balances(self, owner: str) -> dict[tuple[str, str], int]:
        """What the entries leave somebody: (account, currency) -> minor units, without empty accounts."""
        sums: dict[tuple[str, str], int] = {}
        for entry in self.entries:
            for (account, whose), sign in ((entry.source, -1), (entry.destination, 1)):
                if whose == owner and account != "expense":
                    key = (account, entry.currency)
                    sums[key] = sums.get(key, 0) + sign * entry.amount
        return {key: amount for key, amount in sums.items() if amount}

    def decision_of(self, stripe_id: str) -> Decision | None:
        """The decision of a sale, under any of its ids."""
        return next((one for one in self.decisions.values() if stripe_id in (one.payment_key, *one.ids)), None)

    def _has_ground(self, reward: BookedReward) -> bool:
        decision = self.decisions.get(reward.payment_key)
        rules = decision.rules if decision is not None else ()
        return any(
            rule.rule_id == reward.rule_id and any(part[0] == reward.beneficiary_id for part in rule.parts)
            for rule in rules
        )

    def _new_reward_id(self) -> str:
        self._made += 1
        return f"reward_{self._made:05}"

    def _changed(self) -> tuple[Decision, ...]:
        """The decisions that are new or other than before; those of customers who lost theirs are forgotten."""
        changed: list[Decision] = []
        current = {item.decision.payment_key for items in self._completed.values() for item in items}
        self.decisions = {key: decision for key, decision in self.decisions.items() if key in current}
        for scope in sorted(self._judged & self._completed.keys()):
            for item in self._completed[scope]:
                key, digest = item.decision.payment_key, digest_of(encode_decision(item.decision))
                if self._digests.get(key) != digest:
                    changed.append(item.decision)
                self.decisions[key], self._digests[key] = item.decision, digest
        self._judged = set()
        return tuple(sorted(changed, key=lambda decision: (decision.occurred_at, decision.payment_key)))

    def _judge(self, scopes: set[str]) -> None:
        """Draft these customers anew, and those whose cards others now use too; then complete them, or all where
        others' payments matter."""
        config = Config(
            (self.program,),
            self.codes,
            self.emails,
            participants=self.participants,
            reviews=self.reviews,
            rates=self._rates,
        )
        for scope in scopes:
            self._cards[scope] = _card_use(self._facts[scope])
        shared = _emails_by_card(self._cards)
        fresh = set(scopes)
        for scope, emails in shared.items():
            if scope in fresh or emails != self._card_emails.get(scope):
                fresh.add(scope)
                own = msgspec.structs.replace(config, card_emails=emails)
                self._drafts[scope] = draft(self._facts[scope], own)
        self._card_emails = shared
        todo = self._drafts if self.program.is_shared else {scope: self._drafts[scope] for scope in fresh}
        self._completed.update(finish(list(todo.items()), config))
        self._judged.update(todo)


class CardUse(msgspec.Struct, frozen=True):
    """The cards of a scope, and the addresses of its customer."""

    cards: frozenset[str]
    emails: frozenset[str]


def _card_use(facts: Sequence[Fact]) -> CardUse:
    cards = (fact.state.card_fingerprint for fact in facts if isinstance(fact.state, ChargeState))
    return CardUse(frozenset(card for card in cards if card), scope_emails(facts))


def _emails_by_card(uses: Mapping[str, CardUse]) -> dict[str, frozenset[str]]:
    """For each scope the addresses of all customers who used one of its cards."""
    users: dict[str, set[str]] = {}
    for use in uses.values():
        for card in use.cards:
            users.setdefault(card, set()).update(use.emails)
    return {scope: frozenset(e for card in use.cards for e in users[card]) for scope, use in uses.items()}
