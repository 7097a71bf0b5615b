"""Sample data of the page tests: a shop with two programs' worth of everything that the pages can show. Plainly sample.

Books are made by the real `settle` from facts; events are stored beside them, one of each state.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from refref.core.facts import (
    Carrier,
    CarrierKind,
    CustomerState,
    Fact,
    InvoiceState,
    Kind,
    Line,
    RefundState,
)
from refref.core.terms import Terms
from refref.db import inbox
from refref.db.bodies import compress
from refref.db.inbox import Arrival
from refref.db.pool import Connection, Database, lock_books
from refref.flows import accounts, participants, programs
from refref.flows.connections import NewConnection, create_connection
from refref.flows.settle import Incoming, settle
from refref.passwords import hash_password
from refref.vault import Vault

EMAIL, VIEWER_EMAIL, PASSWORD = "owner@example.com", "viewer@example.com", "sample password"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the tests need to know of the sample."""

    organization_id: str
    connection_id: str
    program_id: str
    participant_id: str
    customer_id: str
    unreferred_customer_id: str
    parked_event_id: str
    reward_id: str
    payment_key: str


@dataclass(frozen=True, slots=True)
class Owner:
    organization_id: str
    user_id: str


async def make_owner(
    database: Database, now: datetime, *, organization: str = "Sample Shop", email: str = EMAIL
) -> Owner:
    """An organization with an owner and nothing else."""
    password_hash = await hash_password(PASSWORD)
    async with database.reference() as tx:
        made = await accounts.sign_up(
            tx,
            organization_name=organization,
            email=email,
            name="Sample Owner",
            password_hash=password_hash,
            now=now,
            is_allowed=True,
        )
    return Owner(made.organization_id, made.user_id)


async def make_connection(database: Database, vault: Vault, owner: Owner, now: datetime) -> str:
    """A connection in test mode without programs or events."""
    async with database.tenant(owner.organization_id) as tx:
        made = await create_connection(
            tx,
            vault,
            owner.organization_id,
            NewConnection(name="Sample sandbox", mode="test", webhook_secret="whsec_samplesamplesamplesample"),
            actor=f"user:{owner.user_id}",
            now=now,
        )
    return made.connection_id


async def make_sample(database: Database, vault: Vault, now: datetime | None = None) -> Sample:
    """The whole sample, in an empty database."""
    now = now or datetime.now(UTC)
    owner = await make_owner(database, now)
    connection_id = await make_connection(database, vault, owner, now)
    scope, by = (owner.organization_id, connection_id), {"actor": f"user:{owner.user_id}", "now": now}
    start = now - timedelta(days=70)
    password_hash = await hash_password(PASSWORD)
    async with database.tenant(owner.organization_id) as tx:
        await accounts.create_user(
            tx,
            owner.organization_id,
            email=VIEWER_EMAIL,
            name="Sample Viewer",
            role="viewer",
            password_hash=password_hash,
            **by,
        )
        program, _ = await programs.create_program(
            tx,
            owner.organization_id,
            connection_id=connection_id,
            name="Partner program",
            terms=Terms(),
            effective_at=start,
            **by,
        )
        people = []
        for number, name in enumerate(("Sample Partner One", "Sample Partner Two", "Sample Partner Three"), 1):
            person, _ = await participants.create_participant(
                tx,
                owner.organization_id,
                program_id=program.program_id,
                kind="affiliate",
                name=name,
                email=f"partner{number}@example.com",
                refcode=f"partner-{number}",
                created_at=start,
                **by,
            )
            people.append(person)
        await _sell(tx, scope, start, now)
        await _store_events(tx, scope, now)
        reward = await tx.fetchrow("select reward_id, payment_key from reward where referee_id = 'cus_sample1' limit 1")
    return Sample(
        *scope,
        program_id=program.program_id,
        participant_id=people[0].participant_id,
        customer_id="cus_sample1",
        unreferred_customer_id="cus_sample4",
        parked_event_id="evt_sampleparked",
        reward_id=reward["reward_id"],
        payment_key=reward["payment_key"],
    )


async def _sell(tx: Connection, scope: tuple[str, str], start: datetime, now: datetime) -> None:
    facts: list[Fact] = []
    for customer in range(1, 13):
        since = start + timedelta(days=customer * 2, hours=customer)
        code = None if customer % 4 == 0 else f"partner-{customer % 3 + 1}"
        facts += _subscriber(customer, since, now, code, "eur" if customer == 9 else "usd")
    facts.append(
        Fact(
            "re_sample1",
            Kind.REFUND,
            3,
            _s(now),
            0,
            RefundState("succeeded", 1080, "usd", _s(now)),
            ("pi_sample1x1", "ch_sample1x1"),
        )
    )
    await lock_books(tx, scope[1])
    await settle(tx, *scope, [Incoming(facts, None)], _s(now))


