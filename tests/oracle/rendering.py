"""Tells the product of a world: the facts of each customer as the readers would leave them, and the merchant's set-up.

Knows shapes only. What a world does not say is left at the facts' defaults.
"""

from __future__ import annotations

import json
from datetime import date

from oracle.referrals import address
from oracle.worlds import Customer, Dispute, Line, Payment, Profile, Refund, StripeEvent, Subscription, Touch, World
from refref.core import program
from refref.core.attribution import CodeOwner
from refref.core.ecb import EcbHistory
from refref.core.facts import (
    Carrier,
    CarrierKind,
    ChargeState,
    CreditNoteLine,
    CreditNoteState,
    CustomerState,
    DisputeState,
    EventState,
    Fact,
    InvoiceState,
    Kind,
    PaymentIntentState,
    RefundState,
    SessionState,
    SubscriptionState,
)
from refref.core.facts import Line as FactLine
from refref.core.rates import RateBook

PROGRAM = "prg_1"
_DAYS_TO_1970 = date(1970, 1, 1).toordinal()
_DISPUTES = {
    "open": ("needs_response", ()),
    "inquiry": ("warning_needs_response", ()),
    "lost": ("lost", ("funds_withdrawn",)),
    "won": ("won", ("funds_reinstated", "funds_withdrawn")),
}


def facts_of(customer: Customer) -> list[Fact]:
    """All facts of a customer's scope."""
    facts = [] if customer.is_guest else [_customer(customer)]
    for subscription in customer.subscriptions:
        facts.append(_subscription(customer, subscription))
    for payment in customer.payments:
        facts += _payment(customer, payment)
    facts += [_event(customer, happened) for happened in customer.events]
    return facts


def config_of(world: World) -> program.Config:
    """The merchant's set-up of a world: one program."""
    owners = {}
    for person in world.participants:
        owner = CodeOwner(person.participant_id, PROGRAM, person.ended_at)
        owners[person.code] = owner
        if person.promotion_code:
            owners[person.promotion_code] = owner
    people = {
        person.participant_id: program.Participant(
            person.participant_id,
            person.kind,
            address(person.email),
            person.joined_at,
            tuple(_profile(profile) for profile in person.profiles),
            frozenset((person.ip,) if person.ip else ()),
        )
        for person in world.participants
    }
    return program.Config(
        programs=(program.Program(PROGRAM, world.versions, world.pauses, world.archived_at),),
        codes=owners,
        participant_emails={key: person.email for key, person in people.items() if person.email},
        participants=people,
        reviews={(PROGRAM, rule_id, key): verdict for (key, rule_id), verdict in world.reviews.items()},
        rates=_rates(world),
    )


def _profile(profile: Profile) -> program.Profile:
    return program.Profile(profile.since_at, profile.groups, profile.country or "")


def _rates(world: World) -> RateBook:
    given: dict[tuple[str, str], dict[int, tuple[str, int]]] = {}
    for (source, target, day), rate in world.rates.items():
        given.setdefault((source, target), {})[day + _DAYS_TO_1970] = (rate, 1)
    return RateBook(EcbHistory({}, {}, date(2020, 1, 1)), given)


def _carriers(touches: tuple[Touch, ...], kinds: tuple[str, ...]) -> tuple[Carrier, ...]:
    return tuple(
        Carrier(CarrierKind(touch.kind), touch.value, touch.seen_at, touch.campaign, touch.clicked_at)
        for touch in touches
        if touch.kind in kinds
    )


def _customer(customer: Customer) -> Fact:
    state = CustomerState(
        customer.email,
        country=customer.country,
        created_at=customer.created_at,
        metadata=tuple(sorted(customer.metadata)),
    )
    marks = ((f"ip:{customer.ip}", customer.created_at),) if customer.ip else ()
    carriers = _carriers(customer.touches, ("customer.metadata", "signup"))
    return Fact(customer.customer_id, Kind.CUSTOMER, 0, customer.created_at, 0, state, (), carriers, marks)


def _subscription(customer: Customer, subscription: Subscription) -> Fact:
    trial = subscription.trial_start_at
    state = SubscriptionState(
        "active",
        subscription.currency,
        (subscription.product,) if subscription.product else (),
        (subscription.price,) if subscription.price else (),
        created_at=subscription.created_at,
        trial_start_at=trial,
        trial_end_at=None if trial is None else trial + 14 * 86_400,
    )
    marks = tuple(sorted((f"{kind}:{at}", at) for kind, at in subscription.changes))
    links = (customer.customer_id,)
    return Fact(subscription.subscription_id, Kind.SUBSCRIPTION, 1, subscription.created_at, 0, state, links, (), marks)


def _event(customer: Customer, happened: StripeEvent) -> Fact:
    body = {
        "type": "customer.updated",
        "created": happened.at,
        "data": {
            "object": {
                "id": customer.customer_id,
                "object": "customer",
                "metadata": {"kyc": happened.word},
                "score": happened.amount,
                "currency": happened.currency,
            }
        },
    }
    name = f"event:{customer.customer_id}/customer.updated/{happened.at}"
    state = EventState("customer.updated", customer.customer_id, happened.at, json.dumps(body).encode())
    return Fact(name, Kind.EVENT, 0, happened.at, 0, state, (customer.customer_id,))


