"""What people call the ids that terms name, so that terms in words can be read. Writes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from refref.core.terms import RewardRule, Terms
from refref.db import catalog, explain
from refref.db.pool import Connection


async def names_in(tx: Connection, organization_id: str, connection_id: str, many: Iterable[Terms]) -> dict[str, str]:
    """The names of the participants, products, prices and coupons that terms name by id; unknown ids are left out."""
    ids: set[str] = set()
    for terms in many:
        ids |= {*terms.products, *terms.excluded_products, *terms.excluded_coupons}
        for event in terms.events:
            ids |= {*event.products, *event.excluded_products, *event.excluded_coupons, *_ids_in(event.condition)}
        for rule in terms.rules:
            ids |= _ids_of_rule(rule)
    wanted = sorted(ids - {"", "referrer"})
    if not wanted:
        return {}
    people = await explain.names_of(tx, organization_id, [one for one in wanted if one.startswith("ptc_")])
    items = await catalog.names_of_items(tx, organization_id, connection_id, wanted)
    return {**items, **people}


def _ids_of_rule(rule: RewardRule) -> set[str]:
    ids = {*rule.products, *rule.excluded_products, *(share.participant for share in rule.split)}
    ids |= {person for override in rule.overrides for person in override.participants}
    ids |= {step.plan for step in rule.tiers.steps} if rule.tiers else set()
    return ids | _ids_in(rule.condition)


def _ids_in(condition: str) -> set[str]:
    """What in a condition looks like the id of a participant or of something that Stripe sells."""
    return set(re.findall(r"\b(?:ptc|prod|price|promo)_\w+", condition, re.ASCII))
