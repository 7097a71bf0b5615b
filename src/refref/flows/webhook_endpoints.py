"""The webhook endpoint that RefRef makes at Stripe: the wish for it, what was done to it, how a review is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from refref.core.endpoint_review import Endpoint, EndpointReview, Wanted
from refref.db import audit, connections, custom_events
from refref.db.connections import StripeConnection
from refref.db.pool import Connection
from refref.stripe.client import API_VERSION
from refref.stripe.readers import REGISTRY, events_to_enable

OVERLAP = timedelta(hours=24)  # deliveries that the endpoint before still tries


@dataclass(frozen=True, slots=True)
class EndpointSituation:
    """What a review needs to know of ours: the wish, whose secrets we hold, and whether one was pasted."""

    wanted: Wanted
    known_endpoint_ids: frozenset[str]
    newest_endpoint_id: str
    has_given_secret: bool


async def endpoint_situation(
    tx: Connection, connection: StripeConnection, base_url: str, *, now: datetime
) -> EndpointSituation:
    """What the connection's endpoint should be, and which endpoints' secrets are held."""
    where = (connection.organization_id, connection.connection_id)
    held = await connections.valid_secrets(tx, *where, "webhook", now)
    custom = await custom_events.paths_by_type(tx, *where)
    ids = [secret.stripe_endpoint_id for secret in held if secret.stripe_endpoint_id is not None]
    return EndpointSituation(
        wanted=Wanted(
            connection_id=connection.connection_id,
            url=f"{base_url}/stripe/webhooks/{connection.connection_id}",
            events=events_to_enable(custom_types=custom),
            required=frozenset(name for name, row in REGISTRY.items() if row.is_required).union(custom),
            api_version=API_VERSION,
        ),
        known_endpoint_ids=frozenset(ids),
        newest_endpoint_id=ids[0] if ids else "",
        has_given_secret=any(secret.stripe_endpoint_id is None for secret in held),
    )


async def record_endpoint(
    tx: Connection, connection: StripeConnection, action: str, endpoint: Endpoint, *, actor: str, now: datetime
) -> None:
    """Write to the audit log what was done to an endpoint: made, repaired or deleted."""
    await audit.record(
        tx,
        connection.organization_id,
        at=now,
        actor=actor,
        action=f"webhook_endpoint.{action}",
        subject=connection.connection_id,
        details={"stripe_endpoint_id": endpoint.stripe_endpoint_id, "api_version": endpoint.api_version},
    )


def present_review(situation: EndpointSituation, review: EndpointReview, *, is_public: bool) -> Mapping[str, object]:
    """A review as JSON, for the API and to be kept."""
    found = review.endpoint
    return {
        "url": situation.wanted.url,
        "is_public": is_public,
        "stripe_endpoint_id": None if found is None else found.stripe_endpoint_id,
        "is_enabled": found is not None and found.is_enabled,
        "api_version": None if found is None else found.api_version,
        "is_managed": found is not None and found.connection_id == situation.wanted.connection_id,
        "event_count": 0 if found is None else len(found.events),
        "findings": [
            {"code": row.code, "is_error": row.is_error, "sentence": row.sentence, "names": list(row.names)}
            for row in review.findings
        ],
    }
