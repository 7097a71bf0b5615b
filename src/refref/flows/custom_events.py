"""Trying a custom event before it is published: on pasted JSON, on samples, on stored events. Writes nothing.

The reward is what the engine makes of the terms, as if the customer had been referred at that very moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from refref.core.attribution import CodeOwner
from refref.core.conversions import custom_money
from refref.core.criteria import EVENT_VARIABLES, CriteriaError, compile_criteria, compile_path
from refref.core.decisions import REASONS, Decision, RuleOutcome
from refref.core.derive import derive
from refref.core.facts import Carrier, CarrierKind, Fact, Kind, merge
from refref.core.program import Config, Participant, Program
from refref.core.refusals import Refused
from refref.core.terms import CustomEvent, QualifyingEvent, Terms, TermsVersion
from refref.core.terms_check import check_terms
from refref.db import custom_events, facts
from refref.db.custom_events import Rereading, StoredSample
from refref.db.pool import Connection
from refref.stripe.envelope import EventRefused, parse_event_head
from refref.stripe.readers import UnreadableEvent, read
from refref.stripe.readers.custom import read_custom

MAX_EVENT_BYTES = 1 << 20
MOST_SAMPLES = 50
_REFERRER = "ptc_sample"
_PROGRAM = "prg_sample"

Event = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TriedReward:
    """What one rule would give for the event: `amount_minor` of `currency`, or the reason why nothing."""

    rule_id: str
    rule_name: str
    reward: str  # commission, credit, discount, feature; "" where refused
    to: str
    amount_minor: int
    currency: str
    reason: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class TriedEvent:
    """What a custom event makes of one event. `because`: why it is no match; `seen`: each path that the criteria look
    at with the value there, as shown. A value that is missing has its reason beside it."""

    matched: bool
    because: str
    seen: tuple[tuple[str, str], ...]
    stripe_event_id: str
    stripe_type: str
    customer: str
    customer_reason: str
    amount_minor: int | None
    currency: str
    amount_reason: str
    rewards: tuple[TriedReward, ...]


def custom_event_of(terms: Terms, event_id: str | None) -> QualifyingEvent:
    """The custom event to try: the one of that id, or the only one; its criteria and paths compile.

    Raises Refused: invalid_terms where there is none of the id (or several and no id), CriteriaError with the place.
    """
    customs = [event for event in terms.events if event.custom is not None]
    found = [event for event in customs if event_id in (None, event.event_id)]
    if len(found) != 1:
        named = ", ".join(event.event_id for event in customs) or "none"
        raise Refused("invalid_terms", f"Say which custom event of these terms to try; there are: {named}.", "event_id")
    (event,) = found
    _check(cast(CustomEvent, event.custom), f"terms.events.{terms.events.index(event)}.custom")
    return event


def _check(custom: CustomEvent, field: str) -> None:
    try:
        name = "criteria"
        if custom.criteria:
            compile_criteria(custom.criteria, variables=EVENT_VARIABLES)
        for name in ("amount_path", "currency_path", "customer_path"):
            if path := getattr(custom, name):
                compile_path(path)
    except CriteriaError as error:
        raise CriteriaError(
            error.message, error.remedy, line=error.line, column=error.column, field=f"{field}.{name}"
        ) from None


def try_custom_event(terms: Terms, event_id: str | None, body: bytes, known: Sequence[Fact] = ()) -> TriedEvent:
    """What a custom event of (draft) terms makes of a Stripe event's JSON. Writes nothing, asks nobody.

    `known`: facts of the customer that conditions may look at. Raises Refused: invalid_event where the JSON is no
    Stripe event, invalid_terms where the terms cannot be used, CriteriaError with line and column.
    """
    definition = custom_event_of(terms, event_id)
    check_terms(terms)
    event = _decoded(body)
    custom = cast(CustomEvent, definition.custom)
    stripe_type = cast(str, event["type"])
    because, seen = _judge(custom, event, stripe_type)
    told = read_custom(event, body, (custom.customer_path,))
    customer = told[0].links[0] if told else ""
    amount, currency, amount_reason = _money(custom, event)
    rewards: tuple[TriedReward, ...] = ()
    if not because and customer:
        rewards = _rewards(terms, definition, customer, (*_facts_told(event, customer), *known, *told))
    return TriedEvent(
        matched=not because and bool(customer),
        because=because or ("" if customer else f"no match: {_no_customer(custom, event)}"),
        seen=seen,
        stripe_event_id=str(event.get("id") or ""),
        stripe_type=stripe_type,
        customer=customer,
        customer_reason="" if customer else _no_customer(custom, event),
        amount_minor=amount,
        currency=currency,
        amount_reason=amount_reason,
        rewards=rewards,
    )


async def try_on_stored_events(
    tx: Connection, organization_id: str, connection_id: str, terms: Terms, event_id: str | None, *, limit: int = 10
) -> list[TriedEvent]:
    """The same on the newest stored events of the types that the custom event names. Raises as try_custom_event."""
    custom = cast(CustomEvent, custom_event_of(terms, event_id).custom)
    wanted = min(limit, MOST_SAMPLES)
    found = await custom_events.recent_events(tx, organization_id, connection_id, custom.stripe_types, wanted)
    tried = [try_custom_event(terms, event_id, sample.body) for sample in found]
    ids = sorted({item.customer for item in tried if item.customer})
    rows = await facts.facts_of_scopes(tx, organization_id, connection_id, stripe_ids=ids) if ids else []
    customers = {row.fact.stripe_id: row.fact for row in rows if row.fact.kind is Kind.CUSTOMER}
    return [
        try_custom_event(terms, event_id, sample.body, [_bare(customers[item.customer])])
        if item.customer in customers
        else item
        for sample, item in zip(found, tried, strict=True)
    ]


async def recent_samples(
    tx: Connection, organization_id: str, connection_id: str, stripe_types: Sequence[str], *, limit: int = 10
) -> list[StoredSample]:
    """The newest stored events of these types, whether they were read or ignored."""
    return await custom_events.recent_events(tx, organization_id, connection_id, stripe_types, min(limit, MOST_SAMPLES))


async def rereading_progress(tx: Connection, organization_id: str, connection_id: str) -> list[Rereading]:
    """How far stored events were read again for the custom events of published terms."""
    return await custom_events.rereadings(tx, organization_id, connection_id)


def _decoded(body: bytes) -> Event:
    if len(body) > MAX_EVENT_BYTES:
        raise Refused("invalid_event", "The event is larger than 1 MiB, more than Stripe ever sends.", "event")
    try:
        parse_event_head(body)
    except EventRefused as refusal:
        raise Refused(
            "invalid_event", f"{refusal.sentence} Paste a whole event: id, type, created, data.object.", "event"
        ) from None
    return cast(Event, msgspec.json.decode(body))


def _judge(custom: CustomEvent, event: Event, stripe_type: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Why the event is no match, "" where it is one, and what the criteria saw."""
    if stripe_type not in custom.stripe_types:
        return f"no match: the event is {stripe_type}, and the custom event looks at {_list(custom.stripe_types)}", ()
    if not custom.criteria:
        return "", ()
    outcome = compile_criteria(custom.criteria, variables=EVENT_VARIABLES).evaluate({"event": event})
    return ("" if outcome.matched else f"no match: {outcome.because}"), outcome.seen


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "no type"


