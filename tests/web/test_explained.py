"""Explanations name the rule, say what happened where nothing was paid, and show amounts as people write them."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from core.samples import customer, invoice, line
from refref.db.pool import lock_books
from refref.flows.settle import Incoming, settle

RunWeb = Callable[..., None]
TERMS: dict[str, Any] = {
    "events": [{"event_id": "lead", "name": "Lead", "kind": "signup"}],
    "rules": [
        {
            "rule_id": "tiered",
            "name": "Volume",
            "rate_bps": 1_000,
            "tiers": {
                "by": "revenue",
                "currency": "usd",
                "period": "ever",
                "steps": [{"at_least": 1_000, "rate_bps": 1_000}, {"at_least": 15_000, "rate_bps": 2_000}],
            },
        },
        {"rule_id": "lead", "name": "Lead bonus", "event": "lead", "kind": "fixed", "amounts": {"usd": 500}},
        {"rule_id": "welcome", "to": "referee", "reward": "discount", "benefit": {"percent_off_bps": 1_000}},
    ],
}


async def shop(web: Any, **more: Any) -> None:
    """A referred sign-up, and 100.00 USD twice."""
    connection_id = (await web.connection())["connection_id"]
    program_id = (await web.program(terms={**TERMS, **more}, effective_at="2020-01-01T00:00:00Z"))["program_id"]
    await web.participant(program_id, refcode="sample", created_at="2020-01-01T00:00:00Z")
    start = int((datetime.now(UTC) - timedelta(days=2)).timestamp())
    facts = [
        customer("cus_1", "sample", at=start, email="one@customers.example"),
        invoice(1, [line(1, 10_000)], paid_at=start + 60, customer="cus_1"),
        invoice(2, [line(2, 10_000)], paid_at=start + 3_600, customer="cus_1"),
    ]
    async with web.database.tenant(web.organization_id) as tx:
        await lock_books(tx, connection_id)
        await settle(
            tx, web.organization_id, connection_id, [Incoming(facts, None)], int(datetime.now(UTC).timestamp())
        )


async def payment(web: Any, key: str) -> dict[str, Any]:
    """The explanation of one conversion in the program."""
    payments = (await web.api.get("/v1/explain/cus_1")).json()["payments"]
    found: dict[str, Any] = next(one for one in payments if one["payment_key"] == key)
    return found


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_each_rule_is_called_by_its_name(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await shop(web)
        rules = (await payment(web, "in_2"))["programs"][0]["rules"]
        assert [(rule["rule_id"], rule["rule_name"]) for rule in rules] == [
            ("tiered", "Volume"),
            ("lead", "Lead bonus"),
            ("welcome", None),
        ]
        assert rules[1]["sentence"] == "This rule is for other conversions."
        assert rules[0]["steps"] == [
            "200.00 USD of revenue in all: the tier from 150.00 USD. Counted up to and with this one."
        ]
        await web.sign_in()
        page = text_of((await web.browser.get("/why?id=in_2")).text)
        assert "Volume : Earned 20.00 USD." in page
        assert "welcome : Granted a discount." in page
        assert "Reward: a discount" in page

    with_web(scenario)


def test_what_is_no_payment_says_what_happened(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await shop(web)
        assert (await payment(web, "in_1"))["happened"] is None
        lead = await payment(web, "cus_1/signup")
        assert lead["happened"] == "A sign-up"
        reward_id = next(rule["reward_id"] for rule in lead["programs"][0]["rules"] if rule["rule_id"] == "lead")
        await web.sign_in()
        page = text_of((await web.browser.get(f"/rewards/{reward_id}")).text)
        assert "What happened A sign-up" in page
        for absent in ("What was sold", "What counts", "The payment", "Stripe told no lines"):
            assert absent not in page
        listed = text_of((await web.browser.get("/payments")).text)
        assert "no payment" in listed
        assert (await web.api.get("/v1/overview")).json()["payment_count"] == 2

    with_web(scenario)


def test_a_discount_is_no_amount_of_nothing(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await shop(web)
        rewards = (await web.api.get("/v1/rewards", params={"payment_key": "in_1"})).json()["data"]
        discount = next(reward for reward in rewards if reward["kind"] == "discount")
        await web.sign_in()
        page = text_of((await web.browser.get(f"/rewards/{discount['reward_id']}")).text)
        assert "A discount For the customer one@customers.example" in page
        listed = text_of((await web.browser.get("/rewards")).text)
        assert "a discount to the customer" in listed
        assert " 0.00 USD" not in listed
        rows = list(csv.DictReader(io.StringIO((await web.browser.get("/rewards.csv")).text.lstrip("\ufeff"))))
        assert {row["kind"]: row["beneficiary_id"] for row in rows}["discount"] == "cus_1"

    with_web(scenario)


def test_a_discount_waits_for_approval_as_what_it_is(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await shop(web, approval="manual")
        await web.sign_in()
        page = (await web.browser.get("/approvals")).text
        assert "a discount to the customer" in text_of(page)
        assert 'aria-label="A discount for the customer, in_1"' in page

    with_web(scenario)
