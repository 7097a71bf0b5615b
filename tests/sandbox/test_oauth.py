"""OAuth: a merchant lets a platform in and out again; driven by the real SDK and a browser's requests."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import stripe
from refref.sandbox import Sandbox
from refref.sandbox.errors import StripeError
from sandbox.shop import KEY, Shop, code_of, sdk

BACK = "https://example.com/back"


class Platform:
    """A platform's application, a merchant of its own, and an SDK client that knows the application."""

    def __init__(self, shop: Shop) -> None:
        self.sb: Sandbox = shop.sb
        self.url = shop.url
        self.client_id: str = shop.sb.register_application([BACK, "https://example.com/other"], name="Sample platform")[
            "id"
        ]
        self.merchant: str = shop.sb.open_merchant("Sample Shop")["id"]
        self.client = stripe.StripeClient(
            KEY,
            client_id=self.client_id,
            base_addresses={"api": shop.url, "connect": shop.url},
            http_client=stripe.RequestsClient(),
        )

    def code(self, scope: str = "read_write") -> str:
        """A fresh code of the merchant."""
        return parse_qs(urlsplit(self.sb.authorize(self.client_id, self.merchant, scope=scope)).query)["code"][0]

    def token(self, code: str) -> Any:
        """What a code is traded for."""
        return self.client.oauth.token({"grant_type": "authorization_code", "code": code})


@pytest.fixture
def platform(shop: Shop) -> Platform:
    return Platform(shop)


def consent(platform: Platform, asked: dict[str, str], answer: dict[str, str]) -> httpx.Response:
    """Open the consent page and answer it."""
    url = platform.client.oauth.authorize_url({"scope": "read_write", "redirect_uri": BACK, "state": "s1", **asked})
    page = httpx.get(url)
    if page.status_code != 200:
        return page
    token = page.text.partition('name="token" value="')[2].partition('"')[0]
    return httpx.post(url, data={"token": token, **answer})


def test_a_merchant_approves_and_the_platform_acts_for_it(platform: Platform) -> None:
    answer = consent(platform, {}, {"do": "approve", "account": platform.merchant})
    back = urlsplit(answer.headers["location"])
    query = parse_qs(back.query)
    assert (f"{back.scheme}://{back.netloc}{back.path}", query["state"], query["scope"]) == (
        BACK,
        ["s1"],
        ["read_write"],
    )
    made = platform.token(query["code"][0])
    assert (made.stripe_user_id, made.scope, made.livemode, made.token_type) == (
        platform.merchant,
        "read_write",
        False,
        "bearer",
    )
    as_merchant = {"stripe_account": platform.merchant}
    customer = platform.client.v1.customers.create({"email": "a@example.com"}, options=as_merchant)
    assert [c.id for c in sdk(platform.url, str(made.access_token)).v1.customers.list().data] == [customer.id]
    event = platform.sb.connect_events[0]
    assert (event["type"], event["account"]) == ("account.application.authorized", platform.merchant)
    assert event["data"]["object"] == {"id": platform.client_id, "object": "application", "name": "Sample platform"}


def test_the_page_opens_a_new_merchant_with_what_the_platform_knew(platform: Platform) -> None:
    known = {"stripe_user[email]": "new@example.com", "stripe_user[business_name]": "New Sample Shop"}
    url = platform.client.oauth.authorize_url({"redirect_uri": BACK}) + "&" + str(httpx.QueryParams(known))
    page = httpx.get(url).text
    assert 'value="new@example.com"' in page
    assert 'value="New Sample Shop"' in page
    answer = consent(platform, {}, {"do": "approve", "account": "new", "name": "New Sample Shop"})
    made = platform.token(parse_qs(urlsplit(answer.headers["location"]).query)["code"][0])
    found = platform.client.v1.accounts.retrieve(str(made.stripe_user_id))
    assert (found.business_profile.name, found.type, found.charges_enabled) == ("New Sample Shop", "standard", True)


@pytest.mark.parametrize(
    ("asked", "answer", "error"),
    [
        ({}, {"do": "deny"}, "access_denied"),
        ({"scope": "write_only"}, {}, "invalid_scope"),
        ({"response_type": "token"}, {}, "unsupported_response_type"),
    ],
)
def test_what_the_platform_hears_when_it_does_not_come_off(
    platform: Platform, asked: dict[str, str], answer: dict[str, str], error: str
) -> None:
    back = parse_qs(urlsplit(consent(platform, asked, answer).headers["location"]).query)
    assert (back["error"], back["state"]) == ([error], ["s1"])
    assert back["error_description"]


