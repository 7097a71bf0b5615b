"""Books in memory for what looks at others' payments: the questions that db.tallies asks of PostgreSQL, as plain loops.

Decides nothing: `core.shared` plans and completes, this keeps decisions and contributions and finds sums in them.
"""

from __future__ import annotations

from collections.abc import Sequence

from oracle.worlds import DAY
from refref.core.complete import Completed
from refref.core.derive import Draft
from refref.core.paid import Key, PaidDecision, draft_digest
from refref.core.periods import period_start
from refref.core.program import Program
from refref.core.shared import (
    Found,
    KnownDecision,
    Look,
    Order,
    Owner,
    Prefix,
    Stale,
    Sum,
    complete_planned,
    plan,
    sum_of,
)
from refref.core.totals import REFERRAL_ROW, Tally


class Counted:
    """The decisions and contributions of a merchant whose program looks at others' payments."""

    def __init__(self, programs: dict[str, Program]) -> None:
        self.programs = programs
        self.drafts: dict[str, Draft] = {}
        self.booked: dict[str, dict[Key, tuple[Completed, bytes]]] = {}
        self.rows: list[tuple[Tally, str]] = []
        self.stale: set[tuple[str, Key]] = set()
        self.paid: set[Key] = set()

    def settle(self, drafts: dict[str, Draft]) -> None:
        """Book these drafts of some scopes."""
        self.drafts |= drafts
        candidates = [(scope, drafted.candidates) for scope, drafted in drafts.items()]
        own = {scope: [tally for tally, of in self.rows if of == scope] for scope in drafts}
        look = plan(candidates, {scope: self._known(scope) for scope in drafts}, own, self.programs)
        outcome = complete_planned(candidates, look, self._found(look), own, self.programs)
        for scope, listed in candidates:
            before, after = self.booked.get(scope, {}), {}
            for candidate, made in zip(listed, outcome.completed[scope], strict=True):
                key = (candidate.decision.payment_key, candidate.decision.program_id)
                after[key] = before[key] if made is None else (made, draft_digest(candidate))
            judged = {key for key, item in after.items() if item is not before.get(key)}
            self.stale = {(of, key) for of, key in self.stale if of != scope or (key in after and key not in judged)}
            self.booked[scope] = after
        self.rows = [row for row in self.rows if _key(row[0]) not in look.replaced] + outcome.tallies
        for item in outcome.stale:
            self.stale.update((of, _key(tally)) for tally, of in self.rows if self._concerns(item, tally, look))

    def finish(self) -> None:
        """Judge again whatever others' payments concern, until nothing is left."""
        for _ in range(1_000):
            if not self.stale:
                return
            scopes = sorted({scope for scope, _ in self.stale})[:3]
            self.settle({scope: self.drafts[scope] for scope in scopes})
        raise AssertionError("the books do not come to rest")

    def pay(self) -> None:
        """Pay out everything that was given so far; what was paid stays paid, whatever is taken back."""
        self.paid |= {key for own in self.booked.values() for key, (made, _) in own.items() if made.given}

    def paid_decisions(self) -> dict[Key, PaidDecision]:
        """What was paid out, as it is booked."""
        return {
            key: PaidDecision(digest, made.decision)
            for own in self.booked.values()
            for key, (made, digest) in own.items()
            if key in self.paid
        }

    def _known(self, scope: str) -> dict[Key, KnownDecision]:
        return {
            key: KnownDecision(b"", digest, (scope, key) in self.stale, key in self.paid)
            for key, (_, digest) in self.booked.get(scope, {}).items()
        }

    def _found(self, look: Look) -> Found:
        kept = look.paid & look.replaced
        paid = {key: item.decision for key, item in self.paid_decisions().items() if key in kept}
        later = {
            tally: None
            for tally, _ in self.rows
            for owner, since in look.since.items()
            if _is_of(owner, tally) and tally.order >= since and _key(tally) not in look.replaced
        }
        prefixes = [prefix for owner, since in look.since.items() for prefix in self._prefixes(owner, since)]
        firsts = {owner: self._firsts(owner, since) for owner, since in look.since.items() if owner[1]}
        return Found(prefixes, list(later), {owner: first for owner, first in firsts.items() if first[0]}, paid)

    def _prefixes(self, owner: Owner, since: Order) -> list[Prefix]:
        wanted = [sum_of(window) for window in self.programs[owner[0]].outline.windows]
        before = [tally for tally, _ in self.rows if _is_of(owner, tally) and tally.order < since]
        if owner[1] == "":
            before = [tally for tally in before if tally.rule_id != REFERRAL_ROW]
        return [
            Prefix(*owner, *group, {one: _sum(before, group, one, since[0]) for one in wanted if one is not None})
            for group in sorted({(tally.rule_id, tally.currency) for tally in before})
        ]

    def _firsts(self, owner: Owner, since: Order) -> tuple[int, int, int, tuple[int, ...]]:
        found = [
            tally
            for tally, _ in self.rows
            if _is_of(owner, tally) and tally.order < since and tally.rule_id == REFERRAL_ROW
            if tally.referrals + tally.undone > 0
        ]
        day = tuple(sorted(tally.occurred_at for tally in found if tally.occurred_at > since[0] - DAY))
        return len(found), sum(t.undone for t in found), sum(t.by_code for t in found), day

    def _concerns(self, item: Stale, tally: Tally, look: Look) -> bool:
        is_left_out = _key(tally) in look.replaced or _key(tally) in self.paid
        is_in_time = item.since <= tally.occurred_at and (item.until is None or tally.occurred_at < item.until)
        is_owners = _is_of((item.program_id, item.owner_id), tally)
        return is_owners and is_in_time and tally.order > item.after and not is_left_out


def _sum(before: Sequence[Tally], group: tuple[str, str], wanted: Sum, at: int) -> int:
    measure, period = wanted
    own = [tally for tally in before if (tally.rule_id, tally.currency) == group]
    own = [tally for tally in own if tally.occurred_at >= period_start(period, at)]
    return sum({"referrals": t.referrals, "revenue": t.revenue, "earned": t.earned}[measure] for t in own)


def _key(tally: Tally) -> Key:
    return tally.payment_key, tally.program_id


def _is_of(owner: Owner, tally: Tally) -> bool:
    return tally.program_id == owner[0] and owner[1] in ("", tally.owner_id)


def settled(counted: Counted, drafts: Sequence[tuple[str, Draft]]) -> dict[str, list[Completed]]:
    """What is booked of the candidates of these drafts, in their order."""
    return {
        scope: [counted.booked[scope][c.decision.payment_key, c.decision.program_id][0] for c in drafted.candidates]
        for scope, drafted in drafts
    }
