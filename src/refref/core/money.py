"""Money: whole minor units with an ISO currency, Stripe's wire exponents, and the one rounding (half up).

Amounts are never floats and currencies are never added. Sources: docs.stripe.com/currencies (zero-decimal, special
cases, three-decimal); Stripe's exponents differ from ISO 4217 (ISK and UGX travel with two decimals).
"""

from __future__ import annotations

from typing import NamedTuple


class CurrencyRule(NamedTuple):
    """How a currency travels: decimals on the wire, and the smallest steps of a charge and of a payout."""

    exponent: int
    charge_step: int = 1
    payout_step: int = 1


_ZERO_DECIMAL = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THREE_DECIMAL = "bhd jod kwd omr tnd"

_RULES: dict[str, CurrencyRule] = {
    **{code: CurrencyRule(0) for code in _ZERO_DECIMAL.split()},
    **{code: CurrencyRule(3, 10, 10) for code in _THREE_DECIMAL.split()},
    "isk": CurrencyRule(2, 100, 100),
    "ugx": CurrencyRule(2, 100, 100),
    "huf": CurrencyRule(2, 1, 100),
    "twd": CurrencyRule(2, 1, 100),
}
_TWO_DECIMAL = CurrencyRule(2)


def currency_rule(currency: str) -> CurrencyRule:
    """The rule of a currency (three letters, any case); two decimals unless Stripe says otherwise."""
    return _RULES.get(currency.lower(), _TWO_DECIMAL)


def wire_exponent(currency: str) -> int:
    """How many decimals a minor unit of `currency` stands for on Stripe's wire."""
    return currency_rule(currency).exponent


def round_half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest whole number, halves away from zero. Denominator is positive."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    if numerator < 0:
        return -((-numerator * 2 + denominator) // (denominator * 2))
    return (numerator * 2 + denominator) // (denominator * 2)


def round_to_step(numerator: int, denominator: int, currency: str) -> int:
    """`numerator / denominator` minor units as an amount that `currency` has, half up: ISK and UGX come in hundreds,
    three-decimal currencies in tens, the others in ones. Denominator is positive."""
    step = currency_rule(currency).charge_step
    return round_half_up(numerator, denominator * step) * step


def share(amount_minor: int, rate_bps: int) -> int:
    """`rate_bps` basis points of an amount, rounded half up: share(7, 2000) == 1."""
    return round_half_up(amount_minor * rate_bps, 10_000)


def payout_amount(amount_minor: int, currency: str) -> int:
    """The part of an amount that can be paid out: rounded down to the payout step (KWD 512 -> 510)."""
    step = currency_rule(currency).payout_step
    return amount_minor - amount_minor % step


def format_amount(amount_minor: int, currency: str) -> str:
    """An amount for people and logs, without grouping: `90.00 USD`, `500 JPY`, `-5.120 KWD`."""
    exponent = wire_exponent(currency)
    sign = "-" if amount_minor < 0 else ""
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    if exponent == 0:
        return f"{sign}{digits} {currency.upper()}"
    return f"{sign}{digits[:-exponent]}.{digits[-exponent:]} {currency.upper()}"
