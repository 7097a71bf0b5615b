"""Participants: made with a refcode, given more codes, codes ended, paused and resumed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from refref.core.refusals import Refused
from refref.db import audit, connections, facts, inbox, needs, participants, profiles, programs
from refref.db.participants import Participant, ParticipantCode
from refref.db.pool import Connection
from refref.db.profiles import Profile
from refref.flows.checks import (
    check_choice,
    check_country,
    check_email,
    check_groups,
    check_instant,
    check_metadata,
    check_name,
)
from refref.flows.looked_at import DISCOUNTS
from refref.ids import new_id

KINDS = ("referrer", "affiliate")
CODE_KINDS = ("refcode", "promotion_code")
_REFCODE = re.compile(r"[a-z0-9_-]{3,40}")
_RESERVED = ("promo_", "rfl_", "ptc_")  # what a metadata value may hold instead of a refcode
_PROMOTION_CODE = re.compile(r"promo_[A-Za-z0-9]{4,60}")
_MADE_FROM = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else


async def create_participant(
    tx: Connection,
    organization_id: str,
    *,
    program_id: str,
    kind: str,
    name: str,
    email: str,
    refcode: str | None = None,
    created_at: datetime | None = None,
    groups: Sequence[str] = (),
    country: str = "",
    metadata: Mapping[str, str] | None = None,
    actor: str,
    now: datetime,
) -> tuple[Participant, ParticipantCode]:
    """Add a participant with a refcode, given or made. `created_at` in the past is for imports: the code counts since.

    Groups, country and metadata hold from `created_at` on. Raises Refused: unknown_program, invalid_choice,
    invalid_name, invalid_email, invalid_refcode, code_taken, participant_exists, invalid_instant, invalid_group,
    invalid_country, invalid_metadata.
    """
    check_choice(kind, KINDS, "kind")
    name = check_name(name, "name")
    email = check_email(email, "email")
    shown_as = check_refcode(refcode, "refcode") if refcode else _make_refcode()
    group_names, country, metadata = check_groups(groups), check_country(country), check_metadata(metadata or {})
    program = await programs.program_by_id(tx, organization_id, program_id)
    if program is None:
        raise Refused("unknown_program", "There is no program with this id.", "program_id")
    since = _check_since(created_at, await _connection_now(tx, organization_id, program.connection_id, now))
    made = Participant(
        organization_id=organization_id,
        participant_id=new_id("participant"),
        program_id=program_id,
        connection_id=program.connection_id,
        kind=kind,
        name=name,
        email=email,
        status="active",
        created_at=since,
    )
    if not await participants.insert_participant(tx, made):
        raise Refused("participant_exists", "The program has a participant with this e-mail already.", "email")
    if group_names or country or metadata:
        profile = Profile(organization_id, made.participant_id, since, group_names, country, metadata)
        await profiles.insert_profile(tx, profile)
    await audit.record(
        tx, organization_id, at=now, actor=actor, action="participant.create", subject=made.participant_id
    )
    return made, await _insert_code(tx, made, "refcode", shown_as, since, actor, now, "refcode")


async def add_code(
    tx: Connection,
    organization_id: str,
    participant_id: str,
    *,
    code_kind: str,
    code: str,
    created_at: datetime | None = None,
    actor: str,
    now: datetime,
) -> ParticipantCode:
    """Let one more refcode, or a Stripe promotion code (promo_…), attribute to a participant.

    Raises Refused: unknown_participant, invalid_choice, invalid_refcode, invalid_promotion_code, code_taken.
    """
    check_choice(code_kind, CODE_KINDS, "code_kind")
    shown_as = check_refcode(code, "code") if code_kind == "refcode" else _check_promotion_code(code)
    owner = await _require_participant(tx, organization_id, participant_id)
    since = _check_since(created_at, await _connection_now(tx, organization_id, owner.connection_id, now))
    return await _insert_code(tx, owner, code_kind, shown_as, since, actor, now, "code")


async def deactivate_code(
    tx: Connection, organization_id: str, participant_id: str, code: str, *, actor: str, now: datetime
) -> ParticipantCode:
    """End a code: what comes later no longer attributes by it; what it brought stays. Raises Refused: unknown_code."""
    owner = await _require_participant(tx, organization_id, participant_id)
    known = await participants.code_by_value(tx, organization_id, owner.connection_id, stored_code(code))
    if known is None or known.participant_id != participant_id:
        raise Refused("unknown_code", "The participant has no such code.", "code")
    if known.deactivated_at is not None:
        return known
    ended_at = await _connection_now(tx, organization_id, owner.connection_id, now)
    await participants.deactivate_code(tx, organization_id, owner.connection_id, known.code, ended_at)
    await audit.record(
        tx,
        organization_id,
        at=now,
        actor=actor,
        action="participant_code.deactivate",
        subject=participant_id,
        details={"code_kind": known.code_kind},
    )
    return replace(known, deactivated_at=ended_at)


async def pause_participant(
    tx: Connection, organization_id: str, participant_id: str, *, actor: str, now: datetime
) -> Participant:
    """Let a participant's codes bind nobody new; who is bound stays so. Raises Refused: unknown_participant."""
    found = await _require_participant(tx, organization_id, participant_id)
    if found.status == "paused":
        return found
    paused_at = await _connection_now(tx, organization_id, found.connection_id, now)
    await participants.update_paused_at(tx, organization_id, participant_id, paused_at)
    await audit.record(tx, organization_id, at=now, actor=actor, action="participant.pause", subject=participant_id)
    return replace(found, status="paused")


