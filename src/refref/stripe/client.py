"""The gateway to Stripe's API: the only importer of the `stripe` SDK, and lazily, because importing it takes long.

Answers plain JSON; every failure is a StripeFailure. Reads only what a Need names; keeps no state of the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import msgspec

from refref.stripe.errors import FailureClass, StripeFailure, classify
from refref.stripe.reading import Need, NeedKind

if TYPE_CHECKING:
    from httpx import Response

    from stripe import HTTPXClient, StripeClient

API_VERSION = "2026-10-28.endive"
PAGE = 100
MOST_PAGES = 100

_PATHS: Mapping[NeedKind, tuple[str, tuple[str, ...]]] = {
    NeedKind.INVOICE_LINES: ("/v1/invoices", ()),
    NeedKind.INVOICE_OFF_STRIPE: ("/v1/invoices", ()),
    NeedKind.INVOICE_DISCOUNTS: (
        "/v1/invoices",
        ("discounts", "total_discount_amounts.discount", "lines.data.discounts"),
    ),
    NeedKind.SESSION_LINES: ("/v1/checkout/sessions", ("line_items",)),
    NeedKind.SESSION_DISCOUNTS: ("/v1/checkout/sessions", ("total_details.breakdown",)),
    NeedKind.SESSION_COUPONS: ("/v1/checkout/sessions", ("total_details.breakdown",)),
    NeedKind.CUSTOMER: ("/v1/customers", ()),
    NeedKind.SUBSCRIPTION: ("/v1/subscriptions", ()),
    NeedKind.SUBSCRIPTION_DISCOUNTS: ("/v1/subscriptions", ("discounts", "items.data.discounts")),
    NeedKind.CREDIT_NOTE: ("/v1/credit_notes", ()),
}
# Where the embedded list may be cut off: the key it stands under, and its path below the object's.
_LISTS: Mapping[NeedKind, tuple[str, str]] = {
    NeedKind.INVOICE_LINES: ("lines", "lines"),
    NeedKind.INVOICE_OFF_STRIPE: ("lines", "lines"),
    NeedKind.SESSION_LINES: ("line_items", "line_items"),
    NeedKind.CREDIT_NOTE: ("lines", "lines"),
}

Document = dict[str, object]


class StripeGateway:
    """Calls to one Stripe account with one key, in the pinned API version.

    `base_url`: another Stripe than the real one (the sandbox); `stripe_account`: act for a connected account. An HTTP
    client given here is shared and stays open; one made here ends with `close`.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        stripe_account: str | None = None,
        timeout_s: int = 20,
        max_network_retries: int = 2,
        http_client: HTTPXClient | None = None,
    ) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._stripe_account = stripe_account
        self._timeout_s = timeout_s
        self._max_network_retries = max_network_retries
        self._shared_http_client = http_client
        self._own_http_client: HTTPXClient | None = None
        self._client: StripeClient | None = None

    async def fetch(self, need: Need) -> Document:
        """The document that answers a need, complete: every page of the list that was cut off. Raises StripeFailure."""
        if need.kind is NeedKind.INVOICE_OF_PAYMENT:
            payment = {"type": "payment_intent", "payment_intent": need.stripe_id}
            rows = await self._pages("/v1/invoice_payments", {"payment": payment})
            return {"object": "list", "data": rows, "has_more": False}
        if need.kind is NeedKind.BALANCE_TRANSACTION:
            rows = await self._pages("/v1/balance_transactions", {"source": need.stripe_id})
            if not rows:
                raise _not_there_yet(f"a balance transaction of {need.stripe_id}")
            return {"object": "list", "data": rows, "has_more": False}
        path, expand = _PATHS[need.kind]
        path = f"{path}/{quote(need.stripe_id, safe='')}"
        document = await self._get(path, {"expand": list(expand)} if expand else {})
        if need.kind in _LISTS:
            key, below = _LISTS[need.kind]
            listed = document.get(key)
            if not isinstance(listed, dict) or listed.get("has_more") is not False:
                rows = await self._pages(f"{path}/{below}", {})
                document[key] = {"object": "list", "data": rows, "has_more": False, "total_count": len(rows)}
        return document

    async def list_page(self, path: str, after: str) -> tuple[list[object], str]:
        """One page of a list and the id to go on after, "" at its end; `after` "" is the beginning. Raises
        StripeFailure."""
        page = await self._get(path, {"limit": PAGE, **({"starting_after": after} if after else {})})
        data = page.get("data")
        if not isinstance(data, list):
            raise _odd_answer(path)
        last = data[-1].get("id") if data and isinstance(data[-1], dict) else None
        return data, last if page.get("has_more") is True and isinstance(last, str) else ""

    async def read(self, path: str, params: Mapping[str, object] | None = None) -> Document:
        """Stripe's answer to GET `path`, such as /v1/account. Raises StripeFailure."""
        return await self._get(path, dict(params or {}))

    async def write(
        self, method: Literal["post", "delete"], path: str, params: Mapping[str, object], idempotency_key: str | None
    ) -> Document:
        """Stripe's answer to a call that changes something. Raises StripeFailure, also of an unknown outcome."""
        options = {} if idempotency_key is None else {"idempotency_key": idempotency_key}
        return await self._call(method, path, {**params, **options}, is_read=False)

    async def close(self) -> None:
        """Close the connections made here."""
        if self._own_http_client is not None:
            await self._own_http_client.close_async()  # type: ignore[no-untyped-call]  # the SDK has no types here
        self._own_http_client = self._client = None

    async def _pages(self, path: str, params: dict[str, object]) -> list[object]:
        rows: list[object] = []
        cursor: dict[str, object] = {}
        for _ in range(MOST_PAGES):
            page = await self._get(path, {**params, **cursor, "limit": PAGE})
            data = page.get("data")
            if not isinstance(data, list):
                raise _odd_answer(path)
            rows.extend(data)
            last = data[-1].get("id") if data and isinstance(data[-1], dict) else None
            if page.get("has_more") is not True or not isinstance(last, str):
                return rows
            cursor = {"starting_after": last}
        raise _odd_answer(path)

    async def _get(self, path: str, params: dict[str, object]) -> Document:
        return await self._call("get", path, params, is_read=True)

    async def _call(self, method: str, path: str, params: Mapping[str, object], *, is_read: bool) -> Document:
        from stripe import StripeError

        try:
            answer = await self._open().raw_request_async(method, path, **params)
            document = msgspec.json.decode(answer.body)
        except StripeError as error:
            raise _failure(error, is_read=is_read) from error
        except msgspec.DecodeError as error:
            raise _odd_answer(path, is_read=is_read) from error
        if not isinstance(document, dict):
            raise _odd_answer(path, is_read=is_read)
        return document

    def _open(self) -> StripeClient:
        if self._client is not None:
            return self._client
        from stripe import HTTPXClient, StripeClient

        http_client = self._shared_http_client
        if http_client is None:
            http_client = self._own_http_client = HTTPXClient(timeout=self._timeout_s)
            http_client._client_async.event_hooks = {"response": [_let_go]}
        base = self._base_url
        self._client = StripeClient(
            self._api_key,
            stripe_account=self._stripe_account,
            stripe_version=API_VERSION,
            base_addresses={} if base is None else {"api": base, "connect": base, "files": base, "meter_events": base},
            max_network_retries=self._max_network_retries,
            http_client=http_client,
        )
        return self._client


