"""Ask: which of the things that events left open matter for the books: those the fetcher asks, the others sleep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refref.core.facts import ChargeState, Fact, Kind
from refref.db import facts as db_facts
from refref.db import needs as db_needs
from refref.db import setup
from refref.db.needs import OpenNeed
from refref.db.pool import Connection
from refref.flows.looked_at import BY_TERMS, DISCOUNTS, kinds_looked_at
from refref.stripe.reading import NeedKind

DELAY_S = 2  # the event that answers a need often comes a moment later
OPTIONAL = frozenset(
    {NeedKind.BALANCE_TRANSACTION}
)  # good to know; a key without the permission need not be asked again


async def ask_what_matters(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    needs: Sequence[OpenNeed],
    facts: Mapping[str, Fact],
) -> None:
    """Note the needs that can change a reward, given the facts as they are after settling. Those that no terms look at
    sleep, until some do."""
    if not needs:
        return
    open_needs = [need for need in needs if _is_open(need, facts)]
    asleep: set[NeedKind] = set()
    if any(need.kind in BY_TERMS for need in open_needs):
        programs = await setup.programs_of(tx, organization_id, connection_id)
        awake = set(kinds_looked_at(version for program in programs for version in program.terms))
        if await db_needs.has_promotion_codes(tx, organization_id, connection_id):
            awake.update(DISCOUNTS)
        asleep.update(BY_TERMS - awake)
    ids = (organization_id, connection_id)
    await db_needs.ask(tx, *ids, [need for need in open_needs if need.kind not in asleep], DELAY_S)
    await db_needs.ask(tx, *ids, [need for need in open_needs if need.kind in asleep], None)


async def close_what_is_answered(
    tx: Connection, organization_id: str, connection_id: str, needs: Sequence[OpenNeed]
) -> list[OpenNeed]:
    """The needs that are still open; those that other events have answered meanwhile are closed."""
    ids = [need.stripe_id for need in needs if need.kind in (NeedKind.CUSTOMER, NeedKind.INVOICE_OF_PAYMENT)]
    if not ids:
        return list(needs)
    rows = await db_facts.facts_of_scopes(tx, organization_id, connection_id, stripe_ids=ids)
    facts = {row.fact.stripe_id: row.fact for row in rows}
    still = [need for need in needs if _is_open(need, facts)]
    for need in needs:
        if need not in still:
            await db_needs.close(tx, organization_id, connection_id, need)
    return still


def customers_to_ask_for(facts: Mapping[str, Fact]) -> list[OpenNeed]:
    """Customers of sales who are known by reference only: their metadata may name who referred them."""
    unknown = {fact.stripe_id for fact in facts.values() if fact.kind is Kind.REF and fact.stripe_id.startswith("cus_")}
    if not unknown:
        return []
    first_seen: dict[str, int] = {}
    for fact in facts.values():
        for link in unknown.intersection(fact.links) if fact.state is not None else ():
            first_seen[link] = min(fact.seen_at, first_seen.get(link, fact.seen_at))
    return [OpenNeed(NeedKind.CUSTOMER, customer_id, seen_at) for customer_id, seen_at in sorted(first_seen.items())]


async def exchange_rates_to_ask_for(
    tx: Connection, organization_id: str, connection_id: str, facts: Mapping[str, Fact]
) -> list[OpenNeed]:
    """Referred charges of which Stripe's own exchange rate can matter: a program converts, from another currency."""
    charges = [
        fact for fact in facts.values() if isinstance(fact.state, ChargeState) and fact.state.status == "succeeded"
    ]
    if not charges:
        return []
    referred = {i for fact in facts.values() if fact.carriers for i in (fact.stripe_id, *fact.links)}
    charges = [fact for fact in charges if not referred.isdisjoint((fact.stripe_id, *fact.links))]
    if not charges:
        return []
    programs = await setup.programs_of(tx, organization_id, connection_id)
    wanted = {v.terms.currency.base for p in programs for v in p.terms if v.terms.currency.conversion == "daily"} - {""}
    told = {link for fact in facts.values() if fact.kind is Kind.BALANCE_TRANSACTION for link in fact.links}
    return [
        OpenNeed(NeedKind.BALANCE_TRANSACTION, fact.stripe_id, fact.seen_at)
        for fact in sorted(charges, key=lambda fact: fact.stripe_id)
        if isinstance(fact.state, ChargeState) and wanted - {fact.state.currency} and fact.stripe_id not in told
    ]


def _is_open(need: OpenNeed, facts: Mapping[str, Fact]) -> bool:
    if need.kind == NeedKind.CUSTOMER:
        known = facts.get(need.stripe_id)
        return known is None or known.kind is Kind.REF
    if need.kind == NeedKind.INVOICE_OF_PAYMENT:
        return not is_payment_explained(need.stripe_id, facts)
    return True


def is_payment_explained(payment_intent_id: str, facts: Mapping[str, Fact]) -> bool:
    """Whether it is known what a payment intent paid: an invoice, or a checkout without one."""
    for fact in facts.values():
        if payment_intent_id not in fact.links and fact.stripe_id != payment_intent_id:
            continue
        ids = (fact.stripe_id, *fact.links)
        if any(stripe_id.startswith(("in_", "cs_")) for stripe_id in ids):
            return True
    return False
