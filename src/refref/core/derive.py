"""Derive: the decisions, rewards and referrals that should exist for one scope, by its facts, the terms and the clock.

Pure and total: the same facts give the same answer whatever came first. `settle` compares it with the books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from refref.core.attribution import Binding, CodeOwner, Evidence, bind, carriers_by_referee, unclaimed_codes
from refref.core.base import Base, base_of
from refref.core.decisions import Decision, RuleOutcome
from refref.core.facts import ChargeState, CustomerState, Fact, InvoiceState, SessionState
from refref.core.money import share
from refref.core.periods import add_days, add_months
from refref.core.reversals import NOTHING, Reversal, reversal_of, reversed_target
from refref.core.sales import Sale, SaleStatus, is_customer_id, sales_of
from refref.core.terms import RewardRule, Terms, TermsVersion


class Program(msgspec.Struct, frozen=True, gc=False):
    """A program as derive needs it; `terms` in order of version."""

    program_id: str
    terms: tuple[TermsVersion, ...]


class Config(msgspec.Struct, frozen=True, gc=False):
    """What the merchant set up, as far as the scope at hand needs it.

    `codes`: look-up key -> owner; `emails`: participant -> e-mail addresses that are theirs (normalised), the ones of
    customers who paid with the same card included under their own scope's `card_emails`.
    """

    programs: tuple[Program, ...]
    codes: Mapping[str, CodeOwner]
    participant_emails: Mapping[str, str] = {}
    card_emails: frozenset[str] = frozenset()


class DerivedReward(msgspec.Struct, frozen=True, gc=False):
    """A reward that should exist. `location` is pending, payable or held; `ids` are all keys the payment ever had."""

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


class Derived(msgspec.Struct, frozen=True, gc=False):
    decisions: tuple[Decision, ...]
    rewards: tuple[DerivedReward, ...]
    referrals: tuple[DerivedReferral, ...]
    customers: tuple[DerivedCustomer, ...]
    unclaimed: frozenset[str]
    cards: frozenset[str]


def derive(facts: Sequence[Fact], config: Config, now: int) -> Derived:
    """Everything that should be in the books for the scope that `facts` make up, at the instant `now`."""
    sales = sales_of(facts)
    found = carriers_by_referee(facts, sales) if any(fact.carriers for fact in facts) else {}
    emails = scope_emails(facts)
    decisions: list[Decision] = []
    rewards: list[DerivedReward] = []
    referrals: list[DerivedReferral] = []
    by_referee: dict[str, list[Sale]] = {referee: [] for referee in found}
    for sale in sales:
        by_referee.setdefault(sale.referee_id, []).append(sale)
    for referee_id, own in by_referee.items():
        is_bound = False
        evidence: tuple[Evidence, ...] = ()
        for program in config.programs if found else ():
            binding, weighed = bind(found.get(referee_id, ()), config.codes, program.program_id)
            evidence = weighed if len(weighed) > len(evidence) or not evidence else evidence
            if binding is None:
                continue
            is_bound = True
            is_self = _is_self_referral(binding, config, emails)
            referrals.append(_referral(binding, referee_id, is_self))
            for decision, earned in _evaluate(program, binding, own, is_self, now):
                decisions.append(decision)
                rewards.extend(earned)
        if not is_bound:
            decisions.extend(d for sale in own if (d := _unattributed(sale, evidence)) is not None)
    return Derived(
        tuple(decisions),
        tuple(rewards),
        tuple(referrals),
        tuple(_customers(facts, sales)),
        frozenset(unclaimed_codes(found, config.codes)) if found else frozenset(),
        _cards(facts),
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


def _is_self_referral(binding: Binding, config: Config, emails: frozenset[str]) -> bool:
    own = config.participant_emails.get(binding.participant_id)
    return own is not None and (own in emails or own in config.card_emails)


def _referral(binding: Binding, referee_id: str, is_self: bool) -> DerivedReferral:
    carrier = binding.carrier
    return DerivedReferral(
        binding.program_id,
        referee_id,
        binding.participant_id,
        carrier.kind.value,
        carrier.value,
        carrier.campaign,
        binding.bound_at,
        "flagged" if is_self else "active",
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


def _terms_at(program: Program, instant: int) -> TermsVersion | None:
    chosen = None
    for version in program.terms:
        if version.effective_at <= instant:
            chosen = version
    return chosen


def _decision(sale: Sale, program_id: str, outcome: str, reason: str, **more: object) -> Decision:
    return Decision(
        payment_key=sale.key,
        program_id=program_id,
        ids=sale.ids,
        referee_id=sale.referee_id,
        outcome=outcome,
        reason=reason,
        occurred_at=sale.paid_at,
        currency=sale.currency,
        source=sale.source.value,
        paid=sale.paid,
        total=sale.total,
        tax=sale.tax,
        shipping=sale.shipping,
        off_stripe=sale.off_stripe,
        **{"refunded": 0, **more},  # type: ignore[arg-type]  # the callers' keywords are Decision's own fields
    )


def _unattributed(sale: Sale, evidence: tuple[Evidence, ...]) -> Decision | None:
    if sale.status is SaleStatus.UNPAID:
        return None
    verdicts = {item.verdict for item in evidence}
    reason = "inactive_code" if "inactive_code" in verdicts else "unknown_code" if evidence else "not_attributed"
    base = base_of(sale, _ANY_TERMS)
    reversal = reversal_of(sale, base, _ANY_TERMS)
    return _decision(
        sale, "", "refused", reason, evidence=evidence, base=base, refunded=reversal.refunded, reversals=reversal.items
    )


_ANY_TERMS = Terms()


class _Count:
    """The counted payments of one earning cycle so far."""

    __slots__ = ("first_at", "number")

    def __init__(self) -> None:
        self.number = 0
        self.first_at: int | None = None


def _evaluate(
    program: Program, binding: Binding, sales: Sequence[Sale], is_self: bool, now: int
) -> list[tuple[Decision, list[DerivedReward]]]:
    """Each payment of a bound referee, in order, with its decision and rewards."""
    cycles: dict[str, _Count] = {}
    window_is_open: bool | None = None
    results: list[tuple[Decision, list[DerivedReward]]] = []
    for sale in sales:
        if sale.status is SaleStatus.UNPAID:
            continue
        version = _terms_at(program, sale.paid_at)
        if version is None:
            results.append((_refused(sale, binding, "before_terms", None, 0), []))
            continue
        terms = version.terms
        base = base_of(sale, terms)
        reason = _reason_not_to_count(sale, base, terms, binding)
        if not reason and window_is_open is None:
            closes_at = add_days(binding.bound_at, terms.attribution_window_days + 1)  # the last day counts whole
            window_is_open = sale.paid_at < closes_at or sale.key == binding.sale_key
        if not reason and not window_is_open:
            reason = "outside_window"
        if reason or is_self:
            results.append((_refused(sale, binding, reason or "self_referral", base, version.version, terms), []))
            continue
        cycle = cycles.setdefault(_cycle_of(sale, terms), _Count())
        if cycle.first_at is None:
            cycle.first_at = sale.paid_at
        cycle.number += 1
        results.append(_counted(sale, binding, version, base, cycle, now))
    return results


def _cycle_of(sale: Sale, terms: Terms) -> str:
    return (sale.subscription_id or "") if terms.restart == "new_cycle" else ""


def _reason_not_to_count(sale: Sale, base: Base, terms: Terms, binding: Binding) -> str:
    if sale.status is SaleStatus.PENDING:
        return "payment_pending"
    if sale.status is SaleStatus.FAILED:
        return "payment_failed"
    if base.missing:
        return base.missing
    if sale.is_bare and not terms.counts_bare_charges:
        return "bare_charge"
    if sale.paid_at < binding.covers_from and sale.key != binding.sale_key:
        return "before_referral"
    return "" if base.amount > 0 else "nothing_paid"


def _refused(
    sale: Sale, binding: Binding, reason: str, base: Base | None, version: int, terms: Terms = _ANY_TERMS
) -> Decision:
    is_waiting = reason in ("payment_pending", "lines_missing")
    reversal = reversal_of(sale, base, terms) if base is not None else NOTHING
    return _decision(
        sale,
        binding.program_id,
        "waiting" if is_waiting else "refused",
        reason,
        base=base,
        participant_id=binding.participant_id,
        evidence=binding.evidence,
        terms_version=version,
        bound_at=binding.bound_at,
        refunded=reversal.refunded,
        reversals=reversal.items,
    )


def _counted(
    sale: Sale, binding: Binding, version: TermsVersion, base: Base, cycle: _Count, now: int
) -> tuple[Decision, list[DerivedReward]]:
    terms = version.terms
    reversal = reversal_of(sale, base, terms)
    hold_until = add_days(sale.paid_at, terms.hold_days)
    location = "held" if reversal.is_held else "payable" if now >= hold_until else "pending"
    over = _is_over(terms, cycle, sale.paid_at)
    outcomes = tuple([_apply_rule(rule, sale, base, reversal, cycle.number, over) for rule in terms.rules])
    rewards = [
        DerivedReward(
            binding.program_id,
            outcome.rule_id,
            binding.participant_id,
            sale.key,
            sale.ids,
            sale.referee_id,
            version.version,
            sale.currency,
            outcome.amount,
            outcome.reversed,
            location,
            sale.paid_at,
            hold_until,
        )
        for outcome in outcomes
        if outcome.outcome == "rewarded"
    ]
    reason = "" if rewards else "duration_over" if over else next((o.reason for o in outcomes if o.reason), "")
    decision = _decision(
        sale,
        binding.program_id,
        "rewarded" if rewards else "refused",
        reason,
        base=base,
        participant_id=binding.participant_id,
        evidence=binding.evidence,
        terms_version=version.version,
        payment_number=cycle.number,
        hold_until=hold_until,
        is_held=reversal.is_held,
        rules=outcomes,
        reversals=reversal.items,
        refunded=reversal.refunded,
        bound_at=binding.bound_at,
    )
    return decision, rewards


def _is_over(terms: Terms, cycle: _Count, paid_at: int) -> bool:
    duration = terms.duration
    if duration.unit == "forever" or cycle.first_at is None:
        return False
    if duration.unit == "payments":
        return cycle.number > duration.count
    return paid_at >= add_months(cycle.first_at, duration.count)


def _apply_rule(
    rule: RewardRule, sale: Sale, base: Base, reversal: Reversal, number: int, is_over: bool
) -> RuleOutcome:
    if is_over:
        return RuleOutcome(rule.rule_id, "refused", "duration_over")
    if (rule.on == "first" and number != 1) or (rule.on == "recurring" and number == 1):
        return RuleOutcome(rule.rule_id, "refused", "no_rule_applies")
    if rule.kind == "fixed":
        fixed = rule.amounts.get(sale.currency)
        if fixed is None:
            return RuleOutcome(rule.rule_id, "refused", "no_amount_for_currency", "fixed")
        amount = fixed
    else:
        amount = share(base.amount, rule.rate_bps)
    if amount <= 0:
        return RuleOutcome(rule.rule_id, "refused", "rounds_to_zero", rule.kind, rule.rate_bps)
    taken = reversed_target(amount, reversal)
    return RuleOutcome(rule.rule_id, "rewarded", "", rule.kind, rule.rate_bps, amount, taken)
