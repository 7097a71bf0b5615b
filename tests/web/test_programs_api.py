"""The API of programs, their terms and drafts, and participants' profiles, as a merchant's program calls it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from refref.core.templates import TEMPLATES
from refref.core.terms_document import document_schema
from refref.worker.pump import pump_once

RunWeb = Callable[..., None]
TWENTY = {"rules": [{"rule_id": "commission", "rate_bps": 2000}]}
TEN = {"rules": [{"rule_id": "commission", "rate_bps": 1000}]}


async def problem(answer: Any) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("field")


def test_a_draft_becomes_the_next_version(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        path = f"/v1/programs/{(await web.program())['program_id']}"
        assert await problem(await web.api.get(f"{path}/draft")) == (404, "unknown_draft", None)

        saved = (await web.api.put(f"{path}/draft", json={"terms": {"rules": []}})).json()
        assert (saved["revision"], saved["based_on_version"]) == (1, 1)
        assert [fault["field"] for fault in saved["faults"]] == ["terms.rules"]
        refused = await web.api.post(f"{path}/draft/publish", json={})
        assert await problem(refused) == (422, "invalid_terms", "terms.rules")

        saved = (await web.api.put(f"{path}/draft", json={"terms": TEN, "revision": 1})).json()
        assert saved["faults"] == []
        assert saved["differences"] == ["Rule “commission”: 20 % becomes 10 %."]
        assert saved["edited_by"].startswith("key:")
        diff = await web.api.get(f"{path}/terms/diff", params={"from": "1", "to": "draft"})
        assert diff.json()["differences"] == saved["differences"]
        assert (await web.api.get(path)).json()["has_draft"] is True

        made = await web.api.post(f"{path}/draft/publish", json={"revision": 2})
        assert (made.status_code, made.json()["version"]) == (201, 2)
        assert made.json()["terms"]["rules"][0]["rate_bps"] == 1000
        assert await problem(await web.api.get(f"{path}/draft")) == (404, "unknown_draft", None)
        assert [row["version"] for row in (await web.api.get(f"{path}/terms")).json()["data"]] == [2, 1]
        back = await web.api.get(f"{path}/terms/diff", params={"from": "2", "to": "1"})
        assert back.json()["differences"] == ["Rule “commission”: 10 % becomes 20 %."]
        actions = [row["action"] for row in (await web.api.get("/v1/audit_log")).json()["data"]]
        assert actions[:3] == ["terms.publish", "terms_draft.save", "terms_draft.save"]

    with_web(scenario)


def test_two_people_do_not_overwrite_each_other(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        path = f"/v1/programs/{(await web.program())['program_id']}"
        first = await web.api.put(f"{path}/draft", json={"terms": TEN, "revision": 0})
        assert first.json()["revision"] == 1
        late = await web.api.put(f"{path}/draft", json={"terms": TWENTY, "revision": 0})
        assert await problem(late) == (409, "draft_changed", "revision")
        stale = await web.api.post(f"{path}/draft/publish", json={"revision": 9})
        assert await problem(stale) == (409, "draft_changed", "revision")

        assert (await web.api.post(f"{path}/terms", json={"terms": {"hold_days": 7}})).json()["version"] == 2
        outdated = await web.api.post(f"{path}/draft/publish", json={})
        assert await problem(outdated) == (409, "terms_outdated", "based_on_version")
        again = await web.api.put(f"{path}/draft", json={"terms": TEN})
        assert (again.json()["based_on_version"], again.json()["newest_version"]) == (1, 2)
        old = await web.api.put(f"{path}/draft", json={"terms": TEN, "based_on_version": 1})
        assert await problem(old) == (409, "terms_outdated", "based_on_version")
        assert (await web.api.put(f"{path}/draft", json={"terms": TEN, "based_on_version": 2})).status_code == 200
        assert (await web.api.post(f"{path}/draft/publish", json={})).json()["version"] == 3
        direct = await web.api.post(f"{path}/terms", json={"terms": TEN, "based_on_version": 2})
        assert await problem(direct) == (409, "terms_outdated", "based_on_version")

        assert (await web.api.put(f"{path}/draft", json={"terms": TEN})).json()["revision"] == 1
        gone = await web.api.delete(f"{path}/draft")
        assert gone.json()["terms"]["rules"][0]["rate_bps"] == 1000
        assert await problem(await web.api.delete(f"{path}/draft")) == (404, "unknown_draft", None)

    with_web(scenario)


def test_terms_are_checked_and_compared_without_changing_anything(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        path = f"/v1/programs/{(await web.program())['program_id']}"
        faulty = {"terms": {"hold_days": 900, "rules": [{"rule_id": "a", "rate_bps": 0}]}}
        checked = (await web.api.post(f"{path}/terms/validate", json=faulty)).json()
        assert [fault["field"] for fault in checked["faults"]] == ["terms.rules.0.rate_bps", "terms.hold_days"]
        wrong = await web.api.post(f"{path}/terms/validate", json={"terms": {"rules": [{"rule_id": "a", "rate": 1}]}})
        assert await problem(wrong) == (422, "invalid_terms", "terms.rules.0.rate")
        plan = (await web.api.post(f"{path}/terms/plan", json={"terms": TEN})).json()
        assert (plan["based_on_version"], plan["differences"]) == (1, ["Rule “commission”: 20 % becomes 10 %."])
        same = (await web.api.post(f"{path}/terms/plan", json={"terms": TWENTY})).json()
        assert same["differences"] == []
        for name, field in (("3", "from"), ("٣", "from"), ("0", "from"), ("draft", None)):
            answer = await web.api.get(f"{path}/terms/diff", params={"from": name, "to": "1"})
            code = "unknown_draft" if name == "draft" else "unknown_version"
            assert await problem(answer) == (404, code, field), name
        assert len((await web.api.get(f"{path}/terms")).json()["data"]) == 1
        assert (await web.api.get("/v1/terms.schema.json")).json() == json.loads(json.dumps(document_schema()))

    with_web(scenario)


def test_the_life_of_a_program(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection = await web.connection()
        program = await web.program(eligibility_text="Customers for a year.", terms_text="One\n\nTwo")
        path = f"/v1/programs/{program['program_id']}"
        assert (program["eligibility_text"], program["terms_text"]) == ("Customers for a year.", "One\n\nTwo")
        changed = await web.api.patch(path, json={"name": "Partners", "terms_text": "Three"})
        assert [changed.json()[name] for name in ("name", "eligibility_text", "terms_text")] == [
            "Partners",
            "Customers for a year.",
            "Three",
        ]
        assert await problem(await web.api.patch(path, json={"name": " "})) == (422, "invalid_name", "name")
        assert await problem(await web.api.patch(path, json={"terms_text": "x" * 20_001})) == (
            422,
            "invalid_text",
            "terms_text",
        )
        clock = f"/v1/connections/{connection['connection_id']}/test_clock"
        await web.api.post(clock, json={"clock_ahead_s": 86_400})
        assert (await web.api.post(f"{path}/pause")).json()["status"] == "paused"
        assert (await web.api.post(f"{path}/pause")).json()["status"] == "paused"
        assert (await web.api.post(f"{path}/resume")).json()["status"] == "active"
        copy = await web.api.post(f"{path}/duplicate", json={})
        assert copy.status_code == 201
        assert (copy.json()["name"], copy.json()["terms"], copy.json()["has_draft"]) == ("Copy of Partners", None, True)
        assert (await web.api.post(f"{path}/archive")).json()["status"] == "archived"
        for verb in ("pause", "resume"):
            assert await problem(await web.api.post(f"{path}/{verb}")) == (409, "program_archived", None)
        published = await web.api.post(f"{path}/terms", json={"terms": TEN})
        assert await problem(published) == (409, "program_archived", None)
        drafted = await web.api.put(f"{path}/draft", json={"terms": TEN})
        assert await problem(drafted) == (409, "program_archived", None)

        history = (await web.api.get(f"{path}/statuses")).json()["data"]
        assert [row["status"] for row in history] == ["archived", "active", "paused", "active"]
        ahead = datetime.fromisoformat(history[0]["at"]) - datetime.now(UTC)
        assert 86_300 < ahead.total_seconds() < 86_500, "instants are on the connection's clock"
        actions = [row["action"] for row in (await web.api.get("/v1/audit_log")).json()["data"]]
        assert actions[:4] == ["program.archive", "program.create", "program.resume", "program.pause"]

    with_web(scenario)


def test_a_program_begins_with_a_template_or_a_draft(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        listed = (await web.api.get("/v1/program_templates", params={"currency": "eur"})).json()["data"]
        assert [row["template_id"] for row in listed] == [template.template_id for template in TEMPLATES]
        assert listed[0]["sentences"][0] == (
            "“Thank you”: 10.00 EUR for the first payment, as a credit, to the referrer."
        )
        made = await web.program(template="per-lead", currency="eur")
        assert made["terms"]["terms"] == listed[-1]["terms"]
        draft = await web.program(template="affiliate", as_draft=True)
        path = f"/v1/programs/{draft['program_id']}"
        assert (draft["terms"], draft["has_draft"]) == (None, True)
        assert (await web.api.get(f"{path}/draft")).json()["based_on_version"] == 0
        first = await web.api.post(f"{path}/draft/publish", json={"effective_at": "2026-01-01T00:00:00Z"})
        assert (first.json()["version"], first.json()["effective_at"]) == (1, "2026-01-01T00:00:00Z")
        for body, status, code, field in (
            ({"template": "lottery"}, 404, "unknown_template", "template"),
            ({"template": "affiliate", "currency": "xxx"}, 422, "invalid_currency", "currency"),
            ({"template": "affiliate", "terms": TEN}, 422, "invalid_request", "template"),
        ):
            answer = await web.api.post("/v1/programs", json={"name": "P"} | body)
            assert await problem(answer) == (status, code, field)

    with_web(scenario)


def test_a_profile_holds_from_its_instant_on(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        program = await web.program()
        partner = await web.participant(
            program["program_id"], created_at="2026-01-01T00:00:00Z", groups=["gold"], metadata={"tier": "1"}
        )
        path = f"/v1/participants/{partner['participant_id']}"
        body = {"country": "DE", "since_at": "2026-03-01T00:00:00Z"}
        assert (await web.api.put(f"{path}/profile", json=body)).json() == {
            "since_at": "2026-03-01T00:00:00Z",
            "groups": ["gold"],
            "country": "DE",
            "metadata": {"tier": "1"},
        }
        early = await web.api.put(f"{path}/profile", json={"country": "AT", "since_at": "2026-02-01T00:00:00Z"})
        assert await problem(early) == (422, "invalid_instant", "since_at")
        now = (await web.api.put(f"{path}/profile", json={"groups": ["silver", "silver"], "metadata": {}})).json()
        assert (now["groups"], now["country"], now["metadata"]) == (["silver"], "DE", {})
        assert (await web.api.put(f"{path}/profile", json={"groups": ["silver"]})).json() == now
        history = (await web.api.get(f"{path}/profiles")).json()["data"]
        assert [(row["groups"], row["country"]) for row in history] == [
            (["silver"], "DE"),
            (["gold"], "DE"),
            (["gold"], ""),
        ]
        assert history[-1]["since_at"] == "2026-01-01T00:00:00Z"

    with_web(scenario)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"groups": [""]}, "invalid_group", "groups.0"),
        ({"groups": ["g" * 61]}, "invalid_group", "groups.0"),
        ({"groups": [str(number) for number in range(21)]}, "invalid_group", "groups"),
        ({"country": "de"}, "invalid_country", "country"),
        ({"metadata": {"a b": "x"}}, "invalid_metadata", "metadata"),
        ({"metadata": {"a": "x" * 501}}, "invalid_metadata", "metadata.a"),
        ({"country": "DE", "since_at": "2999-01-01T00:00:00Z"}, "invalid_instant", "since_at"),
    ],
)
def test_a_profile_is_refused_with_the_field_at_fault(
    with_web: RunWeb, body: dict[str, Any], code: str, field: str
) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        partner = await web.participant((await web.program())["program_id"])
        answer = await web.api.put(f"/v1/participants/{partner['participant_id']}/profile", json=body)
        assert await problem(answer) == (422, code, field)

    with_web(scenario)


def test_the_pages_show_a_program_that_has_only_a_draft(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        draft = await web.program(template="affiliate", as_draft=True)
        token = await web.sign_in()
        listed = await web.browser.get("/programs")
        assert "No terms are in force yet" in listed.text
        page = await web.browser.get(f"/programs/{draft['program_id']}")
        assert "No terms are published yet" in page.text
        rule = await web.browser.get(f"/programs/{draft['program_id']}/draft/rules/1")
        assert 'value="30"' in rule.text, "the form begins with the draft"
        published = await web.browser.post(
            f"/programs/{draft['program_id']}/draft/publish", data={"csrf_token": token, "revision": "1"}
        )
        assert published.status_code == 303
        versions = (await web.api.get(f"/v1/programs/{draft['program_id']}/terms")).json()["data"]
        assert [version["terms"]["rules"][0]["rate_bps"] for version in versions] == [3000]

    with_web(scenario)


def test_the_published_schema_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "terms.schema.json"
    assert json.loads(page.read_text()) == json.loads(json.dumps(document_schema())), (
        "run: .venv/bin/python -m refref terms schema > docs/terms.schema.json"
    )


def test_a_program_without_published_terms_binds_nobody_until_they_are(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        draft = await web.program(template="affiliate", as_draft=True)
        await web.participant(draft["program_id"], refcode="sample-1")
        body = {"stripe_customer_id": "cus_sample1", "code": "sample-1"}
        answer = await web.api.post("/v1/referrals", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["data"] == []
        instant = {"effective_at": "2026-01-01T00:00:00Z"}
        await web.api.post(f"/v1/programs/{draft['program_id']}/draft/publish", json=instant)
        while (await pump_once(web.database, lambda: int(time.time()))).events:
            pass
        bonds = (await web.api.get("/v1/referrals")).json()["data"]
        assert [(bond["referee_id"], bond["status"]) for bond in bonds] == [("cus_sample1", "active")]

    with_web(scenario)
