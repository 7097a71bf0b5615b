"""What stored events tell of the custom events that only a draft asks for, filed as publishing it would file them.

Reads a snapshot; writes nothing but runs in a folder, in order of scope. Memory holds a page, a run, and the names of
the scopes that an event joins.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from refref.core.custom_types import CustomPaths, custom_paths
from refref.core.facts import Fact, Kind, decode_fact, encode_fact
from refref.core.scopes import absorb
from refref.core.terms import Terms
from refref.db import backtests, custom_events, facts
from refref.db.pool import Connection
from refref.flows.read_stored import read_stored
from refref.sorted_runs import Item, SortedRuns, merged
from refref.stripe.readers import UnreadableEvent

PAGE = 1000  # stored events
_TURN = 100  # of them that are read at a stretch
_RUN_BYTES = 32_000_000  # in memory
_RUNS = "events"
_JOINED = "joined-scopes"
_decode_joined = msgspec.msgpack.Decoder(dict[str, str]).decode


async def new_paths(tx: Connection, organization_id: str, connection_id: str, terms: Terms) -> CustomPaths:
    """Where the custom events of these terms look for the customer and no published terms ever did, by Stripe type."""
    asked = custom_paths([terms])
    if not asked:
        return {}
    known = await custom_events.paths_by_type(tx, organization_id, connection_id)
    left = {name: tuple(path for path in paths if path not in known.get(name, ())) for name, paths in asked.items()}
    return {name: paths for name, paths in left.items() if paths}


async def gather_events(
    tx: Connection,
    organization_id: str,
    connection_id: str,
    paths: CustomPaths,
    folder: Path,
    advance: Callable[[int], None],
) -> None:
    """Leave in the folder what the stored events that `tx` sees tell at these paths, for `FiledEvents`. `advance` is
    told how many events were looked at."""
    runs = SortedRuns(folder, f"{_RUNS}-told", _RUN_BYTES)
    joins = _Joins()
    async for told in _events_told(tx, organization_id, connection_id, paths, advance):
        ids = {stripe_id for fact in told for stripe_id in (fact.stripe_id, *fact.links)}
        scopes = await backtests.scopes_of(tx, organization_id, connection_id, ids) if ids else {}
        known = set(scopes.values())
        for fact in told:
            runs.add(0, joins.join(_places(fact, scopes), known), encode_fact(fact))
    names = joins.names()
    await asyncio.to_thread(_refile, runs, names, folder)


def _refile(runs: SortedRuns, names: Mapping[str, str], folder: Path) -> None:
    if names:
        filed = SortedRuns(folder, f"{_RUNS}-filed", _RUN_BYTES)
        for _, place, body in runs.in_order():
            filed.add(0, names.get(place, place), body)
        for path in folder.glob(f"{_RUNS}-told.*"):
            path.unlink()
        runs = filed
    runs.flush()
    (folder / _JOINED).write_bytes(msgspec.msgpack.encode(names))


async def _events_told(
    tx: Connection, organization_id: str, connection_id: str, paths: CustomPaths, advance: Callable[[int], None]
) -> AsyncIterator[list[Fact]]:
    after = 0
    while page := await custom_events.events_page(tx, organization_id, connection_id, list(paths), after, PAGE):
        after = page[-1][0]
        told: list[Fact] = []
        for number, (_, name, body) in enumerate(page):
            if body is not None:
                told += _told(name, body, paths)
            if number % _TURN == 0:
                await asyncio.sleep(0)  # the worker has other things to do, too
        yield told
        advance(len(page))


def _told(stripe_type: str, body: bytes, paths: CustomPaths) -> list[Fact]:
    try:
        reading = read_stored(stripe_type, body, paths)
    except UnreadableEvent:
        return []  # publishing does not settle it either
    return [fact for fact in reading.facts if fact.kind is Kind.EVENT]


def _places(fact: Fact, scopes: Mapping[str, str]) -> list[str]:
    """The scopes that a fact belongs to; in place of one that is not known, the object that would begin it."""
    places = {scopes.get(link, link) for link in fact.links}
    if fact.stripe_id in scopes:  # told by another path before
        places.add(scopes[fact.stripe_id])
    return sorted(places)


class _Joins:
    """Which places become one scope, since an event belongs to several."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._known: set[str] = set()

    def join(self, places: Sequence[str], known: Collection[str]) -> str:
        """Join the places, of which some are known scopes; one of them."""
        first = places[0]
        if len(places) > 1:
            self._known.update(place for place in places if place in known)
            for place in places[1:]:
                self._parent[self._root(place)] = self._root(first)
        return first

    def _root(self, place: str) -> str:
        while (up := self._parent.setdefault(place, place)) != place:
            self._parent[place] = self._parent[up]
            place = up
        return place

    def names(self) -> dict[str, str]:
        """The first known scope that each joined place is one with; without places that join no known scope."""
        heads: dict[str, str] = {}
        for scope in sorted(self._known):
            heads.setdefault(self._root(scope), scope)
        return {place: heads[root] for place in list(self._parent) if (root := self._root(place)) in heads}


