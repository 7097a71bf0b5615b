"""Idempotency keys: the first answer is kept for 24 hours (on disk as well) and replayed; then the key is forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from refref.sandbox.errors import StripeError, key_in_use
from refref.sandbox.store import Store
from refref.sandbox.timeline import DAY

NOTE = "_answer"
REMEMBERED_SECONDS = DAY
LONGEST_KEY = 255
# Stripe keeps what came of work that was begun; a request that was refused for its form may be mended and sent again.
KEPT_STATUSES = frozenset({200, 402, 500})


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer to a key: what was asked, the status, the body, and the id of the request that was answered."""

    asked: str
    status: int
    body: str
    request_id: str


class Answers:
    """The kept answers of one account, by key, and which keys are being worked on now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_use: set[str] = set()

    def find(self, place: str, asked: str, token: str) -> Kept | None:
        """The kept answer; refuses a key that was first used with another request."""
        if len(token) > LONGEST_KEY:
            raise StripeError(f"Idempotency keys may be {LONGEST_KEY} characters long at most.", param="")
        self._forget()
        note = self._store.notes(NOTE).get(place)
        if note is None:
            return None
        if note["asked"] != asked:
            raise StripeError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{token}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return Kept(asked, note["status"], note["body"], note["request_id"])

    @contextmanager
    def working(self, place: str | None, token: str | None) -> Iterator[None]:
        """Hold a key while its first request is worked on; refuses a second one with it (409)."""
        if place is None:
            yield
            return
        if place in self._in_use:
            raise key_in_use(token or "")
        self._in_use.add(place)
        try:
            yield
        finally:
            self._in_use.discard(place)

    def keep(self, place: str, kept: Kept) -> None:
        """Remember the answer for 24 hours of the sandbox's clock."""
        if kept.status in KEPT_STATUSES:
            note = {"asked": kept.asked, "status": kept.status, "body": kept.body, "request_id": kept.request_id}
            self._store.note(NOTE, place, {**note, "at": self._store.now})

    def _forget(self) -> None:
        kept = self._store.notes(NOTE)
        horizon = self._store.now - REMEMBERED_SECONDS
        while kept:
            oldest = next(iter(kept))
            if kept[oldest]["at"] > horizon:
                return
            self._store.note(NOTE, oldest, None)
