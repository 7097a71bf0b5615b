"""Three made-up customers, and what terms would make of them: for the preview of a draft. Pure; touches no books.

They are referred at `now` and match the terms as far as one customer can: currency, product, country, campaign.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from refref.core.attribution import CodeOwner
from refref.core.decisions import REASONS, Decision
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
)
from refref.core.money import wire_exponent
from refref.core.periods import add_days, add_months
from refref.core.program import Config, Participant, Program
from refref.core.terms import Terms, TermsVersion

REFERRER = "ptc_example"
_PROGRAM = "prg_example"
_CUSTOMER = "cus_example"
_SUBSCRIPTION = "sub_example"
_MONTHS = 12
Amounts = tuple[tuple[str, int], ...]  # currency and minor units, in alphabetical order


@dataclass(frozen=True, slots=True)
class Step:
    """What happens to the customer `times` in a row from `at` on (seconds), and who gets how much each time.

    `paid_minor` None: no payment. `grants`: kinds of reward that move no money; `reasons`: why a rule gives nothing.
    """

    at: int
    what: str
    times: int
    paid_minor: int | None
    currency: str
    referrer: Amounts
    referee: Amounts
    others: Amounts
    grants: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """One customer: what they do, step by step, and what stays with whom after everything that went back."""

    name: str
    sentence: str
    steps: tuple[Step, ...]
    referrer: Amounts
    referee: Amounts
    others: Amounts


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the made-up customers have in common."""

    begin: int
    currency: str
    product: str
    price: str
    country: str
    campaign: str
    kinds: frozenset[str]

    def amount(self, major: int) -> int:
        """A round amount: 50 is 50.00 USD, 5000 JPY, 50.000 KWD."""
        exponent = wire_exponent(self.currency)
        return major * (10**exponent if exponent else 100)


def examples_of(terms: Terms, now: int, like: Terms | None = None) -> tuple[Example, ...]:
    """What terms without faults make of the three customers; `like`: whose customers (so that two can be compared)."""
    shape = _shape_of(like or terms, now)
    return (
        _example("A monthly subscriber", "Signs up and pays every month for a year.", _subscriber(shape), terms, shape),
        _example("A one-off buyer", "Signs up and buys once.", _buyer(shape), terms, shape),
        _example(
            "A refund", "Signs up, pays once, and gets all of it back ten days later.", _refunded(shape), terms, shape
        ),
    )


def _shape_of(terms: Terms, now: int) -> _Shape:
    ids = [*terms.products]
    amounts: list[str] = [terms.currency.base] if terms.currency.base else []
    for event in terms.events:
        ids += event.products
        amounts += [*event.currencies, *event.min_net]
    for rule in terms.rules:
        plans = [step.plan for step in rule.tiers.steps] if rule.tiers and rule.tiers.by == "plan" else []
        ids += [*rule.products, *plans]
        amounts += [*rule.amounts, *(code for band in rule.bands for code in band.amounts)]
        amounts += [code for step in (rule.tiers.steps if rule.tiers else ()) for code in step.amounts]
    starts_at = int(terms.starts_at.timestamp()) if terms.starts_at else 0
    return _Shape(
        begin=max(now, starts_at),
        currency=next(iter(amounts), "usd"),
        product=next((one for one in ids if not one.startswith("price_")), "prod_example"),
        price=next((one for one in ids if one.startswith("price_")), "price_example"),
        country=next((code for event in terms.events for code in event.countries), "US"),
        campaign=next((rule.campaign for rule in terms.rules if rule.campaign), ""),
        kinds=frozenset(event.kind for event in terms.events),
    )


def _customer(shape: _Shape) -> Fact:
    carrier = Carrier(CarrierKind.CLIENT_REFERENCE, "example", shape.begin, shape.campaign)
    state = CustomerState("buyer@example.org", "Example", shape.country, shape.currency, shape.begin + 60)
    return Fact(_CUSTOMER, Kind.CUSTOMER, 1, shape.begin, 0, state, (), (carrier,))


def _invoice(shape: _Shape, number: int, paid_at: int, major: int, reason: str) -> Fact:
    amount = shape.amount(major)
    is_recurring = reason != "manual"
    line = Line(
        f"il_example{number}",
        amount,
        product=shape.product,
        price=shape.price,
        quantity=1,
        is_proration=reason == "subscription_update",
        interval="month" if is_recurring else "",
    )
    state = InvoiceState(
        status="paid",
        currency=shape.currency,
        total=amount,
        subtotal=amount,
        amount_paid=amount,
        total_excluding_tax=amount,
        created_at=paid_at,
        paid_at=paid_at,
        billing_reason=reason,
        lines=(line,),
    )
    links = (f"ch_example{number}", _CUSTOMER, f"pi_example{number}", *([_SUBSCRIPTION] if is_recurring else []))
    return Fact(f"in_example{number}", Kind.INVOICE, 5, paid_at, 0, state, links)


