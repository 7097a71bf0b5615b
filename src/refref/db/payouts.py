"""Payouts made by hand, their items and what undid them (append-only), and the rewards that a payout can cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from refref.core.ledger import BookedReward
from refref.core.payouts import PayoutItem
from refref.db.pool import Connection

_REWARD = """
select r.reward_id, r.program_id, r.rule_id, r.participant_id, r.payment_key, r.referee_id, r.terms_version, r.currency,
       r.amount_minor, r.reversed_minor, r.status, extract(epoch from r.occurred_at)::bigint,
       extract(epoch from r.hold_until)::bigint, r.entry_count, r.beneficiary_id, r.kind,
       extract(epoch from r.expires_at)::bigint, r.paid_minor, r.holds
from reward r
"""


@dataclass(frozen=True, slots=True)
class Payout:
    """A payment that the merchant made outside RefRef; `amount_minor` of `currency`."""

    organization_id: str
    payout_id: str
    connection_id: str
    participant_id: str
    currency: str
    amount_minor: int
    paid_on: date
    reference: str
    note: str
    actor: str
    at: datetime


async def payable_rewards(
    tx: Connection, organization_id: str, connection_id: str, beneficiary_id: str, currency: str
) -> list[BookedReward]:
    """The rewards of a beneficiary in one currency whose money may lie in the account payable."""
    rows = await tx.fetch(
        _REWARD + " where r.organization_id = $1 and r.connection_id = $2 and r.beneficiary_id = $3 and r.currency = $4"
        " and (r.status = 'payable' or r.paid_minor > 0 and r.amount_minor - r.reversed_minor <> r.paid_minor)",
        organization_id,
        connection_id,
        beneficiary_id,
        currency,
    )
    return [BookedReward(*row) for row in rows]


async def insert_payout(tx: Connection, made: Payout, items: Sequence[PayoutItem]) -> None:
    """Write a payout with its items."""
    await tx.execute(
        """
        insert into payout (organization_id, payout_id, connection_id, participant_id, currency, amount_minor, paid_on,
                            reference, note, actor, at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        made.organization_id,
        made.payout_id,
        made.connection_id,
        made.participant_id,
        made.currency,
        made.amount_minor,
        made.paid_on,
        made.reference,
        made.note,
        made.actor,
        made.at,
    )
    await tx.execute(
        "insert into payout_item (organization_id, payout_id, reward_id, entry_id, amount_minor)"
        " select $1, $2, i.* from unnest($3::text[], $4::text[], $5::bigint[]) i",
        made.organization_id,
        made.payout_id,
        [item.reward_id for item in items],
        [item.entry_id for item in items],
        [item.amount for item in items],
    )


async def insert_undoing(
    tx: Connection, organization_id: str, payout_id: str, *, reason: str, actor: str, at: datetime
) -> None:
    """Write that a payout was undone."""
    await tx.execute(
        "insert into payout_undoing (organization_id, payout_id, reason, actor, at) values ($1, $2, $3, $4, $5)",
        organization_id,
        payout_id,
        reason,
        actor,
        at,
    )


async def payout_by_id(tx: Connection, organization_id: str, payout_id: str) -> tuple[Payout, bool] | None:
    """A payout, and whether it was undone."""
    row = await tx.fetchrow(
        """
        select p.organization_id, p.payout_id, p.connection_id, p.participant_id, p.currency, p.amount_minor, p.paid_on,
               p.reference, p.note, p.actor, p.at, u.payout_id is not null as is_undone
        from payout p left join payout_undoing u on u.organization_id = p.organization_id and u.payout_id = p.payout_id
        where p.organization_id = $1 and p.payout_id = $2
        """,
        organization_id,
        payout_id,
    )
    if row is None:
        return None
    values = tuple(row)
    return Payout(*values[:-1]), values[-1]


async def items_of(
    tx: Connection, organization_id: str, payout_id: str
) -> tuple[list[PayoutItem], list[BookedReward], list[str]]:
    """A payout's items with the rewards as they are now, and their scopes."""
    rows = await tx.fetch(
        "select reward_id, entry_id, amount_minor from payout_item"
        " where organization_id = $1 and payout_id = $2 order by reward_id",
        organization_id,
        payout_id,
    )
    items = [PayoutItem(*row) for row in rows]
    wanted = [item.reward_id for item in items]
    rewards = await tx.fetch(
        _REWARD + " where r.organization_id = $1 and r.reward_id = any ($2)", organization_id, wanted
    )
    scopes = await tx.fetch(
        "select distinct scope_id from reward where organization_id = $1 and reward_id = any ($2)",
        organization_id,
        wanted,
    )
    return items, [BookedReward(*row) for row in rewards], [row[0] for row in scopes]


async def later_payout(tx: Connection, organization_id: str, payout_id: str, reward_ids: Sequence[str]) -> str | None:
    """The newest payout after this one that has to do with one of these rewards and was not undone."""
    found: str | None = await tx.fetchval(
        """
        select max(i.payout_id) from payout_item i
        where i.organization_id = $1 and i.payout_id > $2 and i.reward_id = any ($3)
          and not exists (select from payout_undoing u where u.organization_id = $1 and u.payout_id = i.payout_id)
        """,
        organization_id,
        payout_id,
        list(reward_ids),
    )
    return found


async def update_paid(tx: Connection, organization_id: str, rewards: Sequence[BookedReward]) -> None:
    """Bring rewards to what a payout or its undoing made of them."""
    await tx.execute(
        """
        update reward r set paid_minor = n.paid, status = n.status, entry_count = n.entry_count, holds = '{}'
        from unnest($2::text[], $3::bigint[], $4::text[], $5::int[]) as n (reward_id, paid, status, entry_count)
        where r.organization_id = $1 and r.reward_id = n.reward_id
        """,
        organization_id,
        [reward.reward_id for reward in rewards],
        [reward.paid for reward in rewards],
        [reward.status for reward in rewards],
        [reward.entry_count for reward in rewards],
    )


async def mark_unpaid_stale(tx: Connection, organization_id: str, connection_id: str, payout_id: str) -> None:
    """Ask for the conversions of an undone payout to be judged again: what is unpaid follows tiers and caps again."""
    await tx.execute(
        """
        update decision d set is_stale = true
        from payout_item i join reward r on r.organization_id = i.organization_id and r.reward_id = i.reward_id
        where i.organization_id = $1 and i.payout_id = $3 and d.organization_id = $1 and d.connection_id = $2
          and d.payment_key = r.payment_key and d.program_id = r.program_id and d.draft_digest is not null
        """,
        organization_id,
        connection_id,
        payout_id,
    )
