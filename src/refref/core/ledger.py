"""The ledger's plan: which entries bring the booked rewards of a scope to what derive says they should be.

A posting moves a positive amount from a source account to a destination account. Entries are only ever added; each
carries its cause, `<reward id>.<n>`, so that posting it twice is posting it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from refref.core.derive import DerivedReward

PENDING, PAYABLE, HELD = "pending", "payable", "held"
REVERSED, EXPIRED, PAID = "reversed", "expired", "paid"
EXPENSE = "expense"
_MOVE_KIND = {PAYABLE: "mature", HELD: "hold", PENDING: "release"}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry with its one posting. Accounts are (name, owner id); `amount` is positive minor units of `currency`."""

    entry_id: str
    kind: str  # earn, adjust, reverse, restore, mature, hold, release, pay, unpay
    reward_id: str
    reason: str
    currency: str
    amount: int
    source: tuple[str, str]
    destination: tuple[str, str]


class BookedReward(msgspec.Struct, frozen=True, gc=False):
    """A reward as the books have it. `status`: pending, payable, held, reversed, expired, paid.

    Its money is owed to `beneficiary_id`; what is not reversed or `paid` lies in the account of that status. Discounts
    and features have an amount of 0 and no entries.
    """

    reward_id: str
    program_id: str
    rule_id: str
    participant_id: str
    payment_key: str
    referee_id: str
    terms_version: int
    currency: str
    amount: int
    reversed: int
    status: str
    occurred_at: int
    hold_until: int
    entry_count: int
    beneficiary_id: str
    kind: str = "commission"
    expires_at: int | None = None
    paid: int = 0
    holds: tuple[str, ...] = ()  # why it waits for a person, where it is held


class Plan(msgspec.Struct, frozen=True, gc=False):
    """Rewards to write (new ones and changed ones) and the entries to post with them."""

    added: tuple[BookedReward, ...]
    changed: tuple[BookedReward, ...]
    entries: tuple[Entry, ...]


def plan_rewards(
    booked: Sequence[BookedReward], derived: Sequence[DerivedReward], new_reward_id: Callable[[], str]
) -> Plan:
    """Compare and plan. A booked reward that should no longer exist is reversed whole; nothing is ever deleted."""
    added: list[BookedReward] = []
    changed: list[BookedReward] = []
    entries: list[Entry] = []
    left = {(b.program_id, b.rule_id, b.beneficiary_id, b.payment_key): b for b in booked}
    for target in derived:
        known = _take(left, target)
        if known is None:
            added.append(_advance(_unbooked(new_reward_id(), target), target, entries))
            continue
        after = _advance(known, target, entries)
        if after != known:
            changed.append(after)
    for orphan in left.values():
        if orphan.reversed < orphan.amount or orphan.status not in (REVERSED, EXPIRED):
            changed.append(_void(orphan, entries))
    return Plan(tuple(added), tuple(changed), tuple(entries))


def kept_reward(booked: BookedReward, now: int) -> DerivedReward:
    """A reward whose conversion was not judged again: as booked, but for what the clock does."""
    location = booked.status
    if location not in (HELD, EXPIRED):
        location = PAYABLE if now >= booked.hold_until else PENDING
    if booked.expires_at is not None and now >= booked.expires_at and not booked.paid:
        location = EXPIRED
    return DerivedReward(
        booked.program_id,
        booked.rule_id,
        booked.participant_id,
        booked.payment_key,
        (booked.payment_key,),
        booked.referee_id,
        booked.terms_version,
        booked.currency,
        booked.amount,
        booked.reversed,
        location,
        booked.occurred_at,
        booked.hold_until,
        booked.beneficiary_id,
        booked.kind,
        booked.expires_at,
        booked.holds if location == HELD else (),
        went_back=booked.reversed,
    )


_Key = tuple[str, str, str, str]


def _take(left: dict[_Key, BookedReward], target: DerivedReward) -> BookedReward | None:
    """The booked reward of this target: under its key, else under another id of the same sale (the oldest first)."""
    own = (target.program_id, target.rule_id, target.beneficiary_id)
    if (known := left.pop((*own, target.payment_key), None)) is not None:
        return known
    if not left:
        return None
    others = [left[key] for stripe_id in target.ids if (key := (*own, stripe_id)) in left]
    if not others:
        return None
    oldest = min(others, key=lambda reward: reward.reward_id)
    return left.pop((*own, oldest.payment_key))


