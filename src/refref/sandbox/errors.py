"""What the sandbox refuses, with the words and codes Stripe uses."""

from collections.abc import Mapping
from typing import Any


class StripeError(Exception):
    """A refused request: HTTP status, Stripe's error type and code, the parameter at fault and a sentence.

    `more` goes into the error body, `headers` into the answer's headers.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        more: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.more = more or {}
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The error body Stripe sends."""
        error: dict[str, Any] = {}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        error["type"] = self.kind
        return {"error": error | self.more}


def missing(noun: str, object_id: str, param: str = "id") -> StripeError:
    """No object has that id: 404 when the id is in the path, 400 when it is a parameter."""
    status = 404 if param == "id" else 400
    return StripeError(f"No such {noun}: '{object_id}'", status=status, code="resource_missing", param=param)


def declined() -> StripeError:
    """The card was declined (402)."""
    return StripeError(
        "Your card was declined.",
        status=402,
        kind="card_error",
        code="card_declined",
        more={"decline_code": "generic_decline", "advice_code": "try_again_later", "network_decline_code": "01"},
    )


def publishable_key() -> StripeError:
    """A publishable key may not call the API (403)."""
    return StripeError(
        "This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of "
        "your API keys at https://dashboard.stripe.com/account/apikeys.",
        status=403,
        code="secret_key_required",
    )


def rate_limited() -> StripeError:
    """Too many requests a second (429); the SDK does not try again by itself."""
    return StripeError(
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
        headers={"stripe-rate-limited-reason": "global-rate", "stripe-should-retry": "false"},
    )


def lock_timeout() -> StripeError:
    """Another request works on the object (429); the SDK is told to try again."""
    return StripeError(
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request. If you see this error frequently and "
        "are making multiple concurrent requests to a single object, make your requests serially or at a lower rate. "
        "For more details, see https://stripe.com/docs/rate-limits#object-lock-timeouts.",
        status=429,
        code="lock_timeout",
        headers={"stripe-rate-limited-reason": "resource-specific", "stripe-should-retry": "true"},
    )


def key_in_use(token: str) -> StripeError:
    """Another request with the same idempotency key is still being worked on (409)."""
    return StripeError(
        "There is currently another in-progress request using this Stripe-Idempotency-Key (that probably means you "
        f"submitted twice, and the other request is still going through): {token}. Please try again later.",
        status=409,
        kind="idempotency_error",
        code="idempotency_key_in_use",
    )
