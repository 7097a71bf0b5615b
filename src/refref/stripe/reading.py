"""What reading a Stripe event gives: facts, and what must be fetched to complete them. Types only."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from refref.core.catalog import CatalogItem
from refref.core.facts import Fact


class UnreadableEvent(Exception):
    """A Stripe payload that a reader cannot understand: a stable `code` and a `sentence` for people.

    Codes: not_an_event, no_object, wrong_object, no_id, missing_field, wrong_type, wrong_document, too_deep.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class NeedKind(StrEnum):
    """What a payload may lack. The value is stored; the comment tells what `Need.stripe_id` is and what is fetched."""

    INVOICE_LINES = "invoice_lines"  # in_: the invoice with every line
    INVOICE_DISCOUNTS = "invoice_discounts"  # in_: the invoice with its discounts expanded
    INVOICE_OFF_STRIPE = "invoice_off_stripe"  # in_: the invoice in the pinned version (amount_paid_off_stripe)
    INVOICE_OF_PAYMENT = "invoice_of_payment"  # pi_: the list of invoice payments of a payment intent
    CUSTOMER = "customer"  # cus_: a customer known by reference only (the pump asks)
    SESSION_LINES = "session_lines"  # cs_: the session with every line item
    SESSION_DISCOUNTS = "session_discounts"  # cs_: the session with the breakdown of its discounts
    SESSION_COUPONS = "session_coupons"  # cs_: the same, where only promotion codes are named and not their coupons
    SUBSCRIPTION = "subscription"  # sub_: the subscription as it is now (two updates of one second: the pump asks)
    SUBSCRIPTION_DISCOUNTS = "subscription_discounts"  # sub_: the subscription with its discounts expanded
    BALANCE_TRANSACTION = (
        "balance_transaction"  # ch_: the balance transactions of a charge, with Stripe's exchange rate
    )
    CREDIT_NOTE = "credit_note"  # cn_: the credit note with every line, in the pinned version (refunds with amounts)


class Need(msgspec.Struct, frozen=True, order=True):
    """One thing to fetch; the pump decides whether it matters, `StripeGateway.fetch` does it."""

    kind: NeedKind
    stripe_id: str


class Reading(msgspec.Struct, frozen=True, gc=False):
    """The facts of one event, one per Stripe object, and the needs, each once; both in a stable order. `catalog`: what
    it tells of products, prices and codes."""

    facts: tuple[Fact, ...] = ()
    needs: tuple[Need, ...] = ()
    catalog: tuple[CatalogItem, ...] = ()
