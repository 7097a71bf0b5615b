"""Keys of Stripe: tried before they are stored, checked again at any time, exchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from refref.connecting.access import Acting, Desk, NoAccess, open_access, refusal_of
from refref.core.connection_health import Health, judge_account, judge_refusal
from refref.core.endpoint_review import is_public
from refref.core.permission_table import PERMISSIONS, PermissionState, judge_permission, permission_warnings
from refref.core.refusals import Refused
from refref.db import connection_health
from refref.db.connections import ConnectionSecret, StripeConnection
from refref.db.pool import Connection
from refref.flows.connection_health import keep_check, plan_next_check, record_health
from refref.flows.connections import (
    NewConnection,
    check_new_connection,
    create_connection,
    learn_account,
    replace_api_key,
    require_connection,
)
from refref.flows.stripe_keys import check_api_key, check_mode
from refref.stripe.client import StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.permissions import Tried, try_permissions
from refref.vault import Vault


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What a key can do: the account it is of (None: it may not tell), its permissions and what to say about it."""

    stripe_account_id: str | None
    permissions: tuple[PermissionState, ...]
    warnings: tuple[str, ...]
    health: Health

    @property
    def missing(self) -> tuple[str, ...]:
        """The required permissions that the key lacks."""
        return tuple(row.name for row in self.permissions if row.state == "missing" and row.need == "required")


async def connect_with_key(desk: Desk, acting: Acting, given: NewConnection) -> tuple[StripeConnection, KeyReport]:
    """Try a key and make a connection of it. Raises Refused, also when Stripe does not accept the key."""
    made, report = await connect_stripe(desk, acting, replace(given, api_key=check_api_key(given.api_key or "")))
    assert report is not None
    return made, report


async def connect_stripe(desk: Desk, acting: Acting, given: NewConnection) -> tuple[StripeConnection, KeyReport | None]:
    """Make a connection; a key that is given is tried first, without one it only listens. Raises Refused."""
    report = await try_new(desk, given)
    async with desk.database.tenant(acting.organization_id) as tx:
        return await store_new(tx, desk.vault, acting, given, report), report


async def try_new(desk: Desk, given: NewConnection) -> KeyReport | None:
    """Check all that is given for a new connection, and try its key; None without one. Raises Refused."""
    checked = check_new_connection(given)
    if checked.api_base is not None and is_public(desk.base_url):  # nobody outside may knock at this machine's ports
        raise Refused(
            "invalid_api_base",
            f"A sandbox is for a RefRef that is used on its own machine; this one is reached at {desk.base_url}. Leave "
            "the address out.",
            "api_base",
        )
    if checked.api_key is None:
        return None
    assert checked.mode is not None
    report = await _try_key(checked.api_key, checked.api_base, checked.mode)
    if checked.stripe_account_id is not None and report.stripe_account_id not in (None, checked.stripe_account_id):
        raise Refused(
            "account_mismatch",
            f"The key is of {report.stripe_account_id}, not of {checked.stripe_account_id}. Leave the account out, or "
            "give its own key.",
            "stripe_account_id",
        )
    return report


async def store_new(
    tx: Connection, vault: Vault, acting: Acting, given: NewConnection, report: KeyReport | None
) -> StripeConnection:
    """Make the connection that was tried. Raises Refused("account_connected")."""
    told = None if report is None else report.stripe_account_id
    given = replace(given, stripe_account_id=told or given.stripe_account_id)
    made = await create_connection(tx, vault, acting.organization_id, given, actor=acting.actor, now=acting.now)
    return made if report is None else await _keep_report(tx, made, report, acting)


async def exchange_key(desk: Desk, acting: Acting, connection_id: str, api_key: str) -> KeyReport:
    """Try another key of the same account and use it from now on. Raises Refused."""
    report = await try_other(desk, acting, connection_id, api_key)
    async with desk.database.tenant(acting.organization_id) as tx:
        await store_other(tx, desk.vault, acting, connection_id, api_key, report)
    return report


async def try_other(desk: Desk, acting: Acting, connection_id: str, api_key: str) -> KeyReport:
    """Try another key for a connection. Raises Refused."""
    async with desk.database.tenant(acting.organization_id) as tx:
        connection = await require_connection(tx, acting.organization_id, connection_id)
    api_key = check_api_key(api_key)
    check_mode(connection.mode, api_key)
    return await _try_key(api_key, connection.api_base, connection.mode)


