"""Sales that carry a code before its program has terms: what is told of them, and what the first terms do."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from refref.core.terms import Terms
from refref.flows.programs import create_program_draft
from refref.sandbox import Sandbox
from stories.doctor_plants import second_connection
from stories.story import MODES, START, Mode, Story, pending
from stories.test_why_not import why
from stories.world import EPOCH, World

DAY = 86_400


@pytest.fixture
def s(world_of: Callable[[Mode], World]) -> Story:
    """Give the story of a merchant whose program “main” has a draft and no terms."""
    world = world_of(MODES[0])
    sandbox = Sandbox(clock_start=START, seed=31)
    made = Story(world, MODES[0], world.create_merchant(sandbox), sandbox, random.Random(31))  # noqa: S311 - repeatable tests need it
    made.names["main"] = without_terms(made, "main")
    return made


def without_terms(s: Story, name: str) -> str:
    """A program whose first terms are a draft."""

    async def work() -> str:
        async with s.world.database.tenant(s.merchant.organization_id) as tx:
            program, _ = await create_program_draft(
                tx,
                s.merchant.organization_id,
                connection_id=s.merchant.connection_id,
                name=name,
                terms=Terms(),
                actor="system",
                now=EPOCH,
            )
        return program.program_id

    return s.world.run(work())


def sold(s: Story, code: str) -> str:
    session = s.buy(s.price(5_000), code, email=f"{code}@customers.example")
    s.deliver()
    return session


@pytest.mark.parametrize("beside", ["alone", "beside a program with terms"])
def test_a_code_of_a_program_without_terms_is_told_as_that(s: Story, beside: str) -> None:
    if beside != "alone":
        s.program("other")
    s.affiliate("ana")
    found = why(s, sold(s, "ana"))
    sentence = "The code “ana” is that of ana, whose program “main” has no published terms."
    day = datetime.fromtimestamp(s.sb.now, UTC)
    stop = found["stopped_by"]
    assert (found["headline"], stop["sentence"]) == (sentence, sentence)
    assert (stop["gate"], stop["code"]) == ("program", "no_terms")
    assert stop["href"] == f"/programs/{s.names['main']}"
    assert f"in force since {day.day} {day:%b %Y} or before" in stop["remedy"]
    (story,) = found["payments"][0]["programs"]
    (evidence,) = story["evidence"]
    assert (story["sentence"], evidence["verdict"]) == (sentence, "no_terms")
    assert evidence["sentence"].endswith("stands for ana. Their program has no published terms.")


def test_what_the_remedy_says_rewards_the_sale(s: Story) -> None:
    s.affiliate("ana")
    session = sold(s, "ana")
    s.publish(s.sb.now - s.sb.now % DAY)  # the day that the remedy names
    s.catch_up()
    s.end(ana=[pending(1_000)])
    assert why(s, session)["stopped_by"] is None


@pytest.mark.parametrize("later", [0, DAY])
def test_first_terms_judge_anew_what_their_codes_brought_before(s: Story, later: int) -> None:
    s.program("other")
    s.affiliate("ana")
    session = sold(s, "ana")
    s.wait(hours=1)
    s.publish(s.sb.now + later)
    s.catch_up()
    s.end(ana=[], refused=["before_terms"])  # as a rebuild says, too
    stop = why(s, session)["stopped_by"]
    assert (stop["code"], stop["href"]) == ("before_terms", f"/programs/{s.names['main']}")


def test_a_code_that_had_ended_is_not_called_unknown_beside_other_programs(s: Story) -> None:
    s.program("other")
    s.publish(0)
    s.affiliate("ana")
    s.deactivate("ana", "ana")
    s.wait(days=1)
    stop = why(s, sold(s, "ana"))["stopped_by"]
    assert (stop["gate"], stop["code"]) == ("attribution", "inactive_code")


def test_a_code_of_another_connection_is_told_as_that(s: Story) -> None:
    here = s.merchant.connection_id
    other = second_connection(s)
    s.program("other")
    s.merchant.connection_id = other
    s.affiliate("ana", program="there")
    s.merchant.connection_id = here
    stop = why(s, sold(s, "ana"))["stopped_by"]
    assert (stop["gate"], stop["code"], stop["href"]) == ("attribution", "other_connection", "/participants")
    assert "takes part on the connection" in stop["sentence"]


def test_a_code_that_nobody_has_stays_unknown(s: Story) -> None:
    s.affiliate("ana")
    s.program("other")
    stop = why(s, sold(s, "anna"))["stopped_by"]
    assert (stop["code"], stop["remedy"]) == (
        "unknown_code",
        "Add the code “anna” to a participant; the payment is judged again.",
    )
