"""What a program gave in a period, for its caps and budgets. Reads only."""

from __future__ import annotations

from refref.core.periods import DAY_S
from refref.db.pool import Connection


async def given_since(tx: Connection, organization_id: str, program_id: str, since: int) -> list[tuple[str, str, int]]:
    """(rule, currency, minor units) of what conversions from the day of `since` (seconds) on gave, less what was taken
    back. Empty where no version of the terms has caps or tiers: nothing is added up then."""
    rows = await tx.fetch(
        """
        select rule_id, split_part(currency, '<', 1), sum(earned_minor)::bigint from tally_day
        where organization_id = $1 and program_id = $2 and owner_id = '' and rule_id <> '' and day >= $3
        group by 1, 2 order by 1, 2
        """,
        organization_id,
        program_id,
        since // DAY_S,
    )
    return [(row[0], row[1], row[2]) for row in rows]
