"""A played story as text for a terminal. Pure presenters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from refref.simulator.result import Checked, Moment, Played


def report(played: Played, name: str) -> str:
    """The whole report: terms, timeline, what was earned, and whether it is as expected. `name`: of the file."""
    lines = [played.title, played.about] if played.about else [played.title]
    lines += ["", f"Terms ({played.terms_from}):", *(f"  - {sentence}" for sentence in played.terms), ""]
    for moment in played.moments:
        lines += _moment(moment)
    lines += ["", *_rewards(played), "", verdict(played, name)]
    return "\n".join(lines)


def verdict(played: Played, name: str) -> str:
    """Whether everything was as expected; each difference with its line and its explanation."""
    failed = [checked for checked in played.checked if not checked.is_met]
    if not played.checked:
        return f"{name}: played; the story expects nothing."
    if not failed:
        return f"{name}: as expected ({len(played.checked)} expectations)."
    lines = [f"{name}: {len(failed)} of {len(played.checked)} expectations are not met."]
    for checked in failed:
        lines += _difference(checked, name)
    return "\n".join(lines)


def _difference(checked: Checked, name: str) -> Iterator[str]:
    yield f"{name}:{checked.line}: {checked.text}"
    yield from (f"    {line}" for line in checked.difference)


def moment_text(at: int) -> str:
    """An instant as the timeline shows it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _moment(moment: Moment) -> Iterator[str]:
    what = " ".join(moment.happened) or "Time passes."
    events = f"  [{len(moment.events)} events]" if moment.events else ""
    yield f"{moment_text(moment.at)}  {what}{events}"
    for outcome in moment.outcomes:
        yield f"  {outcome.sale} ({outcome.customer}): {outcome.sentence}"
        yield from (f"      {line}" for line in outcome.because)
    yield from (f"  > {line}" for line in moment.booked)
    yield from (f"  {'as expected' if one.is_met else 'NOT AS EXPECTED'}: {one.text}" for one in moment.checked)


def _rewards(played: Played) -> Iterator[str]:
    yield "In the end:" if played.rewards else "Nobody earned anything."
    for one in played.rewards:
        back = f", {one.taken_back} taken back" if one.taken_back else ""
        yield f"  {one.who}: {one.amount} for {one.sale} by {one.rule}, {one.status}{back}"
    yield from (f"  {held.sentence}" for held in played.balances)
