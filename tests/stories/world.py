"""Where stories happen: RefRef's own app and pump on real PostgreSQL, and the sandbox as its Stripe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from refref.core.decisions import decode_decision
from refref.core.facts import CarrierKind, SubscriptionState, decode_fact
from refref.core.terms import Terms
from refref.db import profiles
from refref.db.pool import Database
from refref.flows.attribute import attribute_customer
from refref.flows.connections import NewConnection, create_connection
from refref.flows.invariants import check_invariants
from refref.flows.ip_hashes import hash_ip, note_participant_ip
from refref.flows.participants import add_code, create_participant, deactivate_code
from refref.flows.programs import create_program, publish_terms
from refref.flows.rebuild import rebuild_verify
from refref.flows.replay import replay_events
from refref.ids import new_id
from refref.sandbox import Sandbox
from refref.sandbox.deliveries import render_event_bytes, sign
from refref.sandbox.wire import create_app
from refref.settings import MasterKey
from refref.vault import Vault
from refref.web.intake import Intake
from refref.worker.clock import mature_due
from refref.worker.fetcher import fetch_due
from refref.worker.pump import pump_once
from refref.worker.rereader import read_again_due
from stories.backtesting import changes_by_the_same_terms
from stories.crashing import CrashingDatabase, Killed
from stories.port import StripePort

if TYPE_CHECKING:
    from stories.story import Story

T = TypeVar("T")
SECRET = "whsec_" + "s" * 32
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Merchant:
    organization_id: str
    connection_id: str
    now: int = 0
    has_api: bool = False


class World:
    """RefRef in this process. `run` runs one coroutine on the world's event loop."""

    def __init__(self, dsn: str) -> None:
        self._runner = asyncio.Runner()
        self.database: Database = self.run(Database.open(dsn, max_size=4))
        self.vault = Vault([MasterKey("k1", b"k" * 32)])
        self.intake = Intake(self.database, self.vault)
        self.port = StripePort()

    def close(self) -> None:
        self.run(self.port.close())
        self.run(self.intake.close())
        self.run(self.database.close())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives."""
        return self._runner.run(work)

    # Set-up ---------------------------------------------------------------------------------------------------------

    def create_merchant(self, sandbox: Sandbox, *, has_api: bool = False) -> Merchant:
        """An organization with one connection; `has_api`: with a key, by which RefRef can ask the sandbox."""
        return self.run(self._create_merchant(sandbox, has_api))

    async def _create_merchant(self, sandbox: Sandbox, has_api: bool) -> Merchant:
        organization_id = new_id("organization")
        key = await self.port.open(create_app(sandbox)) if has_api else None
        given = NewConnection(
            name="Story", mode="test", webhook_secret=SECRET, api_key=key, api_base=self.port.url if key else None
        )
        async with self.database.reference() as tx:
            await tx.execute("insert into organization values ($1, 'Story')", organization_id)
        async with self.database.tenant(organization_id) as tx:
            made = await create_connection(tx, self.vault, organization_id, given, actor="system", now=EPOCH)
        return Merchant(organization_id, made.connection_id, sandbox.now, has_api)

    def create_program(self, merchant: Merchant, name: str, terms: Terms, effective_at: int) -> str:
        async def work() -> str:
            async with self.database.tenant(merchant.organization_id) as tx:
                program, _ = await create_program(
                    tx,
                    merchant.organization_id,
                    connection_id=merchant.connection_id,
                    name=name,
                    terms=terms,
                    effective_at=datetime.fromtimestamp(effective_at, UTC),
                    actor="system",
                    now=EPOCH,
                )
            return program.program_id

        return self.run(work())

    def publish(self, merchant: Merchant, program_id: str, terms: Terms, effective_at: int) -> None:
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                await publish_terms(
                    tx,
                    merchant.organization_id,
                    program_id,
                    terms=terms,
                    effective_at=datetime.fromtimestamp(effective_at, UTC),
                    actor="system",
                    now=EPOCH,
                )

        self.run(work())

    def set_profile(self, merchant: Merchant, participant_id: str, **profile: Any) -> None:
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                made = profiles.Profile(merchant.organization_id, participant_id, EPOCH, **profile)
                await profiles.insert_profile(tx, made)

        self.run(work())

    def create_participant(
        self, merchant: Merchant, program_id: str, refcode: str, email: str, promotion_code: str | None, ip: str = ""
    ) -> str:
        async def work() -> str:
            async with self.database.tenant(merchant.organization_id) as tx:
                made, _ = await create_participant(
                    tx,
                    merchant.organization_id,
                    program_id=program_id,
                    kind="affiliate",
                    name=refcode,
                    email=email,
                    refcode=refcode,
                    actor="system",
                    now=EPOCH,
                )
                if ip:
                    await note_participant_ip(
                        tx, self.vault, merchant.organization_id, made.participant_id, ip, now=EPOCH
                    )
            return made.participant_id

        participant_id = self.run(work())
        if promotion_code:
            self.add_promotion_code(merchant, participant_id, promotion_code)
        return participant_id

    def add_promotion_code(self, merchant: Merchant, participant_id: str, promotion_code: str) -> None:
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                await add_code(
                    tx,
                    merchant.organization_id,
                    participant_id,
                    code_kind="promotion_code",
                    code=promotion_code,
                    actor="system",
                    now=EPOCH,
                )

        self.run(work())

    def deactivate(self, merchant: Merchant, participant_id: str, code: str) -> None:
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                await deactivate_code(
                    tx,
                    merchant.organization_id,
                    participant_id,
                    code,
                    actor="system",
                    now=datetime.fromtimestamp(merchant.now, UTC),
                )

        self.run(work())

    def tell(
        self, merchant: Merchant, customer: str, code: str, clicked_at: int | None, kind: str, ip: str = ""
    ) -> None:
        async def work() -> None:
            own = (merchant.organization_id, merchant.connection_id)
            async with self.database.tenant(merchant.organization_id) as tx:
                await attribute_customer(
                    tx,
                    *own,
                    ip_hash=await hash_ip(tx, self.vault, *own, ip, now=EPOCH) if ip else "",
                    stripe_customer_id=customer,
                    code=code,
                    clicked_at=clicked_at,
                    kind=CarrierKind(kind),
                    actor="system",
                    now=merchant.now,
                )

        self.run(work())

    def set_clock(self, merchant: Merchant, now: int) -> None:
        """Let the connection's (test) clock show the sandbox's instant."""
        merchant.now = now

    # Deliveries -----------------------------------------------------------------------------------------------------

    def deliver(self, merchant: Merchant, events: Sequence[tuple[dict[str, Any], str]], story: Story) -> None:
        """Post events (each in its API version) to the intake and let the worker's parts work on them."""
        self.run(self._deliver(merchant, events, story))

    async def _deliver(self, merchant: Merchant, events: Sequence[tuple[dict[str, Any], str]], story: Story) -> None:
        for start in range(0, len(events), 20):
            batch = events[start : start + 20]
            answers = await asyncio.gather(*[self._post(merchant, event, version) for event, version in batch])
            assert all(status == 200 for status in answers), answers
            if story.mode.name != "calm" and story.rng.random() < 0.3:
                continue  # let some wait for the next turn
            await self._pump(merchant, story)
        await self._pump(merchant, story)
        if merchant.has_api:
            await self._fetch(merchant, story)
        async with self.database.tenant(merchant.organization_id) as tx:
            is_due = await tx.fetchval(
                "select exists (select from reward where status = 'pending' and hold_until <= to_timestamp($1)"
                " or expires_at <= to_timestamp($1) and status in ('pending', 'payable', 'held'))",
                merchant.now,
            )
        if is_due:
            await mature_due(self.database, lambda: merchant.now)

    async def _post(self, merchant: Merchant, event: dict[str, Any], version: str) -> int:
        body = render_event_bytes(event, version)
        header = sign(body, SECRET, int(time.time()))
        return (await self.intake.take(merchant.connection_id, header.encode(), body)).status

    async def _pump(self, merchant: Merchant, story: Story) -> None:
        while await read_again_due(self.database):
            pass
        if story.mode.is_crashing:
            crashing = CrashingDatabase(self.database, story.rng)
            while crashing.crashes < 3:
                try:
                    if not (await pump_once(crashing, lambda: merchant.now)).events:
                        break
                except Killed:
                    continue
        while (await pump_once(self.database, lambda: merchant.now)).events:
            pass

    async def _fetch(self, merchant: Merchant, story: Story) -> None:
        """Let the needs that were noted fall due (they wait two seconds) and be answered by the sandbox's API."""
        async with self.database.tenant(merchant.organization_id) as tx:
            await tx.execute("update open_need set due_at = now() where due_at < 'infinity'")
        if story.mode.is_crashing:
            crashing = CrashingDatabase(self.database, story.rng)
            while crashing.crashes < 2:
                try:
                    if not await fetch_due(crashing, self.vault, lambda: merchant.now):
                        break
                except Killed:
                    continue
        while await fetch_due(self.database, self.vault, lambda: merchant.now):
            pass
        await self._pump(merchant, story)

    # Looking --------------------------------------------------------------------------------------------------------

    def fetch(self, merchant: Merchant, query: str, *args: object) -> list[asyncpg.Record]:
        async def work() -> list[asyncpg.Record]:
            async with self.database.tenant(merchant.organization_id) as tx:
                return await tx.fetch(query, *args)

        return self.run(work())

    def rewards(self, merchant: Merchant, beneficiary_id: str) -> list[asyncpg.Record]:
        """A beneficiary's rewards in order of payment (of one second: of amount); without those that were taken back
        whole because what was learnt later left no ground for them (another participant, payment or rule)."""
        rows = self.fetch(
            merchant,
            "select r.amount_minor, r.reversed_minor, r.status, r.currency, r.rule_id, d.body from reward r"
            " left join decision d using (organization_id, connection_id, payment_key, program_id)"
            " where beneficiary_id = $1 order by r.occurred_at, r.amount_minor, r.currency, r.payment_key",
            beneficiary_id,
        )
        return [row for row in rows if row["status"] != "reversed" or self._has_ground(row, beneficiary_id)]

    def _has_ground(self, reward: asyncpg.Record, beneficiary_id: str) -> bool:
        rules = decode_decision(reward["body"]).rules if reward["body"] else ()
        return any(
            rule.rule_id == reward["rule_id"] and any(part[0] == beneficiary_id for part in rule.parts)
            for rule in rules
        )

    def refusals(self, merchant: Merchant) -> list[str]:
        rows = self.fetch(merchant, "select reason from decision where outcome <> 'rewarded' order by reason")
        return [row[0] for row in rows]

    def referral_counts(self, merchant: Merchant) -> dict[tuple[str, str], int]:
        rows = self.fetch(merchant, "select participant_id, status, count(*) from referral group by 1, 2")
        return {(row[0], row[1]): row[2] for row in rows}

    def balances(self, merchant: Merchant, participant_id: str) -> dict[tuple[str, str], int]:
        """What the ledger says of a participant: (account, currency) -> minor units, without empty accounts."""
        rows = self.fetch(
            merchant,
            "select account, currency, balance_minor from ledger_balance where owner_id = $1 and balance_minor <> 0",
            participant_id,
        )
        return {(row[0], row[1]): row[2] for row in rows}

    def subscription(self, merchant: Merchant, stripe_id: str) -> SubscriptionState:
        rows = self.fetch(merchant, "select body from fact where stripe_id = $1", stripe_id)
        state = decode_fact(rows[0][0]).state
        assert isinstance(state, SubscriptionState)
        return state

    def stored_twice(self, merchant: Merchant) -> list[str]:
        rows = self.fetch(merchant, "select stripe_event_id from stripe_event group by 1 having count(*) > 1")
        return [row[0] for row in rows]

    def books(self, merchant: Merchant) -> list[list[tuple[Any, ...]]]:
        """The books without ids that are ours: what must be the same however the events came."""
        return [
            [tuple(row) for row in self.fetch(merchant, query)]
            for query in (
                "select participant_id, payment_key, rule_id, currency, amount_minor, reversed_minor, paid_minor,"
                " status, hold_until from reward where reversed_minor < amount_minor order by 1, 2, 3",
                "select owner_id, account, currency, balance_minor from ledger_balance where balance_minor <> 0"
                " order by 1, 2, 3",
                "select payment_key, program_id, outcome, reason, digest from decision order by 1, 2",
                "select referee_id, participant_id, status from referral order by 1, 2",
            )
        ]

    def explain(self, merchant: Merchant) -> str:
        lines = [
            *self.fetch(
                merchant,
                "select payment_key, outcome, reason, paid_minor, base_minor, earned_minor,"
                " reversed_minor, participant_id from decision",
            ),
            *self.fetch(
                merchant, "select payment_key, amount_minor, reversed_minor, status, participant_id from reward"
            ),
            *self.fetch(
                merchant,
                "select e.type, e.object_id, i.state, i.error from stripe_event e"
                " join inbox i using (organization_id, connection_id, event_seq)",
            ),
        ]
        return "\n".join(["the books are:", *(str(dict(line)) for line in lines)])

    def check(self, merchant: Merchant, *, is_backtested: bool = True) -> None:
        """Every invariant holds, nothing is left in the inbox, and neither a rebuild nor a backtest of the same terms
        finds a difference."""

        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                findings = await check_invariants(tx, merchant.organization_id)
                assert all(finding.ok for finding in findings), findings
                report = await rebuild_verify(
                    tx, merchant.organization_id, merchant.connection_id, merchant.now, lambda *_: None
                )
                assert not report.differences, report
                assert report.unsettled == 0, report
                if is_backtested:
                    changes = await changes_by_the_same_terms(tx, merchant.organization_id, merchant.connection_id)
                    assert not changes, changes

        self.run(work())

    def replay_everything(self, merchant: Merchant) -> None:
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                await replay_events(
                    tx, merchant.organization_id, merchant.connection_id, event_ids=None, only_parked=False
                )
            while (await pump_once(self.database, lambda: merchant.now)).events:
                pass

        self.run(work())
