"""The situation of one conversion: what conditions and rules may look at, worked out when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from refref.core.attribution import Binding
from refref.core.base import Base, part_of
from refref.core.compiled import CompiledTerms
from refref.core.conversions import Happening, Referee, coupons_of, plan_line
from refref.core.facts import InvoiceState, Line, PaymentIntentState, SessionState, SubscriptionState
from refref.core.periods import months_between
from refref.core.program import Config, Outline, Participant, Profile, Program
from refref.core.reversals import Reversal, reversal_of
from refref.core.sales import Sale
from refref.core.terms import Terms

Values = Mapping[str, Mapping[str, object]]
_NOBODY = Participant("")


class Cycle:
    """The counted payments of one earning cycle so far, and how often each qualifying event was met in it.

    Each payment counts in two: that of all payments, and that of its subscription; the terms say which one matters.
    """

    __slots__ = ("first_at", "met", "number")

    def __init__(self) -> None:
        self.number = 0
        self.first_at: int | None = None
        self.met: dict[str, int] = {}


class Situation:
    """One conversion of a bound referee under the terms in force. `sale` or `happening` is set."""

    __slots__ = (
        "_coupons",
        "_months",
        "_profile",
        "_values",
        "base",
        "binding",
        "config",
        "currency",
        "cycle",
        "cycles",
        "happening",
        "is_new",
        "key",
        "kinds",
        "number",
        "occurred_at",
        "outline",
        "program",
        "referee",
        "reversal",
        "sale",
        "terms",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
        outline: Outline,
        terms: CompiledTerms,
        binding: Binding,
        referee: Referee,
        config: Config,
        *,
        cycle: Cycle,
        cycles: tuple[Cycle, ...],
        kinds: frozenset[str],
        is_new: bool,
        sale: Sale | None = None,
        base: Base | None = None,
        reversal: Reversal | None = None,
        happening: Happening | None = None,
    ) -> None:
        self.program = program
        self.outline = outline
        self.terms = terms
        self.binding = binding
        self.referee = referee
        self.config = config
        self.cycle = cycle
        self.cycles = cycles  # all that this conversion counts in
        self.kinds = kinds
        self.is_new = is_new
        self.sale = sale
        self.base = base
        self.reversal = reversal
        self.happening = happening
        self.number = cycle.number if sale is not None else 0
        subject = sale or happening
        assert subject is not None
        self.key = subject.key
        self.currency = subject.currency  # "" for what has no money: then the value's own
        self.occurred_at = sale.paid_at if sale is not None else happening.occurred_at if happening else 0
        self._values: Values | None = None
        self._coupons: frozenset[str] | None = None
        self._months = -1
        self._profile: Profile | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id under which a person may have judged this conversion."""
        if self.sale is not None:
            return self.sale.ids
        assert self.happening is not None
        return (self.happening.key,)

    @property
    def participant(self) -> Participant:
        return self.config.participants.get(self.binding.participant_id, _NOBODY)

    @property
    def profile(self) -> Profile:
        if self._profile is None:
            self._profile = self.participant.profile_at(self.occurred_at)
        return self._profile

    @property
    def months(self) -> int:
        """Whole calendar months since the cycle's first counted payment."""
        if self._months < 0:
            first = self.cycle.first_at
            self._months = 0 if first is None else months_between(first, self.occurred_at)
        return self._months

    @property
    def coupons(self) -> frozenset[str]:
        if self._coupons is None:
            self._coupons = frozenset() if self.sale is None else coupons_of(self.sale, self.referee)
        return self._coupons

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the sale, () where they are not known or there is none."""
        return () if self.sale is None or self.sale.lines is None else self.sale.lines

    def base_of_lines(self, chosen: frozenset[int] | None) -> int:
        """The base of some lines by their place; None: of all that the terms let through."""
        if self.sale is None or self.base is None:
            return self.happening.amount if self.happening is not None else 0
        if chosen is None:
            return self.base.amount
        net = sum([self.base.lines[place].net for place in chosen])
        return part_of(self.base, self.sale, self.terms.terms, net)

    def reversal_of_lines(self, chosen: frozenset[int] | None, amount: int) -> Reversal | None:
        """What went back of those lines, whose base is `amount`."""
        whole = self.reversal
        if whole is None or self.sale is None or self.base is None or chosen is None or not whole.items:
            return whole
        if not any(item.base_part is not None for item in whole.items):
            return whole
        ids = frozenset(self.lines[place].id for place in chosen)
        base = Base(amount, 0, self.base.lines_net, self.base.net, self.base.paid, self.base.total)
        return reversal_of(self.sale, base, self.terms.terms, lambda line: line.id in ids)

    @property
    def values(self) -> Values:
        """What conditions of these terms look at; docs/terms.md lists everything. What is missing is left out."""
        if self._values is None:
            self._values = {
                record: {field: value for field, value_of in fields if (value := value_of(self)) is not None}
                for record, fields in _asked_of(self.terms.asked)
            }
        return self._values

    @property
    def plan(self) -> Line | None:
        """The line that stands for the sale's plan."""
        return plan_line(self.lines)

    def sale_metadata(self) -> dict[str, str]:
        """Metadata of the payment intent, the invoice, the subscription and the session, the later ones first."""
        merged: dict[str, str] = {}
        facts = () if self.sale is None else self.sale.facts
        subscription = self.referee.subscriptions.get((self.sale.subscription_id or "") if self.sale else "")
        states = [fact.state for fact in facts] + ([subscription.state] if subscription else [])
        for kind in (PaymentIntentState, InvoiceState, SubscriptionState, SessionState):
            for state in states:
                if isinstance(state, kind):
                    merged.update(state.metadata)
        return merged


