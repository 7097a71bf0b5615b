"""The history and the terms of the backtest's measurement: customers with monthly invoices, booked under plain terms.

Written straight into the tables in their stored form, and kept under .data/bench, so that it is made once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
from rig import EPOCH, MASTER_KEY, ROOT, SECRET

from refref.core.attribution import CodeOwner
from refref.core.decisions import digest_of, encode_decision
from refref.core.derive import derive
from refref.core.facts import (
    Carrier,
    CarrierKind,
    CustomerState,
    Fact,
    InvoiceState,
    Kind,
    Line,
    RefundState,
    SubscriptionState,
    encode_fact,
)
from refref.core.program import Config, Program
from refref.core.terms import (
    Cap,
    Duration,
    QualifyingEvent,
    RewardRule,
    Terms,
    TermsVersion,
    Tiers,
    TierStep,
    terms_to_json,
)
from refref.db.embedded import EmbeddedPostgres, query
from refref.db.migrate import upgrade
from refref.db.pool import Database
from refref.flows.connections import NewConnection, create_connection
from refref.flows.programs import create_program
from refref.ids import new_id
from refref.vault import Vault

FORM = 1  # raise it when what is made changes
PAYMENTS_EACH = 10
CUSTOMERS_EACH = 100  # of a participant
START = 1_700_000_000
MONTH = 30 * 86_400
PLAIN = Terms(duration=Duration("forever"), attribution_window_days=3_650)

TEN_RULES = (
    RewardRule(
        rule_id="tiered",
        group="main",
        condition='sale.amount_minor >= 3000 && customer.country in ["US", "DE", "FR"]',
        tiers=Tiers(
            by="referrals",
            period="month",
            steps=(
                TierStep(rate_bps=1_000),
                TierStep(at_least=5, rate_bps=1_500),
                TierStep(at_least=20, rate_bps=2_000),
            ),
        ),
    ),
    RewardRule(
        rule_id="plan",
        group="main",
        tiers=Tiers(by="plan", steps=tuple(TierStep(plan=f"prod_{n}", rate_bps=800 + 100 * n) for n in range(3))),
    ),
    RewardRule(rule_id="welcome", kind="fixed", amounts={"usd": 500}, on="first", condition="customer.is_new"),
    RewardRule(rule_id="loyal", event="renewals", rate_bps=200, condition="sale.months_subscribed >= 6"),
    RewardRule(rule_id="yearly", rate_bps=300, condition='sale.billing_interval == "year"'),
    RewardRule(rule_id="gold", rate_bps=150, condition='"gold" in participant.groups && sale.number > 1'),
    RewardRule(rule_id="large", kind="fixed", amounts={"usd": 1_000}, condition="sale.amount_minor > 20000"),
    RewardRule(rule_id="referee", to="referee", reward="credit", kind="fixed", amounts={"usd": 300}, on="first"),
    RewardRule(
        rule_id="affiliates", rate_bps=100, condition='participant.kind == "affiliate" && sale.currency == "usd"'
    ),
    RewardRule(
        rule_id="starts",
        event="starts",
        tiers=Tiers(
            by="referrals", steps=(TierStep(amounts={"usd": 200}), TierStep(at_least=50, amounts={"usd": 400}))
        ),
    ),
)
TEN = Terms(
    duration=Duration("forever"),
    attribution_window_days=3_650,
    events=(
        QualifyingEvent(event_id="renewals", kind="renewal"),
        QualifyingEvent(event_id="starts", kind="subscription_started"),
    ),
    rules=TEN_RULES,
    caps=(
        Cap(on="reward", amounts={"usd": 5_000}),
        Cap(on="customer", amounts={"usd": 20_000}),
        Cap(on="participant", period="month", amounts={"usd": 250_000}),
    ),
)


def facts_of(number: int) -> list[Fact]:
    """A referred customer with a subscription and its invoices, every thirtieth of them partly refunded."""
    customer, subscription = f"cus_{number:09d}", f"sub_{number:09d}"
    at = START + number % 1_000_000
    carrier = Carrier(CarrierKind.CUSTOMER_METADATA, f"partner{number // CUSTOMERS_EACH}", at)
    state = CustomerState(f"buyer{number}@customers.example", None, ("US", "DE", "GB")[number % 3], "usd", at)
    facts = [Fact(customer, Kind.CUSTOMER, 0, at, 0, state, (), (carrier,))]
    product, interval = f"prod_{number % 4}", "year" if number % 10 == 0 else "month"
    plan = SubscriptionState("active", "usd", (product,), (f"price_{number % 4}",), 1, at)
    facts.append(Fact(subscription, Kind.SUBSCRIPTION, 0, at, 0, plan, (customer,)))
    amount = 2_000 + 1_000 * (number % 25)
    for payment in range(PAYMENTS_EACH):
        invoice, paid_at = f"in_{number:09d}{payment:03d}", at + payment * MONTH
        intent = f"pi_{number:09d}{payment:03d}"
        line = Line(
            f"il_{number:09d}{payment:03d}", amount, product=product, price=f"price_{number % 4}", quantity=1,
            description="1 x Sample plan", interval=interval,
        )  # fmt: skip
        reason = "subscription_cycle" if payment else "subscription_create"
        paid = InvoiceState(
            "paid", "usd", amount, amount, amount, created_at=paid_at, paid_at=paid_at, billing_reason=reason,
            lines=(line,),
        )  # fmt: skip
        facts.append(Fact(invoice, Kind.INVOICE, 4, paid_at, 0, paid, (customer, intent, subscription)))
        if (number * PAYMENTS_EACH + payment) % 30 == 7:
            refund = RefundState("succeeded", amount // 4, "usd", paid_at + 86_400)
            facts.append(Fact(f"re_{number:09d}{payment:03d}", Kind.REFUND, 2, paid_at, 0, refund, (intent,)))
    return facts


class History:
    """A database with a history of so many payments; `job` names what to try on it."""

    def __init__(self, payments: int) -> None:
        self.payments = payments
        self.folder = ROOT / ".data" / "bench" / f"backtest-{FORM}-{payments}"
        self._mark = self.folder / "ready"
        self.postgres = EmbeddedPostgres(self.folder / "postgres")
        self.organization_id = self.connection_id = self.program_id = ""

    def prepare(self) -> None:
        """Start the database, which must run, and fill it where that was not done before."""
        upgrade(self.postgres.dsn)
        if not self._mark.exists():
            asyncio.run(self._make())
            query(self.postgres.dsn, "vacuum analyze")
            self._mark.write_text("")
        row = query(
            self.postgres.dsn, "select organization_id || ' ' || connection_id || ' ' || program_id from program"
        )
        self.organization_id, self.connection_id, self.program_id = row.split(" ")

    async def _make(self) -> None:
        database = await Database.open(self.postgres.dsn)
        self.organization_id = new_id("organization")
        async with database.reference() as tx:
            await tx.execute("insert into organization values ($1, 'Bench')", self.organization_id)
        async with database.tenant(self.organization_id) as tx:
            given = NewConnection(name="Bench", mode="test", webhook_secret=SECRET)
            connection = await create_connection(
                tx, Vault([MASTER_KEY]), self.organization_id, given, actor="system", now=EPOCH
            )
            self.connection_id = connection.connection_id
            program, _ = await create_program(
                tx, self.organization_id, connection_id=self.connection_id, name="Bench", terms=PLAIN,
                effective_at=EPOCH, actor="system", now=EPOCH,
            )  # fmt: skip
            self.program_id = program.program_id
        await database.close()
        owner = await asyncpg.connect(self.postgres.dsn)
        await owner.execute("set session_replication_role = replica")  # foreign keys of rows that are right anyway
        customers = self.payments // PAYMENTS_EACH
        await self._copy_participants(owner, customers // CUSTOMERS_EACH + 1)
        for start in range(0, customers, 2_000):
            await self._copy_customers(owner, range(start, min(customers, start + 2_000)))
        await owner.close()

    async def _copy_participants(self, owner: asyncpg.Connection, count: int) -> None:
        key = (self.organization_id, self.connection_id)
        people = [(f"ptc_{n:020d}", f"Partner {n}", f"partner{n}@partners.example") for n in range(count)]
        await owner.copy_records_to_table(
            "participant",
            columns=["organization_id", "participant_id", "program_id", "connection_id", "kind", "name", "email"],
            records=[
                (self.organization_id, i, self.program_id, self.connection_id, "affiliate", name, email)
                for i, name, email in people
            ],
        )
        await owner.copy_records_to_table(
            "participant_code",
            columns=[
                "organization_id",
                "connection_id",
                "code",
                "shown_as",
                "participant_id",
                "code_kind",
                "program_id",
            ],
            records=[
                (*key, f"partner{n}", f"partner{n}", f"ptc_{n:020d}", "refcode", self.program_id) for n in range(count)
            ],
        )
        await owner.copy_records_to_table(
            "participant_profile",
            columns=["organization_id", "participant_id", "since_at", "group_names"],
            records=[(self.organization_id, f"ptc_{n:020d}", EPOCH, ["gold"]) for n in range(0, count, 3)],
        )

    async def _copy_customers(self, owner: asyncpg.Connection, numbers: range) -> None:
        first, last = numbers[0] // CUSTOMERS_EACH, numbers[-1] // CUSTOMERS_EACH
        config = Config(
            (Program(self.program_id, (TermsVersion(1, int(EPOCH.timestamp()), PLAIN),)),),
            {f"partner{n}": CodeOwner(f"ptc_{n:020d}", self.program_id) for n in range(first, last + 1)},
        )
        fact_rows: list[tuple[object, ...]] = []
        decision_rows: list[tuple[object, ...]] = []
        key = (self.organization_id, self.connection_id)
        for number in numbers:
            facts = facts_of(number)
            scope = f"cus_{number:09d}"
            fact_rows.extend([(*key, fact.stripe_id, scope, fact.kind.value, encode_fact(fact)) for fact in facts])
            decision_rows.extend([(*key, *row) for row in _decision_rows(facts, scope, config)])
        await owner.copy_records_to_table(
            "fact",
            columns=["organization_id", "connection_id", "stripe_id", "scope_id", "kind", "body"],
            records=fact_rows,
        )
        await owner.copy_records_to_table("decision", columns=_DECISION, records=decision_rows)


_DECISION = [
    "organization_id", "connection_id", "payment_key", "program_id", "scope_id", "referee_id", "participant_id",
    "outcome", "reason", "occurred_at", "currency", "paid_minor", "base_minor", "refunded_minor", "earned_minor",
    "reversed_minor", "digest", "body",
]  # fmt: skip


def _decision_rows(facts: list[Fact], scope: str, config: Config) -> Iterator[tuple[object, ...]]:
    for made in derive(facts, config, START).decisions:
        body = encode_decision(made)
        yield (
            made.payment_key, made.program_id, scope, made.referee_id, made.participant_id or None, made.outcome,
            made.reason or None, datetime.fromtimestamp(made.occurred_at, UTC), made.currency, made.paid,
            made.base.amount if made.base else 0, made.refunded, made.earned, made.taken_back, digest_of(body), body,
        )  # fmt: skip


if __name__ == "__main__":
    began = time.perf_counter()
    sample = sum(len(encode_fact(fact)) for n in range(100) for fact in facts_of(n)) // (100 * PAYMENTS_EACH)
    print(
        f"{sample} bytes of facts for a payment, {len(terms_to_json(TEN))} bytes of terms", time.perf_counter() - began
    )
