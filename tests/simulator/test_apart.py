"""A story in a process of its own: the same result, and limits that hold."""

from __future__ import annotations

import asyncio

from refref.core.terms import RewardRule, Terms
from refref.simulator.apart import MAX_CHARACTERS, Answered, Asked, play_apart
from refref.simulator.shelf import story_named
from simulator.telling import HEAD, play

BUY = "happens:\n  - {customer: buyer, buys: thing-once}\n"


def ask(asked: Asked) -> Answered:
    return asyncio.run(play_apart(asked))


def test_the_result_is_that_of_playing_it_here() -> None:
    found = story_named("saas-with-trial")
    assert found is not None
    answered = ask(Asked(found.text))
    assert answered.code == "played"
    assert answered.played == play(found.text)


def test_other_terms_hold_in_place_of_the_story_s_own() -> None:
    terms = Terms(rules=(RewardRule(rule_id="flat", kind="fixed", amounts={"usd": 700}),))
    answered = ask(Asked(HEAD + BUY, terms, "Sample program, the draft"))
    assert answered.played is not None
    assert answered.played.terms_from == "Sample program, the draft"
    assert [(one.rule, one.amount) for one in answered.played.rewards] == [("flat", "7.00 USD")]


def test_faults_and_programs_are_told() -> None:
    answered = ask(Asked("title: x\nstarts: never\n"))
    assert [(one.line, one.field) for one in answered.faults] == [(2, "starts")]
    answered = ask(Asked("title: x\nstarts: 2026-01-15\nprogram: prg_sample\n"))
    assert (answered.code, answered.program_id) == ("program", "prg_sample")


def test_a_text_that_is_too_long_is_refused_at_once() -> None:
    answered = ask(Asked("#" * (MAX_CHARACTERS + 1)))
    assert "at most 100000 characters" in answered.faults[0].sentence


def test_a_story_that_takes_too_long_is_ended() -> None:
    people = "".join(f"  - {{id: c{n}, referred: {{by: partner}}}}\n" for n in range(199))
    steps = "".join(f"  - {{customer: c{n}, subscribes: plan-monthly}}\n" for n in range(199))
    asked = Asked(f"{HEAD}{people}happens:\n{steps}  - {{after: 1 year}}\n")
    answered = asyncio.run(play_apart(asked, within_seconds=1))  # left alone, it goes on for several
    assert "longer than 1 seconds" in answered.faults[0].sentence


def test_many_at_once_wait_for_each_other() -> None:
    async def all_at_once() -> list[Answered]:
        return await asyncio.gather(*[play_apart(Asked(HEAD + BUY)) for _ in range(5)])

    assert [one.code for one in asyncio.run(all_at_once())] == ["played"] * 5
