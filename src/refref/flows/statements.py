"""Statements: every payment of a month in one class, each movement of Stripe's balance with the payment behind it, and
whether what the books hold of both is the same.

Reads decisions and facts, writes the statement's own lines; books nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby

from refref.core.facts import Fact
from refref.core.sales import Sale, sales_of
from refref.core.statement import Known, charged_minor, class_of, is_of_payments, known_of
from refref.db import facts, history, statements
from refref.db.facts import StoredFact
from refref.db.history import HistoryRun
from refref.db.pool import Connection
from refref.db.statements import Movement, StatedPayment
from refref.stripe.listing import Row, created_of

PAYMENTS_PAGE = 500


async def take_payments_page(tx: Connection, run: HistoryRun, after: str) -> str:
    """Put the next payments of the month in their classes; returns the key to go on after, "" at the end."""
    rows = await statements.decided_payments(tx, run, after, PAYMENTS_PAGE)
    sales = await _sales(tx, run, {row.payment_key for row in rows})
    stated: list[StatedPayment] = []
    for key, own in groupby(rows, key=lambda row: row.payment_key):
        decided = list(own)
        found, reason = class_of([row.decided for row in decided])
        first, sale = decided[0], sales.get(key)
        stated.append(
            StatedPayment(
                key,
                found.value,
                reason,
                first.occurred_at,
                first.referee_id,
                first.currency,
                first.decided.paid_minor,
                max(row.decided.refunded_minor for row in decided),
                0 if sale is None else sale.off_stripe,
                None if sale is None else charged_minor(sale),
            )
        )
    await statements.insert_payments(tx, run, stated)
    cursor = stated[-1].payment_key if stated else ""
    await history.advance(
        tx,
        run,
        "payments",
        cursor_id=cursor,
        read=len(stated),
        gaps=0,
        stored=len(stated),
        reached_at=None,
        is_done=not cursor,
    )
    return cursor


async def take_movements_page(tx: Connection, run: HistoryRun, rows: Sequence[Row], cursor_id: str) -> None:
    """Name the payment behind each of a page of balance transactions, or nobody, and move the cursor."""
    sources = [source for row in rows if isinstance(source := row.get("source"), str)]
    payments, known = await _payments_behind(tx, run, sources)
    found = [_movement(row, payments, known) for row in rows]
    await statements.insert_movements(tx, run, found)
    unexplained = sum(1 for movement in found if movement.is_sale and not movement.payment_key)
    await history.advance(
        tx,
        run,
        "movements",
        cursor_id=cursor_id,
        read=len(found),
        gaps=unexplained,
        stored=len(found),
        reached_at=created_of(rows[-1]) if rows else None,
        is_done=not cursor_id,
    )


async def _sales(tx: Connection, run: HistoryRun, keys: Collection[str]) -> dict[str, Sale]:
    stored = await facts.facts_of_scopes(tx, run.organization_id, run.connection_id, stripe_ids=keys)
    return {sale.key: sale for own in _by_scope(stored) for sale in sales_of(own) if sale.key in keys}


def _by_scope(stored: Sequence[StoredFact]) -> Iterable[list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for row in stored:
        found.setdefault(row.scope_id, []).append(row.fact)
    return found.values()


async def _payments_behind(
    tx: Connection, run: HistoryRun, sources: Sequence[str]
) -> tuple[dict[str, str], dict[str, Known]]:
    """The payment that each charge, refund or dispute belongs to, where the books decided about it, and what the books
    hold of each."""
    stored = await facts.facts_of_scopes(tx, run.organization_id, run.connection_id, stripe_ids=sources)
    keys = {stripe_id: sale.key for own in _by_scope(stored) for sale in sales_of(own) for stripe_id in sale.ids}
    wanted = {keys[source] for source in sources if source in keys}
    decided = await statements.decided_keys(tx, run.organization_id, run.connection_id, wanted)
    wanted_sources = set(sources)
    held = {row.fact.stripe_id: known_of(row.fact) for row in stored if row.fact.stripe_id in wanted_sources}
    known = {stripe_id: amount for stripe_id, amount in held.items() if amount is not None}
    return {source: keys[source] for source in sources if keys.get(source) in decided}, known


def _movement(row: Row, payments: Mapping[str, str], known: Mapping[str, Known]) -> Movement:
    source, category = row.get("source"), row.get("reporting_category")
    source_id = source if isinstance(source, str) else ""
    held = known.get(source_id)
    movement_type = str(row.get("type"))
    return Movement(
        stripe_id=str(row.get("id")),
        type=movement_type,
        is_sale=is_of_payments(movement_type, category if isinstance(category, str) else "", source_id),
        source_id=source_id,
        payment_key=payments.get(source_id, ""),
        currency=str(row.get("currency")).lower(),
        amount_minor=_whole(row.get("amount")),
        fee_minor=_whole(row.get("fee")),
        created_s=created_of(row),
        known_minor=None if held is None else held.minor,
        known_currency="" if held is None else held.currency,
    )


def _whole(value: object) -> int:
    if type(value) is int:
        return value
    raise ValueError(f"Stripe wrote {value!r} where a whole number stands")
