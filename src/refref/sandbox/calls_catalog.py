"""API calls on products, prices, coupons, promotion codes, tax rates, customers and webhook endpoints."""

from decimal import Decimal
from typing import Any

from refref.sandbox.amounts import percent_bps
from refref.sandbox.cards import TOKENS, card_named, refusal
from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.prices import currency_options
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc


def card(sb: Sandbox, token: str | None) -> str | None:
    """The test card behind a payment method or token; one nobody knows is a card of its own."""
    if token is not None and sb.has("payment_method", token):
        return str(sb.find("payment_method", token)["_card"])
    return None if token is None else TOKENS.get(token, token)


def _create_product(sb: Sandbox, p: Params, _: str) -> Doc:
    product = sb.create_product(
        p.required("name"), id=p.text("id"), metadata=p.mapping("metadata"), description=p.text("description")
    )
    data = p.nested("default_price_data")
    if data.data:
        sb.alter(product, default_price=_price(sb, data, product["id"])["id"])
    return product


def _price(sb: Sandbox, p: Params, product: str) -> Doc:
    recurring = p.nested("recurring")
    terms = {k: p.data[k] for k in ("unit_amount", "unit_amount_decimal", "tiers") if p.data.get(k)}
    if p.integer("unit_amount") is None and not p.data.get("unit_amount_decimal"):
        custom = p.mapping("custom_unit_amount")
        terms |= {"custom_unit_amount": custom} if custom else {}
    options = p.mapping("currency_options")
    return sb.create_price(
        product,
        p.required("currency"),
        interval=recurring.required("interval") if recurring.data else None,
        interval_count=recurring.integer("interval_count") or 1,
        tax_behavior=p.text("tax_behavior") or "unspecified",
        nickname=p.text("nickname"),
        lookup_key=p.text("lookup_key"),
        transfer_lookup_key=bool(p.flag("transfer_lookup_key")),
        tiers_mode=p.text("tiers_mode"),
        transform_quantity=p.mapping("transform_quantity"),
        options=options,
        metadata=p.mapping("metadata"),
        **terms,
    )


def _create_price(sb: Sandbox, p: Params, _: str) -> Doc:
    data = p.nested("product_data")
    product = sb.create_product(data.required("name"))["id"] if data.data else p.required("product")
    return _price(sb, p, product)


def _changes(p: Params, *texts: str) -> dict[str, Any]:
    changes: dict[str, Any] = dict(p.given(*texts))
    if "active" in p.data:
        changes["active"] = p.flag("active")
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    return changes


def _update_product(sb: Sandbox, p: Params, product: str) -> Doc:
    return sb.update_catalog("product", product, _changes(p, "name", "description", "default_price", "url"))


def _update_price(sb: Sandbox, p: Params, price: str) -> Doc:
    changes = _changes(p, "nickname", "lookup_key", "tax_behavior")
    if "currency_options" in p.data:
        held = sb.find("price", price)["_currency_options"]
        changes["_currency_options"] = held | currency_options(p.mapping("currency_options"))
    return sb.update_catalog("price", price, changes)


def _update_coupon(sb: Sandbox, p: Params, coupon: str) -> Doc:
    return sb.update_catalog("coupon", coupon, _changes(p, "name"))


def _create_tax_rate(sb: Sandbox, p: Params, _: str) -> Doc:
    rate_bps = percent_bps(p.required("percentage"))
    more: dict[str, Any] = dict(p.given("country", "description", "jurisdiction", "state", "tax_type"))
    if p.flag("active") is not None:
        more["active"] = p.flag("active")
    return sb.create_tax_rate(
        rate_bps,
        inclusive=bool(p.flag("inclusive")),
        name=p.required("display_name"),
        metadata=p.mapping("metadata"),
        **more,
    )


def _create_coupon(sb: Sandbox, p: Params, _: str) -> Doc:
    percent = p.text("percent_off")
    number = None if percent is None else Decimal(percent)
    return sb.create_coupon(
        percent_off=None if number is None else int(number) if number == int(number) else float(number),
        amount_off=p.integer("amount_off"),
        currency=p.text("currency"),
        duration=p.text("duration") or "once",
        duration_in_months=p.integer("duration_in_months"),
        id=p.text("id"),
        products=p.nested("applies_to").rows("products"),
        name=p.text("name"),
        max_redemptions=p.integer("max_redemptions"),
        redeem_by=p.integer("redeem_by"),
        metadata=p.mapping("metadata"),
    )


def _create_promotion_code(sb: Sandbox, p: Params, _: str) -> Doc:
    promotion = p.nested("promotion")
    if promotion.required("type") != "coupon":
        raise StripeError("Invalid promotion[type]: must be coupon", param="promotion[type]")
    limits = p.nested("restrictions")
    known: dict[str, Any] = dict(limits.given("minimum_amount_currency"))
    if "first_time_transaction" in limits.data:
        known["first_time_transaction"] = limits.flag("first_time_transaction")
    if "minimum_amount" in limits.data:
        known["minimum_amount"] = limits.integer("minimum_amount")
    active = p.flag("active")
    return sb.create_promotion_code(
        promotion.required("coupon"),
        p.text("code"),
        customer=p.text("customer"),
        max_redemptions=p.integer("max_redemptions"),
        expires_at=p.integer("expires_at"),
        active=True if active is None else active,
        restrictions=known,
        metadata=p.mapping("metadata"),
    )


