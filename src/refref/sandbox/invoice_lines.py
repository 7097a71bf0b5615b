"""Pure arithmetic of an invoice: what each line is reduced and taxed by, and what it adds up to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from refref.sandbox.amounts import exclusive_tax, inclusive_tax, percent_bps, share, split
from refref.sandbox.store import Doc


@dataclass(frozen=True, slots=True)
class LineDraft:
    """A line before reductions and tax; `amount` in minor units, negative for a credit; instants in unix seconds.

    `unit`: the decimal unit amount when it is not the price's; `rates`: tax rates of its own instead of the invoice's;
    `line`: the id of the line when it is on an invoice already.
    """

    amount: int
    description: str
    start: int
    end: int
    price: Doc | None = None
    quantity: int = 1
    discountable: bool = True
    proration: bool = False
    subscription: str | None = None
    subscription_item: str | None = None
    invoice_item: str | None = None
    credited: Doc | None = None
    unit: str | None = None
    line: str | None = None
    rates: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


def draft_of_item(item: Doc) -> LineDraft:
    """A pending invoice item as a line to be."""
    details = (item["parent"] or {}).get("subscription_details", {})
    return LineDraft(
        amount=item["amount"],
        description=item["description"],
        start=item["period"]["start"],
        end=item["period"]["end"],
        price=item["_price"],
        quantity=item["quantity"],
        discountable=item["discountable"],
        proration=item["proration"],
        subscription=details.get("subscription"),
        subscription_item=details.get("subscription_item"),
        invoice_item=item["id"],
        credited=item["_credited"],
        unit=item["_unit"],
        rates=tuple(item["_rates"]),
        metadata=item["metadata"],
    )


def draft_of_line(line: Doc) -> LineDraft:
    """A line of a draft invoice as it was before reductions and tax, to be worked out again."""
    parent = line["parent"]
    details = parent["subscription_item_details"] or parent["invoice_item_details"]
    return LineDraft(
        amount=line["amount"],
        description=line["description"],
        start=line["period"]["start"],
        end=line["period"]["end"],
        price=line["_price"],
        quantity=line["quantity"],
        discountable=line["discountable"],
        proration=details["proration"],
        subscription=details["subscription"],
        subscription_item=details.get("subscription_item"),
        invoice_item=details["invoice_item"],
        credited=details["proration_details"]["credited_items"],
        unit=(line["pricing"] or {}).get("unit_amount_decimal"),
        line=line["id"],
        rates=tuple(line["_rates"]),
        metadata=line["metadata"],
    )


def reductions(drafts: Sequence[LineDraft], discounts: Sequence[Doc]) -> list[list[Doc]]:
    """Per line the `discount_amounts`, one discount after another: percentages by line, amounts split over lines."""
    left = [max(0, d.amount) if d.discountable else 0 for d in drafts]
    found: list[list[Doc]] = [[] for _ in drafts]
    for discount in discounts:
        coupon = discount["_coupon"]
        products = coupon.get("applies_to", {}).get("products")
        open_ = [
            left[i] if products is None or (d.price is not None and d.price["product"] in products) else 0
            for i, d in enumerate(drafts)
        ]
        if coupon["percent_off"] is not None:
            parts = [share(amount, percent_bps(coupon["percent_off"]), 10_000) for amount in open_]
        else:
            parts = split(min(coupon["amount_off"], sum(open_)), open_)
        for i, part in enumerate(parts):
            left[i] -= part
            if open_[i]:
                found[i].append({"amount": part, "discount": discount["id"]})
    return found


def tax_of(net: int, rates: Sequence[Doc]) -> list[Doc]:
    """The `taxes` of an amount after discounts, in the shape of today.

    Inclusive rates are taken out of the amount together, exclusive ones are put on what is left.
    """
    contained = sum(percent_bps(r["percentage"]) for r in rates if r["inclusive"])
    inside = inclusive_tax(net, contained)
    shares = split(abs(inside), [percent_bps(r["percentage"]) for r in rates if r["inclusive"]])
    parts = iter(shares)
    found = []
    for rate in rates:
        if rate["inclusive"]:
            amount = next(parts) * (-1 if inside < 0 else 1)
        else:
            amount = exclusive_tax(net - inside, percent_bps(rate["percentage"]))
        found.append(
            {
                "amount": amount,
                "tax_behavior": "inclusive" if rate["inclusive"] else "exclusive",
                "tax_rate_details": {"tax_rate": rate["id"]},
                "taxability_reason": "standard_rated",
                "taxable_amount": net - inside,
                "type": "tax_rate_details",
            }
        )
    return found


def parent_of(draft: LineDraft) -> Doc:
    """Where a line comes from, in the shape of today."""
    details: Doc = {
        "invoice_item": draft.invoice_item,
        "proration": draft.proration,
        "proration_details": {"credited_items": draft.credited},
        "subscription": draft.subscription,
    }
    if draft.subscription_item is None:
        return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}
    details["subscription_item"] = draft.subscription_item
    return {"invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details"}


def item_parent(draft: LineDraft) -> Doc | None:
    """Where an invoice item comes from: its subscription, or nowhere."""
    if draft.subscription is None:
        return None
    details = {"subscription": draft.subscription, "subscription_item": draft.subscription_item}
    return {"subscription_details": details, "type": "subscription_details"}


def pricing_of(price: Doc | None, unit: str | None) -> Doc:
    """The `pricing` of a line or invoice item."""
    if price is None:
        return {"type": "price_details", "unit_amount_decimal": unit} if unit is not None else {}
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": unit,
    }


def unit_of(draft: LineDraft) -> str | None:
    """The decimal unit amount a line shows; a proration shows none."""
    if draft.amount == 0:
        return "0"
    if draft.proration:
        return None
    return draft.unit or (draft.price["unit_amount_decimal"] if draft.price else str(draft.amount))


def line_of(
    line_id: str, invoice: str, currency: str, draft: LineDraft, reduced: list[Doc], rates: Sequence[Doc]
) -> Doc:
    """One finished line; `rates` are the tax rates that hold for it."""
    net = draft.amount - sum(r["amount"] for r in reduced)
    return {
        "id": line_id,
        "object": "line_item",
        "amount": draft.amount,
        "currency": currency,
        "description": draft.description,
        "discount_amounts": reduced,
        "discountable": draft.discountable,
        "discounts": [],
        "invoice": invoice,
        "livemode": False,
        "metadata": draft.metadata,
        "parent": parent_of(draft),
        "period": {"end": draft.end, "start": draft.start},
        "pretax_credit_amounts": [{**r, "type": "discount"} for r in reduced],
        "pricing": pricing_of(draft.price, unit_of(draft)) or None,
        "quantity": draft.quantity,
        "quantity_decimal": str(draft.quantity),
        "subtotal": draft.amount,
        "taxes": tax_of(net, rates),
        "_price": draft.price,
        "_rates": list(draft.rates),
    }


def added(rows: Sequence[Doc], key: str) -> list[Doc]:
    """Discount or tax rows of several lines added up by what they belong to."""
    sums: dict[str, Doc] = {}
    for row in rows:
        name = str(row[key])
        if name in sums:
            sums[name]["amount"] += row["amount"]
            if "taxable_amount" in row:
                sums[name]["taxable_amount"] += row["taxable_amount"]
        else:
            sums[name] = dict(row)
    return list(sums.values())


def totals_of(lines: Sequence[Doc], shipping: int) -> Doc:
    """The invoice fields that follow from its lines; `shipping` is untaxed."""
    subtotal = sum(line["amount"] for line in lines)
    discounts = added([r for line in lines for r in line["discount_amounts"]], "discount")
    taxes = added([t for line in lines for t in line["taxes"]], "tax_rate_details")
    inclusive = sum(t["amount"] for t in taxes if t["tax_behavior"] == "inclusive")
    exclusive = sum(t["amount"] for t in taxes if t["tax_behavior"] == "exclusive")
    without_tax = subtotal - sum(d["amount"] for d in discounts) + shipping - inclusive
    return {
        "amount_shipping": shipping,
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal - inclusive,
        "total": without_tax + inclusive + exclusive,
        "total_discount_amounts": discounts,
        "total_excluding_tax": without_tax,
        "total_pretax_credit_amounts": [{**d, "type": "discount"} for d in discounts],
        "total_taxes": taxes,
    }
