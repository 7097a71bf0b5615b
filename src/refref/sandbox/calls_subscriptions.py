"""API calls on subscriptions, their items and their schedules."""

from collections.abc import Mapping
from typing import Any

from refref.sandbox.calls_catalog import card
from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.prices import terms_in
from refref.sandbox.proration import BEHAVIORS
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

ITEM_TEXTS = ("id", "price")


def refuse_automatic_tax(p: Params) -> None:
    """Only Checkout has the sandbox's one automatic tax; elsewhere tax rates say what is due."""
    if p.nested("automatic_tax").flag("enabled"):
        raise StripeError(
            "The sandbox calculates automatic tax in Checkout only. Use tax rates (default_tax_rates) instead.",
            param="automatic_tax[enabled]",
        )


def instant_or_now(p: Params, name: str) -> int | str | None:
    """A unix time, or the word `now`."""
    value = p.text(name)
    return value if value in (None, "now") else as_integer(str(value), name)


def items_of(rows: list[Any], name: str) -> list[dict[str, Any]]:
    """Items of a subscription as given: id, price or price_data, quantity, deleted, metadata, tax_rates."""
    found = []
    for number, row in enumerate(rows):
        item = Params(row)
        where = f"{name}[{number}][quantity]"
        known: dict[str, Any] = {k: v for k, v in item.given(*ITEM_TEXTS).items() if v is not None}
        if item.data.get("price_data"):
            known["price_data"] = item.mapping("price_data")
        if "quantity" in item.data:
            known["quantity"] = as_integer(item.required("quantity"), where)
        if "metadata" in item.data:
            known["metadata"] = item.mapping("metadata")
        if "tax_rates" in item.data:
            known["tax_rates"] = item.rows("tax_rates")
        if item.flag("deleted"):
            known["deleted"] = True
        found.append(known)
    return found


def extra_items(rows: list[Any], name: str) -> list[dict[str, Any]]:
    """Invoice items that go along: price or amount, quantity, currency, description, metadata, tax_rates."""
    found = []
    for number, row in enumerate(rows):
        item = Params(row)
        known: dict[str, Any] = {
            k: v for k, v in item.given("price", "currency", "description").items() if v is not None
        }
        data = item.mapping("price_data")
        if data:
            known |= {"amount": as_integer(str(data.get("unit_amount")), f"{name}[{number}][price_data][unit_amount]")}
            known["currency"] = data["currency"]
        known |= {k: as_integer(item.required(k), f"{name}[{number}][{k}]") for k in ("amount", "quantity") if k in row}
        known |= {"metadata": item.mapping("metadata")} if "metadata" in row else {}
        known |= {"tax_rates": item.rows("tax_rates")} if "tax_rates" in row else {}
        found.append(known)
    return found


def _subscribe(sb: Sandbox, p: Params, _: str) -> Doc:
    refuse_automatic_tax(p)
    items = items_of(p.rows("items"), "items")
    if not items:
        raise StripeError("Missing required param: items.", code="parameter_missing", param="items")
    trial_end = instant_or_now(p, "trial_end")
    terms: dict[str, Any] = {
        "trial_days": p.integer("trial_period_days"),
        "trial_end": None if trial_end == "now" else trial_end,
        "discounts": p.rows("discounts"),
        "rates": p.rows("default_tax_rates"),
        "metadata": p.mapping("metadata"),
        "days_until_due": p.integer("days_until_due"),
        "currency": p.text("currency"),
        "billing_cycle_anchor": p.integer("billing_cycle_anchor"),
        "cancel_at": p.integer("cancel_at"),
        "cancel_at_period_end": bool(p.flag("cancel_at_period_end")),
        "description": p.text("description"),
        "add_invoice_items": extra_items(p.rows("add_invoice_items"), "add_invoice_items"),
    }
    end = p.nested("trial_settings").nested("end_behavior").text("missing_payment_method")
    words = {
        "collection_method": p.text("collection_method"),
        "proration_behavior": p.text("proration_behavior"),
        "payment_behavior": p.text("payment_behavior"),
        "missing_payment_method": end,
    }
    terms |= {k: v for k, v in words.items() if v is not None}
    return sb.subscribe(p.required("customer"), items=items, card=card(sb, p.text("default_payment_method")), **terms)


