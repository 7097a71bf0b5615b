"""Payment intents and charges, and the warnings about charges. Amounts in minor units."""

from __future__ import annotations

from refref.core.facts import CarrierKind, ChargeState, Kind, PaymentIntentState
from refref.stripe.readers.carriers import metadata_carriers
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


def read_payment_intent(intent: Payload, scene: Scene) -> None:
    """A payment intent; before 2022-11-15 its charges stand in it. One that has not succeeded may lack the amounts."""
    stripe_id = identifier(intent)
    status = text(intent, "status")
    invoice_id = scene.follow(intent, "invoice", "invoice")
    charges = [_charge_in_intent(row, scene) for row in rows(section(intent, "charges"), "data")]
    has_money = status == "succeeded"
    if has_money:
        ask_for_invoice(scene, invoice_id, stripe_id)
    scene.add(
        stripe_id,
        Kind.PAYMENT_INTENT,
        PaymentIntentState(
            status=status,
            currency=(text(intent, "currency") if has_money else text_or_none(intent, "currency") or "").lower(),
            amount_received=whole(intent, "amount_received") if has_money else 0,
            created_at=whole_or_none(intent, "created") or 0,
        ),
        rank=PAYMENT_INTENT_RANK.get(status, 0),
        links=(invoice_id, customer_of(intent, scene), scene.follow(intent, "latest_charge", "charge"), *charges),
        carriers=metadata_carriers(intent, CarrierKind.PAYMENT_INTENT_METADATA, scene.seen_at),
    )


def read_charge(charge: Payload, scene: Scene) -> None:
    """A charge with its cumulative amount_refunded; older versions carry its refunds, which give their own facts."""
    stripe_id = identifier(charge)
    status = text(charge, "status")
    invoice_id = scene.follow(charge, "invoice", "invoice")
    intent_id = scene.follow(charge, "payment_intent", "payment_intent")
    refunds = [scene.enter(row, "refund") for row in rows(section(charge, "refunds"), "data")]
    if status == "succeeded":
        ask_for_invoice(scene, invoice_id, intent_id)
    refunded = whole_or_none(charge, "amount_refunded") or 0
    scene.add(
        stripe_id,
        Kind.CHARGE,
        ChargeState(
            status=status,
            currency=text(charge, "currency").lower(),
            amount=_captured(charge),
            amount_refunded=refunded,
            created_at=whole_or_none(charge, "created") or 0,
            email=label(section(charge, "billing_details"), "email") or label(charge, "receipt_email"),
            card_fingerprint=_fingerprint(charge),
        ),
        rank=CHARGE_RANK.get(status, 0),
        weight=refunded,
        links=(invoice_id, intent_id, customer_of(charge, scene), scene.follow(charge, "dispute", "dispute"), *refunds),
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


def _captured(charge: Payload) -> int:
    captured = whole_or_none(charge, "amount_captured")
    if captured is not None:
        return captured
    if charge.get("captured") is not None and not flag(charge, "captured"):
        return 0
    return whole(charge, "amount")


def _fingerprint(charge: Payload) -> str | None:
    card = section(section(charge, "payment_method_details"), "card")
    if card:
        return label(card, "fingerprint")
    source = section(charge, "source")
    return label(source, "fingerprint") if source.get("object") == "card" else None