async def resume_participant(
    tx: Connection, organization_id: str, participant_id: str, *, actor: str, now: datetime
) -> Participant:
    """Undo a pause: what carried the codes meanwhile counts after all. Raises Refused: unknown_participant."""
    found = await _require_participant(tx, organization_id, participant_id)
    if found.status == "active":
        return found
    await participants.update_paused_at(tx, organization_id, participant_id, None)
    await facts.mark_connection_dirty(tx, organization_id, found.connection_id)
    await inbox.wake_pumps(tx)
    await audit.record(tx, organization_id, at=now, actor=actor, action="participant.resume", subject=participant_id)
    return replace(found, status="active")


def check_refcode(text: str, field: str) -> str:
    """A refcode as the participant sees it (any case of letters); raises Refused("invalid_refcode")."""
    text = text.strip()
    if not _REFCODE.fullmatch(text.lower()) or not text.isascii():
        raise Refused(
            "invalid_refcode", "A refcode has 3 to 40 letters without accents, digits, hyphens or underscores.", field
        )
    if text.lower().startswith(_RESERVED):
        raise Refused("invalid_refcode", f"A refcode may not begin with {', '.join(_RESERVED)}.", field)
    return text


def stored_code(code: str) -> str:
    """What a code is compared by: refcodes in lower case, promotion code ids as they are."""
    code = code.strip()
    return code if code.startswith("promo_") else code.lower()


def _check_promotion_code(text: str) -> str:
    text = text.strip()
    if not _PROMOTION_CODE.fullmatch(text):
        raise Refused(
            "invalid_promotion_code",
            "Give the id of the promotion code, promo_…, as its page in Stripe shows it, not the word customers type.",
            "code",
        )
    return text


def _check_since(created_at: datetime | None, now: datetime) -> datetime:
    if created_at is None:
        return now
    since = check_instant(created_at, "created_at")
    if since > now:
        raise Refused("invalid_instant", "It may lie in the past (for an import), not in the future.", "created_at")
    return since


def _make_refcode() -> str:
    return "".join(secrets.choice(_MADE_FROM) for _ in range(8))


async def _connection_now(tx: Connection, organization_id: str, connection_id: str, now: datetime) -> datetime:
    """The connection's own now: its test clock may run ahead of ours."""
    connection = await connections.connection_by_id(tx, organization_id, connection_id)
    assert connection is not None
    return now + timedelta(seconds=connection.clock_ahead_s)


async def _require_participant(tx: Connection, organization_id: str, participant_id: str) -> Participant:
    found = await participants.participant_by_id(tx, organization_id, participant_id)
    if found is None:
        raise Refused("unknown_participant", "There is no participant with this id.", "participant_id")
    return found


async def _insert_code(
    tx: Connection,
    owner: Participant,
    code_kind: str,
    shown_as: str,
    since: datetime,
    actor: str,
    now: datetime,
    field: str,
) -> ParticipantCode:
    made = ParticipantCode(
        organization_id=owner.organization_id,
        connection_id=owner.connection_id,
        code=stored_code(shown_as),
        code_kind=code_kind,
        shown_as=shown_as,
        program_id=owner.program_id,
        participant_id=owner.participant_id,
        created_at=since,
        deactivated_at=None,
    )
    if not await participants.insert_code(tx, made):
        raise Refused("code_taken", "This code is or was in use on this connection. Choose another.", field)
    if await facts.mark_code_dirty(tx, owner.organization_id, owner.connection_id, made.code):
        await inbox.wake_pumps(tx)  # sales carried the code before anybody owned it
    if code_kind == "promotion_code":
        since_s = int(since.timestamp())
        await needs.update_awake(tx, owner.organization_id, owner.connection_id, DISCOUNTS, since_s)
    await audit.record(
        tx,
        owner.organization_id,
        at=now,
        actor=actor,
        action="participant_code.add",
        subject=owner.participant_id,
        details={"code_kind": code_kind},
    )
    return made
