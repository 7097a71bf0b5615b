"""Terms in plain words, for merchants and for participants, and what one version changes of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import structs

from refref.core.rule_words import (
    EVENT_PHRASES,
    KINDS,
    RULE_HEAD,
    RULE_PHRASES,
    Names,
    cap_sentence,
    capital,
    counted,
    duration_words,
    event_sentence,
    held_words,
    listed,
    moment,
    quoted,
    rule_sentence,
    window_words,
)
from refref.core.terms import CurrencyTerms, Duration, FraudRule, QualifyingEvent, RewardRule, Terms

T = TypeVar("T")
Phrases = tuple[Callable[[T, Names], str], ...]

_CHECKS = {
    "self_email": "participant and customer have the same e-mail address",
    "self_domain": "their addresses share a domain",
    "self_card": "participant and customer have the same card",
    "self_ip": "participant and customer have the same IP address",
    "disposable_email": "the customer has a throw-away address",
    "refund_rate": "many of the participant's referrals were refunded",
    "velocity": "very many referrals come at once",
    "coupon_site": "customers come by promotion code without a click",
}
_ACTIONS = {
    "deny": "nothing is earned",
    "hold": "the reward waits for approval",
    "flag": "the reward is marked",
    "off": "nothing happens",
}


def sentences_of(terms: Terms, names: Names | None = None) -> list[str]:
    """The terms as sentences; `names` puts names in place of the ids of participants and products."""
    names = names or {}
    events = {event.event_id: event for event in terms.events}
    sentences = [rule_sentence(rule, events.get(rule.event), names) for rule in terms.rules]
    used = {rule.event for rule in terms.rules}
    sentences += [event_sentence(event, names) for event in terms.events if event.event_id in used]
    sentences.append(_duration_sentence(terms.duration))
    sentences.append(
        f"Each reward is held for {counted(terms.hold_days, 'day')}, so that refunds can come first."
        if terms.hold_days
        else "Rewards are payable at once."
    )
    sentences += [sentence for phrase in _SENTENCES if (sentence := phrase(terms, names))]
    sentences += [cap_sentence(cap) for cap in terms.caps]
    sentences += [_fraud_sentence(rule) for rule in terms.fraud]
    return [sentence for sentence in sentences if sentence]


def terms_for(terms: Terms, participant_id: str, groups: Sequence[str] = ()) -> Terms:
    """The terms as they are for one participant: their own values in place of overrides, and nothing about fraud."""
    return structs.replace(
        terms, rules=tuple(_rule_for(rule, participant_id, groups) for rule in terms.rules), fraud=()
    )


def differences(old: Terms, new: Terms, names: Names | None = None) -> list[str]:
    """What changes from `old` to `new`, a sentence for each change; empty when they are the same."""
    names = names or {}
    events = {event.event_id: event for event in (*old.events, *new.events)}
    found = [
        *_listed_differences("Rule", old.rules, new.rules, (*RULE_HEAD, *RULE_PHRASES), names, events),
        *_listed_differences("Event", old.events, new.events, (_event_kind, *EVENT_PHRASES), names, events),
        *(
            f"{label}: {before} becomes {after}."
            for label, phrase in _ASPECTS
            if (before := phrase(old, names)) != (after := phrase(new, names))
        ),
        *_set_differences([cap_sentence(cap) for cap in old.caps], [cap_sentence(cap) for cap in new.caps]),
        *_set_differences([_fraud_sentence(rule) for rule in old.fraud], [_fraud_sentence(rule) for rule in new.fraud]),
    ]
    if not found and old != new:
        # Amounts of nothing, a count that is not used and the like: the same terms, written in another way.
        return ["Written in another way; what it means stays."]
    return found


def _rule_for(rule: RewardRule, participant_id: str, groups: Sequence[str]) -> RewardRule:
    by_name = [override for override in rule.overrides if participant_id in override.participants]
    by_group = [override for override in rule.overrides if set(groups) & set(override.groups)]
    for own in (*by_name, *by_group):
        kind = "both" if own.rate_bps and own.amounts else "fixed" if own.amounts else "percentage"
        return structs.replace(
            rule, kind=kind, rate_bps=own.rate_bps, amounts=own.amounts, bands=(), tiers=None, overrides=()
        )
    return structs.replace(rule, overrides=())


def _id_of(item: RewardRule | QualifyingEvent) -> str:
    return item.rule_id if isinstance(item, RewardRule) else item.event_id


N = TypeVar("N", RewardRule, QualifyingEvent)


def _listed_differences(
    noun: str,
    old: Sequence[N],
    new: Sequence[N],
    phrases: Phrases[N],
    names: Names,
    events: Mapping[str, QualifyingEvent],
) -> Iterator[str]:
    before, after = {_id_of(item): item for item in old}, {_id_of(item): item for item in new}
    for item_id, item in after.items():
        if item_id not in before:
            yield f"New {noun.lower()} {_in_full(item, names, events)}"
            continue
        title = f"{noun} {quoted(before[item_id].name or item_id)}"
        yield from (f"{title}: {change}." for change in _changes(before[item_id], item, phrases, names))
    for item_id, item in before.items():
        if item_id not in after:
            yield f"No longer: {noun.lower()} {_in_full(item, names, events)}"
    kept = [item_id for item_id in before if item_id in after]
    if kept != (order := [item_id for item_id in after if item_id in before]):
        yield f"The order of the {noun.lower()}s becomes: {', '.join(order)}."


def _in_full(item: RewardRule | QualifyingEvent, names: Names, events: Mapping[str, QualifyingEvent]) -> str:
    title = quoted(item.name or _id_of(item))
    if isinstance(item, RewardRule):
        return f"{title}: {rule_sentence(structs.replace(item, name=''), events.get(item.event), names)}"
    return event_sentence(item, names) or f"{title}: {KINDS[item.kind]}."


def _changes(old: N, new: N, phrases: Phrases[N], names: Names) -> Iterator[str]:
    if old.name != new.name:
        yield f"its name {quoted(old.name or _id_of(old))} becomes {quoted(new.name or _id_of(new))}"
    for phrase in phrases:
        before, after = phrase(old, names), phrase(new, names)
        if before == after:
            continue
        if before and after:
            yield f"{before} becomes {after}"
        else:
            yield f"now {after}" if after else f"no longer {before}"


def _set_differences(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    yield from (f"New: {sentence}" for sentence in new if sentence not in old)
    yield from (f"No longer: {sentence}" for sentence in old if sentence not in new)


def _event_kind(event: QualifyingEvent, names: Names) -> str:
    return KINDS[event.kind]


def _duration_sentence(duration: Duration) -> str:
    if duration.unit == "forever":
        return "A customer’s payments earn for ever."
    if duration.unit == "months":
        return f"A customer’s payments earn for {counted(duration.count, 'month')} from the first one."
    return f"A customer’s first {counted(duration.count, 'payment')} earn."


def _left_out(terms: Terms) -> list[str]:
    parts = (("tax", terms.includes_tax), ("shipping", terms.includes_shipping))
    return [name for name, is_counted in parts if not is_counted]


def _base(terms: Terms, names: Names) -> str:
    left_out = _left_out(terms)
    return f"without {' and '.join(left_out)}" if left_out else "with tax and shipping"


def _some(ids: Sequence[str], names: Names, none: str) -> str:
    return listed([names.get(one, one) for one in ids]) if ids else none


def _currency(terms: CurrencyTerms) -> str:
    if terms.conversion == "never":
        found = "never converted"
    elif terms.conversion == "daily":
        found = f"converted into {terms.base.upper()} at the rate of the day"
    else:
        prices = [f"1 {code.upper()} is {terms.table[code]} {terms.base.upper()}" for code in sorted(terms.table)]
        found = f"converted at fixed rates ({', '.join(prices)})"
    if terms.base and terms.conversion == "never":
        found += f", base currency {terms.base.upper()}"
    if terms.display:
        found += f", totals shown in {terms.display.upper()}"
    return found + (f", rewards paid in {terms.base.upper()}" if terms.pays_in == "base" else "")


def _fraud_sentence(rule: FraudRule) -> str:
    limit = {"refund_rate": f" (more than {rule.limit} %)", "velocity": f" (more than {rule.limit} in 24 hours)"}
    return f"If {_CHECKS[rule.check]}{limit.get(rule.check, '') if rule.limit else ''}, {_ACTIONS[rule.action]}."


_EXISTING = {"follow": "old referrals follow the new terms", "keep": "old referrals keep the terms they had"}
_RESTARTS = {"continue": "a new subscription goes on counting", "new_cycle": "a new subscription begins anew"}
_COUNTED = {True: "counted", False: "not counted"}
_CUSTOMERS = {"new": "only new customers", "any": "new and old customers"}

# Each field of terms besides rules, events, caps and fraud: its label, and its value as words that are never empty.
_ASPECTS: tuple[tuple[str, Callable[[Terms, Names], str]], ...] = (
    ("Customers earn", lambda terms, names: duration_words(terms.duration)),
    ("Rewards", lambda terms, names: held_words(terms.hold_days)),
    ("First payment", lambda terms, names: window_words(terms.attribution_window_days, "the click")),
    (
        "After a sign-up",
        lambda terms, names: window_words(terms.signup_window_days, "the sign-up") or "the same window",
    ),
    ("Who counts", lambda terms, names: _CUSTOMERS[terms.customers]),
    ("Products", lambda terms, names: _some(terms.products, names, "all")),
    ("Products left out", lambda terms, names: _some(terms.excluded_products, names, "none")),
    ("Coupons left out", lambda terms, names: _some(terms.excluded_coupons, names, "none")),
    ("E-mail domains left out", lambda terms, names: _some(terms.excluded_email_domains, names, "none")),
    ("What counts", _base),
    ("Invoices paid outside Stripe", lambda terms, names: "counted" if terms.counts_out_of_band else "not counted"),
    (
        "Charges without checkout or invoice",
        lambda terms, names: "counted" if terms.counts_bare_charges else "not counted",
    ),
    ("Restarts", lambda terms, names: _RESTARTS[terms.restart]),
    ("Currencies", lambda terms, names: _currency(terms.currency)),
    ("Approval", lambda terms, names: terms.approval),
    ("Existing referrals", lambda terms, names: _EXISTING[terms.existing_referrals]),
    ("Starts", lambda terms, names: moment(terms.starts_at) if terms.starts_at else "at once"),
    ("Ends", lambda terms, names: moment(terms.ends_at) if terms.ends_at else "never"),
)
# The sentences that follow the rules; "" where the product's default says nothing worth reading.
_SENTENCES: tuple[Callable[[Terms, Names], str], ...] = (
    lambda terms, names: (
        f"The first payment must come within {counted(terms.attribution_window_days, 'day')} of the referral."
    ),
    lambda terms, names: (
        f"After a sign-up, it must come within {counted(terms.signup_window_days, 'day')} of it."
        if terms.signup_window_days
        else ""
    ),
    lambda terms, names: "Customers who had paid before the referral count too." if terms.customers == "any" else "",
    lambda terms, names: f"What counts is the money really paid, after discounts, {_base(terms, names)}.",
    lambda terms, names: f"Only these count: {_some(terms.products, names, '')}." if terms.products else "",
    lambda terms, names: (
        f"These never count: {_some(terms.excluded_products, names, '')}." if terms.excluded_products else ""
    ),
    lambda terms, names: (
        f"A sale with the coupon {listed(terms.excluded_coupons, 'or')} does not count."
        if terms.excluded_coupons
        else ""
    ),
    lambda terms, names: (
        f"Customers with an address at {listed(terms.excluded_email_domains, 'or')} do not count."
        if terms.excluded_email_domains
        else ""
    ),
    lambda terms, names: "Invoices paid outside Stripe do not count." if not terms.counts_out_of_band else "",
    lambda terms, names: "Charges without checkout or invoice count too." if terms.counts_bare_charges else "",
    lambda terms, names: (
        "A new subscription of the same customer starts earning anew." if terms.restart == "new_cycle" else ""
    ),
    lambda terms, names: f"Currencies: {_currency(terms.currency)}." if terms.currency != CurrencyTerms() else "",
    lambda terms, names: "Every reward waits for approval." if terms.approval == "manual" else "",
    lambda terms, names: f"{capital(_EXISTING['keep'])}." if terms.existing_referrals == "keep" else "",
    lambda terms, names: f"The program starts on {moment(terms.starts_at)}." if terms.starts_at else "",
    lambda terms, names: f"The program ends on {moment(terms.ends_at)}." if terms.ends_at else "",
)
