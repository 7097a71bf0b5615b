"""Amounts for people and for spreadsheets, from whole minor units with Stripe's wire exponents. No floats."""

from __future__ import annotations

from refref.core.money import wire_exponent

MINUS = "−"


def decimal_text(amount_minor: int, currency: str) -> str:
    """A plain decimal for spreadsheets and machines: `-1234.50`, `500`, `5.120`."""
    exponent = wire_exponent(currency)
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    whole, fraction = (digits, "") if exponent == 0 else (digits[:-exponent], "." + digits[-exponent:])
    return f"{'-' if amount_minor < 0 else ''}{whole}{fraction}"


def grouped_text(amount_minor: int, currency: str) -> str:
    """A decimal for people, grouped by thousands, without the currency: `1,234.50`, `−5.120`."""
    whole, dot, fraction = decimal_text(abs(amount_minor), currency).partition(".")
    return f"{MINUS if amount_minor < 0 else ''}{int(whole):,}{dot}{fraction}"


def money_text(amount_minor: int, currency: str) -> str:
    """An amount for people: `1,234.50 USD`, with a space that does not break."""
    return f"{grouped_text(amount_minor, currency)}\u00a0{currency.upper()}"
