"""Connected accounts: made, onboarded, asked for more, paid, and paid out; driven by the real SDK."""

from typing import Any

import httpx
import pytest

import stripe
from refref.sandbox.errors import StripeError
from sandbox.shop import Shop, code_of

EXPRESS = {
    "country": "US",
    "email": "partner@example.com",
    "controller": {
        "losses": {"payments": "application"},
        "fees": {"payer": "application"},
        "stripe_dashboard": {"type": "express"},
    },
    "capabilities": {"transfers": {"requested": True}},
    "tos_acceptance": {"service_agreement": "recipient"},
    "metadata": {"participant": "prt_1"},
}


def partner(shop: Shop, **more: object) -> str:
    """An express account that has been onboarded."""
    made: str = shop.client.v1.accounts.create(
        {"type": "express", "capabilities": {"transfers": {"requested": True}}}
    ).id
    shop.sb.onboard(made)
    return made


def types(shop: Shop, account: str) -> list[str]:
    """The events of an account, oldest first."""
    found = shop.client.v1.events.list({"limit": 100}, options={"stripe_account": account})
    return [e.type for e in found.data][::-1]


def test_an_account_is_made_and_lacks_everything(shop: Shop) -> None:
    v1 = shop.client.v1
    made = v1.accounts.create(EXPRESS)
    assert (made.type, made.email, made.metadata["participant"]) == ("express", "partner@example.com", "prt_1")
    assert made.controller.stripe_dashboard.type == "express"
    assert (made.details_submitted, made.payouts_enabled, made.capabilities.transfers) == (False, False, "inactive")
    assert "individual.first_name" in made.requirements.currently_due
    assert "external_account" in made.requirements.past_due
    assert made.requirements.disabled_reason == "requirements.past_due"
    assert v1.accounts.retrieve(made.id).id == made.id
    assert [a.id for a in v1.accounts.list().data] == [made.id]
    assert types(shop, made.id) == []


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"type": "custom"}, "custom"),
        ({"type": "standard"}, "standard"),
        ({}, "standard"),
        (
            {"controller": {"fees": {"payer": "application"}, "losses": {"payments": "application"},
                            "requirement_collection": "application", "stripe_dashboard": {"type": "none"}}},
            "custom",
        ),
        ({"controller": {"stripe_dashboard": {"type": "none"}}}, "none"),
    ],
)  # fmt: skip
def test_the_type_follows_from_the_controller(shop: Shop, given: stripe.params.AccountCreateParams, kind: str) -> None:
    assert shop.client.v1.accounts.create(given).type == kind


def test_type_and_controller_exclude_each_other(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="mutually exclusive"):
        shop.client.v1.accounts.create({**EXPRESS, "type": "express"})


def test_a_partner_fills_in_the_onboarding_page(shop: Shop) -> None:
    v1 = shop.client.v1
    account = v1.accounts.create(EXPRESS).id
    shop.sb.public_url = shop.url
    link = v1.account_links.create(
        {
            "account": account,
            "type": "account_onboarding",
            "refresh_url": "https://example.com/again",
            "return_url": "https://example.com/done",
        }
    )
    assert link.expires_at - link.created == 300
    with httpx.Client() as browser:
        opened = browser.get(link.url)
        page = browser.get(shop.url + opened.headers["location"])
        assert "Get paid by Sample merchant" in page.text
        token = page.text.partition('name="token" value="')[2].partition('"')[0]
        form = {"token": token, "do": "submit", "first_name": "Sample", "last_name": "Partner"}
        assert "Please fill in: e-mail" in browser.post(str(page.url), data=form).text
        form |= {"email": "new@example.com", "date_of_birth": "1990-01-01", "account_number": "000123456789"}
        done = browser.post(str(page.url), data={**form, "agreed": "yes"})
        assert (done.status_code, done.headers["location"]) == (303, "https://example.com/done")
        assert browser.get(link.url).headers["location"] == "https://example.com/again"
        assert browser.post(str(page.url), data={**form, "token": "x"}).status_code == 403
    found = v1.accounts.retrieve(account)
    assert (found.details_submitted, found.payouts_enabled, found.capabilities.transfers) == (True, True, "active")
    assert (found.individual.first_name, found.email) == ("Sample", "new@example.com")
    assert (found.requirements.currently_due, found.external_accounts.data[0].last4) == ([], "6789")
    assert types(shop, account) == ["account.external_account.created", "account.updated", "capability.updated"]
    told = v1.events.list(options={"stripe_account": account}).data[0]
    assert (told.account, v1.events.retrieve(told.id, options={"stripe_account": account}).account) == (
        account,
        account,
    )


def test_an_account_link_lives_for_minutes(shop: Shop) -> None:
    account = shop.client.v1.accounts.create(EXPRESS).id
    shop.sb.public_url = shop.url
    urls = {"refresh_url": "https://example.com/again", "return_url": "https://example.com/done"}
    link = shop.sb.create_account_link(account, **urls)
    shop.sb.advance(shop.sb.now + 301)
    assert httpx.get(link["url"]).headers["location"] == "https://example.com/again"
    assert httpx.get(f"{shop.url}/setup/unknown").status_code == 404
    with pytest.raises(StripeError, match="account_update"):
        shop.sb.create_account_link(account, type="account_update", **urls)


