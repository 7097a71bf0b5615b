"""Backtests over the API: started, looked at, cancelled; what is refused, and why."""

from collections.abc import Callable
from typing import Any

from refref.worker.backtests import run_due_backtests

RunWeb = Callable[..., None]
TEN = {"rules": [{"rule_id": "commission", "rate_bps": 1000}]}


def problem(answer: Any) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("field")


def test_a_backtest_is_started_and_answers_when_it_is_done(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        path = f"/v1/programs/{(await web.program())['program_id']}"
        started = await web.api.post(f"{path}/backtests", json={"terms": TEN})
        assert started.status_code == 202
        made = started.json()
        assert (made["status"], made["terms_source"], made["report"]) == ("waiting", "given", None)
        assert made["terms"]["rules"][0]["rate_bps"] == 1000
        assert problem(await web.api.post(f"{path}/backtests", json={"version": 1})) == (409, "backtest_running", None)

        assert await run_due_backtests(web.database) == 1
        own = f"/v1/backtests/{made['backtest_id']}"
        done = (await web.api.get(own)).json()
        assert (done["status"], done["error"], done["steps_done"]) == ("done", None, done["steps_total"])
        assert (done["report"]["conversions"], done["report"]["money"]) == (0, [])
        assert (await web.api.get(f"{own}/lines", params={"by": "product"})).json() == {"data": [], "next_cursor": None}
        listed = (await web.api.get(f"{path}/backtests")).json()["data"]
        assert [row["backtest_id"] for row in listed] == [made["backtest_id"]]
        assert problem(await web.api.post(f"{own}/cancel")) == (409, "backtest_over", None)
        assert problem(await web.api.get(f"{own}/lines", params={"cursor": "x"})) == (400, "invalid_cursor", "cursor")
        actions = [row["action"] for row in (await web.api.get("/v1/audit_log")).json()["data"]]
        assert actions[0] == "backtest.start"

    with_web(scenario)


def test_one_that_waits_can_be_cancelled(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        path = f"/v1/programs/{(await web.program())['program_id']}"
        started = (await web.api.post(f"{path}/backtests", json={"version": 1})).json()
        assert started["terms_source"] == "version 1"
        stopped = await web.api.post(f"/v1/backtests/{started['backtest_id']}/cancel")
        assert (stopped.status_code, stopped.json()["status"]) == (200, "cancelled")
        assert await run_due_backtests(web.database) == 0
        actions = [row["action"] for row in (await web.api.get("/v1/audit_log")).json()["data"]]
        assert actions[:2] == ["backtest.cancel", "backtest.start"]

    with_web(scenario)


def test_what_cannot_be_tried_is_refused(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        path = f"/v1/programs/{(await web.program())['program_id']}/backtests"
        for body, expected in (
            ({}, (404, "unknown_draft", None)),
            ({"version": 9}, (404, "unknown_version", "version")),
            ({"version": 1, "terms": TEN}, (422, "invalid_request", "version")),
            ({"terms": {"rules": []}}, (422, "invalid_terms", "terms.rules")),
            ({"rate": 1}, (422, "invalid_request", "rate")),
        ):
            assert problem(await web.api.post(path, json=body)) == expected, body
        assert problem(await web.api.post("/v1/programs/prg_none/backtests", json={})) == (
            404, "unknown_program", "program_id",
        )  # fmt: skip
        assert problem(await web.api.get("/v1/backtests/btt_none")) == (404, "unknown_backtest", "backtest_id")

    with_web(scenario)
