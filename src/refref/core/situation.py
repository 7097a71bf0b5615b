"""The situation of one conversion: what conditions and rules may look at, worked out when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from refref.core.attribution import Binding
from refref.core.base import Base, part_of
from refref.core.compiled import CompiledTerms
from refref.core.conversions import Happening, Referee, coupons_of, plan_line
from refref.core.facts import InvoiceState, Line, PaymentIntentState, SessionState, SubscriptionState
from refref.core.periods import months_between
from refref.core.program import Config, Participant, Profile, Program
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
        "program",
        "referee",
        "reversal",
        "sale",
        "terms",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
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
        """What conditions may look at; docs/terms.md lists it."""
        if self._values is None:
            self._values = {
                "customer": self._customer_values(),
                "participant": self._participant_values(),
                "sale": self._sale_values(),
            }
        return self._values

    def _customer_values(self) -> dict[str, object]:
        state = self.referee.customer
        email = min(self.referee.emails, default="")
        values: dict[str, object] = {"is_new": self.is_new, "metadata": dict(state.metadata) if state else {}}
        if email:
            values["email_domain"] = email.rpartition("@")[2]
        if self.referee.country:
            values["country"] = self.referee.country
        if state is not None and state.currency:
            values["currency"] = state.currency
        if self.referee.signup_at is not None:
            values["created_at"] = _moment(self.referee.signup_at)
        return values

    def _participant_values(self) -> dict[str, object]:
        participant, profile = self.participant, self.profile
        return {
            "id": self.binding.participant_id,
            "kind": participant.kind,
            "country": profile.country,
            "groups": list(profile.groups),
            "metadata": dict(profile.metadata),
            "joined_at": _moment(participant.joined_at),
            "code": self.binding.carrier.value,
        }

    def _sale_values(self) -> dict[str, object]:
        lines = self.lines
        plan = plan_line(lines)
        values: dict[str, object] = {
            "amount_minor": self.base_of_lines(None),
            "currency": self.currency,
            "products": sorted({line.product for line in lines if line.product}),
            "prices": sorted({line.price for line in lines if line.price}),
            "quantity": sum(line.quantity or 1 for line in lines if line.amount > 0),
            "campaign": self.binding.carrier.campaign,
            "coupons": sorted(self.coupons),
            "is_first": self.number == 1,
            "number": self.number,
            "months_subscribed": self.months,
            "paid_at": _moment(self.occurred_at),
            "metadata": self._sale_metadata(),
            "billing_interval": plan.interval if plan else "",
            "subscription_plan": (plan.product or plan.price or "") if plan else "",
            "country": self.referee.country,
        }
        return values

    def _sale_metadata(self) -> dict[str, str]:
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
