"""The API of the set-up: keys, connections, programs, participants, from outside as a merchant's program calls it."""

from collections.abc import Callable
from typing import Any

import pytest

from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app as sandbox_app
from serving import quiet_server

RunWeb = Callable[..., None]


def test_a_merchant_sets_up_everything_by_the_api(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        me = (await web.api.get("/v1/organizations/me")).json()
        assert (me["name"], me["role"]) == ("Sample Shop", "admin")

        async with quiet_server(sandbox_app(Sandbox())) as stripe:
            given = {"api_key": "rk_test_sample0000", "webhook_secret": "whsec_sample0001", "api_base": stripe}
            connection = await web.connection(mode=None, **given)
        assert connection["mode"] == "test"
        assert connection["webhook_url"] == f"http://refref.test/stripe/webhooks/{connection['connection_id']}"
        shown = (await web.api.get(f"/v1/connections/{connection['connection_id']}")).json()
        assert [(s["kind"], s["hint"]) for s in shown["secrets"]] == [("webhook", "0001"), ("api_key", "0000")]

        program = await web.program(terms={"hold_days": 14}, effective_at="2026-01-01T00:00:00Z")
        assert program["terms"]["version"] == 1
        assert program["terms"]["terms"]["hold_days"] == 14
        assert program["terms"]["effective_at"] == "2026-01-01T00:00:00Z"

        partner = await web.participant(program["program_id"], refcode="Anna-1", created_at="2025-12-01T00:00:00Z")
        assert partner["codes"] == ["Anna-1"]
        path = f"/v1/participants/{partner['participant_id']}"
        added = await web.api.post(f"{path}/codes", json={"code": "promo_1AbC", "code_kind": "promotion_code"})
        assert added.json()["code"] == "promo_1AbC"
        ended = await web.api.delete(f"{path}/codes/ANNA-1")
        assert ended.json()["deactivated_at"] is not None
        assert (await web.api.get(path)).json()["codes"] == ["promo_1AbC"]
        assert (await web.api.post(f"{path}/pause")).json()["status"] == "paused"
        assert (await web.api.post(f"{path}/resume")).json()["status"] == "active"

    with_web(scenario)


CONNECTION_REFUSALS = [
    ({"mode": None}, "mode_required", "mode"),
    ({"mode": "prod"}, "invalid_choice", "mode"),
    ({"api_key": "pk_test_123456789"}, "invalid_api_key", "api_key"),
    ({"api_key": "whsec_123456789"}, "invalid_api_key", "api_key"),
    ({"api_key": "rk_live_123456789"}, "mode_mismatch", "api_key"),
    ({"webhook_secret": "sk_test_123456789"}, "invalid_webhook_secret", "webhook_secret"),
    ({"stripe_account_id": "12"}, "invalid_account_id", "stripe_account_id"),
    ({"name": " "}, "invalid_name", "name"),
    ({"api_base": "http://127.0.0.1:9/../x"}, "invalid_api_base", "api_base"),
    ({"api_base": "http://user@127.0.0.1:9"}, "invalid_api_base", "api_base"),
    ({"api_base": "http://169.254.169.254"}, "invalid_api_base", "api_base"),
    ({"api_base": "http://127.0.0.1.example.com"}, "invalid_api_base", "api_base"),
    ({"api_base": "http://127.1:80"}, "invalid_api_base", "api_base"),
    ({"api_base": "https://api.stripe.com.example.com"}, "invalid_api_base", "api_base"),
    ({"api_base": "file:///etc/passwd"}, "invalid_api_base", "api_base"),
    ({"mode": "live", "api_base": "http://127.0.0.1:12111"}, "invalid_api_base", "api_base"),
]


@pytest.mark.parametrize(("changes", "code", "field"), CONNECTION_REFUSALS)
def test_a_connection_is_refused_with_the_field_at_fault(
    with_web: RunWeb, changes: dict[str, Any], code: str, field: str
) -> None:
    async def scenario(web: Any) -> None:
        answer = await web.api.post("/v1/connections", json={"name": "Test", "mode": "test"} | changes)
        assert answer.status_code == 422
        problem = answer.json()
        assert (problem["code"], problem["field"]) == (code, field)
        assert (await web.api.get("/v1/connections")).json()["data"] == []

    with_web(scenario)


@pytest.mark.parametrize("api_base", ["http://127.0.0.1:12111", "http://localhost:1/", "https://[::1]:8443"])
def test_a_sandbox_on_this_machine_is_let_in_in_test_mode(with_web: RunWeb, api_base: str) -> None:
    async def scenario(web: Any) -> None:
        assert (await web.connection(api_base=api_base))["api_base"] == api_base.rstrip("/")
        assert (await web.connection(api_base="https://api.stripe.com"))["api_base"] is None

    with_web(scenario)


def test_a_signing_secret_is_rolled_with_two_valid_for_a_while(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        made = await web.connection(webhook_secret="whsec_sample0001")
        path = f"/v1/connections/{made['connection_id']}"
        for number in (2, 3):
            body = {"webhook_secret": f"whsec_sample000{number}", "overlap_hours": 2}
            assert (await web.api.post(f"{path}/webhook_secrets", json=body)).status_code == 201
        valid = [s for s in (await web.api.get(path)).json()["secrets"] if s["kind"] == "webhook"]
        assert [(s["hint"], s["expires_at"] is None) for s in valid] == [("0003", True), ("0002", False)]
        again = await web.api.post(f"{path}/webhook_secrets", json={"webhook_secret": "whsec_sample0003"})
        assert (again.status_code, again.json()["code"]) == (409, "webhook_secret_known")

    with_web(scenario)


def test_the_test_clock_only_moves_forward_and_only_in_test_mode(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        test, live = await web.connection(), await web.connection(mode="live")

        async def set_clock(connection: dict[str, Any], seconds: int) -> tuple[int, str | int]:
            answer = await web.api.post(
                f"/v1/connections/{connection['connection_id']}/test_clock", json={"clock_ahead_s": seconds}
            )
            body = answer.json()
            return answer.status_code, body.get("code") or body["clock_ahead_s"]

        assert await set_clock(test, 86_400) == (200, 86_400)
        assert await set_clock(test, 86_399) == (409, "clock_goes_back")
        assert await set_clock(live, 1) == (422, "live_clock")

    with_web(scenario)


def test_versions_of_terms_follow_one_another(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        program = await web.program(effective_at="2026-02-01T00:00:00Z")
        path = f"/v1/programs/{program['program_id']}/terms"
        early = await web.api.post(path, json={"terms": {}, "effective_at": "2026-01-31T23:59:59Z"})
        assert (early.status_code, early.json()["code"]) == (409, "terms_out_of_order")
        wrong = await web.api.post(path, json={"terms": {"hold_days": 366}})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "terms.hold_days")
        unknown = await web.api.post(path, json={"terms": {"hold": 3}})
        assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid_terms")
        naive = await web.api.post(path, json={"terms": {}, "effective_at": "2026-03-01T00:00:00"})
        assert (naive.status_code, naive.json()["code"]) == (422, "invalid_request")
        good = await web.api.post(path, json={"terms": {"hold_days": 0}, "effective_at": "2026-03-01T00:00:00+01:00"})
        assert good.json()["version"] == 2
        assert good.json()["effective_at"] == "2026-02-28T23:00:00Z"
        versions = (await web.api.get(path)).json()["data"]
        assert [v["version"] for v in versions] == [2, 1]

    with_web(scenario)


def test_codes_are_unique_on_a_connection_whatever_their_case(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        first, second = await web.connection(), await web.connection()
        program = await web.program(first["connection_id"])
        other = await web.program(first["connection_id"])
        elsewhere = await web.program(second["connection_id"])
        await web.participant(program["program_id"], refcode="Spring_26", email="a@example.com")
        body = {"program_id": other["program_id"], "name": "B", "email": "b@example.com", "refcode": "sPRING_26"}
        taken = await web.api.post("/v1/participants", json=body)
        assert (taken.status_code, taken.json()["code"], taken.json()["field"]) == (409, "code_taken", "refcode")
        listed = await web.api.get("/v1/participants", params={"connection_id": first["connection_id"]})
        assert len(listed.json()["data"]) == 1, "a refused participant leaves nothing behind"
        await web.participant(elsewhere["program_id"], refcode="spring_26")
        body = {"program_id": program["program_id"], "name": "C", "email": "A@example.com"}
        again = await web.api.post("/v1/participants", json=body)
        assert again.json()["code"] == "participant_exists"
        for refcode in ("ab", "promo_x1", "ptc_1234", "Zoë-1", "a b c", "x" * 41):
            body = {"program_id": program["program_id"], "name": "D", "email": "d@example.com", "refcode": refcode}
            assert (await web.api.post("/v1/participants", json=body)).json()["code"] == "invalid_refcode", refcode

    with_web(scenario)


def test_nothing_secret_and_nobody_s_address_is_in_the_audit_log(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async with quiet_server(sandbox_app(Sandbox())) as stripe:
            given = {"api_key": "rk_test_sample0000", "webhook_secret": "whsec_sample0001", "api_base": stripe}
            await web.connection(**given)
        program = await web.program()
        await web.participant(program["program_id"], refcode="anna-1", email="anna@example.com")
        log = await web.api.get("/v1/audit_log")
        actions = [entry["action"] for entry in log.json()["data"]]
        assert {"connection.create", "program.create", "terms.publish", "participant.create"} <= set(actions)
        for secret in ("sample000", "example.com", "anna", "rrk_"):
            assert secret not in log.text

    with_web(scenario)


def test_the_audit_log_is_filtered(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        program = await web.program()

        async def actions(**wanted: str) -> set[str]:
            answer = await web.api.get("/v1/audit_log", params=wanted)
            return {entry["action"] for entry in answer.json()["data"]}

        assert await actions(action="terms.publish") == {"terms.publish"}
        assert "program.create" in await actions(subject=program["program_id"])
        assert "connection.create" not in await actions(subject=program["program_id"])
        assert await actions(actor="usr_nobody") == set()
        wrong = await web.api.get("/v1/audit_log", params={"cursor": "x"})
        assert (wrong.status_code, wrong.json()["code"], wrong.json()["field"]) == (400, "invalid_cursor", "cursor")

    with_web(scenario)
