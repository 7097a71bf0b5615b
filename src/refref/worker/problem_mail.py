"""The mail to administrators about connections that do not work: one to each person for each problem.

That they were told is noted after the mail is out: a crash in between sends it twice, never not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from refref.core.connection_health import PROBLEMS
from refref.db import connection_health, connections, users
from refref.db.connection_health import ConnectionProblem
from refref.db.connections import StripeConnection
from refref.db.pool import Database
from refref.mail import MailRefused, send_mail
from refref.settings import MailServer, Settings

FIRST_REST_S = 30
LONGEST_REST_S = 3600

log = structlog.get_logger("refref.watch")


@dataclass(slots=True)
class _Round:
    """Who was told of what while others could not be reached yet, and until when (monotonic) they are let be."""

    told: set[tuple[str, ConnectionProblem]] = field(default_factory=set)
    rests_until: float = 0.0
    rests: int = 0


class ProblemMail:
    """Tells owners and admins of problems that they were not told of. `clock` gives monotonic seconds."""

    def __init__(self, database: Database, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._rounds: dict[str, _Round] = {}

    async def send_due(self) -> int:
        """Send what is due, unless another worker is just doing so; returns how many mails were taken."""
        server = self._settings.mail
        if server is None:
            return 0
        async with self._database.plain() as connection, connection_health.only_mailer(connection) as is_mine:
            if not is_mine:
                return 0
            waiting = await connection_health.organizations_to_mail(connection)
            return sum([await self._tell(server, organization_id) for organization_id in waiting])

    async def _tell(self, server: MailServer, organization_id: str) -> int:
        this = self._rounds.setdefault(organization_id, _Round())
        if self._clock() < this.rests_until:
            return 0
        now = datetime.now(UTC)
        async with self._database.tenant(organization_id) as tx:
            problems = await connection_health.problems_to_mail(tx, organization_id, now)
            known = {row.connection_id: row for row in await connections.connections(tx, organization_id, limit=1000)}
            members = await users.members(tx, organization_id)
        recipients = [member.email for member in members if member.role in ("owner", "admin")]
        if not problems:
            return 0
        taken, is_complete = 0, True
        for recipient in recipients:
            fresh = [problem for problem in problems if (recipient, problem) not in this.told]
            if not fresh:
                continue
            shown = [(known[problem.connection_id], problem) for problem in fresh]
            try:
                await send_mail(server, recipient, _subject(shown), _text(shown, self._settings.base_url), now=now)
            except MailRefused as refused:
                log.warning("mail was not sent", organization_id=organization_id, reason=str(refused))
                is_complete &= refused.is_final
                continue
            taken += 1
            this.told.update((recipient, problem) for problem in fresh)
        if is_complete and (this.told or not recipients):
            del self._rounds[organization_id]
            async with self._database.tenant(organization_id) as tx:
                await connection_health.mark_mailed(tx, organization_id, problems, now)
        else:  # somebody may be reached later, and only they are written to then
            this.rests_until = self._clock() + min(FIRST_REST_S * 2 ** min(this.rests, 10), LONGEST_REST_S)
            this.rests += 1
        return taken


def _subject(problems: Sequence[tuple[StripeConnection, ConnectionProblem]]) -> str:
    connection, first = problems[0]
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    subject = f"RefRef: {PROBLEMS[first.code].title} ({connection.name}, {connection.mode} mode){more}"
    return " ".join(subject.split())  # a name may hold a line separator, which no subject may


def _text(problems: Sequence[tuple[StripeConnection, ConnectionProblem]], base_url: str) -> str:
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
