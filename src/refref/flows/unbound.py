"""Unbound sales in explanations: what their identifiers stand for, by facts and the set-up of now. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from refref.core.attribution import CodeOwner, Evidence, Found, bind, carriers_by_referee
from refref.core.decisions import Decision
from refref.core.facts import Fact
from refref.core.sales import sales_of
from refref.core.told_carriers import code_key
from refref.core.unbound import Standing, Unbound, explain_unbound, is_unbound
from refref.db import why_not as look
from refref.db.pool import Connection

_NO_PROGRAM = ""


async def unbound_sales(
    tx: Connection, organization_id: str, connection_id: str, decisions: Sequence[Decision], facts: Sequence[Fact]
) -> dict[str, Unbound]:
    """By payment key, what to tell of each sale of a scope (`facts`) that nobody is bound to; only those of which the
    set-up says more than the stored decision."""
    own = [decision for decision in decisions if is_unbound(decision)]
    if not own:
        return {}
    # Where no program had terms, nothing was weighed.
    found: dict[str, list[Found]] = {}
    if not all(decision.evidence for decision in own):
        found = carriers_by_referee(facts, sales_of(facts))
    keys = {code_key(item.kind, item.value) for decision in own for item in decision.evidence}
    keys |= {code_key(item.carrier.kind, item.carrier.value) for items in found.values() for item in items}
    standings = await look.standings_of(tx, organization_id, connection_id, keys) if keys else {}
    told: dict[str, Unbound] = {}
    for decision in own:
        evidence = decision.evidence or _weighed(found.get(decision.referee_id, ()), standings)
        unbound = explain_unbound(decision, evidence, standings)
        if unbound is not None:
            told[decision.payment_key] = unbound
    return told


def _weighed(found: Sequence[Found], standings: dict[str, Standing]) -> tuple[Evidence, ...]:
    owners = {
        key: CodeOwner(standing.participant_id, standing.program_id, standing.ended_at)
        for key, standing in standings.items()
        if not standing.elsewhere
    }
    return bind(found, owners, _NO_PROGRAM)[1]
