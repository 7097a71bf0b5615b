"""The format of a story, as docs/stories.md describes it: structs alone, and their JSON Schema.

Amounts, dates and spans are written for people ("12.00 USD", "2026-01-15", "1 month"); `written` reads them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from refref.core.terms import Terms
from refref.core.terms_document import ProgramPart

RewardKind = Literal["commission", "credit", "discount", "feature"]
Status = Literal["pending", "payable", "held", "reversed", "expired"]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a story is made of: unknown keys are refused, so that a misspelt one is an error and never a default."""


class Participant(Part, frozen=True):
    """Who refers. Terms and expectations name them by `id`, which is the code unless it is given."""

    code: str
    id: str = ""
    name: str = ""
    kind: Literal["affiliate", "referrer"] = "affiliate"
    email: str = ""
    country: str = ""
    groups: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    promotion_codes: tuple[str, ...] = ()


class Price(Part, frozen=True):
    """`every`: "month", "3 months"; absent for what is sold once. `also`: the same in other currencies."""

    id: str
    amount: str
    every: str = ""
    trial: str = ""
    also: tuple[str, ...] = ()


class Product(Part, frozen=True):
    id: str
    prices: tuple[Price, ...]
    name: str = ""


class Coupon(Part, frozen=True):
    """`off`: "10 %" or "5.00 USD"; `lasts`: once, forever, or "3 months"."""

    id: str
    off: str
    lasts: str = "once"


class PromotionCode(Part, frozen=True):
    code: str
    coupon: str


class TaxRate(Part, frozen=True):
    """`rate`: "20 %"; `inclusive`: it is inside the price."""

    id: str
    rate: str
    inclusive: bool = False


