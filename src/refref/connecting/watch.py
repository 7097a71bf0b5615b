"""The watch over connections: asks Stripe now and then whether a connection still works, and notes what changed.

An event or a refusal that hints at trouble only makes it look sooner: what Stripe answers decides, so that neither an
old event nor a passing failure ends a connection.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from refref.connecting.access import Acting, Desk, NoAccess, open_gateway
from refref.connecting.endpoints import review_webhooks
from refref.connecting.keys import check_permissions
from refref.core.connection_health import UNKNOWN, Health, judge_account, judge_refusal
from refref.core.refusals import Refused
from refref.db import connection_health
from refref.db.connections import StripeConnection
from refref.flows.connect_oauth import end_what_was_taken_away
from refref.flows.connection_health import CHECK_AGAIN, plan_next_check, record_health, record_version
from refref.flows.connections import require_connection
from refref.flows.webhook_endpoints import endpoint_situation
from refref.stripe.client import StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.permissions import read_account

WATCH = "system"

log = structlog.get_logger("refref.watch")


async def check_due(desk: Desk, now: datetime) -> int:
    """Look at every connection that is due, and that no other worker looks at; returns how many."""
    async with desk.database.plain() as connection:
        due = await connection_health.connections_to_check(connection)
    done = 0
    for organization_id, connection_id in due:
        async with desk.database.tenant(organization_id) as tx:
            is_mine = await connection_health.take_check(tx, organization_id, connection_id, now + CHECK_AGAIN)
        if is_mine:
            await check_connection(desk, Acting(organization_id, WATCH, now), connection_id)
            done += 1
    return done


async def check_connection(desk: Desk, acting: Acting, connection_id: str) -> StripeConnection:
    """Ask Stripe about one connection and note what it says: access, account, API version, webhook endpoint."""
    gateway: StripeGateway | None = None
    health = UNKNOWN
    async with desk.database.tenant(acting.organization_id) as tx:
        connection = await require_connection(tx, acting.organization_id, connection_id)
        await plan_next_check(tx, connection, now=acting.now)
        if acting.actor != WATCH:  # a person looks, and thereby knows of the version that was told
            told = Health({}, frozenset({"version_changed"}))
            await record_health(tx, connection, told, actor=acting.actor, now=acting.now)
        await record_version(tx, connection, now=acting.now)
        situation = await endpoint_situation(tx, connection, desk.base_url, now=acting.now)
        try:
            gateway = await open_gateway(tx, desk.vault, connection)
        except NoAccess as none:
            if none.code == "key_unreadable":
                health = Health({none.code: none.sentence}, frozenset({none.code}))
            elif none.code == "access_ended":
                health = Health({"access_lost": "ended by the merchant"}, frozenset({"access_lost"}))
            elif none.code == "no_platform":
                health = Health({"platform_refused": "not set"}, frozenset({"platform_refused"}))
    if gateway is not None:
        health = await _ask(gateway, connection)
    async with desk.database.tenant(acting.organization_id) as tx:
        after = await record_health(tx, connection, health, actor=acting.actor, now=acting.now)
        if "access_lost" in health.found:
            await end_what_was_taken_away(tx, after)
    if after.status != connection.status:
        log.warning("connection changed", connection_id=connection_id, status=after.status, found=list(health.found))
    if after.status == "active" and gateway is not None and await _lacks_permission(desk, after):
        try:
            await check_permissions(desk, acting, connection_id, is_looked_at=False)
        except Refused as refused:
            log.info("permissions not tried", connection_id=connection_id, code=refused.code)
    is_set_up = bool(situation.known_endpoint_ids) or situation.has_given_secret
    if after.status == "active" and connection.access == "key" and is_set_up and gateway is not None:
        try:
            await review_webhooks(desk, acting, connection_id)
        except Refused as refused:
            log.info("endpoint not reviewed", connection_id=connection_id, code=refused.code)
    return after


async def _lacks_permission(desk: Desk, connection: StripeConnection) -> bool:
    async with desk.database.tenant(connection.organization_id) as tx:
        still = await connection_health.open_problems(tx, connection.organization_id, connection.connection_id)
    return any(problem.code == "permission_missing" for problem in still)


async def _ask(gateway: StripeGateway, connection: StripeConnection) -> Health:
    try:
        return judge_account((await read_account(gateway)).document)
    except StripeFailure as failure:
        if failure.failure is FailureClass.AUTH:
            return judge_refusal(connection.access, failure.code)
        return UNKNOWN
    finally:
        await gateway.close()
