"""Derive: the decisions, rewards and referrals that should exist, by facts, terms, reviews and the clock.

Pure and total: the same facts give the same answer whatever came first. Two stages: `draft` judges one scope by its own
facts; `finish` completes drafts in the order of conversions, where tiers and caps look across customers. `derive` does
both for one scope that nobody else's payments concern; `derive_all` for all scopes at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from refref.core.attribution import Binding, Evidence, bind, carriers_by_referee, unclaimed_codes
from refref.core.base import base_of
from refref.core.claims import Candidate
from refref.core.complete import Completed, Given, Judged, complete
from refref.core.contributions import stage_one_tally
from refref.core.conversions import Referee
from refref.core.decisions import Decision
from refref.core.evaluate import evaluate
from refref.core.facts import ChargeState, CustomerState, Fact, InvoiceState, SessionState
from refref.core.paid import Key, PaidDecision, as_booked, kept_as_paid
from refref.core.program import Config
from refref.core.reversals import reversal_of
from refref.core.sales import Sale, SaleStatus, is_customer_id, sales_of
from refref.core.terms import Terms
from refref.core.totals import Totals


class DerivedReward(msgspec.Struct, frozen=True, gc=False):
    """A reward that should exist. `location` is pending, payable, held or expired; `ids` are all keys the conversion
    ever had; `participant_id` is the beneficiary, or who referred where the beneficiary is the referee. `holds`: why it
    waits for a person; `went_back`: what was taken back whether or not it expired (what was paid out does not)."""

    program_id: str
    rule_id: str
    participant_id: str
    payment_key: str
    ids: tuple[str, ...]
    referee_id: str
    terms_version: int
    currency: str
    amount: int
    reversed: int
    location: str
    occurred_at: int
    hold_until: int
    beneficiary_id: str
    kind: str = "commission"
    expires_at: int | None = None
    holds: tuple[str, ...] = ()
    is_rejected: bool = False
    went_back: int = 0


class DerivedReferral(msgspec.Struct, frozen=True, gc=False):
    """A referral that should exist; `status` active or flagged."""

    program_id: str
    referee_id: str
    participant_id: str
    carrier_kind: str
    carrier_value: str
    campaign: str
    bound_at: int
    status: str


class DerivedCustomer(msgspec.Struct, frozen=True, gc=False):
    stripe_customer_id: str
    email: str | None
    name: str | None
    created_at: int | None
    is_deleted: bool


class Draft(msgspec.Struct, frozen=True, gc=False):
    """What the first stage makes of one scope: candidates in order within each referee and program."""

    candidates: tuple[Candidate, ...]
    referrals: tuple[DerivedReferral, ...]
    customers: tuple[DerivedCustomer, ...]
    unclaimed: frozenset[str]
    cards: frozenset[str]


class Derived(msgspec.Struct, frozen=True, gc=False):
    decisions: tuple[Decision, ...]
    rewards: tuple[DerivedReward, ...]
    referrals: tuple[DerivedReferral, ...]
    customers: tuple[DerivedCustomer, ...]
    unclaimed: frozenset[str]
    cards: frozenset[str]


def derive(facts: Sequence[Fact], config: Config, now: int) -> Derived:
    """Everything that should be in the books for the scope that `facts` make up, at the instant `now`, as if there were
    no other scope."""
    drafted = draft(facts, config)
    completed = finish([("", drafted)], config)
    return derived_of(drafted, completed[""], now)


def derive_all(scopes: Iterable[tuple[str, Sequence[Fact]]], config: Config, now: int) -> dict[str, Derived]:
    """Everything that should be in the books of many scopes (name, facts), which make up a whole connection."""
    drafts = [(scope, draft(facts, config)) for scope, facts in scopes]
    completed = finish(drafts, config)
    return {scope: derived_of(drafted, completed[scope], now) for scope, drafted in drafts}


def draft(facts: Sequence[Fact], config: Config) -> Draft:
    """The first stage of one scope."""
    sales = sales_of(facts)
    found = carriers_by_referee(facts, sales) if any(fact.carriers for fact in facts) else {}
    emails = scope_emails(facts)
    candidates: list[Candidate] = []
    referrals: list[DerivedReferral] = []
    by_referee: dict[str, list[Sale]] = {referee: [] for referee in found}
    for sale in sales:
        by_referee.setdefault(sale.referee_id, []).append(sale)
    for referee_id, own in by_referee.items():
        is_bound = False
        evidence: tuple[Evidence, ...] = ()
        referee: Referee | None = None
        for program in config.programs if found else ():
            binding, weighed = bind(found.get(referee_id, ()), config.codes, program.program_id)
            evidence = weighed if len(weighed) > len(evidence) or not evidence else evidence
            if binding is None:
                continue
            is_bound = True
            referee = referee or Referee(referee_id, facts, emails)
            judged, is_flagged = evaluate(program, binding, referee, own, config)
            candidates.extend(judged)
            referrals.append(_referral(binding, referee_id, is_flagged))
        if not is_bound:
            refused = [d for sale in own if (d := _unattributed(sale, evidence)) is not None]
            candidates.extend([Candidate(decision) for decision in refused])
    return Draft(
        tuple(candidates),
        tuple(referrals),
        tuple(_customers(facts, sales)),
        frozenset(unclaimed_codes(found, config.codes)) if found else frozenset(),
        _cards(facts),
    )


def finish(
    drafts: Sequence[tuple[str, Draft]], config: Config, paid: Mapping[Key, PaidDecision] | None = None
) -> dict[str, list[Completed]]:
    """The second stage of scopes that are all there is; the results are in the order of each draft's candidates.

    `paid`: conversions of programs that look at others' payments, of which a reward was paid out.
    """
    programs = {program.program_id: program for program in config.programs}
    totals = Totals(config.programs)
    judged: dict[tuple[str, str], Judged] = {}
    if not any(program.outline.has_sums for program in config.programs):  # any order will do
        return {
            scope: [
                complete(candidate, programs.get(candidate.decision.program_id), totals, judged)
                for candidate in drafted.candidates
            ]
            for scope, drafted in drafts
        }
    results: dict[str, list[Completed | None]] = {scope: [None] * len(d.candidates) for scope, d in drafts}
    todo = [
        (candidate.order, scope, place, candidate)
        for scope, drafted in drafts
        for place, candidate in enumerate(drafted.candidates)
    ]
    todo.sort(key=_in_order)
    for _, _, _, candidate in todo:
        tally = stage_one_tally(candidate)
        if tally is not None:
            totals.add_whole(tally)
    for _, scope, place, candidate in todo:
        program = programs.get(candidate.decision.program_id)
        booked = kept_as_paid(candidate, paid) if paid else None
        if booked is not None and program is not None:
            completed = as_booked(candidate, booked, program, judged)
        else:
            completed = complete(candidate, program, totals, judged)
        results[scope][place] = completed
        for tally in completed.tallies:
            totals.add(tally)
    return {scope: [item for item in items if item is not None] for scope, items in results.items()}


def _in_order(item: tuple[tuple[int, str], str, int, Candidate]) -> tuple[tuple[int, str], str, int]:
    return item[:3]


def derived_of(drafted: Draft, completed: Sequence[Completed], now: int) -> Derived:
    """What should be in the books of a scope, at the instant `now`."""
    return Derived(
        tuple([item.decision for item in completed]),
        tuple([reward_of(item.decision, given, now) for item in completed for given in item.given]),
        drafted.referrals,
        drafted.customers,
        drafted.unclaimed,
        drafted.cards,
    )


def reward_of(decision: Decision, given: Given, now: int) -> DerivedReward:
    """What a conversion gives somebody, as the reward that should exist at `now`."""
    location = "held" if given.is_held else "payable" if now >= given.hold_until else "pending"
    if given.expires_at is not None and now >= given.expires_at:
        location = "expired"
    referrer = decision.participant_id if given.beneficiary_id == decision.referee_id else given.beneficiary_id
    return DerivedReward(
        decision.program_id,
        given.rule_id,
        referrer,
        decision.payment_key,
        decision.ids,
        decision.referee_id,
        decision.terms_version,
        given.currency,
        given.amount,
        given.amount if location == "expired" else given.reversed,
        location,
        decision.occurred_at,
        given.hold_until,
        given.beneficiary_id,
        given.reward,
        given.expires_at,
        given.holds if location == "held" else (),
        given.is_rejected,
        given.reversed,
    )


def normal_email(email: str) -> str:
    """An address for comparison: lower case, without a +tag."""
    local, at, domain = email.strip().lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def scope_emails(facts: Sequence[Fact]) -> frozenset[str]:
    """Every e-mail address that the scope's customer used, normalised."""
    told = {fact.state.email for fact in facts if isinstance(fact.state, _WITH_EMAIL)}
    return frozenset([normal_email(email) for email in told if email])


