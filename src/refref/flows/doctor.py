"""Doctor: every fault of a connection that RefRef knows, with evidence and fix. Reads only; asks nobody outside.

A further check is a row of core.known_faults.FAULTS and a query of db.doctor_traces.TRACES.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from refref.core.connection_health import PROBLEMS
from refref.core.diagnoses import (
    Diagnosis,
    Seen,
    are_two_sales,
    codes_alike,
    diagnose,
    is_no_code,
    is_silent,
    without_own_ids,
)
from refref.core.facts import CarrierKind, Fact, SessionState
from refref.core.known_faults import FAULTS, Fix
from refref.db import connection_health, connections, event_polls, platform
from refref.db import doctor as look
from refref.db.connections import StripeConnection
from refref.db.doctor import Tell, TypeLine
from refref.db.doctor_traces import OF_WEBHOOKS, TRACES
from refref.db.event_polls import EventPoll
from refref.db.pool import Connection
from refref.flows.invariants import check_invariants
from refref.stripe.readers.carrier_faults import carrier_faults
from refref.vault import Place, Sealed, Vault, VaultError

LOOKS_BACK = timedelta(days=30)
_MOST_EVENTS = 500
_MOST_SESSIONS = 300
ENOUGH_SESSIONS = 20
_MOST_ACCOUNTS = 1000
_FRESH = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found on one connection, the worst first, and which webhooks came."""

    connection_id: str
    examined_at: datetime
    diagnoses: Sequence[Diagnosis]
    deliveries: Sequence[TypeLine]


@dataclass(frozen=True, slots=True)
class _Case:
    """A connection that is examined: since when a fault counts, and whether Stripe's list of events is seen."""

    connection: StripeConnection
    poll: EventPoll
    mended: Mapping[str, datetime]
    floor: datetime
    now: datetime

    @property
    def own(self) -> tuple[str, str]:
        return self.connection.organization_id, self.connection.connection_id

    def since(self, code: str) -> datetime:
        return max(self.floor, self.mended.get(code, self.floor)) if FAULTS[code].is_trace else self.floor

    @property
    def sees_the_list(self) -> bool:
        """Whether the list was read lately, so that a quiet shop is known to be just that."""
        read_at = self.poll.checked_at
        return not self.poll.attempts and read_at is not None and self.now - read_at < _FRESH

    def diagnose(self, code: str, seen: Seen) -> Diagnosis:
        return diagnose(code, self.connection.connection_id, seen)


async def examine_connection(
    tx: Connection, organization_id: str, connection: StripeConnection, vault: Vault, *, now: datetime
) -> Examination:
    """Look for every fault of FAULTS, and the open problems of the connection; of a disabled one nothing is expected.
    `now` by our own clock."""
    own = (organization_id, connection.connection_id)
    poll = await event_polls.poll_of(tx, *own)
    case = _Case(connection, poll, await look.mended_at(tx, *own), now - LOOKS_BACK, now)
    found: list[Diagnosis] = []
    if connection.status != "disabled":
        found.extend([row async for row in _all_of(tx, case, vault)])
    found.sort(key=lambda row: (("error", "warning", "notice").index(row.severity), list(FAULTS).index(row.code)
                                if row.code in FAULTS else -1))  # fmt: skip
    types = await look.deliveries(tx, *own, case.floor)
    return Examination(connection.connection_id, now, tuple(found), tuple(types))


async def _all_of(tx: Connection, case: _Case, vault: Vault) -> AsyncIterator[Diagnosis]:
    for code in TRACES:
        if (code in OF_WEBHOOKS and case.poll.is_intake) or (code == "nothing_arrived" and case.sees_the_list):
            continue
        if (traces := await look.seen(tx, *case.own, code, case.since(code), case.now)) is not None:
            yield case.diagnose(code, traces)
    # Nobody expects a test mode to be busy; and where the list is seen, it tells whether something is missing.
    is_busy = case.connection.mode == "live" and not case.poll.is_intake and not case.sees_the_list
    if is_busy:
        rhythm = await look.rhythm(tx, *case.own, case.floor)
        if is_silent(rhythm, int(case.now.timestamp())):
            yield case.diagnose("silent", Seen(1, rhythm.last_at, rhythm.last_at, ()))
    for look_at in (_on_the_way, _of_sessions, _of_codes, _of_sales):
        for diagnosis in await look_at(tx, case):
            yield diagnosis
    for diagnosis in (*await _secrets(tx, case.own, vault, case.now), *await _problems(tx, case.own)):
        yield diagnosis


async def examine_platform(connection: Connection, *, now: datetime) -> list[Diagnosis]:
    """What the platform's own endpoints hear of accounts that nobody has connected: for the operator's eyes alone."""
    strays = await platform.stray_accounts(connection, now - LOOKS_BACK, _MOST_ACCOUNTS)
    rows = [
        (int(row.last_at.timestamp()),
         f"{row.stripe_account_id or 'the platform itself'} ({row.mode} mode): {row.event_count} events")
        for row in strays
    ]  # fmt: skip
    return [diagnose("stray_accounts", "", _seen(rows))] if rows else []