def _subscriber(number: int, since: datetime, now: datetime, code: str | None, currency: str) -> list[Fact]:
    customer_id = f"cus_sample{number}"
    carriers = (Carrier(CarrierKind.CLIENT_REFERENCE, code, _s(since)),) if code else ()
    state = CustomerState(f"customer{number}@example.com", f"Sample Customer {number}", "US", currency, _s(since))
    facts = [Fact(customer_id, Kind.CUSTOMER, 1, _s(since), 0, state, (), carriers)]
    paid_at, payment = since, 1
    while paid_at <= now:
        facts.append(_invoice(number, payment, customer_id, paid_at, currency))
        paid_at, payment = paid_at + timedelta(days=15), payment + 1
    return facts


def _invoice(number: int, payment: int, customer_id: str, paid_at: datetime, currency: str) -> Fact:
    seat, extra = 9_000 + number * 500, 1_500 if payment % 3 == 0 else 0
    tax = (seat + extra) * 20 // 100
    lines = [
        Line(
            f"il_sample{number}x{payment}",
            seat,
            tax_exclusive=seat * 20 // 100,
            product="prod_sample",
            price="price_sample",
            description="Sample plan, one seat",
        )
    ]
    if extra:
        lines.append(
            Line(f"il_sample{number}x{payment}b", extra, tax_exclusive=extra * 20 // 100, description="Sample add-on")
        )
    state = InvoiceState(
        status="paid",
        currency=currency,
        total=seat + extra + tax,
        subtotal=seat + extra,
        amount_paid=seat + extra + tax,
        tax=tax,
        total_excluding_tax=seat + extra,
        created_at=_s(paid_at),
        paid_at=_s(paid_at),
        billing_reason="subscription_create" if payment == 1 else "subscription_cycle",
        email=f"customer{number}@example.com",
        lines=tuple(lines),
    )
    links = (f"ch_sample{number}x{payment}", customer_id, f"pi_sample{number}x{payment}", f"sub_sample{number}")
    return Fact(f"in_sample{number}x{payment}", Kind.INVOICE, 5, _s(paid_at), 0, state, links)


async def sell_once(database: Database, sample: Sample, invoice_id: str, now: datetime) -> None:
    """One more paid invoice of a customer who is referred already."""
    invoice = _invoice(1, 1, sample.customer_id, now, "usd")
    fact = Fact(invoice_id, invoice.kind, invoice.rank, invoice.seen_at, 0, invoice.state, (sample.customer_id,))
    async with database.tenant(sample.organization_id) as tx:
        await lock_books(tx, sample.connection_id)
        await settle(tx, sample.organization_id, sample.connection_id, [Incoming([fact], None)], _s(now))


async def _store_events(tx: Connection, scope: tuple[str, str], now: datetime) -> None:
    kinds = [
        ("evt_sampledone", "invoice.paid", "in_sample1x1", "accepted", None),
        ("evt_samplepending", "checkout.session.completed", f"cs_test_{'sample' * 10}", "accepted", None),
        ("evt_sampleparked", "charge.refunded", "ch_sample3x1", "accepted", None),
        ("evt_sampleignored", "product.created", "prod_sample", "ignored", None),
        (
            "evt_samplewrong",
            "invoice.paid",
            "in_sampleother",
            "quarantined",
            "The event is of live mode, the connection of test mode.",
        ),
    ]
    arrivals = [
        Arrival(
            *scope,
            event_id,
            kind,
            object_id,
            "2026-10-28.endive",
            False,
            state,
            reason,
            "webhook",
            _s(now),
            _body(event_id, kind, object_id, now),
        )
        for event_id, kind, object_id, state, reason in kinds
    ]
    await inbox.accept(tx, arrivals)
    rows = await tx.fetch("select stripe_event_id, event_seq from stripe_event")
    seq = {row["stripe_event_id"]: row["event_seq"] for row in rows}
    await inbox.finish(tx, *scope, [seq["evt_sampledone"]])
    sentence = "Stripe could not be asked for the invoice of this charge: the key may not read invoices."
    await inbox.fail(tx, *scope, seq["evt_sampleparked"], "stripe_permission", sentence, is_final=True)


def _body(event_id: str, kind: str, object_id: str, now: datetime) -> bytes:
    event = {
        "id": event_id,
        "object": "event",
        "type": kind,
        "created": _s(now),
        "livemode": False,
        "data": {"object": {"id": object_id, "object": kind.partition(".")[0], "metadata": {"sample": "true"}}},
    }
    return compress(json.dumps(event).encode())


def _s(instant: datetime) -> int:
    return int(instant.timestamp())
