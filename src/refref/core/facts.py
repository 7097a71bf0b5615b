"""Facts: what Stripe told us about one object, in our own shape, and how two reports of it merge.

Every Stripe object that matters to a sale has one `Fact`. Merging is commutative, associative and idempotent (a join
of grow-only parts), so the set of facts, and with it the books, cannot depend on the order or number of deliveries.
All amounts are whole minor units as Stripe puts them on the wire; all instants are whole seconds since 1970, UTC.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """The Stripe objects that carry money, attribution or state; `ref` is an id seen only as a link so far."""

    CUSTOMER = "customer"
    SESSION = "session"
    SUBSCRIPTION = "subscription"
    INVOICE = "invoice"
    INVOICE_PAYMENT = "invoice_payment"
    PAYMENT_INTENT = "payment_intent"
    CHARGE = "charge"
    REFUND = "refund"
    DISPUTE = "dispute"
    CREDIT_NOTE = "credit_note"
    BALANCE_TRANSACTION = "balance_transaction"
    EVENT = "event"  # a stored Stripe event that a custom event asks for
    REF = "ref"


class CarrierKind(StrEnum):
    """Where a referral identifier was found. The order of PRECEDENCE decides between carriers of one sale."""

    MANUAL = "manual"  # bound by hand in RefRef, value = refcode or participant id
    PROMOTION_CODE = "promotion_code"  # value = promo_... id of an applied discount
    CLIENT_REFERENCE = "client_reference_id"
    SESSION_METADATA = "session.metadata"
    SUBSCRIPTION_METADATA = "subscription.metadata"
    PAYMENT_INTENT_METADATA = "payment_intent.metadata"
    INVOICE_METADATA = "invoice.metadata"
    CUSTOMER_METADATA = "customer.metadata"
    SIGNUP = "signup"  # POST /v1/referrals of the merchant's own application


PRECEDENCE: tuple[CarrierKind, ...] = tuple(CarrierKind)


class Carrier(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    """One referral identifier on one Stripe object; `seen_at` is the earliest instant at which it is known there."""

    kind: CarrierKind
    value: str
    seen_at: int
    campaign: str = ""
    clicked_at: int | None = None


class Line(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One invoice or checkout line. `amount` as billed (before discounts; with tax only where tax is inclusive)."""

    id: str
    amount: int
    discount: int = 0
    tax_inclusive: int = 0
    tax_exclusive: int = 0
    credit_applied: int = 0  # billing credits taken off before tax (pretax_credit_amounts that are not discounts)
    product: str | None = None
    price: str | None = None
    quantity: int | None = None
    is_proration: bool = False
    description: str = ""
    interval: str = ""  # day, week, month, year; "" for one-off


Metadata = tuple[tuple[str, str], ...]  # in order of keys; RefRef's own keys left out


class CustomerState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="cus"):
    email: str | None = None
    name: str | None = None
    country: str | None = None
    currency: str | None = None
    created_at: int | None = None
    metadata: Metadata = ()


class SessionState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="ses"):
    """A Checkout Session. `payment_status`: paid, unpaid, no_payment_required; `status`: open, complete, expired."""

    mode: str  # payment, subscription, setup
    status: str
    payment_status: str
    currency: str | None = None
    amount_total: int | None = None
    amount_discount: int = 0
    amount_tax: int = 0
    amount_shipping: int = 0
    created_at: int = 0
    has_async_failure: bool = False
    email: str | None = None
    lines: tuple[Line, ...] | None = None  # None until fetched; webhooks never carry them
    metadata: Metadata = ()


class SubscriptionState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="sub"):
    status: str
    currency: str | None = None
    products: tuple[str, ...] = ()
    prices: tuple[str, ...] = ()
    quantity: int | None = None
    created_at: int = 0
    trial_end_at: int | None = None
    current_period_end_at: int | None = None
    cancel_at_period_end: bool = False
    canceled_at: int | None = None
    ended_at: int | None = None
    trial_start_at: int | None = None
    metadata: Metadata = ()


class InvoiceState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="inv"):
    """An invoice. `status`: draft, open, paid, void, uncollectible.

    `amount_paid` always includes money paid out of band, in every API version (Stripe excludes it before basil);
    `amount_off_stripe` is that part. `tax` and `shipping` are the exclusive-of-lines totals on the invoice.
    """

    status: str
    currency: str
    total: int
    subtotal: int
    amount_paid: int
    amount_off_stripe: int = 0
    tax: int = 0  # every tax, inclusive and exclusive, shipping's included
    total_excluding_tax: int | None = None
    shipping: int = 0  # without tax
    created_at: int = 0
    paid_at: int | None = None
    billing_reason: str | None = None
    number: str | None = None
    email: str | None = None
    lines: tuple[Line, ...] = ()
    has_all_lines: bool = True
    metadata: Metadata = ()


class InvoicePaymentState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="inp"):
    status: str
    amount_paid: int = 0
    currency: str | None = None
    paid_at: int | None = None


class PaymentIntentState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="pi"):
    status: str
    currency: str
    amount_received: int
    created_at: int = 0
    metadata: Metadata = ()


class ChargeState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="ch"):
    """A charge; `amount_refunded` is cumulative at `Fact.seen_at`."""

    status: str
    currency: str
    amount: int  # captured
    amount_refunded: int = 0
    created_at: int = 0
    email: str | None = None
    card_fingerprint: str | None = None


