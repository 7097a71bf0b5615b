"""Qualifying events: whether a conversion meets one, with the reason when it does not (docs/terms.md)."""

from __future__ import annotations

from oracle.cases import WHOLE, Books, Case, Conversion, coupons_of, lets_through, lines_of, unless_whole
from oracle.conditions import CONDITIONS
from oracle.referrals import domain_of, signed_up_at
from oracle.sums import base_of
from oracle.worlds import DAY, Line
from refref.core.terms import QualifyingEvent, RewardRule, Terms

NO_MONEY_KINDS = ("trial_started", "downgrade", "quantity_change", "signup", "custom")


def is_inside_window(judged: Conversion, event: QualifyingEvent | None, terms: Terms) -> bool:
    """Windows of an event (or the terms), for the first counted payment, before there is one for the conversion itself.

    The sale that brought the identifier is always inside.
    """
    if judged.payment is not None and judged.key == judged.bond.sale_key:
        return True
    click_days, signup_days = terms.attribution_window_days, terms.signup_window_days
    if event is not None and event.attribution_window_days is not None:
        click_days = event.attribution_window_days
    if event is not None and event.signup_window_days is not None:
        signup_days = event.signup_window_days
    start, signed_up = judged.bond.start, signed_up_at(judged.customer)
    if signup_days is None or signed_up is None or signed_up < start:
        return judged.at < start + (click_days + 1) * DAY
    return signed_up < start + (click_days + 1) * DAY and judged.at < signed_up + (signup_days + 1) * DAY


def welcomes(event: QualifyingEvent | None, terms: Terms, *, is_new: bool) -> bool:
    """Whether the customer may have paid before."""
    customers = terms.customers if event is None or event.customers is None else event.customers
    return is_new or customers == "any"


def is_of_kind(case: Case, event: QualifyingEvent) -> bool:
    """Whether the conversion is of the event's kind, whatever its other criteria."""
    conversion, payment = case.conversion, case.conversion.payment
    if payment is None:
        return event.kind == conversion.kind and conversion.event_id in ("", event.event_id)
    subscriptions = {item.subscription_id: item for item in conversion.customer.subscriptions}
    match event.kind:
        case "any_purchase" | "first_purchase":
            return True
        case "subscription_started":
            return payment.subscription != "" and case.is_first_of_subscription
        case "trial_converted":
            subscription = subscriptions.get(payment.subscription)
            has_trial = subscription is not None and subscription.trial_start_at is not None
            return has_trial and case.is_first_of_subscription
        case "renewal":
            is_later = payment.subscription != "" and not case.is_first_of_subscription
            return is_later and payment.billing_reason != "subscription_update"
        case "upgrade":
            return True  # its lines decide
        case _:
            return False


def event_lines(case: Case, event: QualifyingEvent | None) -> tuple[list[Line], str]:
    """The lines that terms and event let through, or the reason why there are none."""
    conversion, terms = case.conversion, case.terms
    lines = lines_of(conversion)
    if conversion.payment is None and conversion.subscription is None:
        return lines, ""
    is_unknown = conversion.payment is not None and lines[0].line_id == WHOLE
    lines = [line for line in lines if lets_through(line, terms.products, terms.excluded_products)]
    if event is None:
        return lines, "" if lines else "not_eligible_lines"
    wants_prorated = event.kind == "upgrade"
    wants_regular = event.prorations == "exclude" and not wants_prorated
    if is_unknown and (event.products or event.excluded_products or wants_regular) and not wants_prorated:
        return [], "lines_missing"
    if wants_prorated:  # nothing is known to be prorated where the lines are unknown
        lines = [line for line in lines if line.is_proration]
    if wants_regular:
        lines = [line for line in lines if not line.is_proration]
    lines = [line for line in lines if lets_through(line, event.products, event.excluded_products)]
    if wants_prorated and sum(line.net for line in lines) <= 0:
        return [], "no_rule_applies"
    return lines, "" if lines else "not_eligible_lines"


def base_of_lines(case: Case, lines: list[Line], event: QualifyingEvent | None, rule: RewardRule | None) -> int:
    """The base of some lines of the conversion; of a custom event its amount."""
    payment, happened = case.conversion.payment, case.conversion.stripe_event
    if payment is not None:
        return base_of(payment, case.terms, unless_whole(lines, case.conversion, case.terms, event, rule))
    custom = case.custom()
    if happened is not None and custom is not None and custom.amount_path:
        return happened.amount or 0
    return 0


def reason_against(case: Case, event: QualifyingEvent, books: Books) -> str:
    """Why the conversion does not meet the event, "" where it does."""
    conversion, payment, customer = case.conversion, case.conversion.payment, case.conversion.customer
    if not is_of_kind(case, event):
        return "no_rule_applies"
    met = met_before(case, event.event_id, books)
    if event.kind == "first_purchase" and any(one.payment is not None for one in met):
        return "no_rule_applies"
    lines, reason = event_lines(case, event)
    if reason:
        return reason
    if payment is not None and coupons_of(conversion) & set(event.excluded_coupons):
        return "excluded_coupon"
    if domain_of(customer.email) in event.excluded_email_domains:
        return "excluded_email_domain"
    if event.countries and customer.country not in event.countries:
        return "country"
    if event.currencies and case.currency not in event.currencies:
        return "currency"
    if base_of_lines(case, lines, event, None) < event.min_net.get(case.currency, 0):
        return "below_minimum"
    if payment is not None and case.number < event.min_payments:
        return "too_few_payments"
    if not is_inside_window(case.first_of_referral or conversion, event, case.terms):
        return "outside_window"
    if not welcomes(event, case.terms, is_new=case.is_new):
        return "existing_customer"
    if event.condition and not CONDITIONS[event.condition](case):
        return "condition_false"
    return ""


def met_before(case: Case, event_id: str, books: Books) -> list[Conversion]:
    """The earlier conversions of this referee and cycle that met the event."""
    conversion = case.conversion
    return [
        one
        for one, met in books.met
        if one.customer.referee_id == conversion.customer.referee_id
        and met == event_id
        and (case.terms.restart == "continue" or one.subscription_id == conversion.subscription_id)
    ]
