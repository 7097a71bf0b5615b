"""Stripe's search query language: fields with `:` `~` `>` `<`, metadata["k"], `-`, and all AND or all OR. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from refref.sandbox.errors import StripeError
from refref.sandbox.store import Doc

Matcher = Callable[[Doc], bool]
CLAUSE = re.compile(
    r"""\s*(?P<not>-)?(?P<field>[\w.]+)(\[(?P<key>"[^"]*"|'[^']*')\])?\s*(?P<op>:|~|>=|<=|>|<)\s*"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[\w.@+-]+)\s*"""
)


def _path(*steps: str) -> Callable[[Doc], Any]:
    def get(doc: Doc) -> Any:
        value: Any = doc
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return get


def _subscription_of(invoice: Doc) -> Any:
    return _path("parent", "subscription_details", "subscription")(invoice)


def _brand(charge: Doc) -> Any:
    return _path("payment_method_details", "card", "brand")(charge)


def _last4(charge: Doc) -> Any:
    return _path("payment_method_details", "card", "last4")(charge)


def _plain(*names: str) -> dict[str, Callable[[Doc], Any]]:
    return {name: _path(name) for name in names}


# What may be searched, by kind: the name in the query and where it is. `metadata` is everywhere.
FIELDS: Mapping[str, Mapping[str, Callable[[Doc], Any]]] = {
    "charge": _plain("amount", "created", "currency", "customer", "disputed", "refunded", "status")
    | {
        "billing_details.address.postal_code": _path("billing_details", "address", "postal_code"),
        "payment_method_details.card.brand": _brand,
        "payment_method_details.card.last4": _last4,
    },
    "customer": _plain("created", "email", "name", "phone"),
    "invoice": _plain("created", "currency", "customer", "number", "receipt_number", "status", "total")
    | {"last_finalization_error_code": lambda _: None, "subscription": _subscription_of},
    "payment_intent": _plain("amount", "created", "currency", "customer", "status"),
    "price": _plain("active", "currency", "lookup_key", "product", "type"),
    "product": _plain("active", "description", "name", "shippable", "url"),
    "subscription": _plain("created", "status", "canceled_at"),
}
PARTIAL = {"description", "email", "name", "phone", "url"}


def matcher(query: str, fields: Mapping[str, Callable[[Doc], Any]]) -> Matcher:
    """What a query finds; refuses a field that cannot be searched, and AND mixed with OR."""
    clauses: list[Matcher] = []
    joints: set[str] = set()
    place = 0
    while True:
        found = CLAUSE.match(query, place)
        if found is None:
            raise _unreadable(query, place)
        clauses.append(_clause(found, fields))
        place = found.end()
        if place >= len(query):
            break
        joint = re.match(r"(AND|OR)\b", query[place:], re.IGNORECASE)
        if joint is not None:
            place += joint.end()
            joints.add(joint.group(1).upper())
        else:
            joints.add("AND")
    if len(joints) > 1:
        raise StripeError("You cannot combine AND and OR in one query.", param="query")
    every = all if joints != {"OR"} else any
    return lambda doc: every(clause(doc) for clause in clauses)


def _unreadable(query: str, place: int) -> StripeError:
    return StripeError(
        f"We were unable to parse your search query at `{query[place : place + 30]}`. Try using the format "
        '`metadata["key"]:"value"` to query for metadata or key:"value" to query for other fields.',
        param="query",
    )


def _clause(found: re.Match[str], fields: Mapping[str, Callable[[Doc], Any]]) -> Matcher:
    name, key, op = found["field"], found["key"], found["op"]
    raw = found["value"]
    value: str | None = None if raw.lower() == "null" else _unquoted(raw)
    if name == "metadata":
        if key is None:
            raise StripeError('Search metadata by a key: metadata["key"]:"value".', param="query")
        get = _path("metadata", _unquoted(key))
    elif name in fields and key is None:
        get = fields[name]
    else:
        raise StripeError(
            f"Field `{name}` is an unsupported search field for this resource. It can be one of: "
            f"{', '.join(sorted(fields))}, metadata.",
            param="query",
        )
    if op == "~" and name != "metadata" and name not in PARTIAL:
        raise StripeError(f"Field `{name}` can only be searched exactly, with `:`.", param="query")
    test = _test(op, value)
    return (lambda doc: not test(get(doc))) if found["not"] else (lambda doc: test(get(doc)))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] in "\"'" else text


def _test(op: str, value: str | None) -> Callable[[Any], bool]:
    if value is None:
        return lambda found: found is None
    if op == ":":
        return lambda found: found is not None and _text(found) == value.lower()
    if op == "~":
        if len(value) < 3:
            raise StripeError("A part of a text needs at least three characters.", param="query")
        return lambda found: found is not None and value.lower() in _text(found)
    if not value.isdigit():
        raise StripeError(f"`{op}` compares numbers; `{value}` is none.", param="query")
    limit = int(value)
    tests: dict[str, Callable[[int], bool]] = {
        ">": lambda n: n > limit,
        "<": lambda n: n < limit,
        ">=": lambda n: n >= limit,
        "<=": lambda n: n <= limit,
    }
    return lambda found: isinstance(found, int) and tests[op](found)


def _text(found: Any) -> str:
    return str(found).lower()