class FiledEvents:
    """Reads what `gather_events` left in a folder (nothing where it was not called), once, from a scope on."""

    def __init__(self, folder: Path, after: str = "") -> None:
        path = folder / _JOINED
        self.is_empty = not path.exists()
        self._heads = {} if self.is_empty else _decode_joined(path.read_bytes())
        self._members: dict[str, list[str]] = {}
        for scope, head in self._heads.items():
            if scope != head:
                self._members.setdefault(head, []).append(scope)
        self._items = merged(folder.glob(f"{_RUNS}-*.*"))
        self._next: Item | None = next(self._items, None)
        self._take((), after)

    def _take(self, scopes: Collection[str], last: str) -> list[Fact]:
        """The facts of these scopes. What stands before `last` under no scope of theirs belongs to nobody who is known:
        it carries no referral identifier, so that no program has conversions of it."""
        found: list[Fact] = []
        while self._next is not None and self._next[1] <= last:
            _, scope, body = self._next
            if scope in scopes:
                found.append(decode_fact(body))
            self._next = next(self._items, None)
        return found

    async def add_to(
        self, tx: Connection, organization_id: str, connection_id: str, page: Mapping[str, list[Fact]]
    ) -> tuple[dict[str, list[Fact]], dict[str, str]]:
        """A page of scopes (in order) with their events, and of which of them each stored scope is then a part.

        Scopes that events join stand under the first of them alone, with the facts of all.
        """
        own = {scope: told for scope, told in page.items() if self._heads.get(scope, scope) == scope}
        parts = {scope: scope for scope in own}
        parts.update({member: scope for scope in own for member in self._members.get(scope, ())})
        events = await asyncio.to_thread(self._take, own, max(page))
        if not events:
            return own, parts
        known = [(fact, scope) for scope, told in own.items() for fact in told]
        if others := [member for member in parts if member not in own]:
            rows = await facts.facts_of_scopes(tx, organization_id, connection_id, stripe_ids=(), scope_ids=others)
            known += [(row.fact, row.scope_id) for row in rows]
        return _file(known, events, parts), parts


def _file(known: Sequence[tuple[Fact, str]], events: Sequence[Fact], parts: Mapping[str, str]) -> dict[str, list[Fact]]:
    """Settling's own filing, but each scope keeps the name under which its decisions are stored."""
    filed = absorb(known, events)
    names = {filed.scopes[fact.stripe_id]: parts[scope] for fact, scope in known}
    found: dict[str, list[Fact]] = {scope: [] for scope in parts.values()}
    for stripe_id, fact in filed.facts.items():
        found[names[filed.scopes[stripe_id]]].append(fact)
    return found
