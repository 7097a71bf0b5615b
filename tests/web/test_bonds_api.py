"""Binding by hand and the doctor over the API, as a merchant's program calls them."""

from collections.abc import Callable
from typing import Any

RunWeb = Callable[..., None]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"csv": "customer;code\n"}, "csv", "names no customer"),
    ({"csv": "customer,code\ncus_1,\x00\n"}, "csv", "Line 2, code"),
    ({"referrals": [{"customer": "cus_1", "code": "nobody"}]}, "referrals", "Line 1, code"),
    ({"referrals": [{"customer": "cus_1", "code": "a\x00"}]}, "referrals", "Line 1, code"),
    (
        {"referrals": [{"customer": "cus_1", "code": "bea", "clicked_at": "0001-01-01T00:00:00Z"}]},
        *("referrals", "cannot lie before 2000"),
    ),
    ({"referrals": [], "csv": ""}, "referrals", "Give either"),
]


def test_customers_are_bound_by_hand_and_taken_back_over_the_api(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection(webhook_secret="whsec_sample0001")
        program = await web.program(effective_at="2026-01-01T00:00:00Z")
        for refcode in ("ana", "bea"):
            await web.participant(program["program_id"], refcode=refcode)
        await web.api.post("/v1/referrals", json={"stripe_customer_id": "cus_1", "code": "ana"})

        bond = {"referrals": [{"customer": "cus_1", "code": "bea", "clicked_at": "2026-01-02T00:00:00Z"}]}
        shown = await web.api.post("/v1/referrals/by_hand/preview", json=bond)
        assert shown.json() == {
            "changes": [],
            "totals": [],
            "still_nothing": [],
            "others_concerned": False,
            "without_terms": [],
        }
        draft = await web.program(name="Not yet", as_draft=True)
        await web.participant(draft["program_id"], refcode="cleo")
        bound_to_draft = {"referrals": [{"customer": "cus_1", "code": "cleo"}]}
        shown = await web.api.post("/v1/referrals/by_hand/preview", json=bound_to_draft)
        assert shown.json()["without_terms"] == ["Not yet"]
        without = await web.api.post("/v1/referrals/by_hand", json=bond | {"reason": " "})
        assert (without.status_code, without.json()["code"], without.json()["field"]) == (
            *(422, "reason_required", "reason"),
        )
        bound = await web.api.post("/v1/referrals/by_hand", json=bond | {"reason": "By phone"})
        assert bound.json() == {"bound": 1}
        assert await carrier_of(web) == ("manual", "bea")

        undone = {"customer": "cus_1", "code": "bea"}
        assert (await web.api.post("/v1/referrals/undo/preview", json=undone)).status_code == 200
        assert (await web.api.post("/v1/referrals/undo", json=undone | {"reason": "Wrong"})).json() == {"undone": True}
        assert await carrier_of(web) == ("signup", "ana")
        again = await web.api.post("/v1/referrals/undo", json=undone | {"reason": "Wrong"})
        assert (again.status_code, again.json()["code"]) == (409, "not_told")

        csv = {"csv": "customer,code\ncus_1,nobody\n", "reason": "A list"}
        refused = (await web.api.post("/v1/referrals/by_hand", json=csv)).json()
        assert (refused["code"], refused["field"]) == ("invalid_bonds", "csv")
        assert "Line 2, code" in refused["detail"]
        for wrong, field, words in WRONG:
            answer = await web.api.post("/v1/referrals/by_hand", json=wrong | {"reason": "A list"})
            assert (answer.status_code, answer.json()["field"]) == (422, field), answer.json()
            assert words in answer.json()["detail"]

    with_web(scenario)


async def carrier_of(web: Any) -> tuple[str, str]:
    (row,) = (await web.api.get("/v1/referrals", params={"referee_id": "cus_1"})).json()["data"]
    return row["carrier_kind"], row["carrier_value"]


def test_the_doctor_answers_and_mends_over_the_api(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection = await web.connection()
        found = (await web.api.get("/v1/doctor")).json()
        assert (found["ok"], [row["code"] for row in found["diagnoses"]]) == (True, ["no_webhook_secret"])
        assert found["diagnoses"][0]["connection_id"] == connection["connection_id"]
        assert all(row["ok"] for row in found["findings"])
        await web.api.post(
            f"/v1/connections/{connection['connection_id']}/webhook_secrets",
            json={"webhook_secret": "whsec_sample0001"},
        )
        assert (await web.api.get("/v1/doctor")).json()["diagnoses"] == []
        refused = await web.api.post("/v1/doctor/repair", json={"code": "silent"})
        assert (refused.status_code, refused.json()["code"]) == (422, "no_repair")
        done = await web.api.post("/v1/doctor/repair", json={"code": "parked_events"})
        assert done.json() == {"code": "parked_events", "repaired": 0}

    with_web(scenario)
