"""Derive: pure derivations of payments per second on one core, no database."""

from __future__ import annotations

import time

from rig import report

from refref.core.attribution import CodeOwner
from refref.core.decisions import digest_of, encode_decision
from refref.core.derive import derive
from refref.core.facts import Carrier, CarrierKind, CustomerState, Fact, InvoiceState, Kind, Line, RefundState
from refref.core.ledger import plan_rewards
from refref.core.program import Config, Program
from refref.core.terms import Terms, TermsVersion

START = 1_700_000_000
MONTH = 30 * 86_400


def scope(customer: int, payments: int, *, refunds: bool) -> list[Fact]:
    """A referred customer with monthly invoices, every fifth of them partly refunded where asked."""
    own = f"cus_{customer:06d}"
    carrier = Carrier(CarrierKind.CUSTOMER_METADATA, "ana", START)
    facts = [Fact(own, Kind.CUSTOMER, 0, START, 0, CustomerState("a@example.com"), (), (carrier,))]
    for number in range(payments):
        at = START + number * MONTH
        invoice = f"in_{customer:06d}_{number:03d}"
        line = Line(f"il_{invoice}", 10_000, product="prod_1", price="price_1", quantity=1, description="1 x Plan")
        state = InvoiceState("paid", "usd", 10_000, 10_000, 10_000, created_at=at, paid_at=at, lines=(line,))
        facts.append(Fact(invoice, Kind.INVOICE, 4, at, 0, state, (own, f"pi_{invoice}", f"sub_{customer:06d}")))
        if refunds and number % 5 == 0:
            refund = RefundState("succeeded", 2_500, "usd", at)
            facts.append(Fact(f"re_{invoice}", Kind.REFUND, 2, at, 0, refund, (f"pi_{invoice}",)))
    return facts


def measure(payments: int, *, refunds: bool) -> dict[str, object]:
    """Derive, encode and plan for whole customers, as settle does."""
    config = Config(
        (Program("prg_1", (TermsVersion(1, 0, Terms()),)),),
        {"ana": CodeOwner("ptc_1", "prg_1")},
        {"ptc_1": "ana@x.example"},
    )
    scopes = [scope(number, payments, refunds=refunds) for number in range(200)]
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        for facts in scopes:
            derived = derive(facts, config, START + 400 * MONTH)
            for decision in derived.decisions:
                digest_of(encode_decision(decision))
            plan_rewards([], derived.rewards, lambda: "rwd_1")
        best = max(best, len(scopes) * payments / (time.perf_counter() - started))
    return {"payments_per_customer": payments, "with_refunds": refunds, "payments_per_s": round(best)}


def main() -> None:
    """Measure short and long histories."""
    report(
        "derive",
        [measure(1, refunds=False), measure(12, refunds=False), measure(12, refunds=True), measure(36, refunds=False)],
    )


if __name__ == "__main__":
    main()
