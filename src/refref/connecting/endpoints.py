"""The webhook endpoint at Stripe: reviewed, made, repaired, its secret rolled, and taken away when a connection ends.

Every order of events and crashes ends well when a step is taken again: the endpoint is found by its mark, and an answer
that was lost comes again under its idempotency key.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass

from refref.connecting.access import Acting, Desk, NoAccess, open_gateway, platform_access, refusal_of
from refref.core.connection_health import Health
from refref.core.endpoint_review import Endpoint, EndpointReview, is_public, review_endpoint
from refref.core.refusals import Refused
from refref.db.connections import StripeConnection, lock_connection
from refref.flows.connect_oauth import who_else_uses
from refref.flows.connection_health import keep_check, record_health
from refref.flows.connections import add_webhook_secret, disconnect, require_connection
from refref.flows.webhook_endpoints import (
    OVERLAP,
    EndpointSituation,
    endpoint_situation,
    present_review,
    record_endpoint,
)
from refref.stripe import endpoints, oauth
from refref.stripe.client import StripeGateway
from refref.stripe.errors import StripeFailure


@dataclass(frozen=True, slots=True)
class ReviewedEndpoint:
    """A review with what it was made of. `is_public`: Stripe can reach the address."""

    connection: StripeConnection
    situation: EndpointSituation
    review: EndpointReview
    is_public: bool

    def present(self) -> Mapping[str, object]:
        """The review as JSON."""
        return present_review(self.situation, self.review, is_public=self.is_public)


async def review_webhooks(desk: Desk, acting: Acting, connection_id: str) -> ReviewedEndpoint:
    """Look at the connection's endpoint at Stripe. Raises Refused."""
    connection, situation, gateway = await _enter(desk, acting, connection_id)
    try:
        return await _look(desk, acting, connection, situation, gateway)
    except StripeFailure as failure:
        raise refusal_of(failure) from failure
    finally:
        await gateway.close()


async def repair_webhooks(
    desk: Desk, acting: Acting, connection_id: str, *, roll_secret: bool = False
) -> ReviewedEndpoint:
    """Make the endpoint, or mend whatever a review finds; `roll_secret`: also exchange the signing secret.

    A new secret, or another API version, is a new endpoint: it is made and its secret stored before the old one goes,
    whose secret stays valid for a day. Raises Refused: no_public_address and what Stripe refuses.
    """
    connection, situation, gateway = await _enter(desk, acting, connection_id)
    if not _is_reachable(connection, situation):
        await gateway.close()
        raise Refused(
            "no_public_address",
            f"Stripe cannot reach {desk.base_url}. Set REFREF_BASE_URL to the https address that the world sees, or "
            "let RefRef ask Stripe for events: page History, or PUT /v1/event_poll (polling).",
        )
    try:
        seen = await _look(desk, acting, connection, situation, gateway)
        for _ in range(2):  # Stripe may repeat a day-old answer about an endpoint that is gone; then it is made anew
            await _mend(desk, acting, seen, gateway, roll_secret=roll_secret)
            async with desk.database.tenant(acting.organization_id) as tx:
                situation = await endpoint_situation(tx, connection, desk.base_url, now=acting.now)
            seen = await _look(desk, acting, connection, situation, gateway)
            if seen.review.endpoint is not None:
                break
        return seen
    except StripeFailure as failure:
        raise refusal_of(failure) from failure
    finally:
        await gateway.close()


async def _mend(
    desk: Desk, acting: Acting, seen: ReviewedEndpoint, gateway: StripeGateway, *, roll_secret: bool
) -> None:
    connection, situation, found = seen.connection, seen.situation, seen.review.endpoint
    if found is None or roll_secret or seen.review.must_be_replaced:
        made = await _make(desk, acting, connection, situation, gateway)
        if found is not None and found.stripe_endpoint_id != made.stripe_endpoint_id:
            await _delete(desk, acting, connection, gateway, found)
    elif seen.review.findings:
        mended = await endpoints.update_endpoint(gateway, found.stripe_endpoint_id, situation.wanted)
        await _note(desk, acting, connection, "repair", mended)
    for double in seen.review.doubles:
        await _delete(desk, acting, connection, gateway, double)


async def end_connection(desk: Desk, acting: Acting, connection_id: str) -> tuple[StripeConnection, str | None]:
    """Take our endpoint away, give the platform's access back, and end the connection.

    Returns it with what could not be undone at Stripe, for a person to do. Raises Refused("unknown_connection").
    """
    async with desk.database.tenant(acting.organization_id) as tx:
        connection = await require_connection(tx, acting.organization_id, connection_id)
        other_users = await who_else_uses(tx, connection)
    left = [await _tried(_take_endpoints_away(desk, acting, connection))]
    if other_users is not None:
        left.append(await _tried(_give_access_back(desk, connection, other_users)))
    async with desk.database.tenant(acting.organization_id) as tx:
        ended = await disconnect(tx, acting.organization_id, connection_id, actor=acting.actor, now=acting.now)
    return ended, " ".join(sentence for sentence in left if sentence) or None


async def _tried(clean_up: Coroutine[None, None, str | None]) -> str | None:
    try:
        return await clean_up
    except StripeFailure as failure:
        return (
            f"Stripe did not let us clean up ({failure.message}). Remove the endpoint or the access in the Dashboard."
        )


