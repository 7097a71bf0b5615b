"""Worlds in a real database: the set-up as rows, facts through `settle` in any order and batches, and what was booked.

Many worlds share one database, each as an organization of its own. Time is what the tests say it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

from oracle.agreement import Told, in_words
from oracle.rendering import PROGRAM
from oracle.worlds import Participant, World
from refref.core.backtest import Summary
from refref.core.decisions import Decision, decode_decision
from refref.core.facts import Fact
from refref.core.findings import Finding
from refref.core.rate_files import RateRow
from refref.core.refusals import Refused
from refref.core.scopes import absorb
from refref.core.terms import terms_to_json
from refref.db import due, facts, participants, profiles, programs, rates, reviews
from refref.db.pool import Connection, Database, lock_books
from refref.flows.connections import NewConnection, create_connection
from refref.flows.invariants import check_invariants
from refref.flows.payouts import record_payout
from refref.flows.rebuild import judge_everything
from refref.flows.settle import Incoming, difference, settle
from refref.ids import new_id
from refref.settings import MasterKey
from refref.vault import Vault
from stories.backtesting import changes_by_the_same_terms

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_DAYS_TO_1970 = date(1970, 1, 1).toordinal()


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


@dataclass(frozen=True)
class Shop:
    """A world's organization and connection."""

    organization_id: str
    connection_id: str


