"""Templates of programs: terms to begin with, and whom each is for. Pure; what is made of one is the merchant's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from refref.core.faults import currency_faults
from refref.core.money import wire_exponent
from refref.core.refusals import Refused
from refref.core.terms import Duration, QualifyingEvent, RewardRule, Terms


@dataclass(frozen=True, slots=True)
class Template:
    """`template_id` names it in the API and on the command line; `participant_kind`: who mostly takes part."""

    template_id: str
    name: str
    for_whom: str
    participant_kind: Literal["referrer", "affiliate"]
    build: Callable[[str], Terms]  # terms with amounts in a currency


def terms_of_template(template_id: str, currency: str = "usd") -> Terms:
    """A template's terms with its amounts in `currency`. Raises Refused: unknown_template, invalid_currency."""
    found = next((template for template in TEMPLATES if template.template_id == template_id), None)
    if found is None:
        known = ", ".join(template.template_id for template in TEMPLATES)
        raise Refused("unknown_template", f"There is no such template; there are: {known}.", "template")
    for fault in currency_faults("currency", currency):
        raise Refused("invalid_currency", fault.sentence, fault.field)
    return found.build(currency)


def _ten(currency: str) -> dict[str, int]:
    """Ten of most currencies, a thousand of those without decimals: a round amount to begin with."""
    return {currency: 10_000 if wire_exponent(currency) == 3 else 1_000}


def _one_sided(currency: str) -> Terms:
    referrer = RewardRule(
        rule_id="thank-you",
        name="Thank you",
        event="first-purchase",
        reward="credit",
        kind="fixed",
        amounts=_ten(currency),
    )
    return Terms(rules=(referrer,), events=(_FIRST_PURCHASE,))


def _two_sided(currency: str) -> Terms:
    referee = RewardRule(
        rule_id="welcome",
        name="Welcome",
        event="first-purchase",
        to="referee",
        reward="credit",
        kind="fixed",
        amounts=_ten(currency),
    )
    before = _one_sided(currency)
    return Terms(rules=(*before.rules, referee), events=before.events)


def _affiliate(currency: str) -> Terms:
    return Terms(rules=(RewardRule(rule_id="commission", name="Commission", rate_bps=3_000),))


def _revenue_share(currency: str) -> Terms:
    return Terms(
        rules=(RewardRule(rule_id="revenue-share", name="Revenue share", rate_bps=2_000),),
        duration=Duration(unit="forever"),
        attribution_window_days=90,
    )


def _per_lead(currency: str) -> Terms:
    lead = RewardRule(rule_id="lead", name="Lead", event="approved-lead", kind="fixed", amounts=_ten(currency))
    return Terms(rules=(lead,), events=(_APPROVED_LEAD,))


_FIRST_PURCHASE = QualifyingEvent(event_id="first-purchase", kind="first_purchase")
_APPROVED_LEAD = QualifyingEvent(event_id="approved-lead", name="Approved lead", kind="signup", verification="manual")
TEMPLATES: tuple[Template, ...] = (
    Template(
        "single-sided-referral",
        "Referral: thank who referred",
        "For shops and subscriptions whose customers tell friends anyway: the referrer gets a credit for the friend's "
        "first purchase.",
        "referrer",
        _one_sided,
    ),
    Template(
        "two-sided-referral",
        "Referral: give and get",
        "For products that grow by invitation: the referrer and the new customer both get a credit for the first "
        "purchase, so that there is a reason to use the link.",
        "referrer",
        _two_sided,
    ),
    Template(
        "affiliate",
        "Affiliate",
        "For creators, bloggers and agencies who send customers: 30 % of what a customer pays in the first year.",
        "affiliate",
        _affiliate,
    ),
    Template(
        "revenue-share",
        "Revenue share",
        "For partners who bring and look after customers: 20 % of everything these customers pay, for as long as they "
        "pay.",
        "affiliate",
        _revenue_share,
    ),
    Template(
        "per-lead",
        "Pay per lead",
        "For sales that take long: a fixed amount for each sign-up that a person has approved, whether it pays or not.",
        "affiliate",
        _per_lead,
    ),
)
