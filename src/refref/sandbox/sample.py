"""The sample merchant: months of plausible history from a seed, then lively traffic at a human pace.

All names are plainly sample. The same seed, span and codes give the same history.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc
from refref.sandbox.timeline import DAY, instant

REFERRED = 25
UNREFERRED = 35
COUPON = "sample-10-percent"

# product id, name, interval, price by currency in minor units
PRODUCTS = (
    ("prod_sample_template", "Sample Template", None, {"usd": 4900, "eur": 4500}),
    ("prod_sample_monthly", "Sample Monthly", "month", {"usd": 2900, "eur": 2700}),
    ("prod_sample_annual", "Sample Annual", "year", {"usd": 29000, "eur": 27000}),
)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happens in the history at an instant (unix seconds)."""

    at: int
    order: int
    do: Callable[[], object]


def price_id(noun: str, currency: str) -> str:
    """The id of a sample price: template, monthly or annual, usd or eur."""
    return f"price_sample_{noun}_{currency}"


def open_shop(sb: Sandbox, promotion_codes: Sequence[str]) -> None:
    """Products, prices and promotion codes, as far as they are missing."""
    for product, name, interval, prices in PRODUCTS:
        if not sb.has("product", product):
            sb.create_product(name, id=product)
        for currency, amount in prices.items():
            price = price_id(product.rpartition("_")[2], currency)
            if not sb.has("price", price):
                sb.create_price(product, currency, amount, interval=interval, id=price, nickname=name)
    if promotion_codes and not sb.has("coupon", COUPON):
        sb.create_coupon(percent_off=10, duration="once", id=COUPON, name="10 % off")
    taken = {p["code"].lower() for p in sb.live("promotion_code")}
    for code in promotion_codes:
        if code.lower() not in taken:
            sb.create_promotion_code(COUPON, code)


def seed(
    sandbox: Sandbox,
    seed: int,
    start: int | str | datetime,
    end: int | str | datetime,
    refcodes: Sequence[str] = (),
    promotion_codes: Sequence[str] = (),
) -> int:
    """Write the history from `start` to `end` and leave the clock there; returns the number of events."""
    rng = random.Random(seed)  # noqa: S311 - a sample history, no secret
    first, last = instant(start), instant(end)
    sandbox.advance(max(first, sandbox.now))
    open_shop(sandbox, promotion_codes)
    story = Story(sandbox, rng, last)
    for number in range(REFERRED + UNREFERRED):
        at = first + rng.randrange(max(1, last - first - 2 * DAY))
        referred = number < REFERRED and bool(refcodes)
        code = refcodes[number % len(refcodes)] if referred else None
        promotion = (
            promotion_codes[number % len(promotion_codes)] if referred and promotion_codes and number % 4 == 3 else None
        )
        story.join(number, at, code, promotion)
    while story.acts:
        act = min(story.acts, key=lambda a: (a.at, a.order))
        story.acts.remove(act)
        if act.at <= last:
            sandbox.advance(max(act.at, sandbox.now))
            act.do()
    sandbox.advance(max(last, sandbox.now))
    return len(sandbox.events)


