"""What may follow what in the life of a program, and the pauses that its history comes to."""

import pytest

from refref.core.program_status import TRANSITIONS, ProgramStatus, advance, pauses_of
from refref.core.refusals import Refused

STEPS: list[tuple[str, ProgramStatus, bool | str]] = [
    ("active", "active", False),
    ("active", "paused", True),
    ("active", "archived", True),
    ("paused", "active", True),
    ("paused", "paused", False),
    ("paused", "archived", True),
    ("archived", "archived", False),
    ("archived", "active", "program_archived"),
    ("archived", "paused", "program_archived"),
]


@pytest.mark.parametrize(("current", "wanted", "outcome"), STEPS)
def test_what_may_follow_what(current: str, wanted: ProgramStatus, outcome: bool | str) -> None:
    if isinstance(outcome, str):
        with pytest.raises(Refused) as refused:
            advance(current, wanted)
        assert refused.value.code == outcome
    else:
        assert advance(current, wanted) is outcome


def test_the_table_is_whole() -> None:
    assert len(STEPS) == len(TRANSITIONS) ** 2


HISTORIES: list[tuple[list[tuple[int, str]], tuple[tuple[int, int | None], ...], int | None]] = [
    ([], (), None),
    ([(0, "active")], (), None),
    ([(0, "active"), (5, "paused")], ((5, None),), None),
    ([(0, "active"), (5, "paused"), (9, "active")], ((5, 9),), None),
    ([(0, "active"), (5, "paused"), (9, "active"), (12, "paused"), (20, "archived")], ((5, 9), (12, 20)), 20),
    ([(0, "active"), (7, "archived")], (), 7),
    ([(0, "active"), (5, "paused"), (6, "paused"), (9, "active")], ((5, 9),), None),
]


@pytest.mark.parametrize(("changes", "pauses", "archived_at"), HISTORIES)
def test_the_pauses_of_a_history(
    changes: list[tuple[int, str]], pauses: tuple[tuple[int, int | None], ...], archived_at: int | None
) -> None:
    assert pauses_of(changes) == (pauses, archived_at)
