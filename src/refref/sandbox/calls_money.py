"""API calls on the balance, top-ups, transfers and payouts."""

from typing import Any

from refref.sandbox.catalog import merged
from refref.sandbox.errors import StripeError, missing
from refref.sandbox.form import Params, as_integer
from refref.sandbox.lists import page
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc


def _amount(p: Params) -> int:
    return as_integer(p.required("amount"), "amount")


def _changes(p: Params, doc: Doc) -> dict[str, Any]:
    """Description and metadata, as far as they were sent."""
    changes: dict[str, Any] = dict(p.given("description"))
    if "metadata" in p.data:
        changes["metadata"] = merged(doc["metadata"], p.mapping("metadata"))
    return changes


def _top_up(sb: Sandbox, p: Params, _: str) -> Doc:
    return sb.top_up(
        _amount(p),
        p.required("currency"),
        description=p.text("description"),
        transfer_group=p.text("transfer_group"),
        statement_descriptor=p.text("statement_descriptor"),
        metadata=p.mapping("metadata"),
    )


def _cancel_top_up(sb: Sandbox, _: Params, topup: str) -> Doc:
    doc = sb.find("topup", topup)
    raise StripeError(f"A top-up that is {doc['status']} cannot be canceled.", param="topup")


def _transfer(sb: Sandbox, p: Params, _: str) -> Doc:
    source_type = p.text("source_type")
    if source_type not in (None, "card", "bank_account", "fpx"):
        raise StripeError("Invalid source_type: must be one of bank_account, card, or fpx", param="source_type")
    amount = p.integer("amount")
    source = p.text("source_transaction")
    if amount is None and source is None:
        raise StripeError("Missing required param: amount.", code="parameter_missing", param="amount")
    if amount is None:
        charge = sb.find("charge", str(source), "source_transaction")
        amount = int(sb.find("balance_transaction", str(charge["balance_transaction"]))["net"])
    return sb.transfer(
        amount,
        p.required("currency"),
        p.required("destination"),
        source_transaction=source,
        transfer_group=p.text("transfer_group"),
        description=p.text("description"),
        source_type=source_type,
        metadata=p.mapping("metadata"),
    )


def _reverse(sb: Sandbox, p: Params, transfer: str) -> Doc:
    return sb.reverse_transfer(
        transfer, amount=p.integer("amount"), description=p.text("description"), metadata=p.mapping("metadata")
    )


def _reversals(sb: Sandbox, p: Params, transfer: str) -> Doc:
    sb.find("transfer", transfer)
    made = [r for r in reversed(sb.live("transfer_reversal")) if r["transfer"] == transfer]
    return page(made, p, f"/v1/transfers/{transfer}/reversals")


def _reversal(sb: Sandbox, _: Params, place: str) -> Doc:
    transfer, reversal = place.split("/")
    found = sb.find("transfer_reversal", reversal)
    if found["transfer"] != transfer:
        raise missing("transfer reversal", reversal)
    return found


def _update_reversal(sb: Sandbox, p: Params, place: str) -> Doc:
    found = _reversal(sb, p, place)
    sb.alter(found, **_changes(p, found))
    return found


def _payout(sb: Sandbox, p: Params, _: str) -> Doc:
    method = p.text("method") or "standard"
    if method not in ("standard", "instant"):
        raise StripeError("Invalid method: must be one of instant or standard", param="method")
    return sb.payout(
        _amount(p),
        p.required("currency"),
        method=method,
        destination=p.text("destination"),
        description=p.text("description"),
        statement_descriptor=p.text("statement_descriptor"),
        metadata=p.mapping("metadata"),
    )


CALLS = (
    ("GET", "/v1/balance", lambda sb, _, __: sb.balance()),
    ("POST", "/v1/topups", _top_up),
    ("POST", "/v1/topups/{id}", lambda sb, p, i: sb.update_topup(i, **_changes(p, sb.find("topup", i)))),
    ("POST", "/v1/topups/{id}/cancel", _cancel_top_up),
    ("POST", "/v1/transfers", _transfer),
    ("POST", "/v1/transfers/{id}", lambda sb, p, i: sb.update_transfer(i, **_changes(p, sb.find("transfer", i)))),
    ("POST", "/v1/transfers/{id}/reversals", _reverse),
    ("GET", "/v1/transfers/{id}/reversals", _reversals),
    ("GET", "/v1/transfers/{id}/reversals/{part}", _reversal),
    ("POST", "/v1/transfers/{id}/reversals/{part}", _update_reversal),
    ("POST", "/v1/payouts", _payout),
    ("POST", "/v1/payouts/{id}", lambda sb, p, payout: sb.update_payout(payout, p.mapping("metadata"))),
    ("POST", "/v1/payouts/{id}/cancel", lambda sb, _, payout: sb.cancel_payout(payout)),
    ("POST", "/v1/payouts/{id}/reverse", lambda sb, p, i: sb.reverse_payout(i, metadata=p.mapping("metadata"))),
)
