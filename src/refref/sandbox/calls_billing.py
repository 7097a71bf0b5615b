"""API calls on invoices, invoice items, previews, credit notes and test clocks."""

from typing import Any

from refref.sandbox import calls_methods, calls_search, calls_subscriptions
from refref.sandbox.calls_catalog import card
from refref.sandbox.calls_subscriptions import extra_items, instant_or_now, items_of, refuse_automatic_tax
from refref.sandbox.cards import card_named, refusal, unauthenticated
from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

INVOICE_TEXTS = ("description", "footer", "number", "collection_method")


def _period(p: Params) -> tuple[int, int] | None:
    period = p.nested("period")
    if not period.data:
        return None
    return as_integer(period.required("start"), "period[start]"), as_integer(period.required("end"), "period[end]")


def _create_item(sb: Sandbox, p: Params, _: str) -> Doc:
    amount = p.integer("amount")
    unit = p.text("unit_amount_decimal")
    data = p.mapping("price_data")
    if data:
        amount = as_integer(str(data.get("unit_amount")), "price_data[unit_amount]")
    elif amount is None and unit is not None:
        amount = as_integer(unit, "unit_amount_decimal")
    return sb.add_invoice_item(
        p.required("customer"),
        amount=amount,
        price=p.nested("pricing").text("price"),
        quantity=p.integer("quantity") or 1,
        currency=data.get("currency") or p.text("currency"),
        description=p.text("description"),
        subscription=p.text("subscription"),
        invoice=p.text("invoice"),
        discountable=p.flag("discountable"),
        tax_rates=p.rows("tax_rates"),
        period=_period(p),
        metadata=p.mapping("metadata"),
    )


def _update_item(sb: Sandbox, p: Params, item: str) -> Doc:
    changes: dict[str, Any] = {k: p.integer(k) for k in ("amount", "quantity") if k in p.data}
    changes |= p.given("description")
    if "discountable" in p.data:
        changes["discountable"] = bool(p.flag("discountable"))
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    return sb.update_invoice_item(item, **changes)


def _create_invoice(sb: Sandbox, p: Params, _: str) -> Doc:
    refuse_automatic_tax(p)
    customer = p.required("customer")
    buyer = sb.customer(customer, "customer")
    discounts = p.rows("discounts")
    rates = p.rows("default_tax_rates")
    method = p.text("default_payment_method")
    more: dict[str, Any] = {k: v for k, v in p.given("footer", "number").items() if v is not None}
    if method is not None:
        more["default_payment_method"] = sb.method_for(customer, str(card(sb, method)))
    if p.integer("due_date") is not None:
        more["due_date"] = p.integer("due_date")
    made = sb.create_invoice(
        customer,
        currency=p.text("currency") or buyer["currency"] or "usd",
        metadata=p.mapping("metadata"),
        tax_rate=rates[0] if rates else None,
        coupon=discounts[0].get("coupon") if discounts else None,
        promotion_code=discounts[0].get("promotion_code") if discounts else None,
        collection_method=p.text("collection_method") or "charge_automatically",
        finalize=False,
        description=p.text("description"),
        pending_items=p.text("pending_invoice_items_behavior") != "exclude",
        days_until_due=p.integer("days_until_due"),
        subscription=p.text("subscription"),
        shipping=_shipping(sb, p) or 0,
        **more,
    )
    if p.flag("auto_advance"):
        sb.finalize_later(made)
    return made


def _shipping(sb: Sandbox, p: Params) -> int | None:
    cost = p.nested("shipping_cost")
    if "shipping_cost" not in p.data:
        return None
    if cost.text("shipping_rate"):
        rate = sb.find("shipping_rate", cost.required("shipping_rate"), "shipping_cost[shipping_rate]")
        return int(rate["fixed_amount"]["amount"])
    data = cost.nested("shipping_rate_data").nested("fixed_amount")
    return data.integer("amount") or 0


