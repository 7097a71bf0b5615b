"""Scopes: which facts belong together. New facts and links join what was filed apart; no order changes the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from refref.core.facts import Fact, Kind, merge
from refref.core.sales import is_customer_id


class Merged(msgspec.Struct, frozen=True, gc=False):
    """What a batch of facts does to the facts already known.

    `changed`: ids of facts to write; `facts`: every fact of every scope concerned; `scopes`: id -> scope of each;
    `moves`: old scope -> the scope it was merged into; `touched`: scopes in which something changed; `ties`: objects
    of which two unlike snapshots of one second are known, so that only Stripe can say which is the present one.
    """

    facts: Mapping[str, Fact]
    scopes: Mapping[str, str]
    changed: frozenset[str]
    moves: Mapping[str, str]
    touched: frozenset[str]
    ties: frozenset[str] = frozenset()


def absorb(known: Iterable[tuple[Fact, str]], incoming: Sequence[Fact]) -> Merged:
    """Merge incoming facts into the known ones (fact, scope) and file everything under its scope.

    A scope is named after its smallest customer id, else its smallest id.
    """
    facts: dict[str, Fact] = {}
    filed: dict[str, str] = {}
    for fact, scope in known:
        facts[fact.stripe_id] = fact
        filed[fact.stripe_id] = scope
    changed: set[str] = set()
    ties: set[str] = set()
    for fact in incoming:
        old = facts.get(fact.stripe_id)
        new = fact if old is None else merge(old, fact)
        if old is not None and _is_tie(old, fact):
            ties.add(fact.stripe_id)
        if old is None or new != old:
            facts[fact.stripe_id] = new
            changed.add(fact.stripe_id)
        for link in fact.links:
            if link not in facts:
                facts[link] = Fact(link, Kind.REF)
                changed.add(link)
    if not changed:
        return Merged(facts, filed, frozenset(), {}, frozenset(), frozenset(ties))
    scopes, moves = _file(facts, filed, changed)
    rewritten = {stripe_id for stripe_id, scope in filed.items() if scopes[stripe_id] != scope}
    touched = frozenset(scopes[stripe_id] for stripe_id in changed | rewritten)
    return Merged(facts, scopes, frozenset(changed), moves, touched, frozenset(ties))


def _is_tie(a: Fact, b: Fact) -> bool:
    same_place = (a.rank, a.seen_at, a.weight) == (b.rank, b.seen_at, b.weight)
    return same_place and a.kind is Kind.SUBSCRIPTION and a.state is not None and b.state not in (None, a.state)


def _file(
    facts: Mapping[str, Fact], filed: Mapping[str, str], changed: set[str]
) -> tuple[dict[str, str], dict[str, str]]:
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while (up := parent.setdefault(node, node)) != node:
            parent[node] = up = parent.get(up, up)
            node = up
        return node

    def node(stripe_id: str) -> str:
        scope = filed.get(stripe_id)
        return stripe_id if scope is None else "scope " + scope

    for stripe_id in changed:
        mine = root(node(stripe_id))
        for link in facts[stripe_id].links:
            other = root(node(link))
            if other != mine:
                parent[other] = mine
    names: dict[str, str] = {}
    for stripe_id in facts:
        top = root(node(stripe_id))
        best = names.get(top)
        if best is None or _name_order(stripe_id) < _name_order(best):
            names[top] = stripe_id
    scopes = {stripe_id: names[root(node(stripe_id))] for stripe_id in facts}
    moves = {scope: scopes[stripe_id] for stripe_id, scope in filed.items() if scopes[stripe_id] != scope}
    return scopes, moves


def _name_order(stripe_id: str) -> tuple[bool, str]:
    return not is_customer_id(stripe_id), stripe_id
