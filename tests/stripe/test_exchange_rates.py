"""From a charge in another currency to Stripe's exchange rate in the facts, over the worker and a scripted Stripe."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from scripted_stripe import Answer, stripe_saying

from refref.core.facts import BalanceTransactionState, Carrier, CarrierKind, ChargeState, CustomerState, Fact, Kind
from refref.core.terms import CurrencyTerms, Terms
from refref.db import facts as fact_rows
from refref.db import needs, organizations
from refref.db.pool import Connection, Database
from refref.flows import accounts, connections, programs
from refref.flows.ask import ask_what_matters, exchange_rates_to_ask_for
from refref.flows.settle import Incoming, settle
from refref.settings import MasterKey
from refref.vault import Vault
from refref.worker.bundled_rates import adopt_bundled_rates
from refref.worker.fetcher import fetch_due

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
BY = {"actor": "system", "now": NOW}
DAILY = Terms(currency=CurrencyTerms(base="usd", conversion="daily"))
TRANSACTION = {
    "id": "txn_1", "object": "balance_transaction", "amount": 11_172, "currency": "usd", "exchange_rate": 1.1172,
    "created": NOW_S, "source": "ch_1", "type": "charge",
}  # fmt: skip


def charge(currency: str) -> Fact:
    return Fact("ch_1", Kind.CHARGE, 1, NOW_S, 0, ChargeState("succeeded", currency, 10_000, 0, NOW_S), ("cus_1",))


def customer(code: str | None) -> Fact:
    carriers = (Carrier(CarrierKind.CUSTOMER_METADATA, code, NOW_S),) if code else ()
    return Fact("cus_1", Kind.CUSTOMER, 0, NOW_S, 0, CustomerState(), (), carriers)


class Shop:
    """An organization with a connection to a scripted Stripe and one program."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.vault = Vault([MasterKey("k1", bytes(32))])
        self.organization_id = self.connection_id = ""

    async def open(self, stripe_url: str, terms: Terms) -> None:
        async with self.database.reference() as tx:
            made = await accounts.sign_up(
                tx, organization_name="Sample Shop", email="a@example.com", name="", password_hash="-", now=NOW,
                is_allowed=True,
            )  # fmt: skip
            self.organization_id = made.organization_id
            given = connections.NewConnection("Shop", mode="test", api_key="rk_test_sample0000", api_base=stripe_url)
            connection = await connections.create_connection(tx, self.vault, self.organization_id, given, **BY)
            self.connection_id = connection.connection_id
            first = {"name": "A", "terms": terms, "effective_at": None, **BY}
            await programs.create_program(tx, self.organization_id, connection_id=self.connection_id, **first)

    async def settle(self, *facts: Fact) -> list[tuple[str, str]]:
        """Settle facts as the pump does; returns what is to be asked of Stripe now."""
        ids = (self.organization_id, self.connection_id)
        async with self.database.tenant(self.organization_id) as tx:
            settled = await settle(tx, *ids, [Incoming(facts, None)], NOW_S)
            asked = await exchange_rates_to_ask_for(tx, *ids, settled.facts)
            await ask_what_matters(tx, *ids, asked, settled.facts)
            await tx.execute("update open_need set due_at = now() where due_at < 'infinity'")
            return await self.open_needs(tx)

    async def open_needs(self, tx: Connection) -> list[tuple[str, str]]:
        due = await needs.due_needs(tx, self.organization_id, self.connection_id, 10)
        return [(need.kind, need.stripe_id) for need in due]


async def _with_shop(dsn: str, script: Any, terms: Terms, work: Any) -> Any:
    database = await Database.open(dsn, max_size=2)
    try:
        async with stripe_saying(script) as (url, asked):
            shop = Shop(database)
            await shop.open(url, terms)
            return await work(shop, asked)
    finally:
        await database.close()


def test_the_rate_is_asked_for_once_and_becomes_a_fact(database: str) -> None:
    def script(path: str, query: dict[str, list[str]]) -> Answer:
        return 200, {"object": "list", "data": [TRANSACTION], "has_more": False}

    async def work(shop: Shop, asked: list[Any]) -> None:
        assert await shop.settle(customer("ana"), charge("eur")) == [("balance_transaction", "ch_1")]
        assert await fetch_due(shop.database, shop.vault, lambda: NOW_S) == 1
        assert [path for path, _, _ in asked] == ["/v1/balance_transactions"]
        async with shop.database.tenant(shop.organization_id) as tx:
            rows = await fact_rows.facts_of_scopes(tx, shop.organization_id, shop.connection_id, stripe_ids=["ch_1"])
        states = {row.fact.stripe_id: row.fact.state for row in rows}
        assert states["txn_1"] == BalanceTransactionState("usd", 11_172, "1.1172", NOW_S)
        assert {row.scope_id for row in rows} == {"cus_1"}
        assert await shop.settle(charge("eur")) == []  # known: never asked again

    asyncio.run(_with_shop(database, script, DAILY, work))


@pytest.mark.parametrize(
    ("terms", "code", "currency"),
    [
        (Terms(), "ana", "eur"),  # the program never converts
        (DAILY, None, "eur"),  # nobody referred the customer
        (DAILY, "ana", "usd"),  # nothing to convert
    ],
)
def test_stripe_is_not_asked_where_the_rate_cannot_matter(
    database: str, terms: Terms, code: str | None, currency: str
) -> None:
    async def work(shop: Shop, _: list[Any]) -> list[tuple[str, str]]:
        return await shop.settle(customer(code), charge(currency))

    assert asyncio.run(_with_shop(database, lambda path, query: (500, {}), terms, work)) == []


def test_a_key_without_the_permission_is_not_asked_again_and_again(database: str) -> None:
    refusal = {"error": {"type": "invalid_request_error", "message": "The key lacks rak_balance_transaction_read."}}

    async def work(shop: Shop, asked: list[Any]) -> None:
        await shop.settle(customer("ana"), charge("eur"))
        await fetch_due(shop.database, shop.vault, lambda: NOW_S)
        assert len(asked) == 1
        async with shop.database.tenant(shop.organization_id) as tx:
            assert await shop.open_needs(tx) == []
            assert await needs.documents(tx, shop.organization_id, shop.connection_id) == []

    asyncio.run(_with_shop(database, lambda path, query: (403, refusal), DAILY, work))


def test_the_worker_notes_the_bundled_history_once_for_each_organization(database: str) -> None:
    async def work(shop: Shop, _: list[Any]) -> list[int]:
        async with shop.database.reference() as tx:
            count = len(await organizations.all_organizations(tx))
        return [count, *[await adopt_bundled_rates(shop.database, lambda: NOW_S) for _ in range(2)]]

    assert asyncio.run(_with_shop(database, lambda path, query: (500, {}), Terms(), work)) == [1, 1, 0]
