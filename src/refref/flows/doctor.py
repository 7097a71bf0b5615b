"""Doctor: every fault of a connection that RefRef knows, with evidence and fix. Reads only; asks nobody outside.

A further check is a row of core.diagnoses.FAULTS and a query of db.doctor.TRACES.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from refref.core.connection_health import PROBLEMS
from refref.core.diagnoses import FAULTS, Diagnosis, Fix, Rhythm, Seen, codes_alike, diagnose, is_silent
from refref.core.facts import CarrierKind, Fact, SessionState
from refref.db import connection_health, connections
from refref.db import doctor as look
from refref.db.connections import StripeConnection
from refref.db.doctor import TypeLine
from refref.db.pool import Connection
from refref.flows.invariants import check_invariants
from refref.stripe.readers.carrier_faults import carrier_faults
from refref.vault import Place, Sealed, Vault, VaultError

LOOKS_BACK = timedelta(days=30)
_MOST_EVENTS = 500
_MOST_SESSIONS = 300
ENOUGH_SESSIONS = 20


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found on one connection, the worst first, and how its webhooks come."""

    connection_id: str
    examined_at: datetime
    diagnoses: Sequence[Diagnosis]
    deliveries: Sequence[TypeLine]
    rhythm: Rhythm


async def examine_connection(
    tx: Connection, organization_id: str, connection: StripeConnection, vault: Vault, *, now: datetime
) -> Examination:
    """Look for every fault of FAULTS, and the open problems of the connection. `now` by our own clock."""
    own = (organization_id, connection.connection_id)
    mended = await look.mended_at(tx, *own)
    floor = now - LOOKS_BACK
    found: list[Diagnosis] = []
    for code in look.TRACES:
        since = max(floor, mended.get(code, floor)) if FAULTS[code].is_trace else floor
        if (traces := await look.seen(tx, *own, code, since, now)) is not None:
            found.append(diagnose(code, connection.connection_id, traces))
    rhythm = await look.rhythm(tx, *own, floor)
    if is_silent(rhythm, int(now.timestamp())):
        found.append(diagnose("silent", connection.connection_id, Seen(1, rhythm.last_at, rhythm.last_at, ())))
    found.extend(await _on_the_way(tx, own, mended, floor))
    found.extend(await _of_sessions(tx, own, mended, floor))
    if pairs := codes_alike(await look.active_codes(tx, *own)):
        shown = tuple(f"{a} = {b}" for a, b in pairs[:5])
        found.append(diagnose("codes_alike", connection.connection_id, Seen(len(pairs), None, None, shown)))
    found.extend(await _secrets(tx, own, vault, now))
    found.extend(await _problems(tx, own))
    found.sort(key=lambda row: (("error", "warning", "notice").index(row.severity), list(FAULTS).index(row.code)
                                if row.code in FAULTS else -1))  # fmt: skip
    types = await look.deliveries(tx, *own, floor)
    return Examination(connection.connection_id, now, tuple(found), tuple(types), rhythm)


async def examine_books(tx: Connection, organization_id: str) -> list[Diagnosis]:
    """Every invariant of the organization's books that does not hold."""
    broken = [finding for finding in await check_invariants(tx, organization_id) if not finding.ok]
    shown = tuple(f"{finding.name}: {finding.detail}" for finding in broken)
    return [diagnose("broken_invariant", "", Seen(len(broken), None, None, shown))] if broken else []


async def _on_the_way(
    tx: Connection, own: tuple[str, str], mended: dict[str, datetime], floor: datetime
) -> list[Diagnosis]:
    seen: dict[str, dict[str, tuple[int, str]]] = {"misspelt_key": {}, "blank_reference": {}}
    for received_at, body in await look.carrier_bodies(tx, *own, floor, _MOST_EVENTS):
        for fault in carrier_faults(body):
            if received_at > mended.get(fault.code, floor):
                shown = f"{fault.stripe_id} ({fault.detail})" if fault.detail else fault.stripe_id
                seen[fault.code].setdefault(fault.stripe_id, (int(received_at.timestamp()), shown))
    return [diagnose(code, own[1], _seen(list(rows.values()))) for code, rows in seen.items() if rows]


