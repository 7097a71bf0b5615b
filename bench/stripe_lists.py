"""A Stripe account of any size that answers lists only, in the sandbox's shape: customers, and invoices with payments.

`python bench/stripe_lists.py PORT INVOICES CUSTOMERS [READS_PER_SECOND]`. Made up as it is asked for, so it is quicker
than Stripe; GET /_seen tells how many reads came, the most in one second, and how many were refused with 429.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn

BEGAN_AT = 1_700_000_000
EVERY_S = 500  # an invoice each
EMPTY = {"data": [], "has_more": False}


def invoice_template() -> str:
    event = json.loads((Path(__file__).parent / "invoice_paid.json").read_text())
    invoice = event["data"]["object"]
    payment = {
        "id": "inpay_bench@NUMBER@",
        "object": "invoice_payment",
        "amount_paid": invoice["amount_paid"],
        "amount_requested": invoice["amount_paid"],
        "created": "@NOW@",
        "currency": "usd",
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": "pi_bench@NUMBER@"},
        "status": "paid",
        "status_transitions": {"paid_at": "@NOW@", "canceled_at": None},
    }
    invoice["payments"] = {"object": "list", "data": [payment], "has_more": False, "url": "/v1/invoice_payments"}
    return json.dumps(invoice)


def customer_template() -> str:
    return json.dumps(
        {
            "id": "cus_bench@NUMBER@",
            "object": "customer",
            "created": "@NOW@",
            "email": "buyer@NUMBER@@customers.example",
            "name": "Sample Buyer",
            "livemode": False,
            "metadata": {"refref_referral_id": "bench0"},
            "currency": "usd",
            "address": None,
            "shipping": None,
            "discount": None,
        }
    )


class Account:
    """The lists of one account: how many, prefix, shape, when the first was made, and after how long each next one."""

    def __init__(self, invoices: int, customers: int, per_second: int) -> None:
        self.lists = {
            "/v1/invoices": (invoices, "in_bench", invoice_template(), BEGAN_AT, EVERY_S),
            "/v1/customers": (customers, "cus_bench", customer_template(), BEGAN_AT - customers, 1),
        }
        self.customers = customers
        self.per_second = per_second
        self.recent: deque[float] = deque()
        self.reads = self.refused = self.busiest = 0

    def allows(self) -> bool:
        """Stripe's own limit, and what it sees."""
        now = time.monotonic()
        while self.recent and self.recent[0] <= now - 1:
            self.recent.popleft()
        if self.per_second and len(self.recent) >= self.per_second:
            self.refused += 1
            return False
        self.recent.append(now)
        self.reads += 1
        self.busiest = max(self.busiest, len(self.recent))
        return True

    def page(self, path: str, query: dict[str, list[str]]) -> str:
        if path not in self.lists:
            return json.dumps(EMPTY)
        count, prefix, template, began, every = self.lists[path]
        limit = int(query.get("limit", ["10"])[0])
        last = count - 1
        if "created[lt]" in query:
            last = min(last, (int(query["created[lt]"][0]) - 1 - began) // every)
        if "starting_after" in query:
            last = min(last, int(query["starting_after"][0].removeprefix(prefix)) - 1)
        first = max(-1, last - limit)
        rows = [self.row(template, number, began + number * every) for number in range(last, first, -1)]
        more = "true" if first >= 0 else "false"
        return f'{{"object": "list", "url": "{path}", "has_more": {more}, "data": [{", ".join(rows)}]}}'

    def row(self, template: str, number: int, created: int) -> str:
        text = template.replace("@NUMBER@", f"{number:08d}").replace("@CUSTOMER@", f"{number % self.customers:08d}")
        return text.replace('"@NOW@"', str(created))


Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def make_app(account: Account) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        status, path = 200, scope["path"]
        if path == "/_seen":
            seen = {"reads": account.reads, "busiest_second": account.busiest, "refused": account.refused}
            body = json.dumps(seen)
        elif not account.allows():
            status, body = 429, json.dumps({"error": {"type": "invalid_request_error", "code": "rate_limit"}})
        else:
            body = account.page(path, parse_qs(scope["query_string"].decode()))
        headers = [(b"content-type", b"application/json"), (b"request-id", b"req_bench")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    return app


if __name__ == "__main__":
    port, invoice_count, customer_count, *rest = map(int, sys.argv[1:])
    site = make_app(Account(invoice_count, customer_count, rest[0] if rest else 0))
    uvicorn.run(site, host="127.0.0.1", port=port, log_level="error", lifespan="off", access_log=False)
