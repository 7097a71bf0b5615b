"""Files that somebody broke somewhere: each is played, or refused with a line and a sentence; nothing crashes."""

from __future__ import annotations

import random
import re

import pytest

from refref.core.placed_file import DocumentRefused
from refref.simulator.reading import read_story
from refref.simulator.running import play_story
from refref.simulator.shelf import library

VALUES = (
    *("1", "-5", "0.5", "true", "null", "[]", "{}", "''", "é", "\x00", "99999999999999999999"),
    *("2026-01-20", "2026-02-30", "'2026-01-20T10:00:00Z'", "1 month", "0 days", "3 hours"),
    *("12.00 USD", "500 JPY", "100 %", "partner", "buyer/1", "ptc_sample", "{sale: team/1}"),
)
PARTS = re.compile(r"([:,\[\]{}]\s*)")


def broken(text: str, rng: random.Random) -> str:
    """The text with one line gone, doubled, or with another value in it."""
    lines = text.split("\n")
    place = rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            del lines[place]
        case 1:
            lines.insert(place, rng.choice(lines))
        case _:
            parts = PARTS.split(lines[place])
            parts[rng.randrange(len(parts))] = rng.choice(VALUES)
            lines[place] = "".join(parts)
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_broken_is_told(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
    played = 0
    refusals: list[tuple[str, DocumentRefused]] = []
    for _ in range(40):
        text = broken(rng.choice(library()).text, rng)
        try:
            play_story(read_story(text))
            played += 1
        except DocumentRefused as refusal:
            refusals.append((text, refusal))
    assert played
    assert refusals
    for text, refusal in refusals:
        lines = text.count("\n") + 1
        assert all(1 <= fault.line <= lines and fault.sentence for fault in refusal.faults), text
