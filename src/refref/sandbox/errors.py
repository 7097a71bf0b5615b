"""What the sandbox refuses, with the words and codes Stripe uses."""

from typing import Any


class StripeError(Exception):
    """A refused request: HTTP status, Stripe's error type and code, the parameter at fault and a sentence."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.more = more or {}

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
