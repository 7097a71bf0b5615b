"""Totals: what participants and programs brought and earned so far, by period, as tiers and caps look at them.

A running count: contributions are added in the order of conversions. Keeps sums alone, never payments.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from refref.core.claims import CapRoom
from refref.core.compiled import Window
from refref.core.periods import DAY_S, period_start
from refref.core.program import Program

ALL_MEASURES = frozenset(("referrals", "revenue", "customer", "participant", "program"))
_OF_REFERRALS = frozenset(("referrals", "revenue"))
_OF_REWARDS = ALL_MEASURES - _OF_REFERRALS
REFERRAL_ROW = ""  # the rule of a contribution that counts referrals and revenue


class Tally(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one conversion adds to the totals of one owner in one program.

    `rule_id` REFERRAL_ROW: `referrals` 1 for a referee's first counted payment that did not go back whole, `undone` 1
    if it did, `by_code` 1 if bound by a promotion code without a click, `revenue` in the program's revenue currency;
    owner is the participant. Else `earned`: what the rule gives the owner, less what was taken back, in `currency`.
    """

    program_id: str
    payment_key: str
    rule_id: str
    owner_id: str
    referee_id: str
    occurred_at: int
    currency: str = ""
    referrals: int = 0
    undone: int = 0
    by_code: int = 0
    revenue: int = 0
    earned: int = 0

    @property
    def order(self) -> tuple[int, str]:
        return self.occurred_at, self.payment_key


_Key = tuple[str, str, str, int]  # program, window, owner, start of the period
_PLAIN = ""  # the "currency" of referrals and revenue


def converted_currency(into: str, currency: str) -> str:
    """How amounts of `currency` are filed that count in `into`, converted: `usd<gbp`."""
    return f"{into}<{currency}"


def counts(room: CapRoom, currency: str) -> bool:
    """Whether amounts filed under a currency use up a cap: in its own, and converted ones that it does not name."""
    if "<" not in currency:
        return currency == room.currency
    into, _, source = currency.partition("<")
    return into == room.currency == room.others and source not in room.named


@lru_cache(maxsize=4096)
def rules_of(window: str) -> tuple[str, ...]:
    """The rules that a window's key names; empty: all."""
    return tuple(window.split(" ")[2:])


