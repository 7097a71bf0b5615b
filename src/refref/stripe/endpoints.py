"""Webhook endpoints through Stripe's API: listed, made, changed and taken away. Decides nothing."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from refref.core.endpoint_review import METADATA_KEY, Endpoint, Wanted
from refref.stripe.client import Document, StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure

PATH = "/v1/webhook_endpoints"


class MadeEndpoint(NamedTuple):
    """A new endpoint and its signing secret, which Stripe tells this once."""

    endpoint: Endpoint
    secret: str


async def list_endpoints(gateway: StripeGateway) -> list[Endpoint]:
    """Every endpoint of the account. Raises StripeFailure."""
    found: list[Endpoint] = []
    after = ""
    while True:
        rows, after = await gateway.list_page(PATH, after)
        found += [_endpoint(row) for row in rows if isinstance(row, dict)]
        if not after:
            return found


async def create_endpoint(gateway: StripeGateway, wanted: Wanted, replaced_id: str) -> MadeEndpoint:
    """Make the endpoint. The same wish after the same predecessor (`replaced_id`, "" for none) is one idempotency key,
    so that an answer that was lost comes again with its secret. Raises StripeFailure."""
    wish = "\n".join((wanted.connection_id, replaced_id, wanted.url, wanted.api_version, *wanted.events))
    document = await gateway.write(
        "post",
        PATH,
        {
            "url": wanted.url,
            "enabled_events": list(wanted.events),
            "api_version": wanted.api_version,
            "description": "Made by RefRef. Change it there.",
            "metadata": {METADATA_KEY: wanted.connection_id},
        },
        f"refref-endpoint-{hashlib.sha256(wish.encode()).hexdigest()[:40]}",
    )
    secret = document.get("secret")
    if not isinstance(secret, str):
        raise StripeFailure(
            FailureClass.UNKNOWN_OUTCOME, None, "Stripe told no signing secret.", status=None, request_id=None
        )
    return MadeEndpoint(_endpoint(document), secret)


async def update_endpoint(gateway: StripeGateway, stripe_endpoint_id: str, wanted: Wanted) -> Endpoint:
    """Give an endpoint the right address, events and mark, and switch it on. Raises StripeFailure."""
    document = await gateway.write(
        "post",
        f"{PATH}/{stripe_endpoint_id}",
        {
            "url": wanted.url,
            "enabled_events": list(wanted.events),
            "disabled": False,
            "metadata": {METADATA_KEY: wanted.connection_id},
        },
        None,
    )
    return _endpoint(document)


async def delete_endpoint(gateway: StripeGateway, stripe_endpoint_id: str) -> None:
    """Take an endpoint away; one that is gone already is as good. Raises StripeFailure."""
    try:
        await gateway.write("delete", f"{PATH}/{stripe_endpoint_id}", {}, None)
    except StripeFailure as failure:
        if failure.failure is not FailureClass.NOT_FOUND:
            raise


def _endpoint(document: Document) -> Endpoint:
    metadata = document.get("metadata")
    owner = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    events = document.get("enabled_events")
    version = document.get("api_version")
    return Endpoint(
        stripe_endpoint_id=str(document.get("id", "")),
        url=str(document.get("url", "")),
        is_enabled=document.get("status") == "enabled",
        events=frozenset(str(name) for name in events) if isinstance(events, list) else frozenset(),
        api_version=version if isinstance(version, str) else None,
        connection_id=owner if isinstance(owner, str) else None,
        is_connect=document.get("application") is not None,
    )
