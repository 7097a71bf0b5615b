"""Connect with Stripe: authorize, token, calls with Stripe-Account, and the end from both sides. Foreign and replayed
states are refused; events of the platform's endpoint find the account's connection."""

import json
import time
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from connecting.town import Town, delivering, in_town, served
from refref.connecting.access import Acting, NoAccess, open_gateway
from refref.connecting.endpoints import end_connection, review_webhooks
from refref.connecting.keys import check_permissions
from refref.connecting.oauth import send_to_stripe, take_back
from refref.connecting.watch import check_due
from refref.core.refusals import Refused
from refref.db.connections import StripeConnection
from refref.sandbox.deliveries import sign
from refref.web.intake import Intake

SESSION, OTHER_SESSION = b"session", b"other session"
SECRET = "whsec_platform_sample"


async def sent(town: Town, scope: str = "read_only", session: bytes = SESSION) -> dict[str, str]:
    """The parameters of the address at Stripe that a person is sent to."""
    address = await send_to_stripe(
        town.desk, town.acting, user_id=town.user_id, session_hash=session, mode="test", scope=scope
    )
    assert address.startswith(f"{town.stripe_url}/oauth/authorize?")
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def approved(town: Town, asked: dict[str, str], account: str) -> dict[str, str]:
    """What the browser brings back once the merchant has approved."""
    back = town.sb.authorize(
        asked["client_id"],
        account,
        scope=asked["scope"],
        redirect_uri=asked["redirect_uri"],
        state=asked["state"],
    )
    query = parse_qs(urlsplit(back).query)
    return {"state": query["state"][0], "code": query["code"][0]}


async def came_back(town: Town, brought: dict[str, str], session: bytes = SESSION) -> StripeConnection:
    return await take_back(
        town.desk, town.acting, session_hash=session, state=brought["state"], code=brought["code"], error=""
    )


async def connected(town: Town, account: str, scope: str = "read_only") -> StripeConnection:
    return await came_back(town, approved(town, await sent(town, scope), account))


async def listed(town: Town, connection: StripeConnection) -> object:
    """Whose customers the connection's gateway lists."""
    async with town.database.tenant(town.organization_id) as tx:
        gateway = await open_gateway(tx, town.vault, await town.connection(connection.connection_id))
    try:
        return (await gateway.read("/v1/account"))["id"]
    finally:
        await gateway.close()