def default_currency(terms: Terms) -> str:
    """The currency of a conversion without money: the program's, else the first that a rule names."""
    named = [currency for rule in terms.rules for currency in rule.amounts]
    return terms.currency.base or (named[0] if named else "usd")


def _moment(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _email_domain(situation: Situation) -> str | None:
    email = min(situation.referee.emails, default="")
    return email.rpartition("@")[2] if email else None


def _customer_currency(situation: Situation) -> str | None:
    state = situation.referee.customer
    return (state.currency or None) if state else None


def _customer_metadata(situation: Situation) -> dict[str, str]:
    state = situation.referee.customer
    return dict(state.metadata) if state else {}


def _customer_since(situation: Situation) -> datetime | None:
    at = situation.referee.signup_at
    return None if at is None else _moment(at)


def _interval(situation: Situation) -> str:
    plan = situation.plan
    return plan.interval if plan else ""


def _subscription_plan(situation: Situation) -> str:
    plan = situation.plan
    return (plan.product or plan.price or "") if plan else ""


_ValueOf = Callable[[Situation], object | None]


# What conditions may look at; docs/terms.md lists it. None: it is not there.
_VALUES: dict[str, dict[str, _ValueOf]] = {
    "customer": {
        "is_new": lambda here: here.is_new,
        "metadata": _customer_metadata,
        "email_domain": _email_domain,
        "country": lambda here: here.referee.country or None,
        "currency": _customer_currency,
        "created_at": _customer_since,
    },
    "participant": {
        "id": lambda here: here.binding.participant_id,
        "kind": lambda here: here.participant.kind,
        "country": lambda here: here.profile.country,
        "groups": lambda here: list(here.profile.groups),
        "metadata": lambda here: dict(here.profile.metadata),
        "joined_at": lambda here: _moment(here.participant.joined_at),
        "code": lambda here: here.binding.carrier.value,
    },
    "sale": {
        "amount_minor": lambda here: here.base_of_lines(None),
        "currency": lambda here: here.currency,
        "products": lambda here: sorted({line.product for line in here.lines if line.product}),
        "prices": lambda here: sorted({line.price for line in here.lines if line.price}),
        "quantity": lambda here: sum(line.quantity or 1 for line in here.lines if line.amount > 0),
        "campaign": lambda here: here.binding.carrier.campaign,
        "coupons": lambda here: sorted(here.coupons),
        "is_first": lambda here: here.number == 1,
        "number": lambda here: here.number,
        "months_subscribed": lambda here: here.months,
        "paid_at": lambda here: _moment(here.occurred_at),
        "metadata": lambda here: here.sale_metadata(),
        "billing_interval": _interval,
        "subscription_plan": _subscription_plan,
        "country": lambda here: here.referee.country,
    },
}


@lru_cache(maxsize=256)
def _asked_of(asked: frozenset[str]) -> tuple[tuple[str, tuple[tuple[str, _ValueOf], ...]], ...]:
    """Every record with those of its fields that are asked for, one by one or as a whole (`sale`)."""
    return tuple(
        (record, tuple((name, of) for name, of in fields.items() if record in asked or f"{record}.{name}" in asked))
        for record, fields in _VALUES.items()
    )
