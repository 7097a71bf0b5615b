"""Claims: what a rule would give for a conversion, before tiers that look at other customers, caps and splits.

The first stage (`evaluate`) makes them from one customer's facts alone; the second (`complete`) turns them to rewards.
Amounts are minor units of the claim's `currency`; instants are seconds.
"""

from __future__ import annotations

import msgspec

from refref.core.decisions import Decision, Note


class Option(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A value that a rule may give: `rate_bps` of the base plus `fixed`; `at_least` of its tier. `reason`: why not."""

    at_least: int = 0
    rate_bps: int = 0
    fixed: int = 0
    reason: str = ""
    notes: tuple[Note, ...] = ()


class CapRoom(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A cap on a claim: the window that it limits ("": the reward alone) and its amount in `currency`.

    Rewards in currencies that the cap does not name (`named`) count in `others` ("": not at all), each at the rate of
    its day; `rate` is that of the reward at hand.
    """

    on: str
    window: str
    period: str
    amount: int
    currency: str
    named: tuple[str, ...]
    others: str = ""
    reason: str = ""  # no_cap_for_currency, no_rate: there is no amount
    rate: Note = ()


class Claim(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One rule's claim on one conversion.

    `tier`: key of the window whose sum chooses among `options` ("": the only one). `gone`: the part of the base that
    went back, (numerator, denominator). `parts`: who gets how much, in basis points of the whole.
    """

    rule_no: int
    rule_id: str
    kind: str
    reward: str
    base: int
    currency: str
    options: tuple[Option, ...]
    tier: str
    is_retroactive: bool
    gone: tuple[int, int]
    is_whole: bool
    parts: tuple[tuple[str, int], ...]
    caps: tuple[CapRoom, ...]
    hold_until: int
    expires_at: int | None
    holds: tuple[str, ...]  # why it waits for a person: awaiting_approval, fraud_hold
    is_rejected: bool
    pays: str = ""  # currency that it is converted into, "" its own
    pays_rate: Note = ()  # the rate with which
    is_approved: bool = False
    counted_in: tuple[Note, ...] = ()  # rates at which it counts in caps of other currencies


class Candidate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One conversion in one program after the first stage; `decision` lacks the outcomes of the claims.

    `referral` 1: the referee's first counted payment, -1: any other counted one, 0: no counted payment. `revenue`: the
    base less what went back, in the program's revenue currency.
    """

    decision: Decision
    claims: tuple[Claim, ...] = ()
    referral: int = 0
    is_undone: bool = False
    is_by_code: bool = False
    revenue: int = 0
    is_held: bool = False
    approval: str = ""  # a person's verdict on the whole conversion: approved, rejected

    @property
    def order(self) -> tuple[int, str]:
        """Conversions are judged in this order, whenever they arrived."""
        return self.decision.occurred_at, self.decision.payment_key