def test_the_express_dashboard_opens_once(shop: Shop) -> None:
    v1 = shop.client.v1
    fresh = v1.accounts.create(EXPRESS).id
    with pytest.raises(stripe.InvalidRequestError, match="has not completed onboarding"):
        v1.accounts.login_links.create(fresh)
    account = partner(shop)
    shop.sb.top_up(5000)
    shop.sb.transfer(1234, "usd", account)
    shop.sb.public_url = shop.url
    link = v1.accounts.login_links.create(account)
    assert "12.34 USD" in httpx.get(link.url).text
    assert httpx.get(link.url).status_code == 404
    standard = v1.accounts.create({"type": "standard"}).id
    with pytest.raises(stripe.InvalidRequestError, match="without an Express Dashboard"):
        v1.accounts.login_links.create(standard)


def test_a_custom_account_is_completed_over_the_api(shop: Shop) -> None:
    v1 = shop.client.v1
    made = v1.accounts.create({"type": "custom", "country": "DE", "capabilities": {"transfers": {"requested": True}}})
    assert made.default_currency == "eur"
    bank = {"object": "bank_account", "country": "DE", "currency": "eur", "account_number": "DE89370400440532013000"}
    half = v1.accounts.update(
        made.id,
        {
            "business_type": "individual",
            "business_profile": {"url": "https://example.com"},
            "individual": {"first_name": "A", "last_name": "B", "dob": {"day": 1, "month": 2, "year": 1990}},
            "external_account": bank,
            "settings": {"payouts": {"schedule": {"interval": "manual"}}},
        },
    )
    assert half.requirements.currently_due == ["tos_acceptance.date", "tos_acceptance.ip"]
    done = v1.accounts.update(made.id, {"tos_acceptance": {"date": shop.sb.now, "ip": "192.0.2.1"}})
    assert (done.capabilities.transfers, done.payouts_enabled) == ("active", True)
    assert done.settings.payouts.schedule.interval == "manual"
    express = v1.accounts.create(EXPRESS).id
    with pytest.raises(stripe.InvalidRequestError, match="cannot accept the Terms of Service"):
        v1.accounts.update(express, {"tos_acceptance": {"date": shop.sb.now, "ip": "192.0.2.1"}})


def test_stripe_asks_for_more_and_changes_capabilities(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    shop.sb.require(account, ["individual.verification.document"], deadline=shop.sb.now + 864_000)
    warned = v1.accounts.retrieve(account)
    assert (warned.requirements.currently_due, warned.capabilities.transfers) == (
        ["individual.verification.document"],
        "active",
    )
    error = {
        "code": "verification_document_expired",
        "reason": "The document has expired.",
        "requirement": "individual.verification.document",
    }
    shop.sb.require(account, ["individual.verification.document"], past_due=True, errors=[error])
    stopped = v1.accounts.retrieve(account)
    assert (stopped.capabilities.transfers, stopped.payouts_enabled) == ("inactive", False)
    assert stopped.requirements.errors[0].code == "verification_document_expired"
    shop.sb.require(account, [])
    assert v1.accounts.retrieve(account).capabilities.transfers == "active"
    shop.sb.set_capability(account, "transfers", "pending")
    capability = v1.accounts.capabilities.retrieve(account, "transfers")
    assert (capability.status, capability.requirements.disabled_reason) == ("pending", "pending.review")
    assert [c.status for c in v1.accounts.capabilities.list(account).data] == ["pending"]
    changed = v1.events.list({"type": "capability.updated", "limit": 1}, options={"stripe_account": account}).data[0]
    assert changed.data.previous_attributes["status"] == "active"
    assert v1.accounts.capabilities.update(account, "card_payments", {"requested": True}).status == "active"


@pytest.mark.parametrize("reason", ["fraud", "fraud_other"])
def test_a_rejected_account_can_do_nothing(shop: Shop, reason: Any) -> None:
    account = partner(shop)
    rejected = shop.client.v1.accounts.reject(account, {"reason": reason})
    assert (rejected.requirements.disabled_reason, rejected.capabilities.transfers, rejected.payouts_enabled) == (
        "rejected.platform_fraud",
        "inactive",
        False,
    )


def test_external_accounts(shop: Shop) -> None:
    account = partner(shop)
    rows = shop.client.v1.accounts.external_accounts
    first = rows.list(account).data[0]
    card = rows.create(account, {"external_account": "tok_visa_debit", "default_for_currency": True})
    assert (card.object, card.default_for_currency) == ("card", True)
    assert rows.retrieve(account, first.id).default_for_currency is False
    with pytest.raises(stripe.InvalidRequestError, match="cannot delete the default"):
        rows.delete(account, card.id)
    assert rows.update(account, first.id, {"default_for_currency": True, "metadata": {"k": "v"}}).metadata["k"] == "v"
    assert rows.delete(account, card.id).deleted
    assert [e.id for e in rows.list(account).data] == [first.id]
    assert types(shop, account)[-3:] == [
        "account.updated",
        "account.external_account.deleted",
        "account.updated",
    ]


def test_an_account_is_deleted_once_its_balance_is_zero(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    shop.sb.top_up(1000)
    sent = v1.transfers.create({"amount": 1000, "currency": "usd", "destination": account})
    with pytest.raises(stripe.InvalidRequestError, match="has a balance"):
        v1.accounts.delete(account)
    v1.transfers.reversals.create(sent.id)
    assert v1.accounts.delete(account).deleted
    with pytest.raises(stripe.PermissionError) as gone:
        v1.accounts.retrieve(account)
    assert (gone.value.http_status, code_of(gone.value)) == (403, "account_invalid")
    with pytest.raises(stripe.InvalidRequestError, match="not connected to your platform"):
        v1.account_links.create(
            {
                "account": account,
                "type": "account_onboarding",
                "refresh_url": "https://x.test",
                "return_url": "https://x.test",
            }
        )
    assert [e["type"] for e in shop.sb.account(account).events][-1] == "account.application.deauthorized"