class Totals:
    """The sums before the conversion at hand, for the programs that it was made for."""

    __slots__ = ("_of_referrals", "_of_rewards", "_sums", "_whole", "_windows", "firsts")

    def __init__(self, programs: Iterable[Program]) -> None:
        self._windows: dict[str, tuple[Window, ...]] = {
            program.program_id: program.outline.windows for program in programs
        }
        self._of_referrals = {name: _measuring(own, _OF_REFERRALS) for name, own in self._windows.items()}
        self._of_rewards = {name: _measuring(own, _OF_REWARDS) for name, own in self._windows.items()}
        self._sums: dict[_Key, dict[str, int]] = {}
        self._whole: dict[_Key, int] = {}
        self.firsts: dict[tuple[str, str], Firsts] = {}

    def add(self, tally: Tally, measures: frozenset[str] = ALL_MEASURES) -> None:
        """Take a conversion's contribution into account for those after it, in windows of these measures."""
        windows = self._of_referrals if tally.rule_id == REFERRAL_ROW else self._of_rewards
        for window in windows.get(tally.program_id, ()):
            if window.measure in measures and (amount := _amount(window, tally)):
                start = period_start(window.period, tally.occurred_at)
                self._add((tally.program_id, window.key, owner_of(window, tally), start), tally.currency, amount)
        if "referrals" in measures and (tally.referrals or tally.undone):
            self.firsts.setdefault((tally.program_id, tally.owner_id), Firsts()).add(tally)

    def add_whole(self, tally: Tally) -> None:
        """Take a contribution into account for what looks at whole periods."""
        for window in self._of_referrals.get(tally.program_id, ()):
            if amount := _amount(window, tally):
                start = period_start(window.period, tally.occurred_at)
                key = (tally.program_id, window.key, tally.owner_id, start)
                self._whole[key] = self._whole.get(key, 0) + amount

    def whole_sums(self) -> list[tuple[str, str, str, int, int]]:
        """The sums of whole periods as (program, window, owner, start of the period, sum), for `add_whole_sums`."""
        return [(*key, amount) for key, amount in self._whole.items()]

    def add_whole_sums(self, sums: Iterable[tuple[str, str, str, int, int]]) -> None:
        """Add the sums of whole periods that others took into account."""
        for program_id, window, owner_id, start, amount in sums:
            key = (program_id, window, owner_id, start)
            self._whole[key] = self._whole.get(key, 0) + amount

    def add_sum(self, window: Window, program_id: str, owner_id: str, currency: str, start: int, amount: int) -> None:
        """Start from a sum that was added up elsewhere, of the period that starts at `start`."""
        key = (program_id, window.key, owner_id, start)
        self._add(key, currency, amount)
        if window.measure in ("referrals", "revenue"):
            self._whole[key] = self._whole.get(key, 0) + amount

    def _add(self, key: _Key, currency: str, amount: int) -> None:
        own = self._sums.setdefault(key, {})
        own[currency] = own.get(currency, 0) + amount

    def windows_of(self, program_id: str) -> tuple[Window, ...]:
        """The sums that a program's terms look at."""
        return self._windows.get(program_id, ())

    def before(self, window: str, period: str, program_id: str, owner_id: str, at: int) -> int:
        """The referrals or revenue in the period that holds `at`, of all that was added."""
        return self._sums.get((program_id, window, owner_id, period_start(period, at)), {}).get(_PLAIN, 0)

    def used(self, room: CapRoom, program_id: str, owner_id: str, at: int) -> int:
        """What was used up of a cap in the period that holds `at`, in the cap's currency."""
        sums = self._sums.get((program_id, room.window, owner_id, period_start(room.period, at)))
        if not sums:
            return 0
        if len(sums) == 1 and room.currency in sums:
            return sums[room.currency]
        return sum([amount for currency, amount in sums.items() if counts(room, currency)])

    def whole(self, window: str, period: str, program_id: str, owner_id: str, at: int) -> int:
        """The referrals or revenue over the whole period that holds `at`."""
        return self._whole.get((program_id, window, owner_id, period_start(period, at)), 0)


def _measuring(windows: Iterable[Window], measures: frozenset[str]) -> tuple[Window, ...]:
    return tuple(window for window in windows if window.measure in measures)


class Firsts:
    """The first counted payments of a participant's referees so far: for the checks that look at referrals."""

    __slots__ = ("by_code", "count", "instants", "undone")

    def __init__(self) -> None:
        self.count = 0
        self.undone = 0
        self.by_code = 0
        self.instants: list[int] = []  # of the last day at least

    def add(self, tally: Tally) -> None:
        """One more."""
        self.count += 1
        self.undone += tally.undone
        self.by_code += tally.by_code
        insort(self.instants, tally.occurred_at)

    def within_a_day(self, at: int) -> int:
        """How many in the 24 hours up to `at`."""
        return bisect_right(self.instants, at) - bisect_left(self.instants, at - DAY_S + 1)


NO_FIRSTS = Firsts()


def owner_of(window: Window, tally: Tally) -> str:
    """Whose sum of a window a contribution belongs to."""
    if window.measure == "program":
        return ""
    return tally.referee_id if window.measure == "customer" else tally.owner_id


def _amount(window: Window, tally: Tally) -> int:
    if window.measure == "referrals":
        return tally.referrals
    if window.measure == "revenue":
        return tally.revenue
    if tally.rule_id == REFERRAL_ROW or (window.rules is not None and tally.rule_id not in window.rules):
        return 0
    if window.measure == "participant" and tally.owner_id == tally.referee_id:
        return 0
    return tally.earned
