"""What fraud checks find in a referral, and what the terms do about it (docs/terms.md, Fraud)."""

from __future__ import annotations

from oracle.cases import Conversion
from oracle.counted import Counted, CountedPayments
from oracle.referrals import found_in
from oracle.worlds import DAY, World
from refref.core.terms import Terms

DEFAULTS = {
    "self_email": "deny",
    "self_card": "deny",
    "self_domain": "flag",
    "self_ip": "flag",
    "disposable_email": "flag",
    "refund_rate": "off",
    "velocity": "off",
    "coupon_site": "off",
}
LIMITS = {"refund_rate": 30, "velocity": 50}
BY_OTHERS = ("refund_rate", "velocity", "coupon_site")


def action(terms: Terms, check: str) -> str:
    """What these terms do when the check finds something."""
    return next((rule.action for rule in terms.fraud if rule.check == check), DEFAULTS[check])


def limit(terms: Terms, check: str) -> int:
    given = next((rule.limit for rule in terms.fraud if rule.check == check), 0)
    return given or LIMITS[check]


def found_in_referral(world: World, conversion: Conversion, terms: Terms) -> dict[str, str]:
    """What participant and customer alone give away: check -> action, without what is off."""
    return _with_actions(found_in(world, conversion.customer, conversion.bond), terms)


def found_among_others(conversion: Conversion, terms: Terms, counted: CountedPayments) -> dict[str, str]:
    """What the participant's other referrals give away. A payment that is denied for it is still a counted one."""
    return _with_actions(_among_others(conversion, terms, counted), terms)


def _with_actions(found: set[str], terms: Terms) -> dict[str, str]:
    return {check: action(terms, check) for check in found if action(terms, check) != "off"}


def verdict(world: World, conversion: Conversion, rule_id: str) -> str:
    """What a person said: of the reward, else of the conversion, else of the referee; "" when nobody did."""
    for name in ((conversion.key, rule_id), (conversion.key, ""), (conversion.customer.referee_id, "")):
        if name in world.reviews:
            return world.reviews[name]
    return ""


def refusal(world: World, conversion: Conversion, found: dict[str, str]) -> str:
    """The reason of a denial, "" without, or where a person approved the conversion or the referee."""
    if verdict(world, conversion, "") == "approved":
        return ""
    denied = {check for check, done in found.items() if done == "deny"}
    if denied & {"self_email", "self_card"}:
        return "self_referral"
    return "fraud_denied" if denied else ""


def _among_others(conversion: Conversion, terms: Terms, counted: CountedPayments) -> set[str]:
    """Judged at the referral's first counted payment, and so for all that comes after it."""
    mine = counted.of(conversion.customer.referee_id, conversion.order)
    if not mine:
        return set()
    first = mine[0]
    others = [
        one
        for one in counted.all
        if one.is_first_of_referral
        and one.conversion.bond.participant == conversion.bond.participant
        and one.conversion.order < first.conversion.order
    ]
    found = set()
    whole_back = sum(1 for one in others if one.is_whole_back)
    if len(others) >= 10 and whole_back * 100 > limit(terms, "refund_rate") * len(others):
        found.add("refund_rate")
    recent = [one for one in others if one.conversion.at > first.conversion.at - DAY]
    if len(recent) + 1 > limit(terms, "velocity"):
        found.add("velocity")
    by_code = [one for one in others if _is_by_code(one)]
    if _is_by_code(first) and len(others) >= 5 and len(by_code) * 2 > len(others):
        found.add("coupon_site")
    return found


def _is_by_code(one: Counted) -> bool:
    touch = one.conversion.bond.touch
    return touch.kind == "promotion_code" and touch.clicked_at is None
