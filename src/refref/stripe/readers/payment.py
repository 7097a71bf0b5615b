"""Payment intents and charges, and the warnings about charges. Amounts in minor units."""

from __future__ import annotations

from refref.core.facts import CarrierKind, ChargeState, Kind, PaymentIntentState
from refref.stripe.readers.carriers import metadata_carriers
from refref.stripe.readers.metadata import metadata_of
from refref.stripe.readers.probe import (
    Payload,
    flag,
    identifier,
    label,
    rows,
    section,
    text,
    text_or_none,
    whole,
    whole_or_none,
)
from refref.stripe.readers.ranks import CHARGE_RANK, PAYMENT_INTENT_RANK
from refref.stripe.readers.scene import Scene
from refref.stripe.reading import NeedKind

# Short shapes leave the status out; the event's name tells it.
STATUS_OF_EVENT = {
    "payment_intent.succeeded": "succeeded",
    "charge.succeeded": "succeeded",
    "charge.captured": "succeeded",
    "charge.refunded": "succeeded",
}


def read_payment_intent(intent: Payload, scene: Scene) -> None:
    """A payment intent; before 2022-11-15 its charges stand in it. One that has not succeeded may lack the amounts."""
    stripe_id = identifier(intent)
    status = text_or_none(intent, "status") or scene.told(STATUS_OF_EVENT)
    is_stub = scene.is_nested and (intent.get("currency") is None or intent.get("amount") is None)
    if is_stub:
        status = None
    elif not status:
        status = text(intent, "status")
    invoice_id = scene.follow(intent, "invoice", "invoice")
    charges = [_charge_in_intent(row, scene) for row in rows(section(intent, "charges"), "data")]
    has_money = status == "succeeded"
    if has_money:
        ask_for_invoice(scene, invoice_id, stripe_id)
    state = None
    if status is not None:
        state = PaymentIntentState(
            status=status,
            currency=(text(intent, "currency") if has_money else text_or_none(intent, "currency") or "").lower(),
            amount_received=_received(intent) if has_money else 0,
            created_at=whole_or_none(intent, "created") or 0,
            metadata=metadata_of(intent),
        )
    scene.add(
        stripe_id,
        Kind.PAYMENT_INTENT,
        state,
        rank=PAYMENT_INTENT_RANK.get(status or "", 0),
        links=(invoice_id, customer_of(intent, scene), scene.follow(intent, "latest_charge", "charge"), *charges),
        carriers=metadata_carriers(intent, CarrierKind.PAYMENT_INTENT_METADATA, scene.seen_at),
    )


def read_charge(charge: Payload, scene: Scene) -> None:
    """A charge with its cumulative amount_refunded; older versions carry its refunds, which give their own facts."""
    stripe_id = identifier(charge)
    status = _charge_status(charge, scene)
    invoice_id = scene.follow(charge, "invoice", "invoice")
    intent_id = scene.follow(charge, "payment_intent", "payment_intent")
    refunds = [scene.enter(row, "refund") for row in rows(section(charge, "refunds"), "data")]
    if status == "succeeded":
        ask_for_invoice(scene, invoice_id, intent_id)
    state = None if status is None else _charge_state(charge, status)
    scene.add(
        stripe_id,
        Kind.CHARGE,
        state,
        rank=CHARGE_RANK.get(status or "", 0),
        weight=0 if state is None else state.amount_refunded,
        links=(invoice_id, intent_id, customer_of(charge, scene), scene.follow(charge, "dispute", "dispute"), *refunds),
    )


def _charge_status(charge: Payload, scene: Scene) -> str | None:
    """The status; where a short shape lacks it, `paid` or the event's name tells. None: an expanded stub."""
    status = text_or_none(charge, "status") or scene.told(STATUS_OF_EVENT)
    if not status and charge.get("paid") is not None:
        status = "succeeded" if flag(charge, "paid") else "failed"
    if scene.is_nested:
        has_money = charge.get("amount") is not None and charge.get("currency") is not None
        return status if has_money else None
    return status or text(charge, "status")


def _charge_state(charge: Payload, status: str) -> ChargeState:
    amount = _captured(charge)
    refunded = whole_or_none(charge, "amount_refunded")
    if refunded is None:
        refunded = amount if flag(charge, "refunded") else 0
    return ChargeState(
        status=status,
        currency=text(charge, "currency").lower(),
        amount=amount,
        amount_refunded=refunded,
        created_at=whole_or_none(charge, "created") or 0,
        email=label(section(charge, "billing_details"), "email") or label(charge, "receipt_email"),
        card_fingerprint=_fingerprint(charge),
    )


def read_fraud_warning(warning: Payload, scene: Scene) -> None:
    """An early fraud warning of the card network: a mark on its charge, from the instant of the warning."""
    identifier(warning)
    charge_id = scene.follow(warning, "charge", "charge")
    intent_id = scene.follow(warning, "payment_intent", "payment_intent")
    at = whole_or_none(warning, "created") or scene.seen_at
    if charge_id is not None:
        scene.add(charge_id, Kind.CHARGE, links=(intent_id,), marks=(("fraud_warning", at),))


def ask_for_invoice(scene: Scene, invoice_id: str | None, intent_id: str | None) -> None:
    """Since basil a payment does not name its invoice: ask for the invoice payments of its payment intent."""
    if invoice_id is None and intent_id is not None:
        scene.need(NeedKind.INVOICE_OF_PAYMENT, intent_id)


def customer_of(payload: Payload, scene: Scene) -> str | None:
    """The customer, or the account that stands for it (Accounts v2); None for a guest."""
    return scene.follow(payload, "customer", "customer") or scene.follow(payload, "customer_account", "account")


def _charge_in_intent(charge: Payload, scene: Scene) -> str:
    # Newer versions never show a charge that failed, so an older one must not tell more of it than its id.
    return scene.enter(charge, "charge") if charge.get("status") == "succeeded" else identifier(charge)


def _received(intent: Payload) -> int:
    received = whole_or_none(intent, "amount_received")
    return whole(intent, "amount") if received is None else received


def _captured(charge: Payload) -> int:
    """What was taken. Of a partial capture Stripe books the rest as refunded, with a refund of its own: then the whole
    was taken, and the rest went back."""
    captured = whole_or_none(charge, "amount_captured")
    if captured is not None:
        reserved = whole_or_none(charge, "amount") or 0
        is_booked_back = 0 < reserved - captured <= (whole_or_none(charge, "amount_refunded") or 0)
        return reserved if captured and is_booked_back else captured
    if charge.get("captured") is not None and not flag(charge, "captured"):
        return 0
    return whole(charge, "amount")


def _fingerprint(charge: Payload) -> str | None:
    card = section(section(charge, "payment_method_details"), "card")
    if card:
        return label(card, "fingerprint")
    source = section(charge, "source")
    return label(source, "fingerprint") if source.get("object") == "card" else None
