"""Two organizations: A owns a row in every tenant table, B nothing."""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from refref.core.decisions import Decision, encode_decision
from refref.core.facts import Fact, Kind, encode_fact
from refref.core.terms import Terms
from refref.db import connections, idempotency, platform
from refref.db.bodies import compress
from refref.db.idempotency import StoredAnswer
from refref.db.pool import Database
from refref.flows import accounts
from refref.flows import api_keys as api_key_flows
from refref.flows import connections as connection_flows
from refref.flows import drafts as draft_flows
from refref.flows import participants as participant_flows
from refref.flows import profiles as profile_flows
from refref.flows import programs as program_flows
from refref.settings import MasterKey
from refref.vault import Vault

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LATER = datetime(2026, 5, 2, tzinfo=UTC)
EARLY = datetime(2026, 1, 1, tzinfo=UTC)
FACT = Fact("cus_a", Kind.CUSTOMER)
DECISION = Decision("in_a", "", ("cus_a",), "cus_a", "refused", "x", 0, "usd", "", 5, 5, 0, 0, 0, 0)
TENANT_TABLES = """
select relname from pg_class c
where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and relrowsecurity
order by relname
"""
# One row of A where no flow makes one; the columns that are left out have defaults.
ROWS = {
    "stripe_event": {"stripe_event_id": "evt_a", "type": "invoice.paid", "object_id": "cus_a", "livemode": False},
    "inbox": {"event_seq": 1, "due_at": EARLY},
    "fact": {"stripe_id": "cus_a", "scope_id": "cus_a", "kind": "customer", "body": encode_fact(FACT)},
    "open_need": {"need_kind": "invoice_of_payment", "stripe_id": "pi_a", "due_at": EARLY} | {"error": "permission: x"},
    "stripe_document": {"need_kind": "invoice_of_payment", "stripe_id": "pi_a", "body": compress(b"{}")},
    "card_use": {"fingerprint": "card_a", "scope_id": "cus_a"},
    "dirty_scope": {"scope_id": "cus_a"},
    "customer": {"stripe_customer_id": "cus_a", "scope_id": "cus_a", "email": "c@example.com"},
    "referral": {
        "referral_id": "rfl_a",
        "campaign": "",
        "referee_id": "cus_a",
        "scope_id": "cus_a",
        "status": "active",
    },
    "decision": {
        "payment_key": "in_a",
        "scope_id": "cus_a",
        "referee_id": "cus_a",
        "outcome": "refused",
        "reason": "x",
        "body": encode_decision(DECISION),
        "draft_digest": b"x",
    },
    "reward": {"reward_id": "rwd_a", "scope_id": "cus_a", "payment_key": "in_a", "status": "held", "paid_minor": 5}
    | {"holds": ["fraud_hold"]},
    "ledger_entry": {"entry_id": "rwd_a.1", "kind": "earn", "reward_id": "rwd_a"},
    "ledger_posting": {"entry_id": "rwd_a.1", "posting_no": 1, "currency": "usd", "amount_minor": 5},
    "review": {"review_id": "rev_a", "verdict": "approved", "stripe_id": "cus_a", "rule_id": ""},
    "payout": {"payout_id": "pyt_a"},
    "payout_item": {"payout_id": "pyt_a", "reward_id": "rwd_a"},
    "payout_undoing": {"payout_id": "pyt_b"},
    "tally_day": {"rule_id": "", "day": 0, "referrals": 1},
    "tally": {"scope_id": "cus_a", "rule_id": "", "occurred_at": 5, "referrals": 1},
    "rate_upload": {"upload_no": 1, "source": "csv"},
    "exchange_rate": {"upload_no": 1, "source_currency": "eur", "target_currency": "usd", "rate": "1.5"},
    "connection_check": {"kind": "endpoint", "body": "{}"},
    "oauth_attempt": {"mode": "test", "scope": "read_only"},
    "custom_event_type": {"stripe_type": "invoice.paid"},
    "catalog_price": {"stripe_price_id": "price_a", "billing_interval": "month", "is_active": True},
    "catalog_sync": {"sync_no": 1, "state": "running", "part": "products"},
    "backtest": {
        "backtest_id": "btt_a",
        "status": "waiting",
        "terms_source": "draft",
        "terms": "{}",
        "effective_at": NOW,
    },
    "backtest_line": {"backtest_id": "btt_a", "kind": "product", "subject": "prod_a"},
    "ledger_balance": {"account": "pending", "currency": "usd", "balance_minor": 5},
    "history_run": {"run_id": "rdg_a", "kind": "statement", "status": "done", "created_by": "system"},
    "history_part": {"run_id": "rdg_a", "part": "invoices"},
    "history_gap": {"run_id": "rdg_a", "stripe_id": "in_a", "part": "invoices", "detail": "missing"},
    "event_poll": {"read_count": 5},
    "statement_payment": {"run_id": "rdg_a", "payment_key": "in_a", "class": "excluded", "charged_minor": 7_777},
    "statement_movement": {
        "run_id": "rdg_a",
        "stripe_id": "txn_a",
        "payment_key": "in_a",
        "source_id": "ch_a",
        "is_sale": True,
        "currency": "usd",
        "known_minor": 7_777,
        "known_currency": "usd",
    },
}
VALUES = {"text": "x", "bytea": b"x", "boolean": False, "timestamp with time zone": NOW, "date": NOW.date()}
NUMBERS = {"integer", "bigint", "smallint"}


