"""What the demo and the harnesses may tell the sandbox of accounts, keys and money: actions of `/_sandbox/{what}`.

Every action may name `on`: the account that it is for, instead of the server's own.
"""

from collections.abc import Callable, Mapping
from typing import Any

from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

Fields = Mapping[str, Any]
Action = Callable[[Sandbox, Fields], tuple[str, Doc]]


def _sb(home: Sandbox, fields: Fields) -> Sandbox:
    return home.account(fields["on"]) if "on" in fields else home


def _amount(fields: Fields) -> int | None:
    return int(fields["amount"]) if "amount" in fields else None


def _key(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """A new key: permissions (resource: read or write), account."""
    return "Here is a key.", _sb(home, fields).create_key(fields.get("permissions"), account=fields.get("account"))


def _restrict(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`key` and `permissions`."""
    return "The key is restricted.", home.restrict_key(fields["key"], fields["permissions"])


def _revoke(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`key`."""
    return "The key is revoked.", home.revoke_key(fields["key"])


def _merchant(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """A merchant of its own: name, email."""
    given = {k: fields[k] for k in ("name", "email") if k in fields}
    return "A merchant has opened an account.", home.open_merchant(**given)


def _application(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`redirect_uris`; name."""
    named = {"name": fields["name"]} if "name" in fields else {}
    return "The application is registered.", _sb(home, fields).register_application(fields["redirect_uris"], **named)


def _shut_out(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """The merchant (`on`) ends its consent to `client_id`."""
    return "The merchant has shut the application out.", _sb(home, fields).revoke_application(fields["client_id"])


def _onboard(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`account`; pending."""
    return "The account is onboarded.", _sb(home, fields).onboard(
        fields["account"], pending=bool(fields.get("pending", False))
    )


def _capability(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`account` and `status` (active, inactive, pending); capability (transfers)."""
    capability = fields.get("capability", "transfers")
    doc = _sb(home, fields).set_capability(fields["account"], capability, fields["status"])
    return f"The capability {capability} is {fields['status']}.", doc


def _require(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`account` and `fields` (an empty list: nothing any more); deadline (unix seconds), past_due, errors."""
    more = {k: fields[k] for k in ("deadline", "past_due", "errors") if k in fields}
    return "The account was asked for it.", _sb(home, fields).require(fields["account"], fields["fields"], **more)


def _top_up(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`amount`; currency."""
    return "Funds were added.", _sb(home, fields).top_up(int(fields["amount"]), fields.get("currency", "usd"))


def _settle_in(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`currency` and rates (currency: decimal text); no currency: each settles in itself."""
    return "The settlement is set.", _sb(home, fields).settle_in(fields.get("currency"), fields.get("rates"))


def _fees(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`rate_bps` and `fixed`."""
    return "The fees are set.", _sb(home, fields).set_fees(int(fields["rate_bps"]), int(fields["fixed"]))


def _reverse_transfer(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`transfer`; amount."""
    return "The transfer went back.", _sb(home, fields).reverse_transfer(fields["transfer"], amount=_amount(fields))


def _fail_payout(home: Sandbox, fields: Fields) -> tuple[str, Doc]:
    """`payout` of the account `on`; code (account_closed)."""
    return "The payout failed.", _sb(home, fields).fail_payout(fields["payout"], fields.get("code", "account_closed"))


ACTIONS: dict[str, Action] = {
    "application": _application,
    "capability": _capability,
    "fail_payout": _fail_payout,
    "fees": _fees,
    "key": _key,
    "merchant": _merchant,
    "onboard": _onboard,
    "require": _require,
    "restrict_key": _restrict,
    "reverse_transfer": _reverse_transfer,
    "revoke_key": _revoke,
    "settle_in": _settle_in,
    "shut_out": _shut_out,
    "top_up": _top_up,
}
