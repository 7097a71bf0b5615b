"""The words of the program builder: choices of its lists with what each means. Plain words, no HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of qualifying event: its name, and what happens, in a sentence."""

    label: str
    sentence: str
    has_money: bool = True


KINDS: dict[str, Kind] = {
    "any_purchase": Kind("Any purchase", "Every payment of a referred customer, first and later ones."),
    "first_purchase": Kind("First purchase", "The customer’s first payment that meets the criteria below."),
    "subscription_started": Kind("Subscription started", "The first payment of a subscription."),
    "trial_started": Kind("Trial started", "A subscription begins with a trial; nothing is paid yet.", False),
    "trial_converted": Kind("Trial converted", "The first payment of a subscription that began with a trial."),
    "renewal": Kind("Renewal", "A later payment of a subscription that is more than a change of plan."),
    "upgrade": Kind("Upgrade", "The prorated part of an invoice when a plan gets dearer."),
    "downgrade": Kind("Downgrade", "A subscription changes to a cheaper plan.", False),
    "quantity_change": Kind("Change of quantity", "A subscription changes to more or fewer of the same plan.", False),
    "signup": Kind("Lead or sign-up", "The customer is created in Stripe, or your application says so.", False),
    "custom": Kind("Custom event", "Any event of Stripe that meets criteria of your own."),
}
KIND_CHOICES = [(key, kind.label) for key, kind in KINDS.items()]
CUSTOMERS = [("", "As the terms say"), ("new", "New customers only"), ("any", "New and old customers")]
PRORATIONS = [("include", "Count too"), ("exclude", "Do not count")]
VERIFICATION = [("automatic", "By themselves"), ("manual", "When a person approves")]
PER_CUSTOMER = [("once", "Once per customer"), ("many", "As often as it happens")]
ON = [
    ("every", "Every payment"),
    ("first", "The first payment only"),
    ("recurring", "Every payment after the first"),
]
TO = [
    ("referrer", "The referrer"),
    ("referee", "The new customer"),
    ("split", "Several participants, who share"),
]
REWARDS = [
    ("commission", "A commission, paid out"),
    ("credit", "A credit on the Stripe balance"),
    ("discount", "A discount on invoices"),
    ("feature", "A feature"),
]
RULE_KINDS = [
    ("percentage", "A share of the payment"),
    ("fixed", "A fixed amount"),
    ("both", "A share plus a fixed amount"),
]
FIXED_PER = [("sale", "Once per sale"), ("line", "For each line"), ("unit", "For each unit")]
VALUE_BY = [
    ("flat", "The same value always"),
    ("bands", "A value by months since the first payment"),
    ("tiers", "A value by plan, referrals or revenue"),
]
TIERS_BY = [
    ("referrals", "The participant’s referrals"),
    ("revenue", "The participant’s revenue"),
    ("plan", "The plan sold"),
]
PERIODS = [
    ("ever", "All time"),
    ("month", "A calendar month"),
    ("quarter", "A quarter"),
    ("year", "A calendar year"),
]
APPLIES = [
    ("onward", "From that referral on"),
    ("retroactive", "To the whole period, unless paid out"),
]
UNITS = [("months", "A number of months"), ("payments", "A number of payments"), ("forever", "For ever")]
OWN_UNITS = [("", "As the terms say"), *UNITS]
APPROVAL = [("automatic", "By themselves"), ("manual", "When a person approves")]
OWN_APPROVAL = [("", "As the terms say"), *APPROVAL]
BENEFIT_DURATION = [
    ("once", "The next invoice"),
    ("repeating", "The invoices of some months"),
    ("forever", "Every invoice"),
]
CAPPED = [
    ("participant", "Each participant"),
    ("customer", "Each customer"),
    ("reward", "One reward"),
    ("program", "The whole program (a budget)"),
]
CONVERSION = [
    ("never", "Never"),
    ("daily", "At the rate of the day"),
    ("table", "At fixed rates of my own"),
]
PAYS_IN = [("sale", "The currency of the sale"), ("base", "The base currency")]
NEW_OR_ANY = [("new", "New customers only"), ("any", "New and old customers")]
RESTARTS = [
    ("continue", "It counts on from the first"),
    ("new_cycle", "It begins anew"),
]
EXISTING = [
    ("follow", "Existing referrals follow: their later payments earn by the new terms"),
    ("keep", "Existing referrals keep: they go on by the terms they had"),
]
ACTIONS = [
    ("deny", "Earns nothing"),
    ("hold", "Waits for a person"),
    ("flag", "Is only marked"),
    ("off", "Is not checked"),
]


@dataclass(frozen=True, slots=True)
class Check:
    """A check against fraud: its name, what it looks for, its default action, and what its limit counts."""

    label: str
    sentence: str
    default: str
    limit: str = ""
    default_limit: int = 0


CHECKS: dict[str, Check] = {
    "self_email": Check("Same e-mail address", "Participant and customer have the same address.", "deny"),
    "self_card": Check("Same card", "Participant and customer paid with the same card.", "deny"),
    "self_domain": Check(
        "Same e-mail domain", "Their addresses share a domain that is no public mail service.", "flag"
    ),
    "self_ip": Check("Same IP address", "They were seen at the same IP address.", "flag"),
    "disposable_email": Check("Throw-away address", "The customer’s address is of a throw-away service.", "flag"),
    "refund_rate": Check(
        "Many refunds",
        "Of at least ten earlier referrals of the participant, more than this share went back whole.",
        "off",
        "per cent",
        30,
    ),
    "velocity": Check("Very many at once", "More than this many referrals within 24 hours.", "off", "referrals", 50),
    "coupon_site": Check(
        "Coupon site", "Most of the participant’s customers come by promotion code, without a click.", "off"
    ),
}
# The fields of conditions whose values can be chosen, and from what.
FOUND_BY: dict[str, str] = {
    "sale.products": "products",
    "sale.subscription_plan": "products",
    "sale.prices": "prices",
    "sale.coupons": "coupons",
    "participant.id": "participants",
    "participant.groups": "groups",
}
STEPS: dict[str, str] = {
    "payment": "a payment",
    "payment_refunded": "a payment, refunded ten days later,",
    **{key: kind.label.lower() for key, kind in KINDS.items()},
}
STATUSES = {
    "active": ("Running", "good", "takes new referrals"),
    "paused": ("Paused", "wait", "takes nobody new; who was referred goes on earning"),
    "archived": ("Archived", "off", "has ended for good"),
}
