"""Terms: one immutable, numbered version of a program's rules. docs/terms.md tells what each field does.

What may be published, and the reading of the JSON form, is in `terms_check`; what rules make of a payment elsewhere.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

MAX_RATE_BPS = 10_000
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Period = Literal["month", "quarter", "year", "ever"]
EventKind = Literal[
    "any_purchase",
    "first_purchase",
    "subscription_started",
    "trial_started",
    "trial_converted",
    "renewal",
    "upgrade",
    "downgrade",
    "quantity_change",
    "signup",
    "custom",
]
# Kinds whose conversions are payments; the others carry no money of their own.
MONEY_KINDS: frozenset[str] = frozenset(
    ("any_purchase", "first_purchase", "subscription_started", "trial_converted", "renewal", "upgrade")
)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What terms are made of: unknown keys are refused, so that a misspelt rule is an error and never a default."""


class Duration(Strict, frozen=True):
    """How long a referee earns: `count` paid payments, or `count` months from the first; `forever` ignores count."""

    unit: Literal["payments", "months", "forever"] = "months"
    count: int = 12


class CustomEvent(Strict, frozen=True):
    """A qualifying event on webhook data: which Stripe events, which of them (CEL over `event`), and what they carry.

    Paths are dotted and start at the event: `data.object.amount_total`. No amount path: the conversion carries no
    money. `customer_path` defaults to the object's customer.
    """

    stripe_types: tuple[str, ...]
    criteria: str = ""
    amount_path: str = ""
    currency_path: str = ""
    customer_path: str = ""
    per_customer: Literal["once", "many"] = "once"


class QualifyingEvent(Strict, frozen=True):
    """Which facts count as a conversion. Empty lists and None: no restriction, or as the terms say."""

    event_id: str
    name: str = ""
    kind: EventKind = "any_purchase"
    products: tuple[str, ...] = ()  # product or price ids; lines of others do not count
    excluded_products: tuple[str, ...] = ()
    excluded_coupons: tuple[str, ...] = ()  # coupon or promotion code ids; a sale with one of them does not count
    excluded_email_domains: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()  # of the customer, two letters
    currencies: tuple[str, ...] = ()
    min_net: dict[str, int] = {}  # least base by currency, minor units
    min_payments: int = 1  # the how-manieth counted payment is the first that may earn
    customers: Literal["new", "any"] | None = None
    attribution_window_days: int | None = None
    signup_window_days: int | None = None
    prorations: Literal["include", "exclude"] = "include"  # of a change of plan, on other kinds than upgrade
    condition: str = ""  # CEL over customer, participant and sale
    verification: Literal["automatic", "manual"] = "automatic"
    custom: CustomEvent | None = None


class Value(Strict, frozen=True):
    """What is given: `rate_bps` of the base, plus the amount of the sale's currency; either may be absent."""

    rate_bps: int = 0
    amounts: dict[str, int] = {}


class Band(Value, frozen=True):
    """The value up to so many whole months since the referee's first counted payment; 0: the first payment itself."""

    up_to_months: int = 0


class TierStep(Value, frozen=True):
    """The value from the `at_least`-th referral (or revenue in minor units) on, or for a plan (product or price id)."""

    at_least: int = 0
    plan: str = ""


class Tiers(Strict, frozen=True):
    """Values that depend on the plan sold, or on what the participant brought in the period so far.

    `onward`: from the referral that reaches a step; `retroactive`: the step that the period reaches holds for all of
    it that is not paid out. `currency`: of the revenue.
    """

    by: Literal["plan", "referrals", "revenue"]
    steps: tuple[TierStep, ...]
    period: Period = "ever"
    applies: Literal["onward", "retroactive"] = "onward"
    currency: str = ""


class Override(Value, frozen=True):
    """Another value for certain participants, or for the groups that the merchant put participants in."""

    participants: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Share(Strict, frozen=True):
    """A part of a split reward: to a participant's id, or to `referrer`, whoever referred."""

    participant: str
    share_bps: int


class Benefit(Strict, frozen=True):
    """What a `discount` or `feature` reward grants: a coupon off the next invoices, or a feature's lookup key."""

    percent_off_bps: int = 0
    amount_off: dict[str, int] = {}
    duration: Literal["once", "repeating", "forever"] = "once"
    duration_in_months: int | None = None
    feature: str = ""