class Catalogue(Part, frozen=True):
    products: tuple[Product, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    promotion_codes: tuple[PromotionCode, ...] = ()
    tax_rates: tuple[TaxRate, ...] = ()


class Referred(Part, frozen=True):
    """Who brought a customer. `clicked`: the day of the click on the referral link."""

    by: str
    clicked: str = ""
    campaign: str = ""


class Customer(Part, frozen=True):
    """Who buys. `signed_up`: the day the customer came to be known; unless given, with what they do first.
    `card`: "declined", "sepa", ... or a word of its own, the same for customers who share a card."""

    id: str
    name: str = ""
    email: str = ""
    country: str = ""
    card: str = ""
    signed_up: str = ""
    referred: Referred | None = None
    metadata: dict[str, str] = {}


class Item(Part, frozen=True):
    price: str
    quantity: int = 1


class Purchase(Part, frozen=True):
    """What is bought at a checkout: one `price`, or several `items`. `link`: whose referral link led there."""

    price: str = ""
    quantity: int = 1
    items: tuple[Item, ...] = ()
    link: str = ""
    campaign: str = ""
    promotion_code: str = ""
    coupon: str = ""
    tax: str = ""
    shipping: str = ""
    currency: str = ""
    card: str = ""
    invoice: bool = False
    name: str = ""


class Subscribing(Part, frozen=True):
    """A subscription that begins at a checkout. `trial`: instead of the price's own ("14 days", "none")."""

    price: str
    quantity: int = 1
    trial: str = ""
    link: str = ""
    campaign: str = ""
    promotion_code: str = ""
    coupon: str = ""
    tax: str = ""
    currency: str = ""
    card: str = ""
    name: str = ""


class PlanChange(Part, frozen=True):
    """`settles`: the difference is billed now, with the next invoice, or never."""

    price: str = ""
    quantity: int | None = None
    settles: Literal["now", "later", "never"] = "now"
    subscription: str = ""


class Ending(Part, frozen=True):
    """`credits_rest`: the unused time is credited to the customer."""

    when: Literal["now", "period_end"] = "now"
    credits_rest: bool = False
    subscription: str = ""


class Refund(Part, frozen=True):
    """Of a sale: all of it, an `amount`, or the line of a `price`. `fails`: the bank sends it back."""

    sale: str
    amount: str = ""
    price: str = ""
    fails: bool = False


class Dispute(Part, frozen=True):
    """`inquiry`: the bank only asks, no money moves."""

    sale: str
    amount: str = ""
    inquiry: bool = False


class InvoiceLine(Part, frozen=True):
    """A `price`, or an `amount` for what `text` says."""

    price: str = ""
    quantity: int = 1
    amount: str = ""
    text: str = ""


class Invoice(Part, frozen=True):
    """An invoice written by hand. `paid`: by card, outside Stripe, or later by `pays`."""

    lines: tuple[InvoiceLine, ...]
    paid: Literal["card", "outside", "later"] = "card"
    tax: str = ""
    coupon: str = ""
    name: str = ""


class Payment(Part, frozen=True):
    """Of an open invoice: all of it, or an `amount`."""

    sale: str
    amount: str = ""
    outside: bool = False


class CreditNote(Part, frozen=True):
    """Corrects an invoice. `gives`: a refund, credit for later invoices, or money outside Stripe."""

    sale: str
    amount: str = ""
    price: str = ""
    gives: Literal["refund", "credit", "outside"] = "refund"


class Setting(Part, frozen=True):
    """What changes about a customer (or, for metadata alone, a named subscription)."""

    email: str = ""
    name: str = ""
    country: str = ""
    card: str = ""
    metadata: dict[str, str] = {}
    subscription: str = ""


class ExpectedReward(Part, frozen=True):
    """One reward of a person. What is not given may be anything, but for `taken_back`: nothing."""

    sale: str = ""
    amount: str = ""
    status: Status | None = None
    taken_back: str = ""
    kind: RewardKind | None = None
    rule: str = ""


class ExpectedRefusal(Part, frozen=True):
    """A sale (or a rule of it) that earned nothing, and the reason's code."""

    sale: str
    reason: str
    rule: str = ""


class Balance(Part, frozen=True):
    """What somebody has in each account: one amount for each currency."""

    pending: tuple[str, ...] = ()
    payable: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


class Expectations(Part, frozen=True):
    """`rewards`: for each person named, all rewards there are. `referred`: customer -> participant, "" for nobody."""

    rewards: dict[str, tuple[str | ExpectedReward, ...]] = {}
    refusals: tuple[ExpectedRefusal, ...] = ()
    balances: dict[str, Balance] = {}
    referred: dict[str, str] = {}


class Step(Part, frozen=True):
    """One thing that happens, and when: on a date (`at`), or a while after the step before (`after`).

    `restarts`: true for the customer's newest subscription, or its name.
    """

    at: str = ""
    after: str = ""
    note: str = ""
    customer: str = ""
    signs_up: bool = False
    buys: str | Purchase | None = None
    subscribes: str | Subscribing | None = None
    changes: PlanChange | None = None
    cancels: Ending | None = None
    restarts: bool | str = False
    sets: Setting | None = None
    invoices: Invoice | None = None
    pays: str | Payment | None = None
    refunds: str | Refund | None = None
    credits: str | CreditNote | None = None
    disputes: str | Dispute | None = None
    wins_dispute: str | None = None
    loses_dispute: str | None = None
    approves: str | None = None
    rejects: str | None = None
    expect: Expectations | None = None


class Story(Part, frozen=True):
    """The whole file. `program`: the id of a program whose terms hold, or what an export says of the program."""

    title: str
    starts: str
    about: str = ""
    program: str | ProgramPart = ""
    terms: Terms | None = None
    participants: tuple[Participant, ...] = ()
    catalogue: Catalogue = Catalogue()
    customers: tuple[Customer, ...] = ()
    happens: tuple[Step, ...] = ()
    expect: Expectations | None = None

    @property
    def program_id(self) -> str:
        """The program whose terms the story asks for; "" when it brings its own."""
        if self.terms is not None:
            return ""
        return self.program if isinstance(self.program, str) else self.program.program_id


# What may happen in a step; of these fields one is given, or none (time passes, or something is expected).
ACTIONS = (
    "signs_up",
    "buys",
    "subscribes",
    "changes",
    "cancels",
    "restarts",
    "sets",
    "invoices",
    "pays",
    "refunds",
    "credits",
    "disputes",
    "wins_dispute",
    "loses_dispute",
    "approves",
    "rejects",
)
# Those of a customer, who must be named.
BY_CUSTOMER = frozenset(("signs_up", "buys", "subscribes", "changes", "cancels", "restarts", "sets", "invoices"))


def action_of(step: Step) -> str:
    """What happens in a step; "" when nothing does."""
    return next((name for name in ACTIONS if getattr(step, name) not in (None, False)), "")


def story_schema() -> dict[str, object]:
    """The JSON Schema of a story (docs/stories.schema.json)."""
    schema = msgspec.json.schema(Story)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A referral story", **schema}
