"""Live traffic of the sample shop at a human pace: a sale, a sign-up, a change of plan, now and then a refund.

Renewals need no doing: the plan of the history lets one fall due every minute or so after its end.
"""

import random
from collections.abc import Callable, Sequence

from refref.sandbox.sample_cast import UNKNOWN_CODES, Promoter
from refref.sandbox.sample_shop import DOWNGRADES, UPGRADES, noun_of, open_shop, price_id, purchase
from refref.sandbox.state import Sandbox
from refref.sandbox.store import Doc

SHORTEST_SECONDS, LONGEST_SECONDS = 3, 12
LATELY = 40  # what is refunded, changed or ended is among so many of the newest

NOUNS = ("template", "template", "workshop", "monthly", "monthly", "pro", "annual")


class Traffic:
    """Lets one thing happen at a time; the same seed and sandbox give the same things."""

    def __init__(self, sandbox: Sandbox, promoters: Sequence[Promoter], seed: int) -> None:
        self.sb = sandbox
        self.promoters = promoters
        self._rng = random.Random(seed)  # noqa: S311 - sample traffic, no secret

    def tick(self) -> int:
        """Let one thing happen, mostly a sale; returns the seconds until the next."""
        open_shop(self.sb, self.promoters)
        lot = self._rng.randrange(100)
        # share of a hundred things, up to which lot
        shares: tuple[tuple[int, Callable[[], bool]], ...] = (
            (10, self._sign_up),
            (16, self._guest_buys),
            (24, self._upgrade),
            (27, self._downgrade),
            (32, self._cancel),
            (38, self._refund),
        )
        do = next((what for limit, what in shares if lot < limit), self._buy)
        if not do():
            self._buy()
        return self._rng.randrange(SHORTEST_SECONDS, LONGEST_SECONDS + 1)

    def _buy(self, noun: str | None = None, *, trial_days: int = 0, guest: bool = False) -> bool:
        rng = self._rng
        sender = rng.choice(self.promoters) if self.promoters and rng.randrange(100) < 60 else None
        currency = (sender.currency if sender else "") or rng.choice(("usd", "usd", "eur"))
        refcode = sender.refcode if sender else None
        if refcode is None and rng.randrange(10) == 0:
            refcode = rng.choice(UNKNOWN_CODES)
        code = sender.promotion_code if sender and rng.randrange(2) else None
        purchase(
            self.sb,
            len(self.sb.live("checkout.session")) + 1,
            price_id(noun or rng.choice(NOUNS), currency),
            refcode=refcode,
            promotion_code=code if code and self._is_active(code) else None,
            trial_days=trial_days,
            guest=guest,
        )
        return True

    def _is_active(self, code: str) -> bool:
        return any(p["active"] and p["code"] == code for p in self.sb.live("promotion_code"))

    def _sign_up(self) -> bool:
        return self._buy("monthly", trial_days=14)

    def _guest_buys(self) -> bool:
        return self._buy("template", guest=True)

    def _subscriber(self, nouns: Sequence[str]) -> Doc | None:
        """One of the newest active subscribers of these plans."""
        found = [s for s in self.sb.live("subscription")[-4 * LATELY :]
                 if s["status"] == "active" and not s["cancel_at_period_end"] and plan_noun(s) in nouns]  # fmt: skip
        return self._rng.choice(found[-LATELY:]) if found else None

    def _move(self, sub: Doc, noun: str) -> bool:
        price = price_id(noun, sub["currency"])
        self.sb.change_subscription(sub["id"], price=price, proration_behavior="always_invoice")
        return True

    def _upgrade(self) -> bool:
        sub = self._subscriber(tuple(UPGRADES))
        return sub is not None and self._move(sub, self._rng.choice(UPGRADES[plan_noun(sub)]))

    def _downgrade(self) -> bool:
        sub = self._subscriber(tuple(DOWNGRADES))
        return sub is not None and self._move(sub, DOWNGRADES[plan_noun(sub)])

    def _cancel(self) -> bool:
        sub = self._subscriber(("monthly", "pro", "annual"))
        if sub is not None:
            self.sb.cancel_subscription(sub["id"], at_period_end=bool(self._rng.randrange(2)))
        return sub is not None

    def _refund(self) -> bool:
        charges = [c for c in self.sb.live("charge")[-LATELY:]
                   if c["paid"] and not c["amount_refunded"] and not c["disputed"]]  # fmt: skip
        if charges:
            charge = self._rng.choice(charges)
            part = charge["amount"] // 2 if self._rng.randrange(2) else 0
            self.sb.refund(charge["id"], amount=part or None, reason="requested_by_customer")
        return bool(charges)


def plan_noun(sub: Doc) -> str:
    """What a subscription is for, in the sample shop's nouns."""
    return noun_of(sub["items"]["data"][0]["price"]["id"])
