"""What a payment earned stands in the currencies of its rewards, in lists, sums and files. What budgets have left."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from core.samples import customer, invoice, line
from refref.core.facts import Fact, InvoiceState
from refref.db.pool import lock_books
from refref.flows.settle import Incoming, settle

RunWeb = Callable[..., None]
# 20 % owed in dollars whatever the sale's currency is, and a welcome discount; EUR at a fixed rate of 1.25 dollars.
TERMS: dict[str, Any] = {
    "rules": [
        {"rule_id": "share", "rate_bps": 2_000},
        {
            "rule_id": "welcome",
            "to": "referee",
            "reward": "discount",
            "on": "first",
            "benefit": {"percent_off_bps": 1_000},
        },
    ],
    "currency": {"base": "usd", "conversion": "table", "table": {"eur": "1.25"}, "pays_in": "base", "display": "usd"},
    "caps": [{"on": "program", "amounts": {"usd": 10_000}, "period": "ever", "rules": ["share"]}],
    "hold_days": 0,
}


def in_euros(fact: Fact) -> Fact:
    state = fact.state
    assert isinstance(state, InvoiceState)
    return replace(fact, state=replace(state, currency="eur"))


async def sell(web: Any, connection_id: str) -> None:
    """100.00 EUR of a referred customer, then 50.00 EUR."""
    start = int((datetime.now(UTC) - timedelta(days=2)).timestamp())
    facts = [
        customer("cus_1", "sample", at=start, email="one@customers.example"),
        in_euros(invoice(1, [line(1, 10_000)], paid_at=start + 60, customer="cus_1")),
        in_euros(invoice(2, [line(2, 5_000)], paid_at=start + 3_600, customer="cus_1")),
    ]
    async with web.database.tenant(web.organization_id) as tx:
        await lock_books(tx, connection_id)
        await settle(
            tx, web.organization_id, connection_id, [Incoming(facts, None)], int(datetime.now(UTC).timestamp())
        )


async def shop(web: Any) -> str:
    """The id of the program."""
    connection_id = (await web.connection())["connection_id"]
    program_id: str = (await web.program(terms=TERMS, effective_at="2020-01-01T00:00:00Z"))["program_id"]
    await web.participant(program_id, refcode="sample", created_at="2020-01-01T00:00:00Z")
    await sell(web, connection_id)
    return program_id


def usd(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "usd"}


def test_the_api_tells_what_was_earned_by_currency(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await shop(web)
        later, first = (await web.api.get("/v1/decisions")).json()["data"]
        assert first["paid"] == {"amount_minor": 10_000, "currency": "eur"}
        assert first["earned"] == {"amount_minor": 0, "currency": "eur"}
        assert first["rewards"] == [{"earned": usd(2_500), "reversed": usd(0)}]
        assert (first["grants"], later["grants"]) == (["discount"], [])
        assert later["rewards"] == [{"earned": usd(1_250), "reversed": usd(0)}]

        told = (await web.api.get("/v1/overview")).json()
        totals = {row["currency"]: row for row in told["totals"]}
        assert totals["eur"]["referred"]["amount_minor"] == 15_000
        assert totals["eur"]["earned"]["amount_minor"] == 0
        assert totals["usd"]["referred"]["amount_minor"] == 0
        assert totals["usd"]["earned"] == usd(3_750)
        assert [day["earned"] for day in told["trend"] if day["earned"]["currency"] == "usd"] == [usd(3_750)]
        assert (told["payment_count"], told["referred_payment_count"]) == (2, 2)

    with_web(scenario)


def test_all_together_is_marked_as_an_estimate_with_its_rates(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await shop(web)
        estimate = (await web.api.get("/v1/overview")).json()["estimate"]
        assert (estimate["currency"], estimate["left_out"]) == ("usd", [])
        assert estimate["earned"] == usd(3_750)
        assert estimate["referred"]["amount_minor"] > 15_000, "euros cost more than dollars at the bank's rate"
        assert [(rate["source"], rate["target"], rate["origin"]) for rate in estimate["rates"]] == [
            ("eur", "usd", "ecb")
        ]
        await web.sign_in()
        page = (await web.browser.get("/")).text
        assert "All together, estimated:" in page
        assert "earned about 37.50" in page

    with_web(scenario)


def test_pages_and_files_show_what_was_earned(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await shop(web)
        await web.sign_in()
        for address in ("/payments", "/customers/cus_1", "/overview/latest"):
            page = (await web.browser.get(address)).text
            assert "Earned 25.00\u00a0USD: why?" in page, address
            assert "a discount" in page, address
            assert "Why not?" not in page, address
        rows = list(csv.DictReader(io.StringIO((await web.browser.get("/payments.csv")).text.lstrip("\ufeff"))))
        assert [(row["currency"], row["earned"], row["earned_in_other_currencies"]) for row in rows] == [
            ("EUR", "0.00", "12.50 USD"),
            ("EUR", "0.00", "25.00 USD"),
        ]
        assert [row["grants"] for row in rows] == ["", "discount"]

    with_web(scenario)


def test_a_budget_tells_what_was_given_of_it(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        program_id = await shop(web)
        answer = await web.api.get(f"/v1/programs/{program_id}/budgets")
        assert answer.json()["data"] == [
            {"period": "ever", "rules": ["share"], "cap": usd(10_000), "given": usd(3_750)}
        ]
        await web.sign_in()
        page = re.sub(r"<[^>]+>", "", (await web.browser.get(f"/programs/{program_id}")).text)
        assert "37.50\u00a0USD of 100.00\u00a0USD in all, from share" in page
        assert (await web.api.get("/v1/programs/prg_nothing/budgets")).status_code == 404

    with_web(scenario)
