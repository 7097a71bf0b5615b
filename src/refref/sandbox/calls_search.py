"""Search where Stripe has it: `/v1/customers/search` and its like, a page at a time."""

from refref.sandbox.errors import StripeError
from refref.sandbox.form import Params
from refref.sandbox.search import FIELDS, matcher
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

KINDS = {
    "charges": "charge",
    "customers": "customer",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "prices": "price",
    "products": "product",
    "subscriptions": "subscription",
}


def _search(sb: Sandbox, p: Params, name: str) -> Doc:
    kind = KINDS[name]
    matches = matcher(p.required("query"), FIELDS[kind])
    found = [d for d in reversed(sb.live(kind)) if not d.get("deleted") and matches(d)]
    limit = p.integer("limit")
    limit = 10 if limit is None else limit
    if not 1 <= limit <= 100:
        raise StripeError(
            "Invalid integer: limit must be between 1 and 100.", code="parameter_invalid_integer", param="limit"
        )
    start = _start(p.text("page"))
    more = len(found) > start + limit
    return {
        "object": "search_result",
        "data": found[start : start + limit],
        "has_more": more,
        "next_page": f"page_{start + limit}" if more else None,
        "total_count": len(found),
        "url": f"/v1/{name}/search",
    }


def _start(page: str | None) -> int:
    if page is None:
        return 0
    number = page.removeprefix("page_")
    if not number.isdigit():
        raise StripeError("Invalid page: pass the next_page of the answer before.", param="page")
    return int(number)


CALLS = tuple(("GET", f"/v1/{name}/search", lambda sb, p, _, name=name: _search(sb, p, name)) for name in KINDS)
