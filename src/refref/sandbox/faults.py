"""What the API does wrong on purpose: which request is struck, and by which kind of fault.

Owns the plan and its words; the wire (`wire.py`, `answers.py`) carries it out. Knows nothing of Stripe's objects.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refref.sandbox.errors import StripeError, lock_timeout, rate_limited

# Each kind, and whether the work is done all the same unless told otherwise.
KINDS: dict[str, bool] = {
    "error": False,  # an error body with `status` and `code`
    "unavailable": False,  # 503
    "rate_limit": False,  # 429, which the SDK does not try again by itself
    "lock_timeout": False,  # 429, which the SDK tries again
    "lost": True,  # the work is done, the connection breaks before the answer
    "timeout": False,  # the request is accepted and never answered (or after `seconds`, by a broken connection)
    "slow": True,  # the answer comes after `seconds`
    "reset": False,  # the connection breaks before the work
    "truncated": True,  # the connection breaks in the middle of the answer's body
}


@dataclass(slots=True)
class Fault:
    """One fault for the next `left` requests that match (None: for all), each with a probability of `percent`.

    `executed`: the request is carried out all the same. `remembered`: its idempotency key then keeps the error itself,
    as Stripe's keeps a 500, else the good answer. `path` is the beginning of the path, `method` None for every method.
    """

    kind: str = "error"
    status: int = 500
    code: str | None = None
    executed: bool = False
    remembered: bool = False
    seconds: float = 0
    method: str | None = None
    path: str = "/v1/"
    percent: int = 100
    left: int | None = 1

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for that request."""
        return path.startswith(self.path) and self.method in (None, method)

    def error(self) -> StripeError:
        """The error body of a fault that is answered."""
        if self.kind == "lock_timeout" or self.code == "lock_timeout":
            return lock_timeout()
        if self.kind == "rate_limit" or self.status == 429:
            return rate_limited()
        if self.kind == "unavailable":
            return StripeError("Stripe is briefly unavailable: try again.", status=503, kind="api_error")
        kind = "api_error" if self.status >= 500 else "invalid_request_error"
        return StripeError("An unknown error occurred.", status=self.status, kind=kind, code=self.code)


class FaultPlan:
    """The faults to come, in the order they were asked for. Chance comes from the seed, so a run can be repeated."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[Fault] = []
        self._rng = random.Random(seed)  # noqa: S311 - which requests fail, no secret

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, fault: Fault) -> None:
        """Plan one; an unknown kind is refused by name."""
        if fault.kind not in KINDS:
            raise StripeError(f"Unknown fault '{fault.kind}': one of {', '.join(KINDS)}.", param="kind")
        if not 0 <= fault.percent <= 100:
            raise StripeError(f"Invalid percent: {fault.percent} is not between 0 and 100.", param="percent")
        self._faults.append(fault)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request, if any; it has one time less to go."""
        for fault in self._faults:
            if not fault.matches(method, path) or self._rng.randrange(100) >= fault.percent:
                continue
            if fault.left is not None:
                fault.left -= 1
                if fault.left <= 0:
                    self._faults.remove(fault)
            return fault
        return None

    def clear(self) -> None:
        """No more faults."""
        self._faults.clear()

    def reseed(self, seed: int) -> None:
        """Start the chance anew."""
        self._rng.seed(seed)


_CONVERTED: dict[str, Any] = {
    "kind": str,
    "status": int,
    "code": str,
    "executed": bool,
    "remembered": bool,
    "seconds": float,
    "method": str,
    "path": str,
    "percent": int,
    "count": int,
}


def fault_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `fail_next` from JSON fields; a name nobody knows is refused."""
    for name in fields:
        if name not in _CONVERTED:
            raise StripeError(f"Unknown field '{name}': one of {', '.join(_CONVERTED)}.", param=name)
    return {name: None if value is None else _CONVERTED[name](value) for name, value in fields.items()}
