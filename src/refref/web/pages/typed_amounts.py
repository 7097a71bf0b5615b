"""Amounts and rates as people type them in forms, to whole minor units and basis points and back. Exact, no floats."""

from __future__ import annotations

import re
from collections.abc import Mapping

from refref.core.currency_codes import CURRENCIES
from refref.core.money import wire_exponent
from refref.web.money_format import decimal_text

AMOUNT_SENTENCE = "Give amounts such as 10.00 USD, 9.00 EUR."
MONEY = re.compile(r"(?:([A-Za-z]{3})\s*([0-9.]+)|([0-9.]+)\s*([A-Za-z]{3}))")
_DECIMAL = re.compile(r"([0-9]{1,13})(?:[.,]([0-9]{1,12}))?")


def amounts_of(text: str) -> dict[str, int] | None:
    """Minor units by currency of `10.00 USD, 9 EUR`; None where it cannot be read, or a currency comes twice."""
    found: dict[str, int] = {}
    for part in re.split(r"[,;\n]", text):
        if not part.strip():
            continue
        match = MONEY.fullmatch(part.strip())
        if match is None:
            return None
        currency = (match[1] or match[4]).lower()
        amount = decimal_of(match[2] or match[3], wire_exponent(currency))
        if amount is None or currency in found or currency not in CURRENCIES:
            return None
        found[currency] = amount
    return found


def amounts_text(amounts: Mapping[str, int]) -> str:
    """`10.00 USD, 9.00 EUR`."""
    return ", ".join(f"{decimal_text(amount, code)} {code.upper()}" for code, amount in amounts.items())


def percent_of(text: str) -> int | None:
    """Basis points of `12.5` or `12.5 %`; None where it is no such number."""
    return decimal_of(text.removesuffix("%").strip(), 2)


def percent_text(rate_bps: int) -> str:
    """`12.5` for 1250."""
    whole, rest = divmod(rate_bps, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)


def decimal_of(text: str, places: int) -> int | None:
    """A decimal as a whole number of its smallest units; None where it is none or has more places."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match[1], match[2] or ""
    return None if len(fraction) > places else int(whole + fraction.ljust(places, "0"))
