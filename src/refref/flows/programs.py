"""Programs: made with their first terms, and new versions of the terms published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from refref.core.refusals import Refused
from refref.core.terms import Terms, terms_to_json
from refref.core.terms_check import check_terms
from refref.db import audit, connections, facts, inbox, programs
from refref.db.pool import Connection
from refref.db.programs import Program, StoredTerms
from refref.flows.checks import check_instant, check_name
from refref.ids import new_id

SINCE_EVER = datetime(2000, 1, 1, tzinfo=UTC)  # before any sale that Stripe can tell of


async def create_program(
    tx: Connection,
    organization_id: str,
    *,
    connection_id: str,
    name: str,
    terms: Terms,
    effective_at: datetime | None,
    actor: str,
    now: datetime,
) -> tuple[Program, StoredTerms]:
    """Make a program with version 1 of its terms, in force from `effective_at` (since ever, unless given).

    Only sales that carry a participant's code count, so sales from before the program earn nothing by it unless they
    were referred; an instant draws a line all the same. Raises Refused: unknown_connection, invalid_name,
    invalid_terms, invalid_instant.
    """
    name = check_name(name, "name")
    check_terms(terms)
    connection = await connections.connection_by_id(tx, organization_id, connection_id)
    if connection is None:
        raise Refused("unknown_connection", "There is no connection with this id.", "connection_id")
    there = now + timedelta(seconds=connection.clock_ahead_s)
    starts_at = SINCE_EVER if effective_at is None else check_instant(effective_at, "effective_at")
    program = Program(
        organization_id=organization_id,
        program_id=new_id("program"),
        connection_id=connection_id,
        name=name,
        status="active",
        created_at=now,
    )
    await programs.insert_program(tx, program)
    await audit.record(tx, organization_id, at=now, actor=actor, action="program.create", subject=program.program_id)
    first = await _insert_version(tx, program, 1, starts_at, terms, actor, now)
    if starts_at < there:
        await _settle_the_past_again(tx, program)
    return program, first


async def publish_terms(
    tx: Connection,
    organization_id: str,
    program_id: str,
    *,
    terms: Terms,
    effective_at: datetime | None,
    actor: str,
    now: datetime,
) -> StoredTerms:
    """Add a version of a program's terms, in force from `effective_at` (now, on the connection's clock).

    Raises Refused: unknown_program, invalid_terms, terms_out_of_order (before the last version's instant).
    """
    check_terms(terms)
    program = await programs.locked_program(tx, organization_id, program_id)
    if program is None:
        raise Refused("unknown_program", "There is no program with this id.", "program_id")
    last = await programs.latest_terms(tx, organization_id, program_id)
    connection = await connections.connection_by_id(tx, organization_id, program.connection_id)
    assert last is not None
    assert connection is not None
    there = now + timedelta(seconds=connection.clock_ahead_s)
    starts_at = max(last.effective_at, there) if effective_at is None else check_instant(effective_at, "effective_at")
    if starts_at < last.effective_at:
        raise Refused(
            "terms_out_of_order",
            f"Version {last.version} takes effect at {last.effective_at:%Y-%m-%dT%H:%M:%SZ}; the next may not before.",
            "effective_at",
        )
    made = await _insert_version(tx, program, last.version + 1, starts_at, terms, actor, now)
    if starts_at < there:
        await _settle_the_past_again(tx, program)
    return made


async def _settle_the_past_again(tx: Connection, program: Program) -> None:
    """Terms that took effect in the past may change what past sales earn."""
    await facts.mark_connection_dirty(tx, program.organization_id, program.connection_id)
    await inbox.wake_pumps(tx)


async def _insert_version(
    tx: Connection,
    program: Program,
    version: int,
    effective_at: datetime,
    terms: Terms,
    actor: str,
    now: datetime,
) -> StoredTerms:
    made = StoredTerms(
        organization_id=program.organization_id,
        program_id=program.program_id,
        version=version,
        effective_at=effective_at,
        body=terms_to_json(terms),
        created_at=now,
    )
    await programs.insert_terms(tx, made)
    await audit.record(
        tx,
        program.organization_id,
        at=now,
        actor=actor,
        action="terms.publish",
        subject=program.program_id,
        details={"version": version},
    )
    return made
