"""Errors as application/problem+json (RFC 9457): the one table from stable codes to HTTP statuses and titles.

docs/errors.md is tested against CODES. A code that no row names is a bug; it is answered as a plain refusal (400).
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
        "forbidden": "The role has no right to this",
        "foreign_origin": "The form comes from another site",
        "invalid_csrf_token": "The form is out of date",
        "sign_up_closed": "This installation is set up already",
    },
    404: {
        "not_found": "There is nothing here",
        "unknown_api_key": "No such API key",
        "unknown_code": "No such code",
        "unknown_connection": "No such connection",
        "unknown_customer": "No such customer",
        "unknown_event": "No such event",
        "unknown_organization": "No such organization",
        "unknown_participant": "No such participant",
        "unknown_program": "No such program",
        "unknown_reward": "No such reward",
        "unknown_user": "No such user",
    },
    405: {"method_not_allowed": "The address does not take this method"},
    409: {
        "clock_goes_back": "A test clock only moves forward",
        "code_taken": "The code is in use",
        "email_taken": "The e-mail has an account",
        "idempotency_conflict": "The idempotency key belongs to another request",
        "participant_exists": "The e-mail is in the program",
        "terms_out_of_order": "Terms take effect one after the other",
        "webhook_secret_known": "The signing secret is known",
    },
    413: {"body_too_large": "The request is too large"},
    415: {"unsupported_media_type": "The body is not JSON"},
    422: {
        "click_in_future": "The click lies in the future",
        "connection_required": "Say which connection",
        "invalid_account_id": "Not a Stripe account id",
        "invalid_api_base": "RefRef calls Stripe or a local sandbox only",
        "invalid_api_key": "Not a Stripe secret or restricted key",
        "invalid_choice": "Not one of the choices",
        "invalid_customer": "Not a Stripe customer id",
        "invalid_clock": "Not a setting of the test clock",
        "invalid_email": "Not an e-mail address",
        "invalid_instant": "Not a usable instant",
        "invalid_name": "Not a usable name",
        "invalid_overlap": "Not a usable overlap",
        "invalid_promotion_code": "Not a promotion code's id",
        "invalid_refcode": "Not a usable refcode",
        "invalid_request": "The request does not fit its description",
        "invalid_terms": "The terms cannot be published",
        "invalid_webhook_secret": "Not a signing secret",
        "live_clock": "Live mode has no clock to set",
        "mode_mismatch": "Test and live mode never meet",
        "mode_required": "Say which mode",
        "weak_password": "The password does not obey the rule",
    },
    429: {"too_many_attempts": "Too many attempts"},
    500: {"internal_error": "RefRef has a bug"},
    503: {"database_unreachable": "The database cannot be reached"},
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
