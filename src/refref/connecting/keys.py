"""Keys of Stripe: tried before they are stored, checked again at any time, exchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from refref.connecting.access import Acting, Desk, NoAccess, open_gateway, refusal_of
from refref.core.connection_health import Health, judge_account, judge_refusal
from refref.core.permission_table import PERMISSIONS, PermissionState, judge_permission, permission_warnings
from refref.core.refusals import Refused
from refref.db.connections import StripeConnection
from refref.flows.connection_health import keep_check, plan_next_check, record_health
from refref.flows.connections import NewConnection, create_connection, replace_api_key, require_connection
from refref.flows.stripe_keys import check_api_base, check_api_key, check_mode
from refref.stripe.client import StripeGateway
from refref.stripe.errors import FailureClass, StripeFailure
from refref.stripe.permissions import Tried, try_permissions


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
    api_key = check_api_key(given.api_key or "")
    mode = check_mode(given.mode, api_key)
    report = await _try_key(api_key, check_api_base(given.api_base, mode), mode)
    account_id = report.stripe_account_id or given.stripe_account_id
    async with desk.database.tenant(acting.organization_id) as tx:
        made = await create_connection(
            tx,
            desk.vault,
            acting.organization_id,
            replace(given, stripe_account_id=account_id),
            actor=acting.actor,
            now=acting.now,
        )
        await keep_check(tx, made, "permissions", present_report(report), now=acting.now)
        made = await record_health(tx, made, report.health, actor=acting.actor, now=acting.now)
    return made, report


async def exchange_key(desk: Desk, acting: Acting, connection_id: str, api_key: str) -> KeyReport:
    """Try another key of the same account and use it from now on. Raises Refused."""
    async with desk.database.tenant(acting.organization_id) as tx:
        connection = await require_connection(tx, acting.organization_id, connection_id)
    api_key = check_api_key(api_key)
    check_mode(connection.mode, api_key)
    report = await _try_key(api_key, connection.api_base, connection.mode)
    async with desk.database.tenant(acting.organization_id) as tx:
        await replace_api_key(
            tx,
            desk.vault,
            acting.organization_id,
            connection_id,
            api_key=api_key,
            stripe_account_id=report.stripe_account_id,
            actor=acting.actor,
            now=acting.now,
        )
        changed = await require_connection(tx, acting.organization_id, connection_id)
        await keep_check(tx, changed, "permissions", present_report(report), now=acting.now)
        await record_health(tx, changed, report.health, actor=acting.actor, now=acting.now)
    return report


async def check_permissions(desk: Desk, acting: Acting, connection_id: str) -> KeyReport:
    """Try a connection's permissions now, and note what follows for it. Raises Refused."""
    async with desk.database.tenant(acting.organization_id) as tx:
        connection = await require_connection(tx, acting.organization_id, connection_id)
        try:
            gateway = await open_gateway(tx, desk.vault, connection)
        except NoAccess as none:
            raise Refused(none.code, none.sentence) from none
    is_secret = connection.access == "platform"
    try:
        tried = await try_permissions(gateway, with_writes=not is_secret)
    except StripeFailure as failure:
        if failure.failure is FailureClass.AUTH:
            async with desk.database.tenant(acting.organization_id) as tx:
                health = judge_refusal(connection.access, failure.code)
                await record_health(tx, connection, health, actor=acting.actor, now=acting.now)
        raise refusal_of(failure) from failure
    finally:
        await gateway.close()
    report = _report(tried, connection.mode, is_secret_key=False)
    if connection.stripe_account_id not in (None, report.stripe_account_id or connection.stripe_account_id):
        sentence = f"The key is of {report.stripe_account_id}, not of {connection.stripe_account_id}."
        raise Refused("account_mismatch", sentence)
    async with desk.database.tenant(acting.organization_id) as tx:
        await keep_check(tx, connection, "permissions", present_report(report), now=acting.now)
        seen = replace(report.health, looked_for=report.health.looked_for | {"version_changed"})
        await record_health(tx, connection, seen, actor=acting.actor, now=acting.now)
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
    account = judge_account(tried.account)
    missing = ", ".join(row.name for row in shown if row.state == "missing" and row.need == "required")
    found = {**account.found, **({"permission_missing": missing} if missing else {})}
    health = Health(found, account.looked_for | {"permission_missing"})
    return KeyReport(tried.account_id, shown, warnings, health)
