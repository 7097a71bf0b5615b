"""When the things of a story happen. A date's sign-ups come in the morning, its steps from noon on, a minute apart.

The minute is the step's number in the whole story, so that a renewal always comes before a later step of its day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from refref.simulator.story import Step, Story
from refref.simulator.written import NOON_S, Span, day, span

SIGN_UP_S = 9 * 3600
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Planned:
    """A step with its instant in seconds; `waits`: counted in hours from the step before instead."""

    at: int
    step: Step
    waits: Span | None = None


def plan_steps(story: Story) -> Iterator[Planned]:
    """Every step of a story, in order. Dates that cannot be read were refused before."""
    given = day(story.starts)
    for number, step in enumerate(story.happens, 1):
        if step.at:
            given = day(step.at)
            if given.is_exact:
                yield Planned(given.instant, step)
                continue
        waits = span(step.after) if step.after else None
        if waits is not None and waits.unit == "hour":
            yield Planned(given.instant, step, waits)
            continue
        if waits is not None:
            given = given._replace(instant=waits.after(given.instant))
        start = given.instant if given.is_exact else given.instant + NOON_S
        yield Planned(start + number * MINUTE_S, step)


def automatic(story: Story) -> list[Planned]:
    """Sign-ups and clicks that the customers of a story tell of, in order of time."""
    found: list[Planned] = []
    for customer in story.customers:
        if customer.signed_up:
            found.append(Planned(_morning(customer.signed_up), Step(customer=customer.id, signs_up=True)))
        if customer.referred is not None and customer.referred.clicked:
            found.append(Planned(_morning(customer.referred.clicked), Step(customer=customer.id)))
    return sorted(found, key=lambda one: one.at)


def _morning(text: str) -> int:
    given = day(text)
    return given.instant if given.is_exact else given.instant + SIGN_UP_S
