"""The simulator over the API: the library, a story under its own, a program's and draft terms, and its faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from refref.core.refusals import Refused
from refref.flows.terms_to_play import terms_to_play
from refref.simulator.shelf import library
from refref.simulator.story import story_schema

RunWeb = Callable[..., None]
STORY = """\
title: A sample
starts: 2026-01-15
participants: [{code: partner}]
catalogue: {products: [{id: thing, prices: [{id: thing-once, amount: 50.00 USD}]}]}
customers: [{id: buyer, referred: {by: partner}}]
happens: [{customer: buyer, buys: thing-once}]
expect: {rewards: {partner: [10.00 USD]}}
"""


def test_the_library_and_its_schema(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        listed = (await web.api.get("/v1/stories")).json()["data"]
        assert [one["name"] for one in listed] == [one.name for one in library()]
        one = (await web.api.get("/v1/stories/custom-event")).json()
        assert one["title"] == "Custom event"
        assert "trainer" in one["text"]
        assert (await web.api.get("/v1/stories/none")).json()["code"] == "unknown_story"
        assert (await web.api.get("/v1/stories.schema.json")).json() == json.loads(json.dumps(story_schema()))

    with_web(scenario)


def test_a_story_of_the_library_with_every_explanation(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        headers = {"Authorization": f"Bearer {web.viewer_key}"}  # it writes nothing
        body = {"story": "revenue-share-split", "shuffled": True, "api_version": "2024-06-20"}
        answer = await web.browser.post("/v1/simulate", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        played = answer.json()["played"]
        assert played["is_as_expected"] is True
        assert played["rewards"][0] == {
            "who": "Sample Studio",
            "sale": "client/1",
            "rule": "share",
            "kind": "commission",
            "amount_minor": 350,
            "taken_back_minor": 0,
            "currency": "usd",
            "status": "payable",
        }
        because = [line for moment in played["moments"] for one in moment["outcomes"] for line in one["because"]]
        assert "Split into 3.50 USD + 1.50 USD." in because

    with_web(scenario)


def test_a_program_s_terms_its_draft_and_a_wrong_expectation(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection = await web.connection()
        program = await web.program(connection["connection_id"])
        program_id = program["program_id"]

        async def play(**body: Any) -> Any:
            return (await web.api.post("/v1/simulate", json=body)).json()

        assert (await play(text=STORY, program_id=program_id))["played"]["terms_from"] == "Affiliates, version 1"
        named = f"program: {program_id}\n{STORY}"
        assert (await play(text=named))["played"]["is_as_expected"] is True
        assert (await play(text=STORY, program_id=program_id, draft=True))["code"] == "unknown_draft"
        terms = {"rules": [{"rule_id": "half", "rate_bps": 5000}]}
        await web.api.put(f"/v1/programs/{program_id}/draft", json={"terms": terms})
        played = (await play(text=STORY, program_id=program_id, draft=True))["played"]
        assert played["terms_from"] == "Affiliates, the draft"
        assert played["is_as_expected"] is False
        failed = [one for moment in played["moments"] for one in moment["checked"] if not one["is_met"]]
        assert failed[0]["line"] == 7
        assert failed[0]["difference"][0] == "Expected 10.00 USD, earned 25.00 USD."
        assert failed[0]["difference"][-1] == "Rule “half”: 50.00 USD × 50 % = 25.00 USD"
        faulty = {"rules": [{"rule_id": "half", "rate_bps": 50_000}]}
        await web.api.put(f"/v1/programs/{program_id}/draft", json={"terms": faulty})
        assert (await play(text=STORY, program_id=program_id, draft=True))["code"] == "invalid_terms"
        assert (await play(text=STORY, program_id="prg_none"))["code"] == "unknown_program"
        assert (await play(text=STORY, draft=True))["code"] == "invalid_request"
        assert (await play())["code"] == "invalid_request"
        assert (await play(text=STORY, api_version="2019-01-01"))["code"] == "invalid_choice"

    with_web(scenario)


def test_faults_come_with_lines(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        wrong = STORY.replace("50.00 USD", "fifty").replace("by: partner", "by: nobody")
        found = (await web.api.post("/v1/simulate", json={"text": wrong})).json()
        assert found["played"] is None
        assert [(one["line"], one["field"]) for one in found["faults"]] == [
            (4, "catalogue.products.0.prices.0.amount"),
            (5, "customers.0.referred.by"),
        ]
        found = (await web.api.post("/v1/simulate", json={"text": STORY})).json()
        assert found["faults"][0]["detail"] == "Say which terms hold: give `terms`, or choose a program."

    with_web(scenario)


def test_another_organization_s_program_is_unknown(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection = await web.connection()
        program = await web.program(connection["connection_id"])
        async with web.database.reference() as tx:
            await tx.execute("insert into organization values ('org_other', 'Other Sample Shop')")
        async with web.database.tenant("org_other") as tx:
            with pytest.raises(Refused) as refused:
                await terms_to_play(tx, "org_other", program["program_id"])
        assert refused.value.code == "unknown_program"

    with_web(scenario)