class RewardRule(Strict, frozen=True):
    """Whom to reward for a qualifying event, and with what. `event` "": every payment that counts.

    Percentage: `rate_bps` of the base; fixed: `amounts`, whole minor units by currency; both: their sum. Rules of one
    `group` exclude each other: each line earns by the first of them that takes it. Rules without a group add up.
    """

    rule_id: str
    name: str = ""
    event: str = ""
    on: Literal["first", "recurring", "every"] = "every"
    group: str = ""
    to: Literal["referrer", "referee", "split"] = "referrer"
    split: tuple[Share, ...] = ()
    reward: Literal["commission", "credit", "discount", "feature"] = "commission"
    benefit: Benefit | None = None
    kind: Literal["percentage", "fixed", "both"] = "percentage"
    rate_bps: int = 0
    amounts: dict[str, int] = {}
    fixed_per: Literal["sale", "line", "unit"] = "sale"
    products: tuple[str, ...] = ()
    excluded_products: tuple[str, ...] = ()
    bands: tuple[Band, ...] = ()
    tiers: Tiers | None = None
    overrides: tuple[Override, ...] = ()
    condition: str = ""
    campaign: str = ""
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    duration: Duration | None = None
    hold_days: int | None = None
    expires_days: int | None = None
    approval: Literal["automatic", "manual"] | None = None


class Cap(Strict, frozen=True):
    """At most `amounts` (by currency) for one reward, a customer, a participant or the whole program in a period.

    `rules`: only what these rules give counts and is capped; empty: all.
    """

    on: Literal["reward", "customer", "participant", "program"]
    amounts: dict[str, int]
    period: Period = "ever"
    rules: tuple[str, ...] = ()


class CurrencyTerms(Strict, frozen=True):
    """How currencies meet: never, at the day's rate, or at a fixed table (`{"gbp": "1.27"}`: one GBP in base currency).

    `pays_in`: rewards are in the sale's currency, or converted into the base currency.
    """

    base: str = ""
    display: str = ""
    conversion: Literal["never", "daily", "table"] = "never"
    table: dict[str, str] = {}
    pays_in: Literal["sale", "base"] = "sale"


FraudCheck = Literal[
    "self_email",
    "self_domain",
    "self_card",
    "self_ip",
    "disposable_email",
    "refund_rate",
    "velocity",
    "coupon_site",
]


class FraudRule(Strict, frozen=True):
    """What happens when a check finds something: `deny` earns nothing, `hold` waits for a person, `flag` only says so.

    `limit`: per cent of refunded referrals (refund_rate), or new referrals within 24 hours (velocity).
    """

    check: FraudCheck
    action: Literal["deny", "hold", "flag", "off"]
    limit: int = 0


class Terms(Strict, frozen=True):
    """The rules of one version. Defaults are the product's: 20 % of net paid money for 12 months, held 30 days."""

    rules: tuple[RewardRule, ...] = (RewardRule(rule_id="commission", rate_bps=2_000),)
    events: tuple[QualifyingEvent, ...] = ()
    duration: Duration = Duration()
    hold_days: int = 30
    attribution_window_days: int = 60
    signup_window_days: int | None = None
    customers: Literal["new", "any"] = "new"
    products: tuple[str, ...] = ()  # eligible product or price ids; empty: all
    excluded_products: tuple[str, ...] = ()
    excluded_coupons: tuple[str, ...] = ()
    excluded_email_domains: tuple[str, ...] = ()
    includes_tax: bool = False
    includes_shipping: bool = False
    counts_out_of_band: bool = True
    counts_bare_charges: bool = False
    restart: Literal["continue", "new_cycle"] = "continue"  # a new subscription of the same referee
    caps: tuple[Cap, ...] = ()
    currency: CurrencyTerms = CurrencyTerms()
    fraud: tuple[FraudRule, ...] = ()
    approval: Literal["automatic", "manual"] = "automatic"
    existing_referrals: Literal["follow", "keep"] = "follow"  # keep: referrals bound before this version keep theirs
    starts_at: Instant | None = None
    ends_at: Instant | None = None


class TermsVersion(msgspec.Struct, frozen=True):
    """Terms in force from `effective_at` (seconds since 1970) as `version` of a program."""

    version: int
    effective_at: int
    terms: Terms


def terms_to_json(terms: Terms) -> str:
    """The stored JSON form, keys in a fixed order."""
    return msgspec.json.encode(terms).decode()


def terms_schema() -> dict[str, object]:
    """The JSON Schema of the JSON form."""
    return msgspec.json.schema(Terms)
