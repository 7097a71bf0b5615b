"""What the rules are asked about: conversions, and all that is known of one when a rule looks at it."""

from __future__ import annotations

from dataclasses import dataclass, field

from oracle.referrals import Bond
from oracle.worlds import Customer, Line, Payment, StripeEvent, Subscription
from refref.core.terms import CustomEvent, QualifyingEvent, RewardRule, Terms


@dataclass(frozen=True)
class Conversion:
    """Something that may earn. `kind`: payment, or that of an event without money of a sale."""

    key: str
    at: int
    kind: str
    customer: Customer
    bond: Bond
    payment: Payment | None = None
    subscription: Subscription | None = None
    stripe_event: StripeEvent | None = None
    event_id: str = ""  # of a custom event

    @property
    def order(self) -> tuple[int, str]:
        return self.at, self.key

    @property
    def subscription_id(self) -> str:
        if self.payment is not None:
            return self.payment.subscription
        return "" if self.subscription is None else self.subscription.subscription_id


@dataclass(frozen=True)
class Case:
    """A conversion that passed steps 1 to 3. `number` 0: it has none; `first_at` None: no counted payment so far."""

    conversion: Conversion
    terms: Terms
    number: int = 0
    first_at: int | None = None
    months: int = 0
    base: int = 0  # of the terms' lines
    is_first_of_subscription: bool = False
    first_of_referral: Conversion | None = None  # its first counted payment, of all cycles
    groups: tuple[str, ...] = ()
    participant_country: str | None = None
    is_new: bool = True

    @property
    def currency(self) -> str:
        conversion = self.conversion
        if conversion.payment is not None:
            return conversion.payment.currency
        if conversion.subscription is not None:
            return conversion.subscription.currency
        custom = self.custom()
        if conversion.stripe_event is not None and custom is not None and custom.currency_path:
            return conversion.stripe_event.currency
        return ""

    def custom(self) -> CustomEvent | None:
        """What the custom event says that the conversion is of."""
        return self.event(self.conversion.event_id).custom if self.conversion.event_id else None

    def event(self, event_id: str) -> QualifyingEvent:
        return next(event for event in self.terms.events if event.event_id == event_id)


@dataclass(frozen=True)
class Given:
    """What one beneficiary gets; `amount_minor` 0 for a discount or feature."""

    beneficiary: str
    currency: str
    amount_minor: int
    reversed_minor: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a rule made of a conversion: a refusal's `reason`, or what was `given` and its `state` at that instant.

    `state`: pending, payable, held, reversed, rejected, expired.
    """

    conversion: str
    rule_id: str
    reason: str = ""
    given: tuple[Given, ...] = ()
    state: str = ""
    is_cut: bool = False


def lets_through(line: Line, products: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    """Whether product or price of a line is one of `products` (empty: any) and none of `excluded`."""
    names = {line.product, line.price}
    return not names & set(excluded) and (not products or bool(names & set(products)))


WHOLE = "whole"


def lines_of(conversion: Conversion) -> list[Line]:
    """The lines of a conversion. What has no known lines is one line; so is a conversion without money."""
    payment, subscription = conversion.payment, conversion.subscription
    if payment is None:
        if subscription is None:
            return [Line(WHOLE, 0)]
        return [Line(WHOLE, 0, product=subscription.product, price=subscription.price)]
    if payment.has_known_lines:
        return list(payment.lines)
    return [
        Line(
            WHOLE,
            sum(line.amount for line in payment.lines),
            sum(line.discount for line in payment.lines),
            sum(line.tax_inclusive for line in payment.lines),
            sum(line.tax_exclusive for line in payment.lines),
            quantity=None,
        )
    ]


def coupons_of(conversion: Conversion) -> set[str]:
    """The coupons and promotion codes of the sale."""
    payment = conversion.payment
    if payment is None:
        return set()
    return {*payment.coupons, *(touch.value for touch in payment.touches if touch.kind == "promotion_code")}


def unless_whole(
    lines: list[Line], conversion: Conversion, *parts: Terms | QualifyingEvent | RewardRule | None
) -> list[Line] | None:
    """The lines, or None where they are the whole sale: all of them, and no part of the terms names products."""
    names_products = any(part is not None and (part.products or part.excluded_products) for part in parts)
    return lines if names_products or len(lines) < len(lines_of(conversion)) else None


@dataclass
class Books:
    """What happened before, in the order of decisions: who met which event, and what was given."""

    met: list[tuple[Conversion, str]] = field(default_factory=list)  # which event
    earned: list[Earned] = field(default_factory=list)


@dataclass(frozen=True)
class Earned:
    """A reward for the caps: what is left of it after what was taken back."""

    conversion: Conversion
    rule_id: str
    beneficiary: str
    currency: str
    net_minor: int