def _update_subscription(sb: Sandbox, p: Params, subscription: str) -> Doc:
    refuse_automatic_tax(p)
    doc = sb.find("subscription", subscription)
    behavior = p.text("proration_behavior") or "create_prorations"
    items = items_of(p.rows("items"), "items")
    _check(sb, p, doc, items)
    _update_end(sb, p, doc)
    _update_pause(sb, p, subscription)
    if "discounts" in p.data:
        sb.set_discounts(subscription, p.rows("discounts"))
    trial_end = instant_or_now(p, "trial_end")
    if trial_end is not None:
        sb.change_trial(subscription, None if trial_end == "now" else int(trial_end))
    changes = _plain_changes(sb, p)
    for extra in extra_items(p.rows("add_invoice_items"), "add_invoice_items"):
        sb.add_invoice_item(doc["customer"], subscription=subscription, **{"currency": doc["currency"], **extra})
    if items:
        before = {k: v for k, v in sb.apply(sb.changeable(subscription), changes).items() if k[0] != "_"}
        sb.change_items(
            subscription,
            items,
            proration_behavior=behavior,
            proration_date=p.integer("proration_date"),
            before=before,
        )
    elif changes:
        sb.update_subscription(subscription, **changes)
    anchor = p.data.get("billing_cycle_anchor")
    if anchor == "now" or (isinstance(anchor, dict) and anchor.get("type") == "now"):
        sb.restart_cycle(subscription, proration_behavior=behavior)
    return doc


def _check(sb: Sandbox, p: Params, doc: Doc, items: list[dict[str, Any]]) -> None:
    """Refuse what cannot be done before anything is done."""
    sb.changeable(doc["id"])
    behavior = p.text("proration_behavior")
    if behavior not in (None, *BEHAVIORS):
        raise StripeError(f"Invalid proration_behavior: {behavior}", param="proration_behavior")
    held = {row["id"] for row in doc["items"]["data"]}
    for number, item in enumerate(items):
        if item.get("id", next(iter(held))) not in held:
            raise StripeError(
                f"No such subscription item: '{item['id']}'", code="resource_missing", param=f"items[{number}][id]"
            )
        if "price" in item:
            terms_in(sb.price_for(item, f"items[{number}][price]"), doc["currency"])
    for given in p.rows("discounts"):
        if given.get("coupon"):
            sb.find("coupon", given["coupon"], "discounts[0][coupon]")
        if given.get("promotion_code"):
            sb.usable_code(given["promotion_code"], doc["customer"])
    for rate in p.rows("default_tax_rates"):
        sb.find("tax_rate", rate, "default_tax_rates")


def _update_end(sb: Sandbox, p: Params, doc: Doc) -> None:
    if "cancel_at_period_end" in p.data:
        if p.flag("cancel_at_period_end"):
            sb.cancel_subscription(doc["id"], at_period_end=True)
        elif doc["cancel_at_period_end"]:
            sb.keep_subscription(doc["id"])


def _update_pause(sb: Sandbox, p: Params, subscription: str) -> None:
    if "pause_collection" in p.data:
        pause = p.nested("pause_collection")
        behavior = pause.text("behavior")
        if behavior is None:
            sb.resume_subscription(subscription)
        else:
            sb.pause_subscription(subscription, behavior=behavior, resumes_at=pause.integer("resumes_at"))


def _plain_changes(sb: Sandbox, p: Params) -> dict[str, Any]:
    changes: dict[str, Any] = dict(p.given("description", "collection_method"))
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    if "days_until_due" in p.data:
        changes["days_until_due"] = p.integer("days_until_due")
    if "default_tax_rates" in p.data:
        changes["default_tax_rates"] = p.rows("default_tax_rates")
    if "default_payment_method" in p.data:
        changes["card"] = card(sb, p.text("default_payment_method"))
    if "cancel_at" in p.data:
        changes["cancel_at"] = p.integer("cancel_at")
    end = p.nested("trial_settings").nested("end_behavior").text("missing_payment_method")
    return changes | ({"missing_payment_method": end} if end else {})


def _cancel(sb: Sandbox, p: Params, subscription: str) -> Doc:
    return sb.cancel_subscription(
        subscription, prorate=bool(p.flag("prorate")), invoice_now=bool(p.flag("invoice_now"))
    )


def _remove_discount(sb: Sandbox, _: Params, subscription: str) -> Doc:
    doc = sb.find("subscription", subscription)
    if not doc["discounts"]:
        raise StripeError("No active discount for this subscription.", status=404, code="resource_missing")
    source = doc["_discounts"][0]
    kept = {k: v for k, v in source.items() if k not in ("id", "object", "end")}
    gone: Doc = {"id": doc["discounts"][0], "object": "discount", "deleted": True, **kept}
    sb.set_discounts(subscription, [])
    return gone


# items


def _owner_of(sb: Sandbox, item: str) -> Doc:
    for sub in sb.live("subscription"):
        if any(row["id"] == item for row in sub["items"]["data"]):
            return sub
    raise StripeError(f"No such subscription_item: '{item}'", status=404, code="resource_missing", param="id")


