"""What the pages of connections say: the mode of the one shown, how each is reached, nothing of what is over."""

import asyncio

from connecting.test_route_walls import person, walls
from connecting.town import Town
from refref.connecting.endpoints import end_connection, repair_webhooks
from refref.connecting.watch import check_connection
from refref.core.connection_health import Health
from refref.flows.connection_health import record_health
from refref.flows.connections import NewConnection, create_connection


async def listening(town: Town, mode: str, webhook_secret: str | None) -> str:
    async with town.database.tenant(town.organization_id) as tx:
        given = NewConnection(name=f"Listens, {mode}", mode=mode, webhook_secret=webhook_secret)
        made = await create_connection(tx, town.vault, town.organization_id, given, actor="system", now=town.acting.now)
    return made.connection_id


def test_the_strip_tells_the_mode_of_the_connection_on_the_page(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, test_id):
            owner = await person(town, app, "admin")
            live_id = await listening(town, "live", "whsec_sample0001")
            for in_view in (test_id, live_id):
                owner.http.cookies.set("refref-connection", in_view)
                assert "<strong>Test mode.</strong>" in (await owner.http.get(f"/integrations/stripe/{test_id}")).text
                live = (await owner.http.get(f"/integrations/stripe/{live_id}")).text
                assert "<strong>Test mode.</strong>" not in live

    asyncio.run(main())


def test_the_list_says_how_each_is_reached(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, _):
            owner = await person(town, app, "admin")
            await listening(town, "live", "whsec_sample0001")
            await listening(town, "test", None)
            page = (await owner.http.get("/integrations")).text
            for words in ("its own key", "webhooks alone", "nothing yet", "until then nothing arrives"):
                assert page.count(words) == 1, words

    asyncio.run(main())


def test_nothing_is_said_of_an_endpoint_and_a_key_that_are_gone(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, connection_id):
            owner = await person(town, app, "admin")
            await repair_webhooks(town.desk, town.acting, connection_id)
            path = f"/integrations/stripe/{connection_id}"
            good = ("Nothing is wrong with it", "What the key can do")
            page = (await owner.http.get(path)).text
            assert [words in page for words in good] == [True, True]
            await end_connection(town.desk, town.acting, connection_id)
            page = (await owner.http.get(path)).text
            assert [words in page for words in good] == [False, False]
            assert "what is sent here is refused" in page
            for address in (path, "/integrations"):
                page = (await owner.http.get(address)).text
                assert ("nothing any more" in page, "nothing yet" in page) == (True, False)

    asyncio.run(main())


def test_what_was_seen_before_a_cut_is_told_as_such(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, connection_id):
            owner = await person(town, app, "admin")
            await repair_webhooks(town.desk, town.acting, connection_id)
            async with town.database.tenant(town.organization_id) as tx:
                kept = await tx.fetchval("select hint from connection_secret where kind = 'api_key'")
            town.sb.revoke_key(next(key for key in town.sb.notes("_key") if key.endswith(kept)))
            await check_connection(town.desk, town.acting, connection_id)
            page = (await owner.http.get(f"/integrations/stripe/{connection_id}")).text
            assert "Nothing is wrong with it" not in page
            assert "Nothing was wrong with it then" in page
            assert "it may be different now" in page

    asyncio.run(main())


def test_one_that_only_listens_can_be_looked_at(database: str) -> None:
    async def main() -> None:
        async with walls(database) as (town, app, _):
            owner = await person(town, app, "admin")
            connection_id = await listening(town, "test", "whsec_sample0001")
            async with town.database.tenant(town.organization_id) as tx:
                changed = Health({"version_changed": "2024-06-20 to 2025-09-30.clover"}, frozenset())
                shown = await town.connection(connection_id)
                await record_health(tx, shown, changed, actor="system", now=town.acting.now)
            path = f"/integrations/stripe/{connection_id}"
            assert "Stripe sends another API version" in (await owner.http.get(path)).text
            pressed = await owner.http.post(f"{path}/check", data={"csrf_token": owner.csrf_token})
            assert pressed.status_code == 303
            assert await town.open_codes(connection_id) == set()

    asyncio.run(main())
