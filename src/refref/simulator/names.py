"""What a story names: people, prices, codes, sales; and the collecting of faults where a name is not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from refref.core.faults import Fault
from refref.simulator.story import Invoice, Participant, Purchase, Story, Subscribing
from refref.simulator.written import Unreadable

T = TypeVar("T")
CONVERSIONS = ("signup", "trial_started", "downgrade", "quantity_change", "custom")  # those without a payment
_SALE = re.compile(r"(?P<owner>[a-z0-9][a-z0-9_-]{0,59})(?:/(?P<which>[1-9]\d{0,3}|[a-z_]+))?")


def participant_id(participant: Participant) -> str:
    """How terms and expectations name a participant."""
    return participant.id or participant.code


def split_sale(name: str) -> tuple[str, str] | None:
    """`team/2` as (`team`, `2`); the second part is empty where only an owner is named. None: no such name."""
    found = _SALE.fullmatch(name)
    return None if found is None else (found["owner"], found["which"] or "")


class Names:
    """The names of a story, by what they name."""

    def __init__(self, story: Story) -> None:
        catalogue = story.catalogue
        prices = [price for product in catalogue.products for price in product.prices]
        self.participants = {participant_id(one) for one in story.participants}
        self.codes = {one.code for one in story.participants}
        self.customers = {one.id for one in story.customers}
        self.prices = {price.id for price in prices}
        self.recurring = {price.id for price in prices if price.every}
        self.coupons = {one.id for one in catalogue.coupons}
        self.promotion_codes = {one.code for one in catalogue.promotion_codes}
        self.tax_rates = {one.id for one in catalogue.tax_rates}
        steps = story.happens
        self.subscriptions = {s.subscribes.name for s in steps if isinstance(s.subscribes, Subscribing)} - {""}
        given = (thing for step in steps for thing in (step.buys, step.invoices))
        self.sales = {thing.name for thing in given if isinstance(thing, Purchase | Invoice)} - {""}
        self.rules = {rule.rule_id for rule in story.terms.rules} if story.terms is not None else None


class Findings:
    """Collects faults, each with its field and the remedy."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.faults: list[Fault] = []

    def add(self, field: str, sentence: str) -> None:
        """One fault."""
        self.faults.append(Fault(field, sentence))

    def read(self, field: str, text: str, reader: Callable[[str], T]) -> T | None:
        """What `reader` makes of a text; a fault and None where it cannot."""
        try:
            return reader(text)
        except Unreadable as error:
            self.add(field, str(error))
            return None

    def read_if_given(self, field: str, text: str, reader: Callable[[str], T]) -> T | None:
        """The same, where there is a text."""
        return self.read(field, text, reader) if text else None

    def known(self, field: str, name: str, there: Iterable[str], what: str) -> None:
        """A fault where a name (unless it is empty) is none of those there are."""
        choices = sorted(there)
        if not name or name in choices:
            return
        close = difflib.get_close_matches(name, choices, n=1)
        if close:
            remedy = f"do you mean {close[0]}?"
        elif choices:
            remedy = f"there are: {', '.join(choices[:12])}."
        else:
            remedy = "the story has none."
        self.add(field, f"There is no {what} “{name}”: {remedy}")

    def sale(self, field: str, name: str) -> None:
        """A fault where a text is no name of a sale; which payments there are is known only when it is played."""
        parts = split_sale(name)
        if parts is None:
            self.add(field, f"“{name}” names no sale: write it such as buyer/1, or by a name given to it.")
            return
        owner, which = parts
        names = self.names
        self.known(field, owner, names.customers | names.sales | names.subscriptions, "customer or named sale")
        if which and not which.isdigit():
            self.known(field, which, CONVERSIONS, "kind of conversion")
