"""Money to partners: transfers, reversals and payouts, with funds that end; driven by the real SDK."""

import pytest

import stripe
from sandbox.shop import Shop
from sandbox.test_connect import partner, types


def available(shop: Shop, account: str | None = None, currency: str = "usd") -> int:
    """What an account can send away."""
    found = shop.client.v1.balance.retrieve(options={"stripe_account": account} if account else {})
    return sum(row.amount for row in found.available if row.currency == currency)


def test_a_transfer_moves_the_money(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    v1.topups.create({"amount": 10_000, "currency": "usd", "description": "Funds", "metadata": {"k": "v"}})
    sent = v1.transfers.create(
        {
            "amount": 700,
            "currency": "usd",
            "destination": account,
            "transfer_group": "run_1",
            "metadata": {"refref_payout_id": "pay_1"},
            "expand": ["destination", "destination_payment", "balance_transaction"],
        }
    )
    assert (sent.destination.id, sent.destination_payment.amount, sent.balance_transaction.net) == (account, 700, -700)
    assert sent.destination_payment.id.startswith("py_")
    assert (available(shop), available(shop, account)) == (9_300, 700)
    there = v1.charges.retrieve(sent.destination_payment.id, options={"stripe_account": account})
    assert there.source_transfer == sent.id
    v1.transfers.create({"amount": 300, "currency": "usd", "destination": account, "transfer_group": "run_2"})
    assert [t.id for t in v1.transfers.list({"transfer_group": "run_1"}).data] == [sent.id]
    assert len(v1.transfers.list({"destination": account, "created": {"gte": shop.sb.now}}).data) == 2
    changed = v1.transfers.update(sent.id, {"metadata": {"more": "yes"}})
    assert dict(changed.metadata.to_dict()) == {"refref_payout_id": "pay_1", "more": "yes"}
    assert [e["type"] for e in shop.sb.events if e["type"].startswith("transfer")] == [
        "transfer.created",
        "transfer.created",
        "transfer.updated",
    ]


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"amount": 10_001}, "balance_insufficient", None),
        ({"currency": "eur"}, "balance_insufficient", None),
        ({"destination": "acct_nobody"}, "resource_missing", "destination"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"source_transaction": "ch_nobody"}, "resource_missing", "source_transaction"),
    ],
)
def test_what_a_transfer_is_refused_for(shop: Shop, changes: dict[str, object], code: str, param: str | None) -> None:
    shop.sb.top_up(10_000)
    wish = {"amount": 100, "currency": "usd", "destination": partner(shop)} | changes
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.transfers.create(wish)
    assert (refused.value.http_status, refused.value.code, refused.value.param) == (400, code, param)
    assert (shop.client.v1.transfers.list().data, available(shop)) == ([], 10_000)


def test_an_account_without_the_capability_gets_nothing(shop: Shop) -> None:
    shop.sb.top_up(10_000)
    account = partner(shop)
    shop.sb.set_capability(account, "transfers", "inactive")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": account})
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    shop.sb.set_capability(account, "transfers", "active")
    assert shop.client.v1.transfers.create({"amount": 100, "currency": "usd", "destination": account}).amount == 100


