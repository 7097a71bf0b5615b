"""A small world: participants, customers, payments, refunds, terms. Plain data that oracle and product are told.

Amounts are whole minor units, instants whole seconds since 1970, UTC. Nothing here decides anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field, is_dataclass

import msgspec
from hypothesis.vendor.pretty import RepresentationPrinter

from refref.core.terms import TermsVersion

HOUR = 3_600
DAY = 86_400


@dataclass(frozen=True)
class Line:
    """One line of a sale: `amount` as billed, before discounts, with inclusive tax and without exclusive tax."""

    line_id: str
    amount: int
    discount: int = 0
    tax_inclusive: int = 0
    tax_exclusive: int = 0
    product: str = ""
    price: str = ""
    quantity: int | None = 1
    is_proration: bool = False

    @property
    def net(self) -> int:
        return self.amount - self.discount - self.tax_inclusive

    @property
    def gross(self) -> int:
        return self.amount - self.discount + self.tax_exclusive


@dataclass(frozen=True)
class Refund:
    """Money that went back. `line_ids`: a credit note says that it is these lines' whole price; empty: nothing says."""

    refund_id: str
    amount: int
    at: int
    status: str = "succeeded"  # or pending, failed, canceled
    line_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dispute:
    """`outcome`: open, inquiry, lost or won."""

    dispute_id: str
    amount: int
    at: int
    outcome: str


@dataclass(frozen=True)
class Touch:
    """One referral identifier: where it stands (`kind` as in facts.CarrierKind), and since when it is known there."""

    kind: str
    value: str
    seen_at: int
    clicked_at: int | None = None
    campaign: str = ""


@dataclass(frozen=True)
class Payment:
    """One sale. `source`: invoice, session (a one-off checkout) or bare; `status`: paid, pending, failed.

    `paid`: what moved of it, None: all. `touches`: identifiers on the sale itself.
    """

    payment_id: str  # a number, unique in the world
    paid_at: int
    lines: tuple[Line, ...]
    source: str = "invoice"
    status: str = "paid"
    currency: str = "usd"
    paid: int | None = None
    off_stripe: int = 0
    shipping: int = 0
    subscription: str = ""
    billing_reason: str = "manual"
    coupons: tuple[str, ...] = ()
    touches: tuple[Touch, ...] = ()
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    card: str = ""
    has_known_lines: bool = True

    @property
    def key(self) -> str:
        """The natural key: the invoice, else the payment intent, else the charge."""
        return {"invoice": "in_", "session": "pi_", "bare": "ch_"}[self.source] + self.payment_id

    @property
    def total(self) -> int:
        return sum(line.gross for line in self.lines) + self.shipping

    @property
    def tax(self) -> int:
        return sum(line.tax_inclusive + line.tax_exclusive for line in self.lines)

    @property
    def moved(self) -> int:
        """What moved: never more than the total, nothing where nothing was due."""
        if self.status != "paid":
            return 0
        return max(0, min(self.total, self.total if self.paid is None else self.paid))


@dataclass(frozen=True)
class Subscription:
    """`changes`: (`downgrade` or `quantity_change`, at)."""

    subscription_id: str
    created_at: int
    currency: str = "usd"
    product: str = ""
    price: str = ""
    trial_start_at: int | None = None
    changes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class StripeEvent:
    """A stored event about the customer: `customer.updated` with one word in the metadata and one amount."""

    at: int
    word: str = ""
    amount: int | None = None
    currency: str = "usd"


@dataclass(frozen=True)
class Customer:
    """A customer of the merchant, or with `is_guest` the buyer of one payment whom Stripe knows by no customer."""

    customer_id: str
    created_at: int
    email: str | None = None
    country: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    touches: tuple[Touch, ...] = ()
    payments: tuple[Payment, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    events: tuple[StripeEvent, ...] = ()
    ip: str = ""
    is_guest: bool = False

    @property
    def referee_id(self) -> str:
        return self.payments[0].key if self.is_guest else self.customer_id


@dataclass(frozen=True)
class Profile:
    """What the merchant says of a participant from `since_at` on."""

    since_at: int
    groups: tuple[str, ...] = ()
    country: str | None = None


@dataclass(frozen=True)
class Participant:
    """`code` is the refcode, `promotion_code` the id of a Stripe promotion code that is theirs."""

    participant_id: str
    code: str
    email: str | None = None
    promotion_code: str = ""
    kind: str = "affiliate"
    joined_at: int = 0
    ended_at: int | None = None
    profiles: tuple[Profile, ...] = ()
    ip: str = ""


@dataclass(frozen=True, repr=False)
class World:
    """All that there is. `rates`: (source, target, day) -> exact decimal; `reviews`: (key of a conversion, rule) ->
    approved or rejected, of the whole conversion with rule "", of all of a referee's with their id in place of the key.
    """

    participants: tuple[Participant, ...]
    customers: tuple[Customer, ...]
    versions: tuple[TermsVersion, ...]
    pauses: tuple[tuple[int, int | None], ...] = ()
    archived_at: int | None = None
    rates: dict[tuple[str, str, int], str] = field(default_factory=dict)
    reviews: dict[tuple[str, str], str] = field(default_factory=dict)

    def __repr__(self) -> str:
        parts = [*self.versions, *self.participants, *self.customers]
        return "\n".join([*map(shown, parts), f"{self.pauses} {self.archived_at} {self.reviews}"])

    def _repr_pretty_(self, printer: RepresentationPrinter, _: bool) -> None:
        printer.text(repr(self))  # so that a counterexample of hypothesis can be read

    def participant(self, participant_id: str) -> Participant:
        return next(person for person in self.participants if person.participant_id == participant_id)

    def payments(self) -> Iterator[tuple[Customer, Payment]]:
        for customer in self.customers:
            for payment in customer.payments:
                yield customer, payment


def shown(thing: object) -> str:
    """A thing as text without what is as it is by default, for counterexamples."""
    if isinstance(thing, tuple):
        return f"({', '.join(map(shown, thing))})"
    if isinstance(thing, msgspec.Struct):
        fields = [
            (one.name, {} if one.default_factory is dict else one.default) for one in msgspec.structs.fields(thing)
        ]
    elif is_dataclass(thing):
        fields = [(one.name, one.default) for one in dataclasses.fields(thing)]
    else:
        return repr(thing)
    told = [f"{name}={shown(getattr(thing, name))}" for name, default in fields if getattr(thing, name) != default]
    return f"{type(thing).__name__}({', '.join(told)})"