@pytest.mark.parametrize("scope", ["read_only", "read_write"])
def test_a_merchant_is_connected_and_called_for(database: str, scope: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        made = await connected(town, merchant, scope)
        assert (made.access, made.oauth_scope, made.mode, made.status) == ("platform", scope, "test", "active")
        assert made.stripe_account_id == merchant
        assert await listed(town, made) == merchant
        report = await check_permissions(town.desk, town.acting, made.connection_id)
        assert report.missing == ()
        assert await town.read("select * from connection_secret") == []  # nothing to keep: the platform's key is ours
        with pytest.raises(Refused) as elsewhere:
            await review_webhooks(town.desk, town.acting, made.connection_id)
        assert elsewhere.value.code == "platform_endpoint"
        assert "connection.authorize" in {row["action"] for row in await town.read("select action from audit_log")}

    in_town(database, story, is_platform=True)


def test_a_state_is_good_once_in_its_session_and_for_a_while(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        brought = approved(town, await sent(town), merchant)
        late = Acting(town.organization_id, "system", town.acting.now + timedelta(minutes=16))
        foreign = {
            "another session": (town.acting, brought["state"], OTHER_SESSION),
            "nobody's": (town.acting, "made up", SESSION),
            "empty": (town.acting, "", SESSION),
            "too late": (late, brought["state"], SESSION),
        }
        for acting, state, session in foreign.values():
            with pytest.raises(Refused) as refused:
                await take_back(town.desk, acting, session_hash=session, state=state, code=brought["code"], error="")
            assert refused.value.code == "invalid_state"
        await came_back(town, brought)
        with pytest.raises(Refused) as replayed:
            await came_back(town, brought)
        assert replayed.value.code == "invalid_state"
        assert len(await town.read("select * from connection")) == 1

    in_town(database, story, is_platform=True)


def test_a_code_that_was_used_is_refused(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        brought = approved(town, await sent(town), merchant)
        await came_back(town, brought)
        again = await sent(town)
        with pytest.raises(Refused) as refused:
            await came_back(town, {"state": again["state"], "code": brought["code"]})
        assert refused.value.code == "invalid_code"

    in_town(database, story, is_platform=True)


def test_a_merchant_who_says_no(database: str) -> None:
    async def story(town: Town) -> None:
        asked = await sent(town)
        with pytest.raises(Refused) as refused:
            await take_back(
                town.desk, town.acting, session_hash=SESSION, state=asked["state"], code="", error="access_denied"
            )
        assert refused.value.code == "authorization_denied"
        assert await town.read("select * from connection") == []

    in_town(database, story, is_platform=True)


def test_without_a_platform_there_is_no_oauth(database: str) -> None:
    async def story(town: Town) -> None:
        with pytest.raises(Refused) as refused:
            await sent(town)
        assert refused.value.code == "no_platform"

    in_town(database, story)


def test_we_give_the_access_back(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        made = await connected(town, merchant)
        ended, left = await end_connection(town.desk, town.acting, made.connection_id)
        assert (ended.status, left) == ("disabled", None)
        assert town.sb.accounts.connection("acct_sandbox", merchant) is None
        again = await connected(town, merchant)  # the same connection is taken up, with its history
        assert (again.connection_id, again.status) == (made.connection_id, "active")

    in_town(database, story, is_platform=True)


def test_the_merchant_takes_it_away_and_gives_it_again(database: str) -> None:
    async def story(town: Town) -> None:
        async with served(town.settings, town.database) as url, delivering(town.sb) as deliveries:
            endpoint = town.sb.create_webhook_endpoint(
                f"{url}/stripe/webhooks/platform-test", enabled_events=("*",), connect=True
            )
            town.sb.find("webhook_endpoint", endpoint["id"])["_secret"] = SECRET
            merchant = town.sb.open_merchant("Sample Merchant")["id"]
            made = await connected(town, merchant)
            account = town.sb.account(merchant)
            account.create_customer(email="c@example.com")
            await deliveries.drained()
            assert await types_of(town) == {"account.application.authorized", "customer.created"}
            account.revoke_application(town.settings.platforms[0].client_id)
            await deliveries.drained()
            assert deliveries.failed == 0
            assert await check_due(town.desk, town.acting.now) == 1  # the event made the watch look at once
            assert (await town.connection(made.connection_id)).status == "degraded"
            assert await town.open_codes(made.connection_id) == {"access_lost"}
            with pytest.raises(NoAccess) as gone:
                await listed(town, made)
            assert gone.value.code == "access_ended"
            again = await connected(town, merchant)
            assert (again.connection_id, again.status) == (made.connection_id, "active")
            assert await town.open_codes(made.connection_id) == set()
            await check_due(town.desk, town.acting.now)
            assert (await town.connection(made.connection_id)).status == "active"

    in_town(database, story, is_platform=True)


def test_an_old_event_of_the_end_ends_nothing(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        made = await connected(town, merchant)
        body = event_of(
            merchant, "evt_old", "account.application.deauthorized", {"id": "ca_1", "object": "application"}
        )
        assert await delivered(town, "platform-test", body) == 200
        assert await check_due(town.desk, town.acting.now) == 1
        assert (await town.connection(made.connection_id)).status == "active"

    in_town(database, story, is_platform=True)


def event_of(account: str | None, event_id: str, kind: str, payload: dict[str, object]) -> bytes:
    event = {"id": event_id, "object": "event", "type": kind, "created": int(time.time()), "livemode": False}
    named = {} if account is None else {"account": account}
    return json.dumps({**event, **named, "api_version": "2026-10-28.endive", "data": {"object": payload}}).encode()


async def delivered(town: Town, path: str, body: bytes, secret: str = SECRET) -> int:
    intake = Intake(town.database, town.vault)
    try:
        return (await intake.take(path, sign(body, secret, int(time.time())).encode(), body)).status
    finally:
        await intake.close()


async def types_of(town: Town) -> set[str]:
    return {row["type"] for row in await town.read("select type from stripe_event")}


def test_events_of_unknown_accounts_are_kept_aside_until_somebody_connects(database: str) -> None:
    async def story(town: Town) -> None:
        merchant = town.sb.open_merchant("Sample Merchant")["id"]
        customer: dict[str, object] = {"id": "cus_1", "object": "customer", "email": "c@example.com"}
        early = event_of(merchant, "evt_early", "customer.created", customer)
        foreign = event_of("acct_nobodys", "evt_foreign", "customer.created", customer)
        own = event_of(None, "evt_own", "customer.created", customer)
        for body in (early, early, foreign, own):
            assert await delivered(town, "platform-test", body) == 200
        assert await types_of(town) == set()
        made = await connected(town, merchant)
        rows = await town.read("select connection_id, stripe_event_id, state from stripe_event")
        assert [tuple(row) for row in rows] == [(made.connection_id, "evt_early", "accepted")]
        assert len(await town.read("select * from inbox")) == 1
        async with town.database.reference() as tx:
            kept = await tx.fetch("select stripe_event_id from platform_event order by 1")
        assert [row[0] for row in kept] == ["evt_foreign", "evt_own"]

    in_town(database, story, is_platform=True)


@pytest.mark.parametrize(
    ("path", "secret", "status"),
    [
        ("platform-test", "whsec_wrong", 400),
        ("platform-live", SECRET, 404),
        ("platform-", SECRET, 404),
    ],
)
def test_the_platform_s_endpoint_refuses_what_is_not_signed_for_it(
    database: str, path: str, secret: str, status: int
) -> None:
    async def story(town: Town) -> None:
        body = event_of("acct_1", "evt_1", "customer.created", {"id": "cus_1", "object": "customer"})
        assert await delivered(town, path, body, secret) == status
        async with town.database.reference() as tx:
            assert await tx.fetchval("select count(*) from platform_event") == 0

    in_town(database, story, is_platform=True)
