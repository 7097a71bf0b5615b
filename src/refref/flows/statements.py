"""Statements: every payment of a month in one class, and each movement of Stripe's balance with the payment behind it.

Reads decisions and facts, writes the statement's own lines; books nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from refref.core.sales import sales_of
from refref.core.statement import SALE_TYPES, class_of
from refref.db import facts, history, statements
from refref.db.history import HistoryRun
from refref.db.pool import Connection
from refref.db.statements import Movement, StatedPayment
from refref.stripe.listing import Row, created_of

PAYMENTS_PAGE = 2000


async def take_payments_page(tx: Connection, run: HistoryRun, after: str) -> str:
    """Put the next payments of the month in their classes; returns the key to go on after, "" at the end."""
    rows = await statements.decided_payments(tx, run, after, PAYMENTS_PAGE)
    stated: list[StatedPayment] = []
    for key, own in groupby(rows, key=lambda row: row.payment_key):
        decided = list(own)
        found, reason = class_of([row.decided for row in decided])
        first = decided[0]
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
    payments = await _payments_behind(tx, run, sources)
    found = [_movement(row, payments) for row in rows]
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


async def _payments_behind(tx: Connection, run: HistoryRun, sources: Sequence[str]) -> dict[str, str]:
    """The payment that each charge, refund or dispute belongs to, where the books decided about it."""
    stored = await facts.facts_of_scopes(tx, run.organization_id, run.connection_id, stripe_ids=sources)
    by_scope: dict[str, list[facts.StoredFact]] = {}
    for row in stored:
        by_scope.setdefault(row.scope_id, []).append(row)
    keys = {
        stripe_id: sale.key
        for rows in by_scope.values()
        for sale in sales_of([row.fact for row in rows])
        for stripe_id in sale.ids
    }
    wanted = {keys[source] for source in sources if source in keys}
    decided = await statements.decided_keys(tx, run.organization_id, run.connection_id, wanted)
    return {source: keys[source] for source in sources if keys.get(source) in decided}


def _movement(row: Row, payments: dict[str, str]) -> Movement:
    source = row.get("source")
    source_id = source if isinstance(source, str) else ""
    return Movement(
        stripe_id=str(row.get("id")),
        type=str(row.get("type")),
        is_sale=row.get("type") in SALE_TYPES,
        source_id=source_id,
        payment_key=payments.get(source_id, ""),
        currency=str(row.get("currency")).lower(),
        amount_minor=_whole(row.get("amount")),
        fee_minor=_whole(row.get("fee")),
        created_s=created_of(row),
    )


def _whole(value: object) -> int:
    if type(value) is int:
        return value
    raise ValueError(f"Stripe wrote {value!r} where a whole number stands")