async def examine_books(tx: Connection, organization_id: str) -> list[Diagnosis]:
    """Every invariant of the organization's books that does not hold."""
    broken = [finding for finding in await check_invariants(tx, organization_id) if not finding.ok]
    shown = tuple(f"{finding.name}: {finding.detail}" for finding in broken)
    return [diagnose("broken_invariant", "", Seen(len(broken), None, None, shown))] if broken else []


async def _on_the_way(tx: Connection, case: _Case) -> list[Diagnosis]:
    """Misspelt keys and blank identifiers in the latest events."""
    seen: dict[str, dict[str, tuple[int, str]]] = {"misspelt_key": {}, "blank_reference": {}}
    for received_at, body in await look.carrier_bodies(tx, *case.own, case.floor, _MOST_EVENTS):
        for fault in carrier_faults(body):
            if received_at > case.since(fault.code):
                shown = f"{fault.stripe_id} ({fault.detail})" if fault.detail else fault.stripe_id
                seen[fault.code].setdefault(fault.stripe_id, (int(received_at.timestamp()), shown))
    return [case.diagnose(code, _seen(list(rows.values()))) for code, rows in seen.items() if rows]


async def _of_sessions(tx: Connection, case: _Case) -> list[Diagnosis]:
    """What the latest checkout sessions tell: types that do not come, no carriers, carriers on the session alone."""
    rows = [
        (fact, at)
        for fact, at in await look.session_facts(tx, *case.own, case.floor, _MOST_SESSIONS)
        if isinstance(fact.state, SessionState) and fact.state.status == "complete"
    ]
    found: list[Diagnosis] = []
    if not case.poll.is_intake:
        tells = [Tell(needed, fact.stripe_id, at) for fact, at in rows for needed in _needed_by(fact)]
        missing = await look.missing_types(tx, *case.own, tells, case.floor, case.now)
        if missing:
            found.append(case.diagnose("type_missing", _seen(missing)))
    if bare := await _without_carriers(tx, case, rows):
        found.append(case.diagnose("no_carriers", _seen(bare)))
    floor_s = case.since("session_metadata_only").timestamp()
    alone = await _only_on_session(tx, case.own, [(fact, at) for fact, at in rows if at > floor_s])
    if alone:
        found.append(case.diagnose("session_metadata_only", _seen(alone)))
    return found


def _needed_by(session: Fact) -> Sequence[str]:
    """The types of events that come with a session that was paid."""
    state = session.state
    if not isinstance(state, SessionState) or state.payment_status != "paid":
        return ()
    if state.mode == "subscription":
        return ("customer.subscription.created", "invoice.paid")
    return ("charge.succeeded",) if state.mode == "payment" and state.amount_total else ()


async def _without_carriers(tx: Connection, case: _Case, rows: Sequence[tuple[Fact, int]]) -> Sequence[tuple[int, str]]:
    """The sessions since there are codes, where there are many and nobody was referred by whatever other way."""
    first_code_at = await look.first_code_at(tx, *case.own)
    if first_code_at is None:
        return ()
    since = max(case.since("no_carriers"), first_code_at)
    recent = [
        (fact, at)
        for fact, at in rows
        if at > since.timestamp() and isinstance(fact.state, SessionState) and fact.state.mode != "setup"
    ]
    if len(recent) < ENOUGH_SESSIONS or any(fact.carriers for fact, _ in recent):
        return ()
    if await look.has_new_referrals(tx, *case.own, since):
        return ()
    return [(at, fact.stripe_id) for fact, at in recent]


async def _of_codes(tx: Connection, case: _Case) -> list[Diagnosis]:
    """Codes that nobody owns, and codes that can be mistaken for one another."""
    found: list[Diagnosis] = []
    strays = await look.stray_codes(tx, *case.own, case.since("unknown_codes"), case.now)
    meant = without_own_ids([(row.code, row.scope_count) for row in strays if not is_no_code(row.code)])
    if unknown := [row for row in strays if row.code in meant]:
        shown = [(row.noted_at, row.code) for row in unknown]
        found.append(case.diagnose("unknown_codes", _seen(shown)))
    if pairs := codes_alike(await look.active_codes(tx, *case.own)):
        examples = tuple(f"{a} = {b}" for a, b in pairs[:5])
        found.append(case.diagnose("codes_alike", Seen(len(pairs), None, None, examples)))
    return found


async def _of_sales(tx: Connection, case: _Case) -> list[Diagnosis]:
    """Payments that may be one sale under two ids."""
    pairs = await look.payments_alike(tx, *case.own, case.since("sale_twice"))
    alike = [
        (at, f"{a.payment_key} = {b.payment_key}") for at, a, b in pairs if not are_two_sales(a.ids, b.ids)
    ]  # fmt: skip
    return [case.diagnose("sale_twice", _seen(alike))] if alike else []


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
