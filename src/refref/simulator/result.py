"""What comes of playing a story: the timeline, each sale with its explanation, and each expectation. Data alone."""

from __future__ import annotations

from typing import Literal

import msgspec

from refref.core.money import format_amount

Tone = Literal["good", "wait", "off"]


class Outcome(msgspec.Struct, frozen=True):
    """What one sale (or a conversion without money) earned. `because`: every step in words."""

    sale: str
    customer: str
    sentence: str
    tone: Tone
    because: tuple[str, ...]


class Checked(msgspec.Struct, frozen=True):
    """One expectation, with its line in the file. `difference`: why it is not met, step by step."""

    line: int
    text: str
    is_met: bool
    difference: tuple[str, ...] = ()


class Moment(msgspec.Struct, frozen=True):
    """An instant (seconds) at which something happened: in words, Stripe's events, what was decided and booked."""

    at: int
    happened: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    booked: tuple[str, ...] = ()
    checked: tuple[Checked, ...] = ()


class Earned(msgspec.Struct, frozen=True):
    """One reward as it is at the end. Amounts are minor units; discounts and features have none."""

    who: str
    sale: str
    rule: str
    kind: str
    amount_minor: int
    taken_back_minor: int
    currency: str
    status: str

    @property
    def amount(self) -> str:
        """What was earned, for people; what was granted, where that is no money."""
        return format_amount(self.amount_minor, self.currency) if self.amount_minor else self.kind

    @property
    def taken_back(self) -> str:
        """What was taken back, for people; "" for nothing."""
        return format_amount(self.taken_back_minor, self.currency) if self.taken_back_minor else ""


class Held(msgspec.Struct, frozen=True):
    """What somebody has in an account at the end, in minor units."""

    who: str
    account: str
    amount_minor: int
    currency: str

    @property
    def sentence(self) -> str:
        """The same for people."""
        return f"{self.who} has {format_amount(self.amount_minor, self.currency)} {self.account}."


class Played(msgspec.Struct, frozen=True):
    """A story that was played to its end. `terms`: the terms that held, in words; `terms_from`: whose they are."""

    title: str
    about: str
    terms_from: str
    terms: tuple[str, ...]
    moments: tuple[Moment, ...]
    rewards: tuple[Earned, ...]
    balances: tuple[Held, ...]
    event_count: int

    @property
    def checked(self) -> list[Checked]:
        """Every expectation, in order of time."""
        return [checked for moment in self.moments for checked in moment.checked]

    @property
    def is_as_expected(self) -> bool:
        """Whether every expectation is met."""
        return all(checked.is_met for checked in self.checked)
