"""The catalogue: read from Stripe at connect and on demand, kept by events, searched; what is gone stays known."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from refref.core.catalog import Price
from refref.db import inbox
from refref.db.bodies import compress
from refref.sandbox import Sandbox
from refref.sandbox.deliveries import render_event_bytes
from refref.sandbox.versions import VERSIONS
from refref.sandbox.wire import create_app
from refref.stripe.readers import Reading, UnreadableEvent, read
from refref.stripe.readers.catalog import read_listed
from refref.worker.catalog import read_catalogs_due
from refref.worker.pump import pump_once
from serving import quiet_server

RunWeb = Callable[..., None]


def now() -> int:
    return int(time.time())


def shop() -> Sandbox:
    return Sandbox(clock_start=now() - 10_000, seed=5)


async def connect(web: Any, url: str) -> str:
    return str((await web.connection(api_key="rk_test_sample000000000000", api_base=url, mode=None))["connection_id"])


async def read_all(web: Any) -> int:
    pages = 0
    while read := await read_catalogs_due(web.database, web.app.context.vault, now):
        pages += read
    return pages


async def tell(web: Any, connection_id: str, events: list[dict[str, Any]], version: str = VERSIONS[-1]) -> None:
    """Let events arrive and be settled."""
    async with web.database.plain() as connection:
        await inbox.accept(
            connection,
            [
                inbox.Arrival(
                    web.organization_id, connection_id, event["id"], event["type"], event["data"]["object"]["id"],
                    version, False, "accepted", None, "webhook", event["created"],
                    compress(render_event_bytes(event, version)),
                )
                for event in events
            ],
        )  # fmt: skip
    while (await pump_once(web.database, now)).events:
        pass


async def searched(web: Any, search: str = "", **more: Any) -> dict[str, Any]:
    return (await web.api.get("/v1/catalog", params={"search": search, **more})).json()


def test_it_is_read_at_connect_with_its_progress(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        sb = shop()
        for number in range(120):
            sb.create_product(f"Product {number:03}")
        plan = sb.create_product("Team plan", description="For teams")["id"]
        sb.create_price(plan, "usd", 2_900, interval="month", nickname="Monthly")
        sb.create_price(plan, "eur", 27_000, interval="year", lookup_key="team-yearly")
        coupon = sb.create_coupon(percent_off=12.5, duration="once", name="Spring")["id"]
        sb.create_coupon(amount_off=500, currency="usd", duration="forever")
        sb.create_promotion_code(coupon, "SPRING")
        async with quiet_server(create_app(sb)) as url:
            await connect(web, url)
            begun = (await web.api.get("/v1/catalog/sync")).json()
            assert (begun["state"], begun["part"], begun["read_count"]) == ("running", "products", 0)
            assert await read_catalogs_due(web.database, web.app.context.vault, now) == 1
            assert (await web.api.get("/v1/catalog/sync")).json()["read_count"] == 100
            assert await read_all(web) == 4  # the rest of the products, prices, coupons, promotion codes
        ended = (await web.api.get("/v1/catalog/sync")).json()
        assert (ended["state"], ended["part"], ended["read_count"], ended["error"]) == ("done", "", 126, None)
        (product,) = (await searched(web, "TEAM"))["products"]
        assert (product["name"], product["description"]) == ("Team plan", "For teams")
        assert [(p["nickname"], p["unit_amount_minor"], p["currency"], p["interval"]) for p in product["prices"]] == [
            ("", 27_000, "eur", "year"),
            ("Monthly", 2_900, "usd", "month"),
        ]
        assert [row["name"] for row in (await searched(web, "team-yearly"))["products"]] == ["Team plan"]
        assert len((await searched(web, limit=7))["products"]) == 7
        assert (await searched(web, "%"))["products"] == []
        spring = await searched(web, "spring")
        assert [(row["name"], row["percent_off_bps"]) for row in spring["coupons"]] == [("Spring", 1_250)]
        assert [(row["code"], row["coupon_id"]) for row in spring["promotion_codes"]] == [("SPRING", coupon)]

    with_web(scenario)


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[4], VERSIONS[-1]])
def test_events_keep_it_and_what_is_gone_stays_known(with_web: RunWeb, version: str) -> None:
    async def scenario(web: Any) -> None:
        sb = shop()
        connection_id = (await web.connection())["connection_id"]
        product = sb.create_product("Mug")["id"]
        price = sb.create_price(product, "usd", 1_500)["id"]
        gone = sb.create_product("Mistake")["id"]
        code = sb.create_promotion_code(sb.create_coupon(percent_off=10, duration="once")["id"], "TEN")["id"]
        sb.advance_by(hours=1)
        sb.update_catalog("product", product, {"name": "Large mug"})
        sb.update_catalog("price", price, {"nickname": "Plain"})
        sb.update_promotion_code(code, active=False)
        sb.delete_product(gone)
        await tell(web, connection_id, list(reversed(sb.events)), version)
        found = await searched(web)
        assert [(row["name"], row["prices"][0]["nickname"]) for row in found["products"]] == [("Large mug", "Plain")]
        assert [row["coupon_id"] != "" for row in found["coupons"]] == [True]
        assert found["promotion_codes"] == []
        everything = await searched(web, include_inactive=True)
        assert {row["name"]: row["is_deleted"] for row in everything["products"]} == {
            "Large mug": False,
            "Mistake": True,
        }
        (shown,) = everything["promotion_codes"]
        assert (shown["code"], shown["is_active"], shown["coupon_id"]) == (
            "TEN",
            False,
            found["coupons"][0]["coupon_id"],
        )
        await tell(web, connection_id, [{**event, "id": f"{event['id']}x"} for event in sb.events[:3]], version)
        assert await searched(web, include_inactive=True) == everything, "an old event changed something"

    with_web(scenario)


def test_reading_anew_finds_what_no_event_told_of(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        sb = shop()
        kept, gone = sb.create_product("Kept")["id"], sb.create_product("Gone")["id"]
        async with quiet_server(create_app(sb)) as url:
            connection_id = await connect(web, url)
            await read_all(web)
            async with web.database.tenant(web.organization_id) as tx:
                await tx.execute("update catalog_product set seen_at = seen_at - 100")
            sb.delete_product(gone)
            sb.update_catalog("product", kept, {"name": "Kept, renamed"})
            answer = await web.api.post("/v1/catalog/sync", json={"connection_id": connection_id})
            assert (answer.status_code, answer.json()["sync_no"], answer.json()["state"]) == (202, 2, "running")
            again = await web.api.post("/v1/catalog/sync", json={})
            assert again.json()["sync_no"] == 2, "one is running already"
            await read_all(web)
        assert (await web.api.get("/v1/catalog/sync")).json()["deleted_count"] == 1
        assert [row["name"] for row in (await searched(web))["products"]] == ["Kept, renamed"]
        everything = (await searched(web, include_inactive=True))["products"]
        assert [(row["name"], row["is_deleted"]) for row in everything] == [("Gone", True), ("Kept, renamed", False)]

    with_web(scenario)


def test_what_is_made_anew_under_its_old_id_is_there_again(with_web: RunWeb) -> None:
    """Merchants choose the ids of coupons, and use one again after deleting it."""

    async def scenario(web: Any) -> None:
        sb = shop()
        connection_id = (await web.connection())["connection_id"]
        sb.create_coupon(percent_off=10, duration="once", id="SPRING", name="First")
        sb.advance_by(hours=1)
        sb.delete_coupon("SPRING")
        before = len(sb.events)
        (created, *_, deleted) = [event for event in sb.events if event["type"].startswith("coupon.")]
        await tell(web, connection_id, list(sb.events))
        assert (await searched(web))["coupons"] == []
        anew = {**created, "id": "evt_anew", "created": deleted["created"] + 60}
        await tell(web, connection_id, [anew])
        assert [row["coupon_id"] for row in (await searched(web))["coupons"]] == ["SPRING"]
        late = {**deleted, "id": "evt_late", "created": deleted["created"] - 3_000}
        await tell(web, connection_id, [late, {**created, "id": "evt_old"}])
        assert [row["coupon_id"] for row in (await searched(web))["coupons"]] == ["SPRING"], "an old event changed it"
        assert before == len(sb.events)
        gone = {**deleted, "id": "evt_gone", "created": anew["created"]}
        await tell(web, connection_id, [gone, {**anew, "id": "evt_same_second"}])
        assert (await searched(web))["coupons"] == []

    with_web(scenario)


def test_a_reading_goes_on_where_the_thing_it_stood_at_was_deleted(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        sb = shop()
        products = [sb.create_product(f"Product {number:03}")["id"] for number in range(150)]
        async with quiet_server(create_app(sb)) as url:
            await connect(web, url)
            assert await read_catalogs_due(web.database, web.app.context.vault, now) == 1
            sb.delete_product(products[50])  # the hundredth from the newest: the list goes on after it
            assert await read_all(web) == 0  # Stripe does not know it: from the part's beginning at the next turn
            await read_all(web)
        ended = (await web.api.get("/v1/catalog/sync")).json()
        assert (ended["state"], ended["error"]) == ("done", None)
        found = (await searched(web, limit=100))["products"]
        assert len(found) == 100
        rows = [row["product_id"] for row in (await searched(web, "Product 00", limit=100))["products"]]
        assert sorted(rows) == sorted(products[:10])

    with_web(scenario)


def test_an_account_of_the_platform_needs_no_key_of_its_own(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        connection_id = (await web.connection())["connection_id"]
        async with web.database.tenant(web.organization_id) as tx:
            await tx.execute("update connection set access = 'platform', stripe_account_id = 'acct_sample'")
        answer = await web.api.post("/v1/catalog/sync", json={"connection_id": connection_id})
        assert (answer.status_code, answer.json()["state"]) == (202, "running")

    with_web(scenario)


def test_failures_are_told_and_passed(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        sb = shop()
        sb.create_product("Mug")
        refused = await web.api.post(
            "/v1/catalog/sync", json={"connection_id": (await web.connection())["connection_id"]}
        )
        assert (refused.status_code, refused.json()["code"]) == (422, "api_key_required")
        async with quiet_server(create_app(sb)) as url:
            connection_id = await connect(web, url)
            sb.fail_next(kind="error", status=500, path="/v1/prices", count=8)
            await read_all(web)
            waiting = (await web.api.get("/v1/catalog/sync", params={"connection_id": connection_id})).json()
            assert (waiting["state"], waiting["part"], waiting["read_count"]) == ("running", "prices", 1)
            assert waiting["error"]
            sb.faults.clear()
            async with web.database.tenant(web.organization_id) as tx:
                await tx.execute("update catalog_sync set due_at = now()")
            await read_all(web)
        ended = (await web.api.get("/v1/catalog/sync", params={"connection_id": connection_id})).json()
        assert (ended["state"], ended["error"]) == ("done", None)

    with_web(scenario)


def test_a_price_in_every_form() -> None:
    price = {"id": "price_1", "object": "price", "product": "prod_1", "currency": "USD", "active": True}
    told = read_listed({**price, "unit_amount": None, "unit_amount_decimal": "0.5"}, "price", 5)
    assert told == Price("price_1", "prod_1", "usd", 5, unit_amount_decimal="0.5")
    monthly = {"interval": "month", "interval_count": 3}
    told = read_listed({**price, "unit_amount": 900, "recurring": monthly}, "price", 5)
    assert isinstance(told, Price)
    assert (told.interval, told.interval_count, told.unit_amount_minor) == ("month", 3, 900)
    with pytest.raises(UnreadableEvent):
        read_listed({**price, "recurring": {"interval": "fortnight"}}, "price", 5)
    with pytest.raises(UnreadableEvent):
        read_listed({"id": "prod_1", "object": "product"}, "price", 5)


def test_an_event_of_the_catalogue_tells_no_fact() -> None:
    product = {"id": "prod_1", "object": "product", "name": "Mug", "active": True}
    reading = read({"type": "product.created", "created": 5, "data": {"object": product}})
    assert isinstance(reading, Reading)
    assert (reading.facts, reading.needs, len(reading.catalog)) == ((), (), 1)
