"""Rewards, the ledger entries behind them, and the decision on every payment. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from refref.db.pool import Connection
from refref.db.reports.paging import Filter, Page, clamp_limit, decode_instant_and_id, fetch_recent_first, page_of

RewardStatus = Literal["pending", "payable", "held", "reversed", "expired", "paid"]
Outcome = Literal["rewarded", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class RewardRow:
    reward_id: str
    program_id: str
    program_name: str
    participant_id: str
    participant_name: str
    beneficiary_id: str  # the participant, or the referee
    payment_key: str
    rule_id: str
    referee_id: str
    referee_email: str | None
    terms_version: int
    kind: str
    status: RewardStatus
    currency: str
    amount_minor: int
    reversed_minor: int
    paid_minor: int
    occurred_at: datetime
    hold_until: datetime
    expires_at: datetime | None
    holds: tuple[str, ...]  # why it waits for a person (core.decisions.HOLDS)
    flags: tuple[str, ...]  # what checks against fraud found (core.decisions.FLAGS)
    created_at: datetime

    @property
    def net_minor(self) -> int:
        """What is left of it after reversals."""
        return self.amount_minor - self.reversed_minor


@dataclass(frozen=True, slots=True)
class LedgerEntryRow:
    """One posting of one entry: a positive amount that moved from a source to a destination."""

    entry_id: str
    kind: str
    reason: str
    posted_at: datetime
    currency: str
    amount_minor: int
    source_account: str
    source_owner: str
    destination_account: str
    destination_owner: str


@dataclass(frozen=True, slots=True)
class EarnedSum:
    """The rewards of one conversion in one currency: what they were worth, and what was taken back of them."""

    currency: str
    earned_minor: int
    reversed_minor: int


@dataclass(frozen=True, slots=True)
class DecisionRow:
    payment_key: str
    program_id: str  # '' when no program is concerned
    program_name: str | None
    referee_id: str
    referee_email: str | None
    participant_id: str | None
    participant_name: str | None
    outcome: Outcome
    reason: str | None  # stable code, set unless rewarded
    occurred_at: datetime
    currency: str
    paid_minor: int
    base_minor: int
    refunded_minor: int
    earned: tuple[EarnedSum, ...]  # by currency, the payment's own first: programs may pay in another one
    grants: tuple[str, ...]  # discounts and features that stand, which have no amount

    @property
    def is_payment(self) -> bool:
        """Whether it is a payment, and not another conversion such as a sign-up or a custom event."""
        return "/" not in self.payment_key

    def earned_in(self, currency: str) -> EarnedSum:
        """What was earned in one currency."""
        return next((sum_ for sum_ in self.earned if sum_.currency == currency), EarnedSum(currency, 0, 0))


_REWARDS = """
select r.reward_id, r.program_id, g.name as program_name, r.participant_id, p.name as participant_name,
       r.beneficiary_id, r.payment_key, r.rule_id, r.referee_id, c.email as referee_email, r.terms_version, r.kind,
       r.status, r.currency, r.amount_minor, r.reversed_minor, r.paid_minor, r.occurred_at, r.hold_until, r.expires_at,
       r.holds, coalesce(d.flags, '{}') as flags, r.created_at
from reward r
left join decision d on d.organization_id = r.organization_id and d.connection_id = r.connection_id
     and d.payment_key = r.payment_key and d.program_id = r.program_id
join program g on g.organization_id = r.organization_id and g.program_id = r.program_id
join participant p on p.organization_id = r.organization_id and p.participant_id = r.participant_id
left join customer c on c.organization_id = r.organization_id and c.connection_id = r.connection_id
     and c.stripe_customer_id = r.referee_id
where {where} order by r.occurred_at desc, r.reward_id desc limit {limit}
"""
_ENTRIES = """
select e.entry_id, e.kind, e.reason, e.posted_at, p.currency, p.amount_minor, p.source_account, p.source_owner,
       p.destination_account, p.destination_owner
from ledger_entry e
join ledger_posting p on p.organization_id = e.organization_id and p.entry_id = e.entry_id
where e.organization_id = $1 and e.reward_id = $2
order by e.posted_at, e.entry_id, p.posting_no
"""
_DECISIONS = """
select d.payment_key, d.program_id, g.name as program_name, d.referee_id, c.email as referee_email, d.participant_id,
       p.name as participant_name, d.outcome, d.reason, d.occurred_at, d.currency, d.paid_minor, d.base_minor,
       d.refunded_minor, d.payment_key || ' ' || d.program_id as page_id
from decision d
left join program g on g.organization_id = d.organization_id and g.program_id = d.program_id
left join participant p on p.organization_id = d.organization_id and p.participant_id = d.participant_id
left join customer c on c.organization_id = d.organization_id and c.connection_id = d.connection_id
     and c.stripe_customer_id = d.referee_id
where {where} order by d.occurred_at desc, page_id desc limit {limit}
"""
_EARNED = """
select payment_key, program_id, currency, sum(amount_minor)::bigint, sum(reversed_minor)::bigint,
       array_agg(distinct kind order by kind)
         filter (where kind in ('discount', 'feature') and status not in ('reversed', 'expired'))