_BUYER_EMAIL = (SessionState, InvoiceState)
_WITH_EMAIL = (CustomerState, SessionState, InvoiceState, ChargeState)


def _cards(facts: Sequence[Fact]) -> frozenset[str]:
    return frozenset(
        fact.state.card_fingerprint
        for fact in facts
        if isinstance(fact.state, ChargeState) and fact.state.card_fingerprint
    )


def _referral(binding: Binding, referee_id: str, is_flagged: bool) -> DerivedReferral:
    carrier = binding.carrier
    return DerivedReferral(
        binding.program_id,
        referee_id,
        binding.participant_id,
        carrier.kind.value,
        carrier.value,
        carrier.campaign,
        binding.bound_at,
        "flagged" if is_flagged else "active",
    )


def _customers(facts: Sequence[Fact], sales: Sequence[Sale]) -> list[DerivedCustomer]:
    emails: dict[str, str] = {}
    for sale in sales:
        for fact in sale.facts if sale.customer_id else ():
            state = fact.state
            if isinstance(state, _BUYER_EMAIL) and state.email:
                emails.setdefault(sale.customer_id or "", state.email)
    rows = []
    for fact in facts:
        if not is_customer_id(fact.stripe_id):
            continue
        state = fact.state if isinstance(fact.state, CustomerState) else CustomerState()
        email = state.email or emails.get(fact.stripe_id)
        is_deleted = any(name == "deleted" for name, _ in fact.marks)
        rows.append(DerivedCustomer(fact.stripe_id, email, state.name, state.created_at, is_deleted))
    return rows


_ANY_TERMS = Terms()


def _unattributed(sale: Sale, evidence: tuple[Evidence, ...]) -> Decision | None:
    if sale.status is SaleStatus.UNPAID:
        return None
    verdicts = {item.verdict for item in evidence} - {"undone"}
    reason = "inactive_code" if "inactive_code" in verdicts else "unknown_code" if verdicts else "not_attributed"
    base = base_of(sale, _ANY_TERMS)
    reversal = reversal_of(sale, base, _ANY_TERMS)
    return Decision(
        payment_key=sale.key,
        program_id="",
        ids=sale.ids,
        referee_id=sale.referee_id,
        outcome="refused",
        reason=reason,
        occurred_at=sale.paid_at,
        currency=sale.currency,
        source=sale.source.value,
        paid=sale.paid,
        total=sale.total,
        tax=sale.tax,
        shipping=sale.shipping,
        off_stripe=sale.off_stripe,
        refunded=reversal.refunded,
        base=base,
        evidence=evidence,
        reversals=reversal.items,
    )