def _update_invoice(sb: Sandbox, p: Params, invoice: str) -> Doc:
    changes: dict[str, Any] = dict(p.given(*INVOICE_TEXTS))
    changes |= {k: p.integer(k) for k in ("days_until_due", "due_date") if k in p.data}
    changes |= {k: p.rows(k) for k in ("discounts", "default_tax_rates") if k in p.data}
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    if "auto_advance" in p.data:
        changes["auto_advance"] = bool(p.flag("auto_advance"))
    if "shipping_cost" in p.data:
        changes["shipping"] = _shipping(sb, p)
    if "default_payment_method" in p.data:
        method = card(sb, p.text("default_payment_method"))
        owner = sb.find("invoice", invoice)["customer"]
        changes["default_payment_method"] = None if method is None else sb.method_for(owner, method)
    return sb.update_invoice(invoice, **changes)


def _finalize(sb: Sandbox, p: Params, invoice: str) -> Doc:
    doc = sb.finalize_invoice(invoice)
    if p.flag("auto_advance"):
        sb.collect_final(doc)
    return doc


def _pay(sb: Sandbox, p: Params, invoice: str) -> Doc:
    word = card(sb, p.text("payment_method") or p.text("source"))
    doc = sb.find("invoice", invoice)
    paying = word or sb.card_for(doc)
    doc = sb.pay_invoice(invoice, card=word, out_of_band=bool(p.flag("paid_out_of_band")))
    if doc["status"] == "paid" or card_named(paying).settles_late:
        return doc
    raise unauthenticated() if card_named(paying).action else refusal(card_named(paying))


def _lines(p: Params) -> list[dict[str, Any]]:
    found = []
    for number, row in enumerate(p.rows("lines")):
        line = Params(row)
        known: dict[str, Any] = {k: v for k, v in line.given("id", "invoice_item", "description").items() if v}
        for name in ("amount", "quantity"):
            if line.data.get(name):
                known[name] = as_integer(line.required(name), f"lines[{number}][{name}]")
        price = line.nested("pricing").text("price")
        data = line.mapping("price_data")
        known |= {"price": price} if price else {}
        if data:
            known["amount"] = as_integer(str(data.get("unit_amount")), f"lines[{number}][price_data][unit_amount]")
        known |= {"metadata": line.mapping("metadata")} if "metadata" in row else {}
        known |= {"tax_rates": line.rows("tax_rates")} if "tax_rates" in row else {}
        found.append(known)
    if not found:
        raise StripeError("Missing required param: lines.", code="parameter_missing", param="lines")
    return found


def _update_line(sb: Sandbox, p: Params, ids: str) -> Doc:
    invoice, line = ids.split("/")
    change = _lines(Params({"lines": [dict(p.data)]}))[0]
    sb.update_lines(invoice, {line: change})
    return sb.find("line_item", line)


def _remove_lines(sb: Sandbox, p: Params, invoice: str) -> Doc:
    rows = [Params(row) for row in p.rows("lines")]
    unassign = bool(rows) and rows[0].text("behavior") == "unassign"
    return sb.remove_lines(invoice, [row.required("id") for row in rows], delete_items=not unassign)


def _invoice_lines(sb: Sandbox, p: Params, invoice: str) -> Doc:
    return page(sb.lines_of(sb.find("invoice", invoice)), p, f"/v1/invoices/{invoice}/lines")


def _preview(sb: Sandbox, p: Params, _: str) -> Doc:
    refuse_automatic_tax(p)
    if "schedule" in p.data or "schedule_details" in p.data:
        raise StripeError("The sandbox previews no schedules; pass subscription_details.", param="schedule")
    details = p.nested("subscription_details")
    terms: dict[str, Any] = {}
    if p.text("subscription") is None and details.data:
        end = instant_or_now(details, "trial_end")
        terms = {"rates": details.rows("default_tax_rates"), "trial_end": None if end == "now" else end}
    return sb.preview_invoice(
        p.text("customer"),
        subscription=p.text("subscription"),
        items=items_of(details.rows("items"), "subscription_details[items]"),
        invoice_items=extra_items(p.rows("invoice_items"), "invoice_items"),
        proration_behavior=details.text("proration_behavior") or "create_prorations",
        proration_date=details.integer("proration_date"),
        cancel_now=bool(details.flag("cancel_now")),
        currency=p.text("currency"),
        discounts=p.rows("discounts") if "discounts" in p.data else None,
        **terms,
    )


