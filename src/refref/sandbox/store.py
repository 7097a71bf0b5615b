"""The sandbox's documents, clock, ids and events, kept in memory and, when given a path, in sqlite.

Knows nothing of what the objects mean: the layers above (catalog, customers, payments, ...) do.
"""

import functools
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

import msgspec

from refref.sandbox import witness
from refref.sandbox.errors import missing
from refref.sandbox.faults import KINDS, Fault, FaultPlan
from refref.sandbox.ids import Ids
from refref.sandbox.rate_limits import RateLimit
from refref.sandbox.timeline import instant

# A Stripe object as JSON. Any: its shape is Stripe's and is judged by Stripe's specification in the tests.
Doc = dict[str, Any]

API_VERSION = "2026-10-28.endive"
NOBODY: Doc = {"id": None, "idempotency_key": None}
BATCH = 500
HOME_ACCOUNT = "acct_sandbox"  # the account whose server it is


P = ParamSpec("P")
S = TypeVar("S", bound="Store")
T = TypeVar("T")


def copy_of(doc: T) -> T:
    """A deep copy of JSON data."""
    copied: T = msgspec.json.decode(msgspec.json.encode(doc))
    return copied


def acted(by: Literal["api", "nobody"]) -> Callable[[Callable[Concatenate[S, P], T]], Callable[Concatenate[S, P], T]]:
    """Mark a public method: its events carry a request id (`api`) or none (`nobody`); the caller gets a copy."""

    def mark(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
        @functools.wraps(method)
        def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            with self.on_clock(self.clock_of(args, kwargs)):
                return in_time(self, *args, **kwargs)

        def in_time(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            outer = self.request
            if outer is not None and by == "api":
                return method(self, *args, **kwargs)
            self.request = NOBODY if by == "nobody" else {"id": self.ids.make("request"), "idempotency_key": None}
            try:
                return copy_of(method(self, *args, **kwargs))
            finally:
                self.request = outer
                if outer is None:
                    self.flush(BATCH)

        return call

    return mark


def wants(endpoint: Doc, kind: str, *, connected: bool = False) -> bool:
    """Whether an endpoint is open for that type of event of its own account, or of the accounts connected to it."""
    asked = endpoint["enabled_events"]
    heard = bool(endpoint.get("_connect")) == connected
    return heard and endpoint["status"] == "enabled" and ("*" in asked or kind in asked)


def listed(data: list[Doc], url: str, *, total: bool = True) -> Doc:
    """A Stripe list that holds everything."""
    counted: Doc = {"total_count": len(data)} if total else {}
    return {"object": "list", "data": data, "has_more": False, **counted, "url": url}


class Store:
    """Documents by kind and id, in order of creation, with a clock, a maker of ids and the events made so far."""

    def __init__(
        self,
        *,
        clock_start: int | str | datetime = "2026-01-01T00:00:00+00:00",
        seed: int = 0,
        path: Path | str | None = None,
        public_url: str = "http://127.0.0.1:8420",
        api_version: str = API_VERSION,
        home: "Store | None" = None,
        account_id: str = HOME_ACCOUNT,
    ) -> None:
        self.account_id = account_id
        self.home = home or self
        self.api_version = api_version
        self.now = instant(clock_start)
        self.ids = Ids(seed)
        self.public_url = public_url
        self.request: Doc | None = None
        self.listeners: list[Callable[[Doc], None]] = []
        self.faults = FaultPlan(seed)
        self.rate_limit: RateLimit | None = None
        self._docs: dict[tuple[str, str], Doc] = {}
        self._kinds: dict[str, list[Doc]] = {}
        self._notes: dict[str, dict[str, Doc]] = {}
        self._dirty: dict[tuple[str, str], Doc] = {}
        self._kept: dict[str, list[tuple[str, str, Doc]]] = {}  # of other accounts, until they are opened
        self._prefix = ""
        self._sqlite = None if path is None else self._open(Path(path))
        if home is not None:
            self._move_in(home)

    def _move_in(self, home: "Store") -> None:
        """Share the clock, the ids and the file of the server's own account; kinds on disk carry the account."""
        self.ids, self.now, self.public_url, self.faults = home.ids, home.now, home.public_url, home.faults
        self._dirty, self._prefix = home._dirty, f"{self.account_id}/"
        for kind, object_id, doc in home._kept.pop(self.account_id, []):
            self._take(kind, object_id, doc)

    def _take(self, kind: str, object_id: str, doc: Doc) -> None:
        """Add a document or a note that was kept."""
        if kind[0] == "_":
            self._notes.setdefault(kind, {})[object_id] = doc
            return
        self._docs[kind, object_id] = doc
        self._kinds.setdefault(kind, []).append(doc)

    def _mark_dirty(self, kind: str, object_id: str, doc: Doc) -> None:
        self._dirty[self._prefix + kind, object_id] = doc

    # time

    @contextmanager
    def on_clock(self, clock: str | None) -> Iterator[None]:
        """What happens inside happens at the time of a test clock; the layer that has test clocks does."""
        yield

    def clock_of(self, values: tuple[object, ...], named: Mapping[str, object]) -> str | None:
        """The test clock that the arguments of a call belong to; None: the common time."""
        return None

    # documents

    def get(self, object_id: str) -> Doc:
        """The present state of the object with that id; raises StripeError when there is none."""
        for kind in self._kinds:
            if (kind, object_id) in self._docs:
                return copy_of(self._docs[kind, object_id])
        raise missing("object", object_id)

    def all(self, kind: str) -> list[Doc]:
        """All objects of a kind, oldest first, as copies."""
        return copy_of(self.live(kind))

    def live(self, kind: str) -> list[Doc]:
        """All objects of a kind, oldest first: the documents themselves, for the layers above."""
        return self._kinds.get(kind, [])

    def find(self, kind: str, object_id: str, param: str = "id") -> Doc:
        """The document itself; raises `resource_missing` naming `param`."""
        doc = self._docs.get((kind, object_id))
        if doc is None:
            raise missing(kind.replace(".", " ").replace("_", " "), object_id, param)
        return doc

    def has(self, kind: str, object_id: str) -> bool:
        """Whether that object exists."""
        return (kind, object_id) in self._docs

    def put(self, doc: Doc) -> Doc:
        """Add a new document."""
        key = doc["object"], doc["id"]
        self._docs[key] = doc
        self._kinds.setdefault(key[0], []).append(doc)
        self._mark_dirty(*key, doc)
        return doc

    def alter(self, doc: Doc, **changes: Any) -> Doc:
        """Change a document; returns the old values of what changed (Stripe's previous_attributes)."""
        before = {k: copy_of(doc.get(k)) for k, v in changes.items() if doc.get(k) != v}
        doc.update(changes)
        self._mark_dirty(doc["object"], doc["id"], doc)
        return before

    def remove(self, doc: Doc) -> None:
        """Forget a document (events made of it stay)."""
        key = doc["object"], doc["id"]
        del self._docs[key]
        self._kinds[key[0]] = [d for d in self._kinds[key[0]] if d is not doc]
        self._mark_dirty(*key, {})

    # notes: what is kept beside Stripe's objects (answers of idempotency keys, deliveries on their way)

    def notes(self, kind: str) -> dict[str, Doc]:
        """The notes of a kind (it starts with `_`) by key, oldest first: to look at, not to change."""
        return self._notes.setdefault(kind, {})

    def note(self, kind: str, key: str, body: Doc | None) -> None:
        """Keep a note, or with None forget it."""
        if body is None:
            self.notes(kind).pop(key, None)
        else:
            self.notes(kind)[key] = body
        self._mark_dirty(kind, key, body or {})

    # events

    @property
    def events(self) -> list[Doc]:
        """All events, oldest first."""
        return self.live("event")

    def events_since(self, count: int) -> list[Doc]:
        """The events after the first `count`."""
        return self.events[count:]

    def emit(self, kind: str, doc: Doc, previous: Doc | None = None) -> Doc:
        """Record an event with a snapshot of `doc` as it is now and tell the listeners."""
        data: Doc = {"object": copy_of(doc)}
        if previous is not None:
            data["previous_attributes"] = copy_of(previous)
        event = {
            "id": self.ids.make("event"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": self.open_endpoints(kind),
            "request": dict(self.request or NOBODY),
            "type": kind,
        }
        if self.home is not self:
            event["_account"] = self.account_id
        self.put(event)
        for tell in (*self.listeners, *witness.events):
            tell(event)
        return event

    def open_endpoints(self, kind: str) -> int:
        """How many endpoints want that type of event."""
        return sum(1 for e in self.live("webhook_endpoint") if wants(e, kind))

    @contextmanager
    def requested(self, request_id: str, idempotency_key: str | None) -> Iterator[None]:
        """What happens inside was asked for by one API request; it is on disk before the answer is given."""
        self.request = {"id": request_id, "idempotency_key": idempotency_key}
        try:
            yield
        finally:
            self.request = None
            self.flush()

    def fail_next(
        self, *, kind: str = "error", count: int | None = 1, executed: bool | None = None, **how: Any
    ) -> None:
        """Let the next `count` API requests (None: all) fail; `refref.sandbox.faults` says which kinds there are.

        `executed`: the work is done all the same. `how`: status, code, remembered, seconds, method, path, percent.
        """
        done = KINDS.get(kind, False) if executed is None else executed
        self.faults.add(Fault(kind=kind, left=count, executed=done, **how))

    def limit_rates(self, reads_per_second: int | None, writes_per_second: int | None = None) -> None:
        """Answer 429 above so many requests a second (Stripe: 100 in live mode, 25 in test mode); None: no limit."""
        writes = reads_per_second if writes_per_second is None else writes_per_second
        self.rate_limit = None if reads_per_second is None or writes is None else RateLimit(reads_per_second, writes)

    # keeping

    def flush(self, at_least: int = 1) -> None:
        """Write changed documents to sqlite in one transaction, once there are `at_least` of them."""
        if self.home is not self:
            self.home.flush(at_least)
        if self._sqlite is None and self.home is self:
            self._dirty.clear()  # kept in memory only
        if self._sqlite is None or len(self._dirty) < at_least:
            return
        rows = [(k, i, msgspec.json.encode(d) if d else None) for (k, i), d in self._dirty.items()]
        with self._sqlite as db:
            db.execute("begin")
            db.executemany(
                "insert into documents (kind, id, body) values (?, ?, ?) "
                "on conflict (kind, id) do update set body = excluded.body",
                [row for row in rows if row[2] is not None],
            )
            gone = [row[:2] for row in rows if row[2] is None]
            db.executemany("delete from documents where kind = ? and id = ?", gone)
            state = msgspec.json.encode({"now": self.now, "counts": self.ids.counts, "seed": self.ids.seed})
            db.execute("insert or replace into state (id, body) values (1, ?)", (state,))
            db.execute("commit")
        self._dirty.clear()

    def close(self) -> None:
        """Write what is left and close the file."""
        self.flush(0)
        if self._sqlite is not None:
            self._sqlite.close()

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        db.execute(
            "create table if not exists documents "
            "(seq integer primary key, kind text, id text, body blob, unique (kind, id))"
        )
        db.execute("create table if not exists state (id integer primary key, body blob)")
        for kind, object_id, body in db.execute(
            "select kind, id, body from documents where body is not null order by seq"
        ):
            doc = msgspec.json.decode(body)
            account, _, own = kind.rpartition("/")
            if account:
                self._kept.setdefault(account, []).append((own, object_id, doc))
            else:
                self._take(own, object_id, doc)
        for (body,) in db.execute("select body from state"):
            state = msgspec.json.decode(body)
            self.now, self.ids = state["now"], Ids(state["seed"], state["counts"])
        return db
