"""The gateway against a server that answers by script: paging, the pinned version, and every way to fail."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scripted_stripe import Answer, call

from refref.core.permission_table import Trial
from refref.stripe.client import API_VERSION, StripeGateway
from refref.stripe.errors import POLICIES, FailureClass, StripeFailure, classify
from refref.stripe.permissions import try_permissions
from refref.stripe.readers import Need, NeedKind


def rows(name: str, numbers: range) -> list[dict[str, Any]]:
    return [{"id": f"{name}_{number}"} for number in numbers]


def paged(path: str, query: dict[str, list[str]]) -> Answer:
    if path.endswith("/lines"):
        first = int(query.get("starting_after", ["il_-1"])[0].partition("_")[2]) + 1
        return 200, {"object": "list", "data": rows("il", range(first, min(first + 100, 250))), "has_more": first < 150}
    return 200, {"id": "in_1", "object": "invoice", "lines": {"data": rows("il", range(10)), "has_more": True}}


def test_every_page_of_the_lines_is_fetched() -> None:
    document, asked = call(paged, lambda gateway: gateway.fetch(Need(NeedKind.INVOICE_LINES, "in_1")))
    assert [row["id"] for row in document["lines"]["data"]] == [f"il_{number}" for number in range(250)]
    assert document["lines"]["has_more"] is False
    assert document["lines"]["total_count"] == 250
    assert [path for path, _, _ in asked] == ["/v1/invoices/in_1", *["/v1/invoices/in_1/lines"] * 3]


def test_calls_carry_the_pinned_version_the_key_and_the_account() -> None:
    def script(path: str, query: dict[str, list[str]]) -> Answer:
        return 200, {"object": "list", "data": [], "has_more": False}

    need = Need(NeedKind.INVOICE_OF_PAYMENT, "pi_1")
    document, asked = call(script, lambda gateway: gateway.fetch(need), stripe_account="acct_1")
    assert document == {"object": "list", "data": [], "has_more": False}
    ((path, query, headers),) = asked
    assert path == "/v1/invoice_payments"
    assert query["payment[type]"] == ["payment_intent"]
    assert query["payment[payment_intent]"] == ["pi_1"]
    assert headers["stripe-version"] == API_VERSION
    assert headers["authorization"] == "Bearer rk_test_x"
    assert headers["stripe-account"] == "acct_1"


@pytest.mark.parametrize(
    ("kind", "path", "expanded"),
    [
        (NeedKind.INVOICE_DISCOUNTS, "/v1/invoices/x_1", "total_discount_amounts.discount"),
        (NeedKind.SESSION_DISCOUNTS, "/v1/checkout/sessions/x_1", "total_details.breakdown"),
        (NeedKind.SUBSCRIPTION_DISCOUNTS, "/v1/subscriptions/x_1", "discounts"),
        (NeedKind.SUBSCRIPTION, "/v1/subscriptions/x_1", None),
    ],
)
def test_what_is_expanded(kind: NeedKind, path: str, expanded: str | None) -> None:
    _, asked = call(lambda path, query: (200, {"id": "x_1"}), lambda gateway: gateway.fetch(Need(kind, "x_1")))
    ((asked_path, query, _),) = asked
    assert asked_path == path
    assert expanded is None or expanded in [value for values in query.values() for value in values]


def error(kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"type": kind, "code": code, "message": "No."}}


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (400, error("invalid_request_error"), FailureClass.BAD_REQUEST),
        (400, error("invalid_request_error", "resource_missing"), FailureClass.NOT_FOUND),
        (404, error("invalid_request_error", "resource_missing"), FailureClass.NOT_FOUND),
        (401, error("invalid_request_error"), FailureClass.AUTH),
        (403, error("invalid_request_error"), FailureClass.PERMISSION),
        (403, error("invalid_request_error", "account_invalid"), FailureClass.AUTH),
        (429, error("invalid_request_error", "rate_limit"), FailureClass.RATE_LIMITED),
        (429, error("invalid_request_error", "lock_timeout"), FailureClass.RATE_LIMITED),
        (409, error("invalid_request_error"), FailureClass.TRANSIENT),
        (500, error("api_error"), FailureClass.TRANSIENT),
        (502, b"<html>bad gateway</html>", FailureClass.TRANSIENT),
        (200, b"not json", FailureClass.TRANSIENT),
        (200, [], FailureClass.TRANSIENT),
        (200, b"", FailureClass.TRANSIENT),
        (0, None, FailureClass.TRANSIENT),  # the connection breaks
    ],
)
def test_a_failing_read_is_classified(status: int, body: Any, failure: FailureClass) -> None:
    with pytest.raises(StripeFailure) as failed:
        call(lambda path, query: (status, body), lambda gateway: gateway.fetch(Need(NeedKind.SUBSCRIPTION, "sub_1")))
    assert failed.value.failure is failure
    assert failed.value.policy.sentence.endswith(".")
    assert status < 300 or failed.value.status == status
    assert "rk_test_x" not in str(failed.value)


def test_nobody_listening_is_transient() -> None:
    async def run() -> None:
        gateway = StripeGateway("rk_test_x", "http://127.0.0.1:9", max_network_retries=0)
        try:
            await gateway.fetch(Need(NeedKind.SUBSCRIPTION, "sub_1"))
        finally:
            await gateway.close()

    with pytest.raises(StripeFailure) as failed:
        asyncio.run(run())
    assert failed.value.failure is FailureClass.TRANSIENT


def test_what_a_key_may_do_is_told_by_resource() -> None:
    def script(path: str, query: dict[str, list[str]]) -> Answer:
        if path in ("/v1/account", "/v1/disputes"):
            return 403, error("invalid_request_error")
        if path.endswith("/refref_probe"):
            return (403, error("invalid_request_error")) if "customers" in path else (404, error("resource_missing"))
        return 200, {"object": "list", "data": [], "has_more": False}

    tried, asked = call(script, lambda gateway: try_permissions(gateway, with_writes=True))
    assert tried.account.account_id is None
    assert {name for name, trials in tried.trials.items() if trials.get("read") is Trial.REFUSED} == {"dispute"}
    assert tried.trials["customer"] == {"read": Trial.WORKS, "write": Trial.REFUSED}
    assert tried.trials["invoice"] == {"read": Trial.WORKS, "write": Trial.WORKS}
    assert len(asked) == len({path for path, _, _ in asked})  # each call once
    known, _ = call(lambda path, query: (200, {"id": "acct_1"}), lambda g: try_permissions(g, with_writes=False))
    assert known.account.account_id == "acct_1"


def test_a_revoked_key_ends_the_trial() -> None:
    with pytest.raises(StripeFailure) as failed:
        call(lambda path, query: (401, error("invalid_request_error")), lambda g: try_permissions(g, with_writes=False))
    assert failed.value.failure is FailureClass.AUTH


@pytest.mark.parametrize(
    ("status", "kind", "code", "failure"),
    [
        (400, "invalid_request_error", "balance_insufficient", FailureClass.INSUFFICIENT_FUNDS),
        (400, "invalid_request_error", "insufficient_capabilities_for_transfer", FailureClass.ACCOUNT_NOT_READY),
        (400, "idempotency_error", None, FailureClass.IDEMPOTENCY),
        (402, "card_error", "card_declined", FailureClass.DECLINED),
        (409, "invalid_request_error", "idempotency_key_in_use", FailureClass.UNKNOWN_OUTCOME),
        (418, None, None, FailureClass.UNKNOWN_OUTCOME),
        (500, "api_error", "balance_insufficient", FailureClass.UNKNOWN_OUTCOME),
        (None, None, None, FailureClass.UNKNOWN_OUTCOME),
        (200, None, None, FailureClass.UNKNOWN_OUTCOME),
    ],
)
def test_a_failing_write_is_classified(
    status: int | None, kind: str | None, code: str | None, failure: FailureClass
) -> None:
    assert classify(status, kind, code, is_read=False) is failure


def test_the_table_of_failures_is_closed() -> None:
    assert set(POLICIES) == set(FailureClass)
    assert not any(policy.is_final and policy.is_repeatable for policy in POLICIES.values())


def test_recorded_errors(recorded: Any) -> None:
    expected = {
        "error_card_declined__2025-10-29.json": FailureClass.DECLINED,
        "error_resource_missing_404__2026-03-25.json": FailureClass.NOT_FOUND,
    }
    for name, failure in expected.items():
        body = recorded.load(name)
        told = body["response"]["error"]
        assert classify(body["status"], told["type"], told["code"], is_read=True) is failure


def test_the_sdk_is_imported_only_when_stripe_is_called() -> None:
    program = "import sys, refref.stripe.client, refref.stripe.registry_docs; print('stripe' in sys.modules)"
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env={"PYTHONPATH": source}, text=True)
    assert done.stdout.strip() == "False", done.stderr
