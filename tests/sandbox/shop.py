"""A shop on a loopback port: the sandbox served as a process would, and the real Stripe SDK talking to it."""

import json
from dataclasses import dataclass
from typing import Any

import stripe
from refref.sandbox import Sandbox
from sandbox.judge import faults

KEY = "sk_test_sandbox"
CLOCK_START = "2026-01-31T00:00:00+00:00"


@dataclass(frozen=True)
class Shop:
    """A sandbox, its prices (minor units in the names) and an SDK client that talks to it."""

    sb: Sandbox
    url: str
    client: stripe.StripeClient
    monthly: str  # USD 25.00 a month
    yearly: str  # USD 250.00 a year
    once: str  # EUR 15.00


class JudgedClient(stripe.RequestsClient):
    """The SDK's own HTTP client; every good answer must pass Stripe's specification."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        body, status, headers = super().request(*args, **kwargs)
        if status == 200:
            assert faults(json.loads(body)) == []
        return body, status, headers


def code_of(refused: stripe.StripeError) -> str | None:
    """The code in the body of a refusal; the SDK leaves `code` out of some of its errors."""
    body: dict[str, Any] = refused.json_body
    code: str | None = body["error"].get("code")
    return code


def sdk(url: str, key: str = KEY) -> stripe.StripeClient:
    """The real SDK, told to talk to the sandbox."""
    return stripe.StripeClient(key, base_addresses={"api": url, "connect": url}, http_client=JudgedClient())