async def _give_access_back(desk: Desk, connection: StripeConnection, other_users: int) -> str | None:
    platform = desk.vault.platform(connection.mode)
    if other_users:
        return "The platform keeps its access to the account, since another connection here uses it."
    if platform is None or connection.stripe_account_id is None:
        return "The platform's access could not be given back: its key is not set."
    await oauth.deauthorize(platform_access(platform), connection.stripe_account_id)
    return None


async def _take_endpoints_away(desk: Desk, acting: Acting, connection: StripeConnection) -> str | None:
    async with desk.database.tenant(acting.organization_id) as tx:
        situation = await endpoint_situation(tx, connection, desk.base_url, now=acting.now)
        by_hand = f"If an endpoint sends to {situation.wanted.url}, delete it in the Dashboard."
        if connection.access == "platform":  # the platform was let in to read, maybe, and not to take away
            return by_hand if situation.known_endpoint_ids or situation.has_given_secret else None
        try:
            gateway = await open_gateway(tx, desk.vault, connection)
        except NoAccess:
            return by_hand
    left = []
    try:
        for row in await endpoints.list_endpoints(gateway):
            if row.connection_id == connection.connection_id:
                await _delete(desk, acting, connection, gateway, row)
            elif row.url == situation.wanted.url:
                left.append(row.stripe_endpoint_id)
    finally:
        await gateway.close()
    return f"Delete the endpoint that was made by hand in the Dashboard: {', '.join(left)}." if left else None


async def _enter(
    desk: Desk, acting: Acting, connection_id: str
) -> tuple[StripeConnection, EndpointSituation, StripeGateway]:
    async with desk.database.tenant(acting.organization_id) as tx:
        connection = await require_connection(tx, acting.organization_id, connection_id)
        if connection.access == "platform":
            raise Refused(
                "platform_endpoint",
                "This account's events come through the platform's Connect endpoint, which the operator of this RefRef "
                "sets up.",
            )
        situation = await endpoint_situation(tx, connection, desk.base_url, now=acting.now)
        try:
            return connection, situation, await open_gateway(tx, desk.vault, connection)
        except NoAccess as none:
            raise Refused(none.code, none.sentence) from none


async def _look(
    desk: Desk, acting: Acting, connection: StripeConnection, situation: EndpointSituation, gateway: StripeGateway
) -> ReviewedEndpoint:
    """Review, keep what was seen, and note or end the problem that follows."""
    review = review_endpoint(
        situation.wanted,
        await endpoints.list_endpoints(gateway),
        situation.known_endpoint_ids,
        has_given_secret=situation.has_given_secret,
    )
    seen = ReviewedEndpoint(connection, situation, review, _is_reachable(connection, situation))
    faults = ", ".join(row.code for row in review.findings if row.is_error)
    is_set_up = review.endpoint is not None or bool(situation.known_endpoint_ids)
    found = {"endpoint_faulty": faults} if faults and is_set_up else {}
    async with desk.database.tenant(acting.organization_id) as tx:
        await keep_check(tx, connection, "endpoint", seen.present(), now=acting.now)
        await record_health(
            tx, connection, Health(found, frozenset({"endpoint_faulty"})), actor=acting.actor, now=acting.now
        )
    return seen


async def _make(
    desk: Desk, acting: Acting, connection: StripeConnection, situation: EndpointSituation, gateway: StripeGateway
) -> Endpoint:
    made = await endpoints.create_endpoint(gateway, situation.wanted, situation.newest_endpoint_id)
    async with desk.database.tenant(acting.organization_id) as tx:
        await lock_connection(tx, acting.organization_id, connection.connection_id)
        now_held = await endpoint_situation(tx, connection, desk.base_url, now=acting.now)
        if made.endpoint.stripe_endpoint_id in now_held.known_endpoint_ids:
            return made.endpoint  # another tab asked for the same at the same time, and has stored it
        await add_webhook_secret(
            tx,
            desk.vault,
            connection.organization_id,
            connection.connection_id,
            webhook_secret=made.secret,
            overlap=OVERLAP,
            stripe_endpoint_id=made.endpoint.stripe_endpoint_id,
            actor=acting.actor,
            now=acting.now,
        )
        await record_endpoint(tx, connection, "create", made.endpoint, actor=acting.actor, now=acting.now)
    return made.endpoint


async def _delete(
    desk: Desk, acting: Acting, connection: StripeConnection, gateway: StripeGateway, endpoint: Endpoint
) -> None:
    await endpoints.delete_endpoint(gateway, endpoint.stripe_endpoint_id)
    await _note(desk, acting, connection, "delete", endpoint)


async def _note(desk: Desk, acting: Acting, connection: StripeConnection, action: str, endpoint: Endpoint) -> None:
    async with desk.database.tenant(acting.organization_id) as tx:
        await record_endpoint(tx, connection, action, endpoint, actor=acting.actor, now=acting.now)


def _is_reachable(connection: StripeConnection, situation: EndpointSituation) -> bool:
    """A sandbox is on this machine and reaches what Stripe cannot."""
    return connection.api_base is not None or is_public(situation.wanted.url)
