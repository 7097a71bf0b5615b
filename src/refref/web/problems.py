"""Errors as application/problem+json (RFC 9457): the one table from stable codes to HTTP statuses and titles.

`python -m refref.web.problems` prints docs/errors.md; tests keep that page equal to the tables, and these complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from refref.core.refusals import Refused

MEDIA_TYPE = "application/problem+json"

_BY_STATUS: Mapping[int, Mapping[str, str]] = {
    400: {
        "bad_request": "The request cannot be understood",
        "invalid_cursor": "The cursor was not handed out by RefRef",
        "invalid_idempotency_key": "The idempotency key has a wrong form",
    },
    401: {
        "unauthenticated": "No valid API key or session",
        "wrong_credentials": "E-mail or password is wrong",
    },
    403: {
        "authorization_denied": "The access was not given",
        "forbidden": "The role has no right to this",
        "foreign_origin": "The form comes from another site",
        "invalid_csrf_token": "The form is out of date",
        "invalid_state": "The answer belongs to no attempt of this browser",
        "sign_up_closed": "This installation is set up already",
    },
    404: {
        "not_found": "There is nothing here",
        "unknown_api_key": "No such API key",
        "unknown_backtest": "No such backtest",
        "unknown_code": "No such code",
        "unknown_connection": "No such connection",
        "unknown_conversion": "No such conversion",
        "unknown_customer": "No such customer",
        "unknown_draft": "The program has no draft",
        "unknown_event": "No such event",
        "unknown_organization": "No such organization",
        "unknown_participant": "No such participant",
        "unknown_payout": "No such payout",
        "unknown_program": "No such program",
        "unknown_referral": "No such referral",
        "unknown_review": "No such verdict",
        "unknown_reading": "No such reading of Stripe's lists",
        "unknown_reward": "No such reward",
        "unknown_story": "No such story in the library",
        "unknown_template": "No such template",
        "unknown_user": "No such user",
        "unknown_version": "No such version of the terms",
    },
    405: {"method_not_allowed": "The address does not take this method"},
    409: {
        "access_ended": "The merchant ended the platform's access",
        "account_connected": "The account is connected already",
        "ambiguous_program": "Several programs have the name",
        "backtest_over": "The backtest is over",
        "backtest_running": "A backtest of the program is running",
        "clock_goes_back": "A test clock only moves forward",
        "code_taken": "The code is in use",
        "connection_disabled": "The connection was ended",
        "draft_changed": "Somebody else saved the draft",
        "email_taken": "The e-mail has an account",
        "history_over": "The reading is over",
        "history_running": "One reading of a kind at a time",
        "idempotency_conflict": "The idempotency key belongs to another request",
        "invalid_code": "The code of Stripe's is used up",
        "key_unreadable": "The Stripe key cannot be decrypted",
        "no_key": "The connection has no Stripe key",
        "no_platform": "No Stripe platform is set up",
        "no_public_address": "Stripe cannot reach this RefRef",
        "not_told": "Nobody told it, or it was taken back",
        "participant_exists": "The e-mail is in the program",
        "payout_followed": "A later payout goes on from this one",
        "payout_undone": "The payout was undone",
        "platform_endpoint": "The platform has the endpoint",
        "program_archived": "The program is archived",
        "review_outdated": "The verdict was withdrawn",
        "stripe_permission_missing": "The key lacks a permission",
        "stripe_refused": "Stripe refused",
        "terms_out_of_order": "Terms take effect one after the other",
        "terms_outdated": "A newer version of the terms was published",
        "webhook_secret_known": "The signing secret is known",
    },
    413: {"body_too_large": "The request is too large"},
    415: {"unsupported_media_type": "The body is not JSON"},
    422: {
        "account_mismatch": "The key is another account's",
        "api_key_required": "The connection needs a Stripe key",
        "click_in_future": "The click lies in the future",
        "connection_required": "Say which connection",
        "invalid_account_id": "Not a Stripe account id",
        "invalid_api_base": "RefRef calls Stripe or a local sandbox only",
        "invalid_api_key": "Not a Stripe secret or restricted key",
        "invalid_bonds": "The customers cannot be bound",
        "invalid_choice": "Not one of the choices",
        "invalid_clock": "Not a setting of the test clock",
        "invalid_country": "Not a country",
        "invalid_criteria": "The criteria cannot be used",
        "invalid_currency": "Not a currency",
        "invalid_customer": "Not a Stripe customer id",
        "invalid_email": "Not an e-mail address",
        "invalid_event": "Not a Stripe event",
        "invalid_group": "Not a usable name of a group",
        "invalid_instant": "Not a usable instant",
        "invalid_ip": "Not a person's network address",
        "invalid_metadata": "Not usable metadata",
        "invalid_month": "Not a calendar month, or one to come",
        "invalid_name": "Not a usable name",
        "invalid_overlap": "Not a usable overlap",
        "invalid_promotion_code": "Not a promotion code's id",
        "invalid_rates": "The file of rates cannot be used",
        "invalid_reason": "Say why",
        "invalid_refcode": "Not a usable refcode",
        "invalid_reference": "Not a usable reference",
        "invalid_request": "The request does not fit its description",
        "invalid_span": "Not a span of time",
        "invalid_terms": "The terms cannot be published",
        "invalid_text": "The text is too long",
        "invalid_webhook_secret": "Not a signing secret",
        "live_clock": "Live mode has no clock to set",
        "mode_mismatch": "Test and live mode never meet",
        "mode_required": "Say which mode",
        "nothing_payable": "Nothing is payable",
        "paid_in_future": "The day of payment lies in the future",
        "payout_amount": "Not what whole rewards come to",
        "no_repair": "The doctor cannot mend it",
        "reason_required": "Say why",
        "stripe_key_refused": "Stripe does not accept the key",
        "too_many": "Too many in one request",
        "weak_password": "The password does not obey the rule",
    },
    429: {"too_many_attempts": "Too many attempts"},
    500: {"internal_error": "RefRef has a bug"},
    503: {
        "database_unreachable": "The database cannot be reached",
        "stripe_unreachable": "Stripe cannot be asked just now",
    },
}


# What the webhook intake answers; it makes its answers itself, without this module.
INTAKE_CODES: Mapping[str, tuple[int, str]] = {
    "missing_header": (400, "There is no Stripe-Signature header"),
    "malformed_header": (400, "The Stripe-Signature header has a wrong form"),
    "no_v1_signature": (400, "The Stripe-Signature header has no v1 signature"),
    "no_secret": (400, "The connection has no signing secret yet: add it"),
    "no_match": (400, "No signature fits: another endpoint's secret, or the body was changed on its way"),
    "timestamp_too_old": (400, "Signed more than 300 s ago: check the clock, or let Stripe send it again"),
    "timestamp_in_future": (400, "Signed more than 300 s ahead of us: check the clock"),
    "not_utf8": (400, "The body is not UTF-8"),
    "not_json": (400, "The body is not JSON"),
    "not_an_event": (400, "The body is no Stripe event"),
    "thin_event": (400, "A thin event (API v2): let the destination send snapshot events"),
    "livemode_mismatch": (400, "A test event on a live connection or the other way round; it is kept in quarantine"),
    "unknown_connection": (404, "No connection has this webhook address"),
    "method_not_allowed": (405, "Webhooks come with POST"),
    "body_too_large": (413, "A webhook body is 1 MiB at most"),
    "database_unreachable": (503, "The event was not stored; Stripe sends it again"),
    "secret_unreadable": (
        503,
        "The signing secret cannot be decrypted: set the right `REFREF_MASTER_KEY`",
    ),
}


@dataclass(frozen=True, slots=True)
class Code:
    """A row of the table."""

    status: int
    title: str


CODES: Mapping[str, Code] = {
    code: Code(status, title) for status, titles in _BY_STATUS.items() for code, title in titles.items()
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an error; `code` is stable, `detail` is for people, `field` names the input that is at fault."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None


def problem_of(refused: Refused) -> Problem:
    """What a refusal looks like from outside."""
    return make_problem(refused.code, refused.sentence, refused.field)


def make_problem(code: str, detail: str, field: str | None = None) -> Problem:
    """The problem of a code."""
    known = CODES.get(code, Code(400, "The request was refused"))
    return Problem(f"urn:refref:error:{code}", known.title, known.status, code, detail, field)


def problem_of_status(status: int) -> Problem:
    """The problem behind a bare HTTP status of the framework."""
    by_status = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "unsupported_media_type"}
    code = by_status.get(status, "bad_request" if status < 500 else "internal_error")
    return make_problem(code, f"{HTTPStatus(status).phrase}.")


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """The JSON answer of a problem."""
    return Response(
        msgspec.json.encode(problem), problem.status, dict(headers) if headers else None, media_type=MEDIA_TYPE
    )


_PAGE = """\
# Errors

Every error of the API is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `code`, `detail`, and
`field` where one input is at fault (`terms.rules.0.rate_bps`). `code` is stable: programs go by it. `detail` is a
sentence for people that says what to do; its wording may change.

```json
{example}
```

| status | code | meaning |
|---|---|---|
{codes}

Ask again after a 429 (later) and a 503 (soon), with the same `Idempotency-Key`. A 500 is a bug of RefRef: its detail
names the request id under which the operator finds it in the log.

## Webhooks

`POST /stripe/webhooks/<connection id>` answers 200 once an event is stored, also when it was stored before. Else:

| status | code | meaning |
|---|---|---|
{intake_codes}
"""


def errors_page() -> str:
    """The text of docs/errors.md."""
    example = make_problem("code_taken", "This code is or was in use on this connection. Choose another.", "refcode")
    return _PAGE.format(
        example=msgspec.json.format(msgspec.json.encode(example), indent=2).decode(),
        codes="\n".join(f"| {code.status} | `{name}` | {code.title} |" for name, code in CODES.items()),
        intake_codes="\n".join(f"| {status} | `{name}` | {text} |" for name, (status, text) in INTAKE_CODES.items()),
    )


if __name__ == "__main__":
    print(errors_page(), end="")
