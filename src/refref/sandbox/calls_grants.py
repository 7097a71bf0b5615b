"""API calls on credit grants and entitlements."""

from typing import Any

from refref.sandbox.entitlements import ACTIVE
from refref.sandbox.errors import StripeError, missing
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc


def _grant(sb: Sandbox, p: Params, _: str) -> Doc:
    amount = p.nested("amount")
    if amount.required("type") != "monetary":
        raise StripeError("Invalid amount[type]: must be monetary", param="amount[type]")
    money = amount.nested("monetary")
    scope = p.nested("applicability_config").nested("scope")
    if not scope.data:
        raise StripeError(
            "Missing required param: applicability_config.", code="parameter_missing", param="applicability_config"
        )
    return sb.grant_credit(
        p.required("customer"),
        as_integer(money.required("value"), "amount[monetary][value]"),
        money.required("currency"),
        category=p.text("category") or "paid",
        name=p.text("name"),
        prices=[str(row.get("id")) for row in scope.rows("prices")],
        effective_at=p.integer("effective_at"),
        expires_at=p.integer("expires_at"),
        priority=p.integer("priority"),
        metadata=p.mapping("metadata"),
    )


def _update_grant(sb: Sandbox, p: Params, grant: str) -> Doc:
    changes: dict[str, Any] = {}
    if "expires_at" in p.data:
        changes["expires_at"] = p.integer("expires_at")
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    return sb.update_credit_grant(grant, changes)


def _create_feature(sb: Sandbox, p: Params, _: str) -> Doc:
    return sb.create_feature(p.required("name"), p.required("lookup_key"), metadata=p.mapping("metadata"))


def _update_feature(sb: Sandbox, p: Params, feature: str) -> Doc:
    changes: dict[str, Any] = dict(p.given("name"))
    if "active" in p.data:
        changes["active"] = p.flag("active")
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    return sb.update_feature(feature, **changes)


def _features_of(sb: Sandbox, p: Params, product: str) -> Doc:
    sb.find("product", product)
    return page(sb.features_of(product), p, f"/v1/products/{product}/features")


def _feature_of(sb: Sandbox, _: Params, place: str) -> Doc:
    product, wanted = place.split("/")
    for each in sb.features_of(product):
        if each["id"] == wanted:
            return each
    raise missing("product feature", wanted)


def _remove_feature(sb: Sandbox, _: Params, place: str) -> Doc:
    product, feature = place.split("/")
    return sb.remove_feature(product, feature)


def _entitlements(sb: Sandbox, p: Params, _: str) -> Doc:
    customer = p.required("customer")
    sb.customer(customer, "customer")
    return page(sb.entitlements(customer), p, "/v1/entitlements/active_entitlements")


def _entitlement(sb: Sandbox, _: Params, entitlement: str) -> Doc:
    for customer in dict.fromkeys(s["customer"] for s in sb.live("subscription")):
        for each in sb.entitlements(customer):
            if each["id"] == entitlement:
                return each
    raise missing(ACTIVE.replace(".", " ").replace("_", " "), entitlement)


CALLS = (
    ("POST", "/v1/billing/credit_grants", _grant),
    ("POST", "/v1/billing/credit_grants/{id}", _update_grant),
    ("POST", "/v1/billing/credit_grants/{id}/expire", lambda sb, _, grant: sb.expire_credit_grant(grant)),
    ("POST", "/v1/billing/credit_grants/{id}/void", lambda sb, _, grant: sb.void_credit_grant(grant)),
    ("POST", "/v1/entitlements/features", _create_feature),
    ("POST", "/v1/entitlements/features/{id}", _update_feature),
    ("GET", "/v1/entitlements/active_entitlements", _entitlements),
    ("GET", "/v1/entitlements/active_entitlements/{id}", _entitlement),
    ("GET", "/v1/products/{id}/features", _features_of),
    ("POST", "/v1/products/{id}/features", lambda sb, p, i: sb.add_feature(i, p.required("entitlement_feature"))),
    ("GET", "/v1/products/{id}/features/{part}", _feature_of),
    ("DELETE", "/v1/products/{id}/features/{part}", _remove_feature),
)
