"""Lines of invoices, Checkout Sessions and credit notes, in every shape, as one. Amounts in minor units."""

from __future__ import annotations

from refref.core.facts import CreditNoteLine, Line
from refref.stripe.readers.intervals import invoice_line_interval, price_interval
from refref.stripe.readers.probe import (
    Payload,
    checked_id,
    flag,
    id_or_none,
    identifier,
    label,
    rows,
    section,
    whole,
    whole_or_none,
)


def invoice_line(line: Payload) -> Line:
    """One invoice line; its id, which only a credit note refers to, may be missing.

    Tax from `taxes` (basil) or `tax_amounts` (older); price and product from `pricing` (basil), `price` or `plan`;
    proration from `parent` (basil) or the line. Acacia carries both forms: the newer one is read.
    """
    inclusive, exclusive = tax_of(line)
    product, price = priced(line)
    discount, credit = pretax_of(line)
    is_proration = _is_proration(line)
    return Line(
        id_or_none(line, "id") or "",
        whole(line, "amount"),
        discount,
        inclusive,
        exclusive,
        credit,
        product,
        price,
        whole_or_none(line, "quantity"),
        is_proration,
        label(line, "description") or "",
        "" if is_proration else invoice_line_interval(line),
    )


def session_line(item: Payload) -> Line:
    """One line item of a Checkout Session; what exclusive tax adds to the total is exclusive, the rest inclusive."""
    subtotal = whole(item, "amount_subtotal")
    discount = whole_or_none(item, "amount_discount") or 0
    tax = whole_or_none(item, "amount_tax") or 0
    total = whole(item, "amount_total")
    exclusive = max(0, min(tax, total - subtotal + discount))
    product, price = priced(item)
    return Line(
        id=identifier(item),
        amount=subtotal,
        discount=discount,
        tax_inclusive=tax - exclusive,
        tax_exclusive=exclusive,
        product=product,
        price=price,
        quantity=whole_or_none(item, "quantity"),
        description=label(item, "description") or "",
        interval=price_interval(item),
    )


def credit_note_line(line: Payload) -> CreditNoteLine:
    """One line of a credit note, net.

    `amount` is gross of discounts in every version; so is `amount_excluding_tax`, which newer versions lack, hence
    the net is worked out from `amount` alone. Source: Stripe's reference of credit note line items.
    """
    inclusive, _ = tax_of(line)
    discount, credit = pretax_of(line)
    return CreditNoteLine(id_or_none(line, "invoice_line_item"), whole(line, "amount") - discount - inclusive - credit)


def tax_of(line: Payload) -> tuple[int, int]:
    """Inclusive and exclusive tax of a line."""
    taxes = rows(line, "taxes") if line.get("taxes") else rows(line, "tax_amounts")
    inclusive = exclusive = 0
    for tax in taxes:
        behavior = tax.get("tax_behavior")
        if behavior == "inclusive" or (behavior is None and flag(tax, "inclusive")):
            inclusive += whole(tax, "amount")
        else:
            exclusive += whole(tax, "amount")
    return inclusive, exclusive


def pretax_of(line: Payload) -> tuple[int, int]:
    """What came off before tax: discounts, and billing credits (`pretax_credit_amounts` that are not discounts)."""
    discount = credit = in_pretax = 0
    if line.get("pretax_credit_amounts"):
        for row in rows(line, "pretax_credit_amounts"):
            if row.get("type") == "discount":
                in_pretax += whole(row, "amount")
            else:
                credit += whole(row, "amount")
    if line.get("discount_amounts") is None:
        return whole_or_none(line, "discount_amount") or in_pretax, credit
    for row in rows(line, "discount_amounts"):
        discount += whole(row, "amount")
    return discount, credit


def priced(line: Payload) -> tuple[str | None, str | None]:
    """Product id and price id of a line or subscription item."""
    pricing = line.get("pricing")
    if pricing is not None:
        details = section(section(line, "pricing"), "price_details")
        product, price = _product_and_price(details)
        if price is not None:
            return product, price
    for key in ("price", "plan"):
        value = line.get(key)
        if value is None:
            continue
        if type(value) is dict:
            return id_or_none(value, "product"), id_or_none(line, key)
        return None, checked_id(value, line, key)
    return None, None


def _product_and_price(details: Payload) -> tuple[str | None, str | None]:
    price = details.get("price")
    product = id_or_none(details, "product")
    if product is None and type(price) is dict:
        product = id_or_none(price, "product")
    return product, id_or_none(details, "price")


def _is_proration(line: Payload) -> bool:
    if flag(line, "proration"):
        return True
    parent = line.get("parent")
    if parent is None:
        return False
    parent = section(line, "parent")
    for key in ("subscription_item_details", "invoice_item_details"):
        if parent.get(key) is not None and flag(section(parent, key), "proration"):
            return True
    return False
