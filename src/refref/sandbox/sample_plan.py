"""The lives of the sample buyers, drawn from a seed: who buys what, when, by whose code, and what comes after.

Pure: the same seed, span and promoters give the same acts. Acts name buyers by number, never Stripe's ids.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import Literal

from refref.sandbox.sample_cast import SELF_REFERRAL, UNKNOWN_CODES, Promoter
from refref.sandbox.sample_shop import LAUNCH_CODE, price_id
from refref.sandbox.timeline import DAY, months_after

CUSTOMERS = 600
GUESTS_PERCENT = 6  # guests come on top of the customers

Verb = Literal["buy", "restart", "change", "resize", "cancel", "leave", "card", "pay", "refund", "credit",
               "dispute", "inquire", "close", "settle", "fail", "warn"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """Something a buyer does or meets at an instant (unix seconds). `word`: a noun, a card or an outcome."""

    at: int
    number: int
    verb: Verb
    word: str = ""
    percent: int = 100
    currency: str = "usd"
    refcode: str | None = None
    promotion_code: str | None = None
    trial_days: int = 0
    guest: bool = False
    email: str | None = None
    card: str = ""

    @property
    def price(self) -> str:
        """The price that the word and the currency name."""
        return price_id(self.word, self.currency)


@dataclass(frozen=True, slots=True)
class Life:
    """What one kind of buyer buys first, and what comes so many days later (verb, word, percent)."""

    share: int  # of 600
    noun: str
    after: tuple[tuple[int, Verb, str, int], ...] = ()
    trial_days: int = 0
    currency: str = ""
    card: str = ""
    renews_soon: bool = False
    is_sent: bool = False  # a promoter sent them in any case
    days_before_end: int | None = None  # so long before the end lies the last act; None: anywhere


LIVES = (
    Life(160, "template"),
    Life(18, "workshop"),
    Life(14, "template", ((4, "refund", "", 100),)),
    Life(10, "workshop", ((6, "refund", "", 40),)),
    Life(
        1,
        "template",
        ((8, "dispute", "", 100), (26, "close", "won", 100)),
        currency="usd",
        is_sent=True,
        days_before_end=30,
    ),
    Life(
        1,
        "template",
        ((5, "dispute", "", 100), (19, "close", "lost", 100)),
        currency="usd",
        is_sent=True,
        days_before_end=12,
    ),
    Life(
        1, "workshop", ((9, "warn", "", 100), (10, "dispute", "", 100)), currency="usd", is_sent=True, days_before_end=3
    ),
    Life(1, "workshop", ((7, "inquire", "", 100),), currency="usd", is_sent=True, days_before_end=5),
    Life(40, "monthly"),
    Life(50, "monthly", renews_soon=True),
    Life(26, "monthly", ((75, "change", "pro", 100),)),
    Life(20, "monthly", ((45, "change", "annual", 100),)),
    Life(20, "pro", ((50, "change", "monthly", 100),)),
    Life(8, "monthly", ((40, "resize", "", 300), (110, "resize", "", 200))),
    Life(36, "monthly", ((100, "cancel", "", 100),)),
    Life(20, "pro", ((70, "leave", "", 100),)),
    Life(12, "monthly", ((64, "leave", "", 100), (110, "restart", "monthly", 100))),
    Life(14, "monthly", ((50, "card", "declined", 100), (67, "pay", "", 100))),
    Life(6, "monthly", ((20, "card", "declined", 100), (40, "leave", "", 100))),
    Life(8, "monthly", ((34, "refund", "", 100),)),
    Life(6, "pro", ((12, "credit", "", 25),)),
    Life(70, "annual"),
    Life(4, "annual", ((25, "refund", "", 50), (40, "leave", "", 100))),
    Life(30, "monthly", trial_days=14),
    Life(18, "monthly", ((9, "leave", "", 100),), trial_days=14),
    Life(4, "template", ((5, "settle", "", 100),), currency="eur", card="sepa"),
    Life(1, "template", ((5, "fail", "", 100),), currency="eur", card="sepa"),
    Life(2, "template", currency="jpy"),
)


def plan_history(
    seed: int, start: int, end: int, promoters: Sequence[Promoter], customers: int = CUSTOMERS
) -> list[Act]:
    """Every act from `start` to `end`, in order of time."""
    rng = random.Random(seed)  # noqa: S311 - a sample history, no secret
    acts: list[Act] = []
    lives = [life for life in LIVES for _ in range(max(1, life.share * customers // CUSTOMERS))]
    rng.shuffle(lives)
    for number, life in enumerate(lives, start=1):
        acts += _lived(rng, life, _bought(rng, life, number, promoters), start, end)
    for number in range(1, max(1, customers * GUESTS_PERCENT // 100) + 1):
        life = LIVES[0]
        guest = replace(_bought(rng, life, len(lives) + number, promoters), guest=True)
        acts += _lived(rng, life, guest, start, end)
    acts += _self_referral(len(lives) * 2, start, end, promoters)
    return sorted((act for act in acts if act.at <= end), key=lambda a: (a.at, a.number, a.verb != "buy"))


def _bought(rng: random.Random, life: Life, number: int, promoters: Sequence[Promoter]) -> Act:
    """A first purchase without its instant: what, in which currency, and who sent the buyer."""
    currency = life.currency or rng.choice(("usd", "usd", "eur"))
    first = Act(0, number, "buy", life.noun, currency=currency, trial_days=life.trial_days, card=life.card)
    lot = 0 if life.is_sent else rng.randrange(100)
    if lot < 55 and promoters:
        sender = _drawn(rng, promoters)
        first = replace(first, currency=life.currency or sender.currency or currency, refcode=sender.refcode)
        if sender.promotion_code and rng.randrange(2):  # the code is enough to know who sent them
            first = replace(first, promotion_code=sender.promotion_code, refcode=None)
    elif lot < 58 and promoters:
        coded = [p for p in promoters if p.promotion_code]
        first = replace(first, refcode=_drawn(rng, promoters).refcode)
        if coded:  # a link of one and the code of another
            first = replace(first, promotion_code=rng.choice(coded).promotion_code)
    elif lot < 61:
        first = replace(first, refcode=rng.choice(UNKNOWN_CODES))
    elif lot < 66:
        first = replace(first, promotion_code=LAUNCH_CODE)
    return first


def _drawn(rng: random.Random, promoters: Sequence[Promoter]) -> Promoter:
    """Some promoters send many buyers, most of them few."""
    return rng.choices(promoters, weights=[100 // (1 + place % 10) + 3 for place in range(len(promoters))])[0]


def _lived(rng: random.Random, life: Life, first: Act, start: int, end: int) -> list[Act]:
    """The first purchase at its instant and what comes after it. The shop grows: more join later."""
    needed = (max((days for days, *_ in life.after), default=0) + 1) * DAY
    room = max(DAY, end - start - needed)
    if life.renews_soon:
        at = max(start, months_after(end + 20 + first.number % 60 * 45, -rng.randrange(1, 10)))
    elif life.days_before_end is not None:
        at = max(start, end - needed - life.days_before_end * DAY)
    else:
        share = rng.randrange(100) if rng.randrange(3) == 0 else isqrt(rng.randrange(10_000))  # rather late than early
        at = start + room * share // 100 + rng.randrange(DAY)
    acts = [replace(first, at=at)]
    for days, verb, word, percent in life.after:
        later = at + days * DAY + rng.randrange(8 * 3600)
        acts.append(Act(later, first.number, verb, word, percent, first.currency))
    return acts


def _self_referral(number: int, start: int, end: int, promoters: Sequence[Promoter]) -> list[Act]:
    """A promoter who buys with the own code: no reward comes of it."""
    own = next((p for p in promoters if p.refcode == SELF_REFERRAL), None)
    if own is None:
        return []
    at = start + (end - start) * 7 // 8
    return [Act(at, number, "buy", "workshop", refcode=own.refcode, email=own.email)]
