"""The status of a program: what may follow what, and the pauses that a history of it comes to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from refref.core.refusals import Refused

ProgramStatus = Literal["active", "paused", "archived"]
TRANSITIONS: Mapping[str, frozenset[str]] = {
    "active": frozenset(("paused", "archived")),
    "paused": frozenset(("active", "archived")),
    "archived": frozenset(),
}


def advance(current: str, wanted: ProgramStatus) -> bool:
    """Whether the status changes: False when it is so already. Raises Refused("program_archived"): that is for good."""
    if current == wanted:
        return False
    if wanted not in TRANSITIONS[current]:
        raise Refused("program_archived", "The program is archived, which is for good: duplicate it to begin anew.")
    return True


def pauses_of(changes: Iterable[tuple[int, str]]) -> tuple[tuple[tuple[int, int | None], ...], int | None]:
    """The pauses (half-open, in order, an open one ends with None) and the end of a program.

    `changes`: (at in seconds, status) in order of time.
    """
    pauses: list[tuple[int, int | None]] = []
    archived_at: int | None = None
    since: int | None = None
    for at, status in changes:
        if since is not None and status != "paused":
            pauses.append((since, at))
            since = None
        elif since is None and status == "paused":
            since = at
        if status == "archived":
            archived_at = at
    if since is not None:
        pauses.append((since, None))
    return tuple(pauses), archived_at
