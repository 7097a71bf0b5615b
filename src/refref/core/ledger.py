"""The ledger's plan: which entries bring the booked rewards of a scope to what derive says they should be.

A posting moves a positive amount from a source account to a destination account. Entries are only ever added; each
carries its cause, `<reward id>.<n>`, so that posting it twice is posting it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from refref.core.derive import DerivedReward

PENDING, PAYABLE, HELD = "pending", "payable", "held"
EXPENSE = "expense"
_MOVE_KIND = {PAYABLE: "mature", HELD: "hold", PENDING: "release"}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry with its one posting. Accounts are (name, owner id); `amount` is positive minor units of `currency`."""

    entry_id: str
    kind: str  # earn, adjust, reverse, restore, mature, hold, release
    reward_id: str
    reason: str
    currency: str
    amount: int
    source: tuple[str, str]
    destination: tuple[str, str]


class BookedReward(msgspec.Struct, frozen=True, gc=False):
    """A reward as the books have it. `status`: pending, payable, held, reversed."""

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
    left = {(b.program_id, b.rule_id, b.participant_id, b.payment_key): b for b in booked}
    for target in derived:
        known = _take(left, target)
        if known is None:
            added.append(_advance(_unbooked(new_reward_id(), target), target, entries))
            continue
        after = _advance(known, target, entries)
        if after != known:
            changed.append(after)
    for orphan in left.values():
        if orphan.reversed < orphan.amount:
            changed.append(_void(orphan, entries))
    return Plan(tuple(added), tuple(changed), tuple(entries))


_Key = tuple[str, str, str, str]


def _take(left: dict[_Key, BookedReward], target: DerivedReward) -> BookedReward | None:
    """The booked reward of this target: under its key, else under another id of the same sale (the oldest first)."""
    own = (target.program_id, target.rule_id, target.participant_id)
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
    )


def _status(location: str, amount: int, reversed_amount: int) -> str:
    return "reversed" if reversed_amount >= amount else location


def _advance(known: BookedReward, target: DerivedReward, entries: list[Entry]) -> BookedReward:
    """Entries from what is booked to what should be, and the reward after them."""
    count = known.entry_count
    expense = (EXPENSE, known.program_id)
    here = PENDING if known.status == "reversed" else known.status

    def post(kind: str, amount: int, source: tuple[str, str], destination: tuple[str, str], reason: str) -> None:
        nonlocal count
        count += 1
        entries.append(
            Entry(
                f"{known.reward_id}.{count}",
                kind,
                known.reward_id,
                reason,
                target.currency,
                amount,
                source,
                destination,
            )
        )

    is_new = known.entry_count == 0
    grown = target.amount - known.amount
    if is_new:
        post("earn", grown, expense, (here, known.participant_id), f"earned on {target.payment_key}")
        grown = 0
    net = (target.amount if is_new else known.amount) - known.reversed
    if target.location != here and net > 0 and known.status != "reversed":
        there = (target.location, known.participant_id)
        post(_move_kind(here, target.location), net, (here, known.participant_id), there, _MOVE_REASON[target.location])
    account = (target.location, known.participant_id)
    taken = target.reversed - known.reversed
    # What adds comes before what takes, so that no account but payable is ever below zero on the way.
    if grown > 0:
        post("adjust", grown, expense, account, "the payment's facts changed")
    if taken < 0:
        post("restore", -taken, expense, account, "the money came back")
    if grown < 0:
        post("adjust", -grown, account, expense, "the payment's facts changed")
    if taken > 0:
        post("reverse", taken, account, expense, "money went back to the customer")
    return BookedReward(
        known.reward_id,
        target.program_id,
        target.rule_id,
        target.participant_id,
        target.payment_key,
        target.referee_id,
        target.terms_version,
        target.currency,
        target.amount,
        target.reversed,
        _status(target.location, target.amount, target.reversed),
        target.occurred_at,
        target.hold_until,
        count,
    )


_MOVE_REASON = {
    PAYABLE: "the hold period is over",
    HELD: "a dispute is open",
    PENDING: "the dispute is over, the hold period is not",
}


def _move_kind(here: str, there: str) -> str:
    return "release" if here == HELD else _MOVE_KIND[there]


def _void(orphan: BookedReward, entries: list[Entry]) -> BookedReward:
    count = orphan.entry_count + 1
    here = PENDING if orphan.status == "reversed" else orphan.status
    entries.append(
        Entry(
            f"{orphan.reward_id}.{count}",
            "reverse",
            orphan.reward_id,
            "the reward no longer applies",
            orphan.currency,
            orphan.amount - orphan.reversed,
            (here, orphan.participant_id),
            (EXPENSE, orphan.program_id),
        )
    )
    return msgspec.structs.replace(orphan, reversed=orphan.amount, status="reversed", entry_count=count)
