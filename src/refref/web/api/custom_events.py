"""/v1/custom_events: trying a custom event of (draft) terms on events, samples, and the progress of re-reading."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from refref.core.refusals import Refused
from refref.core.terms_check import terms_from_data
from refref.flows import custom_events as flow
from refref.sample_events import sample_events
from refref.stripe.envelope import parse_event_head
from refref.web.api.call import Reading
from refref.web.api.models import TERMS_SCHEMA, Out
from refref.web.api.paging import PageOf
from refref.web.api.schema import operation_id

router = APIRouter(prefix="/v1", tags=["custom events"], generate_unique_id_function=operation_id)

Types = Annotated[
    list[str] | None, Query(alias="type", max_length=50, description="Of these types only.", examples=["invoice.paid"])
]
ConnectionId = Annotated[str | None, Query(description="Needed when there are several connections.")]


class TryIn(BaseModel):
    """What to try it on: `event` (pasted), else `sample`, else the newest stored events of its types."""

    model_config = ConfigDict(extra="forbid")

    terms: dict[str, Any] = Field(json_schema_extra=TERMS_SCHEMA)
    event_id: str | None = Field(default=None, max_length=200, description="Which one; not needed if one.")
    event: dict[str, Any] | None = Field(default=None, description="A whole Stripe event.")
    sample: str | None = Field(default=None, max_length=200, examples=["customer.updated"])
    connection_id: str | None = Field(default=None, max_length=200)
    limit: int = Field(default=10, ge=1, le=flow.MOST_SAMPLES, description="How many stored events at most.")


class SeenOut(BaseModel):
    path: str
    value: str


class TriedRewardOut(Out):
    rule_id: str
    rule_name: str
    reward: Literal["", "commission", "credit", "discount", "feature"] = Field(description="Empty where refused.")
    to: str = Field(description="referrer, referee, or a participant's id.")
    amount_minor: int
    currency: str
    reason: str
    sentence: str


class TriedEventOut(Out):
    """What the custom event makes of one event; the reward is as if the customer had been referred at that moment."""

    matched: bool
    because: str = Field(description="Why it is no match.")
    seen: list[SeenOut] = Field(description="Each path that the criteria look at, with the value there.")
    stripe_event_id: str
    stripe_type: str
    customer: str
    customer_reason: str
    amount_minor: int | None
    currency: str
    amount_reason: str
    rewards: list[TriedRewardOut]


class TriedOut(BaseModel):
    tried: list[TriedEventOut] = Field(description="Empty where nothing of its types is stored yet.")


class SampleOut(BaseModel):
    source: Literal["stored", "sample"]
    stripe_type: str
    stripe_event_id: str
    created_at: datetime
    event: dict[str, Any]


class RereadingOut(Out):
    stripe_type: str
    asked_at: datetime
    percent: int = Field(description="How much of what is stored was put back to be read again.")
    is_done: bool


class RereadingsOut(BaseModel):
    types: list[RereadingOut]


@router.post("/custom_events/try")
async def try_custom_event(call: Reading, body: TryIn) -> TriedOut:
    """Try a custom event before publishing it. Nothing is stored."""
    terms = terms_from_data(body.terms)
    if body.event is not None or body.sample is not None:
        given = msgspec.json.encode(body.event) if body.event is not None else _sample(body.sample or "")
        return TriedOut(tried=[present_tried(flow.try_custom_event(terms, body.event_id, given))])
    async with call.transaction() as tx:
        own = await call.books(tx, body.connection_id)
        tried = await flow.try_on_stored_events(tx, *own, terms, body.event_id, limit=body.limit)
    return TriedOut(tried=[present_tried(item) for item in tried])


@router.get("/custom_events/samples")
async def list_samples(
    call: Reading,
    stripe_type: Types = None,
    connection_id: ConnectionId = None,
    limit: Annotated[int, Query(ge=1, le=flow.MOST_SAMPLES, description="How many stored ones at most.")] = 10,
) -> PageOf[SampleOut]:
    """Events to try a custom event on: the newest stored ones of the types, then the samples that come with RefRef."""
    known = sample_events()
    wanted = list(known) if stripe_type is None else stripe_type
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        stored = await flow.recent_samples(tx, *own, wanted, limit=limit)
    rows = [
        SampleOut(
            source="stored",
            stripe_type=row.stripe_type,
            stripe_event_id=row.stripe_event_id,
            created_at=row.created_at,
            event=msgspec.json.decode(row.body),
        )
        for row in stored
    ]
    rows.extend(_present_sample(name, known[name]) for name in wanted if name in known)
    return PageOf(data=rows, next_cursor=None)


@router.get("/custom_events/rereading")
async def get_rereading(call: Reading, connection_id: ConnectionId = None) -> RereadingsOut:
    """How far stored events were read again for the custom events of published terms."""
    async with call.transaction() as tx:
        own = await call.books(tx, connection_id)
        rows = await flow.rereading_progress(tx, *own)
    return RereadingsOut(types=[RereadingOut.model_validate(row) for row in rows])


def present_tried(tried: flow.TriedEvent) -> TriedEventOut:
    """A tried event for programs."""
    return TriedEventOut(
        matched=tried.matched,
        because=tried.because,
        seen=[SeenOut(path=path, value=value) for path, value in tried.seen],
        stripe_event_id=tried.stripe_event_id,
        stripe_type=tried.stripe_type,
        customer=tried.customer,
        customer_reason=tried.customer_reason,
        amount_minor=tried.amount_minor,
        currency=tried.currency,
        amount_reason=tried.amount_reason,
        rewards=[TriedRewardOut.model_validate(reward) for reward in tried.rewards],
    )


def _sample(stripe_type: str) -> bytes:
    found = sample_events().get(stripe_type)
    if found is None:
        raise Refused("invalid_event", "There is no sample of this type: paste an event instead.", "sample")
    return found


def _present_sample(stripe_type: str, body: bytes) -> SampleOut:
    head = parse_event_head(body)
    return SampleOut(
        source="sample",
        stripe_type=stripe_type,
        stripe_event_id=head.id,
        created_at=datetime.fromtimestamp(head.created, UTC),
        event=msgspec.json.decode(body),
    )