async def store_other(
    tx: Connection, vault: Vault, acting: Acting, connection_id: str, api_key: str, report: KeyReport
) -> ConnectionSecret:
    """Use the key that was tried from now on. Raises Refused: account_mismatch, account_connected."""
    stored = await replace_api_key(
        tx,
        vault,
        acting.organization_id,
        connection_id,
        api_key=api_key,
        stripe_account_id=report.stripe_account_id,
        actor=acting.actor,
        now=acting.now,
    )
    changed = await require_connection(tx, acting.organization_id, connection_id)
    await _keep_report(tx, changed, report, acting)
    return stored


async def check_permissions(desk: Desk, acting: Acting, connection_id: str, *, is_looked_at: bool = True) -> KeyReport:
    """Try a connection's permissions now, and note what follows for it. Raises Refused.

    `is_looked_at`: a person sees what comes of it, who thereby knows of another API version.
    """
    where = (acting.organization_id, connection_id)
    async with desk.database.tenant(acting.organization_id) as tx:
        connection = await require_connection(tx, *where)
        try:
            gateway, is_secret_key = await open_access(tx, desk.vault, connection)
        except NoAccess as none:
            raise Refused(none.code, none.sentence) from none
    try:
        tried = await try_permissions(gateway, with_writes=not is_secret_key)
    except StripeFailure as failure:
        if failure.failure is FailureClass.AUTH:
            async with desk.database.tenant(acting.organization_id) as tx:
                health = judge_refusal(connection.access, failure.code)
                await record_health(tx, connection, health, actor=acting.actor, now=acting.now)
        raise refusal_of(failure, access=connection.access) from failure
    finally:
        await gateway.close()
    report = _report(tried, connection.mode, is_secret_key=is_secret_key and connection.access == "key")
    async with desk.database.tenant(acting.organization_id) as tx:
        await learn_account(tx, connection, report.stripe_account_id, actor=acting.actor, now=acting.now)
        looked_for = report.health.looked_for | ({"version_changed"} if is_looked_at else frozenset())
        if not is_looked_at and await connection_health.has_refused_needs(tx, *where):
            looked_for -= {
                "permission_missing"
            }  # one that is only recommended, maybe: it is over when they are answered
            await connection_health.update_needs_due(tx, *where)
        seen = replace(report, health=replace(report.health, looked_for=looked_for))
        await _keep_report(tx, connection, seen, acting)
        await plan_next_check(tx, connection, now=acting.now)
    return report


def present_report(report: KeyReport) -> Mapping[str, object]:
    """A report as JSON, for the API and to be kept."""
    return {
        "stripe_account_id": report.stripe_account_id,
        "warnings": list(report.warnings),
        "permissions": [
            {
                "name": row.name,
                "need": row.need,
                "state": row.state,
                "missing": list(row.missing),
                "purpose": row.purpose,
            }
            for row in report.permissions
        ],
    }


async def _keep_report(
    tx: Connection, connection: StripeConnection, report: KeyReport, acting: Acting
) -> StripeConnection:
    await keep_check(tx, connection, "permissions", present_report(report), now=acting.now)
    return await record_health(tx, connection, report.health, actor=acting.actor, now=acting.now)


async def _try_key(api_key: str, api_base: str | None, mode: str) -> KeyReport:
    is_secret = api_key.startswith("sk_")
    gateway = StripeGateway(api_key, api_base)
    try:
        tried = await try_permissions(gateway, with_writes=not is_secret)
    except StripeFailure as failure:
        raise refusal_of(failure, "api_key") from failure
    finally:
        await gateway.close()
    return _report(tried, mode, is_secret_key=is_secret)


def _report(tried: Tried, mode: str, *, is_secret_key: bool) -> KeyReport:
    states = tuple(judge_permission(row, tried.trials.get(row.resource, {})) for row in PERMISSIONS)
    shown = tuple(state for state in states if state.need != "unused" or state.surplus)
    warnings = permission_warnings(shown, is_secret_key=is_secret_key, mode=mode)
    account = judge_account(tried.account.document)
    missing = ", ".join(row.name for row in shown if row.state == "missing" and row.need == "required")
    found = {**account.found, **({"permission_missing": missing} if missing else {})}
    is_sure = all(row.state != "unknown" or row.need != "required" for row in shown)
    health = Health(found, account.looked_for | ({"permission_missing"} if is_sure else frozenset()))
    return KeyReport(tried.account.account_id, shown, warnings, health)
