"""Checkout Sessions. Amounts in minor units of the session's own (integration) currency."""

from __future__ import annotations

from refref.core.facts import CarrierKind, Kind, Line, SessionState
from refref.stripe.readers.carriers import Discounts, metadata_carriers, session_reference
from refref.stripe.readers.invoice import shipping_without_tax
from refref.stripe.readers.lines import session_line
from refref.stripe.readers.metadata import metadata_of
from refref.stripe.readers.payment import customer_of
from refref.stripe.readers.probe import (
    Payload,
    flag,
    identifier,
    label,
    rows,
    section,
    text,
    text_or_none,
    whole_or_none,
)
from refref.stripe.readers.ranks import SETTLED, session_rank
from refref.stripe.readers.scene import Scene
from refref.stripe.reading import NeedKind

ASYNC_FAILED = "checkout.session.async_payment_failed"


def read_session(session: Payload, scene: Scene) -> None:
    """A Checkout Session with the carriers on it.

    A settled one-off sale without an invoice needs its lines fetched: webhooks never carry them, and with an invoice
    they are the invoice's.
    """
    stripe_id = identifier(session)
    state, is_converted = _state(session, scene)
    invoice_id = scene.follow(session, "invoice", "invoice")
    rank = session_rank(state.status, state.payment_status, state.has_async_failure)
    if rank == SETTLED and state.mode == "payment" and state.lines is None and invoice_id is None:
        scene.need(NeedKind.SESSION_LINES, stripe_id)
    discounts = _discounts(session, scene.seen_at)
    is_unexplained = state.amount_discount > 0 and session.get("discounts") is None and not discounts.carriers
    if discounts.is_incomplete or is_unexplained:
        scene.need(NeedKind.SESSION_DISCOUNTS, stripe_id)
    elif discounts.has_unnamed_coupon and state.status == "complete":
        scene.need(NeedKind.SESSION_COUPONS, stripe_id)
    known_at = state.created_at or scene.seen_at
    scene.add(
        stripe_id,
        Kind.SESSION,
        state,
        rank=rank,
        weight=(not is_converted) + (0 if state.lines is None else 2 + 2 * len(state.lines)),
        links=(
            customer_of(session, scene),
            scene.follow(session, "subscription", "subscription"),
            invoice_id,
            scene.follow(session, "payment_intent", "payment_intent"),
        ),
        carriers=discounts.carriers
        + session_reference(session, known_at)
        + metadata_carriers(session, CarrierKind.SESSION_METADATA, known_at),
        marks=discounts.marks,
    )


def _state(session: Payload, scene: Scene) -> tuple[SessionState, bool]:
    mode = _mode(session)
    payment_status = _payment_status(session, scene, mode)
    totals = section(session, "total_details")
    total = whole_or_none(session, "amount_total")
    currency = text_or_none(session, "currency")
    discount = whole_or_none(totals, "amount_discount") or 0
    tax = whole_or_none(totals, "amount_tax") or 0
    shipping = _shipping(session, totals)
    conversion = section(session, "currency_conversion")
    source_total = whole_or_none(conversion, "amount_total")
    source_currency = text_or_none(conversion, "source_currency")
    is_converted = source_total is not None and source_currency is not None
    if is_converted and source_total is not None:
        # Before 2025-03-31 the session spoke the buyer's currency; `currency_conversion` has the totals in ours, the
        # parts are brought over by the same proportion. They may be a unit off: such a state has less weight.
        discount, tax, shipping = [_scaled(part, source_total, total) for part in (discount, tax, shipping)]
        total, currency = source_total, source_currency
    details = section(session, "customer_details")
    state = SessionState(
        mode=mode,
        status=_status(session, scene, payment_status),
        payment_status=payment_status,
        currency=None if currency is None else currency.lower(),
        amount_total=total,
        amount_discount=discount,
        amount_tax=tax,
        amount_shipping=shipping,
        created_at=whole_or_none(session, "created") or 0,
        has_async_failure=scene.event_type == ASYNC_FAILED and not scene.is_nested,
        email=label(details, "email") or label(session, "customer_email"),
        lines=None if is_converted else _lines(session),
        metadata=metadata_of(session),
    )
    return state, is_converted


def _mode(session: Payload) -> str:
    """The mode; where a short shape lacks it, what the session made tells."""
    mode = text_or_none(session, "mode")
    if mode:
        return mode
    if session.get("subscription") is not None:
        return "subscription"
    if session.get("setup_intent") is not None:
        return "setup"
    has_money = any(session.get(key) is not None for key in ("payment_intent", "invoice", "amount_total"))
    return "payment" if has_money else text(session, "mode")


def _payment_status(session: Payload, scene: Scene, mode: str) -> str:
    """The payment's status; where a short shape lacks it, the event's name tells, or else it is still open."""
    status = text_or_none(session, "payment_status")
    if status:
        return status
    if mode == "payment" and session.get("amount_total") == 0:
        return "no_payment_required"
    return scene.told({"checkout.session.async_payment_succeeded": "paid"}) or "unpaid"


def _status(session: Payload, scene: Scene, payment_status: str) -> str:
    """The session's status; where an old shape lacks it, the event's name tells, or the payment."""
    status = text_or_none(session, "status")
    if status:
        return status
    if scene.event_type == "checkout.session.expired" and not scene.is_nested:
        return "expired"
    if scene.event_type.startswith("checkout.session.") and not scene.is_nested:
        return "complete"
    return "open" if payment_status == "unpaid" else "complete"


def _shipping(session: Payload, totals: Payload) -> int:
    if session.get("shipping_cost") is None:
        return whole_or_none(totals, "amount_shipping") or 0
    return shipping_without_tax(section(session, "shipping_cost"))


def _scaled(part: int, total: int, of_total: int | None) -> int:
    """`part` of `of_total`, brought to `total`; half up."""
    if not of_total or of_total < 0:
        return 0
    return (2 * part * total + of_total) // (2 * of_total)


def _lines(session: Payload) -> tuple[Line, ...] | None:
    if session.get("line_items") is None:
        return None
    listed = section(session, "line_items")
    if flag(listed, "has_more"):
        return None
    return tuple([session_line(item) for item in rows(listed, "data")])


def _discounts(session: Payload, seen_at: int) -> Discounts:
    found = Discounts(seen_at)
    found.many(session, "discounts")
    breakdown = section(section(session, "total_details"), "breakdown")
    found.of_amounts(breakdown, "discounts")
    return found