async def _of_sessions(
    tx: Connection, own: tuple[str, str], mended: dict[str, datetime], floor: datetime
) -> list[Diagnosis]:
    since = max(floor, mended.get("no_carriers", floor))
    rows = [
        (fact, at)
        for fact, at in await look.session_facts(tx, *own, floor, _MOST_SESSIONS)
        if isinstance(fact.state, SessionState) and fact.state.status == "complete"
    ]
    found: list[Diagnosis] = []
    recent = [(fact, at) for fact, at in rows if at > since.timestamp()]
    has_codes = len(recent) >= ENOUGH_SESSIONS and bool(await look.active_codes(tx, *own))
    if has_codes and not any(fact.carriers for fact, _ in recent):
        found.append(diagnose("no_carriers", own[1], _seen([(at, fact.stripe_id) for fact, at in recent])))
    floor_s = max(floor, mended.get("session_metadata_only", floor)).timestamp()
    alone = await _only_on_session(tx, own, [(fact, at) for fact, at in rows if at > floor_s])
    if alone:
        found.append(diagnose("session_metadata_only", own[1], _seen(alone)))
    return found


async def _only_on_session(
    tx: Connection, own: tuple[str, str], rows: Sequence[tuple[Fact, int]]
) -> list[tuple[int, str]]:
    started = {
        link: (at, fact.stripe_id)
        for fact, at in rows
        if any(carrier.kind is CarrierKind.SESSION_METADATA for carrier in fact.carriers)
        for link in fact.links
        if link.startswith("sub_")
    }
    known = await look.facts_by_id(tx, *own, started.keys()) if started else []
    return [started[fact.stripe_id] for fact in known if fact.state is not None and not fact.carriers]


def _seen(rows: Sequence[tuple[int, str]]) -> Seen:
    ordered = sorted(rows, reverse=True)
    return Seen(len(rows), ordered[-1][0], ordered[0][0], tuple(subject for _, subject in ordered[:5]))


async def _secrets(tx: Connection, own: tuple[str, str], vault: Vault, now: datetime) -> list[Diagnosis]:
    unreadable = []
    for kind in ("webhook", "api_key"):
        for secret in await connections.valid_secrets(tx, *own, kind, now):
            place = Place(secret.organization_id, secret.connection_id, secret.secret_id)
            try:
                vault.open(Sealed(secret.key_id, secret.nonce, secret.ciphertext), place)
            except VaultError as error:
                unreadable.append((int(secret.created_at.timestamp()), f"{kind} …{secret.hint}: {error}"))
    return [diagnose("secret_unreadable", own[1], _seen(unreadable))] if unreadable else []


async def _problems(tx: Connection, own: tuple[str, str]) -> list[Diagnosis]:
    return [
        Diagnosis(
            code=problem.code,
            connection_id=own[1],
            area="stripe",
            severity="error" if PROBLEMS[problem.code].stops_calls else "warning",
            sentence=f"{PROBLEMS[problem.code].title}.",
            count=1,
            first_at=int(problem.began_at.timestamp()),
            last_at=None,
            evidence=(problem.detail,) if problem.detail else (),
            fix=Fix(sentence=PROBLEMS[problem.code].remedy, label="Open the integrations", href="/integrations"),
        )
        for problem in await connection_health.open_problems(tx, *own)
        if problem.code in PROBLEMS
    ] + list(_doubles(await connection_health.seen_check(tx, *own, "endpoint"), own[1]))


def _doubles(check: connection_health.SeenCheck | None, connection_id: str) -> Iterator[Diagnosis]:
    """What the last look at Stripe's endpoints said of further ones."""
    if check is None:
        return
    for row in check.body.get("findings", ()):
        if row.get("code") == "several_endpoints":
            at = int(check.checked_at.timestamp())
            yield diagnose("several_endpoints", connection_id, Seen(1, at, at, tuple(row.get("names", ()))))
