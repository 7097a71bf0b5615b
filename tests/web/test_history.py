"""The API of readings: a backfill through the worker's own parts, a comparison, a statement, and polling."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from refref.flows.connections import NewConnection, create_connection
from refref.sandbox import Sandbox
from refref.sandbox.wire import create_app
from refref.worker.history import read_history_due, reconcile_due
from refref.worker.pace import Pace
from refref.worker.polling import poll_events_due
from refref.worker.pump import pump_once
from serving import quiet_server

RunWeb = Callable[..., None]


def now() -> int:
    return int(time.time())


def shop() -> Sandbox:
    """A week of sales to six customers, and a refund."""
    sb = Sandbox(clock_start=now() - 7 * 86_400, seed=5)
    price = sb.create_price(sb.create_product("P")["id"], "usd", 4_000, interval="month")["id"]
    for number in range(6):
        sb.sell(price=price, email=f"c{number}@customers.example")
        sb.advance_by(days=1)
    sb.refund(sb.all("charge")[0]["id"], amount=1_000)
    return sb


async def connect(web: Any, url: str) -> str:
    return str((await web.connection(api_key="rk_test_sample000000000000", api_base=url, mode=None))["connection_id"])


async def work(web: Any) -> None:
    while await read_history_due(web.database, web.app.context.vault, now, Pace(0)):
        pass
    while (await pump_once(web.database, now)).events:
        pass


async def begun(web: Any, **asked: Any) -> dict[str, Any]:
    answer = await web.api.post("/v1/readings", json=asked)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_backfill_from_asking_to_its_end(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async with quiet_server(create_app(shop())) as url:
            await connect(web, url)
            asked = await begun(web, kind="backfill")
            assert (asked["status"], asked["done_bps"], asked["seconds_left"]) == ("waiting", 0, None)
            twice = await web.api.post("/v1/readings", json={"kind": "backfill"})
            assert (twice.status_code, twice.json()["code"]) == (409, "history_running")
            path = f"/v1/readings/{asked['run_id']}"
            assert (await web.api.post(f"{path}/cancel")).json()["status"] == "cancelled"
            assert (await web.api.post(f"{path}/cancel")).json()["code"] == "history_over"
            assert (await web.api.post(f"{path}/resume")).json()["status"] == "waiting"
            await work(web)
            ended = (await web.api.get(path)).json()
        assert (ended["status"], ended["done_bps"], ended["error"]) == ("done", 10_000, None)
        counts = {part["part"]: part["stored_count"] for part in ended["parts"]}
        assert (counts["customers"], counts["invoices"], counts["refunds"]) == (6, 6, 1)
        (listed,) = (await web.api.get("/v1/readings", params={"kind": "backfill"})).json()["data"]
        assert listed["run_id"] == asked["run_id"]
        rows = (await web.api.get("/v1/decisions")).json()["data"]
        stored = (await web.api.get("/v1/events", params={"type": "refref.object.invoice"})).json()["data"]
        assert [(row["state"], row["source"]) for row in stored] == [("done", "backfill")] * 6
        one = (await web.api.get(f"/v1/events/{stored[0]['stripe_event_id']}")).json()
        assert one["type"] == "refref.object.invoice"
        why = await web.api.get(f"/v1/explain/{stored[0]['object_id']}")
        assert why.status_code == 200
        assert [row["paid"] for row in rows] == [{"amount_minor": 4_000, "currency": "usd"}] * 6

    with_web(scenario)


def test_a_comparison_finds_what_no_webhook_brought(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async with quiet_server(create_app(shop())) as url:
            await connect(web, url)
            found = await begun(web, kind="reconcile", from_at="2020-01-01T00:00:00Z")
            await work(web)
            path = f"/v1/readings/{found['run_id']}"
            gaps = (await web.api.get(f"{path}/gaps")).json()
            assert {gap["part"] for gap in gaps} >= {"events"}
            assert ("events", "invoice.paid") in {(gap["part"], gap["detail"]) for gap in gaps}
            again = await begun(web, kind="reconcile", from_at="2020-01-01T00:00:00Z")
            await work(web)
            assert (await web.api.get(f"/v1/readings/{again['run_id']}/gaps")).json() == []

    with_web(scenario)


def test_a_statement_with_its_lines(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        sb = Sandbox(clock_start=now() - 60, seed=5)  # of one month, whatever day it is
        price = sb.create_price(sb.create_product("P")["id"], "usd", 4_000, interval="month")["id"]
        for number in range(3):
            sb.sell(price=price, email=f"c{number}@customers.example")
        month = time.strftime("%Y-%m", time.gmtime(sb.now))
        async with quiet_server(create_app(sb)) as url:
            await connect(web, url)
            await begun(web, kind="backfill")
            await work(web)
            found = await begun(web, kind="statement", month=month)
            await work(web)
        path = f"/v1/readings/{found['run_id']}"
        sums = (await web.api.get(f"{path}/statement")).json()
        assert (sums["month"], sums["reading"]["status"]) == (month, "done")
        assert [(row["payment_class"], row["count"], row["paid_minor"]) for row in sums["classes"]] == [
            ("not_attributed", 3, 12_000)
        ]
        assert [(row["currency"], row["explained_bps"], row["count"]) for row in sums["explained"]] == [
            ("usd", 10_000, 3)
        ]
        first = (await web.api.get(f"{path}/payments", params={"limit": 2})).json()
        rest = (await web.api.get(f"{path}/payments", params={"limit": 2, "cursor": first["next_cursor"]})).json()
        keys = [row["payment_key"] for page in (first, rest) for row in page["data"]]
        assert len(set(keys)) == 3
        movements = (await web.api.get(f"{path}/movements")).json()["data"]
        assert sorted(row["payment_key"] for row in movements) == sorted(keys)

    with_web(scenario)


def test_bad_input_names_the_field_and_the_remedy(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        cases = (
            ({"kind": "statement", "month": "March"}, "invalid_month", "month"),
            ({"kind": "statement", "month": "2999-01"}, "invalid_month", "month"),
            ({"kind": "backfill", "from_at": "2999-01-01T00:00:00Z"}, "invalid_span", "from_at"),
            ({"kind": "statement", "month": "9999-12"}, "invalid_month", "month"),
            ({"kind": "reconcile", "from_at": "2026-01-01T00:00:00"}, "invalid_span", "from_at"),
            ({"kind": "reconcile", "until_at": "2020-01-01T00:00:00Z", "from_at": "2021-01-01T00:00:00Z"},
             "invalid_span", "from_at"),
        )  # fmt: skip
        for body, code, field in cases:
            refused = await web.api.post("/v1/readings", json=body)
            assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, code, field), body
        for path in ("", "/gaps", "/statement", "/payments", "/movements"):
            answer = await web.api.get(f"/v1/readings/rdg_none{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_reading")
        asked = await begun(web, kind="reconcile")
        for path in ("/statement", "/payments", "/movements"):  # a comparison is no statement
            answer = await web.api.get(f"/v1/readings/{asked['run_id']}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_reading")

    with_web(scenario)


def test_without_a_key_a_reading_waits_and_says_why(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        await web.connection()
        asked = await begun(web, kind="backfill")
        await work(web)
        waits = (await web.api.get(f"/v1/readings/{asked['run_id']}")).json()
        assert waits["status"] == "waiting"
        assert "connect the account again" in waits["error"]

    with_web(scenario)


def test_polling_is_switched_on_and_off(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        sb = shop()
        async with quiet_server(create_app(sb)) as url:
            await connect(web, url)
            assert (await web.api.get("/v1/event_poll")).json()["is_intake"] is False
            assert (await web.api.put("/v1/event_poll", json={"is_intake": True})).json()["is_intake"] is True
            new = await poll_events_due(web.database, web.app.context.vault, now, Pace(0))
            assert new > 20
            polled = (await web.api.get("/v1/event_poll")).json()
            assert (polled["new_count"], polled["error"]) == (new, None)
            assert polled["read_count"] >= len(sb.events)
            assert await poll_events_due(web.database, web.app.context.vault, now, Pace(0)) == 0  # not due yet
        actions = [row["action"] for row in (await web.api.get("/v1/audit_log")).json()["data"]]
        assert "connection.intake" in actions

    with_web(scenario)


def test_the_nightly_comparison_is_asked_for_once_a_day(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        async with quiet_server(create_app(shop())) as url:
            await connect(web, url)
            assert await reconcile_due(web.database, now) == 0  # the connection is new
            async with web.database.tenant(web.organization_id) as tx:
                await tx.execute("update connection set created_at = now() - interval '25 hours'")
            assert await reconcile_due(web.database, now) == 1
            assert await reconcile_due(web.database, now) == 0
            (asked,) = (await web.api.get("/v1/readings", params={"kind": "reconcile"})).json()["data"]
        assert asked["created_by"] == "system"

    with_web(scenario)


def test_an_account_s_history_is_asked_for_when_it_is_connected(with_web: RunWeb) -> None:
    async def scenario(web: Any) -> None:
        given = NewConnection(name="Shop", api_key="rk_test_sample000000000000")  # nobody calls Stripe: it is not tried
        async with web.database.tenant(web.organization_id) as tx:
            await create_connection(
                tx, web.app.context.vault, web.organization_id, given, actor="system", now=datetime.now(UTC)
            )
        (asked,) = (await web.api.get("/v1/readings", params={"kind": "backfill"})).json()["data"]
        assert (asked["status"], asked["from_at"], asked["created_by"]) == ("waiting", None, "system")

    with_web(scenario)
