"""API calls of Connect: accounts, capabilities, external accounts, account links and login links."""

from typing import Any

from refref.sandbox.account_shape import capability_of
from refref.sandbox.form import Params
from refref.sandbox.lists import page, within
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc, listed

DETAILS = ("business_profile", "company", "individual", "settings", "capabilities")


def _own(sb: Sandbox, _: Params, __: str) -> Doc:
    return sb.own_account()


def _details(p: Params) -> dict[str, Any]:
    """What an account is told about itself."""
    found: dict[str, Any] = {name: p.mapping(name) for name in DETAILS if name in p.data}
    found |= {k: v for k, v in p.given("email", "business_type", "default_currency").items() if v is not None}
    terms = p.mapping("tos_acceptance")
    if terms:
        found["tos_acceptance"] = terms
    bank = p.data.get("external_account") or p.data.get("bank_account")
    if bank:
        found["external_account"] = bank
    if "metadata" in p.data:
        found["metadata"] = p.mapping("metadata")
    return found


def _create(sb: Sandbox, p: Params, _: str) -> Doc:
    details = _details(p)
    metadata, terms = details.pop("metadata", None), details.pop("tos_acceptance", {})
    details.pop("email", None)
    asked = details.pop("capabilities", {})
    if set(terms) - {"service_agreement"}:
        details["tos_acceptance"] = terms
    return sb.create_account(
        type=p.text("type"),
        country=p.text("country") or "US",
        email=p.text("email"),
        controller=p.mapping("controller"),
        capabilities=[name for name, asked_for in asked.items() if asked_for.get("requested") == "true"],
        service_agreement=terms.get("service_agreement"),
        metadata=metadata,
        **details,
    )


def _update(sb: Sandbox, p: Params, account: str) -> Doc:
    return sb.update_account(account, **_details(p))


def _get(sb: Sandbox, _: Params, account: str) -> Doc:
    return sb.connected_account(account).own_account()


def _list(sb: Sandbox, p: Params, _: str) -> Doc:
    docs = [a.own_account() for a in reversed(sb.accounts.connected(sb.account_id))]
    if "created" in p.data:
        docs = [d for d in docs if within(d, p.data["created"])]
    return page(docs, p, "/v1/accounts")


def _capabilities(sb: Sandbox, _: Params, account: str) -> Doc:
    doc = sb.connected_account(account).own_account()
    shown = [capability_of(doc, name) for name in doc["capabilities"]]
    return listed(shown, f"/v1/accounts/{account}/capabilities", total=False)


def _capability(sb: Sandbox, _: Params, place: str) -> Doc:
    account, name = place.split("/")
    return capability_of(sb.connected_account(account).own_account(), name)


def _update_capability(sb: Sandbox, p: Params, place: str) -> Doc:
    account, name = place.split("/")
    wished = p.flag("requested")
    if wished is None:
        return _capability(sb, p, place)
    return sb.request_capability(account, name, requested=wished)


# external accounts


def _external_accounts(sb: Sandbox, p: Params, account: str) -> Doc:
    data = sb.connected_account(account).own_account()["external_accounts"]["data"]
    kind = p.text("object")
    return page([e for e in data if kind in (None, e["object"])], p, f"/v1/accounts/{account}/external_accounts")


def _add_external_account(sb: Sandbox, p: Params, account: str) -> Doc:
    given = p.data.get("external_account") or p.data.get("bank_account") or p.required("external_account")
    target = sb.connected_account(account)
    with sb.acting_on(target):
        before = target.add_external_account(given)
        made: str = target.own_account()["external_accounts"]["data"][-1]["id"]
        if p.flag("default_for_currency"):
            target.change_external_account(made, default=True)
        target.reviewed(before)
    return target.external_account(made)


def _external_account(sb: Sandbox, _: Params, place: str) -> Doc:
    account, external = place.split("/")
    return sb.connected_account(account).external_account(external)


def _update_external_account(sb: Sandbox, p: Params, place: str) -> Doc:
    account, external = place.split("/")
    target = sb.connected_account(account)
    changes: dict[str, Any] = dict(p.given("account_holder_name", "account_holder_type"))
    if "metadata" in p.data:
        changes["metadata"] = p.mapping("metadata")
    with sb.acting_on(target):
        return target.change_external_account(external, default=p.flag("default_for_currency"), **changes)


def _remove_external_account(sb: Sandbox, _: Params, place: str) -> Doc:
    account, external = place.split("/")
    target = sb.connected_account(account)
    with sb.acting_on(target):
        return target.remove_external_account(external)


# links


def _account_link(sb: Sandbox, p: Params, _: str) -> Doc:
    return sb.create_account_link(
        p.required("account"),
        refresh_url=p.required("refresh_url"),
        return_url=p.required("return_url"),
        type=p.required("type"),
    )


CALLS = (
    ("GET", "/v1/account", _own),
    ("POST", "/v1/accounts", _create),
    ("GET", "/v1/accounts", _list),
    ("GET", "/v1/accounts/{id}", _get),
    ("POST", "/v1/accounts/{id}", _update),
    ("DELETE", "/v1/accounts/{id}", lambda sb, _, account: sb.delete_account(account)),
    ("POST", "/v1/accounts/{id}/reject", lambda sb, p, account: sb.reject_account(account, p.required("reason"))),
    ("GET", "/v1/accounts/{id}/capabilities", _capabilities),
    ("GET", "/v1/accounts/{id}/capabilities/{part}", _capability),
    ("POST", "/v1/accounts/{id}/capabilities/{part}", _update_capability),
    ("GET", "/v1/accounts/{id}/external_accounts", _external_accounts),
    ("POST", "/v1/accounts/{id}/external_accounts", _add_external_account),
    ("GET", "/v1/accounts/{id}/external_accounts/{part}", _external_account),
    ("POST", "/v1/accounts/{id}/external_accounts/{part}", _update_external_account),
    ("DELETE", "/v1/accounts/{id}/external_accounts/{part}", _remove_external_account),
    ("POST", "/v1/accounts/{id}/login_links", lambda sb, _, account: sb.create_login_link(account)),
    ("POST", "/v1/account_links", _account_link),
)
