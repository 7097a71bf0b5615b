"""The scenario language: a story is told once, in the words of the glossary, and run in every mode.

A story sells in the sandbox; what the sandbox emits goes as signed webhooks to RefRef's own intake and through the real
pump on real PostgreSQL. `expect` compares the books; afterwards every invariant and a rebuild are checked.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from refref.core.terms import Terms
from refref.sandbox import Sandbox
from refref.sandbox.versions import known
from refref.stripe.readers import events_to_enable
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
    """How a story's events arrive. `late`: nothing arrives before the story is over, and then in any order.

    The calm mode delivers everything that Stripe emits, the others what an endpoint is set up for.
    """

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
    waiting: list[dict[str, Any]] = field(default_factory=list)
    lost: tuple[str, ...] = ()
    pinned: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    enabled: frozenset[str] = frozenset(events_to_enable())
    is_backtested: bool = True  # not where what was paid out keeps what the same terms would not give again

    # Set-up ---------------------------------------------------------------------------------------------------------

    def program(self, name: str = "main", *, effective_at: int = 0, **terms: Any) -> str:
        """A program with the product's default terms, changed by keywords of core.terms.Terms. Returns its id."""
        self.names[name] = self.world.create_program(self.merchant, name, Terms(**terms), effective_at)
        return self.names[name]

    def affiliate(
        self,
        refcode: str,
        *,
        program: str = "main",
        email: str | None = None,
        promotion_code: str | None = None,
        ip: str = "",
    ) -> str:
        """A participant with a refcode (and a Stripe promotion code id); the default program is made when missing."""
        if program not in self.names:
            self.program(program)
        email = email or f"{refcode}@partners.example"
        self.names[refcode] = self.world.create_participant(
            self.merchant, self.names[program], refcode, email, promotion_code, ip
        )
        return self.names[refcode]

    def profile(self, refcode: str, **profile: Any) -> None:
        """What the merchant says of a participant since ever: country, group_names, metadata."""
        self.world.set_profile(self.merchant, self.names[refcode], **profile)

    def publish(self, effective_at: int, program: str = "main", **terms: Any) -> None:
        """A new version of a program's terms, in force from an instant on."""
        self.world.publish(self.merchant, self.names[program], Terms(**terms), effective_at)

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

    def buy(self, price: str, refcode: str | None = None, **more: Any) -> str:
        """A Checkout Session for a price, paid; the refcode travels as its client_reference_id. Returns its id."""
        if refcode:
            more["client_reference_id"] = refcode
        if "customer" not in more:
            more.setdefault("email", "buyer@customers.example")
        return str(self.sb.sell(price=price, **more)["id"])

    def code(self, refcode: str, *, percent_off: float = 10, **coupon: Any) -> str:
        """A Stripe promotion code that belongs to a participant; returns its id."""
        coupon_id = self.sb.create_coupon(percent_off=percent_off, **coupon)["id"]
        made = str(self.sb.create_promotion_code(coupon_id, f"{refcode}-{len(self.sb.all('promotion_code'))}")["id"])
        self.world.add_promotion_code(self.merchant, self.names[refcode], made)
        return made

    def paid_invoice(self, customer: str, amounts: Sequence[int | str], **more: Any) -> dict[str, Any]:
        """A manual invoice over amounts or prices, paid by card."""
        items = [{"price": a} if isinstance(a, str) else {"amount": a, "description": "Work"} for a in amounts]
        invoice = self.sb.create_invoice(customer, items, **more)
        return dict(self.sb.pay_invoice(invoice["id"]))

    def tell(
        self, customer: str, refcode: str, *, clicked_at: int | None = None, kind: str = "signup", ip: str = ""
    ) -> None:
        """The merchant's application (or a person, kind manual) tells who referred a customer."""
        self.deliver()
        self._sync_clock()
        self.world.tell(self.merchant, customer, refcode, clicked_at, kind, ip)

    def another_account(self) -> Story:
        """Another organization with a Stripe account of its own, in the same RefRef."""
        sandbox = Sandbox(clock_start=self.sb.now, seed=self.sb.ids.seed + 1)
        merchant = self.world.create_merchant(sandbox)
        return Story(self.world, self.mode, merchant, sandbox, self.rng)

    # Running --------------------------------------------------------------------------------------------------------

    def deliver(self, *types: str) -> None:
        """Let what happened arrive, in the manner of the mode, and be settled: everything, or events of these types
        alone, while the others wait."""
        if not self.mode.is_late:
            self._deliver(types)

    def catch_up(self) -> None:
        """Let all that happened arrive, in every mode: people decide on what they see."""
        self._deliver()

    def deliver_events(self, *events: dict[str, Any]) -> None:
        """Let exactly these events arrive (again)."""
        if not self.mode.is_late:
            self.waiting = [event for event in self.waiting if event not in events]
            self._send(events)

    def redeliver(self) -> None:
        """Stripe delivers everything once more, and somebody replays all that is stored."""
        if not self.mode.is_late:
            self._send(self.sb.events)
            self.world.replay_everything(self.merchant)

    def lose(self, *types: str) -> None:
        """Events of these types never arrive from now on (the endpoint is not set up for them)."""
        self.deliver()
        self.lost = types

    def enable(self, *types: str) -> None:
        """The merchant's endpoint is set up for these types, too, from the start."""
        self.enabled |= set(types)

    def pin(self, version: str | None) -> None:
        """The merchant sets the endpoint to an API version (None: back to the mode's)."""
        self.deliver()
        self.pinned = version

    def wait(self, **span: int) -> None:
        """Let time pass (days, hours, months), with everything that falls due in it, and arrive."""
        self.deliver()
        self.sb.advance_by(**span)
        self.deliver()

    def _collect(self) -> None:
        fresh = self.sb.events[self.sent :]
        self.sent += len(fresh)
        is_wanted = self.enabled.__contains__ if self.mode.name != "calm" else lambda _: True
        self.waiting += [e for e in fresh if e["type"] not in self.lost and is_wanted(e["type"])]

    def _deliver(self, types: Sequence[str] = ()) -> None:
        self._collect()
        ready = [event for event in self.waiting if not types or event["type"] in types]
        self.waiting = [event for event in self.waiting if types and event["type"] not in types]
        events = [event for event in ready for _ in range(self.mode.copies)]
        if self.mode.is_shuffled:
            self.rng.shuffle(events)
        self._send(events)

    def _send(self, events: Sequence[dict[str, Any]]) -> None:
        self._sync_clock()
        self.world.deliver(self.merchant, [pair for event in events for pair in self._rendered(event)], self)

    def _rendered(self, event: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        """The event with the version it arrives in; none where no endpoint is of a version that knows it."""
        versions = (self.pinned,) if self.pinned else self.mode.versions
        able = [version for version in versions if known(event["type"], version)]
        return [(event, self.rng.choice(able))] if able else []

    def _sync_clock(self) -> None:
        self.world.set_clock(self.merchant, self.sb.now)

    # Expectations ---------------------------------------------------------------------------------------------------

    def expect(
        self, *, refused: Sequence[str] | None = None, is_last: bool = False, **rewards: Sequence[Reward]
    ) -> None:
        """The rewards of each named participant (by refcode, in order of payment), and the reasons of every payment
        that earned nothing, sorted. Checked now, except in the late mode, which knows the end alone."""
        if self.mode.is_late and not is_last:
            return
        self._deliver()
        self.glance(is_last=is_last, **rewards)
        if refused is not None:
            assert self.world.refusals(self.merchant) == sorted(refused), self.world.explain(self.merchant)

    def glance(self, *, is_last: bool = False, **rewards: Sequence[Reward]) -> None:
        """The rewards by what has arrived so far, while other events wait."""
        if self.mode.is_late and not is_last:
            return
        for refcode, expected in rewards.items():
            found = self.world.rewards(self.merchant, self.names[refcode])
            got = [Reward(r["amount_minor"], r["reversed_minor"], r["status"], r["currency"]) for r in found]
            assert got == list(expected), f"{refcode}: {self.world.explain(self.merchant)}"

    def expect_referrals(self, **counts: int) -> None:
        """How many referees each named participant has now, flagged ones apart (as `<refcode>_flagged`)."""
        if self.mode.is_late:
            return
        self._deliver()
        found = self.world.referral_counts(self.merchant)
        for name, count in counts.items():
            status = "flagged" if name.endswith("_flagged") else "active"
            assert found.get((self.names[name.removesuffix("_flagged")], status), 0) == count, (name, found)

    def end(self, *, refused: Sequence[str] | None = None, **rewards: Sequence[Reward]) -> None:
        """The books when all is over; then invariants, a second delivery of everything, and a rebuild."""
        self.expect(refused=refused, is_last=True, **rewards)
        before = self.world.books(self.merchant)
        self.world.check(self.merchant, is_backtested=self.is_backtested)
        self.world.replay_everything(self.merchant)
        assert self.world.books(self.merchant) == before, "a replay changed the books"
        self.world.check(self.merchant, is_backtested=self.is_backtested)


def at(text: str) -> int:
    """`2026-03-01` or an ISO instant as unix seconds."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def pending(amount: int, currency: str = "usd") -> Reward:
    return Reward(amount, currency=currency)


def payable(amount: int, currency: str = "usd", *, back: int = 0) -> Reward:
    return Reward(amount, back, "payable", currency)


def back(amount: int, reversed_amount: int, currency: str = "usd") -> Reward:
    """Partly taken back."""
    return Reward(amount, reversed_amount, currency=currency)


def gone(amount: int, currency: str = "usd") -> Reward:
    """Wholly taken back."""
    return Reward(amount, amount, "reversed", currency)


def held(amount: int, reversed_amount: int = 0, currency: str = "usd") -> Reward:
    return Reward(amount, reversed_amount, "held", currency)


Telling = Callable[[Story], None]


@dataclass(frozen=True, slots=True)
class Told:
    """A registered story: what it proves (`numbers` of the acceptance list), and the modes it is told in."""

    tell: Telling
    numbers: tuple[int, ...]
    modes: frozenset[str]
    has_api: bool


STORIES: dict[str, Told] = {}
_ALL_MODES = tuple(mode.name for mode in MODES)
_ALWAYS = ("shuffled", "reversed-late", "mixed-versions")


def story(number: str, *, has_api: bool = False, only: Sequence[str] = ()) -> Callable[[Telling], Telling]:
    """Register a telling under the number(s) of the acceptance list it proves: `"01"`, `"24+25"`.

    The first telling of a number, its main story, is told in every mode. Further ones (`"01-guest"`: other shapes and
    numbers) are told in the three hardest modes and in two more that follow from their name, to keep the suite short.
    `has_api`: the connection has a key, so that RefRef can ask Stripe. `only`: modes in which it is true, for what
    depends on what an API version tells.
    """

    def register(telling: Telling) -> Telling:
        numbers, _, variant = number.partition("-")
        name = f"{number}_{telling.__name__}"
        assert name not in STORIES, name
        modes = only or (_ALL_MODES if not variant else (*_ALWAYS, *_some_modes(name)))
        STORIES[name] = Told(telling, tuple(int(n) for n in numbers.split("+")), frozenset(modes), has_api)
        return telling

    return register


def _some_modes(name: str) -> tuple[str, ...]:
    others = [mode for mode in _ALL_MODES if mode not in _ALWAYS]
    start = zlib.crc32(name.encode())
    return others[start % len(others)], others[(start // len(others)) % len(others)]
