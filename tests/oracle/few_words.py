"""Worlds in few words for the tests: Ana refers customers, who pay. Sample data only."""

from __future__ import annotations

from datetime import UTC, datetime

from oracle.oracle import judge
from oracle.worlds import DAY, Customer, Line, Participant, Payment, Refund, Touch, World
from refref.core.terms import Duration, RewardRule, Terms, TermsVersion

ANA = Participant("ptc_ana", "ana", "ana@partner.example", "promo_ana")
BEA = Participant("ptc_bea", "bea", "bea@partner.example", "promo_bea")
FOREVER = Duration("forever")
LATER = 4_000_000_000  # a clock at which every hold is over


def at(text: str) -> int:
    """An instant of its day, `2026-03-01` (noon) or with time `2026-03-01T00:00`, in UTC."""
    parsed = datetime.fromisoformat(text if "T" in text else f"{text}T12:00")
    return int(parsed.replace(tzinfo=UTC).timestamp())


START = at("2026-01-15")


def sale(number: int | str, amount: int = 10_000, on: str | int = START, **more: object) -> Payment:
    """A paid invoice of one line of `prod_basic`; `refunded` of it went back."""
    refunded = more.pop("refunded", 0)
    product = more.pop("product", "prod_basic")
    paid_at = at(on) if isinstance(on, str) else on
    refunds = (Refund(f"re_{number}", int(str(refunded)), paid_at + DAY),) if refunded else ()
    lines = more.pop("lines", (Line(f"il_{number}", amount, product=str(product)),))
    return Payment(str(number), paid_at, lines, refunds=refunds, **more)  # type: ignore[arg-type]  # keywords of a test


def referred(number: int, *payments: Payment, by: str = "ana", **more: object) -> Customer:
    """A customer who clicked on the link of `by` a day before the first payment (or at `click`) and then signed up."""
    first = min((payment.paid_at for payment in payments), default=START)
    click = int(str(more.pop("click", first - DAY)))
    touch = Touch("customer.metadata", by, click, click, str(more.pop("campaign", "")))
    details: dict[str, object] = {"created_at": click, "email": f"c{number}@shop.example", "touches": (touch,)} | more
    return Customer(f"cus_{number:02}", payments=payments, **details)  # type: ignore[arg-type]  # keywords of a test


def world(terms: Terms | tuple[TermsVersion, ...], *customers: Customer, **more: object) -> World:
    """Ana and Bea, these customers, and terms in force since ever."""
    versions = (TermsVersion(1, 0, terms),) if isinstance(terms, Terms) else terms
    people = more.pop("participants", (ANA, BEA))
    return World(people, customers, versions, **more)  # type: ignore[arg-type]  # keywords of a test


def rule(rule_id: str = "r", **more: object) -> RewardRule:
    """A rule that pays 10.00 USD unless something else is said."""
    given: dict[str, object] = {"kind": "fixed", "amounts": {"usd": 1_000}, "duration": FOREVER} | more
    return RewardRule(rule_id, **given)  # type: ignore[arg-type]  # keywords of a test


def told(of: World, now: int = LATER) -> dict[str, str]:
    """For each conversion, in short, what its rules did: `1000 usd`, `750-750 usd` (taken back), a reason; several are
    joined with `; ` and name their rule."""
    lines: dict[str, list[str]] = {}
    outcomes = judge(of, now).values()
    names_rules = len({outcome.rule_id for outcome in outcomes if outcome.rule_id}) > 1
    for outcome in outcomes:
        if outcome.reason == "no_rule_applies" and names_rules:
            continue
        parts = []
        for given in outcome.given:
            taken = f"-{given.reversed_minor}" if given.reversed_minor else ""
            who = "" if given.beneficiary == "ptc_ana" else f" to {given.beneficiary}"
            parts.append(f"{given.amount_minor}{taken} {given.currency}".rstrip() + who)
        text = ", ".join(parts) or outcome.reason
        prefix = f"{outcome.rule_id}: " if names_rules and outcome.rule_id else ""
        suffix = " (cut)" if outcome.is_cut else ""
        lines.setdefault(outcome.conversion, []).append(prefix + text + suffix)
    return {key: "; ".join(parts) for key, parts in lines.items()}


def amounts(of: World) -> list[str]:
    """What `told` says of each payment, in order of instants."""
    return [text for key, text in told(of).items() if key.startswith("in_")]
