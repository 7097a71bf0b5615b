"""/v1/customers, /v1/referrals, /v1/rewards, /v1/decisions: what came of the events."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from refref.core.facts import CarrierKind
from refref.core.refusals import Refused
from refref.db import reports
from refref.db.pool import Connection
from refref.flows.attribute import attribute_customer
from refref.flows.ip_hashes import hash_ip
from refref.web.api.call import Reading, Writing
from refref.web.api.models import (
    CustomerOut,
    DecisionOut,
    ReferralOut,
    RewardDetailOut,
    RewardOut,
    present_decision,
    present_posting,
    present_reward,
)
from refref.web.api.paging import Cursor, Limit, PageOf, Search, present_page
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["books"], generate_unique_id_function=operation_id)


class NewReferralIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stripe_customer_id: str = Field(pattern=r"^cus_[A-Za-z0-9]{1,60}$")
    code: str = Field(min_length=1, max_length=64, description="A refcode, a promotion code id or a participant id.")
    connection_id: str | None = None
    campaign: str = Field(default="", max_length=200)
    clicked_at: AwareDatetime | None = Field(default=None, description="When the customer followed the link, if known.")
    ip: str | None = Field(
        default=None, description="The customer's network address, of which only a keyed hash is stored."
    )
    kind: Literal["signup", "manual"] = Field(
        default="signup", description="signup: your application says so; manual: bound by hand."
    )


@router.get("/customers")
async def list_customers(
    call: Reading,
    connection_id: str | None = None,
    is_referred: bool | None = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[CustomerOut]:
    """Stripe customers with what they paid and who referred them."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.customers_page(
            tx,
            *own,
            is_referred=is_referred,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, CustomerOut.model_validate)


@router.get("/customers/{stripe_customer_id}")
async def get_customer(call: Reading, stripe_customer_id: str, connection_id: str | None = None) -> CustomerOut:
    """One customer."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        found = await reports.customer_by_id(tx, *own, stripe_customer_id)
    if found is None:
        raise Refused("unknown_customer", "The connection knows no customer with this id.", "stripe_customer_id")
    return CustomerOut.model_validate(found)


@router.get("/referrals")
async def list_referrals(
    call: Reading,
    connection_id: str | None = None,
    status: Literal["active", "flagged", "undone"] | None = None,
    participant_id: str | None = None,
    program_id: str | None = None,
    referee_id: str | None = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[ReferralOut]:
    """Who referred whom, and how we know."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.referrals_page(
            tx,
            *own,
            status=status,
            participant_id=participant_id,
            program_id=program_id,
            referee_id=referee_id,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, ReferralOut.model_validate)


@router.post("/referrals", status_code=201, response_model=PageOf[ReferralOut])
async def create_referral(call: Writing, body: NewReferralIn) -> Response:
    """Bind a Stripe customer to whoever referred it. Answers with the customer's referrals, at most one per program."""

    async def run(tx: Connection) -> PageOf[ReferralOut]:
        own = await call.books(tx, body.connection_id)
        await attribute_customer(
            tx,
            *own,
            ip_hash=await hash_ip(tx, call.context.vault, *own, body.ip, now=call.now) if body.ip else "",
            stripe_customer_id=body.stripe_customer_id,
            code=body.code,
            clicked_at=int(body.clicked_at.timestamp()) if body.clicked_at else None,
            kind=CarrierKind(body.kind),
            campaign=body.campaign,
            actor=call.actor,
            now=int(call.now.timestamp()),
        )
        page = await reports.referrals_page(tx, *own, referee_id=body.stripe_customer_id)
        return present_page(page, ReferralOut.model_validate)

    return await call.write(201, run)


@router.get("/rewards")
async def list_rewards(
    call: Reading,
    connection_id: str | None = None,
    status: Literal["pending", "payable", "held", "reversed", "expired", "paid"] | None = None,
    participant_id: str | None = None,
    program_id: str | None = None,
    referee_id: str | None = None,
    payment_key: str | None = None,
    currency: str | None = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[RewardOut]:
    """Rewards, the latest payment first."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.rewards_page(
            tx,
            *own,
            status=status,
            participant_id=participant_id,
            program_id=program_id,
            referee_id=referee_id,
            payment_key=payment_key,
            currency=currency,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, present_reward)


@router.get("/rewards/{reward_id}")
async def get_reward(call: Reading, reward_id: str) -> RewardDetailOut:
    """One reward with every posting of its ledger entries. `GET /v1/explain/{reward_id}` says why."""
    async with call.transaction() as tx:
        found = await reports.reward_by_id(tx, call.organization_id, reward_id)
        if found is None:
            raise Refused("unknown_reward", "There is no reward with this id.", "reward_id")
        entries = await reports.ledger_entries_of_reward(tx, call.organization_id, reward_id)
    return RewardDetailOut(entries=[present_posting(entry) for entry in entries], **present_reward(found).model_dump())


@router.get("/decisions")
async def list_decisions(
    call: Reading,
    connection_id: str | None = None,
    outcome: Literal["rewarded", "refused", "waiting"] | None = None,
    reason: str | None = None,
    program_id: str | None = None,
    referee_id: str | None = None,
    is_referred: bool | None = None,
    since: AwareDatetime | None = None,
    search: Search = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageOf[DecisionOut]:
    """Payments with what was decided about each, in each program."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        page = await reports.decisions_page(
            tx,
            *own,
            outcome=outcome,
            reason=reason,
            program_id=program_id,
            referee_id=referee_id,
            is_referred=is_referred,
            since=since,
            search=search,
            cursor=cursor,
            limit=limit,
        )
    return present_page(page, present_decision)
