"""History read from Stripe's lists: what of a reading is news to the books, how far a reading is. Pure.

Knows nothing of lists, cursors or the inbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from refref.core.facts import ChargeState, CustomerState, Fact, InvoiceState, Kind, SessionState, State, merge


def news_of(known: Mapping[str, Fact], fresh: Fact) -> str:
    """What a fresh reading of a Stripe object would change in what is known of it and of those it is linked with; ""
    where it would change nothing that counts. That it was seen later, or shows fewer lines, is no news."""
    own = known.get(fresh.stripe_id)
    if own is None or (own.kind is Kind.REF and fresh.kind is not Kind.REF):
        return "missing"
    together = merge(own, fresh)
    if _comparable(together.state, own.state) != _comparable(own.state, own.state):
        return "missing" if own.state is None else _changes(own.state, together.state)
    if any(own.stripe_id not in _links_of(known.get(link)) for link in set(together.links).difference(own.links)):
        return "a link is missing"
    if {(c.kind, c.value) for c in together.carriers} != {(c.kind, c.value) for c in own.carriers}:
        return "a referral identifier is missing"
    if {name for name, _ in together.marks} != {name for name, _ in own.marks}:
        return "a mark is missing"
    return ""


def _links_of(fact: Fact | None) -> tuple[str, ...]:
    """A link counts in both directions, so one that the other end knows is known."""
    return () if fact is None else fact.links


def _comparable(state: State | None, known: State | None) -> State | None:
    """A state without what is no news by itself."""
    if isinstance(state, InvoiceState):  # a list shows the first lines only: the others are asked for
        return msgspec.structs.replace(state, lines=(), has_all_lines=True)
    if isinstance(state, SessionState):
        return msgspec.structs.replace(state, lines=None)
    if isinstance(state, CustomerState):  # set with the first sale, which tells it
        return msgspec.structs.replace(state, currency=None)
    if isinstance(state, ChargeState) and isinstance(known, ChargeState):
        # It goes back when a refund fails, which the refund tells.
        refunded = max(state.amount_refunded, known.amount_refunded)
        return msgspec.structs.replace(state, amount_refunded=refunded)
    return state


def _changes(before: State, after: State | None) -> str:
    if after is None or type(before) is not type(after):
        return "missing"
    names = [
        name
        for name in before.__struct_fields__
        if name not in ("lines", "has_all_lines") and getattr(before, name) != getattr(after, name)
    ]
    return f"outdated: {', '.join(names)}"


def covered_until(spans: Iterable[tuple[int | None, int]]) -> int | None:
    """Up to when everything was read without a gap, by spans in order of their ends (seconds; None: the beginning).

    A span that begins after what was read so far leaves a gap and does not count.
    """
    covered: int | None = None
    for begins, ends in spans:
        if covered is None or begins is None or begins <= covered:
            covered = ends if covered is None else max(covered, ends)
    return covered


class Stretch(msgspec.Struct, frozen=True):
    """How far the reading of one list is, newest first: instants in seconds; None where it has not begun."""

    newest_at: int | None = None
    oldest_at: int | None = None
    reached_at: int | None = None
    is_done: bool = False


def progress_bps(parts: Sequence[Stretch]) -> int:
    """How much of several lists is read, in hundredths of a percent; each list counts alike, by the time it covers."""
    if not parts:
        return 0
    return sum(map(_part_bps, parts)) // len(parts)


def _part_bps(part: Stretch) -> int:
    if part.is_done:
        return 10_000
    if part.newest_at is None or part.oldest_at is None or part.reached_at is None:
        return 0
    span = part.newest_at - part.oldest_at
    read = part.newest_at - part.reached_at
    return 0 if span <= 0 else max(0, min(10_000, 10_000 * read // span))


def seconds_left(done_bps: int, elapsed_s: int) -> int | None:
    """About how long a reading still takes, at its pace so far; None where nothing can be said yet."""
    if done_bps < 100:
        return None
    return elapsed_s * (10_000 - done_bps) // done_bps