class RefundState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="re"):
    """`status`: pending, requires_action, succeeded, failed, canceled; "" where only a credit note named the refund."""

    status: str
    amount: int
    currency: str | None = None
    created_at: int = 0


class DisputeState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="dp"):
    """`status` as Stripe's. Whether money moved is told by the marks `funds_withdrawn` and `funds_reinstated`."""

    status: str
    amount: int
    currency: str | None = None
    created_at: int = 0


class CreditNoteLine(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One line of a credit note; `amount` net: without tax, after discounts."""

    invoice_line_id: str | None
    amount: int


class CreditNoteState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="cn"):
    """A credit note. `refunds` pairs each refund id with its amount; `amount_other` went to balance or out of band."""

    status: str  # issued, void
    amount: int  # with tax
    amount_pre_payment: int = 0
    amount_other: int = 0  # post-payment part that no refund carries
    refunds: tuple[tuple[str, int], ...] = ()
    lines: tuple[CreditNoteLine, ...] = ()
    created_at: int = 0


class BalanceTransactionState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="txn"):
    """What a charge came to in the currency of the Stripe balance. `exchange_rate`: the exact decimal
    that Stripe wrote (the charge's amount times it is `amount`); "" where nothing was exchanged."""

    currency: str
    amount: int
    exchange_rate: str = ""
    created_at: int = 0


class EventState(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="evt"):
    """A Stripe event as it came, for custom events: `body` is its JSON. Filed as
    `event:<object id>/<type>/<created>`, so that the same event of two endpoints is one."""

    event_type: str
    object_id: str
    created_at: int
    body: bytes


State = (
    CustomerState
    | SessionState
    | SubscriptionState
    | InvoiceState
    | InvoicePaymentState
    | PaymentIntentState
    | ChargeState
    | RefundState
    | DisputeState
    | CreditNoteState
    | EventState
    | BalanceTransactionState
)


class Fact(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """All that is known of one Stripe object.

    `rank`, `seen_at`, `weight` order snapshots: the greatest wins (`rank` grows along the object's life cycle,
    `seen_at` is the event's `created`, `weight` breaks ties of the same second in favour of the richer or later one).
    `links` are ids of other Stripe objects of the same sale or customer and only grow; `marks` are named things that
    happened (`deleted`, `funds_withdrawn`; `coupon:<id>` on what carries a discount; `downgrade:<seconds>` and
    `quantity_change:<seconds>` on a subscription; `ip:<hash>` on a customer; see also told_carriers) with the earliest
    instant; `carriers` keep their earliest instant.
    """

    stripe_id: str
    kind: Kind
    rank: int = 0
    seen_at: int = 0
    weight: int = 0
    state: State | None = None
    links: tuple[str, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    marks: tuple[tuple[str, int], ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Fact).decode


def encode_fact(fact: Fact) -> bytes:
    """The stored form of a fact: compact msgpack, the same bytes for the same fact."""
    return _encode(fact)


def decode_fact(body: bytes) -> Fact:
    """The fact of its stored form; raises msgspec.DecodeError on anything else."""
    return _decode(body)


def merge(a: Fact, b: Fact) -> Fact:
    """Join two reports of one object: order, repetition and grouping of merges never change the result."""
    if a == b:
        return a
    if a.stripe_id != b.stripe_id:
        raise ValueError(f"cannot merge facts of {a.stripe_id} and {b.stripe_id}")
    winner = a if _order(a) >= _order(b) else b
    kind = b.kind if a.kind is Kind.REF else a.kind
    return Fact(
        stripe_id=a.stripe_id,
        kind=kind,
        rank=winner.rank,
        seen_at=winner.seen_at,
        weight=winner.weight,
        state=winner.state,
        links=a.links if a.links == b.links else tuple(sorted({*a.links, *b.links})),
        carriers=a.carriers if a.carriers == b.carriers else _merge_carriers(a.carriers + b.carriers),
        marks=a.marks if a.marks == b.marks else _merge_marks(a.marks + b.marks),
    )


def _order(fact: Fact) -> tuple[bool, int, int, int, bytes]:
    has_state = fact.state is not None
    return has_state, fact.rank, fact.seen_at, fact.weight, _encode(fact.state)


def _merge_carriers(carriers: tuple[Carrier, ...]) -> tuple[Carrier, ...]:
    first: dict[tuple[CarrierKind, str], Carrier] = {}
    for carrier in carriers:
        key = (carrier.kind, carrier.value)
        known = first.get(key)
        if known is None or _carrier_order(carrier) < _carrier_order(known):
            first[key] = carrier
    return tuple(sorted(first.values(), key=_carrier_sort))


def _carrier_order(carrier: Carrier) -> tuple[int, int, bool, str]:
    # The earliest report wins whole; a report without a click instant counts from when it was seen, and loses against
    # one that has it. The order is total, or merging would depend on which report came first.
    clicked_at = carrier.seen_at if carrier.clicked_at is None else carrier.clicked_at
    return carrier.seen_at, clicked_at, carrier.clicked_at is None, carrier.campaign


def _carrier_sort(carrier: Carrier) -> tuple[str, str]:
    return carrier.kind.value, carrier.value


def _merge_marks(marks: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    first: dict[str, int] = {}
    for name, at in marks:
        first[name] = min(at, first.get(name, at))
    return tuple(sorted(first.items()))