class Story:
    """The acts still to come of every sample customer."""

    def __init__(self, sb: Sandbox, rng: random.Random, end: int) -> None:
        self.sb = sb
        self.rng = rng
        self.end = end
        self.acts: list[Act] = []
        self._order = 0

    def then(self, at: int, do: Callable[[], object]) -> None:
        """Do something at an instant."""
        self._order += 1
        self.acts.append(Act(at, self._order, do))

    def join(self, number: int, at: int, refcode: str | None, promotion: str | None) -> None:
        """A customer's first purchase and what its number says comes after; the busiest come early."""
        turn = number % REFERRED
        if turn < 8:
            at = self.sb.now + DAY + (at - self.sb.now) // 4
        noun = ("monthly", "template", "template", "template", "monthly", "monthly", "annual", "monthly")[turn % 8]
        currency = "eur" if number % 3 == 2 else "usd"
        self.then(at, lambda: self._buy(number, noun, currency, refcode, promotion, trial=turn == 5))

    def _buy(
        self, number: int, noun: str, currency: str, refcode: str | None, promotion: str | None, *, trial: bool
    ) -> None:
        session = purchase(
            self.sb, number, price_id(noun, currency), refcode=refcode, promotion_code=promotion, trial_days=14 * trial
        )
        self._after(number % REFERRED, session, currency)

    def _after(self, turn: int, session: Doc, currency: str) -> None:
        """One customer of each kind upgrades, refunds, disputes, cancels, or pays a renewal late."""
        sb, sub, at = self.sb, session["subscription"], self.sb.now
        annual = price_id("annual", currency)
        if turn == 0 and sub:
            self.then(
                at + 45 * DAY, lambda: sb.change_subscription(sub, price=annual, proration_behavior="always_invoice")
            )
        elif turn == 1:
            self.then(at + 4 * DAY, lambda: sb.refund(session["id"], reason="requested_by_customer"))
        elif turn == 2:
            self.then(at + 6 * DAY, lambda: sb.refund(session["id"], amount=1500))
        elif turn == 3:
            self.then(at + 9 * DAY, lambda: self._dispute(session["id"]))
        elif turn == 4 and sub:
            self.then(at + 70 * DAY, lambda: sb.cancel_subscription(sub))
        elif turn == 7 and sub:
            self.then(at + 20 * DAY, lambda: sb.change_card(sub, "declined"))
            self.then(at + 35 * DAY, lambda: self._pay_late(sub))

    def _dispute(self, session: str) -> None:
        dispute = self.sb.dispute(session)["id"]
        self.then(self.sb.now + 12 * DAY, lambda: self.sb.close_dispute(dispute, "lost"))

    def _pay_late(self, sub: str) -> None:
        self.sb.change_card(sub, "visa")
        invoice = self.sb.get(self.sb.get(sub)["latest_invoice"])
        if invoice["status"] == "open":
            self.sb.pay_invoice(invoice["id"], card="visa")


def purchase(
    sb: Sandbox,
    number: int,
    price: str,
    *,
    refcode: str | None = None,
    promotion_code: str | None = None,
    trial_days: int = 0,
) -> Doc:
    """Sample customer `number` buys a price through Checkout; the refcode travels as client_reference_id."""
    more: Doc = {} if refcode is None else {"client_reference_id": refcode}
    if sb.find("price", price)["recurring"]:
        more["subscription_data"] = {"trial_period_days": trial_days}
    else:
        more["customer_creation"] = "always"
    return sb.sell(
        price=price,
        email=f"customer{number}@example.com",
        name=f"Sample Customer {number}",
        card=f"sample card {number}",
        promotion_code=promotion_code,
        **more,
    )


def tick(
    sandbox: Sandbox,
    rng: random.Random,
    *,
    now: int | None = None,
    refcodes: Sequence[str] = (),
    promotion_codes: Sequence[str] = (),
) -> int:
    """Bring the clock to `now`, let one thing happen, mostly a sale; returns the seconds until the next call."""
    sandbox.advance(max(sandbox.now, sandbox.now if now is None else now))
    open_shop(sandbox, promotion_codes)
    lot = rng.randrange(100)
    if lot >= 85 and _follow_up(sandbox, rng):
        return rng.randrange(5, 60)
    number = REFERRED + UNREFERRED + sum(1 for s in sandbox.live("checkout.session") if s["status"] == "complete")
    price = price_id(
        rng.choice(("template", "template", "monthly", "monthly", "annual")), rng.choice(("usd", "usd", "eur"))
    )
    refcode = rng.choice(refcodes) if refcodes and rng.randrange(100) < 60 else None
    usable = [p["code"] for p in sandbox.live("promotion_code") if p["active"] and p["code"] in promotion_codes]
    code = rng.choice(usable) if usable and rng.randrange(100) < 15 else None
    purchase(sandbox, number, price, refcode=refcode, promotion_code=code, trial_days=14 * (rng.randrange(10) == 0))
    return rng.randrange(5, 60)


def _follow_up(sb: Sandbox, rng: random.Random) -> bool:
    """A refund or an upgrade, if there is somebody to have it."""
    if rng.randrange(2):
        charges = [c for c in sb.live("charge") if c["paid"] and not c["amount_refunded"] and not c["disputed"]]
        if charges:
            charge = rng.choice(charges[-20:])
            half = rng.randrange(2) and charge["amount"] // 2
            sb.refund(charge["id"], amount=half or None)
            return True
    monthly = [
        s
        for s in sb.live("subscription")
        if s["status"] == "active" and s["items"]["data"][0]["price"]["id"].startswith("price_sample_monthly")
    ]
    if monthly:
        sub = rng.choice(monthly[-20:])
        annual = price_id("annual", sub["currency"])
        sb.change_subscription(sub["id"], price=annual, proration_behavior="always_invoice")
    return bool(monthly)
