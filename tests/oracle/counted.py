"""Counted payments: what steps 1 to 3 let through, with what the later steps ask of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from oracle.cases import Conversion


@dataclass(frozen=True)
class Counted:
    """A counted payment. `base` of the terms' lines and what is `gone` of it, minor units."""

    conversion: Conversion
    base: int
    gone: int
    is_whole_back: bool
    is_first_of_referral: bool

    @property
    def currency(self) -> str:
        return "" if self.conversion.payment is None else self.conversion.payment.currency


@dataclass
class CountedPayments:
    """In the order of decisions."""

    all: list[Counted] = field(default_factory=list)

    def of(self, referee_id: str, up_to: tuple[int, str]) -> list[Counted]:
        """Those of a referee before or at a place in the order."""
        return [
            one
            for one in self.all
            if one.conversion.customer.referee_id == referee_id and one.conversion.order <= up_to
        ]