class Bookkeeper:
    """RefRef's flows on one database. Call `close` at the end."""

    def __init__(self, dsn: str) -> None:
        self._runner = asyncio.Runner()
        self._database: Database = self._runner.run(Database.open(dsn, max_size=2))
        self._vault = Vault([MasterKey("k1", b"k" * 32)])

    def close(self) -> None:
        self._runner.run(self._database.close())
        self._runner.close()

    def open(self, world: World) -> Shop:
        """Set up the world's merchant."""
        return self._runner.run(self._open(world))

    def settle(self, shop: Shop, told: Sequence[Fact], now: int) -> None:
        """One delivery: these facts at this instant."""
        self._runner.run(self._settle(shop, told, now))

    def finish(self, shop: Shop, now: int) -> None:
        """Let the worker's turns pass until nothing is left to do at `now`."""
        self._runner.run(self._finish(shop, now))

    def pay(self, shop: Shop, now: int) -> None:
        """Pay everybody all that is payable."""
        self._runner.run(self._pay(shop, now))

    def paid(self, shop: Shop) -> dict[tuple[str, str, str], tuple[int, int]]:
        """Of what was paid out, in part or whole: (conversion, rule, beneficiary) -> amount, taken back."""
        return self._runner.run(self._paid(shop))

    def told(self, shop: Shop) -> Told:
        """What the books say."""
        return self._runner.run(self._told(shop))

    def rebuilt(self, shop: Shop, now: int) -> list[str]:
        """What deriving everything anew from the stored facts would change: nothing, if the books are right."""
        return self._runner.run(self._rebuilt(shop, now))

    def backtests(self, shop: Shop) -> list[Summary]:
        """The backtests with the same terms that find a change."""
        return self._runner.run(self._backtests(shop))

    def broken(self, shop: Shop) -> list[Finding]:
        """The invariants that do not hold."""
        return self._runner.run(self._broken(shop))

    async def _open(self, world: World) -> Shop:
        organization_id = new_id("organization")
        async with self._database.reference() as tx:
            await tx.execute("insert into organization values ($1, 'Oracle')", organization_id)
        async with self._database.tenant(organization_id) as tx:
            given = NewConnection(name="Oracle", mode="test", webhook_secret="whsec_" + "s" * 32, api_key=None)
            made = await create_connection(tx, self._vault, organization_id, given, actor="system", now=EPOCH)
            shop = Shop(organization_id, made.connection_id)
            await _insert_program(tx, shop, world)
            for person in world.participants:
                await _insert_participant(tx, shop, person)
            await _insert_reviews(tx, shop, world)
            if any(version.terms.currency.conversion == "daily" for version in world.versions):
                await _insert_rates(tx, shop, world)
        return shop

    async def _settle(self, shop: Shop, told: Sequence[Fact], now: int) -> None:
        async with self._database.tenant(shop.organization_id) as tx:
            await lock_books(tx, shop.connection_id)
            dirty = await facts.take_dirty(tx, shop.organization_id, shop.connection_id, 3)
            own = (shop.organization_id, shop.connection_id)
            await settle(tx, *own, [Incoming(told, None)], now, scope_ids=dirty)

    async def _finish(self, shop: Shop, now: int) -> None:
        own = (shop.organization_id, shop.connection_id)
        for _ in range(1_000):
            async with self._database.tenant(shop.organization_id) as tx:
                await lock_books(tx, shop.connection_id)
                scopes = await facts.take_dirty(tx, *own, 3) or await due.maturing_scopes(tx, *own, now, 3)
                if not scopes:
                    return
                await settle(tx, *own, [], now, scope_ids=scopes)
        raise AssertionError("the books do not come to rest")

    async def _pay(self, shop: Shop, now: int) -> None:
        async with self._database.tenant(shop.organization_id) as tx:
            owed = await tx.fetch(
                "select beneficiary_id, currency from reward where status = 'payable' and beneficiary_id like 'ptc%'"
                " group by 1, 2 having sum(amount_minor - reversed_minor - paid_minor) > 0 order by 1, 2"
            )
            for participant_id, currency in owed:
                with suppress(Refused):  # what went back of earlier payouts may be more
                    await record_payout(
                        tx,
                        shop.organization_id,
                        participant_id,
                        currency=currency,
                        amount_minor=None,
                        actor="system",
                        now=_instant(now),
                    )

    async def _paid(self, shop: Shop) -> dict[tuple[str, str, str], tuple[int, int]]:
        async with self._database.tenant(shop.organization_id) as tx:
            rows = await tx.fetch(
                "select payment_key, rule_id, beneficiary_id, amount_minor, reversed_minor from reward"
                " where paid_minor > 0"
            )
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}

    async def _told(self, shop: Shop) -> Told:
        async with self._database.tenant(shop.organization_id) as tx:
            bodies = await tx.fetch("select body from decision where program_id = $1", PROGRAM)
            rows = await tx.fetch(
                "select payment_key, rule_id, beneficiary_id, currency, amount_minor, reversed_minor, status"
                " from reward"
            )
        rewards: dict[tuple[str, str], list[tuple[str, str, int, int, str]]] = {}
        for key, rule_id, *rest in rows:
            rewards.setdefault((key, rule_id), []).append((rest[0], rest[1], rest[2], rest[3], rest[4]))
        told: Told = {}
        for body in bodies:
            decision = decode_decision(body[0])
            if decision.participant_id:
                told |= _told_of(decision, rewards)
        for left in rewards.values():
            # No decision speaks of these any more: they were taken back whole, or had expired.
            is_gone = [status in ("reversed", "expired") and amount == back for _, _, amount, back, status in left]
            assert all(is_gone), left
        return told

    async def _rebuilt(self, shop: Shop, now: int) -> list[str]:
        own = (shop.organization_id, shop.connection_id)
        async with self._database.tenant(shop.organization_id) as tx:
            judged = await judge_everything(tx, *own)
            scopes = await facts.scopes_after(tx, *own, "", 1_000)
            rows = await facts.facts_of_scopes(tx, *own, stripe_ids=(), scope_ids=scopes)
            merged = absorb([(row.fact, row.scope_id) for row in rows], [])
            changes = await difference(tx, *own, merged, set(scopes), now, judged=judged)
        found = [f"reward {one.payment_key} {one.rule_id}" for one, _ in (*changes.added, *changes.changed)]
        found += [f"decision {decision.payment_key}" for decision, *_ in changes.decisions]
        return found + [f"dropped {key}" for key, _ in changes.dropped] + [f"undone {one}" for one in changes.undone]

    async def _backtests(self, shop: Shop) -> list[Summary]:
        async with self._database.tenant(shop.organization_id) as tx:
            return await changes_by_the_same_terms(tx, shop.organization_id, shop.connection_id)

    async def _broken(self, shop: Shop) -> list[Finding]:
        async with self._database.tenant(shop.organization_id) as tx:
            return [one for one in await check_invariants(tx, shop.organization_id) if not one.ok]


