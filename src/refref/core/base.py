"""The base of a reward: the net money that moved for the eligible lines of a sale, rounded once.

Default (docs/how-it-counts.md): after discounts, without tax and shipping, in the proportion that was really paid.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec

from refref.core.facts import Line
from refref.core.money import round_half_up
from refref.core.sales import Sale
from refref.core.terms import Terms


class BaseLine(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One line in a decision: `amount` as billed, `net` what it adds to the base before scaling; `left_out` a code."""

    id: str
    description: str
    amount: int
    net: int
    left_out: str = ""


class Base(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How the base came about: `eligible` is scaled by `paid` / `total` and rounded half up to `amount`.

    `lines_net` is the sum of all lines; where it differs from the sale's own `net`, eligible lines are scaled to it.
    """

    amount: int
    eligible: int
    lines_net: int
    net: int
    paid: int
    total: int
    lines: tuple[BaseLine, ...] = ()
    missing: str = ""  # "lines_missing" while a rule needs lines that are not known


def counted_paid(sale: Sale, terms: Terms) -> int:
    """The money of a sale that counts: all that moved, less what was paid out of band where terms say so."""
    if terms.counts_out_of_band:
        return sale.paid
    return max(0, sale.paid - sale.off_stripe)


LineFilter = Callable[[Line], bool]


def base_of(sale: Sale, terms: Terms, keep: LineFilter | None = None) -> Base:
    """The base of `sale` under `terms`, of the lines that `keep` lets through (by default those of the terms)."""
    if keep is None:
        keep = line_filter(terms.products, terms.excluded_products)
    paid = counted_paid(sale, terms)
    net = sale.net + (sale.tax if terms.includes_tax else 0) + (sale.shipping if terms.includes_shipping else 0)
    if sale.lines is None:
        missing = "lines_missing" if keep is not None and sale.total > 0 else ""
        eligible = 0 if missing else net
        return Base(_scaled(eligible, net, net, paid, sale.total), eligible, net, net, paid, sale.total, (), missing)
    lines = tuple([_base_line(line, terms, keep) for line in sale.lines])
    lines_net = sum([line.net for line in lines])
    if keep is None:
        return Base(_scaled(net, net, net, paid, sale.total), net, lines_net, net, paid, sale.total, lines)
    eligible = sum([line.net for line in lines if not line.left_out])
    amount = _part(sale, terms, eligible, lines_net, paid)
    return Base(amount, eligible, lines_net, net, paid, sale.total, lines)


def part_of(base: Base, sale: Sale, terms: Terms, eligible: int) -> int:
    """The base of some lines of a sale that come to `eligible` net, rounded once."""
    return _part(sale, terms, eligible, base.lines_net, base.paid)


def _part(sale: Sale, terms: Terms, eligible: int, lines_net: int, paid: int) -> int:
    target = sale.net + (sale.tax if terms.includes_tax else 0)
    # Credits on other lines (a change of plan) may lower the sale below its eligible lines: only what moved counts.
    return min(_scaled(eligible, lines_net, target, paid, sale.total), _scaled(target, 0, target, paid, sale.total))


def _scaled(eligible: int, lines_net: int, net: int, paid: int, total: int) -> int:
    if eligible <= 0 or total <= 0 or paid <= 0 or net <= 0:
        return 0
    if lines_net in (net, 0):
        return round_half_up(eligible * paid, total)
    return round_half_up(eligible * net * paid, lines_net * total)


def _base_line(line: Line, terms: Terms, keep: LineFilter | None) -> BaseLine:
    net = line.amount - line.discount - line.credit_applied - line.tax_inclusive
    if terms.includes_tax:
        net += line.tax_inclusive + line.tax_exclusive
    left_out = "" if keep is None or keep(line) else "product_not_eligible"
    return BaseLine(line.id, line.description, line.amount, net, left_out)


@lru_cache(maxsize=4096)
def line_filter(products: tuple[str, ...], excluded: tuple[str, ...]) -> LineFilter | None:
    """Lets lines through whose product or price is one of `products` (empty: any) and none of `excluded`; None: all."""
    if not products and not excluded:
        return None
    wanted, unwanted = frozenset(products), frozenset(excluded)

    def keep(line: Line) -> bool:
        if line.product in unwanted or line.price in unwanted:
            return False
        return not wanted or line.product in wanted or line.price in wanted

    return keep
