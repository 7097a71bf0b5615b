"""Conversions: which kinds a payment is of, and what happens to a referee besides payments. Decides no reward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import cast

import msgspec

from refref.core.compiled import CompiledEvent
from refref.core.criteria import EVENT_VARIABLES, compile_criteria, compile_path
from refref.core.facts import (
    CarrierKind,
    CustomerState,
    EventState,
    Fact,
    InvoiceState,
    Kind,
    Line,
    SubscriptionState,
)
from refref.core.sales import Sale

_COUPON = "coupon:"
_IP = "ip:"
_CHANGES = {"downgrade:": "downgrade", "quantity_change:": "quantity_change"}


class Happening(msgspec.Struct, frozen=True, gc=False):
    """A conversion that is no payment. `missing`: a reason code where what its event asks for is not there."""

    kind: str
    key: str
    occurred_at: int
    ids: tuple[str, ...]
    event_id: str = ""  # of a custom event
    amount: int = 0
    currency: str = ""
    missing: str = ""
    products: tuple[str, ...] = ()  # products and prices of the subscription that it is about


class Referee:
    """What is known of one referee besides the sales."""

    __slots__ = ("customer", "emails", "events", "id", "ips", "signup_at", "subscriptions")

    def __init__(self, referee_id: str, facts: Sequence[Fact], emails: frozenset[str]) -> None:
        self.id = referee_id
        self.emails = emails
        self.customer: CustomerState | None = None
        self.subscriptions: dict[str, Fact] = {}
        self.events: list[Fact] = []
        self.ips: frozenset[str] = frozenset()
        told: list[int] = []
        for fact in facts:
            if fact.stripe_id == referee_id:
                self.ips = frozenset(name.removeprefix(_IP) for name, _ in fact.marks if name.startswith(_IP))
                if isinstance(fact.state, CustomerState):
                    self.customer = fact.state
                told += [c.seen_at for c in fact.carriers if c.kind is CarrierKind.SIGNUP]
            elif fact.kind is Kind.SUBSCRIPTION:
                self.subscriptions[fact.stripe_id] = fact
            elif fact.kind is Kind.EVENT:
                self.events.append(fact)
        if self.customer is not None and self.customer.created_at:
            told.append(self.customer.created_at)
        self.signup_at: int | None = min(told, default=None)

    @property
    def country(self) -> str:
        """Two upper-case letters, or "" where it is not known."""
        return (self.customer.country or "").upper() if self.customer else ""


def kinds_of(sale: Sale, referee: Referee, number: int, subscription_number: int) -> frozenset[str]:
    """Which kinds of conversion a counted payment is of; `number` and `subscription_number` count from 1."""
    kinds = ["any_purchase"]
    if number == 1:
        kinds.append("first_purchase")
    if sale.subscription_id is not None:
        if subscription_number == 1:
            kinds.append("subscription_started")
            subscription = referee.subscriptions.get(sale.subscription_id)
            state = subscription.state if subscription else None
            if isinstance(state, SubscriptionState) and state.trial_start_at is not None:
                kinds.append("trial_converted")
        elif billing_reason(sale) != "subscription_update":
            kinds.append("renewal")
    if sale.lines is not None and any(line.is_proration for line in sale.lines):
        kinds.append("upgrade")
    return frozenset(kinds)


def billing_reason(sale: Sale) -> str:
    """Why Stripe made the invoice of a sale; "" without invoice."""
    for fact in sale.facts:
        if isinstance(fact.state, InvoiceState):
            return fact.state.billing_reason or ""
    return ""


def coupons_of(sale: Sale, referee: Referee) -> frozenset[str]:
    """Ids of the coupons and promotion codes on a sale and its subscription."""
    facts: list[Fact] = list(sale.facts)
    subscription = referee.subscriptions.get(sale.subscription_id or "")
    if subscription is not None:
        facts.append(subscription)
    found: set[str] = set()
    for fact in facts:
        found.update(carrier.value for carrier in fact.carriers if carrier.kind is CarrierKind.PROMOTION_CODE)
        found.update(name.removeprefix(_COUPON) for name, _ in fact.marks if name.startswith(_COUPON))
    return frozenset(found)


def plan_line(lines: Iterable[Line]) -> Line | None:
    """The line that stands for a sale's plan: the last regular one of more than nothing, else the last prorated one."""
    regular = prorated = None
    for line in lines:
        if line.amount > 0 and (line.product or line.price):
            if line.is_proration:
                prorated = line
            else:
                regular = line
    return regular or prorated


