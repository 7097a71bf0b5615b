"""Money that was reserved and partly captured: Stripe books the rest as a refund, which takes nothing back twice."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from stripe_payloads import NOW, charge, payment_intent, refund

from refref.core.base import base_of
from refref.core.facts import Fact, merge
from refref.core.reversals import reversal_items
from refref.core.sales import Sale, sales_of
from refref.core.terms import Terms
from refref.stripe.readers.objects import read_object

RESERVED, TAKEN = 20_675, 20_300
INTENT = payment_intent(amount=RESERVED, amount_received=TAKEN)
CHARGE = charge(amount=RESERVED, amount_captured=TAKEN, amount_refunded=RESERVED - TAKEN)
REST = refund(amount=RESERVED - TAKEN)


def sale_of(*payloads: dict[str, Any]) -> Sale:
    known: dict[str, Fact] = {}
    for payload in payloads:
        for fact in read_object(payload, NOW).facts:
            own = known.get(fact.stripe_id)
            known[fact.stripe_id] = fact if own is None else merge(own, fact)
    (sale,) = sales_of(list(known.values()))
    return sale


def kept(*payloads: dict[str, Any]) -> int:
    """What stays of a sale: paid less what went back."""
    sale = sale_of(*payloads)
    items = reversal_items(sale, base_of(sale, Terms()), None)
    return sale.paid - sum(item.amount for item in items if item.effect == "reversed")


@pytest.mark.parametrize("order", list(permutations((INTENT, CHARGE, REST))))
def test_what_was_captured_stays(order: tuple[dict[str, Any], ...]) -> None:
    assert kept(*order) == TAKEN


def test_without_the_intent_or_the_refund_of_the_rest() -> None:
    assert kept(CHARGE, REST) == kept(CHARGE) == kept(INTENT, CHARGE) == kept(INTENT) == TAKEN


def test_what_is_really_refunded_goes_back() -> None:
    more = charge(amount=RESERVED, amount_captured=TAKEN, amount_refunded=RESERVED - TAKEN + 300)
    assert kept(INTENT, more, REST, refund(id="re_2", amount=300)) == TAKEN - 300
    whole = charge(amount=RESERVED, amount_captured=TAKEN, amount_refunded=RESERVED)
    assert kept(INTENT, whole, REST, refund(id="re_2", amount=TAKEN)) == 0


def test_a_first_capture_of_several_is_no_refund() -> None:
    part = charge(amount=RESERVED, amount_captured=5_000, amount_refunded=0)
    assert kept(part) == 5_000


def test_a_reservation_that_was_let_go_is_no_money() -> None:
    gone = charge(amount=RESERVED, amount_captured=0, amount_refunded=RESERVED, captured=False)
    assert sale_of(gone).paid == 0
