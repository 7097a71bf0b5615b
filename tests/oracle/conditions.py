"""The conditions that histories draw, each in CEL and in Python. What is not known makes no match."""

from __future__ import annotations

from collections.abc import Callable

from oracle.cases import Case, coupons_of, lines_of
from oracle.referrals import domain_of


def _metadata(case: Case, name: str) -> str | None:
    return dict(case.conversion.customer.metadata).get(name)


CONDITIONS: dict[str, Callable[[Case], bool]] = {
    "sale.amount_minor > 15000": lambda case: case.base > 15_000,
    "sale.amount_minor <= 10000 && sale.currency == 'usd'": lambda case: case.base <= 10_000 and case.currency == "usd",
    "sale.number >= 2": lambda case: case.number >= 2,
    "sale.is_first || customer.country == 'DE'": lambda case: (
        case.number == 1 or case.conversion.customer.country == "DE"
    ),
    "sale.months_subscribed < 1": lambda case: case.months < 1,
    "customer.country == 'DE'": lambda case: case.conversion.customer.country == "DE",
    "customer.country in ['DE', 'FR'] && participant.country == 'FR'": lambda case: (
        case.conversion.customer.country in ("DE", "FR") and case.participant_country == "FR"
    ),
    "customer.metadata.tier == 'gold'": lambda case: _metadata(case, "tier") == "gold",
    "!(customer.metadata.tier == 'gold')": lambda case: _metadata(case, "tier") not in (None, "gold"),
    "participant.kind == 'affiliate'": lambda case: case.conversion.bond.participant.kind == "affiliate",
    "customer.email_domain == 'shop.example'": lambda case: domain_of(case.conversion.customer.email) == "shop.example",
    "customer.is_new": lambda case: case.is_new,
    "'gold' in participant.groups": lambda case: "gold" in case.groups,
    "sale.campaign == 'spring'": lambda case: case.conversion.bond.touch.campaign == "spring",
    "'coupon_a' in sale.coupons": lambda case: "coupon_a" in coupons_of(case.conversion),
    "'prod_pro' in sale.products": lambda case: any(line.product == "prod_pro" for line in lines_of(case.conversion)),
}
SALE_FREE = tuple(text for text in CONDITIONS if "sale." not in text)
