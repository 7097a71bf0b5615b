"""Credit grants and entitlements: rewards to customers that are no money."""

import pytest

import stripe
from sandbox.shop import Shop


def test_a_credit_grant_and_its_end(shop: Shop) -> None:
    v1 = shop.client.v1
    customer = v1.customers.create({"email": "a@example.com"}).id
    wish: stripe.params.billing.CreditGrantCreateParams = {
        "customer": customer,
        "amount": {"type": "monetary", "monetary": {"value": 1000, "currency": "usd"}},
        "applicability_config": {"scope": {"price_type": "metered"}},
        "category": "promotional",
        "name": "Reward",
        "metadata": {"refref_referral_id": "rfl_1"},
    }
    made = v1.billing.credit_grants.create(wish)
    assert (made.amount.monetary.value, made.priority, made.expires_at, made.effective_at) == (
        1000,
        50,
        None,
        shop.sb.now,
    )
    assert [e["type"] for e in shop.sb.events][-1] == "billing.credit_grant.created"
    later = shop.sb.now + 864_000
    assert v1.billing.credit_grants.update(made.id, {"expires_at": later, "metadata": {"k": "v"}}).expires_at == later
    assert v1.billing.credit_grants.expire(made.id).expires_at == shop.sb.now
    with pytest.raises(stripe.InvalidRequestError, match="expired"):
        v1.billing.credit_grants.void_grant(made.id)
    other = v1.billing.credit_grants.create(wish)
    assert v1.billing.credit_grants.void_grant(other.id).voided_at == shop.sb.now
    assert [g.id for g in v1.billing.credit_grants.list({"customer": customer}).data] == [other.id, made.id]
    assert v1.billing.credit_grants.retrieve(other.id).metadata["refref_referral_id"] == "rfl_1"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"customer": "cus_nobody"}, "customer"),
        ({"category": "gift"}, "category"),
        ({"priority": 101}, "priority"),
        ({"expires_at": 1}, "expires_at"),
        ({"amount": {"type": "monetary", "monetary": {"value": 0, "currency": "usd"}}}, "amount[monetary][value]"),
    ],
)
def test_what_a_grant_is_refused_for(shop: Shop, changes: dict[str, object], param: str) -> None:
    wish = {
        "customer": shop.sb.create_customer()["id"],
        "amount": {"type": "monetary", "monetary": {"value": 100, "currency": "usd"}},
        "applicability_config": {"scope": {"price_type": "metered"}},
        "category": "promotional",
    }
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.client.v1.billing.credit_grants.create(wish | changes)
    assert refused.value.param == param


def told(shop: Shop) -> list[list[str]]:
    """What each summary event says the customer is entitled to."""
    kind = "entitlements.active_entitlement_summary.updated"
    summaries = [e["data"]["object"]["entitlements"]["data"] for e in shop.sb.events if e["type"] == kind]
    return [[each["lookup_key"] for each in row] for row in summaries]


def test_features_come_and_go_with_the_subscription(shop: Shop) -> None:
    v1 = shop.client.v1
    feature = v1.entitlements.features.create({"name": "Reports", "lookup_key": "reports"})
    product = v1.prices.retrieve(shop.monthly).product
    attached = v1.products.features.create(str(product), {"entitlement_feature": feature.id})
    assert [f.id for f in v1.products.features.list(str(product)).data] == [attached.id]
    customer = shop.sb.create_customer(email="a@example.com")["id"]
    assert v1.entitlements.active_entitlements.list({"customer": customer}).data == []
    sub = shop.sb.subscribe(customer, price=shop.monthly)["id"]
    held = v1.entitlements.active_entitlements.list({"customer": customer}).data
    assert [(e.feature, e.lookup_key) for e in held] == [(feature.id, "reports")]
    assert v1.entitlements.active_entitlements.retrieve(held[0].id).lookup_key == "reports"
    second = v1.entitlements.features.create({"name": "Exports", "lookup_key": "exports"})
    more = v1.products.features.create(str(product), {"entitlement_feature": second.id})
    v1.products.features.delete(str(product), more.id)
    shop.sb.cancel_subscription(sub)
    assert v1.entitlements.active_entitlements.list({"customer": customer}).data == []
    assert [sorted(row) for row in told(shop)] == [["reports"], ["exports", "reports"], ["reports"], []]


def test_features_are_unique_and_can_be_archived(shop: Shop) -> None:
    features = shop.client.v1.entitlements.features
    made = features.create({"name": "Reports", "lookup_key": "reports"})
    with pytest.raises(stripe.InvalidRequestError) as twice:
        features.create({"name": "Other", "lookup_key": "reports"})
    assert twice.value.param == "lookup_key"
    assert features.update(made.id, {"active": False, "name": "Old reports"}).name == "Old reports"
    assert (features.list().data, [f.id for f in features.list({"archived": True}).data]) == ([], [made.id])
    assert features.retrieve(made.id).active is False
