"""Whole-number money: half-up shares and splits that add up. No floats."""

from collections.abc import Sequence
from decimal import Decimal


def share(amount: int, part: int, whole: int) -> int:
    """`amount` x `part` : `whole`, rounded half away from zero; amounts in minor units."""
    product = amount * part
    sign = -1 if product < 0 else 1
    return sign * ((abs(product) * 2 + whole) // (2 * whole))


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in parts proportional to `weights` (not negative) that add up to it: largest remainder."""
    total = sum(weights)
    if total == 0:
        return [0] * len(weights)
    parts = [amount * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in order[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def percent_bps(percent: float | int | str) -> int:
    """A percentage as Stripe writes it (12.5) in hundredths of a percent (1250)."""
    return int(Decimal(str(percent)) * 100)


def bps_percent(rate_bps: int) -> float | int:
    """Hundredths of a percent as the JSON number Stripe writes."""
    whole, rest = divmod(rate_bps, 100)
    return float(Decimal(rate_bps).scaleb(-2)) if rest else whole


def exclusive_tax(net: int, rate_bps: int) -> int:
    """Tax to put on top of `net`."""
    return share(net, rate_bps, 10_000)


def inclusive_tax(gross: int, rate_bps: int) -> int:
    """Tax contained in `gross`."""
    return gross - share(gross, 10_000, 10_000 + rate_bps)