def test_only_registered_addresses_are_redirected_to(platform: Platform) -> None:
    refused = consent(platform, {"redirect_uri": "https://example.com/evil"}, {})
    assert (refused.status_code, "Invalid redirect URI" in refused.json()["error"]["message"]) == (400, True)
    unknown = consent(platform, {"client_id": "ca_unknown"}, {})
    assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid_client")
    forged = httpx.post(
        platform.client.oauth.authorize_url({"redirect_uri": BACK}), data={"token": "x", "do": "approve"}
    )
    assert forged.status_code == 403


def test_a_code_is_good_once(platform: Platform) -> None:
    code = platform.code()
    made = platform.token(code)
    with pytest.raises(stripe.oauth_error.InvalidGrantError, match="already been used"):
        platform.token(code)
    with pytest.raises(stripe.AuthenticationError) as gone:  # reuse is theft: what the code gave is revoked
        sdk(platform.url, str(made.access_token)).v1.balance.retrieve()
    assert code_of(gone.value) == "api_key_expired"


def test_a_code_lives_for_minutes(platform: Platform) -> None:
    code = platform.code()
    platform.sb.advance(platform.sb.now + 300)
    with pytest.raises(stripe.oauth_error.InvalidGrantError, match="expired"):
        platform.token(code)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"grant_type": "authorization_code", "code": "ac_unknown"}, stripe.oauth_error.InvalidGrantError),
        ({"grant_type": "authorization_code"}, stripe.oauth_error.InvalidRequestError),
        ({"grant_type": "refresh_token", "refresh_token": "rt_unknown"}, stripe.oauth_error.InvalidGrantError),
        ({"grant_type": "password"}, stripe.oauth_error.UnsupportedGrantTypeError),
        ({}, stripe.oauth_error.InvalidRequestError),
    ],
)
def test_what_the_token_endpoint_refuses(
    platform: Platform, params: dict[str, str], error: type[stripe.oauth_error.OAuthError]
) -> None:
    with pytest.raises(error) as refused:
        platform.client.oauth.token(params)  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.http_status == 400


def test_tokens_are_refreshed_within_their_scope(platform: Platform) -> None:
    made = platform.token(platform.code())
    smaller = platform.client.oauth.token(
        {"grant_type": "refresh_token", "refresh_token": str(made.refresh_token), "scope": "read_only"}
    )
    assert (smaller.scope, smaller.stripe_user_id, smaller.refresh_token) == (
        "read_only",
        platform.merchant,
        made.refresh_token,
    )
    reader = sdk(platform.url, str(smaller.access_token)).v1
    assert reader.customers.list().data == []
    with pytest.raises(stripe.PermissionError, match="read_only"):
        reader.customers.create({})
    read_only = platform.token(platform.code("read_only"))
    with pytest.raises(stripe.oauth_error.InvalidScopeError):
        platform.client.oauth.token(
            {"grant_type": "refresh_token", "refresh_token": str(read_only.refresh_token), "scope": "read_write"}
        )


def test_a_platform_that_may_only_read(platform: Platform) -> None:
    platform.token(platform.code("read_only"))
    as_merchant = {"stripe_account": platform.merchant}
    assert platform.client.v1.customers.list(options=as_merchant).data == []
    with pytest.raises(stripe.PermissionError, match="read_only"):
        platform.client.v1.customers.create({}, options=as_merchant)


@pytest.mark.parametrize("by_the_merchant", [False, True])
def test_it_ends_from_either_side(platform: Platform, by_the_merchant: bool) -> None:
    made = platform.token(platform.code())
    if by_the_merchant:
        platform.sb.account(platform.merchant).revoke_application(platform.client_id)
    else:
        gone = platform.client.oauth.deauthorize({"stripe_user_id": platform.merchant})
        assert gone.stripe_user_id == platform.merchant
    with pytest.raises(stripe.PermissionError) as refused:
        platform.client.v1.customers.list(options={"stripe_account": platform.merchant})
    assert code_of(refused.value) == "account_invalid"
    with pytest.raises(stripe.AuthenticationError):
        sdk(platform.url, str(made.access_token)).v1.balance.retrieve()
    with pytest.raises(stripe.oauth_error.InvalidGrantError):
        platform.client.oauth.token({"grant_type": "refresh_token", "refresh_token": str(made.refresh_token)})
    last = platform.sb.account(platform.merchant).events[-1]
    assert (last["type"], last["data"]["object"]["object"]) == ("account.application.deauthorized", "application")
    with pytest.raises(stripe.oauth_error.InvalidClientError, match="not connected"):
        platform.client.oauth.deauthorize({"stripe_user_id": platform.merchant})
    with pytest.raises(StripeError):
        platform.sb.account(platform.merchant).revoke_application(platform.client_id)
