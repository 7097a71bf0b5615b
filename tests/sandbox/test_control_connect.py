"""The control routes of accounts, keys and money, as a harness calls them."""

from collections.abc import Iterator

import httpx
import pytest

from refref.sandbox import Sandbox
from refref.sandbox.control import Control, control_routes
from refref.sandbox.deliveries import Deliveries
from refref.sandbox.safe_pages import is_local
from refref.sandbox.wire import create_app
from sandbox.shop import CLOCK_START, KEY, sdk
from serving import serve


@pytest.fixture
def server() -> Iterator[tuple[Sandbox, str]]:
    sb = Sandbox(clock_start=CLOCK_START, seed=7)

    async def post(*_: object) -> int:
        return 200

    url, stop = serve(create_app(sb, keys=[KEY], extra=control_routes(Control(sb, Deliveries(sb, post)), is_local)))
    yield sb, url
    stop()


def tell(url: str, what: str, **fields: object) -> dict[str, object]:
    """One control call; returns the object it made or changed."""
    answer = httpx.post(f"{url}/_sandbox/{what}", json=fields)
    assert answer.status_code == 200, answer.text
    made: dict[str, object] = answer.json()["object"]
    return made


def test_a_partner_is_paid_and_the_payout_fails(server: tuple[Sandbox, str]) -> None:
    sb, url = server
    v1 = sdk(url).v1
    account = v1.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}}).id
    tell(url, "onboard", account=account, pending=True)
    assert v1.accounts.retrieve(account).capabilities.transfers == "pending"
    tell(url, "capability", account=account, status="active")
    tell(url, "require", account=account, fields=["individual.id_number"], past_due=False)
    assert v1.accounts.retrieve(account).requirements.currently_due == ["individual.id_number"]
    assert tell(url, "top_up", amount=5_000)["status"] == "succeeded"
    sent = v1.transfers.create({"amount": 2_000, "currency": "usd", "destination": account}).id
    assert tell(url, "reverse_transfer", transfer=sent, amount=500)["amount"] == 500
    sb.advance_by(days=4)
    payout = v1.payouts.list(options={"stripe_account": account}).data[0]
    assert (payout.status, payout.amount) == ("paid", 1_500)
    assert tell(url, "fail_payout", on=account, payout=payout.id)["failure_code"] == "account_closed"
    tell(url, "settle_in", currency="usd", rates={"eur": "1.1"})
    tell(url, "fees", rate_bps=0, fixed=0)
    assert sb.get(sb.create_charge(1_000, "eur")["balance_transaction"])["net"] == 1_100


def test_keys_and_applications(server: tuple[Sandbox, str]) -> None:
    sb, url = server
    merchant = tell(url, "merchant", name="Sample Shop")["id"]
    key = str(tell(url, "key", account=merchant)["key"])
    assert sdk(url, key).v1.accounts.retrieve_current().id == merchant
    tell(url, "restrict_key", key=key, permissions={"customer": "read"})
    assert sdk(url, key).v1.customers.list().data == []
    assert tell(url, "revoke_key", key=key)["expired"] is True
    application = str(tell(url, "application", redirect_uris=["https://example.com/back"])["id"])
    code = sb.authorize(application, str(merchant)).partition("code=")[2]
    sb.exchange_code(code)
    assert tell(url, "shut_out", on=merchant, client_id=application)["object"] == "application"
    refused = httpx.post(f"{url}/_sandbox/onboard", json={})
    assert (refused.status_code, refused.json()["error"]) == (400, "Missing field 'account'.")