def _credit_note(sb: Sandbox, p: Params, _: str) -> Doc:
    lines = []
    for row in p.rows("lines"):
        line: dict[str, Any] = {k: row[k] for k in ("invoice_line_item", "description") if k in row}
        line |= {k: as_integer(row[k], f"lines[0][{k}]") for k in ("amount", "quantity", "unit_amount") if k in row}
        lines.append(line)
    return sb.credit_note(
        p.required("invoice"),
        amount=p.integer("amount"),
        lines=lines or None,
        refund_amount=p.integer("refund_amount"),
        credit_amount=p.integer("credit_amount"),
        out_of_band_amount=p.integer("out_of_band_amount"),
        reason=p.text("reason"),
        memo=p.text("memo"),
        metadata=p.mapping("metadata"),
    )


def _note_lines(sb: Sandbox, p: Params, note: str) -> Doc:
    return page(sb.find("credit_note", note)["lines"]["data"], p, f"/v1/credit_notes/{note}/lines")


def _create_clock(sb: Sandbox, p: Params, _: str) -> Doc:
    return sb.create_test_clock(as_integer(p.required("frozen_time"), "frozen_time"), name=p.text("name"))


CALLS = (
    ("POST", "/v1/invoiceitems", _create_item),
    ("POST", "/v1/invoiceitems/{id}", _update_item),
    ("DELETE", "/v1/invoiceitems/{id}", lambda sb, _, item: sb.delete_invoice_item(item)),
    ("POST", "/v1/invoices", _create_invoice),
    ("POST", "/v1/invoices/create_preview", _preview),
    ("POST", "/v1/invoices/{id}", _update_invoice),
    ("DELETE", "/v1/invoices/{id}", lambda sb, _, invoice: sb.delete_invoice(invoice)),
    ("POST", "/v1/invoices/{id}/finalize", _finalize),
    ("POST", "/v1/invoices/{id}/pay", _pay),
    ("POST", "/v1/invoices/{id}/send", lambda sb, _, invoice: sb.send_invoice(invoice)),
    ("POST", "/v1/invoices/{id}/void", lambda sb, _, invoice: sb.void_invoice(invoice)),
    ("POST", "/v1/invoices/{id}/mark_uncollectible", lambda sb, _, invoice: sb.mark_uncollectible(invoice)),
    ("GET", "/v1/invoices/{id}/lines", _invoice_lines),
    ("POST", "/v1/invoices/{id}/lines/{part}", _update_line),
    ("POST", "/v1/invoices/{id}/add_lines", lambda sb, p, invoice: sb.add_lines(invoice, _lines(p))),
    (
        "POST",
        "/v1/invoices/{id}/update_lines",
        lambda sb, p, invoice: sb.update_lines(invoice, {line["id"]: line for line in _lines(p)}),
    ),
    ("POST", "/v1/invoices/{id}/remove_lines", _remove_lines),
    ("POST", "/v1/credit_notes", _credit_note),
    (
        "POST",
        "/v1/credit_notes/{id}",
        lambda sb, p, note: sb.update_metadata("credit_note", note, p.mapping("metadata"), "credit_note.updated"),
    ),
    ("POST", "/v1/credit_notes/{id}/void", lambda sb, _, note: sb.void_credit_note(note)),
    ("GET", "/v1/credit_notes/{id}/lines", _note_lines),
    ("POST", "/v1/test_helpers/test_clocks", _create_clock),
    ("DELETE", "/v1/test_helpers/test_clocks/{id}", lambda sb, _, clock: sb.delete_test_clock(clock)),
    (
        "POST",
        "/v1/test_helpers/test_clocks/{id}/advance",
        lambda sb, p, clock: sb.advance_test_clock(clock, as_integer(p.required("frozen_time"), "frozen_time")),
    ),
    *calls_search.CALLS,
    *calls_subscriptions.CALLS,
    *calls_methods.CALLS,
)
