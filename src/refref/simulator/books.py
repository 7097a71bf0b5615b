"""A merchant's books in memory: facts as they come, the decisions and rewards the engine derives, and the entries.

The same pure functions as the product's, without its database. One program, one connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
        self._facts: dict[str, tuple[Fact, str]] = {}
        self._drafts: dict[str, Draft] = {}
        self._completed: Mapping[str, Sequence[Completed]] = {}
        self._cards: dict[str, frozenset[str]] = {}
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
        merged = absorb(self._facts.values(), facts)
        self._facts = {stripe_id: (fact, merged.scopes[stripe_id]) for stripe_id, fact in merged.facts.items()}
        for gone in merged.moves:
            self._drafts.pop(gone, None)
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
        changed = tuple(self._changed(decision for one in derived for decision in one.decisions))
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

    def _changed(self, decisions: Iterator[Decision]) -> Iterator[Decision]:
        before, self.decisions = self._digests, {}
        self._digests = {}
        for decision in decisions:
            key = decision.payment_key
            self.decisions[key] = decision
            self._digests[key] = digest_of(encode_decision(decision))
            if before.get(key) != self._digests[key]:
                yield decision

    def _judge(self, scopes: set[str]) -> None:
        """Draft these customers anew, and those whose cards others now use too; then complete all in their order."""
        by_scope: dict[str, list[Fact]] = {}
        for fact, scope in self._facts.values():
            by_scope.setdefault(scope, []).append(fact)
        cards = _emails_by_card(by_scope)
        config = Config(
            (self.program,),
            self.codes,
            self.emails,
            participants=self.participants,
            reviews=self.reviews,
            rates=self._rates,
        )
        for scope, own in by_scope.items():
            emails = cards[scope]
            if scope in scopes or emails != self._cards.get(scope):
                self._cards[scope] = emails
                self._drafts[scope] = draft(own, msgspec.structs.replace(config, card_emails=emails))
        self._completed = finish(list(self._drafts.items()), config)


def _emails_by_card(by_scope: Mapping[str, Sequence[Fact]]) -> dict[str, frozenset[str]]:
    """For each scope the addresses of all customers who used one of its cards."""
    cards = {
        scope: {f.state.card_fingerprint for f in own if isinstance(f.state, ChargeState)} - {None}
        for scope, own in by_scope.items()
    }
    emails = {scope: scope_emails(own) for scope, own in by_scope.items()}
    users: dict[str | None, set[str]] = {}
    for scope, own_cards in cards.items():
        for card in own_cards:
            users.setdefault(card, set()).update(emails[scope])
    return {scope: frozenset(e for card in own for e in users[card]) for scope, own in cards.items()}
