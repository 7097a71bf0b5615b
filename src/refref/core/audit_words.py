"""The audit log in plain words: what each action is called, who did it, what its details say. Pure presenters.

An action that is not in the table is shown by its own name: older entries stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping

from refref.core.connection_health import PROBLEMS
from refref.core.money import format_amount

Details = Mapping[str, str | int | bool | None]

ACTIONS: dict[str, str] = {
    "organization.create": "Organization made",
    "user.create": "User added",
    "user.change_password": "Password changed",
    "session.open": "Signed in",
    "session.close": "Signed out",
    "api_key.create": "API key made",
    "api_key.revoke": "API key revoked",
    "connection.create": "Connection made",
    "connection.authorize": "Connected with Stripe",
    "connection.learn_account": "Stripe account learnt",
    "connection.set_clock": "Test clock moved",
    "connection.move_sandbox": "Address of the sandbox changed",
    "connection.intake": "Intake of events chosen",
    "connection.problem": "Connection has a problem",
    "connection.problem_over": "Problem of the connection over",
    "connection.disconnect": "Connection ended",
    "connection_secret.add": "Key or signing secret stored",
    "connection_secret.rotate": "Master key changed",
    "webhook_endpoint.create": "Webhook endpoint made",
    "webhook_endpoint.repair": "Webhook endpoint repaired",
    "webhook_endpoint.delete": "Webhook endpoint deleted",
    "catalog.sync": "Catalogue read anew",
    "program.create": "Program made",
    "program.update": "Program's name or texts changed",
    "program.pause": "Program paused",
    "program.resume": "Program resumed",
    "program.archive": "Program archived",
    "terms_draft.save": "Draft of terms saved",
    "terms_draft.discard": "Draft of terms discarded",
    "terms.publish": "Terms published",
    "backtest.start": "Backtest started",
    "backtest.cancel": "Backtest cancelled",
    "participant.create": "Participant added",
    "participant.pause": "Participant paused",
    "participant.resume": "Participant resumed",
    "participant_profile.set": "Participant's profile changed",
    "participant_code.add": "Code added",
    "participant_code.deactivate": "Code ended",
    "referral.bound": "Customer bound by hand",
    "referral.undone": "Binding taken back",
    "review.approved": "Approved",
    "review.rejected": "Rejected",
    "review.withdrawn": "Verdict taken back",
    "payout.record": "Payout recorded",
    "payout.undo": "Payout taken back",
    "rates.upload": "Exchange rates uploaded",
    "backfill.started": "Backfill started",
    "backfill.cancelled": "Backfill cancelled",
    "backfill.resumed": "Backfill resumed",
    "reconcile.started": "Reconciliation started",
    "reconcile.cancelled": "Reconciliation cancelled",
    "reconcile.resumed": "Reconciliation resumed",
    "statement.started": "Statement started",
    "statement.cancelled": "Statement cancelled",
    "statement.resumed": "Statement resumed",
    "doctor.repaired": "Repaired by the doctor",
    "doctor.mended": "Said to be mended",
}

_LABELS: dict[str, str] = {
    "api_version": "API version",
    "changed": "changed",
    "clock_ahead_s": "ahead of ours",
    "code_kind": "kind of code",
    "codes": "what",
    "copy_of": "copy of",
    "count": "put to work",
    "has_api_key": "API key stored",
    "has_webhook_secret": "signing secret stored",
    "is_new": "new here",
    "key_id": "master key",
    "revision": "revision",
    "rates": "rates in the file",
    "rule_id": "rule",
    "scope": "access",
    "secret_id": "stored as",
    "settled_again": "customers settled again",
    "stripe_account_id": "Stripe account",
    "stripe_endpoint_id": "endpoint",
}
_VALUES: dict[tuple[str, str], str] = {
    ("kind", "api_key"): "API key",
    ("kind", "webhook"): "signing secret",
    ("code_kind", "promotion_code"): "promotion code",
    ("intake", "polling"): "asking Stripe for its events list",
    ("scope", "read_only"): "read only",
    ("scope", "read_write"): "read and write",
}
_TOLD_WITH_THE_SUBJECT = frozenset({"connection_id", "program_id", "participant_id"})
_DAY_S = 86_400


def present_action(action: str) -> str:
    """What an action is called."""
    return ACTIONS.get(action, action)


def present_actor(actor: str, name: str | None) -> str:
    """Who did it; `name`: of the user (None: not a member any more) or of the API key."""
    if actor == "system":
        return "RefRef or the command line"
    if actor.startswith("key:"):
        return f"API key “{name}”" if name else "an API key"
    return name or "somebody who left"


def present_details(details: Details) -> list[tuple[str, str]]:
    """What the details say, as label and value; what they leave empty and what names the subject is left out."""
    lines: list[tuple[str, str]] = []
    for name, value in details.items():
        if name in _TOLD_WITH_THE_SUBJECT or value in (None, "") or name == "currency":
            continue
        if name == "amount_minor" and isinstance(value, int):
            lines.append(("amount", format_amount(value, str(details["currency"]))))
        else:
            lines.append((_LABELS.get(name, name.replace("_", " ")), _value(name, value)))
    return lines


def _value(name: str, value: str | int | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "clock_ahead_s" and isinstance(value, int):
        days = value // _DAY_S
        return "1 day" if days == 1 else f"{days} days"
    if name == "codes":
        return "; ".join(PROBLEMS[code].title if code in PROBLEMS else code for code in str(value).split())
    return _VALUES.get((name, str(value)), str(value))
