"""The scene: one payload being read. Collects facts and needs, and walks into expanded objects. No Stripe meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec

from refref.core.catalog import CatalogItem
from refref.core.facts import Carrier, Fact, Kind, State, merge
from refref.stripe.readers.probe import Payload, checked_id, identifier
from refref.stripe.reading import Need, NeedKind, UnreadableEvent

DEEPEST = 6  # expanded objects inside each other; Stripe itself allows four levels

ObjectReader = Callable[[Payload, "Scene"], None]


class Scene:
    """What is known while one payload is read: the event's type and instant, and what has been found so far."""

    __slots__ = ("_depth", "_facts", "_needs", "_readers", "catalog", "event_type", "previous", "seen_at")

    def __init__(
        self,
        event_type: str,
        seen_at: int,
        readers: Mapping[str, ObjectReader],
        previous: Payload = MappingProxyType({}),
    ) -> None:
        self.event_type = event_type
        self.previous = previous  # what an update changed, as it was
        self.seen_at = seen_at
        self._readers = readers
        self._depth = 0
        self._facts: dict[str, Fact] = {}
        self._needs: set[Need] = set()
        self.catalog: tuple[CatalogItem, ...] = ()

    def add(
        self,
        stripe_id: str,
        kind: Kind,
        state: State | None = None,
        *,
        rank: int = 0,
        weight: int = 0,
        links: Iterable[str | None] = (),
        carriers: tuple[Carrier, ...] = (),
        marks: tuple[tuple[str, int], ...] = (),
    ) -> None:
        """Add a fact of this payload; links come in any order, with None for what is absent."""
        linked = {link for link in links if link is not None}
        linked.discard(stripe_id)
        if len(carriers) > 1:
            carriers = tuple(sorted(set(carriers), key=_carrier_key))
        fact = Fact(
            stripe_id, kind, rank, self.seen_at, weight, state, tuple(sorted(linked)), carriers, tuple(sorted(marks))
        )
        known = self._facts.get(stripe_id)
        if known is None:
            self._facts[stripe_id] = fact
        elif known.kind is fact.kind:
            self._facts[stripe_id] = merge(known, fact)
        else:
            raise UnreadableEvent("wrong_object", f"{stripe_id} stands for a {known.kind} and for a {kind}.")

    def add_item(self, item: CatalogItem) -> None:
        """Add a thing of the catalogue, which the event itself is about."""
        if not self.is_nested:
            self.catalog += (item,)

    def need(self, kind: NeedKind, stripe_id: str) -> None:
        """Ask for a fetch."""
        self._needs.add(Need(kind, stripe_id))

    def follow(self, payload: Payload, key: str, name: str) -> str | None:
        """The id under `key`; where the whole object (called `name` by Stripe) stands there, its facts are read too."""
        value = payload.get(key)
        if value is None:
            return None
        if type(value) is dict:
            return self.enter(value, name)
        return checked_id(value, payload, key)

    def enter(self, nested: Payload, name: str) -> str:
        """Read an expanded object and give its id; a deleted one, or one without content, is only a link."""
        stripe_id = identifier(nested)
        reader = self._readers.get(name)
        if reader is None or nested.get("deleted") is True:
            return stripe_id
        found = nested.get("object")
        if found != name and (found is not None or len(nested) == 1):
            return stripe_id
        if self._depth >= DEEPEST:
            raise UnreadableEvent("too_deep", f"Objects are expanded inside each other more than {DEEPEST} times.")
        self._depth += 1
        reader(nested, self)
        self._depth -= 1
        return stripe_id

    @property
    def is_nested(self) -> bool:
        """Whether the object being read stands inside another one, so that the event is not about it."""
        return self._depth > 0

    def told(self, by_event: Mapping[str, str]) -> str | None:
        """What the event's own name tells of its object, for shapes that leave it out; None inside another object."""
        return None if self._depth else by_event.get(self.event_type)

    def facts(self) -> tuple[Fact, ...]:
        """The facts, one per object, by id."""
        if len(self._facts) == 1:
            return tuple(self._facts.values())
        return tuple(self._facts[key] for key in sorted(self._facts))

    def needs(self) -> tuple[Need, ...]:
        """The needs, each once, in order."""
        return tuple(sorted(self._needs)) if self._needs else ()


def without_state(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """The facts' links, carriers and marks alone: for a document fetched later than the event it completes."""
    return tuple(msgspec.structs.replace(fact, state=None, rank=0, weight=0) for fact in facts)


def _carrier_key(carrier: Carrier) -> tuple[str, str, int, str]:
    return carrier.kind.value, carrier.value, carrier.seen_at, carrier.campaign