def _no_customer(custom: CustomEvent, event: Event) -> str:
    if custom.customer_path:
        found = compile_path(custom.customer_path)(event)
        return found.reason or f"event.{custom.customer_path} is no id of a customer or sale in Stripe"
    return "the event's object names no customer; say in customer_path where one stands"


def _money(custom: CustomEvent, event: Event) -> tuple[int | None, str, str]:
    if not custom.amount_path:
        return None, "", ""
    amount, currency, missing = custom_money(dict(event), custom.amount_path, custom.currency_path)
    if not missing:
        return amount, currency, ""
    found = compile_path(custom.amount_path)(event)
    if found.amount_minor is None:
        return None, "", found.amount_reason
    if found.amount_minor < 0:
        return None, "", f"event.{custom.amount_path} is less than nothing"
    path = custom.currency_path or "data.object.currency"
    return None, "", compile_path(path)(event).reason or f"event.{path} is no currency of three letters"


def _facts_told(event: Event, customer: str) -> tuple[Fact, ...]:
    """What the event tells of the customer itself, such as country and metadata."""
    try:
        return tuple(_bare(fact) for fact in read(event).facts if fact.stripe_id == customer)
    except UnreadableEvent:
        return ()


def _bare(fact: Fact) -> Fact:
    """What is known of a customer, without who really referred them."""
    return msgspec.structs.replace(fact, carriers=(), links=())


def _rewards(terms: Terms, event: QualifyingEvent, customer: str, told: Sequence[Fact]) -> tuple[TriedReward, ...]:
    (own,) = (fact for fact in told if fact.kind is Kind.EVENT)
    carrier = Carrier(CarrierKind.MANUAL, _REFERRER, own.seen_at)
    known: dict[str, Fact] = {}
    for fact in (*told, Fact(customer, _kind_of(customer), carriers=(carrier,))):
        known[fact.stripe_id] = merge(known[fact.stripe_id], fact) if fact.stripe_id in known else fact
    config = Config(
        (Program(_PROGRAM, (TermsVersion(1, 0, terms),)),),
        {_REFERRER: CodeOwner(_REFERRER, _PROGRAM)},
        participants={_REFERRER: Participant(_REFERRER)},
    )
    derived = derive(tuple(known.values()), config, own.seen_at)
    decisions = [
        decision for decision in derived.decisions if decision.payment_key.find(f"/custom/{event.event_id}") > 0
    ]
    return tuple(reward for decision in decisions for reward in _of_decision(decision, terms, event))


def _kind_of(stripe_id: str) -> Kind:
    return Kind.CUSTOMER if stripe_id.startswith(("cus_", "acct_")) else Kind.REF


def _of_decision(decision: Decision, terms: Terms, event: QualifyingEvent) -> list[TriedReward]:
    rules = {rule.rule_id: rule for rule in terms.rules if rule.event == event.event_id}
    if decision.reason and not decision.rules:
        return [_refused(rule_id, rules[rule_id].name, decision.reason) for rule_id in rules]
    found: list[TriedReward] = []
    for outcome in decision.rules:
        if outcome.rule_id not in rules:
            continue
        name = rules[outcome.rule_id].name
        if outcome.outcome == "rewarded":
            found.extend(_given(outcome, name, decision))
        else:
            found.append(_refused(outcome.rule_id, name, outcome.reason))
    return found


def _given(outcome: RuleOutcome, name: str, decision: Decision) -> list[TriedReward]:
    currency = outcome.currency or decision.currency
    return [
        TriedReward(outcome.rule_id, name, outcome.reward, _whom(beneficiary, decision), amount, currency)
        for beneficiary, amount, _ in outcome.parts
    ]


def _whom(beneficiary: str, decision: Decision) -> str:
    if beneficiary == _REFERRER:
        return "referrer"
    return "referee" if beneficiary == decision.referee_id else beneficiary


def _refused(rule_id: str, name: str, reason: str) -> TriedReward:
    return TriedReward(rule_id, name, "", "", 0, "", reason, REASONS.get(reason, ""))
