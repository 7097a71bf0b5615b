"""Backtest: what draft terms give for the conversions of a program, beside what is booked; counted, never booked.

Pure. `draft_program` puts the draft among a program's versions, `Told` is one conversion on its way, `Comparison` adds
up. Amounts are minor units less what was taken back; currencies are never added. What expires counts as earned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from refref.core.backtest_products import Products
from refref.core.claims import Candidate
from refref.core.complete import QUIET, Completed, Judged, complete
from refref.core.contributions import stage_one_tally
from refref.core.decisions import Decision, RuleOutcome
from refref.core.facts import Line
from refref.core.program import Program
from refref.core.terms import Terms, TermsVersion
from refref.core.totals import Totals

LARGEST = 20
REFEREES = ""  # in place of a participant: what the referred customers themselves get
WITHOUT_MONEY = ("discount", "feature")


class Gain(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one rule gives one beneficiary for a conversion. `reward` discount and feature carry no money."""

    rule_id: str
    beneficiary_id: str
    currency: str
    amount: int
    reward: str = "commission"


class Side(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the books or the draft make of a conversion. `outcome` "": it is no conversion there."""

    outcome: str = ""
    reason: str = ""
    terms_version: int = 0
    gains: tuple[Gain, ...] = ()


NOTHING = Side()


class Told(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One conversion: the draft's first stage (None: the draft has no such conversion) and what is booked.

    `sold`: the lines of the sale, `amount` net; empty where it has none.
    """

    occurred_at: int
    payment_key: str
    scope_id: str
    referee_id: str
    candidate: Candidate | None
    booked: Side
    sold: tuple[Line, ...] = ()


class Change(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A conversion that comes out otherwise. `size`: by how much in all, whoever gains or loses; `final`: the draft's
    decision without what explains it."""

    currency: str
    size: int
    occurred_at: int
    payment_key: str
    scope_id: str
    booked: int
    draft: int
    final: Decision | None


class Sums(msgspec.Struct, array_like=True):
    """Booked and by the draft; `changed`: in how many conversions they differ."""

    booked: int = 0
    draft: int = 0
    changed: int = 0


class Summary(msgspec.Struct, frozen=True):
    """What a backtest found, in a form that can be added to another part's and stored.

    `money` by currency; `participants` and `products` by (id, currency); `reasons`: how many conversions the draft
    refuses for a reason that the books do not have. Of the `changed` conversions some earn `more` or `less` in a
    currency; the others move between people, or are refused for another reason.
    """

    conversions: int
    changed: int
    more: int
    less: int
    money: tuple[tuple[str, Sums], ...]
    benefits: Sums
    participants: tuple[tuple[str, str, Sums], ...]
    products: tuple[tuple[str, str, Sums], ...]
    reasons: tuple[tuple[str, int], ...]
    changes: tuple[Change, ...]


def draft_program(program: Program, terms: Terms, effective_at: int) -> Program:
    """The program as if the draft were its next version, in force from `effective_at` (seconds)."""
    number = program.terms[-1].version + 1 if program.terms else 1
    return msgspec.structs.replace(program, terms=(*program.terms, TermsVersion(number, effective_at, terms)))


def slim(candidate: Candidate) -> Candidate:
    """A candidate without what only explains it: of the rules that were refused only those whose reason may become the
    conversion's stay."""
    kept: list[RuleOutcome] = []
    is_told = False
    for place, rule in enumerate(candidate.decision.rules):
        if rule.outcome == "claimed":
            kept.append(rule)
        elif not is_told and (place == 0 or rule.reason not in QUIET):
            kept.append(rule)
            is_told = rule.reason not in QUIET
    decision = msgspec.structs.replace(
        candidate.decision, ids=(), base=None, evidence=(), reversals=(), kinds=(), rules=tuple(kept)
    )
    return msgspec.structs.replace(candidate, decision=decision)


def side_of(decision: Decision) -> Side:
    """What a decision gives."""
    gains = [
        Gain(rule.rule_id, beneficiary, rule.currency or decision.currency, amount - taken, rule.reward)
        for rule in decision.rules
        if rule.outcome == "rewarded"
        for beneficiary, amount, taken in rule.parts
    ]
    return Side(decision.outcome, decision.reason, decision.terms_version, tuple(gains))


class Comparison:
    """Adds up conversions in any order; what the draft gives is completed by the caller."""

    def __init__(self, program: Program) -> None:
        self._products = Products(program)
        self._conversions = self._changed = self._more = self._less = 0
        self._money: dict[str, Sums] = {}
        self._benefits = Sums()
        self._by_participant: dict[tuple[str, str], Sums] = {}
        self._by_product: dict[tuple[str, str], Sums] = {}
        self._reasons: dict[str, int] = {}
        self._largest: dict[str, list[Change]] = {}
        self._least: dict[str, int] = {}  # size by currency below which a change is none of the largest

    def add(self, told: Told, final: Decision | None) -> None:
        """Count one conversion; `final` is the draft's completed decision."""
        booked, draft = told.booked, NOTHING if final is None else side_of(final)
        self._conversions += 1
        is_changed = draft.outcome != booked.outcome or draft.reason != booked.reason
        before, after = _by_owner(told, booked), _by_owner(told, draft)
        moved: dict[str, list[int]] = {}
        for owner in before if before == after else before.keys() | after.keys():
            difference = self._count_money(owner, before.get(owner, 0), after.get(owner, 0))
            if difference:
                moved.setdefault(owner[1], []).append(difference)
        if moved:
            is_changed = True
            self._note_sizes(told, before, after, moved, final)
        if _has_benefits(booked) or _has_benefits(draft):
            is_changed = self._count_benefits(booked, draft) or is_changed
        self._count_products(told, booked, draft)
        self._changed += is_changed
        if draft.reason and draft.reason != booked.reason:
            self._reasons[draft.reason] = self._reasons.get(draft.reason, 0) + 1

    def _count_money(self, owner: tuple[str, str], booked: int, draft: int) -> int:
        sums = self._by_participant.get(owner)
        if sums is None:
            sums = self._by_participant[owner] = Sums()
        whole = self._money.get(owner[1])
        if whole is None:
            whole = self._money[owner[1]] = Sums()
        sums.booked += booked
        sums.draft += draft
        sums.changed += booked != draft
        whole.booked += booked
        whole.draft += draft
        return draft - booked

    def _count_benefits(self, booked: Side, draft: Side) -> bool:
        before, after = _granted(booked.gains), _granted(draft.gains)
        self._benefits.booked += len(before)
        self._benefits.draft += len(after)
        self._benefits.changed += before != after
        return before != after

    def _note_sizes(
        self,
        told: Told,
        before: Mapping[tuple[str, str], int],
        after: Mapping[tuple[str, str], int],
        moved: Mapping[str, Sequence[int]],
        final: Decision | None,
    ) -> None:
        balances = [sum(differences) for differences in moved.values()]
        self._more += max(balances) > 0
        self._less += min(balances) < 0
        for currency, differences in moved.items():
            self._money[currency].changed += 1
            size = sum([abs(difference) for difference in differences])
            if size < self._least.get(currency, 0):
                continue
            change = Change(
                currency, size, told.occurred_at, told.payment_key, told.scope_id,
                sum([amount for (_, own), amount in before.items() if own == currency]),
                sum([amount for (_, own), amount in after.items() if own == currency]),
                final,
            )  # fmt: skip
            self._keep(change)

    def _count_products(self, told: Told, booked: Side, draft: Side) -> None:
        divided: dict[tuple[str, str], list[int]] = {}
        for place, side in enumerate((booked, draft)):
            for product, currency, amount in self._products.divided(side.terms_version, side.gains, told.sold):
                key = product, currency
                if key not in divided:
                    divided[key] = [0, 0]
                divided[key][place] += amount
        for key, (was, is_now) in divided.items():
            sums = self._by_product.get(key)
            if sums is None:
                sums = self._by_product[key] = Sums()
            sums.booked += was
            sums.draft += is_now
            sums.changed += was != is_now

    def _keep(self, change: Change) -> None:
        own = self._largest.setdefault(change.currency, [])
        own.append(change)
        if len(own) >= 8 * LARGEST:
            own.sort(key=_by_size)
            del own[LARGEST:]
            self._least[change.currency] = own[-1].size

    def summary(self) -> Summary:
        """What was counted so far."""
        return Summary(
            self._conversions, self._changed, self._more, self._less,
            _rows(self._money),
            self._benefits,
            _rows_of_two(self._by_participant),
            _rows_of_two(self._by_product),
            tuple(sorted(self._reasons.items())),
            largest([change for own in self._largest.values() for change in own]),
        )  # fmt: skip


def _by_owner(told: Told, side: Side) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for gain in side.gains:
        if gain.amount and gain.reward not in WITHOUT_MONEY:
            owner = REFEREES if gain.beneficiary_id == told.referee_id else gain.beneficiary_id
            key = owner, gain.currency
            sums[key] = sums.get(key, 0) + gain.amount
    return sums


def _has_benefits(side: Side) -> bool:
    for gain in side.gains:  # noqa: SIM110 - a loop costs half as much, and is gone through twice for each conversion
        if gain.reward in WITHOUT_MONEY:
            return True
    return False


def _granted(gains: Iterable[Gain]) -> list[tuple[str, str]]:
    return sorted((gain.reward, gain.beneficiary_id) for gain in gains if gain.reward in WITHOUT_MONEY)


def _by_size(change: Change) -> tuple[int, int, str]:
    return -change.size, change.occurred_at, change.payment_key


def largest(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The largest changes of each currency in turn, as many as are shown: amounts of two currencies do not compare."""
    by_currency: dict[str, list[Change]] = {}
    for change in sorted(changes, key=_by_size):
        by_currency.setdefault(change.currency, []).append(change)
    ranked = [
        (rank, currency, change) for currency, own in by_currency.items() for rank, change in enumerate(own[:LARGEST])
    ]
    ranked.sort(key=lambda item: (item[0], item[1]))
    return tuple(change for _, _, change in ranked[:LARGEST])


def fold(program: Program, ordered: Iterable[Told], totals: Totals, comparison: Comparison) -> None:
    """Complete conversions in their order and count them. `totals` holds the sums of whole periods already."""
    judged: dict[tuple[str, str], Judged] = {}
    for told in ordered:
        if told.candidate is None:
            comparison.add(told, None)
            continue
        completed: Completed = complete(told.candidate, program, totals, judged)
        for tally in completed.tallies:
            totals.add(tally)
        comparison.add(told, completed.decision)


def note_whole(candidate: Candidate, totals: Totals) -> None:
    """Take a conversion into account for what looks at whole periods."""
    tally = stage_one_tally(candidate)
    if tally is not None:
        totals.add_whole(tally)


def explained(full: Decision, final: Decision) -> Decision:
    """A final decision with what explains it, of the same conversion's first stage."""
    outcomes = {rule.rule_id: rule for rule in final.rules}
    return msgspec.structs.replace(
        full,
        outcome=final.outcome,
        reason=final.reason,
        hold_until=final.hold_until,
        flags=final.flags,
        rules=tuple(
            outcomes.get(rule.rule_id, rule) if rule.outcome == "claimed" else rule
            for rule in full.rules
            if final.rules
        ),
    )


def added(summaries: Sequence[Summary]) -> Summary:
    """The summaries of parts as one."""
    if len(summaries) == 1:
        return summaries[0]
    money: dict[str, Sums] = {}
    participants: dict[tuple[str, str], Sums] = {}
    products: dict[tuple[str, str], Sums] = {}
    reasons: dict[str, int] = {}
    benefits = Sums()
    for summary in summaries:
        _add_sums(benefits, summary.benefits)
        for currency, sums in summary.money:
            _add_sums(money.setdefault(currency, Sums()), sums)
        for owner, currency, sums in summary.participants:
            _add_sums(participants.setdefault((owner, currency), Sums()), sums)
        for product, currency, sums in summary.products:
            _add_sums(products.setdefault((product, currency), Sums()), sums)
        for reason, count in summary.reasons:
            reasons[reason] = reasons.get(reason, 0) + count
    return Summary(
        sum(summary.conversions for summary in summaries),
        sum(summary.changed for summary in summaries),
        sum(summary.more for summary in summaries),
        sum(summary.less for summary in summaries),
        _rows(money), benefits,
        _rows_of_two(participants),
        _rows_of_two(products),
        tuple(sorted(reasons.items())),
        largest([change for summary in summaries for change in summary.changes]),
    )  # fmt: skip


def _rows(money: Mapping[str, Sums]) -> tuple[tuple[str, Sums], ...]:
    return tuple((currency, money[currency]) for currency in sorted(money))


def _rows_of_two(found: Mapping[tuple[str, str], Sums]) -> tuple[tuple[str, str, Sums], ...]:
    return tuple((first, second, found[first, second]) for first, second in sorted(found))


def _add_sums(into: Sums, more: Sums) -> None:
    into.booked += more.booked
    into.draft += more.draft
    into.changed += more.changed
