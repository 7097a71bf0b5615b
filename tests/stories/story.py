"""The scenario language: a story is told once, in the words of the glossary, and run in every mode.

A story sells in the sandbox; what the sandbox emits goes as signed webhooks to RefRef's own intake and through the real
pump on real PostgreSQL. `expect` compares the books; afterwards every invariant and a rebuild are checked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from refref.core.terms import Terms
from refref.sandbox import Sandbox
from stories.world import Merchant, World

START = "2026-01-15T10:00:00Z"
VERSIONS = (
    "2020-08-27",
    "2024-06-20",
    "2025-02-24.acacia",
    "2025-03-31.basil",
    "2025-10-29.clover",
    "2026-03-25.dahlia",
    "2026-10-28.endive",
)


@dataclass(frozen=True, slots=True)
class Mode:
    """How a story's events arrive. `late`: nothing arrives before the story is over, and then in any order."""

    name: str
    versions: Sequence[str] = ("2026-10-28.endive",)
    copies: int = 1
    is_shuffled: bool = False
    is_late: bool = False
    is_crashing: bool = False


MODES = (
    Mode("calm"),
    Mode("duplicated", copies=2, is_shuffled=True),
    Mode("shuffled", is_shuffled=True),
    Mode("reversed-late", is_shuffled=True, is_late=True),
    Mode("crashing", is_crashing=True),
    Mode("mixed-versions", versions=VERSIONS, is_shuffled=True),
    *(Mode(version, versions=(version,)) for version in VERSIONS[:-1]),
)


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward as a story expects it."""

    amount: int
    reversed: int = 0
    status: str = "pending"
    currency: str = "usd"


@dataclass(slots=True)
class Story:
    """The pen of a story. `sb` is the sandbox (see refref.sandbox for its verbs); amounts are minor units."""

    world: World
    mode: Mode
    merchant: Merchant
    sb: Sandbox
    rng: random.Random
    sent: int = 0
    names: dict[str, str] = field(default_factory=dict)

    # Set-up ---------------------------------------------------------------------------------------------------------

    def program(self, name: str = "main", **terms: Any) -> str:
        """A program with the product's default terms, changed by keywords of core.terms.Terms. Returns its id."""
        self.names[name] = self.world.create_program(self.merchant, name, Terms(**terms))
        return self.names[name]

    def affiliate(
        self, refcode: str, *, program: str = "main", email: str | None = None, promotion_code: str | None = None
    ) -> str:
        """A participant with a refcode (and a Stripe promotion code id); the default program is made when missing."""
        if program not in self.names:
            self.program(program)
        email = email or f"{refcode}@partners.example"
        self.names[refcode] = self.world.create_participant(
            self.merchant, self.names[program], refcode, email, promotion_code
        )
        return self.names[refcode]

    def add_promotion_code(self, refcode: str, promotion_code: str) -> None:
        """Let one more promotion code attribute to a participant."""
        self.deliver()
        self.world.add_promotion_code(self.merchant, self.names[refcode], promotion_code)

    def deactivate(self, refcode: str, code: str) -> None:
        """End one code of a participant, now by the sandbox's clock."""
        self.deliver()
        self._sync_clock()
        self.world.deactivate(self.merchant, self.names[refcode], code)

    def price(self, amount: int, currency: str = "usd", *, every: str | None = None, product: str = "Plan") -> str:
        """A price of a new product; `every` month or year makes it recurring."""
        product_id = self.sb.create_product(product)["id"]
        return str(self.sb.create_price(product_id, currency, amount, interval=every)["id"])

    def product_of(self, price: str) -> str:
        return str(self.sb.get(price)["product"])

    def customer(self, refcode: str | None = None, **more: Any) -> str:
        """A customer, whose metadata names a refcode where one is given."""
        metadata = {"refref_referral_id": refcode} if refcode else {}
        more.setdefault("email", "buyer@customers.example")
        return str(self.sb.create_customer(metadata=metadata, **more)["id"])

    def tell(self, customer: str, refcode: str, *, clicked_at: int | None = None, kind: str = "signup") -> None:
        """The merchant's application (or a person, kind manual) tells who referred a customer."""
        self.deliver()
        self._sync_clock()
        self.world.tell(self.merchant, customer, refcode, clicked_at, kind)

    # Running --------------------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Let everything that happened arrive, in the manner of the mode, and be settled."""
        if self.mode.is_late:
            return
        self._deliver()

    def _deliver(self) -> None:
        fresh = self.sb.events[self.sent :]
        self.sent = len(self.sb.events)
        events = [event for event in fresh for _ in range(self.mode.copies)]
        if self.mode.is_shuffled:
            self.rng.shuffle(events)
        self._sync_clock()
        self.world.deliver(self.merchant, [(event, self.rng.choice(self.mode.versions)) for event in events], self)

    def _sync_clock(self) -> None:
        self.world.set_clock(self.merchant, self.sb.now)

    # Expectations ---------------------------------------------------------------------------------------------------

    def expect(self, *, refused: Sequence[str] | None = None, is_last: bool = False, **rewards: Sequence[Reward]) -> None:
        """The rewards of each named participant (by refcode, in order of payment), and the reasons of every payment
        that earned nothing, sorted. Checked now, except in the late mode, which knows the end alone."""
        if self.mode.is_late and not is_last:
            return
        self._deliver()
        for refcode, expected in rewards.items():
            found = self.world.rewards(self.merchant, self.names[refcode])
            got = [Reward(r["amount_minor"], r["reversed_minor"], r["status"], r["currency"]) for r in found]
            assert got == list(expected), f"{refcode}: {self.world.explain(self.merchant)}"
        if refused is not None:
            assert self.world.refusals(self.merchant) == sorted(refused), self.world.explain(self.merchant)

    def end(self, *, refused: Sequence[str] | None = None, **rewards: Sequence[Reward]) -> None:
        """The books when all is over; then invariants, a second delivery of everything, and a rebuild."""
        self.expect(refused=refused, is_last=True, **rewards)
        before = self.world.books(self.merchant)
        self.world.check(self.merchant)
        self.world.replay_everything(self.merchant)
        assert self.world.books(self.merchant) == before, "a replay changed the books"
        self.world.check(self.merchant)


def at(text: str) -> int:
    """`2026-03-01` or an ISO instant as unix seconds."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


Telling = Callable[[Story], None]
STORIES: dict[str, Telling] = {}


def story(number: str) -> Callable[[Telling], Telling]:
    """Register a telling under the number(s) of the acceptance list it proves, such as `"01"` or `"16-lines"`."""

    def register(telling: Telling) -> Telling:
        name = f"{number}_{telling.__name__}"
        assert name not in STORIES, name
        STORIES[name] = telling
        return telling

    return register
