"""Ask: which of the things that events left open matter for the books, and note those for the fetcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refref.core.facts import Fact
from refref.db import needs as db_needs
from refref.db import setup
from refref.db.needs import OpenNeed
from refref.db.pool import Connection
from refref.stripe.reading import NeedKind

DELAY_S = 2  # the event that answers a need often comes a moment later
_DISCOUNTS = (NeedKind.INVOICE_DISCOUNTS, NeedKind.SESSION_DISCOUNTS, NeedKind.SUBSCRIPTION_DISCOUNTS)


async def ask_what_matters(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    needs: Sequence[OpenNeed],
    facts: Mapping[str, Fact],
) -> None:
    """Note the needs that can change a reward, given the facts as they are after settling."""
    if not needs:
        return
    kinds = {need.kind for need in needs}
    wanted = [need for need in needs if _is_open(need, facts)]
    if kinds.intersection(_DISCOUNTS) and not await db_needs.has_promotion_codes(tx, organization_id, connection_id):
        wanted = [need for need in wanted if need.kind not in _DISCOUNTS]
    programs_matter = kinds & {NeedKind.SESSION_LINES, NeedKind.INVOICE_OFF_STRIPE}
    if programs_matter:
        programs = await setup.programs_of(tx, organization_id, connection_id)
        terms = [version.terms for program in programs for version in program.terms]
        if not any(t.products for t in terms):
            wanted = [need for need in wanted if need.kind != NeedKind.SESSION_LINES]
        if all(t.counts_out_of_band for t in terms):
            wanted = [need for need in wanted if need.kind != NeedKind.INVOICE_OFF_STRIPE]
    await db_needs.ask(tx, organization_id, connection_id, wanted, DELAY_S)


def _is_open(need: OpenNeed, facts: Mapping[str, Fact]) -> bool:
    if need.kind != NeedKind.INVOICE_OF_PAYMENT:
        return True
    return not is_payment_explained(need.stripe_id, facts)


def is_payment_explained(payment_intent_id: str, facts: Mapping[str, Fact]) -> bool:
    """Whether it is known what a payment intent paid: an invoice, or a checkout without one."""
    for fact in facts.values():
        if payment_intent_id not in fact.links and fact.stripe_id != payment_intent_id:
            continue
        ids = (fact.stripe_id, *fact.links)
        if any(stripe_id.startswith(("in_", "cs_")) for stripe_id in ids):
            return True
    return False