def _line(line: Line) -> FactLine:
    return FactLine(
        line.line_id,
        line.amount,
        line.discount,
        line.tax_inclusive,
        line.tax_exclusive,
        product=line.product or None,
        price=line.price or None,
        quantity=line.quantity,
        is_proration=line.is_proration,
    )


def _payment(customer: Customer, payment: Payment) -> list[Fact]:
    number, at = payment.payment_id, payment.paid_at
    owner = () if customer.is_guest else (customer.customer_id,)
    charge = ChargeState(
        "succeeded", payment.currency, payment.moved - payment.off_stripe, created_at=at,
        card_fingerprint=payment.card or None,
    )  # fmt: skip
    links = tuple(sorted((*owner, f"pi_{number}")))
    facts = []
    if payment.source == "bare":
        carriers = _carriers(payment.touches, ("payment_intent.metadata",))
        facts.append(Fact(f"ch_{number}", Kind.CHARGE, 1, at, 0, charge, owner, carriers))
    else:
        facts.append(_invoice(payment, owner) if payment.source == "invoice" else _session(customer, payment, owner))
        if charge.amount > 0 and payment.status == "paid":
            facts.append(Fact(f"ch_{number}", Kind.CHARGE, 1, at, 0, charge, links))
            intent = PaymentIntentState("succeeded", payment.currency, charge.amount, at)
            facts.append(Fact(f"pi_{number}", Kind.PAYMENT_INTENT, 1, at, 0, intent, owner))
    for refund in payment.refunds:
        facts += _refund(payment, refund)
    return facts + [_dispute(payment, dispute) for dispute in payment.disputes]


def _marks(payment: Payment) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((f"coupon:{coupon}", payment.paid_at) for coupon in payment.coupons))


def _invoice(payment: Payment, owner: tuple[str, ...]) -> Fact:
    state = InvoiceState(
        "paid",
        payment.currency,
        payment.total,
        sum(line.amount for line in payment.lines),
        payment.moved,
        payment.off_stripe,
        payment.tax,
        payment.total - payment.tax,
        payment.shipping,
        payment.paid_at,
        payment.paid_at,
        payment.billing_reason,
        lines=tuple(_line(line) for line in payment.lines) if payment.has_known_lines else (),
        has_all_lines=payment.has_known_lines,
    )
    subscription = (payment.subscription,) if payment.subscription else ()
    links = tuple(sorted((*owner, *subscription, f"pi_{payment.payment_id}")))
    carriers = _carriers(payment.touches, ("promotion_code", "invoice.metadata"))
    return Fact(payment.key, Kind.INVOICE, 4, payment.paid_at, 1, state, links, carriers, _marks(payment))


def _session(customer: Customer, payment: Payment, owner: tuple[str, ...]) -> Fact:
    is_paid = payment.status == "paid"
    state = SessionState(
        "payment",
        "complete",
        "paid" if is_paid else "unpaid",
        payment.currency,
        payment.total,
        sum(line.discount for line in payment.lines),
        payment.tax,
        payment.shipping,
        payment.paid_at,
        payment.status == "failed",
        customer.email,
        tuple(_line(line) for line in payment.lines) if payment.has_known_lines else None,
    )
    links = tuple(sorted((*owner, f"pi_{payment.payment_id}")))
    carriers = _carriers(payment.touches, ("promotion_code", "client_reference_id", "session.metadata"))
    return Fact(
        f"cs_{payment.payment_id}", Kind.SESSION, 2, payment.paid_at, 0, state, links, carriers, _marks(payment)
    )


def _refund(payment: Payment, refund: Refund) -> list[Fact]:
    number = payment.payment_id
    links = (f"ch_{number}",) if payment.source == "bare" else (f"ch_{number}", f"pi_{number}")
    state = RefundState(refund.status, refund.amount, payment.currency, refund.at)
    facts = [Fact(refund.refund_id, Kind.REFUND, 2, refund.at, 0, state, links)]
    if refund.line_ids:
        named = tuple(
            CreditNoteLine(line.line_id, line.net) for line in payment.lines if line.line_id in refund.line_ids
        )
        note = CreditNoteState(
            "issued", refund.amount, refunds=((refund.refund_id, refund.amount),), lines=named, created_at=refund.at
        )
        note_links = tuple(sorted((payment.key, refund.refund_id)))
        facts.append(Fact(f"cn_{refund.refund_id}", Kind.CREDIT_NOTE, 1, refund.at, 0, note, note_links))
    return facts


def _dispute(payment: Payment, dispute: Dispute) -> Fact:
    number = payment.payment_id
    status, marks = _DISPUTES[dispute.outcome]
    links = (f"ch_{number}",) if payment.source == "bare" else (f"ch_{number}", f"pi_{number}")
    state = DisputeState(status, dispute.amount, payment.currency, dispute.at)
    marked = tuple((mark, dispute.at) for mark in marks)
    return Fact(dispute.dispute_id, Kind.DISPUTE, 0, dispute.at, 0, state, links, (), marked)