def _told_of(decision: Decision, rewards: dict[tuple[str, str], list[tuple[str, str, int, int, str]]]) -> Told:
    told: Told = {}
    if decision.reason and not decision.rules:
        told[decision.payment_key, ""] = decision.reason
    for rule in decision.rules:
        key = decision.payment_key, rule.rule_id
        if rule.reason and rule.reason != "no_rule_applies":
            told[key] = rule.reason
        of_rule = rewards.get(key, [])
        named = {part[0] for part in rule.parts}
        given = [row for row in of_rule if row[0] in named]
        rewards[key] = [row for row in of_rule if row[0] not in named]
        if given:
            told[key] = in_words([row[:4] for row in given], given[0][4])
    return told


async def _insert_program(tx: Connection, shop: Shop, world: World) -> None:
    own = (shop.organization_id, PROGRAM)
    await programs.insert_program(tx, programs.Program(*own, shop.connection_id, "Oracle", "active", EPOCH))
    changes = [(EPOCH, "active")]
    for start, end in world.pauses:
        changes += [(_instant(start), "paused"), *([(_instant(end), "active")] if end is not None else [])]
    if world.archived_at is not None:
        changes.append((_instant(world.archived_at), "archived"))
    for at, status in sorted(changes):
        await programs.insert_status(tx, *own, programs.StatusChange(at, status))
    for version in world.versions:
        body = terms_to_json(version.terms)
        stored = programs.StoredTerms(*own, version.version, _instant(version.effective_at), body, EPOCH)
        await programs.insert_terms(tx, stored)


async def _insert_participant(tx: Connection, shop: Shop, person: Participant) -> None:
    organization_id, connection_id, owner = shop.organization_id, shop.connection_id, person.participant_id
    email = person.email or f"{person.code}@{person.code}.example"  # every participant has one in the books
    made = participants.Participant(
        organization_id, owner, PROGRAM, connection_id, person.kind, person.code, email, "active", EPOCH
    )
    await participants.insert_participant(tx, made)
    ended_at = None if person.ended_at is None else _instant(person.ended_at)
    for kind, code in (("refcode", person.code), ("promotion_code", person.promotion_code)):
        if code:
            row = participants.ParticipantCode(
                organization_id, connection_id, code, kind, code, PROGRAM, owner, EPOCH, ended_at
            )
            await participants.insert_code(tx, row)
    for told in person.profiles:
        since_at = _instant(told.since_at)
        await profiles.insert_profile(
            tx, profiles.Profile(organization_id, owner, since_at, told.groups, told.country or "")
        )
    if person.ip:
        await tx.execute("insert into participant_ip values ($1, $2, $3, $4)", organization_id, owner, person.ip, EPOCH)


async def _insert_reviews(tx: Connection, shop: Shop, world: World) -> None:
    rows = [
        reviews.ReviewEntry(new_id("review"), reviews.Subject(PROGRAM, rule_id, key, "", ""), verdict)
        for (key, rule_id), verdict in world.reviews.items()
    ]
    own = (shop.organization_id, shop.connection_id)
    await reviews.insert_reviews(tx, *own, rows, reason="a sample", actor="system", at=EPOCH)


async def _insert_rates(tx: Connection, shop: Shop, world: World) -> None:
    rows = [
        RateRow(date.fromordinal(day + _DAYS_TO_1970), source, target, rate)
        for (source, target, day), rate in world.rates.items()
    ]
    days = [row.day for row in rows]
    upload = rates.RateUpload(1, "csv", "sample.csv", min(days), max(days), len(rows), 0, 0, "system", EPOCH)
    await rates.insert_upload(tx, shop.organization_id, upload, None, rows)