def _item(sb: Sandbox, _: Params, item: str) -> Doc:
    rows: list[Doc] = _owner_of(sb, item)["items"]["data"]
    return next(row for row in rows if row["id"] == item)


def _subscription_items(sb: Sandbox, p: Params, _: str) -> Doc:
    subscription = p.required("subscription")
    return page(sb.find("subscription", subscription)["items"]["data"], p, "/v1/subscription_items")


def _change_item(sb: Sandbox, p: Params, subscription: str, data: Mapping[str, Any]) -> Doc:
    return sb.change_items(
        subscription,
        items_of([data], "items"),
        proration_behavior=p.text("proration_behavior") or "create_prorations",
        proration_date=p.integer("proration_date"),
    )


def _create_item(sb: Sandbox, p: Params, _: str) -> Doc:
    subscription = p.required("subscription")
    sb.find("subscription", subscription, "subscription")
    data = {k: v for k, v in p.data.items() if k in ("price", "price_data", "quantity", "metadata", "tax_rates")}
    rows: list[Doc] = _change_item(sb, p, subscription, data)["items"]["data"]
    return rows[-1]


def _update_item(sb: Sandbox, p: Params, item: str) -> Doc:
    data = {k: v for k, v in p.data.items() if k in ("price", "price_data", "quantity", "metadata", "tax_rates")}
    _change_item(sb, p, _owner_of(sb, item)["id"], {"id": item, **data})
    return _item(sb, p, item)


def _delete_item(sb: Sandbox, p: Params, item: str) -> Doc:
    _change_item(sb, p, _owner_of(sb, item)["id"], {"id": item, "deleted": "true"})
    return {"id": item, "object": "subscription_item", "deleted": True}


# schedules


def phases_of(rows: list[Any]) -> list[dict[str, Any]]:
    """Phases as given, with whole numbers and items read."""
    found = []
    for number, row in enumerate(rows):
        phase = Params(row)
        where = f"phases[{number}]"
        known: dict[str, Any] = {k: v for k, v in phase.given("currency", "proration_behavior").items() if v}
        for name in ("end_date", "trial_end", "iterations"):
            if phase.data.get(name):
                known[name] = as_integer(phase.required(name), f"{where}[{name}]")
        if phase.flag("trial"):
            known["trial"] = True
        if phase.data.get("duration"):
            known["duration"] = phase.mapping("duration")
        known |= {
            "items": items_of(phase.rows("items"), f"{where}[items]"),
            "discounts": phase.rows("discounts"),
            "metadata": phase.mapping("metadata"),
        }
        found.append(known)
    return found


def _create_schedule(sb: Sandbox, p: Params, _: str) -> Doc:
    start = instant_or_now(p, "start_date")
    return sb.create_schedule(
        p.text("customer"),
        phases_of(p.rows("phases")),
        start_at=None if start in (None, "now") else int(start),
        end_behavior=p.text("end_behavior") or "release",
        from_subscription=p.text("from_subscription"),
        metadata=p.mapping("metadata"),
    )


def _update_schedule(sb: Sandbox, p: Params, schedule: str) -> Doc:
    return sb.update_schedule(
        schedule,
        phases=phases_of(p.rows("phases")) or None,
        end_behavior=p.text("end_behavior"),
        metadata=p.mapping("metadata"),
    )


CALLS = (
    ("POST", "/v1/subscriptions", _subscribe),
    ("POST", "/v1/subscriptions/{id}", _update_subscription),
    ("POST", "/v1/subscriptions/{id}/resume", lambda sb, _, subscription: sb.resume_subscription(subscription)),
    ("DELETE", "/v1/subscriptions/{id}", _cancel),
    ("DELETE", "/v1/subscriptions/{id}/discount", _remove_discount),
    ("GET", "/v1/subscription_items", _subscription_items),
    ("POST", "/v1/subscription_items", _create_item),
    ("GET", "/v1/subscription_items/{id}", _item),
    ("POST", "/v1/subscription_items/{id}", _update_item),
    ("DELETE", "/v1/subscription_items/{id}", _delete_item),
    ("POST", "/v1/subscription_schedules", _create_schedule),
    ("POST", "/v1/subscription_schedules/{id}", _update_schedule),
    ("POST", "/v1/subscription_schedules/{id}/release", lambda sb, _, schedule: sb.release_schedule(schedule)),
    ("POST", "/v1/subscription_schedules/{id}/cancel", lambda sb, _, schedule: sb.cancel_schedule(schedule)),
)
