"""Balance transactions: what a charge came to in the currency of the Stripe balance, and at which exchange rate."""

from __future__ import annotations

import math
from decimal import Decimal

from refref.core.facts import BalanceTransactionState, Kind
from refref.stripe.readers.probe import Payload, id_or_none, identifier, refuse, text, whole, whole_or_none
from refref.stripe.readers.scene import Scene

_OF_CHARGES = ("ch_", "py_")


def read_balance_transaction(transaction: Payload, scene: Scene) -> None:
    """The balance transaction of a charge; those of refunds, fees and payouts tell nothing here."""
    stripe_id = identifier(transaction)
    source = id_or_none(transaction, "source")
    if source is None or not source.startswith(_OF_CHARGES):
        return
    state = BalanceTransactionState(
        currency=text(transaction, "currency").lower(),
        amount=whole(transaction, "amount"),
        exchange_rate=_exchange_rate(transaction),
        created_at=whole_or_none(transaction, "created") or 0,
    )
    scene.add(stripe_id, Kind.BALANCE_TRANSACTION, state, links=(source,))


def _exchange_rate(transaction: Payload) -> str:
    """Stripe writes the rate as a JSON number. Its shortest decimal form is what Stripe wrote: exact from here on."""
    rate = transaction.get("exchange_rate")
    if rate is None:
        return ""
    if type(rate) not in (int, float) or not math.isfinite(rate) or rate <= 0:
        refuse("wrong_type", transaction, "exchange_rate", "a number above 0 or null")
    return format(Decimal(repr(rate)), "f")
