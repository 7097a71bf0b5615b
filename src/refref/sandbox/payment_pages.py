"""The calls of Stripe's own payment page, which are in no specification; its command-line tool makes them as well."""

from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc


def _look(sb: Sandbox, _: Params, session: str) -> Doc:
    return sb.find("checkout.session", session)


def _confirm(sb: Sandbox, p: Params, session: str) -> Doc:
    """Pay as the buyer does on the page: with a payment method, whose billing details say who pays."""
    doc = sb.find("checkout.session", session)
    expected = p.integer("expected_amount")
    if expected is not None and expected != doc["amount_total"]:
        raise StripeError("The amount of the session is another one.", param="expected_amount")
    method = sb.find("payment_method", p.required("payment_method"), "payment_method")
    details = method["billing_details"]
    return sb.pay_session(session, card=method["_card"], email=details["email"], name=details["name"])


CALLS = (
    ("GET", "/v1/payment_pages/{id}", _look),
    ("POST", "/v1/payment_pages/{id}/confirm", _confirm),
)
