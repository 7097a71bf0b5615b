"""Profiles of participants: their groups, country and metadata, each change from an instant on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from refref.core.refusals import Refused
from refref.db import audit, connections, inbox, participants, profiles
from refref.db.pool import Connection
from refref.db.profiles import Profile
from refref.flows.checks import check_country, check_groups, check_instant, check_metadata


async def set_profile(
    tx: Connection,
    organization_id: str,
    participant_id: str,
    *,
    groups: Sequence[str] | None = None,
    country: str | None = None,
    metadata: Mapping[str, str] | None = None,
    since_at: datetime | None = None,
    actor: str,
    now: datetime,
) -> Profile:
    """Say what holds of a participant from `since_at` (now) on; None leaves a part as it was.

    An instant in the past is for imports: not before the participant joined, nor before the profile that holds. A
    change that says nothing new adds nothing. Raises Refused: unknown_participant, invalid_group, invalid_country,
    invalid_metadata, invalid_instant.
    """
    found = await participants.participant_by_id(tx, organization_id, participant_id)
    if found is None:
        raise Refused("unknown_participant", "There is no participant with this id.", "participant_id")
    connection = await connections.connection_by_id(tx, organization_id, found.connection_id)
    assert connection is not None
    there = now + timedelta(seconds=connection.clock_ahead_s)
    known = await profiles.profiles_of(tx, organization_id, [participant_id])
    before = known[-1] if known else Profile(organization_id, participant_id, found.created_at)
    made = replace(
        before,
        group_names=before.group_names if groups is None else check_groups(groups),
        country=before.country if country is None else check_country(country),
        metadata=before.metadata if metadata is None else check_metadata(metadata),
    )
    if made == before:
        return before
    made = replace(made, since_at=_since(since_at, before.since_at if known else None, found.created_at, there))
    await profiles.insert_profile(tx, made)
    if await profiles.mark_participant_dirty(tx, organization_id, participant_id):
        await inbox.wake_pumps(tx)
    await audit.record(
        tx, organization_id, at=now, actor=actor, action="participant_profile.set", subject=participant_id
    )
    return made


def _since(given: datetime | None, last_at: datetime | None, joined_at: datetime, there: datetime) -> datetime:
    """From when on it holds; a moment after the profile before, since both cannot hold from the same instant."""
    after_last = joined_at if last_at is None else last_at + timedelta(microseconds=1)
    if given is None:
        return max(there, after_last)
    since = check_instant(given, "since_at")
    if not after_last <= since <= there:
        raise Refused(
            "invalid_instant",
            f"It may lie from {after_last:%Y-%m-%dT%H:%M:%SZ} (joined, or the last change) to now.",
            "since_at",
        )
    return since
