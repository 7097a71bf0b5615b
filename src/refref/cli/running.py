"""What the commands share: run a coroutine on the database, print text or JSON, end with the right exit code.

Exit codes: 0 done, 1 refused or something is wrong, 2 wrong usage or settings.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from refref.core.refusals import Refused

if TYPE_CHECKING:
    from refref.db.connections import StripeConnection
    from refref.db.pool import Connection, Database
    from refref.settings import Settings

T = TypeVar("T")
Known = TypeVar("Known", bound=str)

ACTOR = "system"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Organization = Annotated[
    str | None, typer.Option("--organization", help="Organization id; needed when there are several.")
]
Instant = Annotated[
    str | None, typer.Option(help="An instant such as 2026-01-31T00:00:00Z; UTC unless it says otherwise.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ProgramId = Annotated[str, typer.Argument(metavar="PROGRAM", help="Program id.")]
ConnectionId = Annotated[str | None, typer.Option("--connection", help="Connection id; needed when there are several.")]


@dataclass(frozen=True, slots=True)
class Installation:
    """The settings and the open database of one command."""

    settings: Settings
    database: Database
    now: datetime

    async def organization_ids(self, given: str | None) -> list[str]:
        """The organization that was named, or all there are."""
        from refref.db import organizations

        async with self.database.reference() as tx:
            known = [row.organization_id for row in await organizations.all_organizations(tx)]
        if given is None:
            return known
        if given not in known:
            raise Refused("unknown_organization", "There is no organization with this id.", "--organization")
        return [given]

    async def organization_id(self, given: str | None) -> str:
        """The organization that was named, or the only one."""
        found = await self.organization_ids(given)
        if len(found) == 1:
            return found[0]
        sentence = "There are several: name one." if found else "There is none yet: refref user create"
        raise Refused("unknown_organization", sentence, "--organization")

    async def connection(self, tx: Connection, organization_id: str, given: str | None) -> StripeConnection:
        """The connection that was named, or the only one of the organization."""
        from refref.db import connections

        known = await connections.connections(tx, organization_id, limit=1000)
        found = [row for row in known if given in (None, row.connection_id)]
        if len(found) == 1:
            return found[0]
        if given is not None:
            raise Refused("unknown_connection", "There is no connection with this id.", "--connection")
        sentence = "There are several: name one." if found else "There is no connection yet: refref connection create"
        raise Refused("connection_required", sentence, "--connection")

    @asynccontextmanager
    async def tenant(self, organization: str | None) -> AsyncIterator[tuple[Connection, str]]:
        """A transaction in the organization that was named, or the only one, with its id."""
        organization_id = await self.organization_id(organization)
        async with self.database.tenant(organization_id) as tx:
            yield tx, organization_id

    @asynccontextmanager
    async def books(
        self, organization: str | None, connection: str | None
    ) -> AsyncIterator[tuple[Connection, tuple[str, str]]]:
        """A transaction, with the ids of the organization and of its connection that were named, or the only ones."""
        async with self.tenant(organization) as (tx, organization_id):
            chosen = await self.connection(tx, organization_id, connection)
            yield tx, (organization_id, chosen.connection_id)

    async def connection_now(self, tx: Connection, organization_id: str, connection_id: str) -> datetime:
        """The now of a connection: its test clock may run ahead of ours."""
        from refref.db import connections

        found = await connections.connection_by_id(tx, organization_id, connection_id)
        return self.now + timedelta(seconds=found.clock_ahead_s if found else 0)


def run(work: Callable[[Installation], Awaitable[T]]) -> T:
    """Run `work` on the installation's database; what goes wrong is told in one sentence on standard error."""
    from refref.db.failures import UNREACHABLE
    from refref.db.pool import Database
    from refref.settings import SettingsError, load_settings

    async def main(settings: Settings) -> T:
        database = await Database.open(settings.require_database_url(), max_size=2)
        try:
            return await work(Installation(settings, database, datetime.now(UTC)))
        finally:
            await database.close()

    try:
        with told():
            return asyncio.run(main(load_settings()))
    except SettingsError as error:
        fail(str(error), code=2)
    except UNREACHABLE as error:
        fail(f"the database cannot be reached: {type(error).__name__}")


@contextmanager
def told() -> Iterator[None]:
    """Tell a refusal in one sentence and end."""
    try:
        yield
    except Refused as refused:
        field = f"{refused.field}: " if refused.field else ""
        fail(f"{field}{refused.sentence} ({refused.code})")


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end."""
    print(f"refref: {sentence}", file=sys.stderr)
    raise typer.Exit(code)


def one_of(given: str | None, known: Iterable[Known], option: str) -> Known | None:
    """What was given for an option that has certain values; None where nothing was. Ends with 2 on anything else."""
    values = tuple(known)
    found = next((value for value in values if value == given), None)
    if given is not None and found is None:
        fail(f"{option} is one of: {', '.join(values)}.", code=2)
    return found


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless told not to; ends when the answer is no. Standard error, so that JSON stays alone on the other."""
    if not yes and not typer.confirm(question, err=True):
        fail("nothing was changed.")


def show(value: object, text: str, *, as_json: bool) -> None:
    """Print a result for a program or for a person."""
    if as_json:
        import msgspec

        text = msgspec.json.encode(value).decode()
    if text:
        print(text)


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows in columns that line up."""
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))] if cells else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def secret_from(given: str | None, what: str) -> str | None:
    """A secret given as an option; `-` asks for it or reads a line from a pipe: no list of processes shows it."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        return str(typer.prompt(what, hide_input=True))
    return sys.stdin.readline().strip()


def given_instant(text: str | None) -> datetime | None:
    """The instant that an option gives; ends with 2 when it is none."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no instant; give one such as 2026-01-31T00:00:00Z.", code=2)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
