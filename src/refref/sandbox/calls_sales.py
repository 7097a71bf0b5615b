"""API calls on Checkout Sessions, payment intents, charges, refunds and disputes."""

from typing import Any

from refref.sandbox.calls_catalog import card
from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

SESSION_TEXTS = ("client_reference_id", "customer_email", "customer_creation", "success_url", "cancel_url")


def _create_session(sb: Sandbox, p: Params, _: str) -> Doc:
    more: dict[str, Any] = {k: v for k, v in p.given(*SESSION_TEXTS).items() if v is not None}
    if p.flag("allow_promotion_codes") is not None:
        more["allow_promotion_codes"] = p.flag("allow_promotion_codes")
    discounts = p.rows("discounts")
    if discounts and "allow_promotion_codes" in more:
        raise StripeError("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    if len(discounts) > 1:
        raise StripeError("You can only pass one discount.", param="discounts")
    items = p.rows("line_items")
    invoice = p.nested("invoice_creation")
    return sb.checkout(
        mode=p.required("mode"),
        line_items=items,
        customer=p.text("customer"),
        metadata=p.mapping("metadata"),
        payment_intent_data=p.mapping("payment_intent_data"),
        subscription_data=p.mapping("subscription_data"),
        setup_intent_data=p.mapping("setup_intent_data"),
        invoice_creation={"enabled": invoice.flag("enabled"), "invoice_data": invoice.mapping("invoice_data")},
        discounts=discounts,
        automatic_tax=bool(p.nested("automatic_tax").flag("enabled")),
        shipping_options=p.rows("shipping_options"),
        currency=p.text("currency"),
        expires_at=p.integer("expires_at"),
        **more,
    )


def _session_items(sb: Sandbox, p: Params, session: str) -> Doc:
    items = sb.find("checkout.session", session).get("_items", [])
    return page(items, p, f"/v1/checkout/sessions/{session}/line_items")


def _update_session(sb: Sandbox, p: Params, session: str) -> Doc:
    doc = sb.find("checkout.session", session)
    sb.alter(doc, metadata={**doc["metadata"], **p.mapping("metadata")})
    return doc


def _create_intent(sb: Sandbox, p: Params, _: str) -> Doc:
    return sb.create_payment_intent(
        as_integer(p.required("amount"), "amount"),
        p.required("currency"),
        customer=p.text("customer"),
        card=card(sb, p.text("payment_method")),
        confirm=bool(p.flag("confirm")),
        capture=p.text("capture_method") != "manual",
        off_session=p.text("off_session") == "true",
        metadata=p.mapping("metadata"),
        description=p.text("description"),
    )


def _create_charge(sb: Sandbox, p: Params, _: str) -> Doc:
    return sb.create_charge(
        as_integer(p.required("amount"), "amount"),
        p.required("currency"),
        customer=p.text("customer"),
        card=card(sb, p.text("source")),
        metadata=p.mapping("metadata"),
        description=p.text("description"),
    )


def _create_refund(sb: Sandbox, p: Params, _: str) -> Doc:
    payment = p.text("charge") or p.text("payment_intent")
    if payment is None:
        raise StripeError(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
            param="payment_intent",
        )
    return sb.refund(payment, amount=p.integer("amount"), reason=p.text("reason"), metadata=p.mapping("metadata"))


def _update_dispute(sb: Sandbox, p: Params, dispute: str) -> Doc:
    if "evidence" not in p.data and p.flag("submit") is None:
        return sb.update_metadata("dispute", dispute, p.mapping("metadata"), "charge.dispute.updated")
    return sb.submit_evidence(
        dispute, p.mapping("evidence"), submit=p.flag("submit") is not False, metadata=p.mapping("metadata")
    )


def _close_dispute(sb: Sandbox, _: Params, dispute: str) -> Doc:
    """The merchant gives in: the dispute is lost, an inquiry closed."""
    asked = sb.find("dispute", dispute)["status"].startswith("warning_")
    return sb.close_dispute(dispute, "warning_closed" if asked else "lost")


CALLS = (
    ("POST", "/v1/checkout/sessions", _create_session),
    ("POST", "/v1/checkout/sessions/{id}", _update_session),
    ("POST", "/v1/checkout/sessions/{id}/expire", lambda sb, _, session: sb.expire_session(session)),
    ("GET", "/v1/checkout/sessions/{id}/line_items", _session_items),
    ("POST", "/v1/payment_intents", _create_intent),
    (
        "POST",
        "/v1/payment_intents/{id}",
        lambda sb, p, intent: sb.update_metadata(
            "payment_intent", intent, p.mapping("metadata"), "payment_intent.updated"
        ),
    ),
    (
        "POST",
        "/v1/payment_intents/{id}/confirm",
        lambda sb, p, intent: sb.confirm_payment_intent(
            intent, card=card(sb, p.text("payment_method")), off_session=p.text("off_session") == "true"
        ),
    ),
    ("POST", "/v1/payment_intents/{id}/capture", lambda sb, _, intent: sb.capture_payment_intent(intent)),
    ("POST", "/v1/payment_intents/{id}/cancel", lambda sb, _, intent: sb.cancel_payment_intent(intent)),
    ("POST", "/v1/charges", _create_charge),
    (
        "POST",
        "/v1/charges/{id}",
        lambda sb, p, charge: sb.update_metadata("charge", charge, p.mapping("metadata"), "charge.updated"),
    ),
    ("POST", "/v1/refunds", _create_refund),
    ("POST", "/v1/refunds/{id}", lambda sb, p, refund: sb.update_refund(refund, p.mapping("metadata"))),
    ("POST", "/v1/refunds/{id}/cancel", lambda sb, _, refund: sb.cancel_refund(refund)),
    ("POST", "/v1/disputes/{id}", _update_dispute),
    ("POST", "/v1/disputes/{id}/close", _close_dispute),
)