def _subscriber(shape: _Shape) -> list[Fact]:
    has_trial = bool(shape.kinds & {"trial_started", "trial_converted"})
    first_at = add_days(shape.begin, 14) if has_trial else shape.begin + 3600
    facts = [_customer(shape)]
    for month in range(_MONTHS):
        reason = "subscription_cycle" if month else "subscription_create"
        facts.append(_invoice(shape, month + 1, add_months(first_at, month), 50, reason))
    if "upgrade" in shape.kinds:
        facts.append(_invoice(shape, 100, add_days(add_months(first_at, 2), 10), 20, "subscription_update"))
    changes = [kind for kind in ("downgrade", "quantity_change") if kind in shape.kinds]
    changed_at = add_days(add_months(first_at, 6), 10)
    subscription = SubscriptionState(
        "active",
        shape.currency,
        (shape.product,),
        (shape.price,),
        1,
        created_at=shape.begin + 3600,
        trial_end_at=first_at if has_trial else None,
        trial_start_at=shape.begin + 3600 if has_trial else None,
    )
    marks = tuple((f"{kind}:{changed_at}", changed_at) for kind in changes)
    facts.append(Fact(_SUBSCRIPTION, Kind.SUBSCRIPTION, 1, first_at, 0, subscription, (_CUSTOMER,), (), marks))
    return facts


def _buyer(shape: _Shape) -> list[Fact]:
    return [_customer(shape), _invoice(shape, 1, shape.begin + 3600, 120, "manual")]


def _refunded(shape: _Shape) -> list[Fact]:
    refunded_at = add_days(shape.begin, 10)
    state = RefundState("succeeded", shape.amount(60), shape.currency, refunded_at)
    refund = Fact("re_example1", Kind.REFUND, 3, refunded_at, 0, state, ("pi_example1", "ch_example1"))
    return [_customer(shape), _invoice(shape, 1, shape.begin + 3600, 60, "manual"), refund]


def _example(name: str, sentence: str, facts: list[Fact], terms: Terms, shape: _Shape) -> Example:
    config = Config(
        (Program(_PROGRAM, (TermsVersion(1, 0, terms),)),),
        {"example": CodeOwner(REFERRER, _PROGRAM)},
        participants={REFERRER: Participant(REFERRER)},
    )
    derived = derive(tuple(facts), config, add_months(shape.begin, 36))
    decisions = sorted(derived.decisions, key=lambda decision: (decision.occurred_at, decision.payment_key))
    parts = [
        (beneficiary, rule.currency or decision.currency, amount - gone)
        for decision in decisions
        for rule in decision.rules
        for beneficiary, amount, gone in rule.parts
        if rule.reward in ("commission", "credit")
    ]
    return Example(
        name,
        sentence,
        _grouped([_step(decision) for decision in decisions]),
        *(_total(parts, who) for who in ("referrer", "referee", "others")),
    )


def _who(beneficiary: str) -> str:
    return {REFERRER: "referrer", _CUSTOMER: "referee"}.get(beneficiary, "others")


def _total(parts: Iterable[tuple[str, str, int]], who: str) -> Amounts:
    totals: dict[str, int] = {}
    for beneficiary, currency, amount in parts:
        if _who(beneficiary) == who:
            totals[currency] = totals.get(currency, 0) + amount
    return tuple(sorted((currency, amount) for currency, amount in totals.items() if amount))


def _step(decision: Decision) -> Step:
    is_payment = decision.payment_number > 0 or decision.paid > 0
    parts = [
        (beneficiary, rule.currency or decision.currency, amount)
        for rule in decision.rules
        for beneficiary, amount, _ in rule.parts
        if rule.reward in ("commission", "credit")
    ]
    refused = [rule.reason for rule in decision.rules if rule.outcome != "rewarded"]
    is_rewarded = any(rule.outcome == "rewarded" for rule in decision.rules)
    reasons = [] if is_rewarded else [reason for reason in (decision.reason, *refused) if reason]
    happened = next((kind for kind in decision.kinds if kind), "") if not is_payment else ""
    return Step(
        decision.occurred_at,
        happened or ("payment_refunded" if decision.refunded else "payment"),
        1,
        decision.paid if is_payment else None,
        decision.currency,
        _total(parts, "referrer"),
        _total(parts, "referee"),
        _total(parts, "others"),
        tuple(rule.reward for rule in decision.rules if rule.outcome == "rewarded" and rule.reward not in _MONEY),
        tuple(dict.fromkeys(REASONS.get(reason, reason) for reason in reasons)),
    )


_MONEY = ("commission", "credit")


def _grouped(steps: list[Step]) -> tuple[Step, ...]:
    """Steps that follow one another and are alike, as one."""
    found: list[Step] = []
    for step in steps:
        if found and _alike(found[-1]) == _alike(step):
            last = found.pop()
            found.append(replace(last, times=last.times + 1))
        else:
            found.append(step)
    return tuple(found)


def _alike(step: Step) -> tuple[object, ...]:
    return (
        step.what, step.paid_minor, step.currency, step.referrer, step.referee, step.others, step.grants, step.reasons,
    )  # fmt: skip
