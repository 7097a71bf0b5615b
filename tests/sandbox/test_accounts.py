"""Several accounts behind one address: which key and which header reach which account, and what is refused."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.errors import StripeError
from sandbox.shop import CLOCK_START, Shop, code_of, sdk


def test_a_key_reaches_its_own_account_only(shop: Shop) -> None:
    merchant = shop.sb.open_merchant("Sample Shop")
    key = shop.sb.create_key(account=merchant["id"])["key"]
    own = sdk(shop.url, key).v1
    assert own.accounts.retrieve_current().id == merchant["id"]
    customer = own.customers.create({"email": "a@example.com"})
    assert shop.client.v1.customers.list().data == []
    assert [c.id for c in own.customers.list().data] == [customer.id]
    with pytest.raises(stripe.InvalidRequestError) as unknown:
        shop.client.v1.customers.retrieve(customer.id)
    assert (unknown.value.code, unknown.value.http_status) == ("resource_missing", 404)


def test_stripe_account_needs_a_connection(shop: Shop) -> None:
    merchant = shop.sb.open_merchant()["id"]
    with pytest.raises(stripe.PermissionError) as refused:
        shop.client.v1.customers.list(options={"stripe_account": merchant})
    assert (refused.value.http_status, code_of(refused.value)) == (403, "account_invalid")
    assert f"does not have access to account '{merchant}'" in str(refused.value)
    mine = shop.client.v1.accounts.create({"type": "express"}).id
    assert shop.client.v1.accounts.retrieve_current(options={"stripe_account": mine}).id == mine
    assert shop.client.v1.accounts.retrieve_current(options={"stripe_context": mine}).id == mine


@pytest.mark.parametrize(
    ("permissions", "allowed", "refused"),
    [
        ({"customer": "read"}, "GET /v1/customers", "POST /v1/customers"),
        ({"customer": "write"}, "POST /v1/customers", "GET /v1/charges"),
        ({"charge": "read"}, "GET /v1/refunds", "GET /v1/payment_intents"),
        ({"webhook": "write"}, "GET /v1/webhook_endpoints", "GET /v1/events"),
        ({"checkout_session": "read"}, "GET /v1/checkout/sessions", "GET /v1/balance"),
        ({"invoice": "read"}, "GET /v1/invoice_payments", "GET /v1/transfers"),
    ],
)
def test_a_restricted_key_may_do_what_it_is_permitted(
    shop: Shop, permissions: dict[str, str], allowed: str, refused: str
) -> None:
    made = shop.sb.create_key(permissions)
    assert made["key"].startswith("rk_test_")

    def ask(call: str) -> httpx.Response:
        method, path = call.split()
        return httpx.request(method, shop.url + path, headers={"authorization": f"Bearer {made['key']}"})

    assert ask(allowed).status_code == 200
    answer = ask(refused)
    error = answer.json()["error"]
    right = "read" if refused.startswith("GET") else "write"
    assert (answer.status_code, error["type"], error["code"]) == (
        403,
        "invalid_request_error",
        "more_permissions_required",
    )
    assert made["key"][-4:] in error["message"]
    assert made["key"] not in error["message"]
    assert f"_{right}' permission would allow this request to continue." in error["message"]


def test_a_key_can_be_restricted_later_and_revoked(shop: Shop) -> None:
    key = shop.sb.create_key()["key"]
    client = sdk(shop.url, key).v1
    assert client.balance.retrieve().object == "balance"
    shop.sb.restrict_key(key, {"event": "read"})
    with pytest.raises(stripe.PermissionError, match="rak_balance_read"):
        client.balance.retrieve()
    assert client.events.list({"type": "topup.created"}).data == []
    shop.sb.revoke_key(key)
    with pytest.raises(stripe.AuthenticationError) as gone:
        client.events.list()
    assert (gone.value.http_status, code_of(gone.value)) == (401, "api_key_expired")


def test_keys_nobody_made(shop: Shop) -> None:
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key"):
        sdk(shop.url, "sk_test_unknown").v1.balance.retrieve()
    with pytest.raises(stripe.PermissionError) as public:
        sdk(shop.url, "pk_test_sandbox").v1.balance.retrieve()
    assert code_of(public.value) == "secret_key_required"
    with pytest.raises(StripeError, match="read or write"):
        shop.sb.create_key({"charge": "all"})


def test_everything_is_kept_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    sb = Sandbox(clock_start=CLOCK_START, seed=7, path=path)
    sb.top_up(5000)
    partner = sb.create_account(type="express")["id"]
    sb.onboard(partner)
    sb.transfer(1200, "usd", partner)
    key = sb.create_key({"charge": "read"}, account=partner)["key"]
    gone = sb.create_account(type="express")["id"]
    sb.delete_account(gone)
    before = sb.account(partner).balance()
    events = [e["type"] for e in sb.connect_events]
    sb.close()
    again = Sandbox(path=path)
    assert again.account(partner).balance() == before
    assert [e["type"] for e in again.connect_events] == events
    assert (again.accounts.keys.owner(key), again.accounts.has(gone)) == (partner, False)
    again.advance_by(days=4)  # what was on its way goes on: the daily payout of the partner
    assert [p["status"] for p in again.account(partner).all("payout")] == ["paid"]
    assert len({e["id"] for a in again.accounts.members for e in a.events}) == sum(
        len(a.events) for a in again.accounts.members
    )
    again.close()


def test_events_of_accounts_go_to_connect_endpoints_with_the_account(sb: Sandbox) -> None:
    own = sb.create_webhook_endpoint("https://example.com/own")
    connect = sb.create_webhook_endpoint("https://example.com/connect", connect=True)
    bodies: dict[str, list[dict[str, object]]] = {"/own": [], "/connect": []}

    async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        path = url.removeprefix("https://example.com")
        secret = own["secret"] if path == "/own" else connect["secret"]
        stripe.WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], secret, 10**9)
        bodies[path].append(json.loads(body))
        return 200

    async def run() -> str:
        deliveries = Deliveries(sb, post)
        task = asyncio.create_task(deliveries.run())
        sb.top_up(5000)
        partner: str = sb.create_account(type="express")["id"]
        sb.onboard(partner)
        sb.transfer(500, "usd", partner)
        await deliveries.drained()
        task.cancel()
        return partner

    partner = asyncio.run(run())
    assert [b["type"] for b in bodies["/own"]] == ["topup.created", "topup.succeeded", "transfer.created"]
    assert not any("account" in b for b in bodies["/own"])
    assert sorted((str(b["type"]), b["account"]) for b in bodies["/connect"]) == [
        ("account.external_account.created", partner),
        ("account.updated", partner),
        ("capability.updated", partner),
    ]
