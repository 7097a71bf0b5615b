"""What a rule made of a conversion, in plain words: its value and why, the arithmetic, cuts and conversions."""

from __future__ import annotations

from collections.abc import Mapping

from refref.core.decisions import HOLDS, REASONS, Decision, Note, RuleOutcome
from refref.core.money import format_amount
from refref.core.rates import decimal_text
from refref.core.rule_words import KINDS, capital, quoted
from refref.core.terms import Terms
from refref.core.words import Document, percent

_PERIODS = {"month": "this calendar month", "quarter": "this quarter", "year": "this year", "ever": "in all"}
_CAP_ON = {
    "reward": "one reward",
    "customer": "what one customer may bring",
    "participant": "what one participant may earn",
    "program": "the program's budget",
}
_ORIGINS = {
    "ecb": "the European Central Bank",
    "csv": "a rate of yours",
    "stripe": "Stripe",
    "table": "the terms' table",
}


def present_rule(
    rule: RuleOutcome, decision: Decision, names: Mapping[str, str], terms: Terms | None = None
) -> Document:
    """One rule's outcome: a sentence, the arithmetic in one line, and each step that chose, cut or converted.

    Amounts are whole minor units of `currency`; `names` are of participants; `terms`: those that decided, for the
    rule's name and the currency of its tiers.
    """
    currency = rule.currency or decision.currency
    defined = next((known for known in terms.rules if known.rule_id == rule.rule_id), None) if terms else None
    revenue_in = defined.tiers.currency if defined and defined.tiers else ""
    document: Document = {
        "rule_id": rule.rule_id,
        "rule_name": (defined.name if defined else "") or None,
        "outcome": rule.outcome,
        "reason": rule.reason or None,
        "reward": rule.reward or None,
        "currency": currency,
        "amount_minor": rule.amount,
        "reversed_minor": rule.reversed,
        "base_minor": rule.base,
        "arithmetic": _arithmetic(rule, decision) if rule.outcome == "rewarded" else None,
        "steps": [sentence for note in rule.notes if (sentence := note_sentence(note, currency, revenue_in))],
        "holds": [HOLDS[hold] for hold in rule.holds],
        "parts": [
            {
                "beneficiary_id": beneficiary,
                "name": names.get(beneficiary, "the customer" if beneficiary == decision.referee_id else beneficiary),
                "amount_minor": amount,
                "reversed_minor": taken,
            }
            for beneficiary, amount, taken in rule.parts
        ],
    }
    document["sentence"] = _sentence(rule, currency)
    return document


def happened(decision: Decision, terms: Terms | None) -> str | None:
    """What a conversion that is no payment is, such as `A sign-up`; None for a payment."""
    _, _, rest = decision.payment_key.partition("/")
    if not rest:
        return None
    kind, _, event_id = rest.partition("/")
    words = capital(KINDS.get(kind, kind))
    if kind != "custom":
        return words
    event_id = event_id.partition("/")[0]
    named = next((event.name for event in terms.events if event.event_id == event_id), "") if terms else ""
    return f"{words}: {quoted(named or event_id)}"


def _sentence(rule: RuleOutcome, currency: str) -> str:
    if rule.outcome != "rewarded" and rule.reason == "no_rule_applies":
        return "This rule is for other conversions."
    if rule.outcome != "rewarded":
        return REASONS[rule.reason]
    if rule.reward in ("discount", "feature"):
        return f"Granted a {rule.reward}."
    amount = format_amount(rule.amount, currency)
    if rule.reason == "rejected":
        return f"Would have earned {amount}, but a person rejected it."
    if rule.reversed:
        return f"Earned {amount}; {format_amount(rule.reversed, currency)} of it was taken back."
    return f"Earned {amount}."


def _arithmetic(rule: RuleOutcome, decision: Decision) -> str | None:
    """The sum in the conversion's currency, as it was before caps and conversion; those are steps of their own."""
    if rule.reward in ("discount", "feature"):
        return None
    currency = decision.currency
    parts: list[str] = []
    rounded = ""
    if rule.rate_bps:
        parts.append(f"{format_amount(rule.base, currency)} × {percent(rule.rate_bps)}")
        rounded = "" if rule.base * rule.rate_bps % 10_000 == 0 else " (rounded half up)"
    if rule.fixed:
        parts.append(f"{format_amount(rule.fixed, currency)} fixed")
    total = (2 * rule.base * rule.rate_bps + 10_000) // 20_000 + rule.fixed
    return f"{' + '.join(parts)} = {format_amount(total, currency)}{rounded}" if parts else None


def note_sentence(note: Note, currency: str, revenue_in: str = "") -> str:
    """One step in words; "" for a code that needs none. `revenue_in`: the currency in which tiers count revenue."""
    match note:
        case ("because", text):
            return f"{text}."
        case ("override", "participant"):
            return "A value agreed with this participant."
        case ("override", group):
            return f"The value for the group “{group}”."
        case ("band", int(months), int(up_to)):
            return f"The customer has been with you for {_months(months)}: the value up to {_months(up_to)}."
        case ("plan", plan):
            return f"The value for the plan {plan}."
        case ("units", int(units)):
            return f"Once for each of {units}."
        case ("tier", measure, period, int(reached), int(at_least), applies):
            return _tier(str(measure), str(period), reached, at_least, str(applies), revenue_in)
        case ("cap", on, period, int(limit), cap_currency, int(used), int(before), int(after)):
            span = "" if on == "reward" else f" {_PERIODS[str(period)]}"
            most = format_amount(limit, str(cap_currency))
            rest = f", and {format_amount(used, str(cap_currency))} of it was used." if used else "."
            cut = f"Cut from {format_amount(before, currency)} to {format_amount(after, currency)}"
            return f"{cut}: {_CAP_ON[str(on)]} is at most {most}{span}{rest}"
        case ("rate", source, target, rate, on, origin, via, int(before), int(after)):
            over = f" over {str(via).upper()}" if via else ""
            by = f"by {_ORIGINS[str(origin)]}" + (f" of {on}" if on else "")
            price = f"one {str(source).upper()} is {decimal_text(str(rate))} {str(target).upper()}{over} {by}"
            return f"{format_amount(before, str(source))} = {format_amount(after, str(target))}: {price}."
        case ("split", *parts):
            return f"Split into {' + '.join(format_amount(int(part), currency) for part in parts)}."
    return ""


def _months(count: int) -> str:
    return "less than a month" if count == 0 else "1 month" if count == 1 else f"{count} months"


def _tier(measure: str, period: str, reached: int, at_least: int, applies: str, revenue_in: str) -> str:
    span = _PERIODS[period]
    if measure == "referrals":
        count, tier = f"{reached} paid referral{'' if reached == 1 else 's'}", str(at_least)
        whole = f"{at_least} paid referrals"
    elif revenue_in:
        count, tier = f"{format_amount(reached, revenue_in)} of revenue", format_amount(at_least, revenue_in)
        whole = f"{tier} of revenue"
    else:
        count, tier = f"{reached} minor units of revenue", str(at_least)
        whole = f"{at_least} minor units of revenue"
    if applies == "retroactive":
        return f"The tier from {whole} {span}; the whole period counts."
    return f"{count} {span}: the tier from {tier}. Counted up to and with this one."
