"""The one list of Stripe events: what each is for and who reads it. Endpoint set-up, CLI and docs derive from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from refref.core.facts import Fact, Kind
from refref.stripe.readers.balance import read_balance_transaction
from refref.stripe.readers.carriers import discount_starts
from refref.stripe.readers.catalog import CATALOG_READERS
from refref.stripe.readers.customer import read_customer, read_discount, read_subscription
from refref.stripe.readers.invoice import read_invoice, read_invoice_payment
from refref.stripe.readers.payment import read_charge, read_fraud_warning, read_payment_intent
from refref.stripe.readers.probe import LARGEST, identifier, rows, section
from refref.stripe.readers.ranks import SUBSCRIPTION_REFETCHED_WEIGHT
from refref.stripe.readers.reversal import read_credit_note, read_dispute, read_refund
from refref.stripe.readers.scene import ObjectReader, Scene, without_state
from refref.stripe.readers.session import read_session
from refref.stripe.reading import Need, NeedKind, Reading, UnreadableEvent


class EventGroup(StrEnum):
    """What part of the product an event serves; a connection that does not use the part need not enable the group."""

    SALES = "sales"
    REVERSALS = "reversals"
    CUSTOMERS = "customers"
    PROMOTION_CODES = "promotion_codes"
    CATALOG = "catalog"
    PAYOUTS = "payouts"
    CONNECTION = "connection"


class EventType(msgspec.Struct, frozen=True):
    """One Stripe event type. `object_name` is Stripe's name of what data.object holds and picks the reader; events
    without one give no facts and are for the flows of their group. `is_required`: the books need it to be right."""

    name: str
    group: EventGroup
    purpose: str
    object_name: str | None = None
    is_required: bool = False


OBJECT_READERS: Mapping[str, ObjectReader] = MappingProxyType(
    {
        "checkout.session": read_session,
        "invoice": read_invoice,
        "invoice_payment": read_invoice_payment,
        "payment_intent": read_payment_intent,
        "charge": read_charge,
        "refund": read_refund,
        "dispute": read_dispute,
        "credit_note": read_credit_note,
        "customer": read_customer,
        "discount": read_discount,
        "subscription": read_subscription,
        "radar.early_fraud_warning": read_fraud_warning,
        **CATALOG_READERS,
    }
)
# No event is about these; they are fetched only.
_DOCUMENT_READERS: Mapping[str, ObjectReader] = MappingProxyType(
    {**OBJECT_READERS, "balance_transaction": read_balance_transaction}
)


def _rows() -> Iterable[EventType]:
    sales, reversals, customers = EventGroup.SALES, EventGroup.REVERSALS, EventGroup.CUSTOMERS
    codes, catalog = EventGroup.PROMOTION_CODES, EventGroup.CATALOG
    payouts, connection = EventGroup.PAYOUTS, EventGroup.CONNECTION
    table: tuple[tuple[EventGroup, str | None, bool, str, str], ...] = (
        # group, object, required, name, purpose
        (sales, "checkout.session", True, "checkout.session.completed",
         "Ties the buyer to the referral that came along, and counts one-off sales without an invoice."),
        (sales, "checkout.session", True, "checkout.session.async_payment_succeeded",
         "A delayed payment (bank debit, voucher) arrived: the sale counts now."),
        (sales, "checkout.session", True, "checkout.session.async_payment_failed",
         "A delayed payment failed: the sale never counts."),
        (sales, "checkout.session", False, "checkout.session.expired",
         "The buyer left the checkout: the open session will not become a sale."),
        (sales, "invoice", True, "invoice.paid",
         "A sale or renewal on an invoice is settled, also out of band or with nothing to pay."),
        (sales, "invoice", True, "invoice.voided", "The invoice will never be paid."),
        (sales, "invoice", True, "invoice.marked_uncollectible", "The invoice is written off unless it is paid later."),
        (sales, "invoice_payment", True, "invoice_payment.paid",
         "Ties an invoice to its payment intent, so that refunds and disputes find the invoice."),
        (sales, "payment_intent", True, "payment_intent.succeeded",
         "Money of a one-off sale without an invoice arrived."),
        (sales, "payment_intent", False, "payment_intent.payment_failed",
         "A payment was tried and failed; shown, never counted."),
        (sales, "charge", True, "charge.succeeded",
         "Money arrived on a charge; counts by itself only where bare charges are switched on."),
        (sales, "charge", False, "charge.captured", "An authorised charge was captured: its amount is final."),
        (reversals, "charge", True, "charge.refunded", "The total refunded of a charge grew."),
        (reversals, "refund", True, "refund.created", "A refund was made: rewards are taken back in proportion."),
        (reversals, "refund", True, "refund.updated", "A refund changed its status."),
        (reversals, "refund", True, "refund.failed", "A refund failed: what was taken back is restored."),
        (reversals, "refund", False, "charge.refund.updated",
         "The older name of refund.updated, for endpoints of older versions."),
        (reversals, "dispute", True, "charge.dispute.created", "A dispute or inquiry was opened: rewards are held."),
        (reversals, "dispute", True, "charge.dispute.updated", "A dispute changed its status."),
        (reversals, "dispute", True, "charge.dispute.closed", "A dispute was won, lost or otherwise ended."),
        (reversals, "dispute", True, "charge.dispute.funds_withdrawn",
         "A dispute took the money: rewards are reversed."),
        (reversals, "dispute", True, "charge.dispute.funds_reinstated",
         "A dispute's money came back: rewards are restored."),
        (reversals, "credit_note", True, "credit_note.created",
         "Part of an invoice was credited; names the lines and the refunds."),
        (reversals, "credit_note", True, "credit_note.updated", "A credit note changed."),
        (reversals, "credit_note", True, "credit_note.voided", "A credit note no longer holds."),
        (reversals, "radar.early_fraud_warning", False, "radar.early_fraud_warning.created",
         "The card network warns of fraud: a good reason to hold the rewards of the charge."),
        (customers, "customer", True, "customer.created", "A customer and what its metadata says about a referral."),
        (customers, "customer", True, "customer.updated", "A customer's e-mail address, country or metadata changed."),
        (customers, "customer", True, "customer.deleted", "A customer was deleted: nothing is looked up any more."),
        (customers, "discount", False, "customer.discount.created",
         "A promotion code was applied to a customer or subscription: it attributes like a link."),
        (customers, "discount", False, "customer.discount.updated", "A discount was exchanged for another one."),
        (customers, "discount", False, "customer.discount.deleted",
         "A discount ended; the code that brought the customer stays known."),
        (customers, "subscription", True, "customer.subscription.created",
         "A subscription started; its metadata and promotion codes attribute."),
        (customers, "subscription", True, "customer.subscription.updated",
         "A subscription changed its plan, quantity or status."),
        (customers, "subscription", True, "customer.subscription.deleted", "A subscription ended."),
        (customers, "subscription", False, "customer.subscription.paused", "A subscription is paused."),
        (customers, "subscription", False, "customer.subscription.resumed", "A paused subscription goes on."),
        (customers, "subscription", False, "customer.subscription.trial_will_end",
         "A trial ends in three days: shown on the referral."),
        (codes, "promotion_code", False, "promotion_code.created", "A promotion code to choose for a participant."),
        (codes, "promotion_code", False, "promotion_code.updated",
         "A participant's promotion code was switched on or off."),
        (codes, "coupon", False, "coupon.created", "A coupon to choose, or to exclude, in terms."),
        (codes, "coupon", False, "coupon.updated", "A coupon's name changed."),
        (codes, "coupon", False, "coupon.deleted", "A coupon behind promotion codes or rewards is gone."),
        (catalog, "product", False, "product.created", "A product to choose in terms."),
        (catalog, "product", False, "product.updated", "A product's name or picture changed, or it is sold no more."),
        (catalog, "product", False, "product.deleted", "A product is gone; its name stays known."),
        (catalog, "price", False, "price.created", "A price to choose in terms."),
        (catalog, "price", False, "price.updated", "A price's name changed, or it is asked no more."),
        (catalog, "price", False, "price.deleted", "A price is gone; what it asked stays known."),
        (payouts, None, False, "account.updated", "A participant's Stripe account can be paid, or needs something."),
        (payouts, None, False, "capability.updated", "A participant's account gained or lost the right to transfers."),
        (payouts, None, False, "account.external_account.created", "A participant added a bank account or card."),
        (payouts, None, False, "account.external_account.updated", "A participant's bank account or card changed."),
        (payouts, None, False, "account.external_account.deleted", "A participant removed a bank account or card."),
        (payouts, None, False, "transfer.created", "A transfer to a participant exists: proof for its attempt."),
        (payouts, None, False, "transfer.updated", "A transfer's description or metadata changed."),
        (payouts, None, False, "transfer.reversed", "A transfer was taken back, wholly or in part."),
        (payouts, None, False, "payout.paid", "Money reached a participant's bank."),
        (payouts, None, False, "payout.failed", "A participant's bank refused the money, even days later."),
        (payouts, None, False, "payout.canceled", "A payout to a participant's bank was cancelled."),
        (payouts, None, False, "balance.available", "Funds became available: payouts that waited can be tried."),
        (connection, None, False, "account.application.deauthorized", "The merchant disconnected us: calls stop."),
    )  # fmt: skip
    for group, object_name, is_required, name, purpose in table:
        yield EventType(name, group, purpose, object_name, is_required)


REGISTRY: Mapping[str, EventType] = MappingProxyType({row.name: row for row in _rows()})
# Of these facts are read; all others are answered and let be.
READ_TYPES = frozenset(name for name, row in REGISTRY.items() if row.object_name is not None)

# Groups that the books and pages of a connection need; PAYOUTS and CONNECTION are for Stripe Connect.
BOOK_GROUPS = (
    EventGroup.SALES,
    EventGroup.REVERSALS,
    EventGroup.CUSTOMERS,
    EventGroup.PROMOTION_CODES,
    EventGroup.CATALOG,
)


def events_to_enable(groups: Iterable[EventGroup] = BOOK_GROUPS, custom_types: Iterable[str] = ()) -> tuple[str, ...]:
    """Names for a webhook endpoint's `enabled_events` (and for polling), in the order of the registry, and then the
    types that only custom events ask for."""
    wanted = frozenset(groups)
    names = [name for name, row in REGISTRY.items() if row.group in wanted]
    return (*names, *sorted(set(custom_types).difference(names)))


def read(event: Mapping[str, Any]) -> Reading:
    """The facts of one decoded Stripe event, and what to fetch to complete them.

    Unknown types and types that carry no facts give an empty Reading. Raises UnreadableEvent, and nothing else, when
    the payload lacks what every version has.
    """
    if not isinstance(event, Mapping):
        raise UnreadableEvent("not_an_event", "The event is not an object.")
    name = event.get("type")
    if type(name) is not str:
        raise UnreadableEvent("not_an_event", "The event has no type.")
    row = REGISTRY.get(name)
    if row is None or row.object_name is None:
        return Reading()
    created = event.get("created")
    if type(created) is not int or not 0 <= created <= LARGEST:
        raise UnreadableEvent("not_an_event", "The event has no instant of creation.")
    data = event.get("data")
    payload = data.get("object") if type(data) is dict else None
    if type(payload) is not dict:
        raise UnreadableEvent("no_object", "The event carries no object.")
    found = payload.get("object")
    if found is not None and found != row.object_name:
        raise UnreadableEvent("wrong_object", f"{name} must carry a {row.object_name}.")
    scene = Scene(name, created, OBJECT_READERS, _previous(data))
    OBJECT_READERS[row.object_name](payload, scene)
    return Reading(scene.facts(), scene.needs(), scene.catalog)


def _previous(data: object) -> Mapping[str, Any]:
    return section(data, "previous_attributes") if isinstance(data, dict) else {}


_DOCUMENT_OBJECTS: Mapping[NeedKind, str] = MappingProxyType(
    {
        NeedKind.INVOICE_LINES: "invoice",
        NeedKind.INVOICE_DISCOUNTS: "invoice",
        NeedKind.INVOICE_OFF_STRIPE: "invoice",
        NeedKind.INVOICE_OF_PAYMENT: "list",
        NeedKind.SESSION_LINES: "checkout.session",
        NeedKind.SESSION_DISCOUNTS: "checkout.session",
        NeedKind.SESSION_COUPONS: "checkout.session",
        NeedKind.CUSTOMER: "customer",
        NeedKind.SUBSCRIPTION: "subscription",
        NeedKind.SUBSCRIPTION_DISCOUNTS: "subscription",
        NeedKind.BALANCE_TRANSACTION: "list",
        NeedKind.CREDIT_NOTE: "credit_note",
    }
)
# Lists, and what Stripe calls an object in them.
_ROWS: Mapping[NeedKind, str] = MappingProxyType(
    {NeedKind.INVOICE_OF_PAYMENT: "invoice_payment", NeedKind.BALANCE_TRANSACTION: "balance_transaction"}
)
_CARRIERS_ONLY = frozenset(
    {
        NeedKind.INVOICE_DISCOUNTS,
        NeedKind.SESSION_DISCOUNTS,
        NeedKind.SESSION_COUPONS,
        NeedKind.SUBSCRIPTION_DISCOUNTS,
    }
)


def read_document(need: Need, document: Mapping[str, Any], seen_at: int) -> tuple[Fact, ...]:
    """The facts of what was fetched for a need; they merge with those of the event that asked.

    `seen_at`: the `created` of that event, so that the fuller document wins by weight and a later event still beats it;
    for NeedKind.SUBSCRIPTION the instant of the fetch, or the event's to break a tie of one second. Documents fetched
    for discounts give links and carriers alone. Raises UnreadableEvent.
    """
    name = _DOCUMENT_OBJECTS[need.kind]
    if not isinstance(document, dict) or document.get("object") != name:
        raise UnreadableEvent("wrong_document", f"What was fetched for {need.kind} is not a {name}.")
    scene = Scene("", seen_at, _DOCUMENT_READERS)
    if need.kind in _ROWS:
        for row in rows(document, "data"):
            scene.enter(row, _ROWS[need.kind])
        return scene.facts()
    if identifier(document) != need.stripe_id:
        raise UnreadableEvent("wrong_document", f"What was fetched for {need.kind} is not {need.stripe_id}.")
    if document.get("deleted") is True:
        return ()
    OBJECT_READERS[name](document, scene)
    facts = scene.facts()
    if need.kind is NeedKind.SUBSCRIPTION_DISCOUNTS:  # asked late, it may show discounts of later
        starts = discount_starts(document)
        return tuple(_begun(fact, starts) for fact in without_state(facts))
    if need.kind in _CARRIERS_ONLY:
        return without_state(facts)
    if need.kind is NeedKind.SUBSCRIPTION:
        return tuple(_weighted(fact, need.stripe_id) for fact in facts)
    return facts


def _begun(fact: Fact, starts: Mapping[str, int]) -> Fact:
    """What is on a fact, from no earlier than its discount began."""
    carriers = [
        msgspec.structs.replace(carrier, seen_at=max(carrier.seen_at, starts.get(carrier.value, 0)))
        for carrier in fact.carriers
    ]
    marks = [(name, max(at, starts.get(name.partition(":")[2], 0))) for name, at in fact.marks]
    return msgspec.structs.replace(fact, carriers=tuple(carriers), marks=tuple(marks))


def _weighted(fact: Fact, stripe_id: str) -> Fact:
    if fact.stripe_id != stripe_id or fact.kind is not Kind.SUBSCRIPTION:
        return fact
    return msgspec.structs.replace(fact, weight=fact.weight + SUBSCRIPTION_REFETCHED_WEIGHT)