async def _let_go(answer: Response) -> None:
    """Read an answer and untie it from its stream, which it holds and which holds it: else every page that was read
    would stay until the garbage collector comes by, which is seldom."""
    from httpx import ByteStream

    await answer.aread()
    answer.stream = ByteStream(b"")


def _odd_answer(path: str, *, is_read: bool = True) -> StripeFailure:
    meaning = FailureClass.TRANSIENT if is_read else FailureClass.UNKNOWN_OUTCOME
    return StripeFailure(meaning, None, f"Stripe's answer about {path} cannot be read.", status=None, request_id=None)


def _not_there_yet(what: str) -> StripeFailure:
    """Stripe captures some payments in the background and makes what belongs to them a little later."""
    return StripeFailure(FailureClass.TRANSIENT, None, f"Stripe does not have {what} yet.", status=200, request_id=None)


def _failure(error: Exception, *, is_read: bool) -> StripeFailure:
    """The SDK's exception as ours; reads only attributes that every one of its exceptions has."""
    status = getattr(error, "http_status", None)
    details = getattr(error, "error", None)
    error_type = getattr(details, "type", None)
    code = getattr(error, "code", None) or getattr(details, "code", None)
    return StripeFailure(
        classify(status, error_type, code, is_read=is_read),
        code,
        getattr(error, "user_message", None) or "Stripe gave no reason.",
        status=status,
        request_id=getattr(error, "request_id", None),
        retry_after_s=_retry_after(getattr(error, "headers", None)),
    )


def _retry_after(headers: object) -> int | None:
    """Seconds of a Retry-After header; a date, or nonsense, tells nothing."""
    if not isinstance(headers, Mapping):
        return None
    given = next((str(value) for name, value in headers.items() if str(name).lower() == "retry-after"), "")
    return int(given) if given.isdecimal() and len(given) < 7 else None
