"""What every route of the API has in common: problems, idempotency, paging, limits, headers, the OpenAPI document."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from refref.worker.pump import pump_once

RunWeb = Callable[..., None]

PROBLEMS = [
    ("GET", "/v1/nothing", {}, 404, "not_found", None),
    ("PUT", "/v1/programs", {"json": {}}, 405, "method_not_allowed", None),
    ("POST", "/v1/programs", {"content": b"{"}, 400, "bad_request", None),
    ("POST", "/v1/programs", {"content": b"\xff\xfe"}, 400, "bad_request", None),
    ("POST", "/v1/programs", {"json": {}}, 422, "invalid_request", "name"),
    ("POST", "/v1/programs", {"json": []}, 422, "invalid_request", "body"),
    ("POST", "/v1/programs", {"json": {"name": "P", "x": 1}}, 422, "invalid_request", "x"),
    ("POST", "/v1/programs", {"json": {"name": 3}}, 422, "invalid_request", "name"),
    ("POST", "/v1/programs", {"data": {"name": "P"}}, 415, "unsupported_media_type", None),
    ("POST", "/v1/programs", {"json": {"name": "x" * 1024 * 1024}}, 413, "body_too_large", None),
    ("POST", "/v1/api_keys", {"json": {"name": "a\x00b"}}, 422, "invalid_name", "name"),
    ("GET", "/v1/participants?connection_id=%00", {}, 400, "bad_request", None),
    ("GET", "/v1/programs?limit=0", {}, 422, "invalid_request", "limit"),
    ("GET", "/v1/programs?cursor=x", {}, 400, "invalid_cursor", "cursor"),
    ("GET", "/v1/rewards?cursor=x", {}, 422, "connection_required", "connection_id"),
    ("GET", "/v1/rewards?status=lost", {}, 422, "invalid_request", "status"),
    ("GET", "/v1/rewards/rwd_none", {}, 404, "unknown_reward", "reward_id"),
    ("GET", "/v1/programs/prg_none", {}, 404, "unknown_program", "program_id"),
    ("GET", "/v1/participants/ptc_none", {}, 404, "unknown_participant", "participant_id"),
    ("GET", "/v1/connections/con_none", {}, 404, "unknown_connection", "connection_id"),
    ("POST", "/v1/events/replay_parked?connection_id=con_none", {}, 404, "unknown_connection", "connection_id"),
]


@pytest.mark.parametrize(("method", "path", "request_", "status", "code", "field"), PROBLEMS)
def test_whatever_is_wrong_is_told_in_one_shape(
    with_web: RunWeb, method: str, path: str, request_: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    async def scenario(web: Any) -> None:
        headers = {"Content-Type": "application/json"} if "content" in request_ else {}
        answer = await web.api.request(method, path, headers=headers, **request_)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem.get("field")) == (status, code, field), problem
        assert problem["status"] == status
        assert problem["type"] == f"urn:refref:error:{code}"
        assert problem["title"]
        assert problem["detail"].endswith(".")

    with_web(scenario)


def test_instants_beyond_the_calendar_are_refused(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        early = "0001-01-01T00:00:00+14:00"
        answer = await web.api.post("/v1/programs", json={"name": "P", "effective_at": early})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_instant")
        answer = await web.api.get("/v1/decisions", params={"since": early})
        assert answer.status_code in (200, 400), answer.text

    with_web(scenario)


def test_a_body_without_a_length_is_limited_too(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async def chunks(number: int) -> Any:
            yield b'{"name": "'
            for _ in range(number):
                yield b"x" * 1024
            yield b'"}'

        headers = {"Content-Type": "application/json"}
        too_much = await web.api.post("/v1/api_keys", content=chunks(1025), headers=headers)
        assert (too_much.status_code, too_much.json()["code"]) == (413, "body_too_large")
        a_little = await web.api.post("/v1/api_keys", content=chunks(0), headers=headers)
        assert a_little.json()["code"] == "invalid_name"

    with_web(scenario)


def test_a_bug_is_a_500_that_tells_nothing_but_the_request_id(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        object.__setattr__(web.app.context, "now", lambda: 1 / 0)
        answer = await web.api.get("/v1/organizations/me")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert answer.headers["x-request-id"] in answer.json()["detail"]
        assert "ZeroDivision" not in answer.text

    with_web(scenario)


def test_the_database_being_away_is_a_503(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        assert (await web.browser.get("/readyz")).status_code == 200
        await web.database.close()
        answer = await web.api.get("/v1/organizations/me")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unreachable")
        assert (await web.browser.get("/readyz")).status_code == 503
        assert (await web.browser.get("/healthz")).status_code == 200

    with_web(scenario)


def test_every_answer_carries_the_security_headers(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        for path in ("/sign-in", "/v1/organizations/me", "/v1/nothing", "/openapi.json", "/nothing"):
            headers = (await web.browser.get(path)).headers
            policy = headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert "'unsafe-inline'" not in policy
            assert "'unsafe-eval'" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
        first, second = [(await web.browser.get("/sign-in")).headers for _ in range(2)]
        assert first["content-security-policy"] != second["content-security-policy"], "a nonce is used once"

    with_web(scenario)


def test_a_repeated_write_is_done_once(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async def create(name: str, key: str, path: str = "/v1/api_keys") -> Any:
            return await web.api.post(path, json={"name": name}, headers={"Idempotency-Key": key})

        first, again = await create("One", "k-1"), await create("One", "k-1")
        assert first.status_code == again.status_code == 201
        assert first.content == again.content, "also the secret that is shown once"
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert len((await web.api.get("/v1/api_keys")).json()["data"]) == 3

        other = await create("Two", "k-1")
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
        elsewhere = await create("One", "k-1", "/v1/programs")
        assert elsewhere.json()["code"] == "idempotency_conflict"
        for key in ("", "x" * 256):
            assert (await create("One", key)).json()["code"] == "invalid_idempotency_key"

        refused = await create(" ", "k-2")
        assert refused.status_code == 422
        assert (await create("Three", "k-2")).status_code == 201, "a refused write leaves its key free"

        async with web.database.tenant(web.organization_id) as tx:
            kept = await tx.fetchval("select response from idempotency_key where key = 'k-1'")
            assert first.json()["secret"].encode() not in kept, "stored answers are sealed"
            await tx.execute("update idempotency_key set created_at = created_at - interval '24 hours'")
        assert (await create("Two", "k-1")).status_code == 201, "after a day the key is forgotten"

    with_web(scenario)


def test_the_same_write_many_times_at_once_is_done_once(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async def create() -> Any:
            return await web.api.post("/v1/api_keys", json={"name": "One"}, headers={"Idempotency-Key": "k"})

        answers = await asyncio.gather(*[create() for _ in range(8)])
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert len((await web.api.get("/v1/api_keys")).json()["data"]) == 3

    with_web(scenario)


def test_a_list_is_paged_without_loss_or_repetition(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        program = await web.program()
        made = [(await web.participant(program["program_id"]))["participant_id"] for _ in range(7)]
        for number in range(5):
            await web.api.post("/v1/api_keys", json={"name": f"Key {number}"})

        async def all_of(path: str, limit: int) -> list[dict[str, Any]]:
            rows, cursor = [], None
            while True:
                parameters = {"limit": limit} | ({"cursor": cursor} if cursor else {})
                page = (await web.api.get(path, params=parameters)).json()
                assert len(page["data"]) <= limit
                rows += page["data"]
                cursor = page["next_cursor"]
                if cursor is None:
                    return rows

        for limit in (1, 2, 3, 7, 50):
            found = [row["participant_id"] for row in await all_of("/v1/participants", limit)]
            assert sorted(found) == sorted(made)
            assert len({row["api_key_id"] for row in await all_of("/v1/api_keys", limit)}) == 7
        assert len(await all_of("/v1/balances", 3)) == 7
        assert len(await all_of("/v1/audit_log", 4)) > 10

    with_web(scenario)


def test_every_list_has_the_same_shape_when_it_is_empty(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        for path in (
            "customers",
            "referrals",
            "events",
            "rewards",
            "decisions",
            "balances",
            "participants",
            "programs",
        ):
            answer = await web.api.get(f"/v1/{path}")
            assert answer.json() == {"data": [], "next_cursor": None}, (path, answer.text)
        overview = (await web.api.get("/v1/overview")).json()
        assert (overview["totals"], overview["trend"], overview["customer_count"]) == ([], [], 0)
        doctor = (await web.api.get("/v1/doctor")).json()
        assert doctor["ok"], doctor
        assert "invoice.paid" in (await web.api.get("/v1/stripe_events")).json()["data"]
        assert (await web.api.get("/v1/explain/in_none")).json()["kind"] == "unknown"

    with_web(scenario)


def test_a_customer_is_bound_by_the_api(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        program = await web.program()
        await web.participant(program["program_id"], refcode="Anna-1")
        body = {"stripe_customer_id": "cus_sample1", "code": "ANNA-1", "clicked_at": "2026-01-01T10:00:00Z"}
        answer = await web.api.post("/v1/referrals", json=body, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 201, answer.text
        bonds = answer.json()["data"]
        assert [(b["referee_id"], b["carrier_kind"]) for b in bonds] == [("cus_sample1", "signup")]
        unknown = await web.api.post("/v1/referrals", json=body | {"code": "nobody"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_code")
        future = await web.api.post("/v1/referrals", json=body | {"clicked_at": "2999-01-01T10:00:00Z"})
        assert (future.status_code, future.json()["code"]) == (422, "click_in_future")

    with_web(scenario)


def test_a_paused_participant_binds_nobody_new_until_resumed(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection = await web.connection()
        program = await web.program()
        partner = await web.participant(program["program_id"], refcode="sample-1")
        path = f"/v1/participants/{partner['participant_id']}"

        async def bonds() -> set[str]:
            return {row["referee_id"] for row in (await web.api.get("/v1/referrals")).json()["data"]}

        clock = f"/v1/connections/{connection['connection_id']}/test_clock"
        await web.api.post("/v1/referrals", json={"stripe_customer_id": "cus_before", "code": "sample-1"})
        await web.api.post(clock, json={"clock_ahead_s": 60})
        assert (await web.api.post(f"{path}/pause")).json()["status"] == "paused"
        await web.api.post(clock, json={"clock_ahead_s": 120})
        await web.api.post("/v1/referrals", json={"stripe_customer_id": "cus_meanwhile", "code": "sample-1"})
        assert await bonds() == {"cus_before"}
        assert (await web.api.post(f"{path}/resume")).json()["status"] == "active"
        while (await pump_once(web.database, lambda: int(time.time()))).events:
            pass
        assert await bonds() == {"cus_before", "cus_meanwhile"}

    with_web(scenario)