from reward where organization_id = $1 and connection_id = $2 and payment_key = any ($3)
group by payment_key, program_id, currency order by payment_key, program_id, currency
"""


async def rewards_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    status: RewardStatus | None = None,
    participant_id: str | None = None,
    program_id: str | None = None,
    currency: str | None = None,
    referee_id: str | None = None,
    payment_key: str | None = None,
    is_waiting: bool = False,
    hold: str | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[RewardRow]:
    """Rewards, the latest payment first. `is_waiting`: those alone that wait for a person, `hold`: for what reason.

    `search`: ids of reward, payment, customer; names and e-mails.
    """
    limit = clamp_limit(limit)
    wanted = Filter(_REWARDS)
    wanted.add("r.organization_id = ? and r.connection_id = ?", organization_id, connection_id)
    wanted.add_given("r.status = ?", status)
    wanted.add_given("r.participant_id = ?", participant_id)
    wanted.add_given("r.program_id = ?", program_id)
    wanted.add_given("r.currency = lower(?)", currency)
    if referee_id:
        await _of_referee(tx, wanted, "r", organization_id, connection_id, referee_id)
    wanted.add_given("r.payment_key = ?", payment_key)
    if is_waiting:
        wanted.add("r.status = 'held' and r.holds <> '{}'")
    wanted.add_given("? = any (r.holds)", hold)
    wanted.add_search(("r.reward_id", "r.payment_key", "r.referee_id", "c.email", "p.name", "p.email"), search)
    before: datetime | None = None
    if cursor:
        before, last_id = decode_instant_and_id(cursor)
        wanted.add("(r.occurred_at, r.reward_id) < (?, ?)", before, last_id)
    rows = await fetch_recent_first(tx, wanted, limit, "r.occurred_at", before)
    return page_of(rows, limit, _reward_row, ["occurred_at", "reward_id"])


async def reward_by_id(
    tx: Connection, organization_id: str, reward_id: str, *, connection_id: str | None = None
) -> RewardRow | None:
    """One reward; None when the organization (and connection, where given) has none of that id."""
    wanted = Filter(_REWARDS)
    wanted.add("r.organization_id = ? and r.reward_id = ?", organization_id, reward_id)
    wanted.add_given("r.connection_id = ?", connection_id)
    sql, values = wanted.query(1)
    row = await tx.fetchrow(sql, *values)
    return None if row is None else _reward_row(row)


async def ledger_entries_of_reward(tx: Connection, organization_id: str, reward_id: str) -> tuple[LedgerEntryRow, ...]:
    """Every posting of every entry of a reward, the oldest first."""
    return tuple(LedgerEntryRow(**dict(row)) for row in await tx.fetch(_ENTRIES, organization_id, reward_id))


async def decisions_page(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    *,
    outcome: Outcome | None = None,
    reason: str | None = None,
    program_id: str | None = None,
    referee_id: str | None = None,
    is_referred: bool | None = None,
    since: datetime | None = None,
    search: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[DecisionRow]:
    """Payments with what was decided per program, the latest first. `search`: payment or customer id, e-mail, name;
    `is_referred`: whether somebody is known to have referred the customer."""
    limit = clamp_limit(limit)
    wanted = Filter(_DECISIONS)
    wanted.add("d.organization_id = ? and d.connection_id = ?", organization_id, connection_id)
    wanted.add_given("d.outcome = ?", outcome)
    wanted.add_given("d.reason = ?", reason)
    wanted.add_given("d.program_id = ?", program_id)
    wanted.add_given("(d.participant_id is not null) = ?", is_referred)
    if referee_id:
        await _of_referee(tx, wanted, "d", organization_id, connection_id, referee_id)
    wanted.add_given("d.occurred_at >= ?", since)
    wanted.add_search(("d.payment_key", "d.referee_id", "c.email", "p.name"), search)
    before: datetime | None = None
    if cursor:
        before, last_id = decode_instant_and_id(cursor)
        wanted.add("(d.occurred_at, d.payment_key || ' ' || d.program_id) < (?, ?)", before, last_id)
    rows = await fetch_recent_first(tx, wanted, limit, "d.occurred_at", before)
    keys = [row["payment_key"] for row in rows]
    found: dict[tuple[str, str], list[asyncpg.Record]] = {}
    for record in await tx.fetch(_EARNED, organization_id, connection_id, keys) if keys else []:
        found.setdefault((record[0], record[1]), []).append(record)

    def row_of(row: asyncpg.Record) -> DecisionRow:
        return _decision_row(row, found.get((row["payment_key"], row["program_id"]), []))

    return page_of(rows, limit, row_of, ["occurred_at", "page_id"])


async def decision_reasons(tx: Connection, organization_id: str, connection_id: str) -> tuple[str, ...]:
    """The reason codes that occur, for the filter of the list."""
    rows = await tx.fetch(
        "select distinct reason from decision where organization_id = $1 and connection_id = $2"
        " and reason is not null order by reason",
        organization_id,
        connection_id,
    )
    return tuple(row["reason"] for row in rows)


async def _of_referee(
    tx: Connection, wanted: Filter, table: str, organization_id: str, connection_id: str, referee_id: str
) -> None:
    """Narrow to one referee through the index by scope, where the customer's scope is known."""
    wanted.add(f"{table}.referee_id = ?", referee_id)
    scope_id = await tx.fetchval(
        "select scope_id from customer where organization_id = $1 and connection_id = $2 and stripe_customer_id = $3",
        organization_id,
        connection_id,
        referee_id,
    )
    wanted.add_given(f"{table}.scope_id = ?", scope_id)


def _reward_row(row: asyncpg.Record) -> RewardRow:
    return RewardRow(**{**dict(row), "holds": tuple(row["holds"]), "flags": tuple(row["flags"])})


def _decision_row(row: asyncpg.Record, rewards: list[asyncpg.Record]) -> DecisionRow:
    sums = [EarnedSum(currency, earned, taken) for _, _, currency, earned, taken, _ in rewards if earned]
    sums.sort(key=lambda one: (one.currency != row["currency"], one.currency))
    grants = sorted({kind for *_, kinds in rewards for kind in kinds or ()})
    told = {name: row[name] for name in DecisionRow.__slots__ if name not in ("earned", "grants")}
    return DecisionRow(**told, earned=tuple(sums), grants=tuple(grants))
