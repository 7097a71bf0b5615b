"""Steps that making a program, publishing a draft and applying a file share: a version is added, a program is found.

Called by flows, in their transaction; opens none.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil

from refref.core.custom_types import custom_paths
from refref.core.program import counts_otherwise
from refref.core.refusals import Refused
from refref.core.terms import Terms, TermsVersion, terms_to_json
from refref.core.terms_check import check_terms
from refref.db import audit, connections, custom_events, facts, inbox, needs, participants, programs
from refref.db.pool import Connection
from refref.db.programs import Program, StatusChange, StoredTerms
from refref.flows.checks import check_instant
from refref.flows.looked_at import kinds_looked_at
from refref.ids import new_id

SINCE_EVER = datetime(2000, 1, 1, tzinfo=UTC)  # before any sale that Stripe can tell of


async def require_program(tx: Connection, organization_id: str, program_id: str) -> Program:
    """The program, locked until the transaction ends. Raises Refused("unknown_program")."""
    found = await programs.locked_program(tx, organization_id, program_id)
    if found is None:
        raise Refused("unknown_program", "There is no program with this id.", "program_id")
    return found


async def connection_now(tx: Connection, program: Program, now: datetime) -> datetime:
    """The now of the program's connection: its test clock may run ahead of ours."""
    connection = await connections.connection_by_id(tx, program.organization_id, program.connection_id)
    assert connection is not None
    return now + timedelta(seconds=connection.clock_ahead_s)


async def insert_program(
    tx: Connection,
    organization_id: str,
    *,
    connection_id: str,
    name: str,
    eligibility_text: str,
    terms_text: str,
    actor: str,
    now: datetime,
    copy_of: str | None = None,
) -> Program:
    """A new program without terms, active from now on. Raises Refused("unknown_connection")."""
    if await connections.connection_by_id(tx, organization_id, connection_id) is None:
        raise Refused("unknown_connection", "There is no connection with this id.", "connection_id")
    made = Program(
        organization_id=organization_id,
        program_id=new_id("program"),
        connection_id=connection_id,
        name=name,
        status="active",
        created_at=now,
        eligibility_text=eligibility_text,
        terms_text=terms_text,
    )
    await programs.insert_program(tx, made)
    there = await connection_now(tx, made, now)
    await programs.insert_status(tx, organization_id, made.program_id, StatusChange(there, "active"))
    details = {"copy_of": copy_of} if copy_of else None
    await audit.record(
        tx, organization_id, at=now, actor=actor, action="program.create", subject=made.program_id, details=details
    )
    return made


async def add_version(
    tx: Connection,
    program: Program,
    *,
    terms: Terms,
    effective_at: datetime | None,
    based_on_version: int | None,
    actor: str,
    now: datetime,
) -> StoredTerms:
    """Add a version to a locked program, in force from `effective_at` (from now on, on the connection's clock).

    `based_on_version`: the newest version that its author knew of. Raises Refused: invalid_terms, program_archived,
    terms_out_of_order (before the last version's instant), terms_outdated (another one came meanwhile).
    """
    check_terms(terms)
    await _check_sharers(tx, program, terms)
    if program.status == "archived":
        raise Refused("program_archived", "The program is archived, which is for good: duplicate it to begin anew.")
    stored = await programs.terms_versions(tx, program.organization_id, program.program_id)
    last = stored[0] if stored else None
    check_newest(0 if last is None else last.version, based_on_version)
    there = await connection_now(tx, program, now)
    starts_at = _starts_at(effective_at, last, there)
    made = StoredTerms(
        organization_id=program.organization_id,
        program_id=program.program_id,
        version=1 if last is None else last.version + 1,
        effective_at=starts_at,
        body=terms_to_json(terms),
        created_at=now,
    )
    await programs.insert_terms(tx, made)
    await custom_events.ask_for_types(tx, program.organization_id, program.connection_id, custom_paths([terms]))
    ids = (program.organization_id, program.connection_id)
    await needs.update_awake(tx, *ids, kinds_looked_at([_version(made)]), int(starts_at.timestamp()))
    await audit.record(
        tx,
        program.organization_id,
        at=now,
        actor=actor,
        action="terms.publish",
        subject=program.program_id,
        details={"version": made.version},
    )
    before = [_version(version) for version in reversed(stored)]
    if (
        starts_at < there
        or counts_otherwise(before, [*before, _version(made)])
        or (not before and await participants.has_participants(tx, program.organization_id, program.program_id))
    ):  # without terms a program binds nobody, so the first ones bind whom its codes brought before
        await settle_again(tx, program)
    return made


async def _check_sharers(tx: Connection, program: Program, terms: Terms) -> None:
    """Refuse to divide money with somebody who is not there: it could never be paid out."""
    named = {
        f"terms.rules.{place}.split.{number}.participant": share.participant
        for place, rule in enumerate(terms.rules)
        for number, share in enumerate(rule.split)
        if share.participant != "referrer"
    }
    if not named:
        return
    known = await participants.known_participants(
        tx, program.organization_id, program.connection_id, set(named.values())
    )
    for field, participant_id in named.items():
        if participant_id not in known:
            sentence = f"There is no participant {participant_id} on this connection: choose one who takes part."
            raise Refused("invalid_terms", sentence, field)


def _version(stored: StoredTerms) -> TermsVersion:
    return TermsVersion(stored.version, ceil(stored.effective_at.timestamp()), stored.terms)


def _starts_at(effective_at: datetime | None, last: StoredTerms | None, there: datetime) -> datetime:
    if effective_at is None:
        return there if last is None else max(last.effective_at, there)
    starts_at = check_instant(effective_at, "effective_at")
    if last is not None and starts_at < last.effective_at:
        raise Refused(
            "terms_out_of_order",
            f"Version {last.version} takes effect at {last.effective_at:%Y-%m-%dT%H:%M:%SZ}; the next may not before.",
            "effective_at",
        )
    return starts_at


def check_newest(newest_version: int, based_on_version: int | None) -> None:
    """Raise Refused("terms_outdated") where somebody published a version that the author did not know of."""
    if based_on_version is not None and based_on_version != newest_version:
        raise Refused(
            "terms_outdated",
            f"Version {newest_version} was published meanwhile, and this was written after version {based_on_version}: "
            "look at what differs, and give the newest version's number as based_on_version.",
            "based_on_version",
        )


async def settle_again(tx: Connection, program: Program) -> None:
    """What changed for the past may change what past sales earn."""
    await facts.mark_connection_dirty(tx, program.organization_id, program.connection_id)
    await inbox.wake_pumps(tx)
