"""The caps on a whole program, its budgets, with what was given of each in its present period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refref.core.periods import period_start
from refref.core.terms import Period
from refref.db import budgets, programs
from refref.db.pool import Connection
from refref.db.programs import StoredTerms


@dataclass(frozen=True, slots=True)
class Budget:
    """A cap on the whole program in one currency. `rules`: those whose rewards count; empty: all.

    `given_minor`: less what was taken back, in the present period on the connection's clock.
    """

    period: Period
    rules: tuple[str, ...]
    currency: str
    cap_minor: int
    given_minor: int

    @property
    def used_per_mille(self) -> int:
        """How much of it is used, in thousandths, 0 to 1000."""
        return min(1000, max(0, self.given_minor) * 1000 // self.cap_minor)


async def terms_in_force(tx: Connection, organization_id: str, program_id: str, now: datetime) -> StoredTerms | None:
    """The version that holds at an instant of the connection's clock; None when the first one is yet to come."""
    versions = await programs.terms_versions(tx, organization_id, program_id)
    return next((version for version in versions if version.effective_at <= now), None)


async def program_budgets(
    tx: Connection, organization_id: str, program_id: str, version: StoredTerms | None, now: datetime
) -> list[Budget]:
    """The budgets of a version of the terms, in the order of its caps."""
    found: list[Budget] = []
    for cap in version.terms.caps if version else ():
        if cap.on != "program":
            continue
        since = period_start(cap.period, int(now.timestamp()))
        sums: dict[str, int] = {}
        for rule_id, currency, amount in await budgets.given_since(tx, organization_id, program_id, since):
            if not cap.rules or rule_id in cap.rules:
                sums[currency] = sums.get(currency, 0) + amount
        found += [
            Budget(cap.period, cap.rules, currency, amount, sums.get(currency, 0))
            for currency, amount in cap.amounts.items()
        ]
    return found
