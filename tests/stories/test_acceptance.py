"""The acceptance list: which story or test proves each scenario. A number that nothing proves fails here."""

from __future__ import annotations

import re

import pytest

from stories import (
    tellings,  # noqa: F401 - importing registers the stories
    test_intake_scenarios,
    test_storm,
)
from stories.story import MODES, STORIES

# Scenarios of the list that need a part of the product that does not exist yet.
LATER = {
    **dict.fromkeys(range(61, 70), "needs payouts, connected accounts or customer rewards"),
    70: "needs customer rewards",
}
# The part of a scenario that is not proven, though the rest is.
PARTLY = {
    71: "RefRef writes nothing to Stripe yet: proven with an echo that the merchant's own update makes",
    73: "nothing polls yet: proven with many copies delivered at once",
    84: "the rewards are in the books; delivering credit and coupon through Stripe needs customer rewards",
}
LAST = 89


def _proofs() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name, told in STORIES.items():
        for number in told.numbers:
            found.setdefault(number, []).append(name)
    for module in (test_intake_scenarios, test_storm):
        for name in dir(module):
            if match := re.match(r"test_(\d\d)_", name):
                found.setdefault(int(match[1]), []).append(name)
    return found


PROOFS = _proofs()


@pytest.mark.parametrize("number", range(1, LAST + 1))
def test_each_scenario_is_proven_or_waits_for_a_reason(number: int) -> None:
    assert (number in PROOFS) != (number in LATER), "prove it with a story, or say in LATER what it waits for"


@pytest.mark.parametrize("number", sorted({n for told in STORIES.values() for n in told.numbers}))
def test_each_scenario_has_a_story_that_is_told_in_every_mode(number: int) -> None:
    modes = {mode.name for mode in MODES}
    main = [told for told in STORIES.values() if number in told.numbers and told.modes == modes]
    assert main


def test_what_is_proven_in_part_is_proven() -> None:
    assert PARTLY.keys() <= PROOFS.keys()


def test_every_story_is_told_at_the_end() -> None:
    """A story that never calls `end` proves nothing: its invariants, replay and rebuild are not looked at."""
    import inspect

    for name, told in STORIES.items():
        assert ".end(" in inspect.getsource(told.tell), name
