"""Sums of several currencies as one, in the display currency of a program: an estimate, never booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from refref.core.estimates import Estimate, estimate_total
from refref.core.rates import Rate
from refref.db import rates, setup
from refref.db.pool import Connection
from refref.db.reports import CurrencyTotals

ESTIMATED = ("referred", "earned", "pending", "payable", "held")


@dataclass(frozen=True, slots=True)
class Together:
    """Sums over all currencies, by name; the rates that any of them used, and the currencies that have none."""

    currency: str
    sums: dict[str, Estimate]
    rates: tuple[Rate, ...]
    left_out: tuple[str, ...]


async def estimate_totals(
    tx: Connection, organization_id: str, connection_id: str, totals: Sequence[CurrencyTotals], day: date
) -> Together | None:
    """The sums in the display currency of a program, or else in the first currency; None where there is only one."""
    if len(totals) < 2:
        return None
    known = await setup.programs_of(tx, organization_id, connection_id)
    wanted = [program.terms[-1].terms.currency.display for program in known if program.terms]
    display = next((currency for currency in wanted if currency), totals[0].currency)
    book = await rates.rate_book(tx, organization_id)
    sums = {
        name: estimate_total({row.currency: getattr(row, f"{name}_minor") for row in totals}, display, book, day)
        for name in ESTIMATED
    }
    used = {rate.source: rate for estimate in sums.values() for rate in estimate.rates}
    left_out = {currency for estimate in sums.values() for currency in estimate.left_out}
    return Together(display, sums, tuple(used[source] for source in sorted(used)), tuple(sorted(left_out)))
