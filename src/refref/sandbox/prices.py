"""What a price asks: per unit or in tiers, in packages, in several currencies, or what the buyer chooses. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from refref.sandbox.errors import StripeError
from refref.sandbox.store import Doc


@dataclass(frozen=True, slots=True)
class Part:
    """What one tier (or the one rate) of a price asks; `amount` in minor units, `unit` the decimal unit amount."""

    amount: int
    quantity: int
    unit: str
    tier: str = ""


def terms_in(price: Doc, currency: str | None) -> Doc:
    """The price itself, or what it asks in another currency; refuses a currency it is not sold in."""
    if currency is None or currency == price["currency"]:
        return price
    option: Doc | None = price["_currency_options"].get(currency)
    if option is None:
        raise StripeError(
            f"The price specified only supports `{price['currency']}`. This doesn't match the expected currency: "
            f"`{currency}`. Give the price currency_options[{currency}] or use another price.",
            param="currency",
        )
    return option


def parts_of(price: Doc, quantity: int, currency: str | None = None, chosen: int | None = None) -> list[Part]:
    """What `quantity` of a price costs, one part for each tier it reaches; `chosen` is the buyer's own amount."""
    terms = terms_in(price, currency)
    if terms["custom_unit_amount"] is not None:
        unit = _chosen(terms["custom_unit_amount"], chosen)
        return [Part(unit * quantity, quantity, str(unit))]
    packages = price["transform_quantity"]
    if packages is not None:
        up = packages["round"] == "up"
        quantity = -(-quantity // packages["divide_by"]) if up else quantity // packages["divide_by"]
    if price["billing_scheme"] == "tiered":
        return _tiered(terms["_tiers"], price["tiers_mode"], quantity)
    return [Part(_times(terms["unit_amount_decimal"], quantity), quantity, terms["unit_amount_decimal"])]


def amount_of(price: Doc, quantity: int, currency: str | None = None, chosen: int | None = None) -> int:
    """What `quantity` of a price costs, in minor units."""
    return sum(part.amount for part in parts_of(price, quantity, currency, chosen))


def _chosen(limits: Doc, chosen: int | None) -> int:
    amount = int(limits["preset"] or limits["minimum"] or 0) if chosen is None else chosen
    low, high = limits["minimum"] or 0, limits["maximum"]
    if amount < low or (high is not None and amount > high):
        raise StripeError(f"The amount must be between {low} and {high or 'any amount'}.", param="custom_unit_amount")
    return amount


def _times(unit: str, quantity: int) -> int:
    return int((Decimal(unit) * quantity).quantize(Decimal(1), ROUND_HALF_UP))


def _tiered(tiers: Sequence[Doc], mode: str, quantity: int) -> list[Part]:
    """Graduated: each unit at the rate of its own tier. Volume: all at the rate of the tier the quantity is in."""
    found, start = [], 0
    for number, tier in enumerate(tiers, 1):
        last = tier["up_to"] is None or quantity <= tier["up_to"]
        if mode == "graduated":
            units = quantity - start if last else tier["up_to"] - start
        else:
            units = quantity if last else 0
        if units > 0 or (last and quantity == 0):
            found += _tier_parts(tier, units, f"Tier {number}")
        if last:
            break
        start = tier["up_to"]
    return found


def _tier_parts(tier: Doc, units: int, name: str) -> list[Part]:
    parts = []
    if tier["unit_amount_decimal"] is not None:
        unit = tier["unit_amount_decimal"]
        parts.append(Part(_times(unit, units), units, unit, name))
    if tier["flat_amount_decimal"] is not None:
        flat = tier["flat_amount_decimal"]
        parts.append(Part(_times(flat, 1), 0, flat, f"{name} flat fee"))
    return parts


def decimal_text(value: Any, param: str) -> str | None:
    """An amount that may have a fraction of a minor unit, as Stripe writes it."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise StripeError(f"Invalid decimal: {value}", code="parameter_invalid_decimal", param=param) from None
    return f"{number:f}"


def unit_terms(given: Mapping[str, Any], param: str = "") -> Doc:
    """`unit_amount`, `unit_amount_decimal`, `custom_unit_amount` and `_tiers` from what a merchant gave.

    `given`: unit_amount or unit_amount_decimal, or tiers, or custom_unit_amount; numbers may be text.
    """
    custom, tiers = given.get("custom_unit_amount"), given.get("tiers")
    unit = decimal_text(given.get("unit_amount_decimal") or given.get("unit_amount"), f"{param}unit_amount")
    if sum(x is not None for x in (custom, tiers or None, unit)) != 1:
        raise StripeError(
            "Exactly one of unit_amount, tiers and custom_unit_amount must be given.",
            code="parameter_missing",
            param=f"{param}unit_amount",
        )
    return {
        "custom_unit_amount": _custom(custom) if custom else None,
        "unit_amount": int(unit) if unit is not None and "." not in unit else None,
        "unit_amount_decimal": unit,
        "_tiers": tiers_of(tiers) if tiers else None,
    }


def _custom(given: Mapping[str, Any]) -> Doc:
    numbers = {k: None if given.get(k) is None else int(given[k]) for k in ("maximum", "minimum", "preset")}
    return dict(numbers)


def tiers_of(given: Sequence[Mapping[str, Any]]) -> list[Doc]:
    """Stripe's tiers, ordered; the last one is open."""
    tiers: list[Doc] = []
    for i, row in enumerate(given):
        up_to = None if str(row.get("up_to")) == "inf" else int(row["up_to"])
        unit = decimal_text(row.get("unit_amount_decimal") or row.get("unit_amount"), f"tiers[{i}][unit_amount]")
        flat = decimal_text(row.get("flat_amount_decimal") or row.get("flat_amount"), f"tiers[{i}][flat_amount]")
        if unit is None and flat is None:
            raise StripeError("A tier needs unit_amount or flat_amount.", param=f"tiers[{i}][unit_amount]")
        tiers.append(
            {
                "flat_amount": int(flat) if flat is not None and "." not in flat else None,
                "flat_amount_decimal": flat,
                "unit_amount": int(unit) if unit is not None and "." not in unit else None,
                "unit_amount_decimal": unit,
                "up_to": up_to,
            }
        )
    bounds = [t["up_to"] for t in tiers]
    if bounds[-1] is not None or None in bounds[:-1] or sorted(bounds[:-1]) != bounds[:-1]:
        raise StripeError("The tiers must ascend, and the last one needs up_to=inf.", param="tiers")
    return tiers


def currency_options(given: Mapping[str, Mapping[str, Any]]) -> Doc:
    """What a price asks in other currencies."""
    options: Doc = {}
    for currency, terms in given.items():
        behavior = terms.get("tax_behavior") or "unspecified"
        options[currency.lower()] = unit_terms(terms, f"currency_options[{currency}]") | {"tax_behavior": behavior}
    return options


def packages_of(given: Mapping[str, Any] | None) -> Doc | None:
    """`transform_quantity`: sold in packages of `divide_by`."""
    if not given:
        return None
    if given.get("round") not in ("up", "down"):
        raise StripeError("Invalid transform_quantity[round]: must be up or down", param="transform_quantity[round]")
    return {"divide_by": int(given["divide_by"]), "round": given["round"]}


def recurring_of(interval: str | None, count: int) -> Doc | None:
    """How often a price is asked; None: once."""
    if interval is None:
        return None
    return {
        "interval": interval,
        "interval_count": count,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def plan_of(price: Doc) -> Doc:
    """The old `plan` object of a recurring price."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": None,
        "usage_type": "licensed",
    }