def happenings(
    referee: Referee, events: Sequence[CompiledEvent], is_judged_here: Callable[[int], bool]
) -> list[Happening]:
    """What happened to a referee that one of these (moneyless or custom) events asks for, at instants that are judged
    by the terms they are of."""
    found: list[Happening] = []
    kinds = {event.event.kind for event in events}
    if "signup" in kinds and referee.signup_at is not None and referee.customer is not None:
        found.append(Happening("signup", f"{referee.id}/signup", referee.signup_at, (referee.id,)))
    for subscription_id, fact in referee.subscriptions.items():
        if referee.id not in fact.links:
            continue
        state = fact.state
        if "trial_started" in kinds and isinstance(state, SubscriptionState) and state.trial_start_at is not None:
            key = f"{subscription_id}/trial_started"
            found.append(_of_subscription("trial_started", key, state.trial_start_at, fact))
        for name, at in fact.marks:
            prefix, _, _ = name.partition(":")
            kind = _CHANGES.get(f"{prefix}:")
            if kind in kinds:
                found.append(_of_subscription(cast(str, kind), f"{subscription_id}/{kind}/{at}", at, fact))
    for event in events:
        if event.event.custom is not None:
            found.extend(_custom(referee, event, is_judged_here))
    return [item for item in found if is_judged_here(item.occurred_at)]


def _of_subscription(kind: str, key: str, at: int, fact: Fact) -> Happening:
    state = fact.state
    if not isinstance(state, SubscriptionState):
        return Happening(kind, key, at, (fact.stripe_id,))
    products = (*state.products, *state.prices)
    return Happening(kind, key, at, (fact.stripe_id,), currency=state.currency or "", products=products)


@lru_cache(maxsize=2048)
def _parsed(body: bytes) -> dict[str, object]:
    return cast(dict[str, object], msgspec.json.decode(body))


def _custom(referee: Referee, compiled: CompiledEvent, is_judged_here: Callable[[int], bool]) -> list[Happening]:
    """The stored events that meet a custom event's criteria."""
    event = compiled.event
    custom = event.custom
    assert custom is not None
    criteria = compile_criteria(custom.criteria, variables=EVENT_VARIABLES) if custom.criteria else None
    found: list[Happening] = []
    for fact in sorted(referee.events, key=lambda fact: (fact.seen_at, fact.stripe_id)):
        state = fact.state
        if not isinstance(state, EventState) or state.event_type not in custom.stripe_types:
            continue
        if not is_judged_here(state.created_at):
            continue
        body = _parsed(state.body)
        if custom.customer_path:
            if compile_path(custom.customer_path)(body).value != referee.id:
                continue
        elif referee.id not in fact.links:
            continue
        if criteria is not None and not criteria.evaluate({"event": body}).matched:
            continue
        key = f"{state.object_id}/custom/{event.event_id}/{state.created_at}"
        if custom.per_customer == "once":
            key = f"{referee.id}/custom/{event.event_id}"
        amount, currency, missing = custom_money(body, custom.amount_path, custom.currency_path)
        ids = (state.object_id,)
        found.append(Happening("custom", key, state.created_at, ids, event.event_id, amount, currency, missing))
        if custom.per_customer == "once":
            break
    return found


def custom_money(body: dict[str, object], amount_path: str, currency_path: str) -> tuple[int, str, str]:
    """The amount (minor units) and currency that a custom event carries, and a reason code where one is missing."""
    if not amount_path:
        return 0, "", ""
    amount = compile_path(amount_path)(body).amount_minor
    currency = compile_path(currency_path or "data.object.currency")(body).value
    if amount is None or amount < 0 or not isinstance(currency, str) or len(currency) != 3:
        return 0, "", "amount_missing"
    return amount, currency.lower(), ""