def _update_promotion_code(sb: Sandbox, p: Params, promotion_code: str) -> Doc:
    return sb.update_promotion_code(promotion_code, active=p.flag("active"), metadata=p.mapping("metadata"))


INVOICE_SETTINGS = ("custom_fields", "default_payment_method", "footer", "rendering_options")
CUSTOMER_TEXTS = ("email", "name", "phone", "description", "tax_exempt", "default_source")


def _customer_fields(sb: Sandbox, p: Params) -> dict[str, Any]:
    fields: dict[str, Any] = dict(p.given(*CUSTOMER_TEXTS))
    if p.mapping("address"):
        blank = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
        fields["address"] = blank | p.mapping("address")
    return fields


def _keep_method(sb: Sandbox, p: Params, customer: str) -> None:
    """The payment method named with a customer is attached; a test token makes one."""
    default = p.nested("invoice_settings").text("default_payment_method")
    method = p.text("payment_method") or p.text("source") or default
    if method is None:
        return
    if sb.has("payment_method", method):
        held = sb.find("payment_method", method)
        if held["customer"] != customer:
            sb.attach_payment_method(method, customer)
        else:
            sb.alter(sb.find("customer", customer), _card=held["_card"], _method=method)
    else:
        method = sb.create_payment_method(str(card(sb, method)), customer=customer)["id"]
    if default is not None:
        settings = dict.fromkeys(INVOICE_SETTINGS) | {"default_payment_method": method}
        sb.alter(sb.find("customer", customer), invoice_settings=settings)


def _create_customer(sb: Sandbox, p: Params, _: str) -> Doc:
    fields = _customer_fields(sb, p)
    if p.text("test_clock") is not None:
        fields["test_clock"] = sb.find("test_helpers.test_clock", p.required("test_clock"), "test_clock")["id"]
    token = p.text("payment_method") or p.text("source")
    if token is not None and not card_named(str(card(sb, token))).attachable:
        raise refusal(card_named(str(card(sb, token))))
    made = sb.create_customer(metadata=p.mapping("metadata"), balance=p.integer("balance") or 0, **fields)
    _keep_method(sb, p, made["id"])
    return made


def _update_customer(sb: Sandbox, p: Params, customer: str) -> Doc:
    changes = _customer_fields(sb, p)
    sb.customer(customer)
    _keep_method(sb, p, customer)
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    if "balance" in p.data:
        changes["balance"] = p.integer("balance")
    return sb.update_customer(customer, **changes)


def _credit_customer(sb: Sandbox, p: Params, customer: str) -> Doc:
    return sb.credit_customer(
        customer,
        as_integer(p.required("amount"), "amount"),
        currency=p.required("currency"),
        description=p.text("description"),
        metadata=p.mapping("metadata"),
    )


def _balance_of_customer(sb: Sandbox, p: Params, customer: str) -> Doc:
    rows = [d for d in reversed(sb.live("customer_balance_transaction")) if d["customer"] == customer]
    return page(rows, p, f"/v1/customers/{customer}/balance_transactions")


def _create_endpoint(sb: Sandbox, p: Params, _: str) -> Doc:
    events = [str(e) for e in p.rows("enabled_events")]
    if not events:
        raise StripeError("Missing required param: enabled_events.", code="parameter_missing", param="enabled_events")
    return sb.create_webhook_endpoint(
        p.required("url"),
        enabled_events=events,
        connect=bool(p.flag("connect")),
        api_version=p.text("api_version"),
        description=p.text("description"),
        metadata=p.mapping("metadata"),
    )


def _update_endpoint(sb: Sandbox, p: Params, endpoint: str) -> Doc:
    changes: dict[str, Any] = dict(p.given("url", "description"))
    if "enabled_events" in p.data:
        changes["enabled_events"] = [str(e) for e in p.rows("enabled_events")]
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    if "disabled" in p.data:
        changes["status"] = "disabled" if p.flag("disabled") else "enabled"
    return sb.update_webhook_endpoint(endpoint, changes)


CALLS = (
    ("POST", "/v1/products", _create_product),
    ("POST", "/v1/products/{id}", _update_product),
    ("POST", "/v1/prices", _create_price),
    ("POST", "/v1/prices/{id}", _update_price),
    ("POST", "/v1/tax_rates", _create_tax_rate),
    ("POST", "/v1/coupons", _create_coupon),
    ("POST", "/v1/coupons/{id}", _update_coupon),
    ("DELETE", "/v1/coupons/{id}", lambda sb, _, coupon: sb.delete_coupon(coupon)),
    ("POST", "/v1/promotion_codes", _create_promotion_code),
    ("POST", "/v1/promotion_codes/{id}", _update_promotion_code),
    ("POST", "/v1/customers", _create_customer),
    ("POST", "/v1/customers/{id}", _update_customer),
    ("DELETE", "/v1/customers/{id}", lambda sb, _, customer: sb.delete_customer(customer)),
    ("POST", "/v1/customers/{id}/balance_transactions", _credit_customer),
    ("GET", "/v1/customers/{id}/balance_transactions", _balance_of_customer),
    ("POST", "/v1/webhook_endpoints", _create_endpoint),
    ("POST", "/v1/webhook_endpoints/{id}", _update_endpoint),
    ("DELETE", "/v1/webhook_endpoints/{id}", lambda sb, _, endpoint: sb.delete_webhook_endpoint(endpoint)),
)
