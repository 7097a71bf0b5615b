"""Samples for the tests of the rules: facts, sales and terms made of few words."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import settings

from refref.core.attribution import CodeOwner
from refref.core.facts import (
    Carrier,
    CarrierKind,
    ChargeState,
    CustomerState,
    DisputeState,
    Fact,
    InvoiceState,
    Kind,
    Line,
    RefundState,
)
from refref.core.program import Config, Program
from refref.core.sales import Sale, sales_of
from refref.core.terms import Terms, TermsVersion

# Few examples, since the whole folder has two seconds; HYPOTHESIS_EXAMPLES=5000 looks harder.
quick = settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "25")), deadline=None)

DAY = 86_400
T0 = 1_768_471_200  # 2026-01-15T10:00:00Z


def line(
    number: int, amount: int, *, discount: int = 0, inclusive: int = 0, exclusive: int = 0, product: str = "p"
) -> Line:
    return Line(f"il_{number}", amount, discount, inclusive, exclusive, product=product)


def invoice(
    number: int,
    lines: Sequence[Line],
    *,
    paid: int | None = None,
    paid_at: int = T0,
    customer: str = "cus_1",
    shipping: int = 0,
    status: str = "paid",
    subscription: str | None = None,
    carriers: tuple[Carrier, ...] = (),
) -> Fact:
    tax = sum(row.tax_inclusive + row.tax_exclusive for row in lines)
    subtotal = sum(row.amount for row in lines)
    total = subtotal - sum(row.discount for row in lines) + sum(row.tax_exclusive for row in lines) + shipping
    state = InvoiceState(
        status, "usd", total, subtotal, total if paid is None else paid, tax=tax, total_excluding_tax=total - tax,
        shipping=shipping, created_at=paid_at, paid_at=paid_at, lines=tuple(lines),
    )  # fmt: skip
    links = tuple(sorted(link for link in (customer, subscription, f"pi_{number}") if link))
    return Fact(f"in_{number}", Kind.INVOICE, 4, paid_at, 1, state, links, carriers)


def charge(number: int, amount: int, *, refunded: int = 0, at: int = T0, customer: str = "cus_1") -> Fact:
    state = ChargeState("succeeded", "usd", amount, refunded, T0)
    return Fact(f"ch_{number}", Kind.CHARGE, 1, at, refunded, state, (customer, f"pi_{number}"))


def refund(
    name: str, number: int, amount: int, *, status: str = "succeeded", at: int = T0, seen_at: int | None = None
) -> Fact:
    state = RefundState(status, amount, "usd", at)
    links = (f"ch_{number}", f"pi_{number}")
    return Fact(f"re_{name}", Kind.REFUND, 2, at if seen_at is None else seen_at, 0, state, links)


def dispute(name: str, number: int, amount: int, status: str, *marks: str) -> Fact:
    state = DisputeState(status, amount, "usd", T0)
    marked = tuple((mark, T0) for mark in sorted(marks))
    return Fact(f"dp_{name}", Kind.DISPUTE, 0, T0, 0, state, (f"ch_{number}", f"pi_{number}"), (), marked)


def customer(customer_id: str = "cus_1", code: str | None = "ana", *, at: int = T0, email: str | None = None) -> Fact:
    carriers = (Carrier(CarrierKind.CUSTOMER_METADATA, code, at),) if code else ()
    return Fact(customer_id, Kind.CUSTOMER, 0, at, 0, CustomerState(email, created_at=at), (), carriers)


def sale(*facts: Fact) -> Sale:
    """The one sale that the facts tell of."""
    (found,) = sales_of(facts)
    return found


def config(terms: Terms | None = None, **codes: str) -> Config:
    """One program; the refcodes ana and bea belong to participants of these names."""
    program = Program("prg_1", (TermsVersion(1, 0, terms or Terms()),))
    owners = {
        code: CodeOwner(f"ptc_{owner}", "prg_1") for code, owner in ({"ana": "ana", "bea": "bea"} | codes).items()
    }
    return Config((program,), owners)