def test_a_transfer_can_follow_the_money_of_a_charge(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    shop.sb.update_account(account, settings={"payouts": {"schedule": {"interval": "manual"}}})
    charge = shop.sb.create_charge(10_000, "usd")
    sent = v1.transfers.create(
        {"amount": 4_000, "currency": "usd", "destination": account, "source_transaction": charge["id"]}
    )
    assert sent.transfer_group == f"group_{charge['id']}" == v1.charges.retrieve(charge["id"]).transfer_group
    assert (available(shop), available(shop, account)) == (0, 0)
    with pytest.raises(stripe.InvalidRequestError, match="must not exceed the source amount"):
        v1.transfers.create(
            {"amount": 5_681, "currency": "usd", "destination": account, "source_transaction": charge["id"]}
        )
    with pytest.raises(stripe.InvalidRequestError, match="must be the same as the transfer currency"):
        v1.transfers.create(
            {"amount": 100, "currency": "eur", "destination": account, "source_transaction": charge["id"]}
        )
    shop.sb.advance_by(days=2)
    assert (available(shop), available(shop, account)) == (10_000 - 320 - 4_000, 4_000)


def test_a_recipient_waits_a_day_longer(shop: Shop) -> None:
    account = shop.sb.create_account(type="express", service_agreement="recipient")["id"]
    shop.sb.onboard(account)
    shop.sb.top_up(1_000)
    shop.sb.transfer(1_000, "usd", account)
    assert available(shop, account) == 0
    shop.sb.advance_by(days=1)
    assert available(shop, account) == 1_000


def test_reversals(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    shop.sb.top_up(1_000)
    sent = v1.transfers.create({"amount": 1_000, "currency": "usd", "destination": account}).id
    part = v1.transfers.reversals.create(sent, {"amount": 400, "metadata": {"why": "refund"}})
    assert (part.amount, part.metadata["why"], available(shop), available(shop, account)) == (400, "refund", 400, 600)
    with pytest.raises(stripe.InvalidRequestError, match="greater than the unreversed amount"):
        v1.transfers.reversals.create(sent, {"amount": 601})
    halfway = v1.transfers.retrieve(sent)
    assert (halfway.amount_reversed, halfway.reversed, halfway.reversals.data[0].id) == (400, False, part.id)
    rest = v1.transfers.reversals.create(sent)
    assert (rest.amount, v1.transfers.retrieve(sent).reversed) == (600, True)
    assert [r.id for r in v1.transfers.reversals.list(sent).data] == [rest.id, part.id]
    assert v1.transfers.reversals.retrieve(sent, part.id).destination_payment_refund.startswith("pyr_")
    with pytest.raises(stripe.InvalidRequestError, match="already fully reversed"):
        v1.transfers.reversals.create(sent)
    assert [e["type"] for e in shop.sb.events][-2:] == ["transfer.reversed", "transfer.reversed"]


def test_a_reversal_needs_the_money_to_be_there(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    shop.sb.top_up(1_000)
    sent = v1.transfers.create({"amount": 1_000, "currency": "usd", "destination": account}).id
    v1.payouts.create({"amount": 900, "currency": "usd"}, options={"stripe_account": account})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        v1.transfers.reversals.create(sent)
    assert refused.value.code == "balance_insufficient"
    assert v1.transfers.reversals.create(sent, {"amount": 100}).amount == 100


def test_a_payout_is_paid_and_may_still_fail(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    on = {"stripe_account": account}
    shop.sb.update_account(account, settings={"payouts": {"schedule": {"interval": "manual"}}})
    shop.sb.top_up(5_000)
    shop.sb.transfer(5_000, "usd", account)
    made = v1.payouts.create({"amount": 3_000, "currency": "usd", "metadata": {"k": "v"}}, options=on)
    assert (made.status, made.method, made.automatic, available(shop, account)) == ("pending", "standard", False, 2_000)
    shop.sb.advance_by(days=1)
    assert v1.payouts.retrieve(made.id, options=on).status == "in_transit"
    shop.sb.advance_by(days=1)
    assert v1.payouts.retrieve(made.id, options=on).status == "paid"
    shop.sb.account(account).fail_payout(made.id, "account_closed")
    failed = v1.payouts.retrieve(made.id, {"expand": ["failure_balance_transaction"]}, options=on)
    assert (failed.status, failed.failure_code, failed.failure_balance_transaction.net) == (
        "failed",
        "account_closed",
        3_000,
    )
    assert available(shop, account) == 5_000
    assert types(shop, account)[-4:] == ["payout.created", "payout.updated", "payout.paid", "payout.failed"]
    assert [p.id for p in v1.payouts.list({"status": "failed"}, options=on).data] == [made.id]


def test_payouts_are_cancelled_and_reversed(shop: Shop) -> None:
    v1 = shop.client.v1
    account = partner(shop)
    on = {"stripe_account": account}
    shop.sb.update_account(account, settings={"payouts": {"schedule": {"interval": "manual"}}})
    shop.sb.top_up(5_000)
    shop.sb.transfer(5_000, "usd", account)
    first = v1.payouts.create({"amount": 1_000, "currency": "usd"}, options=on).id
    assert (v1.payouts.cancel(first, options=on).status, available(shop, account)) == ("canceled", 5_000)
    second = v1.payouts.create({"amount": 2_000, "currency": "usd"}, options=on).id
    with pytest.raises(stripe.InvalidRequestError, match="Only a paid payout"):
        v1.payouts.reverse(second, options=on)
    shop.sb.advance_by(days=2)
    with pytest.raises(stripe.InvalidRequestError, match="while they are pending"):
        v1.payouts.cancel(second, options=on)
    back = v1.payouts.reverse(second, options=on)
    assert (back.amount, back.original_payout, available(shop, account)) == (-2_000, second, 3_000)
    shop.sb.advance_by(days=2)
    assert (v1.payouts.retrieve(second, options=on).reversed_by, available(shop, account)) == (back.id, 5_000)


def test_instant_payouts_cost_a_fee(shop: Shop) -> None:
    account = partner(shop)
    on = {"stripe_account": account}
    shop.sb.top_up(5_000)
    shop.sb.transfer(5_000, "usd", account)
    with pytest.raises(stripe.InvalidRequestError) as too_much:
        shop.client.v1.payouts.create({"amount": 5_000, "currency": "usd", "method": "instant"}, options=on)
    assert too_much.value.code == "balance_insufficient"
    made = shop.client.v1.payouts.create({"amount": 4_000, "currency": "usd", "method": "instant"}, options=on)
    assert available(shop, account) == 5_000 - 4_000 - 50
    shop.sb.advance_by(hours=1)
    assert shop.client.v1.payouts.retrieve(made.id, options=on).status == "paid"


@pytest.mark.parametrize(
    ("number", "code"), [("000111111113", "account_closed"), ("000111111116", "no_account"), ("000123456789", None)]
)
def test_bank_accounts_whose_payouts_fail(shop: Shop, number: str, code: str | None) -> None:
    account = shop.client.v1.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}}).id
    shop.sb.onboard(account, bank={"account_number": number})
    shop.sb.top_up(5_000)
    shop.sb.transfer(5_000, "usd", account)
    shop.sb.advance_by(days=4)
    found = shop.sb.account(account).all("payout")[0]
    assert (found["automatic"], found["failure_code"]) == (True, code)
    assert found["status"] == ("paid" if code is None else "failed")


@pytest.mark.parametrize(
    ("schedule", "created"),
    [
        ({"interval": "daily"}, "2026-02-01"),
        ({"interval": "weekly", "weekly_anchor": "friday"}, "2026-02-06"),
        ({"interval": "monthly", "monthly_anchor": 15}, "2026-02-15"),
        ({"interval": "manual"}, None),
    ],
)
def test_payouts_by_schedule(shop: Shop, schedule: dict[str, object], created: str | None) -> None:
    account = partner(shop)
    shop.client.v1.accounts.update(account, {"settings": {"payouts": {"schedule": schedule}}})
    shop.sb.top_up(5_000)
    shop.sb.transfer(5_000, "usd", account)
    shop.sb.advance("2026-02-20T00:00:00+00:00")
    made = shop.sb.account(account).all("payout")
    if created is None:
        assert (made, available(shop, account)) == ([], 5_000)
        return
    assert [p["amount"] for p in made] == [5_000]
    listed = shop.client.v1.balance_transactions.list({"payout": made[0]["id"]}, options={"stripe_account": account})
    assert [t.type for t in listed.data] == ["payout", "payment"]
    assert made[0]["created"] == shop.sb.now - 20 * 86_400 + int(created[-2:]) * 86_400
