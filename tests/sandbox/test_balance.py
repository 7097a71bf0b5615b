"""The merchant's balance: what charges bring after fees, what goes back, when it is there, and in which currency."""

import pytest

import stripe
from sandbox.shop import Shop

FUNDS_LATER = 2  # days


def balance(shop: Shop) -> dict[str, tuple[int, int]]:
    """Available and pending by currency."""
    found = shop.client.v1.balance.retrieve()
    pending = {row.currency: row.amount for row in found.pending}
    return {row.currency: (row.amount, pending[row.currency]) for row in found.available}


def test_a_charge_is_pending_and_then_available(shop: Shop) -> None:
    charge = shop.sb.create_charge(10_000, "usd")
    assert balance(shop) == {"usd": (0, 9_680)}  # 2.9 % + 30
    found = shop.client.v1.charges.retrieve(charge["id"], {"expand": ["balance_transaction"]}).balance_transaction
    assert (found.amount, found.fee, found.net, found.status) == (10_000, 320, 9_680, "pending")
    assert [(f.amount, f.type) for f in found.fee_details] == [(320, "stripe_fee")]
    shop.sb.advance_by(days=FUNDS_LATER)
    assert balance(shop) == {"usd": (9_680, 0)}
    assert shop.client.v1.balance_transactions.retrieve(found.id).status == "available"


def test_refunds_and_disputes_take_and_give_back(shop: Shop) -> None:
    first = shop.sb.create_charge(10_000, "usd")
    refund = shop.client.v1.refunds.create({"charge": first["id"], "amount": 1_000})
    entry = shop.client.v1.balance_transactions.retrieve(str(refund.balance_transaction))
    assert (entry.net, entry.type, entry.source) == (-1_000, "refund", refund.id)
    shop.sb.fail_refund(refund.id)
    assert balance(shop)["usd"] == (0, 9_680)
    dispute = shop.sb.dispute(first["id"])
    assert balance(shop)["usd"] == (0, 9_680 - 10_000 - 1_500)
    shop.sb.close_dispute(dispute["id"], "won")
    assert balance(shop)["usd"] == (0, 9_680 - 1_500)
    kinds = [t.reporting_category for t in shop.client.v1.balance_transactions.list().data]
    assert kinds == ["dispute_reversal", "dispute", "refund_failure", "refund", "charge"]
    only = shop.client.v1.balance_transactions.list({"type": "refund", "source": refund.id, "currency": "usd"}).data
    assert [t.id for t in only] == [entry.id]


def test_fees_can_be_set(shop: Shop) -> None:
    shop.sb.set_fees(150, 25)
    shop.sb.create_charge(10_000, "usd")
    assert balance(shop)["usd"] == (0, 10_000 - 175)


def test_every_currency_is_a_balance_of_its_own_unless_it_is_settled_in_another(shop: Shop) -> None:
    shop.sb.create_charge(10_000, "usd")
    shop.sb.create_charge(1_000, "eur")
    assert balance(shop) == {"eur": (0, 941), "usd": (0, 9_680)}
    shop.sb.settle_in("usd", {"eur": "1.234", "jpy": "0.67"})
    charge = shop.sb.create_charge(1_000, "eur")
    found = shop.client.v1.charges.retrieve(charge["id"], {"expand": ["balance_transaction"]})
    settled = found.balance_transaction
    # Stripe's own example: 10.00 EUR that become 12.34 USD.
    assert (found.currency, settled.currency, settled.amount, settled.exchange_rate) == ("eur", "usd", 1_234, 1.234)
    assert (settled.fee, settled.net) == (66, 1_168)
    yen = shop.sb.create_charge(1_000, "jpy")
    assert shop.sb.get(yen["balance_transaction"])["amount"] == 670
    refund = shop.sb.refund(charge["id"], amount=500)
    assert shop.sb.get(refund["balance_transaction"])["amount"] == -617


@pytest.mark.parametrize("rate", ["0", "-1", "many", ""])
def test_a_rate_must_be_one(shop: Shop, rate: str) -> None:
    with pytest.raises(Exception, match="Invalid rate for eur"):
        shop.sb.settle_in("usd", {"eur": rate})


def test_top_ups_and_the_card_that_pays_at_once(shop: Shop) -> None:
    v1 = shop.client.v1
    made = v1.topups.create({"amount": 5_000, "currency": "usd", "description": "Funds", "transfer_group": "g"})
    assert (made.status, made.amount, balance(shop)["usd"]) == ("succeeded", 5_000, (5_000, 0))
    assert v1.balance_transactions.retrieve(str(made.balance_transaction)).type == "topup"
    assert [t.id for t in v1.topups.list({"amount": {"gte": 5_000}}).data] == [made.id]
    assert v1.topups.list({"amount": {"gt": 5_000}}).data == []
    with pytest.raises(stripe.InvalidRequestError):
        v1.topups.cancel(made.id)
    v1.payment_intents.create(
        {"amount": 10_000, "currency": "usd", "confirm": True, "payment_method": "pm_card_bypassPending"}
    )
    assert balance(shop)["usd"] == (5_000 + 9_680, 0)


def test_balance_available_is_told_to_those_who_ask_for_it(shop: Shop) -> None:
    shop.sb.create_charge(1_000, "usd")
    shop.sb.advance_by(days=FUNDS_LATER)
    assert not [e for e in shop.sb.events if e["type"] == "balance.available"]
    shop.sb.create_webhook_endpoint("https://example.com/", enabled_events=["balance.available"])
    shop.sb.create_charge(2_000, "usd")
    shop.sb.create_charge(3_000, "usd")
    shop.sb.advance_by(days=FUNDS_LATER)
    told = [e for e in shop.sb.events if e["type"] == "balance.available"]
    assert [e["data"]["object"]["available"][0]["amount"] for e in told] == [941 + 1_912 + 2_883]
