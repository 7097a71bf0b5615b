"""Changes of a running subscription: to a cheaper plan, or to another quantity of the same one. Marks, no states.

Read from `previous_attributes`, which every version tells with the items, the plan or the quantity as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from refref.stripe.readers.probe import Payload, id_or_none, rows, section, text_or_none, whole_or_none

# A month is a twelfth of a year of 365 days, so that any two intervals can be compared.
DAYS = {"day": Fraction(1), "week": Fraction(7), "month": Fraction(365, 12), "year": Fraction(365)}
LONGEST_DECIMAL = 40


def change_marks(subscription: Payload, previous: Payload, at: int) -> tuple[tuple[str, int], ...]:
    """The mark of what this update changed: `quantity_change:<at>` or `downgrade:<at>`, or none.

    Other quantities of the same prices are a change of quantity; other prices that together ask less a month are a
    downgrade. Where a price does not tell what it asks (tiers, the buyer's choice), nothing is said of the cost.
    """
    now = _items(subscription)
    before = _before(now, previous)
    if before is None or not now:
        return ()
    prices_now, prices_before = _prices(now), _prices(before)
    if prices_now is None or prices_before is None:
        return ()
    if [price for price, _ in prices_now] == [price for price, _ in prices_before]:
        return ((f"quantity_change:{at}", at),) if prices_now != prices_before else ()
    cost_now, cost_before = _monthly(now), _monthly(before)
    if cost_now is None or cost_before is None or cost_now[0] != cost_before[0]:
        return ()
    return ((f"downgrade:{at}", at),) if cost_now[1] < cost_before[1] else ()


def _items(subscription: Payload) -> Sequence[Payload]:
    """The items; where a short shape has none, the subscription's own plan and quantity stand for the one."""
    items = rows(section(subscription, "items"), "data")
    return items or ([subscription] if subscription.get("plan") is not None else [])


def _before(now: Sequence[Payload], previous: Payload) -> Sequence[Payload] | None:
    """The items as they were; None where the update changed none of what they cost."""
    items = rows(section(previous, "items"), "data")
    if items:
        return items
    if len(now) != 1:
        return None
    plan, quantity = previous.get("plan"), whole_or_none(previous, "quantity")
    if type(plan) is not dict and quantity is None:
        return None
    known = _price(now[0])
    before = {"price": plan if type(plan) is dict else known}
    return [{**before, "quantity": whole_or_none(now[0], "quantity") if quantity is None else quantity}]


def _price(item: Payload) -> Payload:
    for key in ("price", "plan"):
        if type(item.get(key)) is dict:
            return section(item, key)
    return {}


def _prices(items: Sequence[Payload]) -> list[tuple[str, int]] | None:
    """Price ids with quantities, in order; None where a price is not told."""
    found: list[tuple[str, int]] = []
    for item in items:
        price = id_or_none({"price": item.get("price") or item.get("plan")}, "price")
        if price is None:
            return None
        found.append((price, _quantity(item)))
    return sorted(found)


def _quantity(item: Payload) -> int:
    quantity = whole_or_none(item, "quantity")
    return 1 if quantity is None else quantity  # metered prices have none


def _monthly(items: Sequence[Payload]) -> tuple[str, Fraction] | None:
    """Currency and what the items ask, for each day; None where it is not told or not one currency."""
    total = Fraction(0)
    currencies: set[str] = set()
    for item in items:
        price = _price(item)
        unit, days = _unit_amount(price), _days(price)
        if unit is None or days is None:
            return None
        currencies.add((text_or_none(price, "currency") or "").lower())
        total += unit * _quantity(item) / days
    return (currencies.pop(), total) if len(currencies) == 1 else None


def _unit_amount(price: Payload) -> Fraction | None:
    for key in ("unit_amount", "amount"):
        whole = whole_or_none(price, key)
        if whole is not None:
            return Fraction(whole)
    for key in ("unit_amount_decimal", "amount_decimal"):
        written = text_or_none(price, key)
        if written is not None and len(written) <= LONGEST_DECIMAL:
            try:
                amount = Decimal(written)
            except InvalidOperation:
                return None
            return Fraction(amount) if amount.is_finite() and abs(amount.adjusted()) < LONGEST_DECIMAL else None
    return None


def _days(price: Payload) -> Fraction | None:
    recurring = section(price, "recurring") or price
    days = DAYS.get(text_or_none(recurring, "interval") or "")
    count = whole_or_none(recurring, "interval_count")
    count = 1 if count is None else count
    return None if days is None or count < 1 else days * count
