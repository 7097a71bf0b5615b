"""The worker's watch over connections, and the mail to administrators about what it found."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from refref.connecting.access import Desk
from refref.connecting.watch import check_due
from refref.core.connection_health import PROBLEMS
from refref.db import connection_health, connections, users
from refref.db.connection_health import ConnectionProblem
from refref.db.connections import StripeConnection
from refref.db.pool import Database
from refref.mail import MailRefused, send_mail
from refref.settings import Settings
from refref.vault import Vault

log = structlog.get_logger("refref.watch")


async def watch_due(database: Database, vault: Vault, settings: Settings) -> int:
    """Look at every connection that is due; returns how many."""
    return await check_due(Desk(database, vault, settings.base_url), datetime.now(UTC))


async def mail_problems(database: Database, settings: Settings) -> int:
    """Tell administrators of problems that they were not told of; returns how many organizations were.

    That they were told is noted after the mail is out: a crash in between sends it twice, never not at all.
    """
    if settings.mail is None:
        return 0
    async with database.plain() as connection:
        waiting = await connection_health.organizations_to_mail(connection)
    told = 0
    for organization_id in waiting:
        try:
            await _mail_organization(database, settings, organization_id)
            told += 1
        except MailRefused as refused:
            log.warning("mail was not sent; trying again", organization_id=organization_id, reason=str(refused))
    return 0 if told < len(waiting) else told  # what was refused is tried at the next turn, not at once


async def _mail_organization(database: Database, settings: Settings, organization_id: str) -> None:
    assert settings.mail is not None
    now = datetime.now(UTC)
    async with database.tenant(organization_id) as tx:
        problems = await connection_health.unmailed_problems(tx, organization_id)
        known = {row.connection_id: row for row in await connections.connections(tx, organization_id, limit=1000)}
        members = await users.members(tx, organization_id)
    recipients = [member.email for member in members if member.role in ("owner", "admin")]
    if problems and recipients:
        shown = [(known[problem.connection_id], problem) for problem in problems]
        await send_mail(settings.mail, recipients, _subject(shown), _text(shown, settings.base_url), now=now)
    async with database.tenant(organization_id) as tx:
        await connection_health.mark_mailed(tx, organization_id, problems, now)


def _subject(problems: list[tuple[StripeConnection, ConnectionProblem]]) -> str:
    connection, first = problems[0]
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"RefRef: {PROBLEMS[first.code].title} ({connection.name}, {connection.mode} mode){more}"


def _text(problems: list[tuple[StripeConnection, ConnectionProblem]], base_url: str) -> str:
    parts = []
    for connection, problem in problems:
        kind = PROBLEMS[problem.code]
        parts.append(
            f"{connection.name} ({connection.mode} mode): {kind.title}.\n"
            f"Since {problem.began_at:%d %b %Y, %H:%M} UTC. {kind.remedy}\n"
            f"{base_url}/integrations/stripe/{connection.connection_id}\n"
        )
    parts.append(
        "Webhooks that arrive are stored, and nothing that was booked changes. What could not be looked up meanwhile "
        "is looked up as soon as the connection works again."
    )
    return "\n".join(parts)
