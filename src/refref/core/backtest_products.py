"""Products in a backtest: what rules give for a sale, divided among the products that were sold.

What a rule gives is divided among the lines that it rewards, in proportion to what they come to. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from refref.core.complete import allocate
from refref.core.facts import Line

if TYPE_CHECKING:
    from refref.core.backtest import Gain
    from refref.core.base import LineFilter
    from refref.core.compiled import CompiledRule
    from refref.core.program import Program

NO_PRODUCT = ""  # what is earned on no line of a sale
Part = tuple[str, str, int]  # product, currency, amount


class Products:
    """Knows which lines each rule of a program's versions rewards."""

    def __init__(self, program: Program) -> None:
        self._rules: dict[tuple[int, str], tuple[str, tuple[LineFilter, ...]]] = {
            (version.version, rule.rule.rule_id): (rule.rule.group, _filters(program, version.version, rule))
            for version in program.terms
            for rule in program.version_numbered(version.version).rules
        }

    def divided(self, terms_version: int, gains: Sequence[Gain], sold: Sequence[Line]) -> Iterable[Part]:
        """Each part of what the gains of one conversion come to; nothing where they come to nothing."""
        if not gains:
            return ()
        products = {line.product or line.price or NO_PRODUCT for line in sold}
        if len(products) <= 1:
            product = next(iter(products), NO_PRODUCT)
            return [(product, gain.currency, gain.amount) for gain in gains if gain.amount]
        return self._among_lines(terms_version, gains, sold)

    def _among_lines(self, terms_version: int, gains: Sequence[Gain], sold: Sequence[Line]) -> list[Part]:
        parts: list[Part] = []
        taken: dict[str, set[int]] = {}
        by_rule: dict[str, list[int]] = {}
        for gain in gains:
            group, filters = self._rules.get((terms_version, gain.rule_id), ("", ()))
            places = by_rule.get(gain.rule_id)
            if places is None:
                gone = taken.setdefault(group, set()) if group else set()
                places = [
                    place
                    for place, line in enumerate(sold)
                    if place not in gone and all(keep(line) for keep in filters)
                ]
                gone.update(places)
                by_rule[gain.rule_id] = places
            weights = [max(0, sold[place].amount) for place in places]
            if not gain.amount:
                continue
            if not sum(weights):
                parts.append((NO_PRODUCT, gain.currency, gain.amount))
                continue
            for place, amount in zip(places, allocate(gain.amount, weights), strict=True):
                if amount:
                    parts.append((sold[place].product or sold[place].price or NO_PRODUCT, gain.currency, amount))
        return parts


def _filters(program: Program, version: int, rule: CompiledRule) -> tuple[LineFilter, ...]:
    terms = program.version_numbered(version)
    found = (terms.keep, None if rule.event is None else rule.event.keep, rule.keep)
    return tuple(keep for keep in found if keep is not None)
