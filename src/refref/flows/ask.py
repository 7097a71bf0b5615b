"""Ask: which of the things that events left open matter for the books, and note those for the fetcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refref.core.compiled import compiled
from refref.core.facts import ChargeState, Fact, Kind
from refref.core.terms import Terms
from refref.db import facts as db_facts
from refref.db import needs as db_needs
from refref.db import setup
from refref.db.needs import OpenNeed
from refref.db.pool import Connection
from refref.stripe.reading import NeedKind

DELAY_S = 2  # the event that answers a need often comes a moment later
OPTIONAL = frozenset(
    {NeedKind.BALANCE_TRANSACTION}
)  # good to know; a key without the permission need not be asked again
_DISCOUNTS = (NeedKind.INVOICE_DISCOUNTS, NeedKind.SESSION_DISCOUNTS, NeedKind.SUBSCRIPTION_DISCOUNTS)
_BY_TERMS = frozenset({*_DISCOUNTS, NeedKind.SESSION_COUPONS, NeedKind.SESSION_LINES, NeedKind.INVOICE_OFF_STRIPE})
_OF_LINES = (
    "products",
    "prices",
    "quantity",
    "subscription_plan",
    "billing_interval",
)  # fields of `sale` in conditions


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
    if kinds & _BY_TERMS:
        programs = await setup.programs_of(tx, organization_id, connection_id)
        versions = [version for program in programs for version in program.terms]
        terms = [version.terms for version in versions]
        needs_coupons = any(map(_looks_at_coupons, terms))
        has_codes = await db_needs.has_promotion_codes(tx, organization_id, connection_id)
        unwanted: set[str] = set()
        if not needs_coupons:
            unwanted.update(_DISCOUNTS if not has_codes else (), [NeedKind.SESSION_COUPONS])
        if not any(compiled(version).needs_lines or _asks_for(version.terms, _OF_LINES) for version in versions):
            unwanted.add(NeedKind.SESSION_LINES)
        if all(t.counts_out_of_band for t in terms):
            unwanted.add(NeedKind.INVOICE_OFF_STRIPE)
        wanted = [need for need in wanted if need.kind not in unwanted]
    await db_needs.ask(tx, organization_id, connection_id, wanted, DELAY_S)


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


def _looks_at_coupons(terms: Terms) -> bool:
    """Whether it matters which coupons are on a sale."""
    named = terms.excluded_coupons or any(event.excluded_coupons for event in terms.events)
    return bool(named) or _asks_for(terms, ("coupons",))


def _asks_for(terms: Terms, fields: Sequence[str]) -> bool:
    """Whether a condition names one of these fields of the sale."""
    conditions = [*(event.condition for event in terms.events), *(rule.condition for rule in terms.rules)]
    return any(f"sale.{field}" in condition for condition in conditions for field in fields)


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
