"""The endpoint's repair in hard cases: what is not ours, two tabs, an account taken up again, one made by hand."""

import asyncio
from typing import Any

from connecting.town import Town, in_town
from refref.connecting.endpoints import end_connection, repair_webhooks, review_webhooks
from refref.connecting.keys import exchange_key
from refref.connecting.watch import check_connection
from refref.flows.connections import add_webhook_secret
from refref.flows.webhook_endpoints import endpoint_situation
from refref.stripe.client import API_VERSION
from refref.stripe.readers import events_to_enable


def endpoints_of(town: Town) -> list[dict[str, Any]]:
    return list(town.sb.live("webhook_endpoint"))


def test_the_endpoint_of_another_program_on_the_same_host_is_let_be(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        theirs = town.sb.create_webhook_endpoint(f"{town.base_url}/stripe/webhook", enabled_events=["invoice.paid"])
        before = dict(town.sb.find("webhook_endpoint", theirs["id"]))
        seen = await review_webhooks(town.desk, town.acting, made.connection_id)
        assert seen.review.endpoint is None
        assert [(found.code, found.names) for found in seen.review.findings] == [("wrong_url", (theirs["id"],))]
        mended = await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert mended.review.findings == ()
        assert town.sb.find("webhook_endpoint", theirs["id"]) == before
        assert len(endpoints_of(town)) == 2

    in_town(database, story)


def test_an_account_taken_up_again_gets_an_endpoint_that_lives(database: str) -> None:
    """Stripe repeats the answer of a day ago under its idempotency key, of an endpoint that is gone."""

    async def story(town: Town) -> None:
        made = await town.connect()
        await repair_webhooks(town.desk, town.acting, made.connection_id)
        await end_connection(town.desk, town.acting, made.connection_id)
        await exchange_key(town.desk, town.acting, made.connection_id, town.key())
        mended = await repair_webhooks(town.desk, town.acting, made.connection_id)
        assert mended.review.findings == ()
        (endpoint,) = endpoints_of(town)
        newest = await town.read(
            "select stripe_endpoint_id, hint from connection_secret where kind = 'webhook' and expires_at is null"
        )
        assert [tuple(row) for row in newest] == [(endpoint["id"], endpoint["_secret"][-4:])]

    in_town(database, story)


def test_two_tabs_roll_at_once(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        await repair_webhooks(town.desk, town.acting, made.connection_id)
        done = await asyncio.gather(
            *[repair_webhooks(town.desk, town.acting, made.connection_id, roll_secret=True) for _ in range(2)]
        )
        assert [seen.review.findings for seen in done] == [(), ()]
        (endpoint,) = endpoints_of(town)
        valid = await town.read(
            "select stripe_endpoint_id, expires_at is null as stays from connection_secret where kind = 'webhook'"
            " and (expires_at is null or expires_at > now()) order by secret_id"
        )
        assert [row["stays"] for row in valid].count(True) == 1
        assert valid[-1]["stripe_endpoint_id"] == endpoint["id"]

    in_town(database, story)


def test_events_of_published_custom_events_must_arrive(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        await repair_webhooks(town.desk, town.acting, made.connection_id)
        async with town.database.tenant(town.organization_id) as tx:
            await tx.execute(
                "insert into custom_event_type (organization_id, connection_id, stripe_type, customer_path)"
                " values ($1, $2, 'topup.succeeded', 'metadata.customer')",
                *(town.organization_id, made.connection_id),
            )
            situation = await endpoint_situation(tx, made, town.base_url, now=town.acting.now)
        assert "topup.succeeded" in situation.wanted.events
        seen = await review_webhooks(town.desk, town.acting, made.connection_id)
        assert [(found.code, found.names) for found in seen.review.findings] == [
            ("missing_events", ("topup.succeeded",))
        ]

    in_town(database, story)


async def made_by_hand(town: Town, connection_id: str) -> str:
    """An endpoint that a person made, with its secret pasted; its id."""
    url = f"{town.base_url}/stripe/webhooks/{connection_id}"
    by_hand = town.sb.create_webhook_endpoint(url, enabled_events=list(events_to_enable()), api_version=API_VERSION)
    async with town.database.tenant(town.organization_id) as tx:
        await add_webhook_secret(
            tx,
            town.vault,
            town.organization_id,
            connection_id,
            webhook_secret=by_hand["secret"],
            actor="system",
            now=town.acting.now,
        )
    return str(by_hand["id"])


def test_the_watch_looks_at_one_that_a_person_made(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        endpoint = await made_by_hand(town, made.connection_id)
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()
        town.sb.update_webhook_endpoint(endpoint, {"status": "disabled"})
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == {"endpoint_faulty"}
        town.sb.update_webhook_endpoint(endpoint, {"status": "enabled"})  # in the Dashboard
        await check_connection(town.desk, town.acting, made.connection_id)
        assert await town.open_codes(made.connection_id) == set()

    in_town(database, story)


def test_a_secret_pasted_over_that_of_our_endpoint_is_noticed(database: str) -> None:
    """The endpoint's own secret ends a day later; from then on every delivery would be refused."""

    async def story(town: Town) -> None:
        made = await town.connect()
        await repair_webhooks(town.desk, town.acting, made.connection_id)
        async with town.database.tenant(town.organization_id) as tx:
            await add_webhook_secret(
                tx,
                town.vault,
                town.organization_id,
                made.connection_id,
                webhook_secret="whsec_of_another_endpoint",
                actor="system",
                now=town.acting.now,
            )
            await tx.execute("update connection_secret set expires_at = now() where expires_at is not null")
        await check_connection(town.desk, town.acting, made.connection_id)
        rows = await town.read("select code, detail from connection_problem where ended_at is null")
        assert [tuple(row) for row in rows] == [("endpoint_faulty", "secret_unknown")]

    in_town(database, story)


def test_ending_a_connection_tells_of_an_endpoint_that_a_person_made(database: str) -> None:
    async def story(town: Town) -> None:
        made = await town.connect()
        endpoint = await made_by_hand(town, made.connection_id)
        ended, left = await end_connection(town.desk, town.acting, made.connection_id)
        assert ended.status == "disabled"
        assert left is not None
        assert endpoint in left
        assert [row["id"] for row in endpoints_of(town)] == [endpoint]

    in_town(database, story)
