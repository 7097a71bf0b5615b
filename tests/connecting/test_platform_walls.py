"""A platform's walls: test never tells of live, one organization's end is not another's, and what a merchant took away
comes back by the merchant alone."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connecting.test_oauth import SECRET, SESSION, approved, came_back, connected, delivered, event_of, sent
from connecting.town import Town, delivering, in_town, served
from refref.connecting.access import NoAccess, open_gateway, platform_access
from refref.connecting.endpoints import end_connection, repair_webhooks
from refref.connecting.keys import exchange_key
from refref.connecting.watch import check_connection, check_due
from refref.core.refusals import Refused
from refref.flows import accounts
from refref.sandbox.deliveries import sign
from refref.settings import StripePlatform
from refref.stripe.oauth import deauthorize, exchange_code
from refref.web.intake import Intake


async def second_organization(town: Town) -> Town:
    """The same RefRef, seen by another organization."""
    async with town.database.reference() as tx:
        made = await accounts.sign_up(
            tx,
            organization_name="Other Sample Shop",
            email="other@example.com",
            name="Other",
            password_hash="-",
            now=datetime.now(UTC),
            is_allowed=True,
        )
    return replace(town, organization_id=made.organization_id, user_id=made.user_id)


def test_a_live_event_signed_with_the_secret_for_tests_is_refused(database: str) -> None:
    """Secrets of test mode lie about on many machines; they must not reach live books."""

    async def story(town: Town) -> None:
        live = StripePlatform("live", "ca_live", "sk_live_sample", ("whsec_live_sample",), None)
        town.settings = replace(town.settings, platforms=(*town.settings.platforms, live))
        customer: dict[str, object] = {"id": "cus_1", "object": "customer"}
        event = json.loads(event_of("acct_1", "evt_1", "customer.created", customer))
        body = json.dumps({**event, "livemode": True}).encode()
        intake = Intake(town.database, town.vault)

        async def taken(path: str, secret: str) -> tuple[int, str]:
            answer = await intake.take(path, sign(body, secret, int(time.time())).encode(), body)
            return answer.status, answer.code

        assert await taken("platform-test", SECRET) == (400, "livemode_mismatch")
        async with town.database.reference() as tx:
            assert await tx.fetchval("select count(*) from platform_event") == 0
        assert await taken("platform-live", "whsec_live_sample") == (200, "")
        await intake.close()

    in_town(database, story, is_platform=True)


def test_one_organization_s_end_is_not_another_s(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        other = await second_organization(town)
        mine, theirs = await connected(town, merchant), await connected(other, merchant)
        ended, left = await end_connection(town.desk, town.acting, mine.connection_id)
        assert ended.status == "disabled"
        assert left is not None
        assert "another connection" in left
        after = await check_connection(other.desk, other.acting, theirs.connection_id)
        assert after.status == "active"
        _, left = await end_connection(other.desk, other.acting, theirs.connection_id)
        assert left is None
        assert town.sb.accounts.connection("acct_sandbox", merchant) is None

    in_town(database, story, is_platform=True)


def test_what_a_merchant_took_away_comes_back_to_whom_it_is_given_again(database: str) -> None:
    async def story(town: Town) -> None:
        other = await second_organization(town)
        async with served(town.settings, town.database) as url, delivering(town.sb) as deliveries:
            endpoint = town.sb.create_webhook_endpoint(
                f"{url}/stripe/webhooks/platform-test", enabled_events=("*",), connect=True
            )
            town.sb.find("webhook_endpoint", endpoint["id"])["_secret"] = SECRET
            merchant = town.sb.open_merchant("Sample Merchant")["id"]
            mine, theirs = await connected(town, merchant), await connected(other, merchant)
            town.sb.account(merchant).revoke_application(town.settings.platforms[0].client_id)
            await deliveries.drained()
            assert await check_due(town.desk, town.acting.now) == 2
            await connected(other, merchant)  # the merchant lets the other organization in again, and nobody else
            for _ in range(2):
                await check_connection(town.desk, town.acting, mine.connection_id)
            assert (await town.connection(mine.connection_id)).status == "degraded"
            assert await town.open_codes(mine.connection_id) == {"access_lost"}
            async with town.database.tenant(town.organization_id) as tx:
                with pytest.raises(NoAccess) as refused:
                    await open_gateway(tx, town.vault, replace(mine, status="active"))
            assert refused.value.code == "access_ended"
            assert (await other.connection(theirs.connection_id)).status == "active"
            later = event_of(merchant, "evt_later", "customer.created", {"id": "cus_1", "object": "customer"})
            assert await delivered(town, "platform-test", later) == 200
            heard = "select stripe_event_id from stripe_event where stripe_event_id = 'evt_later'"
            assert (len(await town.read(heard)), len(await other.read(heard))) == (0, 1)
            assert (await connected(town, merchant)).connection_id == mine.connection_id
            assert (await town.connection(mine.connection_id)).status == "active"

    in_town(database, story, is_platform=True)


def test_access_that_fails_without_the_merchant_s_doing_comes_back_by_itself(database: str) -> None:
    """As when the operator sets the key of another platform by mistake."""

    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        made = await connected(town, merchant)
        stranger = town.sb.open_merchant("Other platform")["id"]
        wrong = replace(town.settings.platforms[0], api_key=str(town.sb.create_key(None, account=stranger)["key"]))
        mistaken = replace(town, settings=replace(town.settings, platforms=(wrong,)))
        after = await check_connection(mistaken.desk, mistaken.acting, made.connection_id)
        assert (after.status, await town.open_codes(made.connection_id)) == ("degraded", {"access_lost"})
        after = await check_connection(town.desk, town.acting, made.connection_id)
        assert (after.status, await town.open_codes(made.connection_id)) == ("active", set())

    in_town(database, story, is_platform=True)


def key_town(database: str, story: Callable[[Town, str, str], Awaitable[None]]) -> None:
    """A platform's town with a merchant who is connected by a key of its own; the connection's id, the merchant's."""

    async def main(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        made = await town.connect(str(town.sb.create_key(None, account=merchant)["key"]))
        await story(town, made.connection_id, merchant)

    in_town(database, main, is_platform=True)


def test_from_a_key_to_the_platform(database: str) -> None:
    async def story(town: Town, connection_id: str, merchant: str) -> None:
        seen = await repair_webhooks(town.desk, town.acting, connection_id)
        endpoint = seen.review.endpoint
        assert endpoint is not None
        town.sb.account(merchant).update_webhook_endpoint(endpoint.stripe_endpoint_id, {"status": "disabled"})
        await check_connection(town.desk, town.acting, connection_id)
        assert await town.open_codes(connection_id) == {"endpoint_faulty"}
        again = await connected(town, merchant)
        assert (again.connection_id, again.access) == (connection_id, "platform")
        assert await town.open_codes(connection_id) == set()  # nobody would look at that endpoint any more
        _, left = await end_connection(town.desk, town.acting, connection_id)
        assert left is not None
        assert connection_id in left  # the address that the own endpoint still sends to

    key_town(database, story)


def test_from_the_platform_to_a_key_the_end_gives_both_back(database: str) -> None:
    async def story(town: Town, connection_id: str, merchant: str) -> None:
        await connected(town, merchant)
        await exchange_key(
            town.desk, town.acting, connection_id, str(town.sb.create_key(None, account=merchant)["key"])
        )
        assert (await town.connection(connection_id)).access == "key"
        await repair_webhooks(town.desk, town.acting, connection_id)
        _, left = await end_connection(town.desk, town.acting, connection_id)
        assert left is None
        assert town.sb.accounts.connection("acct_sandbox", merchant) is None
        assert list(town.sb.account(merchant).live("webhook_endpoint")) == []

    key_town(database, story)


def test_a_refused_trade_names_who_must_mend_it(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        brought = approved(town, await sent(town, session=SESSION), merchant)
        town.sb.revoke_key(town.settings.platforms[0].api_key)
        with pytest.raises(Refused) as refused:
            await came_back(town, brought)
        assert refused.value.code == "stripe_key_refused"
        assert "operator" in refused.value.sentence
        assert await town.read("select * from connection") == []

    in_town(database, story, is_platform=True)


def test_two_tabs_come_back_from_stripe_at_once(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        brought = [approved(town, await sent(town), merchant) for _ in range(3)]
        made = await asyncio.gather(*[came_back(town, one) for one in brought])
        assert len({connection.connection_id for connection in made}) == 1
        assert len(await town.read("select * from connection")) == 1

    in_town(database, story, is_platform=True)


def test_what_a_crash_cut_in_half_is_done_again(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        access = platform_access(town.settings.platforms[0])
        traded = approved(town, await sent(town), merchant)
        await exchange_code(access, traded["code"])  # Stripe gave the access, and here the process dies
        assert await town.read("select * from connection") == []
        made = await connected(town, merchant)
        assert made.status == "active"
        await deauthorize(access, merchant)  # Stripe took it back, and here the process dies
        ended, left = await end_connection(town.desk, town.acting, made.connection_id)
        assert (ended.status, left) == ("disabled", None)

        shop = await town.connect()
        await repair_webhooks(town.desk, town.acting, shop.connection_id)
        for endpoint in list(town.sb.live("webhook_endpoint")):  # deleted at Stripe, and here the process dies
            town.sb.delete_webhook_endpoint(endpoint["id"])
        ended, left = await end_connection(town.desk, town.acting, shop.connection_id)
        assert (ended.status, left) == ("disabled", None)

    in_town(database, story, is_platform=True)
