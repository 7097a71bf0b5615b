"""Amounts per currency in conditions: `sale.currency == "usd" && sale.amount_minor >= 5000`, to a tree and back.

Knows these trees alone; the form around them is core.criteria_form's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from refref.core.criteria_syntax import Call, Literal, Name, Node, Select, chain
from refref.core.currency_codes import CURRENCIES

Amounts = tuple[tuple[str, int], ...]  # (currency in lower case, minor units), each currency once
MAX_AMOUNTS = 20
_CURRENCY = Select(Name("sale"), "currency")
_AMOUNT = Select(Name("sale"), "amount_minor")
_MOST = 2**53


class Compared(NamedTuple):
    """Amounts that sales of their currencies are compared with; `comparison` such as `_>=_`."""

    comparison: str
    amounts: Amounts


def are_amounts(value: object) -> bool:
    """Whether these are one amount or several, not negative, each of another known currency."""
    if not isinstance(value, tuple) or not 0 < len(value) <= MAX_AMOUNTS:
        return False
    pairs = [one for one in value if isinstance(one, tuple) and len(one) == 2]
    known = {code for code, amount in pairs if code in CURRENCIES and type(amount) is int and 0 <= amount <= _MOST}
    return len(known) == len(pairs) == len(value)


def node_of_amounts(found: Compared) -> Node:
    """The tree: a sale meets it in one of the currencies; one in any other currency does not."""
    nodes = [_pair(code, amount, found.comparison) for code, amount in found.amounts]
    whole = nodes[0]
    for node in nodes[1:]:
        whole = Call("_||_", None, (whole, node))
    return whole


def amounts_of_node(node: Node) -> Compared | None:
    """What a tree compares, where it is such a tree as a whole."""
    found, width = amounts_among(chain(node, "_||_"), "_||_")
    return found if width == len(chain(node, "_||_")) else None


def amounts_among(items: Sequence[Node], operator: str) -> tuple[Compared | None, int]:
    """What the first of the joined items compare, and how many of them it takes; None, 0 where they do not.

    `operator` joins the items: of `&&` two make an amount, or one that is joined by `||`; of `||` each is one.
    """
    if operator == "_&&_":
        if isinstance(items[0], Call) and items[0].function == "_||_":
            return amounts_of_node(items[0]), 1
        found = _compared(items[:2])
        return found, 2 if found else 0
    whole: Compared | None = None
    width = 0
    for item in items:
        one = _compared(chain(item, "_&&_"))
        if one is None or (whole and not _goes_with(whole, one)):
            break
        whole = Compared(one.comparison, (*(whole.amounts if whole else ()), *one.amounts))
        width += 1
    return whole, width


def _goes_with(whole: Compared, one: Compared) -> bool:
    known = {code for code, _ in whole.amounts}
    return whole.comparison == one.comparison and one.amounts[0][0] not in known and len(known) < MAX_AMOUNTS


def _pair(code: str, amount: int, comparison: str) -> Node:
    currency = Call("_==_", None, (_CURRENCY, Literal(code, "string")))
    return Call("_&&_", None, (currency, Call(comparison, None, (_AMOUNT, Literal(amount, "int")))))


def _compared(nodes: Sequence[Node]) -> Compared | None:
    """The amount of two nodes: the currency and the comparison."""
    if len(nodes) != 2:
        return None
    currency, comparison = nodes
    if not isinstance(currency, Call) or not isinstance(comparison, Call):
        return None
    code, amount = _literal(currency, _CURRENCY), _literal(comparison, _AMOUNT)
    if currency.function != "_==_" or not isinstance(code, str) or not isinstance(amount, int):
        return None
    found = Compared(comparison.function, ((code, amount),))
    return found if are_amounts(found.amounts) and comparison.function in COMPARISONS else None


def _literal(call: Call, subject: Node) -> object:
    if call.target is not None or len(call.args) != 2 or call.args[0] != subject:
        return None
    value = call.args[1]
    return value.value if isinstance(value, Literal) else None


COMPARISONS = frozenset(("_==_", "_>=_", "_>_", "_<=_", "_<_"))
