"""Reading the sandbox as Stripe's API reads: filters, pages and expansion."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from refref.sandbox.errors import StripeError, missing
from refref.sandbox.form import Params, as_integer
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc, copy_of, listed
from refref.sandbox.timeline import DAY
from refref.sandbox.versions import render

Keep = Callable[[Doc, str], bool]
DEEPEST_EXPANSION = 4
EVENTS_KEPT_SECONDS = 30 * DAY


def same(key: str) -> Keep:
    """The field equals what was asked for (booleans as true/false)."""

    def keep(doc: Doc, value: str) -> bool:
        found = doc.get(key)
        return found is not None and (str(found).lower() if isinstance(found, bool) else str(found)) == value

    return keep


def fields(*names: str) -> dict[str, Keep]:
    """Filters that compare the field of the same name."""
    return {name: same(name) for name in names}


def _of_subscription(doc: Doc, value: str) -> bool:
    return bool(doc["parent"]) and doc["parent"]["subscription_details"]["subscription"] == value


def _status(doc: Doc, value: str) -> bool:
    if value == "all":
        return True
    return doc["status"] in ("canceled", "incomplete_expired") if value == "ended" else bool(doc["status"] == value)


def _type(doc: Doc, value: str) -> bool:
    return bool(doc["type"].startswith(value[:-1]) if value.endswith("*") else doc["type"] == value)


def _delivered(doc: Doc, value: str) -> bool:
    """Whether every endpoint that wanted the event has taken it."""
    return bool(doc["pending_webhooks"] == 0) == (value == "true")


def _has_price(doc: Doc, value: str) -> bool:
    return any(item["price"]["id"] == value for item in doc["items"]["data"])


def _currency_of_shipping(doc: Doc, value: str) -> bool:
    fixed = doc["fixed_amount"]
    return value == fixed["currency"] or value in fixed.get("currency_options", {})


def _email_of_details(doc: Doc, value: str) -> bool:
    return bool((doc["customer_details"] or {}).get("email") == value)


def _range(name: str) -> dict[str, Keep]:
    """Filters of a number: equal, or gte, gt, lte, lt."""
    return {
        name: lambda d, v: bool(d[name] == as_integer(v, name)),
        f"{name}.gte": lambda d, v: bool(d[name] >= as_integer(v, name)),
        f"{name}.gt": lambda d, v: bool(d[name] > as_integer(v, name)),
        f"{name}.lte": lambda d, v: bool(d[name] <= as_integer(v, name)),
        f"{name}.lt": lambda d, v: bool(d[name] < as_integer(v, name)),
    }


@dataclass(frozen=True, slots=True)
class Shelf:
    """One collection of the API: the kind it holds, its filters, and what it shows when a filter is not given."""

    kind: str
    filters: dict[str, Keep] = field(default_factory=dict)
    unless_given: dict[str, Keep] = field(default_factory=dict)


SHELVES: dict[str, Shelf] = {
    "balance_transactions": Shelf(
        "balance_transaction",
        fields("source", "type", "currency") | {"payout": lambda d, v: v in (d["source"], d.get("_payout"))},
    ),
    "billing/credit_grants": Shelf("billing.credit_grant", fields("customer")),
    "charges": Shelf("charge", fields("customer", "payment_intent")),
    "checkout/sessions": Shelf(
        "checkout.session",
        fields("customer", "payment_intent", "status", "subscription") | {"customer_details.email": _email_of_details},
    ),
    "coupons": Shelf("coupon"),
    "credit_notes": Shelf("credit_note", fields("customer", "invoice")),
    "customers": Shelf(
        "customer", fields("email", "test_clock"), {"test_clock": lambda d, _: d.get("test_clock") is None}
    ),
    "disputes": Shelf("dispute", fields("charge", "payment_intent")),
    "entitlements/features": Shelf(
        "entitlements.feature",
        fields("lookup_key") | {"archived": lambda d, v: d["active"] == (v != "true")},
        {"archived": lambda d, _: bool(d["active"])},
    ),
    "events": Shelf("event", {"type": _type, "delivery_success": _delivered}),
    "invoice_payments": Shelf(
        "invoice_payment",
        fields("invoice", "status")
        | {
            "payment.type": lambda d, v: bool(d["payment"]["type"] == v),
            "payment.payment_intent": lambda d, v: bool(d["payment"].get("payment_intent") == v),
        },
    ),
    "invoiceitems": Shelf(
        "invoiceitem",
        fields("customer", "invoice") | {"pending": lambda d, v: (d["invoice"] is None) == (v == "true")},
    ),
    "invoices": Shelf(
        "invoice", fields("customer", "status", "collection_method") | {"subscription": _of_subscription}
    ),
    "payment_intents": Shelf("payment_intent", fields("customer")),
    "payment_links": Shelf("payment_link", fields("active")),
    "payment_methods": Shelf("payment_method", fields("customer", "type")),
    "payouts": Shelf("payout", fields("destination", "status") | _range("arrival_date")),
    "prices": Shelf(
        "price",
        fields("active", "currency", "product", "type")
        | {"recurring.interval": lambda d, v: (d["recurring"] or {}).get("interval") == v},
    ),
    "products": Shelf("product", fields("active", "shippable", "url")),
    "promotion_codes": Shelf(
        "promotion_code",
        fields("active", "customer")
        | {
            "code": lambda d, v: bool(d["code"].lower() == v.lower()),
            "coupon": lambda d, v: bool(d["promotion"]["coupon"] == v),
        },
    ),
    "radar/early_fraud_warnings": Shelf("radar.early_fraud_warning", fields("charge", "payment_intent")),
    "refunds": Shelf("refund", fields("charge", "payment_intent")),
    "setup_intents": Shelf("setup_intent", fields("customer", "payment_method")),
    "shipping_rates": Shelf("shipping_rate", fields("active") | {"currency": _currency_of_shipping}),
    "subscription_schedules": Shelf(
        "subscription_schedule",
        fields("customer") | {"scheduled": lambda d, v: (d["status"] == "not_started") == (v == "true")},
    ),
    "subscriptions": Shelf(
        "subscription",
        fields("customer", "collection_method", "test_clock") | {"status": _status, "price": _has_price},
        {"status": lambda d, _: bool(d["status"] not in ("canceled", "incomplete_expired"))},
    ),
    "test_helpers/test_clocks": Shelf("test_helpers.test_clock"),
    "tax_rates": Shelf("tax_rate", fields("active", "inclusive")),
    "topups": Shelf("topup", fields("status") | _range("amount")),
    "transfers": Shelf("transfer", fields("destination", "transfer_group")),
    "webhook_endpoints": Shelf("webhook_endpoint"),
}


def flat(data: Any, prefix: str = "") -> dict[str, str]:
    """Nested filters as dotted names."""
    found: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            found[prefix + key] = value
    return found


def within(doc: Doc, bounds: Any) -> bool:
    """Whether `created` is what the filter says: an instant or gte/gt/lte/lt."""
    if isinstance(bounds, str):
        return bool(doc["created"] == as_integer(bounds, "created"))
    tests: dict[str, Callable[[int, int], bool]] = {
        "gte": lambda a, b: a >= b,
        "gt": lambda a, b: a > b,
        "lte": lambda a, b: a <= b,
        "lt": lambda a, b: a < b,
    }
    return all(tests[name](doc["created"], as_integer(value, "created")) for name, value in bounds.items())


def shelf_page(sb: Sandbox, shelf: Shelf, params: Params, url: str) -> Doc:
    """One page of a collection, newest first, filtered."""
    wanted = {k: v for k, v in flat(params.data).items() if k in shelf.filters}
    keeps = [(shelf.filters[k], v) for k, v in wanted.items()]
    keeps += [(keep, "") for k, keep in shelf.unless_given.items() if k not in wanted]
    docs = [d for d in reversed(sb.live(shelf.kind)) if not d.get("deleted") and all(keep(d, v) for keep, v in keeps)]
    if shelf.kind == "event":
        docs = [d for d in docs if d["created"] > sb.now - EVENTS_KEPT_SECONDS]
    if "created" in params.data:
        docs = [d for d in docs if within(d, params.data["created"])]
    keys = params.rows("lookup_keys") if shelf.kind == "price" else params.rows("ids")
    if keys:
        docs = [d for d in docs if d.get("lookup_key" if shelf.kind == "price" else "id") in keys]
    types = [str(t) for t in params.rows("types")]
    if len(types) > 20:
        raise StripeError("You may pass up to 20 event types.", param="types")
    if types:
        docs = [d for d in docs if d["type"] in types]
    return page(docs, params, url)


def page(docs: Sequence[Doc], params: Params, url: str) -> Doc:
    """The part of `docs` the cursor and the limit ask for."""
    limit = params.integer("limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= 100:
        raise StripeError(
            "Invalid integer: limit must be between 1 and 100.", code="parameter_invalid_integer", param="limit"
        )
    after, before = params.text("starting_after"), params.text("ending_before")
    places = {d["id"]: i for i, d in enumerate(docs)} if after or before else {}
    for cursor, name in ((after, "starting_after"), (before, "ending_before")):
        if cursor is not None and cursor not in places:
            raise missing("object", cursor, name)
    if before is not None:
        end = places[before]
        found, more = docs[max(0, end - limit) : end], end > limit
    else:
        start = 0 if after is None else places[after] + 1
        found, more = docs[start : start + limit], len(docs) > start + limit
    return {"object": "list", "data": list(found), "has_more": more, "url": url}


# Lists that are left out of an object unless they are asked for, and how to make them.
def _included(sb: Sandbox, doc: Doc, key: str) -> Doc | None:
    noun, object_id = doc.get("object"), doc.get("id")
    if (noun, key) == ("checkout.session", "line_items"):
        items = sb.find("checkout.session", str(object_id)).get("_items", [])
        return listed(copy_of(items), f"/v1/checkout/sessions/{object_id}/line_items", total=False)
    if (noun, key) == ("invoice", "payments"):
        links = [p for p in sb.live("invoice_payment") if p["invoice"] == object_id]
        return listed(copy_of(links), "/v1/invoices/payments", total=False)
    if (noun, key) == ("charge", "refunds"):
        refunds = [r for r in sb.live("refund") if r["charge"] == object_id]
        return listed(copy_of(refunds[::-1]), f"/v1/charges/{object_id}/refunds")
    if (noun, key) == ("customer", "subscriptions"):
        subs = [s for s in sb.live("subscription") if s["customer"] == object_id and s["status"] != "canceled"]
        return listed(copy_of(subs[::-1]), f"/v1/customers/{object_id}/subscriptions")
    if (noun, key) in SHOWN_ON_REQUEST:
        kept: Doc = sb.find(str(noun), str(object_id)).get(f"_{key}") or {}
        return copy_of(kept) if key == "currency_options" else {"tiers": copy_of(kept)}
    return None


# Properties that are kept under a private name and shown when asked for.
SHOWN_ON_REQUEST = (("price", "tiers"), ("price", "currency_options"))


def expand(sb: Sandbox, doc: Doc, paths: Iterable[str], api_version: str) -> Doc:
    """Replace ids by objects along each path of a rendered answer."""
    for path in paths:
        steps = str(path).split(".")
        if len(steps) - steps.count("data") > DEEPEST_EXPANSION:
            raise StripeError("You cannot expand more than 4 levels of a property.", param="expand")
        if not _expand(sb, doc, steps, api_version):
            raise StripeError(f"This property cannot be expanded ({path}).", param="expand")
    return doc


def _expand(sb: Sandbox, node: Any, steps: list[str], version: str) -> bool:
    """Follow one path; False when the property does not exist."""
    if isinstance(node, list):
        found = [_expand(sb, each, steps, version) for each in node]
        return all(found)
    if not isinstance(node, dict):
        return node is None
    key, rest = steps[0], steps[1:]
    made = _included(sb, node, key)
    if made is not None and node.get(key) is None:
        shown = render(made, version)
        node[key] = shown["tiers"] if key == "tiers" else shown
    elif key in node:
        node[key] = _resolved(sb, node[key], key, version)
    else:
        return key in UNSHOWN or node.get("object") not in SHAPED or bool(node.get("deleted"))
    return not rest or _expand(sb, node[key], rest, version)


# Objects whose keys are always there, so that an absent key means a property that does not exist.
SHAPED = {shelf.kind for shelf in SHELVES.values()} | {"list"}
# Properties Stripe shows on request which the sandbox does not have.
UNSHOWN = (
    "applies_to",
    "breakdown",
    "cash_balance",
    "confirmation_secret",
    "currency_options",
    "sources",
    "tax",
    "tax_ids",
    "tiers",
)
NAMED = ("coupon", "price", "product", "customer", "subscription", "invoice", "charge", "payment_intent")


def _resolved(sb: Sandbox, value: Any, key: str, version: str) -> Any:
    if isinstance(value, list):
        return [_resolved(sb, v, key, version) for v in value]
    if not isinstance(value, str):
        return value
    if key in NAMED:
        return render(sb.find(key, value), version) if sb.has(key, value) else value
    try:
        return render(sb.get(value), version)
    except StripeError:
        return value
