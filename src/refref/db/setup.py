"""What derive needs of a merchant's set-up: programs with their terms, and whose code is whose."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from math import ceil

import msgspec

from refref.core.attribution import CodeOwner
from refref.core.derive import normal_email
from refref.core.program import Participant, Profile, Program
from refref.core.program_status import pauses_of
from refref.core.terms import Terms, TermsVersion
from refref.db import participants
from refref.db.pool import Connection
from refref.db.profiles import profiles_of


@lru_cache(maxsize=4096)
def _terms(program_id: str, version: int, body: str) -> Terms:
    # Terms are immutable, so what a version says is read once; the id and number keep unlike programs apart.
    return msgspec.json.decode(body, type=Terms)


@lru_cache(maxsize=1024)
def _program(
    program_id: str, versions: tuple[tuple[int, int, str], ...], changes: tuple[tuple[int, str], ...]
) -> Program:
    # The same object for the same rows, so that what the engine works out of its terms is worked out once.
    terms = tuple(TermsVersion(number, at, _terms(program_id, number, body)) for number, at, body in versions)
    pauses, archived_at = pauses_of(changes)
    return Program(program_id, terms, pauses, archived_at)


async def programs_of(tx: Connection, organization_id: str, connection_id: str) -> tuple[Program, ...]:
    """The programs of a connection in order of id, with all their terms; what an archived one earned stays earned."""
    rows = await tx.fetch(
        """
        select p.program_id, t.version, extract(epoch from t.effective_at)::bigint, t.body::text,
          (select array_agg(ceil(extract(epoch from s.at))::bigint || ' ' || s.status order by s.at, s.status_no)
           from program_status s where s.organization_id = p.organization_id and s.program_id = p.program_id)
        from program p join terms t on t.organization_id = p.organization_id and t.program_id = p.program_id
        where p.organization_id = $1 and p.connection_id = $2
        order by p.program_id, t.version
        """,
        organization_id,
        connection_id,
    )
    versions: dict[str, list[tuple[int, int, str]]] = {}
    changes: dict[str, tuple[tuple[int, str], ...]] = {}
    for program_id, version, effective_at, body, told in rows:
        versions.setdefault(program_id, []).append((version, effective_at, body))
        changes[program_id] = tuple(_change(change) for change in told or ())
    return tuple(_program(program_id, tuple(own), changes[program_id]) for program_id, own in versions.items())


def _change(text: str) -> tuple[int, str]:
    at, _, status = text.partition(" ")
    return int(at), status


async def code_owners(
    tx: Connection, organization_id: str, connection_id: str, keys: Collection[str]
) -> tuple[dict[str, CodeOwner], dict[str, str]]:
    """Who owns each look-up key (refcode, promotion code id, participant id, referral id), and the owners' e-mails."""
    if not keys:
        return {}, {}
    rows = await tx.fetch(
        """
        select asked.key, p.participant_id, p.program_id, p.email,
               least(k.deactivated_at, ceil(extract(epoch from p.paused_at))::bigint) as deactivated_at
        from unnest($3::text[]) as asked (key)
        cross join lateral (  -- key by key: a join may read all codes, participants and referrals
          select c.participant_id, ceil(extract(epoch from c.deactivated_at))::bigint as deactivated_at
          from participant_code c
          where c.organization_id = $1 and c.connection_id = $2 and c.code = asked.key
          union all
          select asked.key, null where asked.key like 'ptc\\_%'
          union all
          select r.participant_id, null from referral r
          where asked.key like 'rfl\\_%' and r.organization_id = $1 and r.referral_id = asked.key
            and r.connection_id || '' = $2  -- no use for the index by scope, which a new table takes else
            and r.status <> 'undone'
          offset 0
        ) k
        cross join lateral (
          select * from participant where organization_id = $1 and participant_id = k.participant_id offset 0
        ) p
        where p.connection_id = $2
        """,
        organization_id,
        connection_id,
        list(keys),
    )
    owners = {row[0]: CodeOwner(row[1], row[2], row[4]) for row in rows}
    emails = {row[1]: normal_email(row[3]) for row in rows if row[3]}
    return owners, emails


async def participants_of(
    tx: Connection, organization_id: str, participant_ids: Collection[str]
) -> dict[str, Participant]:
    """What rules may look at of these participants."""
    rows = await tx.fetch(
        """
        select participant_id, kind, email, ceil(extract(epoch from created_at))::bigint
        from participant where organization_id = $1 and participant_id = any ($2)
        """,
        organization_id,
        list(participant_ids),
    )
    ips: dict[str, set[str]] = {}
    for participant_id, ip_hash in await participants.ips_of(tx, organization_id, participant_ids):
        ips.setdefault(participant_id, set()).add(ip_hash)
    profiles: dict[str, list[Profile]] = {}
    for told in await profiles_of(tx, organization_id, participant_ids):
        profile = Profile(
            ceil(told.since_at.timestamp()), told.group_names, told.country, tuple(sorted(told.metadata.items()))
        )
        profiles.setdefault(told.participant_id, []).append(profile)
    return {
        row[0]: Participant(
            row[0],
            row[1],
            normal_email(row[2]),
            row[3],
            tuple(profiles.get(row[0], ())),
            frozenset(ips.get(row[0], ())),
        )
        for row in rows
    }


async def reviews_of(
    tx: Connection, organization_id: str, connection_id: str, stripe_ids: Collection[str]
) -> dict[tuple[str, str, str], str]:
    """What people decided on these objects, and on conversions whose keys begin with one: (program, rule, key) ->
    approved or rejected."""
    rows = await tx.fetch(
        """
        select distinct on (program_id, rule_id, stripe_id) program_id, rule_id, stripe_id, verdict
        from review where organization_id = $1 and connection_id = $2 and split_part(stripe_id, '/', 1) = any ($3)
        order by program_id, rule_id, stripe_id, review_id desc
        """,
        organization_id,
        connection_id,
        list(stripe_ids),
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows if row[3] != "withdrawn"}


async def has_reviews(tx: Connection, organization_id: str, connection_id: str) -> bool:
    """Whether anybody ever decided anything on a connection."""
    found: bool = await tx.fetchval(
        "select exists (select from review where organization_id = $1 and connection_id = $2)",
        organization_id,
        connection_id,
    )
    return found


async def clock_ahead_s(tx: Connection, organization_id: str, connection_id: str) -> int:
    """How far a test connection's clock runs ahead of the real one, in seconds."""
    ahead: int = await tx.fetchval(
        "select clock_ahead_s from connection where organization_id = $1 and connection_id = $2",
        organization_id,
        connection_id,
    )
    return ahead


async def mode_of(tx: Connection, organization_id: str, connection_id: str) -> str:
    """A connection's mode: test or live."""
    mode: str = await tx.fetchval(
        "select mode from connection where organization_id = $1 and connection_id = $2", organization_id, connection_id
    )
    return mode
