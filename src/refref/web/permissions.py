"""The one table of who may ask for which route: method and path template -> the least role. Checked on every request.

A test walks all routes of the app and fails for one that has no entry here, or an entry that has no route.
"""

from __future__ import annotations

from collections.abc import Mapping

PUBLIC = "public"  # no session, no key
VIEWER, ADMIN, OWNER = "viewer", "admin", "owner"

_RANK = {VIEWER: 1, ADMIN: 2, OWNER: 3}


def allows(role: str, needed: str) -> bool:
    """Whether somebody with `role` may do what needs `needed`."""
    return _RANK[role] >= _RANK[needed]


_API: Mapping[tuple[str, str], str] = {
    ("GET", "/v1/organizations/me"): VIEWER,
    ("GET", "/v1/api_keys"): ADMIN,
    ("POST", "/v1/api_keys"): ADMIN,
    ("DELETE", "/v1/api_keys/{api_key_id}"): ADMIN,
    ("GET", "/v1/connections"): VIEWER,
    ("POST", "/v1/connections"): ADMIN,
    ("GET", "/v1/connections/{connection_id}"): VIEWER,
    ("POST", "/v1/connections/{connection_id}/webhook_secrets"): ADMIN,
    ("POST", "/v1/connections/{connection_id}/api_key"): ADMIN,
    ("POST", "/v1/connections/{connection_id}/test_clock"): ADMIN,
    ("GET", "/v1/programs"): VIEWER,
    ("POST", "/v1/programs"): ADMIN,
    ("GET", "/v1/programs/{program_id}"): VIEWER,
    ("PATCH", "/v1/programs/{program_id}"): ADMIN,
    ("POST", "/v1/programs/{program_id}/pause"): ADMIN,
    ("POST", "/v1/programs/{program_id}/resume"): ADMIN,
    ("POST", "/v1/programs/{program_id}/archive"): ADMIN,
    ("POST", "/v1/programs/{program_id}/duplicate"): ADMIN,
    ("GET", "/v1/programs/{program_id}/statuses"): VIEWER,
    ("GET", "/v1/programs/{program_id}/terms"): VIEWER,
    ("POST", "/v1/programs/{program_id}/terms"): ADMIN,
    ("POST", "/v1/programs/{program_id}/terms/validate"): VIEWER,
    ("POST", "/v1/programs/{program_id}/terms/plan"): VIEWER,
    ("GET", "/v1/programs/{program_id}/terms/diff"): VIEWER,
    ("GET", "/v1/programs/{program_id}/draft"): VIEWER,
    ("PUT", "/v1/programs/{program_id}/draft"): ADMIN,
    ("DELETE", "/v1/programs/{program_id}/draft"): ADMIN,
    ("POST", "/v1/programs/{program_id}/draft/publish"): ADMIN,
    ("GET", "/v1/program_templates"): VIEWER,
    ("GET", "/v1/terms.schema.json"): VIEWER,
    ("GET", "/v1/participants"): VIEWER,
    ("POST", "/v1/participants"): ADMIN,
    ("GET", "/v1/participants/{participant_id}"): VIEWER,
    ("GET", "/v1/participants/{participant_id}/profiles"): VIEWER,
    ("PUT", "/v1/participants/{participant_id}/profile"): ADMIN,
    ("GET", "/v1/participants/{participant_id}/codes"): VIEWER,
    ("POST", "/v1/participants/{participant_id}/codes"): ADMIN,
    ("DELETE", "/v1/participants/{participant_id}/codes/{code}"): ADMIN,
    ("POST", "/v1/participants/{participant_id}/pause"): ADMIN,
    ("POST", "/v1/participants/{participant_id}/resume"): ADMIN,
    ("GET", "/v1/customers"): VIEWER,
    ("GET", "/v1/customers/{stripe_customer_id}"): VIEWER,
    ("GET", "/v1/referrals"): VIEWER,
    ("POST", "/v1/referrals"): ADMIN,
    ("GET", "/v1/events"): VIEWER,
    ("GET", "/v1/events/{stripe_event_id}"): VIEWER,
    ("POST", "/v1/events/{stripe_event_id}/replay"): ADMIN,
    ("POST", "/v1/events/replay_parked"): ADMIN,
    ("GET", "/v1/rewards"): VIEWER,
    ("GET", "/v1/rewards/{reward_id}"): VIEWER,
    ("GET", "/v1/decisions"): VIEWER,
    ("GET", "/v1/balances"): VIEWER,
    ("GET", "/v1/overview"): VIEWER,
    ("GET", "/v1/explain/{any_id}"): VIEWER,
    ("GET", "/v1/doctor"): VIEWER,
    ("GET", "/v1/stripe_events"): VIEWER,
    ("POST", "/v1/custom_events/try"): VIEWER,
    ("GET", "/v1/custom_events/samples"): VIEWER,
    ("GET", "/v1/custom_events/rereading"): VIEWER,
    ("GET", "/v1/rates"): VIEWER,
    ("GET", "/v1/rates/lookup"): VIEWER,
    ("GET", "/v1/rates/uploads"): VIEWER,
    ("POST", "/v1/rates/uploads"): ADMIN,
    ("GET", "/v1/audit_log"): ADMIN,
}

