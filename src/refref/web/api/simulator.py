"""/v1/stories and /v1/simulate: the library, and a story played under its own, a program's or draft terms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from refref.core.refusals import Refused
from refref.core.terms import Terms
from refref.flows.terms_to_play import terms_to_play
from refref.simulator.apart import MAX_CHARACTERS, Asked, play_apart
from refref.simulator.mode import API_VERSIONS
from refref.simulator.result import Moment, Played
from refref.simulator.shelf import ShelfStory, library, story_named
from refref.simulator.story import story_schema
from refref.web.api.call import Call, Reading
from refref.web.api.models import Out
from refref.web.api.paging import PageOf
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["simulator"], generate_unique_id_function=operation_id)


class SimulateIn(BaseModel):
    """A story as text, or the name of one of the library; and under which terms, where they are not its own."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, max_length=MAX_CHARACTERS, description="YAML or JSON; docs/stories.md.")
    story: str | None = Field(default=None, max_length=200, examples=["saas-with-trial"])
    program_id: str | None = Field(default=None, max_length=200, description="In place of the terms of the story.")
    draft: bool = Field(default=False, description="The draft of that program, in place of its newest terms.")
    api_version: str = Field(default=API_VERSIONS[-1], max_length=40, description="In which Stripe's events are told.")
    shuffled: bool = Field(default=False, description="Whether they arrive in disorder, twice.")


class StoryOut(Out):
    name: str
    title: str
    about: str
    text: str


class StoryFaultOut(Out):
    line: int = Field(description="In the text, from 1.")
    field: str
    detail: str


class SaleOutcomeOut(Out):
    sale: str = Field(examples=["team/1"])
    customer: str
    sentence: str
    tone: Literal["good", "wait", "off"]
    because: list[str] = Field(description="Every step from who referred to what was earned.")


class ExpectationOut(Out):
    line: int
    text: str
    is_met: bool
    difference: list[str] = Field(description="Why it is not met, step by step.")


class MomentOut(Out):
    at: datetime
    happened: list[str]
    events: list[str] = Field(description="The types of Stripe's events.")
    outcomes: list[SaleOutcomeOut]
    booked: list[str]
    checked: list[ExpectationOut]


class EarnedOut(Out):
    who: str
    sale: str
    rule: str
    kind: Literal["commission", "credit", "discount", "feature"]
    amount_minor: int
    taken_back_minor: int
    currency: str
    status: str


class StoryBalanceOut(Out):
    who: str
    account: str
    amount_minor: int
    currency: str


class PlayedOut(Out):
    title: str
    about: str
    terms_from: str
    terms: list[str] = Field(description="The terms that held, in plain words.")
    is_as_expected: bool
    moments: list[MomentOut]
    rewards: list[EarnedOut]
    balances: list[StoryBalanceOut]
    event_count: int


class SimulatedOut(BaseModel):
    """What was played, or the faults of the story."""

    faults: list[StoryFaultOut] = Field(description="Empty: it was played.")
    played: PlayedOut | None


@router.get("/stories.schema.json")
async def get_story_schema(call: Reading) -> dict[str, Any]:
    """The JSON Schema of a story."""
    return story_schema()


@router.get("/stories")
async def list_stories(call: Reading) -> PageOf[StoryOut]:
    """The stories of the library, in the order of their names."""
    return PageOf(data=[StoryOut.model_validate(one) for one in library()], next_cursor=None)


@router.get("/stories/{name}")
async def get_story(call: Reading, name: str) -> StoryOut:
    """One story of the library."""
    return StoryOut.model_validate(_story(name, "name"))


@router.post("/simulate")
async def simulate(call: Reading, body: SimulateIn) -> SimulatedOut:
    """Play a story in a sandbox of its own and explain every reward. Stores nothing."""
    if (body.text is None) == (body.story is None):
        raise Refused("invalid_request", "Give a text, or the name of a story of the library.", "text")
    if body.api_version not in API_VERSIONS:
        raise Refused("invalid_choice", f"Give one of: {', '.join(API_VERSIONS)}.", "api_version")
    if body.draft and body.program_id is None:
        raise Refused("invalid_request", "A draft is one of a program: name it.", "program_id")
    text = _story(body.story, "story").text if body.story is not None else body.text or ""
    asked = Asked(text, api_version=body.api_version, is_shuffled=body.shuffled)
    if body.program_id is not None:
        asked = _under(asked, *await _terms_of(call, body.program_id, is_draft=body.draft))
    answered = await play_apart(asked)
    if answered.code == "program":
        answered = await play_apart(_under(asked, *await _terms_of(call, answered.program_id, is_draft=False)))
    faults = [StoryFaultOut(line=one.line, field=one.field, detail=one.sentence) for one in answered.faults]
    return SimulatedOut(faults=faults, played=None if answered.played is None else _present(answered.played))


def _story(name: str, field: str) -> ShelfStory:
    found = story_named(name)
    if found is None:
        raise Refused("unknown_story", "There is no such story in the library.", field)
    return found


def _under(asked: Asked, terms: Terms, whose: str) -> Asked:
    return msgspec.structs.replace(asked, terms=terms, terms_from=whose)


async def _terms_of(call: Call, program_id: str, *, is_draft: bool) -> tuple[Terms, str]:
    async with call.transaction() as tx:
        return await terms_to_play(tx, call.organization_id, program_id, is_draft=is_draft)


def _present(played: Played) -> PlayedOut:
    return PlayedOut(
        title=played.title,
        about=played.about,
        terms_from=played.terms_from,
        terms=list(played.terms),
        is_as_expected=played.is_as_expected,
        moments=[_moment(one) for one in played.moments],
        rewards=[EarnedOut.model_validate(one) for one in played.rewards],
        balances=[StoryBalanceOut.model_validate(one) for one in played.balances],
        event_count=played.event_count,
    )


def _moment(moment: Moment) -> MomentOut:
    return MomentOut(
        at=datetime.fromtimestamp(moment.at, UTC),
        happened=list(moment.happened),
        events=list(moment.events),
        outcomes=[SaleOutcomeOut.model_validate(one) for one in moment.outcomes],
        booked=list(moment.booked),
        checked=[ExpectationOut.model_validate(one) for one in moment.checked],
    )