def _unbooked(reward_id: str, target: DerivedReward) -> BookedReward:
    return BookedReward(
        reward_id,
        target.program_id,
        target.rule_id,
        target.participant_id,
        target.payment_key,
        target.referee_id,
        target.terms_version,
        target.currency,
        0,
        0,
        PENDING,
        target.occurred_at,
        target.hold_until,
        0,
        target.beneficiary_id,
        target.kind,
        target.expires_at,
    )


def status_after(location: str, amount: int, reversed_amount: int, paid: int) -> str:
    if location == EXPIRED and not paid:
        return EXPIRED
    if amount and reversed_amount >= amount:
        return REVERSED
    return PAID if paid and paid >= amount - reversed_amount else location


def lies_in(known: BookedReward) -> str:
    """The account in which the reward's money lies, or would lie."""
    if known.status in (PENDING, PAYABLE, HELD):
        return known.status
    return PAYABLE if known.paid else PENDING


class Posting:
    """Collects the entries of one reward, numbered on from those it has."""

    def __init__(self, known: BookedReward, entries: list[Entry]) -> None:
        self.known = known
        self.entries = entries
        self.count = known.entry_count

    def post(self, kind: str, amount: int, source: tuple[str, str], destination: tuple[str, str], reason: str) -> None:
        self.count += 1
        reward_id = self.known.reward_id
        self.entries.append(
            Entry(
                f"{reward_id}.{self.count}", kind, reward_id, reason, self.known.currency, amount, source, destination
            )
        )


def _advance(known: BookedReward, target: DerivedReward, entries: list[Entry]) -> BookedReward:
    """Entries from what is booked to what should be, and the reward after them."""
    is_expired = target.location == EXPIRED and not known.paid
    taken_back = target.amount if is_expired else target.went_back if known.paid else target.reversed
    posting = Posting(known, entries)
    if target.amount or known.amount:
        _post_difference(known, target, taken_back, posting)
    location = PAYABLE if known.paid else target.location
    status = status_after(location, target.amount, taken_back, known.paid)
    return msgspec.structs.replace(
        known,
        participant_id=target.participant_id,
        payment_key=target.payment_key,
        referee_id=target.referee_id,
        terms_version=target.terms_version,
        amount=target.amount,
        reversed=taken_back,
        status=status,
        occurred_at=target.occurred_at,
        hold_until=target.hold_until,
        expires_at=target.expires_at,
        entry_count=posting.count,
        holds=target.holds if status == HELD else (),
    )


def _post_difference(known: BookedReward, target: DerivedReward, taken_back: int, posting: Posting) -> None:
    expense = (EXPENSE, known.program_id)
    owner = known.beneficiary_id
    here = lies_in(known)
    # What is paid out, or expires, stays where it is; corrections of it go to what is payable.
    there = here if target.location == EXPIRED or known.paid else target.location
    grown = target.amount - known.amount
    if known.entry_count == 0:
        posting.post("earn", grown, expense, (here, owner), f"earned on {target.payment_key}")
        grown = 0
        net = target.amount
    else:
        net = known.amount - known.reversed - known.paid
    if there != here and net > 0:
        posting.post(_move_kind(here, there), net, (here, owner), (there, owner), _MOVE_REASON[there])
    account = (there, owner)
    taken = taken_back - known.reversed
    # What adds comes before what takes, so that no account but payable is ever below zero on the way.
    if grown > 0:
        posting.post("adjust", grown, expense, account, "the payment's facts changed")
    if taken < 0:
        posting.post("restore", -taken, expense, account, "the money came back, or a person decided anew")
    if grown < 0:
        posting.post("adjust", -grown, account, expense, "the payment's facts changed")
    if taken > 0:
        posting.post("reverse", taken, account, expense, _why_taken(known, target))


def _why_taken(known: BookedReward, target: DerivedReward) -> str:
    if target.is_rejected:
        return "a person rejected it"
    is_expired = target.location == EXPIRED and not known.paid
    return "it was not paid out in time" if is_expired else "money went back to the customer"


_MOVE_REASON = {
    PAYABLE: "the hold period is over",
    HELD: "a dispute is open, or a person is to decide",
    PENDING: "it is decided, the hold period is not over",
}


def _move_kind(here: str, there: str) -> str:
    return "release" if here == HELD else _MOVE_KIND[there]


def _void(orphan: BookedReward, entries: list[Entry]) -> BookedReward:
    posting = Posting(orphan, entries)
    left = orphan.amount - orphan.reversed
    if left:
        account = (lies_in(orphan), orphan.beneficiary_id)
        posting.post("reverse", left, account, (EXPENSE, orphan.program_id), "the reward no longer applies")
    return msgspec.structs.replace(orphan, reversed=orphan.amount, status=REVERSED, entry_count=posting.count, holds=())