_PAGES: Mapping[tuple[str, str], str] = {
    ("GET", "/why"): VIEWER,
    ("GET", "/settings"): VIEWER,
    ("POST", "/settings/webhook-secret"): ADMIN,
    ("POST", "/settings/stripe-key"): ADMIN,
    ("POST", "/settings/test-clock"): ADMIN,
    ("POST", "/settings/api-keys"): ADMIN,
    ("POST", "/settings/api-keys/{api_key_id}/revoke"): ADMIN,
    ("GET", "/settings/currencies"): VIEWER,
    ("POST", "/settings/currencies/preview"): ADMIN,
    ("POST", "/settings/currencies/upload"): ADMIN,
    ("GET", "/set-up"): VIEWER,
    ("POST", "/set-up/connection"): ADMIN,
    ("POST", "/connection"): VIEWER,
    ("GET", "/programs"): VIEWER,
    ("GET", "/programs/new"): VIEWER,
    ("POST", "/programs/new"): ADMIN,
    ("GET", "/programs/{program_id}"): VIEWER,
    ("POST", "/programs/{program_id}/terms"): ADMIN,
    ("GET", "/payments"): VIEWER,
    ("GET", "/payments.csv"): VIEWER,
    ("GET", "/sign-in"): PUBLIC,
    ("POST", "/sign-in"): PUBLIC,
    ("POST", "/sign-out"): VIEWER,
    ("GET", "/first-run"): PUBLIC,
    ("POST", "/first-run"): PUBLIC,
    ("GET", "/"): VIEWER,
    ("GET", "/overview/latest"): VIEWER,
    ("GET", "/events"): VIEWER,
    ("GET", "/events.csv"): VIEWER,
    ("GET", "/events/{event_id}"): VIEWER,
    ("POST", "/events/{event_id}/replay"): ADMIN,
    ("GET", "/customers"): VIEWER,
    ("GET", "/customers.csv"): VIEWER,
    ("GET", "/customers/{customer_id}"): VIEWER,
    ("POST", "/customers/{customer_id}/referral"): ADMIN,
    ("GET", "/referrals"): VIEWER,
    ("GET", "/referrals.csv"): VIEWER,
    ("GET", "/participants"): VIEWER,
    ("GET", "/participants.csv"): VIEWER,
    ("GET", "/participants/new"): VIEWER,
    ("POST", "/participants/new"): ADMIN,
    ("GET", "/participants/{participant_id}"): VIEWER,
    ("POST", "/participants/{participant_id}/codes"): ADMIN,
    ("POST", "/participants/{participant_id}/codes/deactivate"): ADMIN,
    ("POST", "/participants/{participant_id}/status"): ADMIN,
    ("GET", "/rewards"): VIEWER,
    ("GET", "/rewards.csv"): VIEWER,
    ("GET", "/rewards/{reward_id}"): VIEWER,
}

PERMISSIONS: Mapping[tuple[str, str], str] = {**_API, **_PAGES}