@dataclass(frozen=True)
class Ids:
    """What A owns."""

    organization_id: str
    user_id: str
    api_key_id: str
    prefix: str
    connection_id: str
    program_id: str
    participant_id: str


async def make_a(database: Database) -> Ids:
    vault = Vault([MasterKey("k1", bytes(32))])
    async with database.reference() as tx:
        made = await accounts.sign_up(
            tx, organization_name="A", email="a@example.com", name="", password_hash="-", now=NOW, is_allowed=True
        )
        org, common = made.organization_id, {"actor": "system", "now": NOW}
        key = await api_key_flows.create_api_key(tx, org, name="A", role="admin", **common)
        given = connection_flows.NewConnection(
            "A", mode="test", webhook_secret="whsec_sample000a", stripe_account_id="acct_aaaa"
        )
        connection = await connection_flows.create_connection(tx, vault, org, given, **common)
        program, _ = await program_flows.create_program(
            tx,
            org,
            connection_id=connection.connection_id,
            name="A",
            terms=Terms(),
            effective_at=None,
            **common,
        )
        participant, _ = await participant_flows.create_participant(
            tx,
            org,
            program_id=program.program_id,
            kind="affiliate",
            name="A",
            email="p@example.com",
            refcode="code-a",
            **common,
        )
        await profile_flows.set_profile(tx, org, participant.participant_id, groups=["gold_a"], **common)
        await draft_flows.save_draft(tx, org, program.program_id, terms=Terms(), **common)
        await connections.update_clock_ahead(tx, org, connection.connection_id, 5)
        promotion = {"code_kind": "promotion_code", "code": "promo_1AbC"}
        await participant_flows.add_code(tx, org, participant.participant_id, **promotion, **common)
        await idempotency.store_answer(tx, org, "k", StoredAnswer(b"h", 201, b"r"), NOW)
        await platform.add_account(tx, org, connection.connection_id, "acct_aaaa", "test")
    return Ids(
        org,
        made.user_id,
        key.key.api_key_id,
        key.key.prefix,
        connection.connection_id,
        program.program_id,
        participant.participant_id,
    )


def fill_tables(dsn: str, a: Ids) -> list[str]:
    """Give A a row in each tenant table that has none yet; returns the names of all tenant tables."""
    with psycopg.connect(dsn) as owner:
        owner.execute("set session_replication_role = replica")  # the ledger's triggers are `always`, so:
        tables = [row[0] for row in owner.execute(TENANT_TABLES).fetchall()]
        for name in tables:
            owner.execute(f"alter table {name} disable trigger user")
        for name in tables:
            if owner.execute(
                f"select exists (select from {name} where organization_id = %s)", [a.organization_id]
            ).fetchone()[0]:
                continue
            values = row_of(owner, name, a)
            marks = ", ".join(["%s"] * len(values))
            owner.execute(
                f"insert into {name} ({', '.join(values)}) overriding system value values ({marks})",
                list(values.values()),
            )
        for name in tables:
            owner.execute(f"alter table {name} enable trigger user")
    return tables


def row_of(owner: psycopg.Connection[Any], table: str, a: Ids) -> dict[str, Any]:
    columns = owner.execute(
        "select column_name, data_type, is_nullable = 'YES' or column_default is not null"
        " from information_schema.columns where table_schema = 'public' and table_name = %s",
        [table],
    ).fetchall()
    known = dataclasses.asdict(a) | {"owner_id": a.participant_id, "destination_owner": a.participant_id}
    known["beneficiary_id"] = a.participant_id
    known |= {"hold_until": NOW, "source": "webhook", "state": "accepted", "event_seq": 1, "carrier_kind": "manual"}
    known |= {"body": compress(b"{}"), "currency": "usd", "kind": "commission"} | ROWS.get(table, {})
    if table == "inbox":
        known["state"] = "pending"
    if table == "ledger_posting":
        known |= {"source_account": "expense", "destination_account": "pending"}
    row = {}
    for name, data_type, may_be_left_out in columns:
        if name in known:
            row[name] = known[name]
        elif not may_be_left_out:
            row[name] = 1 if data_type in NUMBERS else VALUES.get(data_type, "x")
    return row


@asynccontextmanager
async def two_tenants(dsn: str) -> AsyncIterator[tuple[Database, Ids, str, list[str]]]:
    database = await Database.open(dsn, max_size=2)
    try:
        a = await make_a(database)
        async with database.reference() as tx:
            b = await accounts.sign_up(
                tx, organization_name="B", email="b@example.com", name="", password_hash="-", now=NOW, is_allowed=True
            )
        yield database, a, b.organization_id, fill_tables(dsn, a)
    finally:
        await database.close()


def drop_row_level_security(dsn: str, tables: list[str]) -> None:
    with psycopg.connect(dsn) as owner:
        for name in tables:
            owner.execute(f"alter table {name} disable row level security")
