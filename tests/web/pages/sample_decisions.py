"""The sample with what people decide: rewards that wait for approval or because of a check, verdicts, a payout."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

from refref.core.facts import Carrier, CarrierKind, CustomerState, Fact, InvoiceState, Kind, Line
from refref.core.terms import FraudRule, Terms
from refref.db.pool import Connection, Database, lock_books
from refref.flows import participants, programs
from refref.flows.payouts import record_payout
from refref.flows.reviews import review_rewards
from refref.flows.settle import Incoming, settle
from refref.vault import Vault
from web.pages.sample import Sample, make_sample


@dataclass(frozen=True, slots=True)
class DecidedSample(Sample):
    """More that the tests need to know."""

    payout_id: str
    suspect_id: str  # a customer in whose referral a check found something
    reviewer_program_id: str


async def make_decided_sample(database: Database, vault: Vault) -> DecidedSample:
    """The whole sample and what people decide, in an empty database."""
    now = datetime.now(UTC)
    sample = await make_sample(database, vault, now)
    own = (sample.organization_id, sample.connection_id)
    async with database.tenant(sample.organization_id) as tx:
        program_id = await _reviewed_program(tx, own, now)
        ids = await tx.fetch("select reward_id from reward where program_id = $1 order by payment_key", program_id)
        for row, verdict in zip(ids, ("approved", "rejected"), strict=False):
            await review_rewards(tx, *own, [row[0]], verdict=verdict, reason="Sample reason", actor="system", now=now)
        payout = await record_payout(
            tx,
            sample.organization_id,
            sample.participant_id,
            currency="usd",
            amount_minor=None,
            reference="SAMPLE-1",
            note="A sample note",
            actor="system",
            now=now,
        )
    known = {field.name: getattr(sample, field.name) for field in fields(sample)}
    return DecidedSample(**known, payout_id=payout.payout_id, suspect_id="cus_sample21", reviewer_program_id=program_id)


async def _reviewed_program(tx: Connection, own: tuple[str, str], now: datetime) -> str:
    start = now - timedelta(days=20)
    program, _ = await programs.create_program(
        tx,
        own[0],
        connection_id=own[1],
        name="Reviewed program",
        terms=Terms(approval="manual", fraud=(FraudRule(check="self_domain", action="hold"),)),
        effective_at=start,
        actor="system",
        now=now,
    )
    await participants.create_participant(
        tx,
        own[0],
        program_id=program.program_id,
        kind="affiliate",
        name="Sample Partner Four",
        email="partner4@sample-company.example",
        refcode="partner-4",
        created_at=start,
        actor="system",
        now=now,
    )
    facts: list[Fact] = []
    for number in range(21, 27):
        domain = "sample-company.example" if number == 21 else "customers.example"
        facts += _customer(number, f"customer{number}@{domain}", int(start.timestamp()) + number * 3_600)
    await lock_books(tx, own[1])
    await settle(tx, *own, [Incoming(facts, None)], int(now.timestamp()))
    return program.program_id


def _customer(number: int, email: str, at: int) -> list[Fact]:
    customer_id = f"cus_sample{number}"
    carrier = Carrier(CarrierKind.CLIENT_REFERENCE, "partner-4", at)
    line = Line(f"il_sample{number}", 10_000 + number, description="Sample plan")
    state = InvoiceState(
        "paid", "usd", line.amount, line.amount, line.amount, total_excluding_tax=line.amount, created_at=at,
        paid_at=at, email=email, lines=(line,),
    )  # fmt: skip
    links = (customer_id, f"pi_sample{number}")
    return [
        Fact(customer_id, Kind.CUSTOMER, 1, at, 0, CustomerState(email, created_at=at), (), (carrier,)),
        Fact(f"in_sample{number}", Kind.INVOICE, 5, at, 0, state, links),
    ]
