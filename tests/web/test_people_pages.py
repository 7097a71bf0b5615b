"""Participants in the terms: chosen from a list, in groups; money is divided only with people who are there."""

import re
from collections.abc import Callable
from typing import Any

from refref.core.catalog import Coupon, Price, Product
from refref.db import catalog

RunWeb = Callable[..., None]


async def shop(web: Any) -> tuple[str, str]:
    """A program and one participant of it."""
    await web.connection()
    program_id = (await web.program())["program_id"]
    person = await web.participant(program_id, name="Sample Partner", email="partner@example.com", refcode="sample")
    return program_id, person["participant_id"]


def picks(page: str) -> list[str]:
    return re.findall(r'data-pick="([^"]+)"', page)


def test_participants_and_groups_are_offered(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        program_id, participant_id = await shop(web)
        other = (await web.program(name="Another"))["program_id"]
        await web.participant(other, name="Somebody else", email="else@example.com", refcode="else")
        await web.api.put(f"/v1/participants/{participant_id}/profile", json={"groups": ["gold", "Top partners"]})
        await web.sign_in()
        address = f"/programs/{program_id}/people"
        for given, found in {
            "kind=participants": [participant_id],
            "kind=participants&search=SAMPLE": [participant_id],
            "kind=participants&search=nobody": [],
            "kind=split": ["referrer", participant_id],
            "kind=split&search=sample": [participant_id],
            "kind=groups": ["Top partners", "gold"],
            "kind=groups&search=GOL": ["gold"],
        }.items():
            answer = await web.browser.get(f"{address}?{given}")
            assert picks(answer.text) == found, given
        assert (await web.browser.get("/programs/prg_nothing/people")).status_code == 404

    with_web(scenario)


def test_a_condition_is_compared_with_what_there_is(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        program_id, participant_id = await shop(web)
        await web.api.put(f"/v1/participants/{participant_id}/profile", json={"groups": ["gold"]})
        own = (web.organization_id, (await web.api.get("/v1/connections")).json()["data"][0]["connection_id"])
        async with web.database.tenant(web.organization_id) as tx:
            items = [
                Product("prod_course", "Sample Course", 1),
                Price("price_course", "prod_course", "usd", 1, 950, interval="month"),
                Coupon("SPRING", "Sample Spring", 1),
            ]
            await catalog.store_items(tx, *own, items)
        await web.sign_in()
        for field, found in {
            "sale.products": ["prod_course"],
            "sale.subscription_plan": ["prod_course"],
            "sale.prices": ["price_course"],
            "sale.coupons": ["SPRING"],
            "participant.id": [participant_id],
            "participant.groups": ["gold"],
        }.items():
            given = {"condition.rows.3.field": field, "condition.rows.3.value": "x", "search": ""}
            answer = await web.browser.get(f"/programs/{program_id}/values", params=given)
            assert picks(answer.text) == found, field
            answer = await web.browser.get(f"/programs/{program_id}/values", params={**given, "search": "nothing"})
            assert picks(answer.text) == [], field
        rule = (await web.browser.get(f"/programs/{program_id}/draft/rules/1")).text
        assert re.findall(r'value="([a-z._]+)" data-kind="[a-z]+" data-finds', rule)[:6] == [
            *("sale.products", "sale.prices", "sale.coupons", "sale.subscription_plan"),
            *("participant.id", "participant.groups"),
        ]

    with_web(scenario)


def test_a_profile_is_set_on_the_page_and_judged_there(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        _, participant_id = await shop(web)
        token = await web.sign_in()
        address = f"/participants/{participant_id}"

        async def save(**given: str) -> Any:
            return await web.browser.post(f"{address}/profile", data={"csrf_token": token, **given})

        saved = await save(groups="gold, Top partners", country="de", metadata="tier=1\r\nregion = north")
        assert saved.status_code == 303, saved.text
        known = (await web.api.get(f"/v1/participants/{participant_id}/profiles")).json()["data"][0]
        assert (known["groups"], known["country"]) == (["gold", "Top partners"], "DE")
        assert known["metadata"] == {"region": "north", "tier": "1"}
        page = (await web.browser.get(address)).text
        assert "gold, Top partners" in page
        for given, sentence in {
            ("DE", "tier"): "Write each key with its value on a line of its own",
            ("Germany", ""): "A country is two upper-case letters",
            ("DE", "a b=1"): "A key has 1 to 40 letters",
        }.items():
            wrong = await save(groups="silver", country=given[0], metadata=given[1])
            assert wrong.status_code == 422
            assert sentence in wrong.text
            assert 'value="silver"' in wrong.text, "what was typed stays"
        await save(groups="silver", country="DE", metadata="")
        assert "since" in (await web.browser.get(address)).text.partition("What held before")[2]

    with_web(scenario)


def test_money_is_not_divided_with_somebody_who_is_not_there(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        program_id, participant_id = await shop(web)

        async def publish(participant: str) -> Any:
            split = [{"participant": "referrer", "share_bps": 7_000}, {"participant": participant, "share_bps": 3_000}]
            terms = {"rules": [{"rule_id": "share", "rate_bps": 1_000, "to": "split", "split": split}]}
            return await web.api.post(f"/v1/programs/{program_id}/terms", json={"terms": terms})

        refused = await publish("ptc_nobody")
        body = refused.json()
        assert (refused.status_code, body["code"]) == (422, "invalid_terms")
        assert body["field"] == "terms.rules.0.split.1.participant"
        assert "There is no participant ptc_nobody on this connection" in body["detail"]
        assert (await publish(participant_id)).status_code == 201
        token = await web.sign_in()
        draft = {"csrf_token": token, "to": "split", "kind": "percentage", "reward": "commission", "rate_bps": "10"}
        shares = {"split.0.participant": "referrer", "split.0.share_bps": "50", "split.1.share_bps": "50"}
        for other, sentence in (("ptc_nobody", "There is no such participant"), (participant_id, "")):
            form = {**draft, **shares, "split.1.participant": other, "fixed_per": "sale", "on": "every"}
            saved = await web.browser.post(f"/programs/{program_id}/draft/rules/1", data=form)
            assert saved.status_code == 303, saved.text
            page = (await web.browser.get(f"/programs/{program_id}/draft/rules/1")).text
            assert ("There is no such participant" in page) == bool(sentence)

    with_web(scenario)
