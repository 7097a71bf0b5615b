"""Where stories happen: RefRef's own app and pump on real PostgreSQL, and the sandbox as its Stripe."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from refref.core.facts import CarrierKind
from refref.core.terms import Terms
from refref.db.pool import Connection, Database
from refref.flows.attribute import attribute_customer
from refref.flows.connections import NewConnection, create_connection
from refref.flows.invariants import check_invariants
from refref.flows.participants import add_code, create_participant, deactivate_code
from refref.flows.programs import create_program
from refref.flows.rebuild import rebuild_verify
from refref.flows.replay import replay_events
from refref.ids import new_id
from refref.sandbox.deliveries import render_event_bytes, sign
from refref.settings import MasterKey
from refref.vault import Vault
from refref.web.intake import Intake
from refref.worker.clock import mature_due
from refref.worker.pump import pump_once

if TYPE_CHECKING:
    from stories.story import Story

SECRET = "whsec_" + "s" * 32
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """Stands for kill -9: nothing in the product may catch it."""


@dataclass(slots=True)
class Merchant:
    organization_id: str
    connection_id: str
    now: int = 0


class CrashingDatabase(Database):
    """A database whose transactions die at a statement that a die chooses, as if the process had been killed there."""

    def __init__(self, database: Database, rng: random.Random) -> None:
        super().__init__(database._pool)
        self._rng = rng
        self.crashes = 0

    @asynccontextmanager
    async def reference(self) -> AsyncIterator[Connection]:
        async with super().reference() as tx:
            yield _Dying(tx, self._rng.randint(3, 30), self)  # type: ignore[misc]  # a stand-in with the same methods


class _Dying:
    def __init__(self, tx: Connection, statements: int, owner: CrashingDatabase) -> None:
        self._tx, self._left, self._owner = tx, statements, owner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self._left -= 1
        if self._left == 0:
            self._owner.crashes += 1
            raise Killed
        method: Callable[..., Any] = getattr(self._tx, name)
        return method


class World:
    """RefRef in this process. `run` runs one coroutine on the world's event loop."""

    def __init__(self, dsn: str) -> None:
        self._runner = asyncio.Runner()
        self.database: Database = self.run(Database.open(dsn, max_size=4))
        self.vault = Vault([MasterKey("k1", b"k" * 32)])
        self.intake = Intake(self.database, self.vault)
        self._dsn = dsn

    def close(self) -> None:
        self.run(self.intake.close())
        self.run(self.database.close())
        self._runner.close()

    def run(self, work: Any) -> Any:
        return self._runner.run(work)

    # Set-up ---------------------------------------------------------------------------------------------------------

    def create_merchant(self, now: int) -> Merchant:
        return self.run(self._create_merchant(now))

    async def _create_merchant(self, now: int) -> Merchant:
        organization_id = new_id("organization")
        async with self.database.reference() as tx:
            await tx.execute("insert into organization values ($1, 'Story')", organization_id)
        async with self.database.tenant(organization_id) as tx:
            made = await create_connection(
                tx, self.vault, organization_id,
                NewConnection(name="Story", mode="test", webhook_secret=SECRET), actor="system", now=EPOCH,
            )
        return Merchant(organization_id, made.connection_id, now)

    def create_program(self, merchant: Merchant, name: str, terms: Terms) -> str:
        async def work() -> str:
            async with self.database.tenant(merchant.organization_id) as tx:
                program, _ = await create_program(
                    tx, merchant.organization_id, connection_id=merchant.connection_id, name=name, terms=terms,
                    effective_at=EPOCH, actor="system", now=EPOCH,
                )
            return program.program_id

        return self.run(work())

    def create_participant(
        self, merchant: Merchant, program_id: str, refcode: str, email: str, promotion_code: str | None
    ) -> str:
        async def work() -> str:
            async with self.database.tenant(merchant.organization_id) as tx:
                made, _ = await create_participant(
                    tx, merchant.organization_id, program_id=program_id, kind="affiliate", name=refcode, email=email,
                    refcode=refcode, actor="system", now=EPOCH,
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
                    tx, merchant.organization_id, participant_id, code_kind="promotion_code", code=promotion_code,
                    actor="system", now=EPOCH,
                )

        self.run(work())

    def deactivate(self, merchant: Merchant, participant_id: str, code: str) -> None:
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                await deactivate_code(
                    tx, merchant.organization_id, participant_id, code, actor="system", now=datetime.now(UTC)
                )

        self.run(work())

    def tell(self, merchant: Merchant, customer: str, code: str, clicked_at: int | None, kind: str) -> None:
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                await attribute_customer(
                    tx, merchant.organization_id, merchant.connection_id, stripe_customer_id=customer, code=code,
                    clicked_at=clicked_at, kind=CarrierKind(kind), actor="system", now=int(time.time()),
                )

        self.run(work())

    def set_clock(self, merchant: Merchant, now: int) -> None:
        """Let the connection's (test) clock show the sandbox's instant."""
        merchant.now = now

    # Deliveries -----------------------------------------------------------------------------------------------------

    def deliver(self, merchant: Merchant, events: Sequence[tuple[dict[str, Any], str]], story: Story) -> None:
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
        await mature_due(self.database, lambda: merchant.now)

    async def _post(self, merchant: Merchant, event: dict[str, Any], version: str) -> int:
        body = render_event_bytes(event, version)
        header = sign(body, SECRET, int(time.time()))
        return (await self.intake.take(merchant.connection_id, header.encode(), body)).status

    async def _pump(self, merchant: Merchant, story: Story) -> None:
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

    # Looking --------------------------------------------------------------------------------------------------------

    def fetch(self, merchant: Merchant, query: str, *args: object) -> list[asyncpg.Record]:
        async def work() -> list[asyncpg.Record]:
            async with self.database.tenant(merchant.organization_id) as tx:
                return await tx.fetch(query, *args)

        return self.run(work())

    def rewards(self, merchant: Merchant, participant_id: str) -> list[asyncpg.Record]:
        return self.fetch(
            merchant,
            "select amount_minor, reversed_minor, status, currency from reward where participant_id = $1"
            " order by occurred_at, payment_key, rule_id",
            participant_id,
        )

    def refusals(self, merchant: Merchant) -> list[str]:
        rows = self.fetch(merchant, "select reason from decision where outcome <> 'rewarded' order by reason")
        return [row[0] for row in rows]

    def books(self, merchant: Merchant) -> list[list[tuple[Any, ...]]]:
        """The books without ids that are ours: what must be the same however the events came."""
        return [
            [tuple(row) for row in self.fetch(merchant, query)]
            for query in (
                "select participant_id, payment_key, rule_id, currency, amount_minor, reversed_minor, status, hold_until"
                " from reward where reversed_minor < amount_minor order by 1, 2, 3",
                "select owner_id, account, currency, balance_minor from ledger_balance where balance_minor <> 0"
                " order by 1, 2, 3",
                "select payment_key, program_id, outcome, reason, digest from decision order by 1, 2",
                "select referee_id, participant_id, status from referral order by 1, 2",
            )
        ]

    def explain(self, merchant: Merchant) -> str:
        lines = [
            *self.fetch(merchant, "select payment_key, outcome, reason, paid_minor, base_minor, earned_minor,"
                        " reversed_minor, participant_id from decision"),
            *self.fetch(merchant, "select payment_key, amount_minor, reversed_minor, status, participant_id from reward"),
            *self.fetch(merchant, "select e.type, e.object_id, i.state, i.error from stripe_event e"
                        " join inbox i using (organization_id, connection_id, event_seq)"),
        ]
        return "\n".join(["the books are:", *(str(dict(line)) for line in lines)])

    def check(self, merchant: Merchant) -> None:
        """Every invariant holds, nothing is left in the inbox, and a rebuild finds no difference."""
        async def work() -> None:
            async with self.database.tenant(merchant.organization_id) as tx:
                findings = await check_invariants(tx, merchant.organization_id)
                assert all(finding.ok for finding in findings), findings
                report = await rebuild_verify(
                    tx, merchant.organization_id, merchant.connection_id, merchant.now, lambda *_: None
                )
                assert not report.differences, report
                assert report.unsettled == 0, report

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


